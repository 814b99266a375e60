"""A first look at any file, without a spec: how it reads, what its columns hold, which personal data, how many copies.

Changes nothing. Looks at the beginning of a large file, and says so.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from stellwerk.errors import UserError
from stellwerk.jobs.data.digest import schema_of
from stellwerk.jobs.data.files import infer
from stellwerk.jobs.data.files.reading import ReadOptions, Unreadable, read
from stellwerk.jobs.data.files.schema import cast, facts_of, settle, unify
from stellwerk.jobs.data.files.shapes import DOCUMENTS as OFFICE
from stellwerk.jobs.data.files.shapes import Facts
from stellwerk.jobs.data.personal_columns import scan_column, searchable
from stellwerk.jobs.data.reports import TriedColumn, TryReport
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.text import clusters, duplicates, language, normalise, personal, quality
from stellwerk.workspace import NAME, STATE, write_text

MOST_ROWS = 100_000
MOST_BYTES = 64 * 2**20
DOCUMENTS = ("md", "txt", "html", "eml", *OFFICE)
NEAR = 0.8


def try_file(path: Path, name: str, pattern: str) -> TryReport:
    """Profile and scan a file.

    Args:
        path: the file.
        name: of the dataset that it may become.
        pattern: how a spec would name the file.

    Raises:
        UserError: the file cannot be read at all; the sentence says why and what to do.
    """
    tables, unreadable, whole = _beginning(path)
    if not tables:
        raise UserError(unreadable[0].reason if unreadable else f"{path} holds no rows")
    facts = facts_of(tables[-1])
    schema = settle(unify([table.schema for table in tables]))
    table = pa.concat_tables([cast(table, schema) for table in tables])
    table = infer.apply_types(table, infer.infer_types(infer.collect([table]))).replace_schema_metadata(None)
    found = {
        field.name: scan_column(field.name, table[field.name], list(personal.KINDS))
        for field in table.schema
        if field.name != "origin" and searchable(field.type)
    }
    text = _text_column(table)
    key = _key_column(table, text)
    return TryReport(
        file=str(path),
        format=f"{facts.format}, {facts.compression}" if facts.compression else facts.format,
        read=_how(facts),
        rows=table.num_rows,
        part=None if whole else f"the first {table.num_rows:,} rows; a build reads all",
        unreadable=_first_reasons(unreadable),
        columns=[_column(table, column, found.get(column)) for column in table.column_names if column != "origin"],
        text=text,
        key=key,
        **(_of_texts(table[text]) if text else {}),
        not_searched=list(personal.NOT_SEARCHED),
        examples=_examples(table[text], found[text]) if text else [],
        spec=_spec(pattern, facts, text, key),
        next=[f"stellwerk data try {path} --save", f"stellwerk data build {name}"],
    )  # fmt: skip


def name_for(path: Path) -> str:
    """A name for a dataset, from the name of a file."""
    name = re.sub(r"[^\w-]+", "_", path.name.split(".")[0]).strip("_-")
    return name or "dataset"


def save(root: Path, name: str, spec: str) -> str:
    """Write a spec file; returns its place below the workspace.

    Raises:
        UserError: there is one of that name.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a spec; use letters, digits, - and _")
    place = root / "datasets" / f"{name}.yaml"
    if place.exists():
        raise UserError(f"datasets/{name}.yaml is already there; give another --name, or remove it first")
    place.parent.mkdir(exist_ok=True)
    schema = root / STATE / "dataset.schema.json"
    write_text(schema, json.dumps(DatasetSpec.model_json_schema(), indent=2))
    write_text(place, f"# yaml-language-server: $schema=../{STATE}/{schema.name}\n{spec}")
    return f"datasets/{name}.yaml"


def bring_in(root: Path, file: Path) -> None:
    """Put a file that was sent into the workspace's folder raw/.

    Raises:
        UserError: there is another one of that name.
    """
    place = root / "raw" / file.name
    if place.exists():
        if not filecmp.cmp(file, place, shallow=False):
            raise UserError(f"raw/{file.name} is already there and is another file; send this one under another name")
        return
    place.parent.mkdir(exist_ok=True)
    partial = place.with_name(f".{file.name}.{os.getpid()}")
    shutil.copyfile(file, partial)
    partial.replace(place)


def _beginning(path: Path) -> tuple[list[pa.Table], list[Unreadable], bool]:
    tables: list[pa.Table] = []
    unreadable: list[Unreadable] = []
    for piece in read(path, path.name, ReadOptions()):
        if isinstance(piece, Unreadable):
            unreadable.append(piece)
            continue
        tables.append(piece)
        rows, size = sum(t.num_rows for t in tables), sum(t.nbytes for t in tables)
        if rows > MOST_ROWS or size > MOST_BYTES:
            return tables, unreadable, False
    return tables, unreadable, True


def _first_reasons(unreadable: list[Unreadable]) -> list[str]:
    rest = len(unreadable) - 5
    return [entry.reason for entry in unreadable[:5]] + ([f"and {rest:,} more"] if rest > 0 else [])


def _texts(table: pa.Table) -> list[str]:
    return [
        field.name for field in table.schema if field.name != "origin" and schema_of(pa.schema([field]))[field.name] == "string"
    ]


