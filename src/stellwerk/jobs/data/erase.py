"""Logical erasure: documents leave the dataset, and everything that was made from them is marked.

A tombstone is a keyed hash of a document's id: it keeps the document out of later builds and tells nobody who it was. Old
versions still hold the bytes until the physical erasure; from now on they are tainted, and so is all that was made from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.errors import UserError
from stellwerk.jobs.data import build, ledger, shards, sql, tombstones, versions
from stellwerk.jobs.data.reports import Erasure, Tally
from stellwerk.jobs.data.write import finished, write_table
from stellwerk.record import lineage, tables

if TYPE_CHECKING:
    from stellwerk.record.record import Transaction, Version
    from stellwerk.run import Run


def erase(run: Run, dataset: str, where: str, reason: str) -> Erasure:
    """Erase the documents of a dataset for which a condition holds.

    Args:
        run: the run at work.
        dataset: its name.
        where: an SQL condition on the columns of the documents as they were read.
        reason: why, without naming the person.

    Raises:
        UserError: the condition is not valid, or no document meets it.
    """
    version = run.input(dataset, "dataset")
    names = matching(run, version, where)
    if not names:
        raise UserError(f"no document of {version.ref} meets the condition; nothing was erased")
    tainted = _tainted(run, version.name, set(names))
    outcome = run.step(
        "erase",
        remove,
        inputs=[version],
        version=version.id,
        tokens=sorted(tombstones.token(run, version.name, name) for name in names),
        tainted=sorted(tainted),
        reason=reason,
    )
    made = run.version(outcome["version"])
    return Erasure(
        dataset=made.ref,
        erased=len(names),
        tainted=sorted(ref for key, ref in tainted.items() if key != made.id),
        still_held=f"the bytes of older versions and of the files of the sources: {', '.join(_files(run, version))}",
    )


def matching(run: Run, version: Version, where: str) -> list[str]:
    """The ids of the documents, kept or dropped, that meet a condition."""
    documents = versions.part(run.store, version, "documents")
    found = sql.to_arrow({"documents": documents}, f"SELECT doc_id FROM documents WHERE ({where}\n)")  # noqa: S608
    return [str(name) for name in found.read_all()["doc_id"].to_pylist()]


def remove(run: Run, *, version: str, tokens: list[str], tainted: list[str], reason: str) -> dict[str, str]:
    """Step: write the version without the documents, their tombstones, and the mark on all that was made from them."""
    old = run.version(version)
    wanted = set(tokens)
    parts: dict[str, list[str]] = {part: [] for part in (*versions.ALIGNED, "personal")}
    kept, stones = [], []
    for number, shard in enumerate(old.content["documents"]):
        names = shards.columns(run.store.path(shard), "doc_id")["doc_id"].to_pylist()
        there = np.array(tombstones.staying(run, old.name, shard, wanted), np.bool_)
        gone = {name for name, stays in zip(names, there, strict=True) if not stays}
        left = {part: read_shard(run.store.path(old.content[part][number])) for part in versions.ALIGNED}
        stones.append(tombstones.stones_of(left["ledger"]["source"].filter(pa.array(~there))))
        left = {part: _nameless(table.filter(pa.array(there)), gone) for part, table in left.items()}
        left["personal"] = _moved(read_shard(run.store.path(old.content["personal"][number])), there)
        kept.append(write_shard(run.store, finished(**left, action=old.facts["spec"]["personal"]["action"])))
        for part, table in left.items():
            parts[part].append(write_shard(run.store, table))
    rest = old.content["ledger"][len(old.content["documents"]) :]
    parts["ledger"] += [*rest, write_shard(run.store, pa.concat_tables(stones))]
    reference, schema, digest, rows = write_table(run.store, kept, old.name)
    tally = ledger.tally([run.store.path(shard) for shard in parts["ledger"]])
    personal = {**old.facts["personal"], **build.count_personal(run, parts["personal"])}
    made = run.output(
        "dataset",
        old.name,
        identity={"schema": schema, "rows": digest},
        content={"table": reference, **parts},
        facts={**old.facts, "rows": rows, "counts": tally.model_dump(), "personal": personal},
    )
    _note(run, old, made, tokens, tainted, reason, tally)
    return {"version": made}


def _note(run: Run, version: Version, made: str, tokens: list[str], tainted: list[str], reason: str, tally: Tally) -> None:
    def write(transaction: Transaction) -> None:
        row = transaction.insert(
            tables.erasure, run=run.id, version=version.id, rows=len(tokens), reason=reason, created=transaction.at
        )
        for token in tokens:
            transaction.insert(tables.tombstone, erasure=row["id"], token=token)
        for key in tainted:
            if key != made:
                transaction.update(tables.version, key, tainted=row["id"])

    run.write(write)
    run.measure("erased_documents", len(tokens), n=tally.read, unit="documents")


def _tainted(run: Run, name: str, documents: set[str]) -> dict[str, str]:
    """The versions that hold any of the documents, and what was made from these: id to reference.

    Versions of the same dataset are looked into, since one may descend from another that held them and hold them no more.
    """
    siblings = run.record.versions(tables.asset.c.kind == "dataset", tables.asset.c.name == name)
    found = {version.id: version.ref for version in siblings if _holds(run, version, documents)}
    looked_into, frontier = {version.id for version in siblings}, set(found)
    while frontier:
        below = set().union(*lineage.neighbours(run.record, frontier, "down").values()) - looked_into - found.keys()
        found.update({version.id: version.ref for version in run.record.versions(tables.version.c.id.in_(below))})
        frontier = below
    return found


def _holds(run: Run, version: Version, names: set[str]) -> bool:
    """Whether any of the documents was read for a version."""
    values = pa.array(sorted(names), pa.string())
    for shard in version.content["documents"]:
        if run.store.has(shard) and pc.any(pc.is_in(read_shard(run.store.path(shard))["doc_id"], value_set=values)).as_py():
            return True
    return False


def _nameless(table: pa.Table, gone: set[str]) -> pa.Table:
    """A copy or a cluster may be named after a document that is gone."""
    for name in ("kept", "cluster"):
        if name in table.column_names and gone:
            column = table[name]
            named = pc.is_in(column, value_set=pa.array(sorted(gone), column.type))
            table = table.set_column(table.schema.get_field_index(name), name, pc.if_else(named, tombstones.GONE, column))
    if "details" in table.column_names and gone:
        texts = [
            None if text is None or any(f'"{name}"' in text for name in gone) else text for text in table["details"].to_pylist()
        ]
        table = table.set_column(table.schema.get_field_index("details"), "details", pa.array(texts, pa.string()))
    return table


def _moved(personal: pa.Table, there: Any) -> pa.Table:
    """Findings of the documents that stay, by their new rows."""
    rows = personal["row"].to_numpy()
    stays = there[rows] if len(rows) else np.zeros(0, np.bool_)
    moved = (np.cumsum(there) - 1)[rows[stays]].astype(np.int64)
    place = personal.schema.get_field_index("row")
    return personal.filter(pa.array(stays)).set_column(place, "row", pa.array(moved))


def _files(run: Run, version: Version) -> list[str]:
    sources = [other for _, other in lineage.walk(run.record, version, "up") if other.kind == "source"]
    return sorted({file["name"] for source in sources for file in source.facts["made_from"]["files"]})[:5]
