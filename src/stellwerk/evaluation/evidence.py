"""What a test saw, kept: its samples as shards of compressed JSON lines in the store, and their numbers as columns.

The record holds references and counts alone; texts of cases and answers are in the store, where they can be removed.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Case, Sample
from stellwerk.evaluation.columns import Columns
from stellwerk.evaluation.rows import dump, load, row, sample_of
from stellwerk.record import tables
from stellwerk.store.store import Store

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

SHARD = 500  # samples; one is a page of the interface, so a look at one costs little
STEP = "ask "  # what the names of steps begin with that leave evidence
Only = Literal["all", "failed", "errors", "unscored"]
State = Literal["passed", "failed", "errors", "unscored"]
STATES = ("failed", "errors", "unscored")
UNJUDGED = ("judge_failed", "no_embedding")  # reasons of a score whose model did not answer, which says nothing of the answer


def state(sample: Sample) -> State:
    """How a sample came out: passed, failed, errors (its call did not get through) or unscored."""
    if sample.answer.is_error:
        return "errors"
    return "unscored" if sample.passed is None else "passed" if sample.passed else "failed"


class Writer:
    """Keeps samples as they come; holds one shard and the columns in memory.

    Attributes:
        columns: of all samples so far.
    """

    def __init__(self, store: Store) -> None:
        self.columns = Columns()
        self._store = store
        self._shards: list[dict[str, Any]] = []
        self._lines: list[bytes] = []
        self._counts = dict.fromkeys(STATES, 0)
        self._unjudged = 0

    def add(self, case: Case, sample: Sample) -> None:
        """Keep a sample."""
        self.columns.add(case, sample)
        self._lines.append(dump(row(case, sample)))
        found = state(sample)
        if found != "passed":
            self._counts[found] += 1
        self._unjudged += any(score.value is None and score.reason in UNJUDGED for score in sample.scores)
        if len(self._lines) >= SHARD:
            self._flush()

    def close(self) -> dict[str, Any]:
        """Write what is left; returns JSON that names all: its shards, columns and counts."""
        if self._lines:
            self._flush()
        totals = {name: sum(shard[name] for shard in self._shards) for name in STATES}
        columns = self._store.put(gzip.compress(dump(self.columns.as_json()), 3, mtime=0))
        counts = {"samples": len(self.columns), "cases": len(set(self.columns.case)), **totals}
        counts |= {"unjudged": self._unjudged, "kept": int(sum(self.columns.kept))}
        return {"shards": self._shards, "columns": columns, **counts}

    def _flush(self) -> None:
        content = gzip.compress(b"\n".join(self._lines) + b"\n", 3, mtime=0)
        self._shards.append({"content": self._store.put(content), "samples": len(self._lines), **self._counts})
        self._lines, self._counts = [], dict.fromkeys(STATES, 0)


@dataclass(frozen=True)
class Evidence:
    """What one test of a run saw.

    Attributes:
        run: id of the run.
        name: of the test within its run.
        created: ISO 8601 in UTC.
        about: what was asked: target, simulated, suite, split, repeats, limit, subjects, instruments (references), complete.
        counts: samples, cases, failed, errors, unscored; unjudged, of which a judge or a model that embeds did not answer;
            kept, whose answers were kept from earlier calls; and where the bytes are.
        summary: the numbers that were measured, see `measuring.py`.
    """

    store: Store
    run: str
    name: str
    created: str
    about: Mapping[str, Any]
    counts: Mapping[str, Any]
    summary: Sequence[Mapping[str, Any]]

    @property
    def simulated(self) -> bool:
        """Whether the answers were made up by a plan."""
        return bool(self.about["simulated"])

    def __len__(self) -> int:
        return int(self.counts["samples"])

    def number(self, only: Only = "all") -> int:
        """How many samples there are of a kind."""
        return int(self.counts["samples" if only == "all" else only])

    @functools.cached_property
    def columns(self) -> Columns:
        """The numbers of all samples."""
        return Columns.from_json(load(gzip.decompress(self.store.get(self.counts["columns"]))))

    def rows(self, only: Only = "all", start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """Samples as JSON with their numbers from 0; shards that hold none of the kind are not read.

        Args:
            only: samples of a kind.
            start: the first number that is wanted.
        """
        first = 0
        for shard in self.counts["shards"]:
            last = first + shard["samples"]
            if last > start and (only == "all" or shard[only]):
                for number, line in enumerate(_lines(self.store, shard["content"]), first):
                    if number >= start:
                        found = load(line)
                        if only == "all" or state_of(found) == only:
                            yield number, found
            first = last

    def samples(self, only: Only = "all") -> Iterator[Sample]:
        """The samples, in the order in which they were asked."""
        return (sample_of(found) for _, found in self.rows(only))

    def at(self, number: int) -> Sample:
        """The sample of a number, from 0."""
        return sample_of(next(self.rows(start=number))[1])

    def of_case(self, case: str, repeat: int = 0) -> Sample | None:
        """A repeat of a case; None where it was not asked."""
        number = self._numbers.get((case, repeat))
        return None if number is None else self.at(number)

    @functools.cached_property
    def _numbers(self) -> dict[tuple[str, int], int]:
        return {key: number for number, key in enumerate(zip(self.columns.case, self.columns.repeat, strict=True))}


def of(workspace: Workspace, reference: str) -> Evidence:
    """What a test saw.

    Args:
        workspace: where it ran.
        reference: `latest`, or the first digits of a run's id; of a run with several tests `3f2a91c0:2` is the second.

    Raises:
        UserError: there is no such run, or it has tested nothing.
    """
    wanted, _, place = reference.partition(":")
    if place and not (place.isdecimal() and int(place) > 0):
        raise UserError(f"{reference!r} names no test; expected a run such as 3f2a91c0, latest, or 3f2a91c0:2 for its second")
    found = all_of(workspace, wanted)
    if not place and len(found) > 1 and found[0].about["suite"] != found[-1].about["suite"]:
        raise UserError(f"run {found[0].run[:8]} holds {len(found)} tests; name one of them, such as {found[0].run[:8]}:1")
    number = int(place or 1)
    if number > len(found):
        raise UserError(f"run {found[0].run[:8]} holds {len(found)} tests; there is no {number}.")
    return found[number - 1]


def all_of(workspace: Workspace, reference: str) -> list[Evidence]:
    """What the tests of a run saw, in the order in which they were done; those that were taken from earlier runs too.

    Raises:
        UserError: there is no such run, or it has tested nothing.
    """
    run = _latest(workspace) if reference == "latest" else _find(workspace, reference)
    step = tables.step.c
    rows = workspace.record.rows(tables.step, step.run == run, step.name.startswith(STEP), order=step.finished)
    latest: dict[str, Mapping[str, Any]] = {}
    for found in rows:
        if isinstance(found["outcome"], dict) and "evidence" in found["outcome"]:
            latest[found["name"]] = found  # one that was asked again, since calls had failed, replaces the earlier one
    if not latest:
        raise UserError(f"run {run[:8]} has tested nothing that could be looked at; name one that did, or latest")
    return [
        from_outcome(workspace.store, run, r["name"].removeprefix(STEP), r["finished"], r["outcome"]) for r in latest.values()
    ]


def from_outcome(store: Store, run: str, name: str, created: str, outcome: Mapping[str, Any]) -> Evidence:
    """The evidence that the outcome of a step names."""
    return Evidence(store, run, name, created, outcome["about"], outcome["evidence"], outcome["summary"])


def _latest(workspace: Workspace) -> str:
    step = tables.step.c
    rows = workspace.record.rows(tables.step, step.name.startswith(STEP), order=step.finished.desc(), limit=1)
    if not rows:
        raise UserError("nothing was tested in this workspace yet; begin with: stellwerk prompts test")
    return str(rows[0]["run"])


def _find(workspace: Workspace, reference: str) -> str:
    rows = (
        workspace.record.rows(tables.run, tables.run.c.id.startswith(reference, autoescape=True), limit=2) if reference else []
    )
    if len(rows) != 1:
        several = "more than one run begins" if rows else "no run begins"
        raise UserError(f"{several} with {reference!r}; see them with: stellwerk runs list")
    return str(rows[0]["id"])


def _lines(store: Store, reference: str) -> list[bytes]:
    return gzip.decompress(store.get(reference)).splitlines()


def state_of(found: Mapping[str, Any]) -> State:
    """How a row came out, see `state`."""
    failure = found["answer"]["failure"]
    if failure is not None and failure != "rejected":
        return "errors"
    return "unscored" if found["passed"] is None else "passed" if found["passed"] else "failed"
