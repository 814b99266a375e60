"""The pages of the jobs say what each can do, how its signals stand and what it made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sites import Visitor, visible

from stellwerk.jobs import JOBS
from stellwerk.operation import load


def test_all_eight_jobs_are_shown_with_their_tasks_in_both_languages(visitor: Visitor) -> None:
    english, german = visible(visitor.read("/jobs")), visible(visitor.read("/jobs", "de"))
    for job in JOBS:
        assert all(task in english for task in (job.title, *job.tasks))
        assert job.title not in german
    assert "Aufgabenfelder" in german
    assert "No operations here yet" in english
    assert f"{len(load('data'))} operations" in english


def test_a_job_leads_to_the_form_of_each_of_its_operations(visitor: Visitor) -> None:
    text = visitor.read("/jobs/data")
    for entry in load("data").values():
        assert f'href="/operations/{entry.path}"' in text
    assert 'href="/assets/dataset/tickets"' in text
    assert "data build" in visible(text)


def test_the_signals_of_a_job_come_from_all_systems(visitor: Visitor) -> None:
    text = visible(visitor.read("/jobs/data/signals"))
    assert "support-desk" in text
    assert "The dataset's own tests pass" in text
    assert "not required" in visible(visitor.read("/jobs/cloud/signals"))


def test_the_pictures_of_the_data_job_show_rows_over_versions(visitor: Visitor) -> None:
    text = visitor.get("/jobs/data/pictures", headers={"HX-Request": "true"}).text
    assert text.count("<svg") == 2
    assert "tickets: rows" in visible(text)
    assert "@1: 40" in text


@pytest.mark.parametrize("path", ["/jobs/gardening", "/jobs/gardening/signals", "/jobs/gardening/pictures"])
def test_what_is_no_job_has_no_page(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("package", ["access", "findings", "record", "release", "runs"])
def test_what_all_jobs_share_has_a_page_with_its_operations(visitor: Visitor, package: str) -> None:
    shown = visitor.read(f"/jobs/{package}")
    assert all(f"/operations/{entry.path}" in shown for entry in load(package).values() if not entry.local)


@pytest.mark.parametrize(
    "path", ["/now", "/jobs/data/signals", "/jobs/data/pictures", "/operations/data.build/plan", "/operations/data.build/file"]
)
def test_a_part_is_a_page_of_its_own_where_its_link_is_followed(visitor: Visitor, path: str) -> None:
    alone, part = visitor.read(path), visitor.get(path, headers={"HX-Request": "true"}).text
    assert alone.count("<h1>") == 1
    assert "</html>" in alone
    assert "<h1>" not in part
    assert "</html>" not in part


def test_a_new_workspace_says_that_nothing_ran(new: Callable[..., Visitor]) -> None:
    visitor = new()
    text = visible(visitor.read("/jobs/data"))
    assert "Nothing has run yet" in text
    assert "Over versions" not in text
