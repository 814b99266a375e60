"""Copies of a ticket: the same text again, or nearly the same, with the exact resemblance of the two.

Resemblance is the Jaccard index of the sets of word 5-grams (Broder 1997): words are runs of letters, digits and
underscores, in lower case. Counted here in plain Python, apart from the product's own kernels, which it is to judge.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

from stellwerk.demo.phrases import fill, pick, read_wording
from stellwerk.demo.tickets import Ticket, templates

WORD = re.compile(r"\w+")
NEAR = 0.8
BELOW_LIMIT_SHARE = 0.2  # of the near copies, resembling 0.6 to 0.8


def five_grams(text: str) -> set[tuple[str, ...]]:
    """The set of word 5-grams of a text; of a text with fewer words the tuple of all its words."""
    words = WORD.findall(text.lower())
    if not words:
        return set()
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}


def jaccard(one: str, other: str) -> float:
    """Word 5-gram Jaccard index of two texts, 0 to 1; 1 for two texts without words."""
    a, b = five_grams(one), five_grams(other)
    return len(a & b) / len(a | b) if a or b else 1.0


def copy_exactly(rng: Random, copy: Ticket, original: Ticket) -> dict[str, Any]:
    """Give a ticket the words of another, perhaps with other white space or case.

    Args:
        rng: picks the variant
        copy: changed in place
        original: whose words it takes

    Returns:
        The variant (identical, white space, case) and the Jaccard index, which is 1.
    """
    _take_over(copy, original)
    variant = pick(rng, ["identical"] * 5 + ["white space"] * 3 + ["case"] * 2)
    if variant == "white space":
        copy.body = copy.body.replace(". ", ".  ").replace("\n\n", "\n \n") + "\n"
    elif variant == "case":
        copy.body = copy.body.lower()
    return {"variant": variant, "jaccard": round(jaccard(original.text, copy.text), 4)}


def copy_nearly(rng: Random, copy: Ticket, original: Ticket) -> dict[str, Any]:
    """Give a ticket nearly the words of another: words changed, a sentence added or exchanged.

    Four of five copies resemble the original at 0.8 or more, the others between 0.6 and 0.8.

    Args:
        rng: picks the edits
        copy: changed in place
        original: whose words it takes, 45 words or more

    Returns:
        The edits and the exact Jaccard index.
    """
    low, high = (0.6, NEAR) if rng.random() < BELOW_LIMIT_SHARE else (NEAR, 1.0)
    resemblance = 1.0
    edits: list[str] = []
    for _ in range(60):
        _take_over(copy, original)
        edits = []
        resemblance = 1.0
        for _ in range(8):
            edits.append(_edit(rng, copy))
            resemblance = jaccard(original.text, copy.text)
            if resemblance < high and (high == NEAR or rng.random() < 0.5):
                break
        if low <= resemblance < high:
            break
    return {"edits": edits, "jaccard": round(resemblance, 4)}


def _take_over(copy: Ticket, original: Ticket) -> None:
    for name in ("customer", "channel", "machine", "machine_hours", "amount_eur", "subject", "body"):
        setattr(copy, name, getattr(original, name))
    for name in ("language", "intent", "priority", "short", "slots"):
        setattr(copy, name, getattr(original, name))


def _edit(rng: Random, copy: Ticket) -> str:
    repeats = read_wording("planted")["repeats"][copy.language]
    lines = templates("planted")["repeats"][copy.language]
    paragraphs = copy.body.split("\n\n")
    longest = max(range(len(paragraphs)), key=lambda place: len(paragraphs[place]))
    edit = pick(rng, ["word"] * 4 + ["subject", "sentence before", "sentence after", "number"])
    if edit == "subject":
        copy.subject = f"{pick(rng, repeats['subject'])}: {copy.subject}"
    elif edit == "sentence before":
        paragraphs[longest] = fill(pick(rng, lines["before"]), rng, {}) + " " + paragraphs[longest]
    elif edit == "sentence after":
        paragraphs[-1] += "\n" + fill(pick(rng, lines["after"]), rng, {})
    else:
        words = paragraphs[longest].split(" ")
        digits = [place for place, word in enumerate(words) if word.strip(".,").isdigit()]
        if edit == "number" and digits:
            words[pick(rng, digits)] = str(10 + int(rng.random() * 90))
        else:
            edit = "word"
            words[int(rng.random() * len(words))] = pick(rng, repeats["words"])
        paragraphs[longest] = " ".join(words)
    copy.body = "\n\n".join(paragraphs)
    return edit
