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

from stellwerk.engine.engine import write_shard
from stellwerk.errors import UserError
from stellwerk.jobs.data.spec import Source

if TYPE_CHECKING:
    from stellwerk.run import Run

SHARD_BYTES = 8 * 2**20


def load(run: Run, source: Source, new: Sequence[str], old: Sequence[str]) -> tuple[list[str], str | None]:
    """Bring the state of a source up to date.

    Args:
        run: the run at work.
        source: says how.
        new: shards of what the files say now.
        old: shards of the earlier state.

    Returns:
        The shards of the new state, and a shard (origin, reason, rule) of rows that another row of the same load replaced.
    """
    if source.load == "append" and old and new:
        query = """
            SELECT * FROM new UNION ALL BY NAME SELECT * FROM old
            WHERE split_part(old.origin, '#', 1) NOT IN (SELECT DISTINCT split_part(origin, '#', 1) FROM new)
        """
        with _database(run, new=new, old=old) as database:
            return list(_by_size(run, database.sql(query).to_arrow_reader())), None
    if source.load == "merge" and new:
        return _merge(run, source, new, old)
    return list(new) or list(old if source.load == "append" else []), None


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
    shards = {"main": main, **{f"other{i}": found for i, (found, _) in enumerate(others.values())}}
    with _database(run, **shards) as database:
        taken = set(database.table("main").columns)
        selected, joins = ["main.* EXCLUDE (file, place)"], []
        for i, (name, (_, other_key)) in enumerate(others.items()):
            columns = [c for c in database.table(f"other{i}").columns if c not in (*other_key, "origin", "file", "place")]
            selected += [f"o{i}.{_q(c)} AS {_q(c if c not in taken else f'{c}_{name}')}" for c in columns]
            taken.update(columns)
            keys = ", ".join(_q(part) for part in other_key)
            latest = f"row_number() OVER (PARTITION BY {keys} ORDER BY file DESC, place DESC) = 1"
            same = " AND ".join(f"main.{_q(a)} = o{i}.{_q(b)}" for a, b in zip(key, other_key, strict=True))
            joins.append(f"LEFT JOIN (SELECT * FROM other{i} QUALIFY {latest}) o{i} ON {same}")
        query = f"SELECT {', '.join(selected)} FROM main {' '.join(joins)} ORDER BY main.file, main.place"
        return list(_by_size(run, database.sql(query).to_arrow_reader()))


def unmatched(run: Run, main: Sequence[str], key: Sequence[str], other: Sequence[str], other_key: Sequence[str]) -> int:
    """How many rows of another source find no row to join."""
    same = " AND ".join(f"main.{_q(a)} = other.{_q(b)}" for a, b in zip(key, other_key, strict=True))
    with _database(run, main=main, other=other) as database:
        query = f"SELECT count(*) FROM other ANTI JOIN main ON {same}"
        return int(database.execute(query).fetchone()[0])


def number_copies(run: Run, shards: Sequence[str], key: Sequence[str]) -> list[str]:
    """Add the column `copy` where a key is not unique: 1 for its first row, then 2, 3 ...; unchanged where it is unique."""
    keys = ", ".join(_q(part) for part in key)
    with _database(run, main=shards) as database:
        counted = database.execute(f"SELECT 1 FROM main GROUP BY {keys} HAVING count(*) > 1 LIMIT 1")
        if counted.fetchone() is None:
            return list(shards)
        numbered = f"row_number() OVER (PARTITION BY {keys} ORDER BY file, place)"
        query = f"SELECT * EXCLUDE (file, place), {numbered} AS copy FROM main ORDER BY file, place"
        return list(_by_size(run, database.sql(query).to_arrow_reader()))


def check_key(run: Run, source: Source, shards: Sequence[str]) -> None:
    """See that the columns that a spec names are there.

    Raises:
        UserError: a column of key or text is not among those of the files.
    """
    import pyarrow.parquet as pq

    names = {name for shard in shards for name in pq.read_schema(run.store.path(shard)).names} - {"origin"}
    for field in ("key", "text"):
        absent = [column for column in getattr(source, field) if column not in names]
        if absent and names:
            raise UserError(
                f"source {source.name}: {field} names the column {absent[0]!r}, which the files do not have; "
                f"they have: {', '.join(sorted(names))}"
            )


