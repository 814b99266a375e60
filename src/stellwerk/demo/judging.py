"""Judges one planted defect: nothing if the build found it, else the reason why not, in words that name no value.

Knows each kind by itself. Does not count; demo/scoring.py says what counts as found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stellwerk.demo.near_copies import jaccard
from stellwerk.demo.outcome import JOINED, Document, Finding
from stellwerk.demo.truth import BELOW, COPIES, FOUND_AS, HEAD_COLUMNS, HEADS, Planted
from stellwerk.text.normalise import normalise

Specs = Mapping[str, Any]
OCR_RULE = "ocr_needed"  # the reader's name for pages that are pictures
WORD = re.compile(r"\w+")


def searched(kind: str, spec: Mapping[str, Any]) -> bool:
    """Whether a dataset's spec asks for a step that looks for a kind."""
    select, outliers, personal = spec["select"], spec["outliers"], spec["personal"]
    if kind in FOUND_AS:
        return FOUND_AS[kind] in personal["kinds"] and personal["action"] != "keep"
    answers = {
        "exact_duplicate": spec["duplicates"]["exact"],
        "near_duplicate": spec["duplicates"]["near"] is not None,
        BELOW: spec["duplicates"]["near"] is not None,
        "mojibake": spec["normalise"]["mojibake"],
        "wrong_language": "language" in select,
        "truncated": "incomplete_end" in select,
        "outlier": outliers is not None or bool({"machine_hours", "amount_eur"} & set(select)),
        "junk": bool({"words", "base64_share", "chars"} & set(select)),
        "orphan": any(test.get("column") in JOINED and test.get("not_null") for test in spec["tests"]),
        "scan": True,
        "damaged_file": True,
    }
    return bool(answers.get(kind, False))


def left_out(kind: str, spec: Mapping[str, Any]) -> bool:
    """Whether a dataset's spec drops the columns in which a kind stands."""
    return kind == HEADS and set(HEAD_COLUMNS) <= set(spec["drop_columns"])


def judge(row: Planted, found: Mapping[str, Document], specs: Specs) -> str | None:
    """Why a planted defect was missed; None where it was found.

    Args:
        row: what was planted.
        found: what the build made of the documents, by id.
        specs: by dataset, as the versions were built.
    """
    document = found.get(row.doc)
    if document is None:
        return "the build knows no document of this name"
    spec = specs[document.dataset]
    if row.kind in COPIES:
        return _copy(row, document, found, spec)
    if row.kind == "mojibake":
        return _mojibake(row, document, spec)
    if row.kind in FOUND_AS:
        return _personal(row, document, spec)
    if row.kind == "orphan":
        return None if document.missing else f"{row.detail['column']} points nowhere, yet no joined column is empty"
    if row.kind in ("scan", "damaged_file"):
        return _unread(row, document)
    return None if document.dropped else f"kept: {_kept(row, document, spec)}"


def touches(finding: Finding, row: Planted, document: Document) -> bool:
    """Whether a finding overlaps a planted value, wherever in the document that stands."""
    places = _places(row, document)
    return any(finding.column == column and finding.start < end and start < finding.end for column, start, end in places)


def core(row: Planted) -> str:
    """The part of a planted value that must not be left: an address without `mailto:`, a password without its label."""
    value, shape = str(row.detail["value"]).replace("\xa0", " "), row.detail["format"]
    if row.kind == "email":
        return value.removeprefix("mailto:").strip("<>")
    if shape == "password":
        return re.split(r"[\s=]", value)[-1]
    if shape == "password in address":
        return value.partition("://")[2].partition("@")[0].partition(":")[2]
    return value.partition("=")[2] if shape == "hex key" else value


def _copy(row: Planted, document: Document, found: Mapping[str, Document], spec: Mapping[str, Any]) -> str | None:
    other = found.get(row.partner or "")
    if other is None:
        return "the build knows no document of its original's name"
    if document.dropped or other.dropped:
        return None
    if not searched(row.kind, spec):
        return f"datasets/{document.dataset}.yaml asks for no such step"
    alike, bound = jaccard(document.text, other.text), spec["duplicates"]["near"]
    if bound is not None and alike < bound:
        return f"resembles {other.doc} by {alike:.4f}, below the bound of {bound:g}"
    return f"resembles {other.doc} by {alike:.4f}, but both were kept"


