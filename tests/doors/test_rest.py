"""What REST answers over a real connection: results, runs and their events, sentences for mistakes, and limits."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from served import ended, served, work_on_queue

from stellwerk.operation import LocalPath, load_all
from stellwerk.record import tables
from stellwerk.workspace import Workspace

OUTSIDE = "what stands outside of the workspace"
# DuckDB looks up from its work only between two batches, and this is one that lasts.
BOMB = "SELECT max(levenshtein(repeat(x.text, 1000), repeat(y.text, 1000))) FROM documents x, documents y"


def post(client: httpx.Client, operation: str, /, **values: Any) -> httpx.Response:
    return client.post(f"/api/{operation.replace('.', '/')}", json=values)


@pytest.mark.parametrize(
    ("path", "content", "status", "said"),
    [
        ("/api/data/query", '{"dataset": "letters"', 422, "the body is no JSON"),
        ("/api/data/query", '["letters"]', 422, "the body must be a JSON object"),
        ("/api/data/query", "{}", 422, "dataset is missing; sql is missing"),
        ("/api/data/query", '{"dataset": "letters", "sql": 7}', 422, "sql: input should be a valid string"),
        ("/api/data/query", '{"dataset": "letters", "sql": "SELECT 1", "rows": 1}', 422, "there is no parameter rows"),
        ("/api/data/query", '{"dataset": "letter", "sql": "SELECT 1"}', 422, "letter"),
        ("/api/data/query", '{"dataset": "letters", "sql": "SELECT nix FROM documents"}', 422, "there is no column nix here"),
        ("/api/data/query", '{"dataset": "a\\u0000", "sql": "SELECT 1"}', 422, "a character that is none"),
        ("/api/data/query", '{"dataset": "\\ud800", "sql": "SELECT 1"}', 422, "a character that is none"),
        ("/api/runs/list", '{"limit": 1e400}', 422, "limit"),
        ("/api/runs/list", '{"limit": -1}', 422, "limit"),
        ("/api/runs/follow", '{"seconds": NaN}', 422, "seconds: input should be a finite number"),
        ("/api/data/query", f'{{"dataset": "letters", "sql": "SELECT 1", "limit": {2**64}}}', 422, "a number is larger than"),
        ("/api/data/build", '{"dataset": "nothing"}', 422, "there is no datasets/nothing.yaml; there are: letters"),
        ("/api/runs/show", '{"run_id": "zzz"}', 422, "no run begins with 'zzz'"),
        ("/api/runs/cancel", '{"run_id": "latest"}', 409, "has ended (done); there is nothing to cancel"),
        ("/api/runs/resume", '{"run_id": "latest"}', 409, "is done; there is nothing to resume"),
        ("/api/data/try", '{"file": "/etc/passwd"}', 422, "send the file with POST /api/uploads"),
        ("/api/data/export", '{"dataset": "letters", "folder": "x"}', 422, "there is no parameter folder"),
        ("/api/record/export", '{"file": "/tmp/x"}', 422, "there is no parameter file"),
    ],
)
def test_a_mistake_is_a_status_and_one_sentence(client: httpx.Client, path: str, content: str, status: int, said: str) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_what_only_the_machine_itself_offers_is_not_there(client: httpx.Client) -> None:
    local = [entry for entry in load_all() if entry.local]
    assert {"backup", "restore"} <= {entry.path for entry in local}
    assert {post(client, entry.path, **entry.example).status_code for entry in local} == {404}


def test_a_call_that_is_only_checked_notes_no_run(client: httpx.Client, desk: Path) -> None:
    before = len(Workspace(desk).record.rows(tables.run))
    for values, status in (({"dataset": "letters"}, 200), ({"dataset": "nothing"}, 422), ({}, 422)):
        by_header = client.post("/api/data/build", json=values, headers={"Prefer": "validate-only"})
        by_query = client.post("/api/data/build", json=values, params={"validate": "true"})
        assert by_header.status_code == by_query.status_code == status
    assert client.post("/api/data/build", json={"dataset": "letters"}, params={"validate": "true"}).json() == {"valid": True}
    assert client.post("/api/data/test", json={"dataset": "letters@9"}, params={"validate": "true"}).status_code == 422
    assert len(Workspace(desk).record.rows(tables.run)) == before


def test_a_run_is_followed_by_events_until_its_end(client: httpx.Client, desk: Path) -> None:
    (desk / "raw/b.csv").write_text("id,text\n900,one more letter\n")
    answer = post(client, "data.build", dataset="letters")
    run = answer.json()["id"]
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/runs/{run}"
    assert answer.json()["position"] == 1
    heard: list[list[tuple[str, Any]]] = [[], [], []]
    listeners = [threading.Thread(target=listen, args=(client.base_url, run, events)) for events in heard]
    for listener in listeners:
        listener.start()
    work_on_queue(desk)
    for listener in listeners:
        listener.join(30)
    for events in heard:
        states = [data["state"] for kind, data in events if kind == "state"]
        assert states[0] in ("queued", "running")
        assert states[-1] == "done"
        assert events[-1][0] == "end"
        assert any(kind == "progress" and data["done"] > 0 for kind, data in events)
    assert ended(client, run)["result"]["dataset"] == "dataset/letters@2"
    again = client.get(f"/api/runs/{run}/events", headers={"Last-Event-ID": "7"})
    assert [line for line in again.text.splitlines() if line.startswith("event")] == ["event: state", "event: end"]
    assert client.get(f"/api/runs/{run}/events", headers={"Last-Event-ID": "end"}).status_code == 204
    assert client.get("/api/runs/0000/events").status_code == 404


def listen(address: httpx.URL, run: str, events: list[tuple[str, Any]]) -> None:
    with httpx.stream("GET", f"{address}/api/runs/{run}/events", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
            if line.startswith("data: "):
                events.append((kind, json.loads(line.removeprefix("data: "))))


def test_a_run_that_waits_is_cancelled_and_gone_on_with(client: httpx.Client, desk: Path) -> None:
    run = post(client, "data.test", dataset="letters").json()["id"]
    assert post(client, "runs.cancel", run_id=run).json()["state"] == "cancelled"
    work_on_queue(desk)
    assert ended(client, run)["state"] == "cancelled"
    assert post(client, "runs.resume", run_id=run).json() == {"run": run[:8], "state": "queued", "exit_code": 0}
    assert client.get(f"/api/runs/{run}").json()["position"] == 1
    work_on_queue(desk)
    assert ended(client, run)["state"] == "done"


def test_a_run_on_a_value_that_is_not_kept_is_worked_on_beside_the_server(client: httpx.Client, desk: Path) -> None:
    where = "id = '299'"
    answer = post(client, "data.erase", dataset="letters", where=where, reason="test")
    assert answer.status_code == 202
    done = ended(client, answer.json()["id"])
    assert done["state"] == "done", done["error"]
    assert done["result"]["erased"] == 1
    assert where not in json.dumps(client.get(f"/api/runs/{answer.json()['id']}").json())


def test_following_over_a_network_does_not_wait_for_long(client: httpx.Client, desk: Path) -> None:
    run = post(client, "data.test", dataset="letters").json()["id"]
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(post, client, "runs.follow", run_id=run, seconds=15) for _ in range(30)]
        began = time.monotonic()
        assert post(client, "jobs").status_code == 200
        assert time.monotonic() - began < 10  # and not the hour that following may take on the command line
        assert {answer.result().json()["state"] for answer in waiting} == {"queued"}
    work_on_queue(desk)


def test_fifty_at_a_time_are_answered(client: httpx.Client) -> None:
    calls = [
        ("runs.list", {"limit": 5}),
        ("show", {"reference": "dataset/letters"}),
        ("data.query", {"dataset": "letters", "sql": "SELECT count(*) FROM documents"}),
        ("runs.workers", {}),
        ("data.sources", {"dataset": "letters"}),
    ]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda call: post(client, call[0], **call[1]), calls * 20))
    assert [answer.status_code for answer in answers] == [200] * 100


def test_a_query_that_does_not_end_is_killed_and_the_others_are_answered(desk: Path) -> None:
    others = answerers()
    with served(desk, seconds=5) as client, ThreadPoolExecutor() as pool:
        began = time.monotonic()
        bombs = [pool.submit(post, client, "data.query", dataset="letters", sql=BOMB) for _ in range(3)]
        took = []
        while not all(bomb.done() for bomb in bombs):
            start = time.monotonic()
            assert post(client, "runs.list").status_code == 200
            took.append(time.monotonic() - start)
            time.sleep(0.05)
        assert statistics.median(took) < 1
        assert {bomb.result().status_code for bomb in bombs} == {503}
        assert {bomb.result().json()["error"] for bomb in bombs} == {"it took longer than 5 s and was ended; ask for less"}
        # Two at a time where there are two cores, so that the last one began when the first was killed.
        assert time.monotonic() - began < 20
        assert answerers() == others
        # A process that begins anew may need longer than that on a busy machine.
        assert any(post(client, "data.query", dataset="letters", sql="SELECT 1").status_code == 200 for _ in range(10))


def answerers() -> list[psutil.Process]:
    """The processes that answer for servers of this process."""
    return [child for child in psutil.Process().children() if "stellwerk.doors.answerer" in child.cmdline()]


@pytest.mark.parametrize(
    "attempt", ["{up}{outside}", "{outside}", "%2e%2e/%2e%2e/{outside}", "file://{outside}", "letters/{up}{outside}"]
)
def test_no_text_of_a_call_reaches_a_file_outside(client: httpx.Client, desk: Path, tmp_path: Path, attempt: str) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text(f"id,text\n1,{OUTSIDE}\n")
    before = sorted(path for path in tmp_path.rglob("*"))
    given = attempt.format(outside=outside, up="../" * 12)
    for entry in load_all():
        for name, parameter in entry.parameters.items():
            if entry.local or ("str" not in str(parameter.type) and not isinstance(parameter.marker, LocalPath)):
                continue
            answer = post(client, entry.path, **{**entry.example, name: given})
            assert answer.status_code in (200, 202, 404, 409, 422), (entry.path, name, answer.text)
            assert OUTSIDE not in answer.text, (entry.path, name)
            if answer.status_code == 202:
                post(client, "runs.cancel", run_id=answer.json()["id"])
    for address in (f"/api/runs/{given}", f"/api/downloads/{'0' * 64}/{given}?signature=1"):
        assert OUTSIDE not in client.get(address).text
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_the_description_names_every_operation_with_its_schemas(client: httpx.Client) -> None:
    described = client.get("/api/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    for entry in load_all():
        path = f"/api/{entry.path.replace('.', '/')}"
        assert (path in described["paths"]) == (not entry.local)
        if entry.local:
            continue
        route = described["paths"][path]["post"]
        assert route["summary"] == entry.title
        body = json.dumps(route["requestBody"]["content"]["application/json"]["schema"])
        named = body.split("#/components/schemas/")[1].split('"')[0]
        offered = set(described["components"]["schemas"][named]["properties"])
        written = {n for n, p in entry.parameters.items() if isinstance(p.marker, LocalPath) and p.marker.writes}
        assert offered == set(entry.parameters) - written
        assert {"422", "403"} <= set(route["responses"])
        assert route["responses"]["202" if entry.kind == "run" else "200"]["content"]["application/json"]["schema"]
    assert set(described["components"]["securitySchemes"]) == {"token", "session"}


def test_no_door_over_a_network_is_loaded_by_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, stellwerk.doors.cli as c; c.run(['--help']); print([m for m in sys.modules if m in "
         "('fastapi', 'uvicorn', 'starlette', 'mcp', 'pydantic')], file=sys.stderr)"], capture_output=True, text=True
    )  # fmt: skip
    assert done.stderr.strip() == "[]"
