"""What was measured on a prompt: each test with its interval, and a picture over versions for each suite and model.

Reads the record. A test of a part of the cases is told apart from one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from stellwerk.record import tables
from stellwerk.report.shares import share_svg

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.report.chart import Chart
    from stellwerk.report.words import Language

PASSED, UNWANTED, COST = "pass_rate", "unwanted_rate", "cost_per_case"
MOST = 600  # measurements that are read, three a test


@dataclass(frozen=True)
class Tested:
    """A test of a version of a prompt."""

    version: Version
    suite: Version | None
    model: Version | None
    numbers: dict[str, dict[str, Any]]
    created: str
    run: str

    @property
    def passed(self) -> dict[str, Any]:
        """The share that passed, as it was measured."""
        return self.numbers[PASSED]

    @property
    def complete(self) -> bool:
        """Whether it counts for gates."""
        return bool(self.passed["complete"])

    @property
    def simulated(self) -> bool:
        """Whether the answers were made up by a plan."""
        return bool((self.passed["details"] or {}).get("simulated"))

    @property
    def split(self) -> str:
        """Which cases were asked."""
        return str((self.passed["details"] or {}).get("split") or "")

    @property
    def picture(self) -> str:
        """The share with its interval as a small bar."""
        row = self.passed
        return share_svg(row["value"], row["low"], row["high"])


def tests_of(record: Record, versions: list[Version]) -> list[Tested]:
    """The tests of versions of a prompt, the newest first."""
    own = {version.id for version in versions}
    link, row = tables.measured.c, tables.measurement.c
    on = select(link.measurement).where(link.version.in_(sorted(own)), link.role == "subject")
    where = (row.id.in_(on), row.metric.in_((PASSED, UNWANTED, COST)))
    rows = record.rows(tables.measurement, *where, order=(row.created.desc(), row.id), limit=MOST)
    together: dict[str, set[str]] = {}
    for one in record.rows(tables.measured, link.measurement.in_([found["id"] for found in rows])):
        together.setdefault(one["measurement"], set()).add(one["version"])
    known = {one.id: one for one in record.versions_of({key for keys in together.values() for key in keys})}
    grouped: dict[tuple[str, frozenset[str]], dict[str, dict[str, Any]]] = {}
    for found in rows:
        key = (found["step"] or found["run"], frozenset(together[found["id"]]))
        grouped.setdefault(key, {}).setdefault(found["metric"], found)
    return [
        _tested([known[one] for one in keys], own, numbers)
        for (_, keys), numbers in grouped.items()
        if numbers.get(PASSED, {}).get("value") is not None
    ]


def _tested(versions: list[Version], own: set[str], numbers: dict[str, dict[str, Any]]) -> Tested:
    of_kind = {version.kind: version for version in versions if version.id not in own}
    mine = next(version for version in versions if version.id in own)
    row = numbers[PASSED]
    return Tested(mine, of_kind.get("suite"), of_kind.get("model"), numbers, row["created"], row["run"])


def series(tests: list[Tested]) -> list[tuple[str, str, list[Tested]]]:
    """For each suite and model the newest test that counts of each version, the oldest version first."""
    found: dict[tuple[str, str], dict[int, Tested]] = {}
    for one in tests:
        if one.complete and one.suite and one.model:
            found.setdefault((one.suite.name, one.model.name), {}).setdefault(one.version.number, one)
    return [(suite, model, [by[n] for n in sorted(by)]) for (suite, model), by in found.items()]


def chart(points: list[Tested], title: str, minimum: float | None, maximum: float | None, language: Language) -> Chart:
    """The picture of one series."""
    from stellwerk.report.trend import Point, trend

    drawn = [
        Point(label=f"@{one.version.number}", value=one.passed["value"], low=one.passed["low"], high=one.passed["high"])
        for one in points
    ]
    return trend(drawn, minimum, maximum, "share", title, language)
