"""Databases as sources, on SQLite, a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import servers
from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data.files.schema import cast, unify
from stellwerk.jobs.data.files.shapes import Unreadable
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import cursor as cursors
from stellwerk.jobs.data.sources import database, dbsession
from stellwerk.workspace import Workspace

PLAIN = {pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.null()}
PASSWORD = "hunter2-Zebra"
NUMBERS = itertools.count()


class Place:
    """A workspace with one empty database."""

    def __init__(self, root: Path, kind: str, url: str) -> None:
        self.workspace = Workspace.init(root)
        self.kind, self.url = kind, url
        self.name = "crm" if kind == "sqlite" else str(sa.make_url(url).database)
        own = f"sqlite:///{root / 'raw' / 'crm.db'}" if kind == "sqlite" else url
        self.engine = sa.create_engine(own, poolclass=sa.NullPool)

    def run(self, *statements: str, **values: Any) -> None:
        """Change the database, as its other users do."""
        with self.engine.begin() as connection:
            for statement in statements:
                if values:
                    connection.execute(sa.text(statement), values)
                else:
                    connection.exec_driver_sql(statement.replace("%", "%%") if self.kind != "sqlite" else statement)

    def source(self, **fields: Any) -> Source:
        given = {name: fields.pop(name) for name in ("table", "query", "columns", "password", "url") if name in fields}
        if "cursor" in fields:
            fields.setdefault("load", "append")
        return Source.model_validate({"name": "crm", "database": {"url": self.url, **given}, **fields})

    def pieces(self, since: str | None = None, **fields: Any) -> list[pa.Table | Unreadable]:
        pieces = list(database.read(self.source(**fields), self.workspace, since, lambda: None))
        for piece in pieces:
            if isinstance(piece, pa.Table):
                assert set(piece.schema.types) <= PLAIN and piece.column_names[0] == "origin"
                piece.validate(full=True)
        return pieces

    def table(self, since: str | None = None, **fields: Any) -> pa.Table:
        tables = self.pieces(since, **fields)
        assert not [piece for piece in tables if isinstance(piece, Unreadable)]
        schema = unify([table.schema for table in tables])
        return pa.concat_tables([cast(table, schema) for table in tables])

    def rows(self, since: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self.table(since, **fields).drop_columns(["origin"]).to_pylist()]

    def fails(self, wanted: type[StellwerkError], since: str | None = None, **fields: Any) -> str:
        with pytest.raises(StellwerkError) as caught:
            self.pieces(since, **fields)
        assert type(caught.value) is wanted or (wanted is UserError and isinstance(caught.value, UserError)), caught.value
        said = str(caught.value)
        assert "\n" not in said and caught.value.__cause__ is None
        return said


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Place]]:
    ends = contextlib.ExitStack()

    def place(kind: str) -> Place:
        root = tmp_path / f"place{next(NUMBERS)}"
        if kind == "sqlite":
            (root / "raw").mkdir(parents=True)
            (root / "raw" / "crm.db").touch()
            return Place(root, kind, "sqlite:///raw/crm.db")
        server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
        name = f"crm{next(NUMBERS)}"
        url = server.create_database(name)
        ends.callback(server.drop_database, name)
        return Place(root, kind, url)

    with ends:
        yield place


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def place(request: pytest.FixtureRequest, make: Callable[[str], Place]) -> Place:
    return make(request.param)


@pytest.fixture
def postgresql(make: Callable[[str], Place]) -> Place:
    return make("postgresql")


@pytest.fixture
def sqlite(make: Callable[[str], Place]) -> Place:
    return make("sqlite")


# What comes


def test_a_table_comes_in_the_order_of_its_primary_key(place: Place) -> None:
    place.run(
        "CREATE TABLE tickets (id INTEGER PRIMARY KEY, subject VARCHAR(100), price FLOAT)",
        "INSERT INTO tickets VALUES (3, 'Störung: 5 % zu viel', 1.5), (1, NULL, NULL), (2, '', -2)",
    )
    table = place.table(table="tickets")
    assert table["origin"].to_pylist() == [f"{place.name}.tickets"] * 3
    assert table.drop_columns(["origin"]).to_pylist() == [
        {"id": 1, "subject": None, "price": None},
        {"id": 2, "subject": "", "price": -2.0},
        {"id": 3, "subject": "Störung: 5 % zu viel", "price": 1.5},
    ]
    assert [row["id"] for row in place.rows(table="tickets", key="price") if row["id"] != 1] == [2, 3]


def test_the_columns_that_are_asked_for_and_those_that_are_needed_come(place: Place) -> None:
    place.run("CREATE TABLE t (a INTEGER, b INTEGER, c INTEGER, d INTEGER)", "INSERT INTO t VALUES (1, 2, 3, 4)")
    assert place.rows(table="t", columns=["b"], key="a", cursor="c") == [{"b": 2, "a": 1, "c": 3}]


def test_a_query_is_sent_as_it_is(place: Place) -> None:
    place.run("CREATE TABLE t (id INTEGER, name VARCHAR(20))", "INSERT INTO t VALUES (1, ':x 50%'), (2, 'b'), (3, 'c;d')")
    query = "SELECT id, name, ':y %s 10%' AS sign FROM t WHERE name LIKE ':x%' OR name = 'c;d' ORDER BY id DESC; -- last first"
    assert [row["id"] for row in place.rows(query=query)] == [3, 1]
    assert place.rows(query=query)[1] == {"id": 1, "name": ":x 50%", "sign": ":y %s 10%"}
    assert [row["id"] for row in place.rows(query=query, key="id")] == [1, 3]
    assert place.table(query=query)["origin"][0].as_py() == f"{place.name}: query"


def test_a_query_without_key_may_have_two_columns_of_one_name(place: Place) -> None:
    place.run("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)")
    assert place.rows(query="SELECT a.id, b.id, 7 AS origin FROM t a JOIN t b ON a.id = b.id") == [
        {"id": 1, "id_2": 1, "origin_2": 7}
    ]


def test_an_empty_table_has_its_columns(place: Place) -> None:
    place.run("CREATE TABLE t (id INTEGER, name VARCHAR(20))")
    (table,) = place.pieces(table="t")
    assert (table.num_rows, table.column_names) == (0, ["origin", "id", "name"])
    if place.kind != "sqlite":
        assert table.schema.types == [pa.string(), pa.int64(), pa.string()]


def test_odd_names_of_tables_and_columns(place: Place) -> None:
    quote = place.engine.dialect.identifier_preparer.quote_identifier
    table, column = quote("Größe der.Tür"), quote('se"le`ct %s :x')
    with place.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} ({column} INTEGER)")
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES (1), (2)")
    assert place.rows(table="Größe der.Tür", cursor='se"le`ct %s :x') == [{'se"le`ct %s :x': 1}, {'se"le`ct %s :x': 2}]
    assert len(place.rows("2", table="Größe der.Tür", cursor='se"le`ct %s :x')) == 1


def test_views_and_schemas(postgresql: Place) -> None:
    postgresql.run("CREATE SCHEMA sales", "CREATE TABLE sales.orders AS SELECT 1 AS id", "CREATE VIEW v AS SELECT 2 AS id",
                   "CREATE MATERIALIZED VIEW m AS SELECT 3 AS id")  # fmt: skip
    assert postgresql.table(table="sales.orders")["origin"][0].as_py() == "sales.orders"
    assert [postgresql.rows(table=name) for name in ("v", "m")] == [[{"id": 2}], [{"id": 3}]]


def test_tables_stay_small_and_keep_the_order(place: Place) -> None:
    place.run("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    with place.engine.begin() as connection:
        rows = [{"i": i, "b": "x" * (40_000 if i % 500 == 0 else 10)} for i in range(60_000)]
        connection.execute(sa.text("INSERT INTO t VALUES (:i, :b)"), rows)
    tables = place.pieces(table="t")
    assert max(table.num_rows for table in tables) <= 50_000
    assert max(table.nbytes for table in tables) < 16 * 2**20 and len(tables) < 20
    assert [number for table in tables for number in table["id"].to_pylist()] == list(range(60_000))


# Types


def test_types_of_postgresql(postgresql: Place) -> None:
    postgresql.run(
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE DOMAIN code AS varchar(5)",
        """CREATE TABLE t AS SELECT 1::smallint AS small, 9223372036854775807::bigint AS big, 0.1::real AS single,
        'NaN'::float8 AS nan, '-Infinity'::float8 AS inf, true AS flag, 12.50::numeric(10,2) AS price,
        7::numeric(12,0) AS whole, 0.1::numeric AS free, 12345678901234567890.10::numeric AS much,
        99999999999999999999::numeric(20,0) AS huge,
        date '2024-02-29' AS day, timestamp '2024-01-02 03:04:05.6' AS moment, timestamptz '2024-01-02 03:04:05+02' AS zoned,
        time '13:14' AS clock, interval '1 year 2 hours' AS span, '\\xdeadbeef'::bytea AS raw, 'a'::char(5) AS padded,
        'f47ac10b-58cc-4372-a567-0e02b2c3d479'::uuid AS ident, '{"a": [1, 2.50]}'::jsonb AS doc, ARRAY[1, NULL, 3] AS list,
        ARRAY['x', '"y"'] AS texts, 'good'::mood AS mood, ARRAY['bad'::mood] AS moods, '10.0.0.1/8'::inet AS net,
        int4range(1, 5) AS range, 'abc'::code AS code, NULL::timestamp AS none, timestamptz '0001-06-01 00:00:00+00' AS early,
        repeat('ü', 1000000) AS long""",
    )
    (row,) = postgresql.rows(table="t")
    assert len(row.pop("long")) == 1_000_000
    assert str(row.pop("nan")) == "nan"
    assert row == {
        "small": 1, "big": 2**63 - 1, "single": 0.1, "inf": float("-inf"), "flag": True, "price": 12.5, "whole": 7, "free": 0.1,
        "much": "12345678901234567890.1", "huge": "99999999999999999999", "day": dt.date(2024, 2, 29),
        "moment": dt.datetime(2024, 1, 2, 3, 4, 5, 600_000), "zoned": dt.datetime(2024, 1, 2, 1, 4, 5), "clock": "13:14:00",
        "span": "P1YT2H", "raw": "deadbeef", "padded": "a", "ident": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "doc": '{"a": [1, 2.50]}', "list": "[1,null,3]", "texts": '["x","\\"y\\""]', "mood": "good", "moods": '["bad"]',
        "net": "10.0.0.1/8", "range": "[1,5)", "code": "abc", "none": None, "early": dt.datetime(1, 6, 1),
    }  # fmt: skip
    assert postgresql.table(table="t").schema.field("none").type == pa.timestamp("us")


def test_types_of_mariadb(make: Callable[[str], Place]) -> None:
    place = make("mariadb")
    place.run(
        """CREATE TABLE t (tiny TINYINT(1), flag BOOLEAN, big BIGINT UNSIGNED, single FLOAT, dbl DOUBLE, price DECIMAL(10,2),
        whole DECIMAL(12,0), huge DECIMAL(30,0), much DECIMAL(30,2), day DATE, moment DATETIME(6), stamp TIMESTAMP NULL,
        clock TIME, yr YEAR, bit1 BIT(1), bits BIT(12), raw BINARY(4), doc JSON, mood ENUM('good', 'bad'),
        tags SET('a', 'b'), body LONGTEXT, picture BLOB, pad CHAR(5))""",
        "SET time_zone = '+02:00'",
        """INSERT INTO t VALUES (1, TRUE, 18446744073709551615, 0.5, 0.1, 12.50, 7, 999999999999999999999,
        12345678901234567890.10, '2024-02-29', '2024-01-02 03:04:05.000006', '2024-01-02 03:04:05', '838:59:59', 2024,
        b'1', b'101010101010', x'deadbeef', '{"a": 1}', 'good', 'a,b', '😀ü', x'00', 'ab')""",
    )
    (row,) = place.rows(table="t")
    assert row == {
        "tiny": 1, "flag": 1, "big": "18446744073709551615", "single": 0.5, "dbl": 0.1, "price": 12.5, "whole": 7,
        "huge": "999999999999999999999", "much": "12345678901234567890.1", "day": dt.date(2024, 2, 29),
        "moment": dt.datetime(2024, 1, 2, 3, 4, 5, 6), "stamp": dt.datetime(2024, 1, 2, 1, 4, 5), "clock": "838:59:59",
        "yr": 2024, "bit1": True, "bits": 0b101010101010, "raw": "deadbeef", "doc": '{"a": 1}', "mood": "good", "tags": "a,b",
        "body": "😀ü", "picture": "00", "pad": "ab",
    }  # fmt: skip


def test_sums_and_means_are_numbers(place: Place) -> None:
    place.run("CREATE TABLE t (n INTEGER, p DECIMAL(10,2))", "INSERT INTO t VALUES (1, 1.5), (2, 2.25)")
    assert place.rows(query="SELECT sum(n) AS n, sum(p) AS p, avg(n) AS mean, count(*) AS c FROM t") == [
        {"n": 3, "p": 3.75, "mean": 1.5, "c": 2}
    ]


def test_dates_that_no_calendar_has(postgresql: Place, make: Callable[[str], Place]) -> None:
    postgresql.run(
        "CREATE TABLE t (id int primary key, until timestamptz, day date)",
        """INSERT INTO t VALUES (1, 'infinity', NULL), (2, '2024-01-01 00:00+00', '12024-01-01'),
        (3, '0044-03-15 00:00+00 BC', NULL), (4, NULL, '-infinity'), (5, '2024-01-01 00:00+00', '2024-01-01')""",
    )
    pieces = postgresql.pieces(table="t")
    odd = [piece for piece in pieces if isinstance(piece, Unreadable)]
    assert [piece.origin.partition("#")[2] for piece in odd] == ["row 1", "row 2", "row 3", "row 4"]
    assert {piece.rule for piece in odd} == {"value_out_of_range"} and "'day'" in odd[1].reason
    (table,) = [piece for piece in pieces if isinstance(piece, pa.Table)]
    assert table.drop_columns(["origin"]).to_pylist() == [
        {"id": 5, "until": dt.datetime(2024, 1, 1), "day": dt.date(2024, 1, 1)}
    ]
    place = make("mariadb")
    place.run("SET sql_mode = ''", "CREATE TABLE t (id INT PRIMARY KEY, day DATE, moment DATETIME)",
              "INSERT INTO t VALUES (1, '0000-00-00', '0000-00-00'), (2, '2024-00-10', '2024-01-01')",
              "INSERT INTO t VALUES (3, '2024-01-01', NULL)")  # fmt: skip
    tables = place.pieces(table="t")
    assert [piece.origin for piece in tables if isinstance(piece, Unreadable)] == [f"{place.name}.t#row 2"]
    (table,) = [piece for piece in tables if isinstance(piece, pa.Table)]
    assert table["day"].to_pylist() == [None, dt.date(2024, 1, 1)] and table["moment"].to_pylist() == [None, None]
    assert b"0000-00-00" in table.schema.metadata[b"stellwerk.file"]


def test_long_binary_values_are_left_out_and_named(place: Place) -> None:
    kind = {"sqlite": "BLOB", "postgresql": "bytea", "mariadb": "LONGBLOB"}[place.kind]
    place.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, raw {kind})")
    place.run("INSERT INTO t VALUES (1, :short), (2, :long)", short=b"\x00\xff", long=b"\xff" * 65)
    (table,) = place.pieces(table="t")
    assert table["raw"].to_pylist() == ["00ff", None]
    assert "'raw'" in json.loads(table.schema.metadata[b"stellwerk.file"])["notes"][0]


def test_sqlite_values_of_any_type_in_one_column(sqlite: Place) -> None:
    sqlite.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n, mixed, wide, text TEXT, none)",
        "INSERT INTO t VALUES (1, 1, 1, 9007199254740993, CAST(x'6120fc' AS TEXT), NULL)",
        "INSERT INTO t VALUES (2, 2.5, 'two', 0.5, CAST(x'610062' AS TEXT), NULL)",
        "INSERT INTO t VALUES (3, 9e999, x'ff', NULL, '', NULL)",
    )
    table = sqlite.table(table="t")
    assert table["n"].to_pylist() == [1.0, 2.5, float("inf")]
    assert table["mixed"].to_pylist() == ["1", "two", "ff"]
    assert table["wide"].to_pylist() == ["9007199254740993", "0.5", None]
    assert table["text"].to_pylist() == ["a ü", "a\x00b", ""]
    assert table.schema.field("none").type == pa.null()


def test_a_whole_number_meets_a_float_many_rows_later(sqlite: Place) -> None:
    sqlite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n, wide)")
    with sqlite.engine.begin() as connection:
        rows = [{"i": i, "n": i if i < 20_000 else i + 0.5, "w": 2**60 if i < 20_000 else 0.5} for i in range(20_001)]
        connection.execute(sa.text("INSERT INTO t VALUES (:i, :n, :w)"), rows)
    table = sqlite.table(table="t")
    assert table.schema.field("n").type == pa.float64() and table["n"][-1].as_py() == 20_000.5
    assert table["wide"].to_pylist()[-2:] == [str(2**60), "0.5"]


FINITE = st.floats(allow_nan=False, width=64)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.none() | st.integers(-(2**63), 2**63 - 1),
            "x": st.none() | FINITE,
            "s": st.none() | TEXTS,
            "d": st.none() | st.dates(),
            "t": st.none() | st.datetimes(),
            "z": st.none() | st.datetimes(min_value=dt.datetime(1900, 1, 1), timezones=st.just(dt.UTC)),
            "p": st.none() | st.decimals(-(10**10), 10**10, places=2),
            "b": st.none() | st.booleans(),
        }
    ),
    max_size=20,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_any_value_comes_back_from_postgresql(postgresql: Place, rows: list[dict[str, Any]]) -> None:
    postgresql.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (i serial PRIMARY KEY, n bigint, x float8, s text, d date, "
                   "t timestamp, z timestamptz, p numeric, b boolean)")  # fmt: skip
    if rows:
        with postgresql.engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO t (n, x, s, d, t, z, p, b) VALUES (:n, :x, :s, :d, :t, :z, :p, :b)"), rows)
    wanted = [
        {**row, "z": row["z"] and row["z"].replace(tzinfo=None), "p": None if row["p"] is None else float(row["p"])}
        for row in rows
    ]
    assert [{name: value for name, value in row.items() if name != "i"} for row in postgresql.rows(table="t")] == wanted


ANY = st.none() | st.integers(-(2**63), 2**63 - 1) | FINITE | TEXTS | st.binary(max_size=70)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(ANY, max_size=30))
def test_any_value_comes_back_from_sqlite(sqlite: Place, values: list[Any]) -> None:
    sqlite.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (i INTEGER PRIMARY KEY, v)")
    for value in values:
        sqlite.run("INSERT INTO t (v) VALUES (:v)", v=value)
    found = [row["v"] for row in sqlite.rows(table="t")]
    assert [value is None or (isinstance(value, bytes) and len(value) > 64) for value in values] == [v is None for v in found]
    kinds = {type(value) for value in values if value is not None}
    for value, got in zip(values, found, strict=True):
        if got is not None and kinds == {type(value)} and not isinstance(value, bytes):
            assert got == value
        elif got is not None and not isinstance(got, str):
            assert float(got) == float(value)
        elif got is not None:
            same = value.hex() if isinstance(value, bytes) else value
            assert got == same or Decimal(got) == Decimal(str(same)) or float(got) == float(same)


@given(values=st.lists(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**25), max_value=10**25), min_size=1))
def test_a_decimal_is_exact_or_a_text(values: list[Decimal]) -> None:
    from stellwerk.jobs.data.files.shapes import Facts
    from stellwerk.jobs.data.sources.sqltypes import Column

    array, mask = Column("p", "decimal").arrow([format(value, "f") for value in values], Facts("database"))
    assert mask is None
    if pa.types.is_floating(array.type):
        assert all(Decimal(repr(got)) == value for got, value in zip(array.to_pylist(), values, strict=True))
    else:
        assert [Decimal(got) for got in array.to_pylist()] == values


# The cursor

CURSORS = {
    "int": ("INTEGER", ["1", "2", "2", "3"]),
    "float": ("DOUBLE PRECISION", ["0.5", "1.5", "1.5", "2.5"]),
    "decimal": ("DECIMAL(12, 2)", ["0.50", "1.50", "1.50", "2.50"]),
    "date": ("DATE", ["'2024-01-01'", "'2024-01-02'", "'2024-01-02'", "'2024-01-03'"]),
    "moment": ("TIMESTAMP", [f"'2024-01-01 00:00:0{second}'" for second in (0, 1, 1, 2)]),
    "text": ("VARCHAR(30)", [f"'2024-01-01T00:00:0{second}Z'" for second in (0, 1, 1, 2)]),
}


@pytest.mark.parametrize("ask", [{"table": "t"}, {"query": "SELECT * FROM t"}], ids=["table", "query"])
@pytest.mark.parametrize("kind", CURSORS)
def test_new_rows_ties_late_rows_and_rows_without_a_value_come(place: Place, kind: str, ask: dict[str, str]) -> None:
    type_, values = CURSORS[kind]
    place.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {type_} NULL)")
    place.run(*(f"INSERT INTO t VALUES ({i}, {value})" for i, value in enumerate(values[:2])))
    first = place.table(**ask, cursor="c")
    assert first["id"].to_pylist() == [0, 1]
    since = cursors.highest(first["c"], None)
    assert since is not None
    place.run(f"INSERT INTO t VALUES (2, {values[2]}), (3, {values[3]}), (4, NULL), (5, {values[0]})")
    later = place.table(since, **ask, cursor="c", key="id")
    assert sorted(later["id"].to_pylist()) == [1, 2, 3, 4]
    assert cursors.highest(later["c"], since) == cursors.highest(place.table(**ask, cursor="c")["c"], None)
    overlap = 86400 if kind == "date" else 1
    reached = place.rows(since, **ask, cursor={"column": "c", "overlap": overlap}, key="id")
    assert sorted(row["id"] for row in reached) == [0, 1, 2, 3, 4, 5]


def test_the_start_of_a_cursor(place: Place) -> None:
    place.run("CREATE TABLE t (c TIMESTAMP NULL)" if place.kind != "sqlite" else "CREATE TABLE t (c TEXT)")
    place.run("INSERT INTO t VALUES ('2023-12-31 23:59:59'), ('2024-01-01 00:00:00'), (NULL)")
    asked = {"column": "c", "start": "2024-01-01"}
    assert len(place.rows(table="t", cursor=asked)) == 2
    assert len(place.rows("2024-01-01 00:00:00", table="t", cursor={**asked, "overlap": 10**9})) == 2
    assert "start" in place.fails(UserError, "2024-01-01", table="t", cursor={"column": "c", "start": 5})


def test_zoned_times_as_a_cursor(postgresql: Place) -> None:
    postgresql.run("CREATE TABLE t AS SELECT timestamptz '2024-07-01 00:00:00.5+02' + i * interval '1 hour' AS c "
                   "FROM generate_series(0, 2) i", "ALTER ROLE postgres SET timezone = 'Asia/Tokyo'")  # fmt: skip
    try:
        found = postgresql.table(table="t", cursor="c")["c"]
        assert cursors.highest(found, None) == "2024-07-01T00:00:00.500000"
        assert len(postgresql.rows("2024-07-01T00:00:00.500000", table="t", cursor="c")) == 1
        assert len(postgresql.rows("2024-07-01T00:00:00.500000", table="t", cursor={"column": "c", "overlap": 3600})) == 2
    finally:
        postgresql.run("ALTER ROLE postgres RESET timezone")


def test_fractions_of_texts_as_a_cursor(sqlite: Place) -> None:
    sqlite.run("CREATE TABLE t (c TEXT)", "INSERT INTO t VALUES ('2024-01-01T00:00:05.000Z'), ('2024-01-01T00:00:05.250Z'), "
               "('2024-01-01T00:00:15.250Z')")  # fmt: skip
    assert len(sqlite.rows("2024-01-01T00:00:15.250Z", table="t", cursor={"column": "c", "overlap": 10})) == 3


@pytest.mark.parametrize(
    "values", [["'abc'"], ["'9'", "'10'"], ["'2024-01-01'", "'2024-01-01T00:00:00'"], ["'2024-01-01T00:00:00+02:00'"]]
)
def test_texts_that_do_not_sort_as_times_are_no_cursor(place: Place, values: list[str]) -> None:
    place.run("CREATE TABLE t (c VARCHAR(40))", *(f"INSERT INTO t VALUES ({value})" for value in values))
    assert "written alike" in place.fails(UserError, table="t", cursor="c")


def test_truth_values_are_no_cursor(postgresql: Place) -> None:
    postgresql.run("CREATE TABLE t (c boolean)")
    assert "choose another" in postgresql.fails(UserError, table="t", cursor="c")


def test_keys_are_those_of_all_rows_in_the_same_types(place: Place) -> None:
    place.run("CREATE TABLE t (id DECIMAL(10,0), part VARCHAR(10), c INTEGER)", "INSERT INTO t VALUES (2, 'b', 5), (1, 'a', 9)")
    source = place.source(table="t", key=["id", "part"], cursor="c", load="merge", missing="delete")
    (table,) = database.keys(source, place.workspace, lambda: None)
    full = place.table(table="t", key=["id", "part"])
    assert table.schema.equals(full.select(["id", "part"]).schema)
    assert sorted(table.to_pylist(), key=str) == sorted(full.select(["id", "part"]).to_pylist(), key=str)


# One state, only reading


def test_what_changes_while_it_is_read_is_not_seen(make: Callable[[str], Place]) -> None:
    for kind in ("postgresql", "mariadb"):
        place = make(kind)
        place.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        with place.engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO t VALUES (:i)"), [{"i": i} for i in range(60_000)])
        stream = database.read(place.source(table="t"), place.workspace, None, lambda: None)
        seen = next(stream).num_rows
        place.run("DELETE FROM t WHERE id > 100", "INSERT INTO t VALUES (-1)")
        assert seen + sum(table.num_rows for table in stream) == 60_000


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "SELECT 1; DELETE FROM t",
        "SELECT 1; COMMIT; DROP TABLE t",
        "SELECT 1 AS a INTO OUTFILE '/tmp/x'",
        "SELECT 1 /*! INTO OUTFILE '/tmp/x' */",
        "SELECT * FROM t FOR UPDATE",
        "WITH gone AS (DELETE FROM t RETURNING id) SELECT * FROM gone",
        "INSERT INTO t VALUES (2)",
        "PRAGMA writable_schema = 1",
        "-- nothing",
        "SELECT 'open",
        "",
    ],
)
def test_what_is_not_one_select_is_refused(place: Place, query: str) -> None:
    place.run("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)")
    assert "query" in place.fails(UserError, query=query)
    assert place.rows(table="t") == [{"id": 1}]


def test_what_looks_like_reading_and_writes_is_refused_by_the_server(postgresql: Place) -> None:
    postgresql.run("CREATE TABLE t (id int)", "CREATE SEQUENCE s", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS "
                   "'INSERT INTO t VALUES (7) RETURNING id'")  # fmt: skip
    assert "read-only" in postgresql.fails(UserError, query="SELECT f() AS x")
    assert "WITH" in postgresql.fails(UserError, query="WITH x AS (UPDATE t SET id = 1 RETURNING id) SELECT * FROM x")
    assert "read-only" in postgresql.fails(UserError, query="SELECT nextval('s') AS x")
    assert postgresql.rows(table="t") == []


# Mistakes and accidents


def test_unknown_tables_and_columns_are_named_with_those_that_there_are(place: Place) -> None:
    place.run("CREATE TABLE tickets (id INTEGER, subject VARCHAR(10))")
    assert "did you mean tickets?" in place.fails(UserError, table="tikets")
    assert "did you mean subject?" in place.fails(UserError, table="tickets", columns=["subjekt"])
    assert "did you mean subject?" in place.fails(UserError, query="SELECT * FROM tickets", key="subjekt")
    assert "tikets" in place.fails(UserError, query="SELECT * FROM tikets")
    assert "subjekt" in place.fails(UserError, query="SELECT subjekt FROM tickets")
    assert "SQL" in place.fails(UserError, query="SELECT FROM FROM tickets") or place.kind == "sqlite"


def test_an_unknown_database_is_named_with_those_that_there_are(make: Callable[[str], Place]) -> None:
    for kind in ("postgresql", "mariadb"):
        place = make(kind)
        said = place.fails(UserError, table="t", url=place.url.replace(place.name, place.name + "x"))
        assert f"has no database {place.name}x; did you mean {place.name}?" in said


def test_a_missing_file_stays_missing(sqlite: Place) -> None:
    assert "no file raw/other.db" in sqlite.fails(UserError, table="t", url="sqlite:///raw/other.db")
    assert not (sqlite.workspace.root / "raw" / "other.db").exists()
    assert "climbs out" in sqlite.fails(UserError, table="t", url="sqlite:///raw/../../x.db")
    assert "names no file" in sqlite.fails(UserError, table="t", url="sqlite://")
    (sqlite.workspace.root / "raw" / "no.db").write_bytes(b"no database at all" * 100)
    assert "no SQLite database" in sqlite.fails(UserError, table="t", url="sqlite:///raw/no.db")
    absolute = f"sqlite:///{sqlite.workspace.root / 'raw' / 'crm.db'}"
    sqlite.run("CREATE TABLE t (id INTEGER)")
    assert sqlite.rows(table="t", url=absolute) == []


def test_a_database_with_changes_in_its_log_is_read(sqlite: Place) -> None:
    with contextlib.closing(sqlite.engine.raw_connection()) as writer:
        writer.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]
        writer.execute("CREATE TABLE t (id INTEGER)")  # type: ignore[attr-defined]
        writer.commit()
        writer.execute("INSERT INTO t VALUES (1)")  # type: ignore[attr-defined]
        assert sqlite.rows(table="t") == []
        writer.commit()
        assert sqlite.rows(table="t") == [{"id": 1}]


def test_drivers(sqlite: Place) -> None:
    assert "install the driver of mssql" in sqlite.fails(UserError, table="t", url="mssql+pyodbc://u@h/d")
    assert "install the driver of nonsense" in sqlite.fails(UserError, table="t", url="nonsense://u@h/d")
    for url, extra in (("postgresql://u@h/d", "postgres"), ("mysql://u@h/d", "mysql"), ("mariadb://u@h/d", "mysql")):
        code = (
            "import sys; sys.modules.update(psycopg=None, pymysql=None)\n"
            "from pathlib import Path\nfrom stellwerk.jobs.data.source_spec import Source\n"
            "from stellwerk.jobs.data.sources import database\nfrom stellwerk.workspace import Workspace\n"
            f"source = Source.model_validate({{'name': 's', 'database': {{'url': {url!r}, 'table': 't'}}}})\n"
            f"try: next(database.read(source, Workspace(Path({str(sqlite.workspace.root)!r})), None, lambda: None))\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        assert said.startswith("MissingExtra") and f"stellwerk[{extra}]" in said


def test_the_place_holds_no_secret(make: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch) -> None:
    place = make("sqlite")
    monkeypatch.setenv("CRM", f"postgresql+psycopg://reader:{PASSWORD}@db.example:5433/crm?sslkey={PASSWORD}")
    shown = database.place(place.source(url="env:CRM", table="sales.orders"), place.workspace)
    assert shown == "postgresql://reader@db.example:5433/crm table sales.orders"
    said = database.place(place.source(query=f"SELECT '{PASSWORD}'"), place.workspace)
    assert said.startswith("sqlite:///raw/crm.db query ") and PASSWORD not in said
    for bad in (f"postgresql://reader:a@{PASSWORD}/b@host/crm", f"postgresql://reader:a@{PASSWORD}@host/crm", PASSWORD):
        monkeypatch.setenv("CRM", bad)
        said = place.fails(UserError, url="env:CRM", table="t")
        assert PASSWORD not in said and "no address" in said


def _everything(error: BaseException | None) -> str:
    if error is None:
        return ""
    return f"{error} {error!r} {error.args} {_everything(error.__cause__)} {_everything(error.__context__)}"


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_no_error_holds_the_password(
    make: Callable[[str], Place], kind: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(dbsession, "PATIENCE", 0.1)
    monkeypatch.setenv("PASSWORD", PASSWORD)
    place = make(kind)
    place.run("CREATE TABLE t (id INTEGER)")
    url = sa.make_url(place.url)
    bad = [{"url": url.set(port=servers.free_port()), "table": "t"}, {"url": url.set(username="nobody"), "table": "t"},
           {"url": url.set(database="nothing"), "table": "t"}, {"table": "no"}, {"query": f"SELECT '{PASSWORD}' FROM no"},
           {"query": f"SELEC '{PASSWORD}'"}, {"query": f"SELECT no_function('{PASSWORD}')"},
           {"query": f"SELECT FROM '{PASSWORD}'"}, {"query": f"SELECT CAST('{PASSWORD}' AS DATE) + no FROM t"}]  # fmt: skip
    if kind == "postgresql":
        bad += [{"query": f"SELECT CAST('{PASSWORD}' AS int) AS x"}, {"query": f"SELECT '{PASSWORD}'::date AS x", "key": "x"}]
    for asked in bad:
        asked = {name: value.render_as_string() if name == "url" else value for name, value in asked.items()}
        with pytest.raises(StellwerkError) as caught:
            place.pieces(**asked, password="env:PASSWORD")
        assert PASSWORD not in _everything(caught.value) and "\n" not in str(caught.value)


def test_a_wrong_password_is_said_without_it(mariadb: servers.MariaDB, make: Callable[[str], Place], monkeypatch: Any) -> None:
    mariadb.execute("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'right'")
    monkeypatch.setenv("PASSWORD", PASSWORD)
    place = make("mariadb")
    url = sa.make_url(place.url).set(username="reader").render_as_string()
    said = place.fails(UserError, url=url, password="env:PASSWORD", table="t")
    assert "does not let this user in" in said and PASSWORD not in said and "reader@127.0.0.1" in said


def test_a_wrong_password_of_postgresql(postgresql: Place, postgres: servers.PostgreSQL, monkeypatch: Any) -> None:
    assert postgres.folder is not None
    rules = postgres.folder / "data" / "pg_hba.conf"
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    postgres.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
    postgres.execute("SELECT pg_reload_conf()")
    url = sa.make_url(postgresql.url).set(username="locked").render_as_string()
    monkeypatch.setenv("PASSWORD", PASSWORD)
    for password in ({"password": "env:PASSWORD"}, {}):
        said = postgresql.fails(UserError, url=url, table="t", **password)
        assert "does not let this user in" in said and PASSWORD not in said
    monkeypatch.setenv("PASSWORD", "right")
    assert "has no table t" in postgresql.fails(UserError, url=url, table="t", password="env:PASSWORD")


def test_an_absent_server_is_one_sentence(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbsession, "PATIENCE", 0.6)
    for scheme in ("postgresql", "mysql", "mariadb"):
        port = servers.free_port()
        said = sqlite.fails(StellwerkError, url=f"{scheme}://reader@127.0.0.1:{port}/crm", table="t")
        assert f"no database answers at {scheme}://reader@127.0.0.1:{port}/crm" in said


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_connection_that_is_killed_half_way_is_one_sentence(make: Callable[[str], Place], kind: str) -> None:
    place = make(kind)
    place.run("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    for start in range(0, 80_000, 20_000):
        with place.engine.begin() as connection:
            rows = [{"i": start + i, "b": "x" * 500} for i in range(20_000)]
            connection.execute(sa.text("INSERT INTO t VALUES (:i, :b)"), rows)
    stream = database.read(place.source(table="t"), place.workspace, None, lambda: None)
    assert next(stream).num_rows < 80_000
    with place.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if kind == "postgresql":
            connection.execute(sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                       "WHERE datname = current_database() AND pid <> pg_backend_pid()"))  # fmt: skip
        else:
            for (number,) in connection.execute(sa.text(
                "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
            )).all():  # fmt: skip
                connection.exec_driver_sql(f"KILL CONNECTION {number}")
    with pytest.raises(StellwerkError, match="was lost before all rows were read") as caught:
        list(stream)
    assert type(caught.value) is StellwerkError and caught.value.__context__ is None


def test_a_run_that_is_told_to_end_ends_at_once(place: Place) -> None:
    place.run("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    with place.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (:i, :b)"), [{"i": i, "b": "x" * 100} for i in range(30_000)])
    calls = itertools.count()

    class Stop(Exception):
        pass

    def check() -> None:
        if next(calls) == 3:
            raise Stop

    with pytest.raises(Stop):
        list(database.read(place.source(table="t"), place.workspace, None, check))
    stream = database.read(place.source(table="t"), place.workspace, None, lambda: None)
    next(stream)
    stream.close()
    place.run("DROP TABLE t")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "sqlite"])
def test_memory_does_not_grow_with_the_table(make: Callable[[str], Place], kind: str) -> None:
    place = make(kind)
    place.run("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    series = {"postgresql": "SELECT i, repeat('x', 4000) FROM generate_series(1, 40000) i",
              "mariadb": "SELECT seq, repeat('x', 4000) FROM seq_1_to_40000",
              "sqlite": "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 40000) "
                        "SELECT i, printf('%.4000c', 'x') FROM s"}  # fmt: skip
    with place.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO t {series[kind]}".replace("%", "%%" if kind != "sqlite" else "%"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    held = pa.total_allocated_bytes()
    rows = most = 0
    for table in database.read(place.source(table="t"), place.workspace, None, lambda: None):
        assert isinstance(table, pa.Table)
        rows += table.num_rows
        most = max(most, pa.total_allocated_bytes() - held)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 40_000
    assert peak < 40 * 2**20 and most < 40 * 2**20  # of 160 MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120 * 1024
