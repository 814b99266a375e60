"""What else the sample company has: database, process log, manuals, e-mails and server hold together, and with the truth."""

from __future__ import annotations

import csv
import email
import itertools
import json
import os
import sqlite3
import threading
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from contextlib import closing
from datetime import datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import yaml

from stellwerk.demo import handbook_server, mails, manual_files, manuals
from stellwerk.demo.company import Truth, generate, spec_text
from stellwerk.demo.near_copies import jaccard
from stellwerk.demo.process import APPROVAL_EUR, BOTTLENECK, COLUMNS, EXPORTED

SIZE = 1500
Row = dict[str, Any]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return generate(tmp_path_factory.mktemp("company"), tickets=SIZE, seed=5)


@pytest.fixture(scope="module")
def planted(company: Truth) -> list[Row]:
    return [json.loads(line) for line in company.planted.read_text(encoding="utf-8").splitlines()]


def rows(company: Truth, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(company.folder / "raw" / "crm.db")) as database:
        return database.execute(query).fetchall()


def of_kind(planted: list[Row], *kinds: str) -> list[Row]:
    return [row for row in planted if row["kind"] in kinds]


def test_foreign_keys_hold_except_the_planted_ones(company: Truth, planted: list[Row]) -> None:
    broken = rows(company, 'SELECT "table", rowid FROM pragma_foreign_key_check')
    assert {table for table, _ in broken} == {"tickets"}
    numbers = ", ".join(str(number) for _, number in broken)
    found = {f"tickets:{ticket}" for (ticket,) in rows(company, f"SELECT ticket_id FROM tickets WHERE rowid IN ({numbers})")}
    orphans = of_kind(planted, "orphan")
    assert found == {row["doc"] for row in orphans}
    assert {row["detail"]["column"] for row in orphans} == {"customer_id", "serial"}
    spoilt = {row["doc"] for row in planted if row["kind"] in ("junk", "truncated", "wrong_language", "exact_duplicate")}
    assert not found & spoilt


def test_database_agrees_with_the_export(company: Truth, planted: list[Row]) -> None:
    orphans = {row["doc"] for row in of_kind(planted, "orphan")}
    known = {row[0]: row[1:] for row in rows(company, "SELECT t.ticket_id, t.customer_id, m.model, t.channel, t.opened "
                                                       "FROM tickets t LEFT JOIN machines m USING (serial)")}  # fmt: skip
    seen = 0
    for path in sorted((company.folder / "raw" / "tickets").glob("*.csv")):
        with path.open(encoding="latin-1", newline="") as file:
            for row in csv.DictReader(file, delimiter=";"):
                seen += 1
                if f"tickets:{row['ticket_id']}" not in orphans:
                    expected = (row["customer_id"], row["machine"], row["channel"], row["created"])
                    assert known[row["ticket_id"]] == expected
    assert seen == len(known) == SIZE
    assert rows(company, "SELECT count(DISTINCT serial), count(*) FROM machines")[0][0] == company.holdings["machines"]
    assert not rows(company, "SELECT 1 FROM tickets WHERE changed_at < opened OR (status = 'closed') != (closed IS NOT NULL)")


def test_personal_columns_stay_in_the_database() -> None:
    source = next(entry for entry in yaml.safe_load(spec_text("tickets"))["sources"] if "database" in entry)
    asked = source["database"]["query"].partition("FROM")[0]
    assert not [name for name in ("contact", "email", "phone", "iban", "company", "*") if name in asked]


