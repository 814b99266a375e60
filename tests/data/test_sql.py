"""SQL on dataset tables: what it answers, and every way out of the sandbox that was thought of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stellwerk.errors import UserError
from stellwerk.jobs.data import sql as module
from stellwerk.jobs.data.sql import query, to_arrow

SMALL = pa.table({"doc_id": ["a", "b", "c"], "mail": ["anna@example.org", "7", None], "n": [1, 2, 3]})
bystander = pa.table({"secret": [42]})  # a Python variable, which must not be a table


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Any]:
    write_deltalake(str(tmp_path / "t"), pa.table({"doc_id": [str(each) for each in range(5000)], "x": list(range(5000))}))
    return {"tickets": tmp_path / "t", "small": SMALL}


def test_a_delta_table_and_an_arrow_table_are_asked_together(tables: dict[str, Any]) -> None:
    result = query(tables, "SELECT count(*) AS n, max(x) AS m, avg(x) FROM tickets JOIN small ON x = small.n")
    assert result.columns == ["n", "m", "avg(x)"] and result.types == ["BIGINT", "BIGINT", "DOUBLE"]
    assert result.rows == [[3, 3, 2.0]] and not result.truncated and result.seconds > 0


@pytest.mark.parametrize(
    "statement",
    [
        "FROM small",
        "VALUES (1, 2)",
        "WITH a AS (SELECT n FROM small) SELECT sum(n) FROM a",
        "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 5) SELECT * FROM r",
        "DESCRIBE small",
        "SUMMARIZE small",
        "SHOW TABLES",
        "SELECT * FROM range(3)",
        "SELECT unnest([1, 2])",
        "PIVOT small ON n IN (1, 2) USING count(*)",
        "SELECT lpad(doc_id, 5, '0'), repeat('-', 3) FROM small",
        "SELECT * FROM SMALL -- names are read without regard to case",
        "SELECT 1;",
    ],
)
def test_what_is_allowed(tables: dict[str, Any], statement: str) -> None:
    assert query(tables, statement).rows


def test_the_limit_and_whether_there_was_more(tables: dict[str, Any]) -> None:
    for limit, truncated in ((1, True), (4999, True), (5000, False), (6000, False)):
        result = query(tables, "SELECT x FROM tickets ORDER BY x", limit=limit)
        assert [row[0] for row in result.rows] == list(range(min(limit, 5000)))
        assert result.truncated is truncated
    with pytest.raises(UserError, match="at least 1"):
        query(tables, "SELECT 1", limit=0)


def test_a_long_result_is_not_computed_to_its_end(tables: dict[str, Any]) -> None:
    result = query(tables, "SELECT * FROM range(1000000000000)", limit=10)
    assert result.truncated and result.seconds < 5


def test_the_result_ends_at_its_bytes(tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESULT_BYTES", 1000)
    result = query(tables, "SELECT repeat('x', 400) FROM range(100)")
    assert result.truncated and len(result.rows) == 2


def test_every_value_is_json(tables: dict[str, Any]) -> None:
    result = query(
        tables,
        "SELECT [1, NULL] AS l, {'d': DATE '2024-01-31'} AS s, 'x'::BLOB AS b, 1.5::DECIMAL(9, 2) AS c, 1e308 * 10 AS i, "
        "'nan'::DOUBLE AS nan, TIMESTAMP '2024-01-31 10:00' AS t, map {'k': 1} AS m, "
        "12345678901234567890123::HUGEINT AS h, 1 AS l",
    )
    assert result.rows[0][:5] == [[1, None], {"d": "2024-01-31"}, "78", 1.5, "inf"]
    assert result.rows[0][5:9] == ["nan", "2024-01-31T10:00:00", {"k": 1}, 12345678901234567890123]
    assert result.columns[-1] == "l_2"
    assert type(result).model_validate_json(result.model_dump_json()) == result


REACHING = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/*.parquet')",
    "SELECT * FROM parquet_metadata('/tmp/a')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'https://example.org/a.csv'",
    "SELECT EXISTS (SELECT 1 FROM read_text('/etc/passwd'))",
    "SELECT * FROM small WHERE n IN (SELECT 1 FROM glob('*'))",
    "WITH a AS (FROM read_text('/etc/passwd')) FROM a",
    "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('small')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_settings",
    "WITH a AS (WITH duckdb_settings AS (SELECT 1) SELECT 1) SELECT * FROM duckdb_settings",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM bystander",
    "SELECT * FROM tables",
    "SELECT * FROM SMALL_TABLE",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SHOW DATABASES",
    "COPY small TO '/tmp/stellwerk-out.csv'",
    "COPY (SELECT 1) TO '/tmp/stellwerk-out.csv'",
    "EXPORT DATABASE '/tmp/stellwerk-out'",
    "IMPORT DATABASE '/tmp/stellwerk-out'",
    "ATTACH '/tmp/stellwerk.db'",
    "ATTACH ':memory:' AS m",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/tmp/x.so'",
    "SET threads = 1",
    "SET enable_external_access = true",
    "RESET memory_limit",
    "PRAGMA database_list",
    "PRAGMA enable_logging",
    "CALL pragma_version()",
    "CREATE TABLE z AS SELECT 1",
    "CREATE MACRO f() AS (SELECT 1)",
    "CREATE SECRET (TYPE http)",
    "CREATE VIEW v AS SELECT 1",
    "INSERT INTO small VALUES ('x', 'y', 1)",
    "DELETE FROM small",
    "UPDATE small SET n = 1",
    "DROP VIEW small",
    "WITH x AS (DELETE FROM small RETURNING *) SELECT * FROM x",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "EXPLAIN ANALYZE SELECT 1",
    "CHECKPOINT",
    "VACUUM",
    "USE memory",
    "BEGIN",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '/tmp/stellwerk-out.csv'",
    "",
    "-- nothing",
    "SELECT range(1000000000)",
    "SELECT repeat('x', 4000000000)",
    "SELECT repeat('x', n) FROM small",
    "SELECT list_resize([1], 1000000000, 0)",
    "SELECT sleep_ms(100000)",
]


@pytest.mark.parametrize("statement", REACHING)
def test_nothing_else_is_reached(tables: dict[str, Any], statement: str) -> None:
    with pytest.raises(UserError) as error:
        query(tables, statement)
    assert "\n" not in str(error.value)
    assert not list(Path("/tmp").glob("stellwerk-out*"))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '/tmp/stellwerk-out.csv'",
        "ATTACH '/tmp/stellwerk.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET disabled_filesystems = ''",
        "RESET disabled_filesystems",
        "SET memory_limit = '50GB'",
        "SELECT * FROM bystander",
        "SELECT getenv('HOME')",
    ],
)
def test_the_second_wall_holds_without_the_first(tables: dict[str, Any], statement: str) -> None:
    import duckdb

    bystander = pa.table({"secret": [42]})
    assert bystander.num_rows == 1
    with module._sandbox(tables) as connection, pytest.raises(duckdb.Error):
        connection.execute(statement).fetchall()


def test_a_query_is_stopped_in_time(tables: dict[str, Any]) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=r"stopped after 0\.5 seconds"):
        query(tables, "SELECT sum(a.x * b.x * c.x) FROM tickets a, tickets b, tickets c", timeout_seconds=0.5)
    assert time.monotonic() - start < 10
    assert query(tables, "SELECT 1").rows == [[1]]


def test_too_much_memory_ends_the_query_and_not_the_process(tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY", "30MB")
    with pytest.raises(UserError, match="memory"):
        query(tables, "SELECT a.x, list(b.x) FROM tickets a, tickets b GROUP BY a.x")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELEKT 1", "syntax error"),
        ("SELECT * FROM ticket", "did you mean tickets?"),
        ("SELECT mial FROM small", "did you mean mail?"),
        ("SELECT s.mial FROM small s", "mial"),
        ("SELECT n FROM small GROUP BY mail", "GROUP BY"),
        ("SELECT nosuch(n) FROM small", "nosuch"),
        ("PIVOT small ON mail USING count(*)", "PIVOT t ON c IN"),
    ],
)
def test_a_mistake_is_one_sentence_with_a_hint(tables: dict[str, Any], statement: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        query(tables, statement)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "expression",
    [
        "mail::INT", "error(mail)", "strptime(mail, '%Y')", "mail::DATE", "json_extract(mail, '$.a')",
        "regexp_matches('a', mail || '(')", "CAST(mail AS UUID)", "unhex(mail)", "chr(n * 1000000000000)",
    ],
)  # fmt: skip
def test_an_error_never_quotes_a_value_of_the_data(tables: dict[str, Any], expression: str) -> None:
    with pytest.raises(UserError) as error:
        query(tables, f"SELECT {expression} FROM small")
    assert "anna" not in str(error.value)


def test_a_folder_that_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no _delta_log"):
        query({"t": tmp_path}, "SELECT 1")


def test_an_export_streams(tables: dict[str, Any]) -> None:
    with to_arrow(tables, "SELECT x, doc_id FROM tickets WHERE x % 2 = 0") as reader:
        assert reader.schema.names == ["x", "doc_id"]
        assert reader.read_all().num_rows == 2500
    for batch in to_arrow(tables, "FROM small"):
        assert batch.num_rows == 3
    with to_arrow(tables, "SELECT * FROM range(1000000000000)") as endless:
        assert next(iter(endless)).num_rows > 0
    with pytest.raises(UserError, match="not allowed"):
        to_arrow(tables, "SELECT * FROM read_text('/etc/passwd')")
    with pytest.raises(UserError, match="does not fit"):
        to_arrow(tables, "SELECT mail::INT FROM small").read_all()
    with pytest.raises(UserError, match=r"stopped after 0\.3"):
        list(to_arrow(tables, "FROM range(1000000000000)", 0.3))


def test_an_error_after_the_first_batches_quotes_no_value(tables: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        to_arrow(tables, "SELECT (CASE WHEN x = 4000000 THEN 'anna' ELSE '1' END)::INT FROM range(5000000) r(x)").read_all()
    assert "does not fit" in str(error.value) and "anna" not in str(error.value)
