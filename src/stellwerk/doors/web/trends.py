"""Pictures over versions: each metric of an asset, and the rows of a dataset, against the thresholds that hold now.

Drawn on request and one after another, since the first chart of a process takes its time; pages load them lazily.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stellwerk.doors.web.language import language_of
from stellwerk.errors import UserError
from stellwerk.record import assets, tables
from stellwerk.record.assets import ValueLine, VersionList
from stellwerk.record.record import Record

if TYPE_CHECKING:
    from starlette.requests import Request

    from stellwerk.report.chart import Chart
    from stellwerk.workspace import Workspace

VERSIONS = 30
FORMATS = {"svg": "image/svg+xml", "png": "image/png"}
Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Series:
    """The values of one metric over the versions of an asset, the oldest first."""

    metric: str
    unit: str
    values: Sequence[ValueLine]


def series(found: VersionList) -> list[Series]:
    """The metrics of an asset: first those that have changed, then those with an interval."""
    by_metric: dict[str, list[ValueLine]] = {}
    for line in found.measured:
        by_metric.setdefault(line.metric, []).append(line)
    all_ = [Series(metric, lines[-1].unit, lines) for metric, lines in by_metric.items()]
    return sorted(all_, key=lambda one: (len({v.value for v in one.values}) < 2, one.values[-1].low is None, one.metric))


def thresholds(workspace: Workspace, kind: str, name: str) -> dict[str, Bounds]:
    """What the gates of the systems here ask of an asset, by metric; of several systems the first one's."""
    from stellwerk.standing.standing import names, standing

    found: dict[str, Bounds] = {}
    for system in names(workspace):
        try:
            signals = standing(workspace, system).signals
        except UserError:
            continue
        for signal in signals:
            subject = signal.subject
            if subject is not None and (subject.kind, subject.name) == (kind, name):
                found.setdefault(signal.gate.metric, (signal.gate.min, signal.gate.max))
    return found


def chart(request: Request, one: Series, bounds: Bounds = (None, None)) -> Chart:
    """The picture of one metric."""
    from stellwerk.report.trend import Point, trend

    points = [Point(label=f"@{line.version}", value=line.value, low=line.low, high=line.high) for line in one.values]
    return trend(points, bounds[0], bounds[1], one.unit, one.metric, language_of(request))


def rows_of(record: Record, kind: str, name: str) -> Series | None:
    """The rows of each version of a dataset or source; None where no version says how many it has."""
    version, asset = tables.version.c, tables.asset.c
    query = (
        select(version.number, version.facts["rows"].as_integer())
        .join(tables.asset, asset.id == version.asset)
        .where(asset.kind == kind, asset.name == name).order_by(version.number.desc()).limit(VERSIONS)
    )  # fmt: skip
    with record.database.reading() as connection:
        rows = [(number, count) for number, count in connection.execute(query) if count is not None]
    values = [_value("rows", number, count) for number, count in reversed(rows)]
    return Series("rows", "", values) if values else None


def measured(record: Record, reference: str) -> list[Series]:
    """The metrics of the newest versions of an asset."""
    return series(assets.versions(record, reference, limit=VERSIONS))


def picture(drawn: Chart, wanted: str, name: str) -> Response:
    """A chart as a file.

    Raises:
        HTTPException: 404, no such format.
    """
    from stellwerk.report.theme import resolved

    if wanted not in FORMATS:
        raise HTTPException(404, "pictures are to be had as svg or png")
    content: Any = drawn.png() if wanted == "png" else resolved(drawn.svg())
    headers = {"Content-Disposition": f'attachment; filename="{name}.{wanted}"'}
    return Response(content, media_type=FORMATS[wanted], headers=headers)


def wanted_of(found: Iterable[Series], metric: str) -> Series:
    """The series of a metric.

    Raises:
        HTTPException: 404, there is none.
    """
    one = next((each for each in found if each.metric == metric), None)
    if one is None:
        raise HTTPException(404, "there is no such measurement")
    return one


def _value(metric: str, number: int, count: int) -> ValueLine:
    return ValueLine(metric=metric, version=number, value=float(count), low=None, high=None, n=None, unit="")
