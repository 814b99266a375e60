"""From a source to a version of it: what was read, when, from where, with which schema and cursor.

A source's state is a list of shards. How new rows meet the earlier state is `load`: replace, append or merge. Each state is a
version of its own, so earlier states stay readable, and a changed schema is noted, or stops the run where it is frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stellwerk.engine.engine import read_shard
from stellwerk.errors import StellwerkError
from stellwerk.jobs.data import merge, schema_changes
from stellwerk.jobs.data.digest import ContentDigest, schema_of
from stellwerk.jobs.data.files import infer
from stellwerk.jobs.data.files.schema import cast, settle
from stellwerk.jobs.data.shards import schema as common
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import local, remote, rows
from stellwerk.jobs.data.sources.part import (
    Part,
    as_text,
    from_text,
    notes_of_all,
    schema_of_all,
    stats_of_all,
    unreadable_of_all,
)

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run


@dataclass(frozen=True)
class Acquired:
    """A source as this run has it."""

    source: Source
    version: Version
    shards: list[str]
    lost: list[str]
    rows: int


@dataclass(frozen=True)
class Delivery:
    """What was read of a source this time.

    Attributes:
        parts: outcomes of the reading steps.
        made_from: what the rows depend on: files with their digests, or the shards that came from a database or an API.
        base: the version that the rows meet.
        schema: of the rows; a column without any value has the type null.
    """

    parts: list[Part]
    made_from: dict[str, Any]
    base: Version | None
    schema: pa.Schema


def acquire(run: Run, dataset: str, source: Source) -> Acquired:
    """Read a source and bring its state up to date.

    Raises:
        UserError: no file matches, a place is not as the spec says, or the schema changed under `contract: freeze`.
        StellwerkError: a place could not be reached or read to the end; the last good version stays.
    """
    name = f"{dataset}.{source.name}"
    latest = run.record.latest("source", name)
    delivery = _from_files(run, source, latest) if source.files else _from_rows(run, name, source)
    base, made_from = delivery.base, delivery.made_from
    earlier = base.content["shards"] if base and not source.files else []
    schema = settle(rows.filled(delivery.schema, earlier, run))
    types = infer.infer_types(stats_of_all(delivery.parts), source.csv.decimal)
    shards = _typed(run, source, [shard for part in delivery.parts for shard in part["shards"]], schema, types)
    said = _said(schema, types)
    before = _before(latest, made_from, said)
    if source.cursor is not None and before is not None:
        said = schema_changes.widened(before, delivery.schema, complete=source.database is not None) if shards else before
        before = _before(latest, made_from, said)
    state = run.step(
        f"load {source.name}",
        load_state,
        inputs=[base] if base else [],
        dataset=dataset,
        source=source.model_dump(mode="json"),
        shards=shards,
        made_from=made_from,
        unreadable=unreadable_of_all(delivery.parts),
        notes=notes_of_all(delivery.parts),
        base=base.id if base else None,
        said=said,
        before=before,
    )
    return Acquired(source, run.version(state["version"]), state["shards"], state["lost"], state["rows"])


def _from_files(run: Run, source: Source, latest: Version | None) -> Delivery:
    near = [pattern for pattern in source.files if not remote.is_remote(pattern)]
    files = local.fingerprint(run, source, near) if near else []
    files += remote.fetch(run, source, [p for p in source.files if p not in near], latest)
    parts = local.read_all(run, source, files)
    made_from = {"files": files, "load": source.load, "missing": source.missing, "key": source.key}
    return Delivery(parts, made_from, _base(run, latest, made_from), schema_of_all(parts))


def _from_rows(run: Run, name: str, source: Source) -> Delivery:
    asked = rows.asked(run, source)
    beginning = rows.begin(run, name, asked)
    part = run.step(
        f"read {source.name}", rows.fetch, source=source.model_dump(mode="json"), since=beginning.since, run_id=run.id
    )
    made_from = {
        "files": [], "asked": asked, "since": beginning.since, "to": part["to"], "read": part["shards"], "keys": part["keys"],
        "load": source.load, "missing": source.missing, "key": source.key,
    }  # fmt: skip
    base = run.version(beginning.base) if beginning.base else None
    return Delivery([part], made_from, _base(run, base, made_from), schema_of_all([part]))


def _typed(run: Run, source: Source, shards: list[str], schema: pa.Schema, types: dict[str, str]) -> list[str]:
    """Shards in the schema of their source; those of a database mostly are, and are left as they lie."""
    paths = run.store.paths(shards)
    if not types and all(pq.read_schema(path).remove_metadata().equals(schema.remove_metadata()) for path in paths):
        return shards
    items = [{"shard": shard} for shard in shards]
    return run.map(f"type {source.name}", typed, items, schema=as_text(schema), types=types)


def typed(shard: pa.Table, *, schema: str, types: dict[str, str]) -> pa.Table:
    """Kernel: bring a shard to the schema of its source, with the types that the values of all files allow."""
    return infer.apply_types(cast(shard, from_text(schema)), types).replace_schema_metadata(None)


def load_state(
    run: Run,
    *,
    dataset: str,
    source: dict[str, Any],
    shards: list[str],
    made_from: dict[str, Any],
    unreadable: list[str],
    notes: list[str],
    base: str | None,
    said: dict[str, str],
    before: dict[str, str] | None,
) -> dict[str, Any]:
    """Step: join new rows and the earlier state, and note the source's new version.

    Schemas are compared as the files have them: a state of joined rows keeps the columns that its files lost.
    """
    spec = Source.model_validate(source)
    earlier = run.version(base) if base else None
    merge.check_key(run, spec, shards)
    if not said and spec.load != "replace":
        said = before or {}  # no file could be read, and the earlier rows stay or go by `missing`
    changes = schema_changes.changes(before, said) if before is not None else []
    if changes and spec.contract == "freeze":
        raise StellwerkError(
            f"source {spec.name}: the schema changed and contract is freeze: {'; '.join(changes)}. "
            f"Nothing was loaded; accept it with contract: evolve, or correct the files"
        )
    old = earlier.content["shards"] if earlier else []
    state, superseded = merge.load(run, spec, shards, old)
    if made_from.get("keys") is not None:
        state = merge.only_present(run, spec, state, made_from["keys"])
    digest, schema = _content(run, state)
    lost = [*unreadable, *([superseded] if superseded else [])]
    version = run.output(
        "source",
        f"{dataset}.{spec.name}",
        identity={"schema": schema, "rows": digest.hexdigest()},
        content={"shards": state, "lost": lost},
        facts={
            "made_from": made_from,
            "base": base,
            "rows": digest.rows,
            "bytes": sum(file["bytes"] for file in made_from["files"]) or _size(run, made_from.get("read", [])),
            "file_schema": said,
            "schema_before": before,
            "schema_changes": changes,
            "notes": notes,
            "origin": spec.origin,
            "licence": spec.licence,
            "legal_basis": spec.legal_basis,
            "retrieved": spec.retrieved.isoformat() if spec.retrieved else None,
        },
    )
    if spec.load != "replace":
        run.write(lambda _: _still(run, f"{dataset}.{spec.name}", base, made_from))
    run.measure("source_rows", digest.rows, n=digest.rows, unit="rows")
    for change in changes:
        run.finding("schema_change", "medium", f"source {spec.name}: {change}", source=spec.name)
    for reference in unreadable:
        table = read_shard(run.store.path(reference))
        run.finding("unreadable", "medium", f"source {spec.name}: {table.num_rows} rows or files could not be read",
                    source=spec.name, rules=sorted(set(table["rule"].to_pylist())))  # fmt: skip
    return {"version": version, "shards": state, "lost": lost, "rows": digest.rows}


def _size(run: Run, shards: Sequence[str]) -> int:
    return sum(run.store.path(shard).stat().st_size for shard in shards)


def _said(schema: pa.Schema, types: dict[str, str]) -> dict[str, str]:
    """The columns and types that the files have now, as they were typed."""
    found = schema_of(infer.apply_types(schema.empty_table(), types).schema)
    return {name: kind for name, kind in found.items() if name != "origin"}


def _base(run: Run, latest: Version | None, made_from: dict[str, Any]) -> Version | None:
    """The version that new rows meet. Reading the same files again meets what they met before, so nothing is redone."""
    if latest is not None and latest.facts["made_from"] == made_from:
        return run.version(latest.facts["base"]) if latest.facts["base"] else None
    return latest


def _before(latest: Version | None, made_from: dict[str, Any], said: dict[str, str]) -> dict[str, str] | None:
    """The schema that the files had at the last load, or at the one before it where this load is that one again."""
    if latest is None:
        return None
    again = latest.facts["made_from"] == made_from and latest.facts["file_schema"] == said
    found: dict[str, str] | None = latest.facts["schema_before" if again else "file_schema"]
    return found


def _still(run: Run, name: str, base: str | None, made_from: dict[str, Any]) -> None:
    """See that no other run has loaded the source since this one looked: its rows would be lost.

    It is asked while this run holds the record, on a connection that does not see what this run is about to commit.
    """
    latest = run.record.latest("source", name)
    if (latest.id if latest else None) == base:
        return
    if latest is None or latest.facts["made_from"] != made_from or latest.facts["base"] != base:
        raise StellwerkError(f"source {name}: another run has loaded this source in between; start the command again")


def _content(run: Run, shards: Sequence[str]) -> tuple[ContentDigest, dict[str, str]]:
    """The digest of all rows of a state, and its schema."""
    schema = pa.schema([("origin", pa.string())])
    if shards:
        schema = common(run.store.paths(shards))
    # Where a row stood in its file is no part of what the source says.
    places = [place for place, name in enumerate(schema.names) if name != "origin"]
    digest = ContentDigest(pa.schema([schema.field(place) for place in places]))
    for path in run.store.paths(shards):
        digest.update(cast(read_shard(path), schema).select(places))
    return digest, schema_of(digest.schema)
