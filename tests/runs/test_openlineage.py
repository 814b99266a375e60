"""OpenLineage events of real runs: the official client's classes take them, and endpoints that fail get them later."""

from __future__ import annotations

import base64
import contextlib
import enum
import http.server
import importlib
import inspect
import json
import logging
import os
import pkgutil
import threading
import time
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attr
import openlineage.client.generated as generated
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openlineage.client import event_v2
from openlineage.client.serde import Serde
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
from sqlalchemy import make_url

from stellwerk.doors.cli import run as command
from stellwerk.errors import StellwerkError
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution, openlineage_delivery
from stellwerk.runs.openlineage_names import Place as Where
from stellwerk.runs.openlineage_names import places_of
from stellwerk.workspace import Workspace

PERSON = "anna.schmidt@example.org"
KEY = "sesame-0815"
FACET_CLASSES = {
    kind._get_schema(): kind
    for module in pkgutil.iter_modules(generated.__path__)
    for kind in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values()
    if inspect.isclass(kind) and hasattr(kind, "_get_schema")
}
SPEC = f"""
description: Tickets of the service desk
owner: team:service
sources:
  - name: desk
    files: raw/*.jsonl
    key: id
    text: text
tests:
  - column: doc_id
    unique: true
  - column: words
    min: 100
    severity: warn
  - column: text
    matches: ".*{PERSON}.*"
    severity: warn
"""