def test_event_log_holds_what_the_truth_says(company: Truth, planted: list[Row]) -> None:
    cases: dict[str, list[Row]] = defaultdict(list)
    with (company.folder / "raw" / "events.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == list(COLUMNS)
        for row in reader:
            cases[row["case_id"]].append(row)
    assert len(cases) == SIZE
    assert sum(map(len, cases.values())) == company.holdings["events"]
    loops, waits = Counter[tuple[str, str]](), defaultdict(list)
    for case, events in cases.items():
        times = [datetime.fromisoformat(event["timestamp"]) for event in events]
        assert times == sorted(times) and times[-1] <= EXPORTED
        names = [event["activity"] for event in events]
        assert names[0] == "receive"
        loops.update((f"events:{case}", loop) for loop in ("reroute", "reopen") if loop in names)
        for name, before, after in zip(names[1:], times, times[1:], strict=False):
            waits[name].append((after - before).total_seconds() / 3600)
    assert loops == Counter((row["doc"], row["detail"]["loop"]) for row in of_kind(planted, "rework"))
    (slow,) = of_kind(planted, "bottleneck")
    assert slow["detail"]["median_wait_hours"] == round(median(waits[BOTTLENECK]), 1)
    assert max(waits, key=lambda name: median(waits[name])) == BOTTLENECK
    assert len({tuple(event["activity"] for event in events) for events in cases.values()}) > 20


def test_rule_of_approval_is_broken_where_the_truth_says(company: Truth, planted: list[Row]) -> None:
    way: dict[str, list[str]] = defaultdict(list)
    with (company.folder / "raw" / "events.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            way[row["case_id"]].append(row["activity"])
    amounts: dict[str, float] = {}
    for path in (company.folder / "raw" / "tickets").glob("*.csv"):
        with path.open(encoding="latin-1", newline="") as file:
            for row in csv.DictReader(file, delimiter=";"):
                amounts[row["ticket_id"]] = float(row["amount_eur"].replace(",", ".") or 0)
    broken = set()
    for case, names in way.items():
        if "order part" in names and amounts[case] > APPROVAL_EUR:
            approved = names.index("approve order") if "approve order" in names else len(names)
            if approved > names.index("order part"):
                broken.add(f"events:{case}")
    assert broken == {row["doc"] for row in of_kind(planted, "broken_rule")}
    assert broken


def test_manuals_are_what_the_truth_says(company: Truth, planted: list[Row]) -> None:
    files = [path for path in (company.folder / "raw" / "manuals").rglob("*") if path.is_file()]
    assert Counter(path.suffix for path in files) == {".pdf": 24, ".docx": 7, ".html": 7, ".md": 6}
    written = {manual.doc: manual for manual in manuals.manuals(5)}
    alike = {
        frozenset((one.doc, other.doc))
        for one, other in itertools.combinations(written.values(), 2)
        if jaccard(one.words, other.words) >= 0.8
    }
    editions = [row for row in of_kind(planted, "near_duplicate") if row["doc"] in written]
    assert alike == {frozenset((row["doc"], row["partner"])) for row in editions}
    for row in of_kind(planted, "outdated"):
        detail = row["detail"]
        old, current = written[row["doc"]].words, written[detail["see"]].words
        assert f"{detail['joint']} " in old and f"{detail['joint']} " in current
        assert detail["value"] in old and detail["current"] in current and detail["value"] != detail["current"]
    (poisoned,) = [row for row in of_kind(planted, "injection") if row["doc"] in written]
    assert written[poisoned["doc"]].hidden == poisoned["detail"]["text"]
    assert Counter(manual.language for manual in written.values())["de"] >= 20


def test_pdfs_are_read_back(company: Truth) -> None:
    kreuzberg = pytest.importorskip("kreuzberg")
    for manual in itertools.islice(manuals.manuals(5), 4):
        text = " ".join(kreuzberg.extract_file_sync(str(company.folder / manual.path)).content.split())
        for _, lines, grid in manual.sections:
            assert sum(line in text for line in lines) >= len(lines) - 2  # a page may end within a line
            assert not grid or all(cell in text for row in grid.rows for cell in row)
    assert not kreuzberg.extract_file_sync(str(company.folder / manual_files.SCAN)).content.strip()
    with pytest.raises(kreuzberg.ParsingError):
        kreuzberg.extract_file_sync(str(company.folder / manual_files.DAMAGED))


def test_office_files_hold_no_time_of_writing() -> None:
    manual = next(manual for manual in manuals.manuals(5) if manual.path.endswith(".docx"))
    assert manual_files.docx(manual) == manual_files.docx(manual)
    typesetter = manual_files.Typesetter()
    assert typesetter.pdf(manual) == manual_files.Typesetter().pdf(manual)


def body(path: Path) -> tuple[EmailMessage, str]:
    message = email.message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain", "html"))
    assert part is not None
    return message, part.get_content().replace("\r\n", "\n")


def test_mails_show_the_planted_values_and_thread(company: Truth, planted: list[Row]) -> None:
    paths = sorted((company.folder / "raw" / "mails").glob("*.eml"))
    assert len(paths) == mails.MAILS == company.holdings["mails"]
    known: set[str] = set()
    by_doc: dict[str, list[Row]] = defaultdict(list)
    for row in planted:
        by_doc[row["doc"]].append(row)
    plain = attached = umlauts = 0
    for path in paths:
        message, text = body(path)
        plain += message.get_body(("plain",)) is not None
        attached += len(list(message.iter_attachments()))
        umlauts += "=?utf-8?" in path.read_text("ascii").partition("\n\n")[0]
        answered = message["In-Reply-To"]
        assert answered is None or answered in known
        known.add(message["Message-ID"])
        heads = [row["detail"] for row in by_doc[f"mails:raw/mails/{path.name}"] if row["kind"] == "email_head"]
        ends = [("sender", message["From"]), ("recipients", message["To"])]
        assert [(detail["format"], detail["value"]) for detail in heads] == [
            (place, head.addresses[0].addr_spec) for place, head in ends
        ]
        for row in by_doc[f"mails:raw/mails/{path.name}"]:
            value = row["detail"]["value"]
            where = f"{message['From']} {message['To']} {text}"
            assert value.replace("&", "&amp;") in where or value in where, row["kind"]
    assert plain < len(paths) and attached >= 5 and umlauts >= 5
    kinds = {row["kind"] for doc, found in by_doc.items() if doc.startswith("mails:") for row in found}
    assert {"email", "email_head", "phone", "iban", "credit_card", "secret", "person_name"} <= kinds


def test_report_that_is_sent_again_is_the_same_file(company: Truth, planted: list[Row]) -> None:
    again = [row for row in of_kind(planted, "exact_duplicate") if row["doc"].startswith("mails:")]
    for row in again:
        one, other = (
            next(body(company.folder / doc.partition(":")[2].partition("#")[0])[0].iter_attachments()).get_content()
            for doc in (row["doc"], row["partner"])
        )
        assert one == other
    assert again


def test_mails_of_a_thread_are_no_near_copies() -> None:
    for one, other in itertools.combinations(mails.mails(5), 2):
        assert jaccard(one.text, other.text) < 0.78, (one.name, other.name)


def test_server_pages_and_refuses(company: Truth) -> None:
    with handbook_server.serving(company.folder) as server:
        assert os.environ[handbook_server.ADDRESS] == server.address
        assert server.address.startswith("http://127.0.0.1:")
        assert ask(server.address, None)[0] == 401
        assert ask(server.address, "wrong")[0] == 401
        assert ask(server.address.replace("articles", "other"), server.token)[0] == 404
        articles, refused, address = [], 0, server.address
        while address:
            status, answer, headers = ask(address, server.token)
            if status == 429:
                refused += 1
                assert int(headers["Retry-After"]) <= 1
                continue
            articles += answer["articles"]
            address = answer["next"]
        assert refused >= 1
        assert articles == json.loads((company.folder / "raw" / "handbook.json").read_text("utf-8"))["articles"]
        last = articles[-1]["updated_at"]
        newest = next(found for found in iter(lambda: ask(f"{server.address}?updated_since={last}", server.token), None)
                      if found[0] == 200)  # fmt: skip
        assert [article["updated_at"] for article in newest[1]["articles"]] == [last]
    assert handbook_server.ADDRESS not in os.environ
    assert not [thread for thread in threading.enumerate() if thread.name == "handbook"]
    with handbook_server.serving(company.folder, server.port) as again:
        assert again.port == server.port
        assert again.token != server.token
        with handbook_server.serving(company.folder, server.port) as other:
            assert other.port != server.port


def ask(address: str, token: str | None) -> tuple[int, Any, Any]:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers
