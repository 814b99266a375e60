"""The pages of runs: filters that agree with the states as they are, one run in full, and what can be done with it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator

import pytest
from sites import TICKETS, Visitor, call, served, visible, write_dataset

from stellwerk.operation import find
from stellwerk.record import leases, tables
from stellwerk.record.record import Record
from stellwerk.runs import execution, queue, reading
from stellwerk.workspace import Workspace

PLANTED = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A visitor of a workspace with runs in every state; no worker."""
    workspace = Workspace.init(tmp_path_factory.mktemp("runs") / "company")
    write_dataset(workspace, "tickets", TICKETS, tests=[{"rows": {"min": 50}}])
    for _ in range(2):
        call(workspace, "data.build", dataset="tickets")
    call(workspace, "data.test", dataset="tickets")
    with workspace.record.writing(workspace.person) as transaction:
        for state in ("failed", "cancelled", "interrupted", "running"):
            transaction.insert(
                tables.run, operation="data.build", parameters={"dataset": f"{state} {PLANTED}"}, snapshots={}, code="c" * 64,
                state=state, person=transaction.person, created=transaction.at, started=transaction.at,
                finished=None if state == "running" else transaction.at,
                error=f"datasets/tickets.yaml, line 3: {PLANTED}" if state == "failed" else None,
            )  # fmt: skip
        hidden = {"dataset": "tickets", "where": {"keyed": "ab" * 32}, "reason": "asked"}
        transaction.insert(
            tables.run, operation="data.erase", parameters=hidden, snapshots={}, code="c" * 64, state="failed",
            person=transaction.person, created=transaction.at, error="KeyError in erase.py, line 12",
        )  # fmt: skip
    queue.enqueue(workspace, find("data.build"), {"dataset": "tickets"})
    with served(workspace) as address, Visitor(address) as visitor:
        visitor.workspace = workspace
        yield visitor


def run_of(visitor: Visitor, **where: str) -> str:
    return reading.lines(visitor.workspace.record, limit=100, **where).runs[0].id


def test_the_list_shows_state_subject_person_and_steps(reader: Visitor) -> None:
    text = reader.read("/runs")
    assert "9 runs" in visible(text)
    assert "<script>alert" not in text
    first = visible(text.partition("<tbody>")[2].partition("</tr>")[0])
    assert re.search(r"data build \w{8} tickets waiting place 1", first)
    assert "Läufe" in visible(reader.read("/runs", "de"))


@pytest.mark.parametrize("state", reading.STATES)
def test_a_filter_by_state_agrees_with_the_state_that_is_shown(reader: Visitor, state: str) -> None:
    record = reader.workspace.record
    expected = {line.id for line in reading.lines(record, limit=100).runs if line.state == state}
    found = reading.lines(record, limit=100, state=state)
    assert ({line.id for line in found.runs}, found.total) == (expected, len(expected))
    text = reader.read(f"/runs?state={state}")
    assert set(re.findall(r'<a href="/runs/([0-9a-f]{32})">', text)) == expected
    if not expected:
        assert "No run is like that" in text


def test_a_run_whose_process_lives_is_running_and_else_interrupted(reader: Visitor) -> None:
    record: Record = reader.workspace.record
    (lost,) = record.rows(tables.run, tables.run.c.state == "running")
    assert lost["id"] in {line.id for line in reading.lines(record, limit=100, state="interrupted").runs}
    token = leases.claim(record.database, lost["id"])
    assert token
    assert [line.id for line in reading.lines(record, limit=100, state="running").runs] == [lost["id"]]
    assert 'data-state="running"' in reader.read(f"/runs/{lost['id']}")
    leases.release(record.database, lost["id"], token)
    assert reading.lines(record, limit=100, state="running").runs == []


def test_filters_and_pages_are_done_by_the_database(reader: Visitor) -> None:
    record = reader.workspace.record
    everything = reading.lines(record, limit=100).runs
    pages = [line for page in (1, 2, 3, 4, 5) for line in reading.lines(record, limit=2, page=page).runs]
    assert [line.id for line in pages] == [line.id for line in everything]
    assert {line.operation for line in reading.lines(record, limit=100, operation="data").runs} == {
        "data.build",
        "data.test",
        "data.erase",
    }
    assert {line.operation for line in reading.lines(record, limit=100, operation="data.test").runs} == {"data.test"}
    assert reading.lines(record, limit=100, operation="dat").total == 0
    assert reading.lines(record, limit=100, person="nobody").total == 0
    assert reading.lines(record, limit=100, person=everything[0].person).total == len(everything)


def test_the_list_can_be_taken_along(reader: Visitor) -> None:
    rows = list(csv.reader(io.StringIO(reader.get("/runs?format=csv&operation=data.test").text.removeprefix("\ufeff"))))
    assert len(rows) == 2
    assert "data.test" in rows[1]
    assert reader.get("/runs?format=xlsx").content.startswith(b"PK")
    assert reader.get("/runs?format=exe").status_code == 404


