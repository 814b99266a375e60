"""Schedules: when a cron line is due, and which spec files have one.

Cron speaks of the hands of a clock on the wall. A time that the clocks skip in spring comes once, when they have been moved; a
time that comes twice in autumn counts the first time. Who submits a run that is due is told elsewhere.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stellwerk.errors import UserError
from stellwerk.operation import Operation, Spec, load_all
from stellwerk.specfile import parse, read_text

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

EXAMPLE = "'0 5 * * *' (minute, hour, day of the month, month, weekday)"
_PART = re.compile(r"(?:\*|\d{1,2}|[A-Za-z]{3})(?:-(?:\d{1,2}|[A-Za-z]{3}))?(?:/\d{1,2})?")
SHIFT = timedelta(hours=3)  # more than any clock is moved


@dataclass(frozen=True)
class Schedule:
    """A spec file that runs an operation by itself.

    Attributes:
        name: of the schedule, such as `data.refresh tickets`.
        spec: the name of the spec file.
        cron: when, in five fields.
    """

    name: str
    operation: Operation
    parameter: str
    spec: str
    cron: str


def check_cron(text: str) -> str:
    """Check a schedule as it stands in a spec.

    Args:
        text: five fields of cron.

    Returns:
        The text.

    Raises:
        ValueError: it is no schedule, or never comes.
    """
    from croniter import CroniterError, croniter

    fields = text.split()
    if len(fields) != 5 or not all(_PART.fullmatch(part) for field in fields for part in field.split(",")):
        raise ValueError(f"{text[:60]!r} is no schedule; expected five fields such as {EXAMPLE}")
    try:
        croniter(text, datetime(2000, 1, 1), max_years_between_matches=8).get_next(datetime)
    except (CroniterError, ValueError, KeyError, IndexError):
        raise ValueError(f"{text[:60]!r} is no schedule, or never comes; expected five fields such as {EXAMPLE}") from None
    return text


def zone(workspace: Workspace) -> ZoneInfo:
    """The time zone of a workspace's schedules.

    Raises:
        UserError: this machine knows no such zone.
    """
    name = workspace.settings.timezone
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(
            f"stellwerk.yaml: timezone is {name[:60]!r}, which this machine does not know; give one such as Europe/Berlin "
            "(a machine without a list of zones needs: pip install tzdata)"
        ) from None


@functools.lru_cache(maxsize=4096)
def latest(cron: str, zone: ZoneInfo, minute: int) -> float | None:
    """When a schedule was last due.

    Args:
        cron: five fields.
        zone: whose clocks it means.
        minute: now, in minutes since 1970.

    Returns:
        Seconds since 1970, at most those of `minute`; None where it was never due.
    """
    now, best = minute * 60, None
    wall = datetime.fromtimestamp(now, zone).replace(tzinfo=None)
    for time in _walk(cron, wall + SHIFT, "get_prev"):
        moment = _moment(time, zone)
        if moment <= now and (best is None or moment > best):
            best = moment
        if best is not None and time < wall - SHIFT:
            break
    return best


def upcoming(cron: str, zone: ZoneInfo, now: float, count: int = 3) -> list[datetime]:
    """When a schedule is due next, in its zone, with the offset of the day."""
    wall = datetime.fromtimestamp(now, zone).replace(tzinfo=None)
    found: set[float] = set()
    for time in _walk(cron, wall - SHIFT, "get_next"):
        moment = _moment(time, zone)
        if moment > now:
            found.add(moment)
        if len(found) >= count and time > datetime.fromtimestamp(sorted(found)[count - 1], zone).replace(tzinfo=None) + SHIFT:
            break
    return [datetime.fromtimestamp(moment, zone) for moment in sorted(found)[:count]]


def _walk(cron: str, start: datetime, step: str) -> Iterator[datetime]:
    """The times on the wall at which a cron line is due, from a time on, forth or back."""
    from croniter import CroniterBadDateError, croniter

    walk = croniter(cron, start)
    while True:
        try:
            yield getattr(walk, step)(datetime)
        except CroniterBadDateError:
            return


def _moment(wall: datetime, zone: ZoneInfo) -> float:
    """The moment at which the clocks of a zone show a time for the first time, or are moved over it."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if second >= first:
        return first.timestamp()
    # The clocks skip this time: the moment at which they are moved lies between both readings of it.
    low, high = int(second.timestamp()) // 60, int(first.timestamp()) // 60
    before = datetime.fromtimestamp(low * 60, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle * 60, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high * 60.0


def read(workspace: Workspace) -> tuple[list[Schedule], dict[str, str]]:
    """The schedules of a workspace's spec files.

    Returns:
        The schedules; and for each spec file that cannot be read, or whose schedule is none, the command that says why.
    """
    found, broken = [], {}
    for operation in _scheduled():
        parameter = operation.subject
        assert parameter is not None
        assert isinstance(parameter.marker, Spec)
        folder = parameter.marker.folder
        for path in sorted((workspace.root / folder).glob("*.yaml")):
            try:
                stat = path.stat()
                cron = _cron(path, stat.st_mtime_ns, stat.st_size)
            except (UserError, OSError, ValueError):
                broken[f"{folder}/{path.name}"] = f"stellwerk {operation.path.replace('.', ' ')} {path.stem}"
                continue
            if cron is not None:
                found.append(Schedule(f"{operation.path} {path.stem}", operation, parameter.name, path.stem, cron))
    return found, broken


@functools.cache
def _scheduled() -> list[Operation]:
    found = [operation for operation in load_all() if operation.scheduled]
    for operation in found:
        if operation.kind != "run" or operation.subject is None or not isinstance(operation.subject.marker, Spec):
            raise TypeError(f"{operation.path} is scheduled, so it must take run, and first of all a Spec")
    return found


@functools.lru_cache(maxsize=1024)
def _cron(path: Path, changed: int, size: int) -> str | None:
    """The schedule in a spec file, which is read again only when it was changed."""
    del changed, size
    value: Any = parse(read_text(path), path.name).value
    cron = value.get("schedule") if isinstance(value, dict) else None
    if cron is None:
        return None
    if not isinstance(cron, str):
        raise ValueError("the schedule is no text")
    return check_cron(cron)