def _mojibake(row: Planted, document: Document, spec: Mapping[str, Any]) -> str | None:
    clean, text = str(row.detail["clean"]), document.text
    if not document.doc.startswith("tickets:"):
        spelt, wanted = ({word for word in WORD.findall(part) if not word.isascii()} for part in (text, clean))
        return None if spelt and spelt <= wanted else f"{len(spelt - wanted)} words are not spelt as they were"
    form = spec["normalise"]["unicode"]
    wanted_text = str(normalise([clean], mojibake=False, unicode=form)["text"][0])
    if text == wanted_text:
        return None
    at = next((i for i, (a, b) in enumerate(zip(text, wanted_text, strict=False)) if a != b), min(len(text), len(wanted_text)))
    return (
        f"{'repaired' if document.repaired else 'left as it was'}: differs from character {at + 1} on ({row.detail['variant']})"
    )


def _personal(row: Planted, document: Document, spec: Mapping[str, Any]) -> str | None:
    shape = row.detail["format"]
    places = _places(row, document)
    if left_out(row.kind, spec) and not places:
        return None
    if not searched(row.kind, spec):
        return f"datasets/{document.dataset}.yaml asks for no such step"
    if not places:
        return f"written as: {shape}; it does not stand in what was searched"
    for column, start, end in places:
        reason = _uncovered(row, document, column, start, end)
        if reason:
            return f"written as: {shape}{reason}"
    return None


def _uncovered(row: Planted, document: Document, column: str, start: int, end: int) -> str | None:
    """What is left of a value at one place; None where findings of its kind cover every letter and digit."""
    text = document.text if column == "text" else document.cells[column]
    spans = [(f.start, f.end) for f in document.findings if f.kind == FOUND_AS[row.kind] and f.column == column]
    signs = [i for i in range(start, end) if text[i].isalnum()]
    covered = sum(any(first <= i < last for first, last in spans) for i in signs)
    if covered == len(signs):
        return None
    if covered:
        return f"; only {covered} of {len(signs)} letters and digits were found"
    others = {f.kind for f in document.findings if f.column == column and f.start < end and start < f.end}
    return f"; taken for {', '.join(sorted(others))}" if others else "; not found"


def _places(row: Planted, document: Document) -> list[tuple[str, int, int]]:
    """Where the part of a value that must not be left stands: column, start, end."""
    value, part = str(row.detail["value"]).replace("\xa0", " "), core(row)
    texts = {"text": document.text, **document.cells}
    texts = {name: text for name, text in texts.items() if (name in HEAD_COLUMNS) == (row.kind == HEADS)}
    offset = value.rfind(part)
    return [
        (column, found.start() + offset, found.start() + offset + len(part))
        for column, text in texts.items()
        for found in re.finditer(re.escape(value), text)
    ]


def _unread(row: Planted, document: Document) -> str | None:
    if not document.dropped:
        return f"kept: {document.scores.get('words')} words"
    named = document.rule == OCR_RULE
    if document.step == "read" and named == (row.kind == "scan"):
        return None
    return f"dropped by {document.rule}, which does not say what is wrong"


def _kept(row: Planted, document: Document, spec: Mapping[str, Any]) -> str:
    scores, detail = document.scores, row.detail
    if not searched(row.kind, spec):
        return f"datasets/{document.dataset}.yaml has no bound that is after it"
    match row.kind:
        case "wrong_language":
            return f"{detail['language']} taken for {scores['language']}, certainty {scores['language_score']:.2f}"
        case "truncated":
            return f"incomplete_end is {scores['incomplete_end']:g} (cut at: {detail['variant']})"
        case "outlier":
            return f"{detail['column']} is {detail['value']:g} ({detail['how']})"
        case _:
            return f"{scores['words']} words, language {scores['language']} ({detail.get('variant', row.kind)})"
