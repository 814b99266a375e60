"""The ledger: for each input document what became of it, by which step, rule, value and bound. Its counts add up exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from stellwerk.jobs.data.merge import NO_KEY, SUPERSEDED
from stellwerk.jobs.data.personal_columns import scan_column
from stellwerk.jobs.data.reports import Dropped, Tally
from stellwerk.text import personal as personal_data

EDITS = ("mojibake", "controls", "spaces", "unicode")
SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("doc_id", "source", "origin", "decision", "step", "rule", "value", "bound", "details", "split")
    ]
)


def decided(
    documents: pa.Table,
    normalised: pa.Table,
    personal: pa.Table,
    bounds: pa.Table,
    copies: pa.Table,
    *,
    near: float | None,
    action: str,
    split: dict[str, Any],
) -> pa.Table:
    """Kernel: the ledger's rows of a shard."""
    edits = _edits(normalised, personal, action)
    kinds, kept = copies["kind"].to_pylist(), copies["kept"].to_pylist()
    jaccards, clusters = copies["jaccard"].to_pylist(), copies["cluster"].to_pylist()
    failed = _untold(bounds, personal).to_pylist() if action != "keep" else bounds.to_pylist()
    rows: dict[str, list[str | None]] = {name: [] for name in SCHEMA.names}
    for row, name in enumerate(documents["doc_id"].to_pylist()):
        rule, details, part = failed[row], {}, None
        if rule["rule"] is None and kinds[row] != "none":
            rule = {
                "step": "duplicates",
                "rule": f"{kinds[row]}_duplicate",
                "value": f"{jaccards[row]:.4f}",
                "bound": f"Jaccard < {near:g}" if kinds[row] == "near" else "no equal text before it",
            }
            details = {"kept": kept[row], "jaccard": round(jaccards[row], 4)}
        elif rule["rule"] is None:
            part = part_of(clusters[row], split)
            rule = {"step": None, "rule": ", ".join(edits[row]) or None, "value": None, "bound": None}
        decision = "dropped" if part is None else "changed" if rule["rule"] else "kept"
        if decision == "changed":
            rule["step"] = "personal" if any(edit.startswith("mask:") for edit in edits[row]) else "normalise"
        rows["doc_id"].append(name)
        rows["decision"].append(decision)
        rows["details"].append(json.dumps(details) if details else None)
        rows["split"].append(part)
        for field in ("step", "rule", "value", "bound"):
            rows[field].append(rule[field])
    rows["source"] = documents["source"].to_pylist()
    rows["origin"] = documents["origin"].to_pylist()
    return pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()}, schema=SCHEMA)


def lost_rows(source: str, lost: pa.Table) -> pa.Table:
    """The ledger's rows of what could not be read, or was replaced while a source was loaded."""
    n = lost.num_rows
    loaded = pc.is_in(lost["rule"], value_set=pa.array([NO_KEY, SUPERSEDED]))
    columns = {
        "doc_id": pc.binary_join_element_wise(source, lost["origin"].cast(pa.string()), ":"),
        "source": pa.array([source] * n, pa.string()),
        "origin": lost["origin"],
        "decision": pa.array(["dropped"] * n, pa.string()),
        "step": pc.if_else(loaded, "load", "read"),
        "rule": lost["rule"],
        "value": pa.nulls(n, pa.string()),
        "bound": pa.nulls(n, pa.string()),
        "details": pa.array([json.dumps({"reason": reason}) for reason in lost["reason"].to_pylist()], pa.string()),
        "split": pa.nulls(n, pa.string()),
    }
    return pa.table(columns).cast(SCHEMA)


def part_of(cluster: str, split: dict[str, Any]) -> str:
    """The part of a document: by the hash of its cluster, so that copies never part and new documents move no old one."""
    import hashlib

    number = int.from_bytes(hashlib.sha256(f"{split['seed']}:{cluster}".encode()).digest()[:8]) / 2**64
    if number < split["train"]:
        return "train"
    return "validation" if number < split["train"] + split["validation"] else "test"


