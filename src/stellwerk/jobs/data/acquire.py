"""From files to a version of a source: what was read, when, from which files, with which schema.

A source's state is a list of shards. How new rows meet the earlier state is `load`: replace, append or merge. Each state is a
version of its own, so earlier states stay readable, and a changed schema is noted, or stops the run where it is frozen.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data import merge
from stellwerk.jobs.data.digest import ContentDigest, schema_of
from stellwerk.jobs.data.files import infer
from stellwerk.jobs.data.files.find import find_files, shown
from stellwerk.jobs.data.files.reading import ReadOptions, Unreadable, read
from stellwerk.jobs.data.files.schema import cast, facts_of, settle, unify
from stellwerk.jobs.data.shards import schema as common
from stellwerk.jobs.data.source_spec import Source

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run

GROUP_BYTES = 8 * 2**20
GROUP_FILES = 500
SHARD_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Acquired:
    """A source as this run has it."""

    source: Source
    version: Version
    shards: list[str]
    lost: list[str]
    rows: int


def acquire(run: Run, dataset: str, source: Source) -> Acquired:
    """Read a source and bring its state up to date.

    Raises:
        UserError: no file matches, or the schema changed under `contract: freeze`.
    """
    files = fingerprint(run, source)
    options = _options(source)
    label = f"read {source.name}"
    parts, done = [], 0
    for group in _groups(files):
        run.progress(label, done, len(files), "files")
        parts.append(run.step(label, read_files, files=group, options=asdict(options)))
        done += len(group)
    run.progress(label, done, len(files), "files")
    stats = _merged_stats(parts)
    schema = settle(unify([_schema(text) for part in parts for text in part["schemas"]]))
    types = infer.infer_types(stats, source.csv.decimal)
    items = [{"shard": shard} for part in parts for shard in part["shards"]]
    shards = run.map(f"type {source.name}", typed, items, schema=_text(schema), types=types)
    said = _said(schema, types)
    made_from = {"files": files, "load": source.load, "missing": source.missing, "key": source.key}
    latest = _latest(run, f"{dataset}.{source.name}")
    base = _base(run, latest, made_from)
    state = run.step(
        f"load {source.name}",
        load_state,
        inputs=[base] if base else [],
        dataset=dataset,
        source=source.model_dump(mode="json"),
        shards=shards,
        made_from=made_from,
        unreadable=[part["unreadable"] for part in parts if part["unreadable"]],
        notes=sorted({note for part in parts for note in part["notes"]}),
        base=base.id if base else None,
        said=said,
        before=_before(latest, made_from, said),
    )
    return Acquired(source, run.version(state["version"]), state["shards"], state["lost"], state["rows"])


def fingerprint(run: Run, source: Source) -> list[dict[str, Any]]:
    """The files that a source's pattern matches now: path as shown, SHA-256, bytes."""
    root, found = run.workspace.root, []
    matches = find_files(root, source.files)
    for count, path in enumerate(matches):
        run.progress(f"find {source.name}", count, len(matches), "files")
        name = shown(path, root)
        found.append({"name": name, "sha256": _digest(path), "bytes": path.stat().st_size if path.is_file() else 0})
    run.progress(f"find {source.name}", len(matches), len(matches), "files")
    return found