class Desk:
    """A workspace with a dataset that is built, tested, and broken."""

    def __init__(self, root: Path, settings: str) -> None:
        self.root = root
        Workspace.init(root)
        with (root / "stellwerk.yaml").open("a") as file:
            file.write(f"workers: 1\nopenlineage: {settings}\n")
        (root / "raw").mkdir()
        (root / "datasets").mkdir()
        self.rows(3)
        (root / "datasets" / "tickets.yaml").write_text(SPEC)
        self.workspace = Workspace(root)

    def rows(self, count: int) -> None:
        lines = [{"id": f"T{n}", "text": f"The pump number {n} of {PERSON} is loud and warm again."} for n in range(count)]
        (self.root / "raw" / "Schmidt.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def call(self, path: str, **values: Any) -> Any:
        return execution.call(self.workspace, find(path), values)

    def build(self) -> Any:
        return self.call("data.build", dataset="tickets")

    def run_ids(self) -> list[str]:
        return [row["id"] for row in self.workspace.record.rows(tables.run, order=tables.run.c.created)]

    @property
    def pending(self) -> list[Path]:
        return openlineage_delivery.waiting(self.root / ".stellwerk" / openlineage_delivery.FOLDER)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What is logged, whatever handlers a worker has put beside."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, log = Lines(), logging.getLogger("stellwerk.openlineage")
    log.addHandler(handler)
    yield lines
    log.removeHandler(handler)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk", "{file: lineage/events.jsonl, namespace: service}")


def events(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (desk.root / "lineage" / "events.jsonl").read_text().splitlines()]


def as_client(event: dict[str, Any]) -> event_v2.RunEvent:
    """The event in the official client's classes; an unknown or missing field is an error there."""
    made: event_v2.RunEvent = build(event_v2.RunEvent, event)
    return made


def build(kind: type, fields: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    fixed = {field.name for field in attr.fields(kind) if not field.init}
    made = kind(**{name.lstrip("_"): part(hints[name], name, value) for name, value in fields.items() if name not in fixed})
    assert all(getattr(made, name) == fields[name] for name in fixed if name in fields), "another version of the schema"
    return made


def part(hint: Any, name: str, value: Any) -> Any:
    """One value as its class has it; facets by their `_schemaURL`."""
    if name in ("facets", "inputFacets", "outputFacets"):
        return {key: build(FACET_CLASSES[facet["_schemaURL"]], facet) for key, facet in value.items()}
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kind = next(each for each in kinds if each is not type(None))
    if isinstance(value, list):
        (kind,) = typing.get_args(kind)
        return [part(kind, "", each) for each in value]
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return kind(value)
    return build(kind, value) if attr.has(kind) else value


def full(value: Any) -> Any:
    """Without fields that are empty: the client's classes write empty lists where ours leave the field out."""
    if isinstance(value, dict):
        return {key: full(each) for key, each in value.items() if each not in ({}, [])}
    return [full(each) for each in value] if isinstance(value, list) else value


def story(desk: Desk) -> list[dict[str, Any]]:
    """Build twice, test, and fail; the events of it."""
    desk.build()
    desk.rows(4)
    desk.build()
    desk.call("data.test", dataset="tickets")
    (desk.root / "datasets" / "tickets.yaml").write_text(SPEC.replace("raw/*", "gone/*"))
    with pytest.raises(StellwerkError):
        desk.build()
    return events(desk)


def test_every_event_is_taken_by_the_client_and_comes_back_equal(desk: Desk, tmp_path: Path) -> None:
    told = story(desk)
    transport = FileTransport(FileConfig(log_file_path=str(tmp_path / "client.jsonl"), append=True))
    for event in told:
        made = as_client(event)
        assert full(Serde.to_dict(made)) == full(event)
        transport.emit(made)
    again = [json.loads(line) for line in (tmp_path / "client.jsonl").read_text().splitlines()]
    assert full(again) == full(told)


def test_events_tell_begin_and_end_of_each_run(desk: Desk) -> None:
    told = story(desk)
    assert [event["eventType"] for event in told] == ["START", "COMPLETE"] * 3 + ["START", "FAIL"]
    assert [event["run"]["runId"].replace("-", "") for event in told] == [run for run in desk.run_ids() for _ in range(2)]
    names = [event["job"]["name"] for event in told[::2]]
    assert names == ["data.build.tickets", "data.build.tickets", "data.test.tickets", "data.build.tickets"]
    assert {event["job"]["namespace"] for event in told} == {"service"}
    assert [event["eventTime"] for event in told] == sorted(event["eventTime"] for event in told)
    (failed,) = [event for event in told if event["eventType"] == "FAIL"]
    kept = desk.workspace.record.rows(tables.run, tables.run.c.id == desk.run_ids()[-1])[0]["error"]
    assert failed["run"]["facets"]["errorMessage"]["message"] == kept.replace(str(desk.root), ".") != ""
    assert all("errorMessage" not in event["run"]["facets"] for event in told[:-1])


def test_a_build_reads_its_places_and_makes_versions(desk: Desk) -> None:
    first, second = story(desk)[1:4:2]
    assert [(each["namespace"], each["name"]) for each in first["inputs"]] == [("service", "raw")]
    assert first["inputs"][0]["inputFacets"]["inputStatistics"]["fileCount"] == 1
    outputs = {each["name"]: each for each in second["outputs"]}
    assert set(outputs) == {"dataset/tickets", "source/tickets.desk"}
    dataset = outputs["dataset/tickets"]
    assert dataset["facets"]["version"]["datasetVersion"] == "2"
    assert dataset["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "OVERWRITE"
    assert {each["name"]: each["facets"]["lifecycleStateChange"] for each in first["outputs"]}["dataset/tickets"][
        "lifecycleStateChange"
    ] == "CREATE"
    assert dataset["outputFacets"]["outputStatistics"]["rowCount"] == 4
    columns = {field["name"]: field["type"] for field in dataset["facets"]["schema"]["fields"]}
    assert columns == desk.workspace.record.resolve("dataset/tickets").identity["schema"]
    assert dataset["facets"]["ownership"]["owners"] == [{"name": "team:service"}]
    assert dataset["facets"]["documentation"]["description"] == "Tickets of the service desk"
    assert outputs["source/tickets.desk"]["facets"]["dataSource"]["name"] == "workspace"


def test_a_database_is_named_as_others_name_it(desk: Desk, postgresql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = make_url(postgresql.url())
    monkeypatch.setenv("CRM", place.set(password=KEY).render_as_string(hide_password=False))
    postgresql.execute("CREATE TABLE lineage_orders AS SELECT 1 AS id, 'Die Pumpe ist laut.' AS text")
    source = {"name": "crm", "key": "id", "database": {"url": "env:CRM", "table": "lineage_orders"}}
    (desk.root / "datasets" / "tickets.yaml").write_text(json.dumps({"sources": [source]}))
    desk.build()
    done = events(desk)[-1]
    (read,) = done["inputs"]
    server = f"postgres://127.0.0.1:{place.port}"
    assert (read["namespace"], read["name"]) == (server, f"{place.database}.public.lineage_orders")
    assert read["facets"]["dataSource"]["uri"] == f"{server}/{place.database}"
    told = (desk.root / "lineage" / "events.jsonl").read_text()
    assert KEY not in told
    assert "postgres@" not in told
    as_client(done)


def test_a_data_test_asserts(desk: Desk) -> None:
    begun, done = story(desk)[4:6]
    assert [each["name"] for each in begun["inputs"]] == ["dataset/tickets"]
    (dataset,) = done["inputs"]
    assert dataset["facets"]["version"]["datasetVersion"] == "2"
    asserted = {each["assertion"]: each for each in dataset["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert {name: each["success"] for name, each in asserted.items()} == {"unique": True, "range": False, "matches": False}
    assert asserted["range"]["severity"] == "warn"
    assert asserted["range"]["actual"] == "1"
    assert "expected" not in asserted["matches"]


def test_a_repeated_test_asserts_again(desk: Desk) -> None:
    desk.build()
    for _ in range(2):
        desk.call("data.test", dataset="tickets")
    both = [event["inputs"][0]["inputFacets"]["dataQualityAssertions"] for event in events(desk)[3::2]]
    assert both[0] == both[1]


def test_no_value_person_or_file_name_goes_out(desk: Desk) -> None:
    story(desk)
    told = (desk.root / "lineage" / "events.jsonl").read_text()
    assert PERSON.encode() in (desk.root / "raw" / "Schmidt.jsonl").read_bytes()
    person = desk.workspace.record.rows(tables.person)[0]
    for secret in (PERSON, "Schmidt", "pump", person["id"], person["name"] + '"', str(desk.root)):
        assert secret not in told


def test_a_scheduled_run_says_when_it_was_due(desk: Desk) -> None:
    run = execution.submit(desk.workspace, find("data.build"), {"dataset": "tickets"})
    with desk.workspace.record.database.writing() as connection:
        connection.execute(tables.queue.insert().values(id=run, created=0.0, attempts=0, schedule="datasets/tickets"))
        connection.execute(tables.tick.insert().values(schedule="datasets/tickets", due=1_795_410_000.0))
    execution.execute(desk.workspace, run)
    begun, done = events(desk)
    assert begun["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-11-23T05:00:00+00:00"
    assert "nominalTime" not in done["run"]["facets"]
    as_client(begun)


def test_a_cancelled_run_is_aborted(desk: Desk) -> None:
    def cancel(step: str, *_: Any) -> None:
        if step.startswith("read"):
            run = desk.run_ids()[-1]
            with contextlib.suppress(StellwerkError):
                execution.cancel(desk.workspace, run)
                time.sleep(5)  # until the heartbeat has seen it, which interrupts this

    desk.workspace.listener = cancel
    with pytest.raises(StellwerkError):
        desk.build()
    desk.workspace.listener = None
    execution.resume(desk.workspace, desk.run_ids()[-1])
    told = events(desk)
    assert [event["eventType"] for event in told] == ["START", "ABORT", "START", "COMPLETE"]
    assert len({event["run"]["runId"] for event in told}) == 1


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "events.jsonl"
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            for _ in range(50):
                openlineage_delivery.append(path, json.dumps({"n": number, "fill": "x" * 20_000}).encode() + b"\n")
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    found = [json.loads(line)["n"] for line in path.read_text().splitlines()]
    assert sorted(found) == [number for number in range(4) for _ in range(50)]


def test_a_file_that_cannot_be_written_fails_no_run(tmp_path: Path, logged: list[str]) -> None:
    desk = Desk(tmp_path / "desk", "{file: raw/Schmidt.jsonl/events}")
    assert desk.build().counts.read == 3
    assert len(logged) == 2


class Endpoint:
    """An endpoint on loopback that answers as it is told, and keeps what it took."""

    def __init__(self) -> None:
        self.answers: Callable[[int], int] = lambda count: 201
        self.asked = 0
        self.took: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.go = threading.Event()
        self.go.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.go.wait(30)
                outer.asked += 1
                status = outer.answers(outer.asked)
                if status < 300:
                    outer.took.append(json.loads(body))
                outer.headers.append(self.headers)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    if 300 <= status < 400:
                        self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/api/v1/lineage?team=7"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.go.set()
        self.server.shutdown()
        self.server.server_close()

    def types(self) -> list[str]:
        return [event["eventType"] for event in self.took]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def wired(tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("LINEAGE_KEY", KEY)
    return Desk(tmp_path / "desk", f"{{url: '{endpoint.url}', api_key: 'env:LINEAGE_KEY'}}")


def test_events_are_posted_with_the_key(wired: Desk, endpoint: Endpoint) -> None:
    wired.build()
    assert endpoint.types() == ["START", "COMPLETE"]
    assert {headers["Authorization"] for headers in endpoint.headers} == {f"Bearer {KEY}"}
    assert {headers["Content-Type"] for headers in endpoint.headers} == {"application/json"}
    assert endpoint.took[0]["job"]["namespace"] == "desk"  # the name of the workspace
    assert wired.pending == []


def test_the_clients_own_transport_posts_the_same(wired: Desk, endpoint: Endpoint) -> None:
    wired.build()
    ours = list(endpoint.took)
    transport = HttpTransport(HttpConfig(url=f"http://127.0.0.1:{endpoint.port}", auth=ApiKeyTokenProvider({"apiKey": KEY})))
    for event in ours:
        transport.emit(as_client(event))
    transport.close()
    assert full(endpoint.took[len(ours) :]) == full(ours)
    assert {headers["Authorization"] for headers in endpoint.headers} == {f"Bearer {KEY}"}


def test_an_endpoint_that_fails_gets_all_events_in_order_later(wired: Desk, endpoint: Endpoint, logged: list[str]) -> None:
    endpoint.answers = lambda count: 503 if count <= 3 else 201
    wired.build()
    assert endpoint.took == []
    assert len(wired.pending) == 2
    wired.rows(4)
    wired.build()
    assert endpoint.types() == ["START", "COMPLETE"] * 2
    assert [event["eventTime"] for event in endpoint.took] == sorted({event["eventTime"] for event in endpoint.took})
    assert wired.pending == []
    assert len(logged) == 3
    assert logged[1] == "openlineage: 127.0.0.1 answered 503; 2 events wait"
    assert not any(KEY in line or "team" in line or "lineage?" in line for line in logged)


def test_an_endpoint_that_is_down_fails_no_run(wired: Desk, endpoint: Endpoint) -> None:
    endpoint.close()
    assert wired.build().counts.read == 3
    assert len(wired.pending) == 2


def test_an_endpoint_that_hangs_delays_by_the_time_out_at_most(
    wired: Desk, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired.build()
    monkeypatch.setattr(openlineage_delivery, "SECONDS", 0.5)
    endpoint.go.clear()
    begun = time.monotonic()
    openlineage_delivery.deliver(wired.workspace, wired.workspace.settings.openlineage, {"eventType": "OTHER"})
    assert 0.4 < time.monotonic() - begun < 2
    assert len(wired.pending) == 1
    endpoint.go.set()
    monkeypatch.setattr(openlineage_delivery, "SECONDS", 10.0)
    wired.build()
    assert list(dict.fromkeys(endpoint.types())) == ["START", "COMPLETE", "OTHER"]  # OTHER once or twice: at least once
    assert endpoint.types()[-2:] == ["START", "COMPLETE"]
    assert wired.pending == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(wired: Desk, endpoint: Endpoint, status: int) -> None:
    endpoint.answers = lambda count: status
    wired.build()
    assert endpoint.asked == 2
    assert len(wired.pending) == 2


def test_an_event_that_is_refused_does_not_stop_the_next(wired: Desk, endpoint: Endpoint, logged: list[str]) -> None:
    endpoint.answers = lambda count: 422 if count == 1 else 201
    wired.build()
    assert endpoint.types() == ["COMPLETE"]
    assert wired.pending == []
    assert logged == ["openlineage: 127.0.0.1 answered 422; the event is dropped"]


def test_what_waits_is_bounded(wired: Desk, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openlineage_delivery, "MOST", 3)
    endpoint.answers = lambda count: 500
    place = wired.workspace.settings.openlineage
    for number in range(5):
        openlineage_delivery.deliver(wired.workspace, place, {"n": number})
    assert [json.loads(path.read_bytes())["n"] for path in wired.pending] == [2, 3, 4]


def test_several_threads_send_each_event_once(wired: Desk, endpoint: Endpoint) -> None:
    place = wired.workspace.settings.openlineage
    assert place is not None
    threads = [
        threading.Thread(target=openlineage_delivery.deliver, args=(wired.workspace, place, {"eventType": "OTHER", "n": n}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(event["n"] for event in endpoint.took) == list(range(8))
    assert wired.pending == []


def test_an_address_with_a_password_out_of_the_environment(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    monkeypatch.setenv("LINEAGE", f"http://bot:{KEY}%21@127.0.0.1:{endpoint.port}/lineage")
    desk = Desk(tmp_path / "desk", "{url: 'env:LINEAGE'}")
    endpoint.answers = lambda count: 500
    desk.build()
    assert {headers["Authorization"] for headers in endpoint.headers} == {
        f"Basic {base64.b64encode(f'bot:{KEY}!'.encode()).decode()}"
    }
    assert logged
    assert KEY not in " ".join(logged)


@pytest.mark.parametrize(
    ("name", "value"), [("LINEAGE", None), ("LINEAGE", f"ftp://x:{KEY}@y/z"), ("LINEAGE", "http://a:b:c/")]
)
def test_a_wrong_address_or_missing_key_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str], name: str, value: str | None
) -> None:
    monkeypatch.delenv(name, raising=False)
    if value:
        monkeypatch.setenv(name, value)
    desk = Desk(tmp_path / "desk", f"{{url: 'env:{name}'}}")
    assert desk.build().counts.read == 3
    assert all("was not told about" in line for line in logged)
    assert len(logged) == 2
    assert KEY not in " ".join(logged)


def test_the_command_line_tells_too(desk: Desk) -> None:
    assert command(["data", "build", "tickets", "-w", str(desk.root)]) == 0
    assert [event["eventType"] for event in events(desk)] == ["START", "COMPLETE"]


PLACES = [
    ("postgresql://anna@db.example.com/crm table orders",
     Where("postgres://db.example.com:5432", "crm.public.orders", "postgres://db.example.com:5432/crm")),
    ("postgresql://db:6543/crm table sales.orders",
     Where("postgres://db:6543", "crm.sales.orders", "postgres://db:6543/crm")),
    ("mysql+pymysql://root@[::1]/shop query 0123abcd",
     Where("mysql://[::1]:3306", "shop.query:0123abcd", "mysql://[::1]:3306/shop")),
    ("sqlite:///raw/crm.db table orders", Where(None, "raw/crm.db/orders", None)),
    ("sqlite:////srv/anna/crm.db table orders", Where(None, "crm.db/orders", None)),
    ("https://kb.example.com/api/articles",
     Where("https://kb.example.com", "api/articles", "https://kb.example.com/api/articles")),
    ("env:KNOWLEDGE_BASE", Where(None, "KNOWLEDGE_BASE", None)),
]  # fmt: skip


@pytest.mark.parametrize(("shown", "place"), PLACES)
def test_names_of_places(shown: str, place: Where) -> None:
    assert places_of({"made_from": {"asked": {"place": shown}}}) == [place]


def test_names_follow_the_clients_conventions() -> None:
    from openlineage.client.naming.dataset import MySQL, Postgres

    (ours,) = places_of({"made_from": {"asked": {"place": "postgresql://db/crm table orders"}}})
    theirs = Postgres(host="db", port="5432", database="crm", schema="public", table="orders")
    assert (ours.namespace, ours.name) == (theirs.get_namespace(), theirs.get_name())
    (ours,) = places_of({"made_from": {"asked": {"place": "mariadb://db/crm table orders"}}})
    mysql = MySQL(host="db", port="3306", database="crm", table="orders")
    assert (ours.namespace, ours.name) == (mysql.get_namespace(), mysql.get_name())


def test_names_of_folders() -> None:
    names = [
        "raw/a/Anna.pdf",
        "raw/b/Berta.pdf",
        "s3://bucket/manuals/x.pdf",
        "s3://bucket/manuals/old/y.pdf",
        "https://h/z.csv",
    ]
    found = places_of({"made_from": {"files": [{"name": name} for name in names]}})
    assert found == [
        Where(None, "raw", None),
        Where("https://h", "/", "https://h/"),
        Where("s3://bucket", "manuals", "s3://bucket/manuals"),
    ]
    assert places_of({}) == []


@given(st.lists(st.from_regex(r"(s3://b/|https://h:1/|)([a-z]{1,3}/){0,3}[A-Z]{4}\.pdf", fullmatch=True), max_size=8))
def test_a_place_never_names_a_file(names: list[str]) -> None:
    for place in places_of({"made_from": {"files": [{"name": name} for name in names]}}):
        assert not any(name.rpartition("/")[2] in f"{place.name}{place.uri}" for name in names)
