"""How new rows meet the earlier state of a source, and how columns of another source are joined to rows.

DuckDB does the work over the shards on disk and spills where memory ends. A merged state is sorted by key and cut where the
key's checksum says so, so that a few changed rows leave most shards, and all that was computed on them, as they were.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.errors import UserError
from stellwerk.jobs.data import shards
from stellwerk.jobs.data.files.schema import cast
from stellwerk.jobs.data.source_spec import Source

if TYPE_CHECKING:
    from stellwerk.run import Run

SHARD_BYTES = 8 * 2**20
BATCH_ROWS = 2048  # of DuckDB's answers: rows may be long texts
MEMORY = "768MB"  # beyond it DuckDB writes to disk
PLACE = "__stellwerk_place__"  # of a row among all rows of its shards
SAID = "__stellwerk_said__"  # a hash of what a row says beside its key
COPY = "__stellwerk_copy__"  # 1 for the first row of a key, then 2, 3 ...
NO_KEY, SUPERSEDED = "no_key", "superseded"


def load(run: Run, source: Source, new: Sequence[str], old: Sequence[str]) -> tuple[list[str], str | None]:
    """Bring the state of a source up to date.

    Args:
        run: the run at work.
        source: says how.
        new: shards of what the files say now.
        old: shards of the earlier state.

    Returns:
        The shards of the new state, and a shard (origin, reason, rule) of rows of this load that are not in it: another row of
        it has the same key, or they have no key to be merged by.
    """
    if source.load == "replace":
        return list(new), None
    if not source.files and source.load == "append" and new and old:
        known = _named(run, new) & _named(run, old)
        new, old = _one_schema(run, new, old)
        return _append_new(run, source, new, old, known), None
    if not new or not old:
        stays = source.load == "append" or _keeps(source)
        if not new:
            return list(old) if stays else [], None
        return (list(new), None) if source.load == "append" else _merge(run, source, new, old)
    new, old = _one_schema(run, new, old)
    return _append(run, new, old) if source.load == "append" else _merge(run, source, new, old)


def join(
    run: Run, main: Sequence[str], key: Sequence[str], others: dict[str, tuple[Sequence[str], Sequence[str]]]
) -> list[str]:
    """Add the columns of other sources to the rows of a source, by key; every row stays, in its order, once.

    Args:
        run: the run at work.
        main: shards of the rows.
        key: their key columns.
        others: by name of a source its shards and its key; the last row of a key counts.
    """
    tables = {"main": main, **{f"other{i}": found for i, (found, _) in enumerate(others.values())}}
    with _database(run, **tables) as database:
        taken = {name.lower() for name in database.table("main").columns}
        selected, joins = [f"main.* EXCLUDE ({PLACE})"], []
        for i, (name, (_, other_key)) in enumerate(others.items()):
            for column in database.table(f"other{i}").columns:
                if column not in (*other_key, "origin", PLACE):
                    selected.append(f"o{i}.{_q(column)} AS {_q(_free(column, name, taken))}")
            same = _equal(database, key, f"other{i}", f"o{i}", other_key)
            joins.append(f"LEFT JOIN ({_last(f'other{i}', other_key)}) o{i} ON {same}")
        query = f"SELECT {', '.join(selected)} FROM main {' '.join(joins)} ORDER BY main.{PLACE}"
        return list(_by_size(run, database.sql(query).to_arrow_reader(BATCH_ROWS)))


def unmatched(run: Run, main: Sequence[str], key: Sequence[str], other: Sequence[str], other_key: Sequence[str]) -> int:
    """How many rows of another source find no row to join."""
    with _database(run, main=main, other=other) as database:
        same = _equal(database, key, "other", "other", other_key)
        query = f"SELECT count(*) FROM other ANTI JOIN main ON {same}"
        return int(database.execute(query).fetchall()[0][0])


def number_copies(run: Run, main: Sequence[str], key: Sequence[str]) -> list[str]:
    """Add the column COPY where a key is not unique: 1 for its first row, then 2, 3 ...; unchanged where it is unique."""
    keys = _names(key)
    with _database(run, main=main) as database:
        if not database.execute(f"SELECT 1 FROM main GROUP BY {keys} HAVING count(*) > 1 LIMIT 1").fetchall():
            return list(main)
        numbers = f"SELECT {PLACE}, row_number() OVER (PARTITION BY {keys} ORDER BY {PLACE}) AS {COPY} FROM main"
        query = f"SELECT * EXCLUDE ({PLACE}) FROM main JOIN ({numbers}) USING ({PLACE}) ORDER BY {PLACE}"
        return list(_by_size(run, database.sql(query).to_arrow_reader(BATCH_ROWS)))


def check_key(run: Run, source: Source, rows: Sequence[str]) -> None:
    """See that the columns that a spec names are there, and that their names are no riddle.

    Raises:
        UserError: a column of key or text is not among those of the files, or two differ in case only.
    """
    names = {name for shard in rows for name in shards.names(run.store.path(shard))} - {"origin"}
    for field in ("key", "text"):
        absent = [column for column in getattr(source, field) if column not in names]
        if absent and names:
            raise UserError(
                f"source {source.name}: {field} names the column {absent[0]!r}, which its rows do not have; "
                f"they have: {', '.join(sorted(names))}"
            )
    spelt: dict[str, str] = {}
    for name in sorted(names) if source.key or source.load != "replace" else ():
        other = spelt.setdefault(name.lower(), name)
        if other != name:
            raise UserError(
                f"source {source.name}: the files spell a column {other!r} and {name!r}; give it one name in all of them"
            )


def _append(run: Run, new: Sequence[str], old: Sequence[str]) -> tuple[list[str], None]:
    """The earlier rows of files that are gone, then those of the files that are there."""
    files = pa.chunked_array([pc.unique(_file_of(_origins(run, shard))) for shard in new], pa.string())
    stay = []
    for shard in old:
        gone = pc.invert(pc.is_in(_file_of(_origins(run, shard)), value_set=files))
        if pc.all(gone).as_py():
            stay.append(shard)
        elif pc.any(gone).as_py():
            stay.append(write_shard(run.store, read_shard(run.store.path(shard)).filter(gone)))
    return [*stay, *new], None


def _named(run: Run, parts: Sequence[str]) -> set[str]:
    return {name for part in parts for name in shards.names(run.store.path(part))}


def _append_new(run: Run, source: Source, new: Sequence[str], old: Sequence[str], known: set[str]) -> list[str]:
    """The earlier rows, then those of the new ones that are not among them: the last value of a cursor is read again.

    A row that is there twice at the source and once among the earlier ones is new once.
    """
    with _database(run, new=new, old=old) as database:
        said = _names([name for name in database.table("new").columns if name in known and name != "origin"])
        numbered = f"SELECT *, row_number() OVER (PARTITION BY {said} ORDER BY {PLACE}) AS {COPY} FROM"
        columns = [_q(name) for name in database.table("new").columns if name in known and name != "origin"]
        same = " AND ".join(f"n.{name} IS NOT DISTINCT FROM o.{name}" for name in [*columns, COPY])
        old_rows = "old"
        if source.cursor is not None:
            column = _q(source.cursor.column)
            old_rows = f"(SELECT * FROM old WHERE {column} IS NULL OR {column} >= (SELECT min({column}) FROM new))"
        query = (
            f"SELECT n.* EXCLUDE ({PLACE}, {COPY}) FROM ({numbered} new) n ANTI JOIN ({numbered} {old_rows}) o ON {same} "
            f"ORDER BY n.{PLACE}"
        )
        fresh = list(_by_size(run, database.sql(query).to_arrow_reader(BATCH_ROWS)))
    return [*old, *(shard for shard in fresh if shards.rows(run.store.path(shard)))]


def only_present(run: Run, source: Source, state: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The rows of a state whose key is among those that the source has now."""
    if not state or not keys:
        return []
    with _database(run, state=state, keys=keys) as database:
        same = " AND ".join(f"state.{_q(part)} IS NOT DISTINCT FROM keys.{_q(part)}" for part in source.key)
        gone = database.execute(f"SELECT count(*) FROM state ANTI JOIN keys ON {same}").fetchall()[0][0]
        if not gone:
            return list(state)
        query = f"SELECT * EXCLUDE ({PLACE}) FROM state SEMI JOIN keys ON {same} ORDER BY {_names(source.key)}"
        return list(_by_key(run, database.sql(query).to_arrow_reader(BATCH_ROWS), source.key))


def _origins(run: Run, shard: str) -> pa.ChunkedArray:
    return shards.columns(run.store.path(shard), "origin")["origin"]


def _file_of(origins: pa.ChunkedArray) -> pa.ChunkedArray:
    """The file that a row came from; a `#` in its own name stays."""
    return pc.replace_substring_regex(origins, r"(#(line|row|item|page|attachment|[^#]* row) \d+)+$", "")


def _merge(run: Run, source: Source, new: Sequence[str], old: Sequence[str]) -> tuple[list[str], str | None]:
    keys = _names(source.key)
    keyless = " AND ".join(f"{_q(part)} IS NULL" for part in source.key)
    with _database(run, new=new, **({"old": old} if old else {})) as database:
        database.execute(f"CREATE VIEW fresh AS SELECT * FROM ({_last('new', source.key)}) WHERE NOT ({keyless})")
        query = f"SELECT * EXCLUDE ({PLACE}) FROM fresh"
        if old:
            query = _met(source, database.table("new").columns)
        rows = database.sql(f"SELECT * FROM ({query}) ORDER BY {keys}").to_arrow_reader(BATCH_ROWS)
        state = list(_by_key(run, rows, source.key))
        lost = f"SELECT origin, {keyless} AS keyless FROM new ANTI JOIN fresh USING ({PLACE}) ORDER BY {PLACE}"
        return state, _lost(run, database.sql(lost).to_arrow_table(), ", ".join(source.key))


def _met(source: Source, columns: Sequence[str]) -> str:
    """A query for new rows that meet earlier ones.

    A row that says what it said before keeps its origin, the place where that was first read; else one line more at the top of
    a file would change every row of the state.
    """
    said = ", ".join(_q(name) for name in columns if name not in ("origin", PLACE, *source.key)) or "0"
    same = " AND ".join(f"old.{_q(part)} IS NOT DISTINCT FROM fresh.{_q(part)}" for part in source.key)
    origin = f"CASE WHEN old.{SAID} = fresh.{SAID} THEN old.origin ELSE fresh.origin END AS origin"
    chosen = ", ".join(origin if name == "origin" else f"fresh.{_q(name)}" for name in columns if name != PLACE)
    hashed = f"SELECT *, hash(row({said})) AS {SAID} FROM"
    query = f"SELECT {chosen} FROM ({hashed} fresh) fresh LEFT JOIN ({hashed} old) old ON {same}"
    if _keeps(source):
        query += f" UNION ALL BY NAME SELECT * EXCLUDE ({PLACE}) FROM old ANTI JOIN fresh ON {same}"
    return query


def _keeps(source: Source) -> bool:
    """Whether a row that is not among the new ones stays; with a cursor only `only_present` knows which rows are gone."""
    return source.missing == "keep" or source.cursor is not None


def _lost(run: Run, rows: pa.Table, key: str) -> str | None:
    if not rows.num_rows:
        return None
    keyless = rows["keyless"]
    reason = pc.if_else(keyless, f"has no {key}, by which rows are merged", f"a later row of the same load has the same {key}")
    rule = pc.if_else(keyless, NO_KEY, SUPERSEDED)
    return write_shard(run.store, pa.table({"origin": rows["origin"], "reason": reason, "rule": rule}))


def _last(table: str, key: Sequence[str]) -> str:
    """A query for the last row of each key."""
    return (
        f"SELECT * FROM {table} SEMI JOIN (SELECT max({PLACE}) AS {PLACE} FROM {table} GROUP BY {_names(key)}) USING ({PLACE})"
    )


