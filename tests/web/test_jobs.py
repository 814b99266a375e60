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
    text = visitor.read("/jobs/data/pictures")
    assert text.count("<svg") == 2
    assert "tickets: rows" in visible(text)
    assert "@1: 40" in text


@pytest.mark.parametrize("path", ["/jobs/gardening", "/jobs/gardening/signals", "/jobs/gardening/pictures", "/jobs/runs"])
def test_what_is_no_job_has_no_page(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_a_new_workspace_says_that_nothing_ran(new: Callable[..., Visitor]) -> None:
    visitor = new()
    text = visible(visitor.read("/jobs/data"))
    assert "Nothing has run yet" in text
    assert "Over versions" not in text