def _text_column(table: pa.Table) -> str | None:
    """The column called text, else the one with the longest texts, if they are more than a few words."""
    names = _texts(table)
    if "text" in names:
        return "text"
    lengths = {name: pc.mean(pc.utf8_length(table[name])).as_py() or 0 for name in names}
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    return longest if longest is not None and lengths[longest] >= 30 else None


def _key_column(table: pa.Table, text: str | None) -> str | None:
    """The first column whose values are all there and all different, one with "id" in its name first."""
    names = [name for name in table.column_names if name not in ("origin", text)]
    for name in sorted(names, key=lambda name: "id" not in name.lower().replace("-", "_").split("_")):
        column = table[name]
        names_rows = not pa.types.is_floating(column.type) and not column.null_count and table.num_rows > 1
        if names_rows and pc.count_distinct(column).as_py() == table.num_rows:
            return str(name)
    return None


def _column(table: pa.Table, name: str, found: pa.Table | None) -> TriedColumn:
    column = table[name]
    counts = pc.value_counts(found["kind"]).to_pylist() if found is not None else []
    return TriedColumn(
        column=name,
        type=schema_of(pa.schema([table.schema.field(name)]))[name],
        missing=column.null_count,
        distinct=pc.count_distinct(column, mode="only_valid").as_py(),
        personal_data={pair["values"]: pair["counts"] for pair in counts},
    )


def _of_texts(column: pa.ChunkedArray) -> dict[str, Any]:
    """What can be said of a column of texts."""
    clean = normalise.normalise(column)
    texts = clean["text"]
    codes = pc.value_counts(language.detect(texts, ["de", "en"])["language"]).to_pylist()
    words = quality.scores(texts)["words"].to_numpy()
    low, middle, high = np.percentile(words, [5, 50, 95]) if len(words) else (0, 0, 0)
    exact, near = _copies(texts)
    damaged = int(np.count_nonzero(clean["mojibake"].to_numpy()))
    lost = int(np.count_nonzero(clean["replacement"].to_numpy()))
    return {
        "languages": {pair["values"]: pair["counts"] for pair in sorted(codes, key=lambda pair: -pair["counts"])},
        "words": f"{low:.0f}, {middle:.0f}, {high:.0f}",
        "copies": f"{exact:,} exact, {near:,} near (Jaccard at least {NEAR})",
        "damage": f"{damaged:,} texts in the wrong encoding (repairable), {lost:,} with characters that are lost",
    }


def _copies(texts: pa.ChunkedArray) -> tuple[int, int]:
    signatures = duplicates.signatures(texts)
    filled = pc.greater(pc.utf8_length(texts), 0).to_numpy()
    n = len(filled)
    groups = clusters.exact_groups(signatures["exact"])
    groups = np.where(filled, groups, np.arange(n))
    there = np.flatnonzero(signatures["bands"].is_valid().to_numpy() & (groups == np.arange(n)))
    bands = signatures["bands"].combine_chunks().take(pa.array(there))
    size = duplicates.BANDS
    pairs = duplicates.candidate_pairs(np.repeat(there, size), np.tile(np.arange(size), len(there)), bands.flatten().to_numpy())
    wanted = np.unique(pairs)
    sets = duplicates.shingle_sets(texts.take(pa.array(wanted)))
    jaccards = duplicates.verify(np.searchsorted(wanted, pairs), sets)
    lengths = pc.utf8_length(texts).to_numpy()
    kinds = clusters.resolve(n, groups, pairs, jaccards, lengths, NEAR)["kind"].to_pylist()
    return kinds.count("exact"), kinds.count("near")


def _examples(column: pa.ChunkedArray, found: pa.Table) -> list[str]:
    few = column.slice(0, 3).combine_chunks()
    masked = personal.mask(few, found.filter(pc.less(found["row"], len(few)))).to_pylist()
    return [f"{text[:160]}…" if len(text) > 160 else text for text in masked if text]


def _how(facts: Facts) -> str:
    parts = [facts.encoding, f"separator {facts.separator!r}" if facts.separator else None, *facts.notes]
    return "; ".join(part for part in parts if part) or "as its format says"


def _spec(pattern: str, facts: Facts, text: str | None, key: str | None) -> str:
    """A spec file to begin with; what is not known stands in it as a comment."""
    source: dict[str, Any] = {"name": "main", "files": pattern}
    if facts.format == "csv":
        # A guessed mixture of encodings is best guessed again for each line.
        encoding = facts.encoding if " and " not in (facts.encoding or "") else None
        how = {"separator": "tab" if facts.separator == "\t" else facts.separator, "encoding": encoding}
        source["csv"] = {name: value for name, value in how.items() if value}
    if key:
        source["key"] = key
    if text and facts.format not in DOCUMENTS:
        source["text"] = text
    body: dict[str, Any] = {"sources": [source]}
    if text:
        body |= {"languages": ["de", "en"], "select": {"words": {"min": 3}}}
    head = "# Written by: stellwerk data try. What it is for, whose it is and what you may do with it, only you know:\n"
    head += "# purpose:\n# owner:\n# licence:\n# legal_basis:\n"
    return head + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)