def _merge(run: Run, source: Source, new: Sequence[str], old: Sequence[str]) -> tuple[list[str], str | None]:
    keys = ", ".join(_q(part) for part in source.key)
    place = f"row_number() OVER (PARTITION BY {keys} ORDER BY file DESC, place DESC)"
    fresh = f"SELECT * EXCLUDE (file, place) FROM new QUALIFY {place} = 1"
    keep = old and source.missing == "keep"
    with _database(run, new=new, **({"old": old} if keep else {})) as database:
        query = f"({fresh}) ORDER BY {keys}"
        if keep:
            same = " AND ".join(f"old.{_q(part)} IS NOT DISTINCT FROM fresh.{_q(part)}" for part in source.key)
            query = f"""
                WITH fresh AS ({fresh})
                (SELECT * FROM fresh UNION ALL BY NAME
                 SELECT * EXCLUDE (file, place) FROM old WHERE NOT EXISTS (SELECT 1 FROM fresh WHERE {same}))
                ORDER BY {keys}
            """
        state = list(_by_key(run, database.sql(query).to_arrow_reader(), source.key))
        replaced = database.sql(f"SELECT origin FROM new QUALIFY {place} > 1 ORDER BY file, place").to_arrow_table()
    if not replaced.num_rows:
        return state, None
    reason = f"a later row of the same load has the same {', '.join(source.key)}"
    lost = {"origin": replaced["origin"], "reason": [reason] * len(replaced), "rule": ["superseded"] * len(replaced)}
    return state, write_shard(run.store, pa.table(lost))


@contextmanager
def _database(run: Run, **tables: Sequence[str]) -> Iterator[Any]:
    """DuckDB with a view for each list of shards; `file` and `place` give the order of the rows."""
    import duckdb

    with run.store.partial() as scratch:
        database = duckdb.connect(config={"threads": run.engine.workers, "temp_directory": str(scratch)})
        try:
            for name, shards in tables.items():
                paths = [str(run.store.path(shard)) for shard in shards]
                number = {path: place for place, path in enumerate(paths)}
                order = pa.table({"filename": list(number), "file": list(number.values())})
                database.register(f"order_{name}", order)
                source = database.read_parquet(paths, union_by_name=True, filename=True, file_row_number=True)
                source.to_view(f"all_{name}")
                database.execute(
                    f"CREATE VIEW {name} AS SELECT * EXCLUDE (filename, file_row_number), file_row_number AS place "
                    f"FROM all_{name} JOIN order_{name} USING (filename)"
                )
            yield database
        finally:
            database.close()


def _by_size(run: Run, batches: Any) -> Iterator[str]:
    """Shards of about the usual size."""
    pending: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        pending.append(batch)
        size += batch.nbytes
        if size > SHARD_BYTES:
            yield write_shard(run.store, pa.Table.from_batches(pending))
            pending, size = [], 0
    if pending and (size or any(batch.num_rows for batch in pending)):
        yield write_shard(run.store, pa.Table.from_batches(pending))


def _by_key(run: Run, batches: Any, key: Sequence[str]) -> Iterator[str]:
    """Shards that end where a key's checksum says so: the same rows are cut the same way in every state."""
    rest: pa.Table | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch])
        rest = pa.concat_tables([rest, table]) if rest is not None else table
        while rest is not None and rest.nbytes > SHARD_BYTES:
            cut = _cut(rest, key)
            yield write_shard(run.store, rest.slice(0, cut))
            rest = rest.slice(cut).combine_chunks() if cut < rest.num_rows else None
    if rest is not None and rest.num_rows:
        yield write_shard(run.store, rest)


def _cut(table: pa.Table, key: Sequence[str]) -> int:
    texts = pc.binary_join_element_wise(*(pc.fill_null(table[part].cast(pa.string()), "") for part in key), "\0")
    sums = [zlib.crc32(text.encode()) for text in texts.to_pylist()]
    half = len(sums) // 2
    return half + 1 + min(range(len(sums) - half), key=lambda place: sums[half + place])


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