def _equal(database: Any, key: Sequence[str], other: str, alias: str, other_key: Sequence[str]) -> str:
    """The condition that two keys are equal; a number and a text are compared as texts."""
    parts = []
    for one, two in zip(key, other_key, strict=True):
        first, second = f"main.{_q(one)}", f"{alias}.{_q(two)}"
        kinds = {str(_types(database, "main")[one]), str(_types(database, other)[two])}
        if len(kinds) > 1 and not kinds <= {"BIGINT", "DOUBLE"}:
            first, second = f"CAST({first} AS VARCHAR)", f"CAST({second} AS VARCHAR)"
        parts.append(f"{first} = {second}")
    return " AND ".join(parts)


def _types(database: Any, table: str) -> dict[str, Any]:
    relation = database.table(table)
    return dict(zip(relation.columns, relation.types, strict=True))


def _free(column: str, source: str, taken: set[str]) -> str:
    """A name that no column has yet, in no case, since Delta and DuckDB do not tell cases apart."""
    name, number = column, 1
    while name.lower() in taken:
        name = f"{column}_{source}" if number == 1 else f"{column}_{source}_{number}"
        number += 1
    taken.add(name.lower())
    return name


def _one_schema(run: Run, new: Sequence[str], old: Sequence[str]) -> tuple[list[str], list[str]]:
    """Shards of new and earlier rows with the same columns and types, so that no reader has to guess."""
    paths = dict(zip((*new, *old), run.store.paths([*new, *old]), strict=True))
    schema = shards.schema(list(paths.values()))

    def same(shard: str) -> str:
        if pq.read_schema(paths[shard]).remove_metadata().equals(schema):
            return shard
        return write_shard(run.store, cast(read_shard(paths[shard]), schema))

    return [same(shard) for shard in new], [same(shard) for shard in old]


@contextmanager
def _database(run: Run, **tables: Sequence[str]) -> Iterator[Any]:
    """DuckDB with a view for each list of shards, whose column PLACE gives the order of the rows."""
    import duckdb

    with run.store.partial() as scratch:
        config: Any = {"threads": run.engine.workers, "memory_limit": MEMORY, "temp_directory": str(scratch)}
        database = duckdb.connect(config={**config, "autoinstall_known_extensions": False})
        try:
            database.execute("SET TimeZone = 'UTC'")  # else moments come back in the zone of the machine
            for name, parts in tables.items():
                paths = [str(run.store.path(shard)) for shard in parts]
                database.read_parquet(paths, union_by_name=True).to_view(f"all_{name}")
                database.execute(f"CREATE VIEW {name} AS SELECT *, row_number() OVER () AS {PLACE} FROM all_{name}")
            yield database
        finally:
            database.close()


def _by_size(run: Run, batches: Any) -> Iterator[str]:
    """Shards of about the usual size, and an empty one where there are no rows."""
    pending: list[pa.RecordBatch] = []
    size, written = 0, False
    for batch in batches:
        pending.append(batch)
        size += batch.nbytes
        if size > SHARD_BYTES:
            yield write_shard(run.store, pa.Table.from_batches(pending))
            pending, size, written = [], 0, True
    if not written or any(batch.num_rows for batch in pending):
        yield write_shard(run.store, pa.Table.from_batches(pending, batches.schema))


def _by_key(run: Run, batches: Any, key: Sequence[str]) -> Iterator[str]:
    """Shards that end where a key's checksum says so: the same rows are cut the same way in every state."""
    rest, written = batches.schema.empty_table(), False
    for batch in batches:
        rest = pa.concat_tables([rest, pa.Table.from_batches([batch])])
        while rest.nbytes > SHARD_BYTES:
            cut = _cut(rest, key)
            yield write_shard(run.store, rest.slice(0, cut))
            rest, written = rest.slice(cut).combine_chunks(), True
    if rest.num_rows or not written:
        yield write_shard(run.store, rest)


def _cut(table: pa.Table, key: Sequence[str]) -> int:
    texts = pc.binary_join_element_wise(*(pc.fill_null(table[part].cast(pa.string()), "") for part in key), "\0")
    sums = [zlib.crc32(text.encode()) for text in texts.to_pylist()]
    half = len(sums) // 2
    return half + 1 + min(range(len(sums) - half), key=lambda place: sums[half + place])


def _names(key: Sequence[str]) -> str:
    return ", ".join(map(_q, key))


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
