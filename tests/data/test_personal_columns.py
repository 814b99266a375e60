"""Personal data in keys, numbers and short values: they reach nothing that is published, and plain numbers stay."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databases import record_bytes
from stellwerk.jobs.data import ids
from stellwerk.jobs.data.documents import as_documents
from stellwerk.jobs.data.ledger import decided
from stellwerk.jobs.data.merge import COPY
from stellwerk.jobs.data.personal_columns import scan_column
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.text.personal import KINDS
from stellwerk.workspace import Workspace

if TYPE_CHECKING:
    from conftest import Place

PEPPER = "pepper"
PEOPLE = ["anna.ottensooser", "bernd.quandel", "cem.yildizhan", "dora.wiechert"]
PHONES = [4915112345678, 4915187654321, 4917612349876, 493023125678]
NOTED = "+49 171 2345987"
CARD = 4111111111111111
PLANTED = [*(f"{name}@firma-beispiel.de" for name in PEOPLE), *map(str, PHONES), NOTED, str(CARD)]


def found(name: str, values: list[Any]) -> list[tuple[int, str, str]]:
    """What is found in a column: row, kind, the characters of the value."""
    column = pa.chunked_array([pa.array(values)])
    rows = scan_column(name, column, list(KINDS)).to_pylist()
    texts = [f"{value:.0f}" if isinstance(value, float) else str(value) for value in values]
    return [(row["row"], row["kind"], texts[row["row"]][row["start"] : row["end"]]) for row in rows]


@pytest.mark.parametrize(
    "name", ["phone", "Telefon", "Telefon-Nr.", "customerPhone", "phone_2", "tel", "Mobil", "Rufnummer", "phone_", "msisdn"]
)
def test_a_number_is_a_telephone_number_where_the_name_says_so(name: str) -> None:
    assert found(name, [4915112345678, None, 17]) == [(0, "PHONE", "4915112345678")]
    assert found(name, [4915112345678.0, None, 1.5]) == [(0, "PHONE", "4915112345678")]
    assert found(name, ["4915112345678", "unknown"]) == [(0, "PHONE", "4915112345678")]


def test_a_column_that_was_joined_is_believed_where_most_numbers_are_valid() -> None:
    assert [row for row, *_ in found("phone_customers", PHONES)] == [0, 1, 2, 3]
    assert found("phone_sales", [1_234_567, 9_345_678, 15_234_567]) == []


@pytest.mark.parametrize("name", ["id", "customer_id", "amount", "order_no", "created", "value", "contact", "mobile_revenue"])
@given(seed=st.integers(0, 1000))
def test_plain_numbers_are_not_found(name: str, seed: int) -> None:
    pick = random.Random(seed)
    for digits in (8, 10, 13, 15, 16, 18):
        values = [pick.randrange(10 ** (digits - 1), 10**digits) for _ in range(50)]
        assert found(name, values) == []
    assert found(name, [4_930_000_123 + n for n in range(50)]) == []
    assert found(name, [1_700_000_000_000 + n for n in range(50)]) == []


def test_counts_of_mobile_visits_are_no_telephone_numbers() -> None:
    assert found("mobile", [1_234_567, 23_456_789]) == []


def test_cards_are_found_as_numbers_where_most_have_the_check_digit_and_nothing_speaks_against_it() -> None:
    cards = [CARD, 5500005555555559]
    assert [kind for _, kind, _ in found("paid_with", cards)] == ["CREDIT_CARD"] * 2
    assert found("order_no", cards) == []


def test_the_name_of_a_column_speaks_for_its_short_values() -> None:
    assert found("password", ["Sommer2024!"]) == [(0, "SECRET", "Sommer2024!")]
    assert found("note", ["Sommer2024!"]) == []
    both = found("phone", ["0151/12345678", "anna@firma.de"])
    assert both == [(0, "PHONE", "0151/12345678"), (1, "EMAIL", "anna@firma.de")]


def rows(**columns: list[Any]) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table({"origin": [f"a.csv#line {line + 2}" for line in range(n)], **columns})


def shaped(table: pa.Table, key: list[str], hide: list[str]) -> list[str]:
    documents = as_documents(table, source="m", key=key, text=[], drop=[], hide=hide, pepper=PEPPER)
    names: list[str] = documents["doc_id"].to_pylist()
    return names


def test_only_the_ids_of_rows_with_personal_data_are_hidden_and_always_alike() -> None:
    keys = ["anna@firma.de", "K-17", None, "a~b"]
    names = shaped(rows(email=keys), ["email"], ["EMAIL"])
    assert names == [f"m:{ids.hidden(PEPPER, 'anna@firma.de')}", "m:K-17", "m:a.csv#line 4", "m:a~~b"]
    assert shaped(rows(email=keys[::-1]), ["email"], ["EMAIL"])[3] == names[0]
    assert shaped(rows(email=keys), ["email"], [])[0] == "m:anna@firma.de"
    assert shaped(rows(email=keys), ["email"], ["IBAN"])[0] == "m:anna@firma.de"


def test_compound_keys_numbers_and_copies_are_hidden_too_and_stay_different() -> None:
    (both,) = shaped(rows(city=["Hof"], phone=[4915112345678]), ["city", "phone"], ["PHONE"])
    assert both == f"m:{ids.hidden(PEPPER, 'Hof|4915112345678')}"
    twice = shaped(rows(email=["a@b.de", "a@b.de"], **{COPY: [1, 2]}), ["email"], ["EMAIL"])
    assert twice == [f"m:{ids.hidden(PEPPER, 'a@b.de')}", f"m:{ids.hidden(PEPPER, 'a@b.de')}~2"]


@given(key=st.text())
def test_a_hidden_id_does_not_change_again_and_is_no_number_of_a_copy(key: str) -> None:
    name = ids.unchanging(PEPPER, f"m:{key}")
    assert name == ids.unchanging(PEPPER, name)
    assert not name.removeprefix("m:~").isdigit()


def test_a_document_is_found_by_what_people_type(place: Place) -> None:
    secret = ids.pepper(place.workspace)
    for typed in ("anna@firma.de", "m:anna@firma.de", f"m:{ids.hidden(secret, 'anna@firma.de')}"):
        assert f"m:{ids.hidden(secret, 'anna@firma.de')}" in ids.spellings(place.workspace, ["l", "m"], typed)
    assert f"m:{ids.hidden(secret, 'a@b.de')}~2" in ids.spellings(place.workspace, ["m"], "a@b.de~2")
    assert f"m:{ids.hidden(secret, 'a~~b@b.de')}" in ids.spellings(place.workspace, ["m"], "a~b@b.de")


def test_another_workspace_hides_otherwise(tmp_path: Path) -> None:
    first, second = Workspace.init(tmp_path / "a"), Workspace.init(tmp_path / "b")
    assert ids.hidden(ids.pepper(first), "anna@firma.de") != ids.hidden(ids.pepper(second), "anna@firma.de")


def test_the_ledger_tells_no_value_that_failed_a_bound() -> None:
    documents = rows(email=["anna@firma.de", "none"]).append_column("doc_id", pa.array(["m:1", "m:2"]))
    documents = documents.append_column("source", pa.array(["m", "m"]))
    normalised = pa.table({name: pa.array([0, 0]) for name in ("mojibake", "controls", "spaces", "unicode")})
    scan = scan_column("email", documents["email"], ["EMAIL"])
    personal = scan.append_column("column", pa.array(["email"], pa.string()))
    bounds = pa.table(
        {
            "step": ["select", "select"],
            "rule": ["email", "email"],
            "value": ["anna@firma.de", "none"],
            "bound": ["email not in anna@firma.de, x", "email in bob@firma.de, y"],
        }
    )
    copies = pa.table({"kind": ["none"] * 2, "kept": ["m:1", "m:2"], "jaccard": [1.0, 1.0], "cluster": ["m:1", "m:2"]})
    split = {"train": 1.0, "validation": 0.0, "test": 0.0, "seed": 0}
    for action, expected in (
        ("mask", [("[EMAIL]", "email not in [EMAIL], x"), ("none", "email in [EMAIL], y")]),
        ("drop", [("[EMAIL]", "email not in [EMAIL], x"), ("none", "email in [EMAIL], y")]),
        ("keep", [("anna@firma.de", "email not in anna@firma.de, x"), ("none", "email in bob@firma.de, y")]),
    ):
        ledger = decided(documents, normalised, personal, bounds, copies, near=0.8, action=action, split=split)
        assert list(zip(ledger["value"].to_pylist(), ledger["bound"].to_pylist(), strict=True)) == expected


def text(number: int) -> str:
    words = ["pump", "valve", "spindle", "motor", "drive", "filter", "gasket", "coolant", "sensor", "table", "guard", "lamp"]
    return " ".join(f"{words[(number * 7 + n * 5) % 12]} {number * n}" for n in range(9))


@pytest.fixture(scope="module")
def published(places: Any) -> Place:
    """Twelve letters by e-mail address, one number of each person twice: as a number and in a note; one exact copy."""
    place: Place = places()
    letters = [
        {"email": f"{PEOPLE[n]}@firma-beispiel.de" if n < 4 else f"K-{n}", "phone": PHONES[n % 4], "paid": CARD,
         "note": f"call {NOTED} before noon", "amount": 1_000_000 + n, "text": text(n)}
        for n in range(12)
    ]  # fmt: skip
    letters[1]["text"] = letters[0]["text"]
    place.rows("raw/letters.jsonl", [*letters, {**letters[2], "text": f"{text(40)} mail {PLANTED[2]}"}])
    source = {"name": "letters", "files": "raw/letters.jsonl", "key": "email", "text": "text"}
    place.spec(sources=[source], languages=["en"], select={"amount": {"max": 1_000_010}, "phone": {"required": True}})
    place.build()
    return place


def call(place: Place, name: str, **values: Any) -> Any:
    return execution.call(place.workspace, find(name), values)


def planted_in(said: str) -> list[str]:
    return [value for value in PLANTED if value in said]


def test_everything_planted_is_in_what_was_read(published: Place) -> None:
    documents = published.read(published.version("dataset/set").content["documents"])
    assert planted_in(str(documents.to_pydict())) == PLANTED, "else the tests below would search for what is nowhere"


def test_no_artifact_of_a_version_but_what_was_read_holds_personal_data(published: Place) -> None:
    content = published.version("dataset/set").content
    for part in set(content) - {"table", "documents", "normalised"}:
        assert planted_in(str(published.read(content[part]).to_pydict())) == [], part
    table = published.table()
    assert planted_in(str(table.to_pydict())) == []
    assert table["phone"].null_count == table.num_rows == 11
    assert set(table["paid"].to_pylist()) <= {None, "[CREDIT_CARD]"}
    assert table["amount"].null_count == 0
    assert "[PHONE]" in table["note"][0].as_py()
    folder = published.workspace.store.table(content["table"])
    for file in folder.rglob("*"):
        assert not file.is_file() or planted_in(file.read_bytes().decode("latin-1")) == [], file.name


def test_copies_and_clusters_name_hidden_ids(published: Place) -> None:
    secret = ids.pepper(published.workspace)
    first, second = (f"letters:{ids.hidden(secret, value)}" for value in PLANTED[:2])
    ledger = {row["doc_id"]: row for row in published.ledger()}
    assert ledger[second]["rule"] == "exact_duplicate"
    assert first in ledger[second]["details"]
    assert "mask:PHONE" in ledger[first]["rule"]
    assert f"letters:{ids.hidden(secret, PLANTED[2])}~2" in ledger
    assert "letters:K-5" in ledger


def test_the_record_and_the_lock_hold_no_personal_data(published: Place) -> None:
    kept = {**record_bytes(published.workspace), "lock": (published.root / "stellwerk.lock").read_bytes()}
    assert len(kept) > 1
    for name, content in kept.items():
        assert planted_in(content.decode("latin-1")) == [], name


def test_exports_reports_and_queries_hold_no_personal_data(published: Place) -> None:
    for form in ("croissant", "jsonl", "parquet", "huggingface"):
        folder = published.root / "out" / form
        call(published, "data.export", dataset="set", folder=str(folder), format=form)
        for file in folder.rglob("*"):
            if file.suffix == ".parquet":
                assert planted_in(str(pq.read_table(file).to_pydict())) == [], file.name
            if file.is_file():
                assert planted_in(file.read_bytes().decode("latin-1")) == [], file.name
    assert planted_in(call(published, "data.profile", dataset="set").model_dump_json()) == []
    for table in ("documents", "ledger", "scores"):
        rows_of = call(published, "data.query", dataset="set", sql=f"SELECT * FROM {table}")
        assert planted_in(rows_of.model_dump_json()) == [], table


def test_a_comparison_names_hidden_ids(published: Place) -> None:
    source = {"name": "letters", "files": "raw/letters.jsonl", "key": "email", "text": "text"}
    published.spec("less", sources=[source], languages=["en"], select={"amount": {"min": 1_000_003}})
    published.build("less")
    said = call(published, "data.diff", first="set", second="less").model_dump_json()
    assert "letters:~" in said
    assert planted_in(said) == []