def tally(paths: Sequence[Path]) -> Tally:
    """Count a ledger, which lies in Parquet files.

    Raises:
        AssertionError: the counts do not add up, which would be a fault of the build.
    """
    table = as_dataset(paths).to_table(columns=["source", "decision", "step", "rule", "split"])
    read = table.num_rows
    decisions = _counts(table["decision"])
    dropped = table.filter(pc.equal(table["decision"], "dropped"))
    pairs = dropped.group_by(["step", "rule"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
    rules = [Dropped(step=p["step"], rule=p["rule"], documents=p["count_all"], share=p["count_all"] / read) for p in pairs]
    kept, changed = decisions.get("kept", 0), decisions.get("changed", 0)
    assert read == kept + changed + dropped.num_rows == kept + changed + sum(rule.documents for rule in rules)
    edits = table.filter(pc.equal(table["decision"], "changed"))["rule"]
    lists = pc.list_flatten(pc.split_pattern(edits, ", ")) if len(edits) else pa.chunked_array([], pa.string())
    sources = table.group_by(["source", "decision"]).aggregate([([], "count_all")]).to_pylist()
    by_source: dict[str, dict[str, int]] = {}
    for entry in sorted(sources, key=lambda entry: (entry["source"], entry["decision"])):
        by_source.setdefault(entry["source"], {})[entry["decision"]] = entry["count_all"]
    return Tally(
        read=read,
        kept=kept,
        changed=changed,
        dropped=dropped.num_rows,
        rules=sorted(rules, key=lambda rule: (-rule.documents, rule.rule)),
        edits=_counts(lists),
        splits={name: n for name, n in _counts(table["split"]).items() if name is not None},
        sources=by_source,
    )


def as_dataset(paths: Iterable[Path]) -> pds.Dataset:
    """Ledger shards as one table that is read in pieces."""
    return pds.dataset([str(path) for path in paths], schema=SCHEMA, format="parquet")


def _edits(normalised: pa.Table, personal: pa.Table, action: str) -> list[list[str]]:
    """What was done to each document that stays."""
    found: list[list[str]] = [[] for _ in range(normalised.num_rows)]
    for name in EDITS:
        for row in np_nonzero(normalised[name]):
            found[row].append(name)
    if action == "mask":
        for row, kind in zip(personal["row"].to_pylist(), personal["kind"].to_pylist(), strict=True):
            if f"mask:{kind}" not in found[row]:
                found[row].append(f"mask:{kind}")
    return found


def _untold(bounds: pa.Table, personal: pa.Table) -> pa.Table:
    """What failed its bound, without the personal data that were in the value or stand in the bound."""
    places = zip(*(personal[name].to_pylist() for name in ("row", "column", "kind")), strict=True)
    kinds = {(row, column): f"[{kind}]" for row, column, kind in places}
    rules, values = bounds["rule"].to_pylist(), bounds["value"].to_pylist()
    columns = [(rule or "").removeprefix("outlier:") for rule in rules]
    told = [kinds.get((row, column), value) for row, (column, value) in enumerate(zip(columns, values, strict=True))]
    asked = bounds["bound"].to_pylist()
    masked = {bound: _bound(bound) for bound in set(asked) if bound is not None}
    fields = {"value": told, "bound": [masked.get(bound) for bound in asked]}
    return pa.table(
        {name: pa.array(fields[name], pa.string()) if name in fields else bounds[name] for name in bounds.column_names}
    )


def _bound(text: str) -> str:
    """A bound in words, `COLUMN in A, B` or `COLUMN not in A, B`, with personal data in its values masked."""
    head, word, listed = text.partition(" in ")
    if not word:
        return text
    values = pa.array(listed.split(", "), pa.large_string())
    found = scan_column(head.removesuffix(" not"), values, list(personal_data.KINDS))
    return f"{head}{word}{', '.join(personal_data.mask(values, found).to_pylist())}"


def np_nonzero(column: pa.ChunkedArray) -> list[int]:
    """The rows whose value is not zero."""
    return list(pc.indices_nonzero(column).to_pylist())


def _counts(column: pa.ChunkedArray) -> dict[Any, int]:
    pairs = pc.value_counts(column).to_pylist()
    return {pair["values"]: pair["counts"] for pair in sorted(pairs, key=lambda pair: (-pair["counts"], str(pair["values"])))}
