"""A schedule is due by the clock on the wall, and of several workers exactly one submits the run."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databases import set_settings
from stellwerk.doors import cli
from stellwerk.errors import UserError
from stellwerk.record import tables
from stellwerk.runs import operations as runs
from stellwerk.runs import queue, schedules
from stellwerk.runs.ticks import Ticks, due
from stellwerk.workspace import Workspace

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def spec(workspace: Workspace, name: str, text: str) -> Path:
    path = workspace.root / "recipes" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text", ["0 5 * * *", "*/15 8-17 * * 1-5", "0 0 1,15 * *", "30 2 * * sun", "0 5 * jan-mar *", "5/20 * * * *"]
)
def test_a_cron_line_of_five_fields_is_a_schedule(text: str) -> None:
    assert schedules.check_cron(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "5", "@daily", "0 5 * *", "0 5 * * * *", "60 * * * *", "0 24 * * *", "0 0 31 2 *", "H * * * *", "R R * * *",
     "* * L * *", "0 5 * * foo", "*/0 * * * *", "0 5 * * *; rm", "0 0 * * 5#3", "a" * 500],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no schedule.*expected five fields such as '0 5 \* \* \*'") as error:
        schedules.check_cron(text)
    assert len(str(error.value)) < 250


def times(cron: str, start: str, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    return [f"{moment:%m-%d %H:%M %z}" for moment in schedules.upcoming(cron, zone, at(start, zone), count)]


def test_a_time_that_is_skipped_comes_once_when_the_clocks_were_moved() -> None:
    assert times("30 2 * * *", "2026-03-28T12:00", 3) == ["03-29 03:00 +0200", "03-30 02:30 +0200", "03-31 02:30 +0200"]
    assert times("0,30 2 * * *", "2026-03-28T12:00", 2) == ["03-29 03:00 +0200", "03-30 02:00 +0200"]
    assert times("0 * * * *", "2026-03-29T00:30", 3) == ["03-29 01:00 +0100", "03-29 03:00 +0200", "03-29 04:00 +0200"]


def test_a_time_that_comes_twice_counts_once() -> None:
    assert times("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 02:30 +0200", "10-26 02:30 +0100"]
    assert times("0 * * * *", "2026-10-25T00:30", 4) == [
        "10-25 01:00 +0200", "10-25 02:00 +0200", "10-25 03:00 +0100", "10-25 04:00 +0100",
    ]  # fmt: skip
    second = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1).timestamp()
    assert schedules.latest("30 2 * * *", BERLIN, int(second // 60)) == at("2026-10-25T02:30")


@settings(max_examples=60, deadline=None)
@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
    cron=st.sampled_from(["0 5 * * *", "30 2 * * *", "*/20 1-3 * * *", "0 0 1 * *", "15 2 * 3,10 0", "59 23 * * 1-5"]),
    zone=st.sampled_from(["Europe/Berlin", "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_what_was_due_last_is_what_would_have_come_next(start: datetime, cron: str, zone: str) -> None:
    place, now = ZoneInfo(zone), start.replace(tzinfo=UTC).timestamp()
    coming = [moment.timestamp() for moment in schedules.upcoming(cron, place, now, 3)]
    assert coming == sorted(set(coming))
    for place_in_line, moment in enumerate(coming):
        assert schedules.latest(cron, place, int(moment // 60)) == moment
        before = schedules.latest(cron, place, int(moment // 60) - 1)
        assert before is not None
        assert before < moment
        assert place_in_line == 0 or before == coming[place_in_line - 1]
    local = datetime.fromtimestamp(coming[0], place)
    assert local - datetime.fromtimestamp(now, place) <= timedelta(days=400)


def test_a_new_schedule_begins_with_its_next_time_and_a_missed_one_is_made_up_once(workspace: Workspace) -> None:
    with (workspace.root / "stellwerk.yaml").open("a") as file:
        file.write("timezone: Europe/Berlin\n")
    vars(workspace).pop("settings", None)
    spec(workspace, "cake", "times: 2\nschedule: 0 5 * * *\n")
    spec(workspace, "bread", "times: 3\n")
    assert due(workspace, at("2026-05-01T12:00")) == []
    assert due(workspace, at("2026-05-02T04:59:59")) == []
    (run,) = due(workspace, at("2026-05-02T05:00:00"))
    assert due(workspace, at("2026-05-02T05:00:01")) == due(workspace, at("2026-05-02T23:00")) == []
    row = workspace.record.rows(tables.run)[0]
    assert (row["id"], row["operation"], row["parameters"]) == (run, "probework.bake", {"recipe": "cake"})
    assert workspace.record.rows(tables.queue)[0]["schedule"] == "probework.bake cake"
    assert runs.show(run, workspace=workspace).schedule == "probework.bake cake"
    taken = queue.take(workspace)
    assert taken is not None
    with workspace.record.writing(workspace.person) as transaction:
        transaction.update(tables.run, run, state="done")
    queue.finish(workspace, taken)
    assert len(due(workspace, at("2026-05-09T07:00"))) == 1, "seven were missed, the latest is made up"
    assert due(workspace, at("2026-05-10T04:00")) == []


def test_one_of_several_workers_submits(workspace: Workspace) -> None:
    for number in range(3):
        spec(workspace, f"cake{number}", "schedule: 0 5 * * *\n")
    due(workspace, at("2026-05-01T12:00", ZoneInfo("UTC")))
    found: list[str] = []
    gate = threading.Barrier(4)

    def work() -> None:
        mine = Workspace(workspace.root)
        gate.wait()
        found.extend(due(mine, at("2026-05-02T05:00", ZoneInfo("UTC"))))
        mine.record.database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == sorted(row["id"] for row in workspace.record.rows(tables.run))
    assert sorted(row["schedule"] for row in workspace.record.rows(tables.queue)) == [
        f"probework.bake cake{n}" for n in range(3)
    ]


def test_a_time_that_is_due_while_the_last_run_is_not_at_its_end_is_skipped(
    small: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stellwerk.worker")
    spec(small, "cake", "schedule: 0 * * * *\n")
    day = at("2026-05-01T12:00", ZoneInfo("UTC"))
    due(small, day)
    assert len(due(small, day + 3600)) == 1
    assert due(small, day + 7200) == due(small, day + 7201) == []
    assert [line for line in caplog.messages if "skipped" in line] == [
        "schedule probework.bake cake is due and skipped, for its last run is not at its end"
    ]
    taken = queue.take(small)
    assert taken is not None
    with small.record.writing(small.person) as transaction:
        transaction.update(tables.run, taken.run, state="failed")
    assert due(small, day + 7300) == [], "what was skipped is not made up"
    assert len(due(small, day + 10800)) == 1


def test_a_spec_with_a_mistake_stops_no_other_and_is_told_once(small: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stellwerk.worker")
    spec(small, "good", "schedule: 0 5 * * *\n")
    wrong = spec(small, "wrong", "times: many-secrets\nschedule: 0 5 * * *\n")
    spec(small, "broken", "times: [\n")
    spec(small, "never", "schedule: 0 0 31 2 *\n")
    spec(small, "number", "schedule: 5\n")
    ticks, day = Ticks(small), at("2026-05-01T12:00", ZoneInfo("UTC"))
    assert ticks.due(day) == []
    day += 86400
    assert [len(ticks.due(day + second)) for second in range(3)] == [1, 0, 0]
    told = [line for line in caplog.messages if "mistake" in line or "cannot run" in line]
    assert told == [
        *(f"recipes/{name}.yaml has a mistake, so its schedule rests; see it with: stellwerk probework bake {name}"
          for name in ("broken", "never", "number")),
        "schedule probework.bake wrong is due and cannot run; see why with: stellwerk probework bake wrong",
    ]  # fmt: skip
    assert "many-secrets" not in caplog.text
    wrong.write_text("times: 2\nschedule: 0 5 * * *\n")
    assert len(ticks.due(day + 5)) == 1, "once it is mended, it runs"
    wrong.unlink()
    assert ticks.due(day + 86400) == [], "the other one is still at work"


def test_schedules_are_listed_with_their_next_times_and_last_run(small: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    set_settings(small.root, "timezone: Europe/Berlin\n")
    spec(small, "cake", "schedule: 0 5 * * *\n")
    spec(small, "broken", "times: [\n")
    listed = runs.schedules_(workspace=Workspace(small.root))
    (line,) = listed.schedules
    assert (line.schedule, line.cron, line.last, listed.timezone) == ("probework.bake cake", "0 5 * * *", None, "Europe/Berlin")
    assert len(line.next) == 3
    assert all(" 05:00 +0" in moment for moment in line.next)
    assert listed.broken == ["recipes/broken.yaml: see stellwerk probework bake broken"]
    assert cli.run(["probework", "bake", "cake", "-w", str(small.root)]) == 0
    (line,) = runs.schedules_(workspace=Workspace(small.root)).schedules
    assert line.state == "done"
    assert cli.run(["runs", "schedules", "-w", str(small.root)]) == 0
    assert "probework.bake cake" in capsys.readouterr().out
    set_settings(small.root, "timezone: Europe/Bonn\n")
    with pytest.raises(UserError, match="Europe/Bonn"):
        runs.schedules_(workspace=Workspace(small.root))


def test_a_worker_runs_what_is_due(small: Workspace) -> None:
    from stellwerk.runs.worker import Worker

    spec(small, "cake", "times: 4\nschedule: 0 5 * * *\n")
    now = [at("2026-05-01T12:00", ZoneInfo("UTC"))]
    Worker(small, clock=lambda: now[0]).work(once=True)
    assert small.record.rows(tables.run) == []
    now[0] += 86400
    Worker(small, clock=lambda: now[0]).work(once=True)
    (row,) = small.record.rows(tables.run)
    assert (row["state"], row["result"]) == ("done", 4)
    assert small.record.rows(tables.queue) == []
