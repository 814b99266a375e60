"""Logical erasure: documents leave the dataset, and everything that was made from them is marked.

An erasure concerns a dataset as a whole: every version is searched, those that hold the documents are tainted with all that was
made from them, and the latest version is followed by one without them if it held any. Tombstones keep them out of later builds.
Old versions still hold the bytes until the physical erasure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data import build, ledger, sql, states, tombstones, versions
from stellwerk.jobs.data.reports import Erasure
from stellwerk.jobs.data.write import finished, write_table
from stellwerk.record import lineage, tables

if TYPE_CHECKING:
    from stellwerk.record.record import Transaction, Version
    from stellwerk.run import Run


@dataclass(frozen=True)
class Found:
    """Where the documents of an erasure are.

    Attributes:
        searched: the versions of the dataset.
        skipped: for a version that has not the columns of the condition, why it was not searched.
        tokens: the tombstones of the documents.
        rows: how many documents they stand for; equal ones without a key share one.
        holders: ids of the versions that hold any of them.
    """

    searched: list[Version]
    skipped: dict[str, str]
    tokens: set[str]
    rows: int
    holders: list[str]


def erase(run: Run, dataset: str, where: str, reason: str) -> Erasure:
    """Erase the documents of a dataset for which a condition holds.

    Args:
        run: the run at work.
        dataset: its name; a version that it may name makes no difference.
        where: an SQL condition on the columns of the documents as they were read.
        reason: why, without naming the person.

    Raises:
        UserError: the condition is not valid, or no document meets it.
    """
    name = run.input(dataset, "dataset").name
    latest = run.record.resolve(f"dataset/{name}")
    done = run.record.rows(tables.erasure, tables.erasure.c.run == run.id)  # by this run, before it was resumed
    skipped: dict[str, str] = {}
    if not done:
        found = search(run, name, latest, where)
        skipped = found.skipped
        held = latest.id in found.holders
        run.step(
            "erase",
            remove if held else mark,
            inputs=[latest],
            version=latest.id,
            tokens=sorted(found.tokens),
            rows=found.rows,
            searched=[version.id for version in found.searched],
            holders=found.holders,
            reason=reason,
        )
        done = run.record.rows(tables.erasure, tables.erasure.c.run == run.id)
    return _report(run, done[0], skipped)


def search(run: Run, name: str, latest: Version, where: str) -> Found:
    """Find the documents that meet a condition in any version of a dataset, and all versions that hold them.

    Raises:
        UserError: the condition fits no version, no document meets it, or all were erased before.
    """
    siblings = [version for version in _siblings(run, name) if not any(run.store.missing(version.content["documents"]))]
    skipped: dict[str, str] = {}
    tokens: set[str] = set()
    shards = {shard for version in siblings for shard in version.content["documents"]}
    repeated = set().union(*(tombstones.repeated_in(run, shard) for shard in sorted(shards)))
    for version in siblings:
        why = _unfit(run, version, where)
        if why is not None:
            skipped[version.ref] = why
            continue
        names = set(matching(run, version, where))
        for shard in version.content["documents"] if names else ():
            tokens |= tombstones.made_for(run, name, shard, names, repeated)
    if len(skipped) == len(siblings):
        raise UserError(skipped.get(latest.ref) or f"dataset/{name}: no version has its documents any more; nothing was erased")
    if not tokens:
        raise UserError(f"no document of dataset/{name} meets the condition, in no version; nothing was erased")
    held = {shard: Counter(filter(None, tombstones.met(run, name, shard, tokens))) for shard in sorted(shards)}
    most: Counter[str] = Counter()
    holders = []
    for version in siblings:
        counts = sum((held[shard] for shard in version.content["documents"]), Counter[str]())
        most |= counts
        if counts:
            holders.append(version)
    if tokens <= set(tombstones.read_tokens(run, name)) and all(v.tainted and v.id != latest.id for v in holders):
        raise UserError(f"the documents of dataset/{name} that meet the condition were erased before; nothing is left to do")
    return Found(_siblings(run, name), skipped, tokens, most.total(), [version.id for version in holders])


def matching(run: Run, version: Version, where: str) -> list[str]:
    """The ids of the documents, kept or dropped, that meet a condition."""
    documents = versions.part(run.store, version, "documents")
    return [str(name) for name in sql.to_arrow({"documents": documents}, _query(where)).read_all()["doc_id"].to_pylist()]


def remove(
    run: Run, *, version: str, tokens: list[str], rows: int, searched: list[str], holders: list[str], reason: str
) -> dict[str, str | None]:
    """Step: write the version without the documents, their tombstones, and the mark on all that was made from them."""
    old = run.version(version)
    parts = _without(run, old, set(tokens))
    kept = parts.pop("finished")
    reference, schema, digest, n = write_table(run.store, kept, old.name)
    tally = ledger.tally(run.store.paths(parts["ledger"]))
    personal = {**old.facts["personal"], **build.count_personal(run, parts["personal"])}
    languages = build.count_languages(run, kept)
    made = run.output(
        "dataset",
        old.name,
        identity={"schema": schema, "rows": digest},
        content={"table": reference, **parts},
        facts={**old.facts, "rows": n, "counts": tally.model_dump(), "languages": languages, "personal": personal},
    )
    _note(run, old, made, set(tokens), rows, searched, holders, reason)
    run.measure("erased_documents", rows, n=tally.read, unit="documents")
    return {"version": made}


def mark(
    run: Run, *, version: str, tokens: list[str], rows: int, searched: list[str], holders: list[str], reason: str
) -> dict[str, str | None]:
    """Step: the same where the latest version holds none of the documents, so that it stays the latest."""
    _note(run, run.version(version), None, set(tokens), rows, searched, holders, reason)
    return {"version": None}


def _without(run: Run, old: Version, tokens: set[str]) -> dict[str, list[str]]:
    """The shards of a version without documents, by part, and those of its table as `finished`."""
    shards = old.content["documents"]
    there = [np.array(tombstones.staying(run, old.name, shard, tokens), np.bool_) for shard in shards]
    names = _names_after(run, old, there)
    parts: dict[str, list[str]] = {part: [] for part in (*versions.ALIGNED, "personal", "finished")}
    stones = []
    for number, stay in enumerate(there):
        left = {part: read_shard(run.store.path(old.content[part][number])) for part in versions.ALIGNED}
        stones.append(tombstones.stones_of(left["ledger"]["source"].filter(pa.array(~stay))))
        left = {part: table.filter(pa.array(stay)) for part, table in left.items()}
        left["copies"] = _renamed(left["copies"], names)
        left["ledger"] = _nameless(left["ledger"], names.keys())
        left["personal"] = _moved(read_shard(run.store.path(old.content["personal"][number])), stay)
        parts["finished"].append(write_shard(run.store, finished(**left, action=old.facts["spec"]["personal"]["action"])))
        for part, table in left.items():
            parts[part].append(write_shard(run.store, table))
    parts["ledger"] += [*old.content["ledger"][len(shards) :], write_shard(run.store, pa.concat_tables(stones))]
    return parts


def _names_after(run: Run, old: Version, there: Sequence[Any]) -> dict[str, str]:
    """For each document that goes, the name that its cluster has now: the first document of it that stays."""
    gone: dict[str, str] = {}
    first: dict[str, str] = {}
    for number, stay in enumerate(there):
        names = read_shard(run.store.path(old.content["documents"][number]))["doc_id"].to_pylist()
        clusters = read_shard(run.store.path(old.content["copies"][number]))["cluster"].to_pylist()
        for name, cluster, stays in zip(names, clusters, stay.tolist(), strict=True):
            if stays:
                first.setdefault(cluster, name)
            else:
                gone[name] = tombstones.GONE
    return {name: first.get(name, tombstones.GONE) for name in gone}


def _note(
    run: Run,
    latest: Version,
    made: str | None,
    tokens: set[str],
    rows: int,
    searched: Sequence[str],
    holders: Sequence[str],
    reason: str,
) -> None:
    def write(transaction: Transaction) -> None:
        known = set(tombstones.tokens_of(transaction.connection, latest.name))
        row = transaction.insert(
            tables.erasure, run=run.id, version=latest.id, rows=rows, reason=reason, created=transaction.at
        )
        for token in sorted(tokens - known):
            transaction.insert(tables.tombstone, erasure=row["id"], token=token)
        # Nobody else writes now, so what another connection reads is how the record stands before this transaction.
        now = run.record.resolve(f"dataset/{latest.name}")
        if now.id != latest.id or [version.id for version in _siblings(run, latest.name)] != list(searched):
            raise StellwerkError(f"dataset/{latest.name}: a build came in between; start the command again")
        for key in sorted({*holders, *_descendants(run, holders, set(searched))} - {made}):
            transaction.update(tables.version, key, tainted=row["id"])

    run.write(write)


def _report(run: Run, erasure: dict[str, Any], skipped: dict[str, str]) -> Erasure:
    before = run.version(erasure["version"])
    made = next((version for version in run.latest_outputs() if version.kind == "dataset"), None)
    message = f"no new version was made, since {before.ref}, the latest, holds none of them"
    if made:
        message = f"{before.ref} held them, {made.ref} is without them"
    return Erasure(
        dataset=(made or before).ref,
        message=message,
        erased=erasure["rows"],
        tainted=sorted(version.ref for version in run.record.versions(tables.version.c.tainted == erasure["id"])),
        not_searched=[f"{ref}: {why}" for ref, why in skipped.items()],
        still_held=f"the bytes of older versions and of the files of the sources: {', '.join(_files(run, before))}",
    )


def _siblings(run: Run, name: str) -> list[Version]:
    return run.record.versions(tables.asset.c.kind == "dataset", tables.asset.c.name == name)


def _descendants(run: Run, holders: Sequence[str], siblings: set[str]) -> set[str]:
    """What was made from versions that hold the documents.

    Other versions of the same dataset were looked into: one may descend from another that held them and hold them no more.
    """
    found: set[str] = set()
    frontier = set(holders)
    while frontier:
        frontier = set().union(*lineage.neighbours(run.record, frontier, "down").values()) - siblings - found
        found |= frontier
    return found


def _unfit(run: Run, version: Version, where: str) -> str | None:
    """Why a condition does not fit the columns of a version; what goes wrong on its rows is another matter."""
    schema = versions.part(run.store, version, "documents").schema
    try:
        sql.to_arrow({"documents": schema.empty_table()}, _query(where)).close()
    except UserError as error:
        return str(error)
    return None


def _query(where: str) -> str:
    return f"SELECT doc_id FROM documents WHERE ({where}\n)"  # noqa: S608


def _renamed(copies: pa.Table, names: dict[str, str]) -> pa.Table:
    """A copy or a cluster may be named after a document that is gone; a cluster gets the name of its next document."""
    if not names:
        return copies
    for name, after in (("kept", dict.fromkeys(names, tombstones.GONE)), ("cluster", names)):
        column = copies[name]
        at = pc.index_in(column, value_set=pa.array(list(after), column.type))
        renamed = pc.coalesce(pa.array(list(after.values()), column.type).take(at.combine_chunks()), column)
        copies = copies.set_column(copies.schema.get_field_index(name), name, renamed)
    return copies


def _nameless(book: pa.Table, gone: Any) -> pa.Table:
    """The details of a copy that went name the one that was kept."""
    texts = [
        None if text is not None and json.loads(text).get("kept") in gone else text for text in book["details"].to_pylist()
    ]
    return book.set_column(book.schema.get_field_index("details"), "details", pa.array(texts, pa.string()))


def _moved(personal: pa.Table, there: Any) -> pa.Table:
    """Findings of the documents that stay, by their new rows."""
    rows = personal["row"].to_numpy()
    stays = there[rows] if len(rows) else np.zeros(0, np.bool_)
    moved = (np.cumsum(there) - 1)[rows[stays]].astype(np.int64)
    place = personal.schema.get_field_index("row")
    return personal.filter(pa.array(stays)).set_column(place, "row", pa.array(moved))


def _files(run: Run, version: Version) -> list[str]:
    sources = [other for _, other in lineage.walk(run.record, version, "up") if other.kind == "source"]
    found = {file["name"] for source in sources for file in source.facts["made_from"]["files"]}
    found |= {states.place(source.facts) for source in sources if "asked" in source.facts["made_from"]}
    return sorted(found)[:5]