def test_a_run_shows_steps_result_versions_measurements_and_findings(reader: Visitor) -> None:
    built = run_of(reader, operation="data.build", state="done")
    text = visible(reader.read(f"/runs/{built}"))
    assert "dataset/tickets@1" in text
    assert "reused" in text  # the second build had nothing to do
    assert "kept_share" in text
    assert "kept 40" in text.lower()
    tested = visible(reader.read(f"/runs/{run_of(reader, operation='data.test')}", "de"))
    assert "data_tests_failed" in tested
    assert "Befunde" in tested
    assert "Was herauskam" in tested
    rows = reader.get(f"/runs/{run_of(reader, operation='data.test')}?part=results&as=csv")
    assert rows.text.count("\n") >= 2


@pytest.mark.parametrize(
    ("state", "said"),
    [("failed", "Mend what the sentence names"), ("cancelled", "Somebody stopped it"), ("interrupted", "Its process ended")],
)
def test_what_ended_early_says_what_to_do(reader: Visitor, state: str, said: str) -> None:
    run = run_of(reader, operation="data.build", state=state)
    text = reader.read(f"/runs/{run}")
    assert said in visible(text)
    assert f'action="/runs/{run}/resume"' in text
    assert "<script>alert" not in text


def test_what_may_name_a_person_is_hidden_and_asked_for_again(reader: Visitor) -> None:
    run = run_of(reader, operation="data.erase")
    text = reader.read(f"/runs/{run}")
    assert "not kept, since it may name a person" in visible(text)
    assert "abab" not in text
    assert "a fault of Stellwerk, not of your data" in visible(text)
    assert f'action="/runs/{run}/resume"' not in text
    form = reader.submit(f"/runs/{run}/again", on="/runs")
    assert (form.url.path, form.url.params["dataset"], form.url.params["reason"]) == (
        "/operations/data.erase",
        "tickets",
        "asked",
    )
    assert "where" not in form.url.params


def test_a_run_is_started_again_stopped_and_gone_on_with(reader: Visitor) -> None:
    record = reader.workspace.record
    done = run_of(reader, operation="data.build", state="done")
    answer = reader.submit(f"/runs/{done}/again", on="/runs")
    new = answer.url.path.rpartition("/")[2]
    assert new != done
    assert record.rows(tables.run, tables.run.c.id == new)[0]["parameters"] == {"dataset": "tickets"}
    assert "waiting" in visible(answer.text)
    assert "No worker gives a sign of life" in visible(answer.text)
    assert f'data-events="/api/runs/{new}/events"' in answer.text
    assert "cancelled" in visible(reader.submit(f"/runs/{new}/cancel", on="/runs").text)
    assert "there is nothing to cancel" in visible(reader.submit(f"/runs/{new}/cancel", on="/runs").text)
    assert "waiting" in visible(reader.submit(f"/runs/{new}/resume", on="/runs").text)
    reader.submit(f"/runs/{new}/cancel", on="/runs")
    assert reading.lines(record, limit=1, state="queued", operation="data.build").total == 1


def test_a_form_without_its_token_changes_nothing(reader: Visitor) -> None:
    run = run_of(reader, state="queued")
    assert reader.post(f"/runs/{run}/cancel", data={"csrf": "guessed"}).status_code == 403
    assert run_of(reader, state="queued") == run


def test_the_page_of_a_going_run_listens_to_its_events(reader: Visitor) -> None:
    run = run_of(reader, state="queued")
    text = reader.read(f"/runs/{run}")
    assert '<script src="/static/run.js' in text
    assert "<noscript>" in text
    with reader.stream("GET", f"/api/runs/{run}/events") as events:
        lines = events.iter_lines()
        assert next(lines) == "event: state"
        assert json.loads(next(lines).removeprefix("data: "))["state"] == "queued"
    assert "run.js" not in reader.read(f"/runs/{run_of(reader, state='done')}")


def test_what_is_no_run_has_no_page(reader: Visitor) -> None:
    for run in ("nothing", "ffffffff", "%25"):
        assert reader.get(f"/runs/{run}").status_code in (400, 404)


def test_a_reused_measurement_belongs_to_the_run_that_reused_it(reader: Visitor) -> None:
    first, second = [
        line.id for line in reading.lines(reader.workspace.record, limit=9, operation="data.build", state="done").runs
    ][-2:]
    reports = [
        reading.report(reader.workspace.record, reader.workspace.record.rows(tables.run, tables.run.c.id == run)[0])
        for run in (first, second)
    ]
    assert reports[0].measurements == reports[1].measurements != []
    assert execution.call(reader.workspace, find("runs.show"), {"run_id": first}).id == first