def read_files(run: Run, *, files: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    """Step: read a group of files into shards."""
    how = ReadOptions(**{**options, "missing": tuple(options["missing"])})
    shards: list[str] = []
    unreadable: list[Unreadable] = []
    stats: infer.TypeStats = {}
    schemas: list[pa.Schema] = []
    notes: list[str] = []
    pending: list[pa.Table] = []
    for file in files:
        path = run.workspace.root / file["name"]
        begun = _stamp(path)
        for piece in read(path, file["name"], how):
            run.check()
            if isinstance(piece, Unreadable):
                unreadable.append(piece)
                continue
            infer.collect([piece], stats)
            schemas.append(piece.schema)
            notes += [f"{file['name']} {note}" for note in facts_of(piece).notes]
            pending.append(piece)
            if sum(table.nbytes for table in pending) > SHARD_BYTES:
                shards.append(_flush(run, pending))
        # The rows must be those of the bytes that the record names, also where a change left the size as it was.
        if _stamp(path) != begun or _digest(path) != file["sha256"]:
            raise StellwerkError(f"{file['name']} was changed while it was read; start the command again")
    if pending:
        shards.append(_flush(run, pending))
    return {
        "shards": shards,
        "stats": {name: asdict(column) for name, column in stats.items()},
        "schemas": [_text(unify(schemas))] if schemas else [],
        "unreadable": _keep_unreadable(run, unreadable),
        "notes": notes[:1000],
    }


def typed(shard: pa.Table, *, schema: str, types: dict[str, str]) -> pa.Table:
    """Kernel: bring a shard to the schema of its source, with the types that the values of all files allow."""
    return infer.apply_types(cast(shard, _schema(schema)), types).replace_schema_metadata(None)


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
    changes = schema_changes(before, said) if before is not None else []
    if changes and spec.contract == "freeze":
        raise StellwerkError(
            f"source {spec.name}: the schema changed and contract is freeze: {'; '.join(changes)}. "
            f"Nothing was loaded; accept it with contract: evolve, or correct the files"
        )
    state, superseded = merge.load(run, spec, shards, earlier.content["shards"] if earlier else [])
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
            "bytes": sum(file["bytes"] for file in made_from["files"]),
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


def schema_changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What changed between two schemas, a sentence each; a column that went while one of its type came may be renamed."""
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    changes = [
        f"column {name!r} was {before[name]}, now {after[name]}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    for name in gone:
        twin = next((other for other in come if _alike(name, other) and before[name] == after[other]), None)
        if twin:
            come.remove(twin)
            changes.append(f"column {name!r} is gone and {twin!r} of the same type came: perhaps renamed")
        else:
            changes.append(f"column {name!r} is gone")
    return changes + [f"column {name!r} is new ({after[name]})" for name in come]


def _alike(first: str, second: str) -> bool:
    one, other = set(first.lower().split("_")), set(second.lower().split("_"))
    return bool(one & other)


def _said(schema: pa.Schema, types: dict[str, str]) -> dict[str, str]:
    """The columns and types that the files have now, as they were typed."""
    found = schema_of(infer.apply_types(schema.empty_table(), types).schema)
    return {name: kind for name, kind in found.items() if name != "origin"}


def _latest(run: Run, name: str) -> Version | None:
    try:
        return run.record.resolve(f"source/{name}")
    except UserError:
        return None


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
    latest = _latest(run, name)
    if (latest.id if latest else None) == base:
        return
    if latest is None or latest.facts["made_from"] != made_from or latest.facts["base"] != base:
        raise StellwerkError(f"source {name}: another run has loaded this source in between; start the command again")


def _content(run: Run, shards: Sequence[str]) -> tuple[ContentDigest, dict[str, str]]:
    """The digest of all rows of a state, and its schema."""
    schema = pa.schema([("origin", pa.string())])
    if shards:
        schema = common([run.store.path(shard) for shard in shards])
    # Where a row stood in its file is no part of what the source says.
    places = [place for place, name in enumerate(schema.names) if name != "origin"]
    digest = ContentDigest(pa.schema([schema.field(place) for place in places]))
    for shard in shards:
        digest.update(cast(read_shard(run.store.path(shard)), schema).select(places))
    return digest, schema_of(digest.schema)


def _flush(run: Run, pending: list[pa.Table]) -> str:
    schema = unify([table.schema for table in pending])
    shard = write_shard(run.store, pa.concat_tables([cast(table, schema) for table in pending]))
    pending.clear()
    return shard


def _keep_unreadable(run: Run, unreadable: list[Unreadable]) -> str | None:
    if not unreadable:
        return None
    columns = {name: [getattr(entry, name) for entry in unreadable] for name in ("origin", "reason", "rule")}
    return write_shard(run.store, pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))


def _groups(files: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Small files together, large ones alone: a group is read again as a whole when one of its files changes."""
    group: list[dict[str, Any]] = []
    size = 0
    for file in files:
        if group and (size + file["bytes"] > GROUP_BYTES or len(group) >= GROUP_FILES):
            yield group
            group, size = [], 0
        group.append(file)
        size += file["bytes"]
    if group:
        yield group


def _merged_stats(parts: list[dict[str, Any]]) -> infer.TypeStats:
    columns = [{name: infer.ColumnStats(**column) for name, column in part["stats"].items()} for part in parts]
    return functools.reduce(infer.merge, columns) if columns else {}


def _options(source: Source) -> ReadOptions:
    csv = source.csv
    return ReadOptions(
        format=source.format,
        separator=csv.separator,
        encoding=csv.encoding,
        decimal=csv.decimal,
        quote=csv.quote,
        sheet=source.sheet,
        batch_bytes=SHARD_BYTES,
    )


def _digest(path: Path) -> str:
    if not path.is_file():
        return "not a file"  # to open a pipe would wait for ever
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode()


def _schema(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
