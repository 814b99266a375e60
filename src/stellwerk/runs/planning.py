"""What a run is likely to take: time, disk and money, from what earlier runs of the kind used.

An estimate is the median of earlier runs between the least and the most of them. Where n runs and the next one are alike, the
next lies between those two with a probability of (n - 1) / (n + 1). It says so where it knows little, or nothing.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, false, or_, select

from stellwerk.errors import StellwerkError
from stellwerk.operation import Operation, Ref
from stellwerk.record import tables
from stellwerk.record.record import Record
from stellwerk.runs.spending import GIGABYTE
from stellwerk.workspace import Workspace

FEW = 3
RECENT = 100  # runs at most, the newest


class Estimate(BaseModel):
    """What is expected, between the least and the most of the earlier runs."""

    what: str
    unit: str
    median: float
    low: float
    high: float


class Plan(BaseModel):
    """What a run is likely to take."""

    operation: str
    subject: str | None
    message: str
    runs: int = Field(description="earlier runs that the estimate rests on")
    estimates: list[Estimate]
    inside: float | None = Field(description="probability that a run like the earlier ones lies between low and high")
    scaled: bool = Field(description="whether earlier runs were scaled by the size of their input to what it measures now")
    budget: list[str]


@dataclass(frozen=True)
class Used:
    """What one earlier run used, over all its executions."""

    seconds: float
    stored: float
    extent: float | None
    money: Mapping[str, float]


def plan(workspace: Workspace, operation: Operation, subject: str | None) -> Plan:
    """Estimate a run from earlier ones of the operation with the same subject, else from all of it.

    Args:
        workspace: whose runs count.
        operation: what is to be run.
        subject: the value of its first spec or reference.
    """
    same = _earlier(workspace.record, operation, subject)
    found = same or _earlier(workspace.record, operation, None)
    title = operation.path.replace(".", " ")
    budget = workspace.settings.budget
    limits = [f"{budget.minutes:g} minutes"] if budget.minutes is not None else []
    limits += [f"{budget.gigabytes:g} GB added to the store"] if budget.gigabytes is not None else []
    limits += [f"{amount:g} {currency}" for currency, amount in budget.money.items()]
    extent = _extent(workspace, operation, subject)
    used, scaled = _scaled(found, extent)
    about = f"{title} {subject}" if subject and same else title
    return Plan(
        operation=operation.path,
        subject=subject,
        message=_message(title, about, subject, len(used), bool(same), scaled),
        runs=len(used),
        estimates=[_of("time", "s", [one.seconds for one in used]),
                   _of("disk", "GB", [one.stored / GIGABYTE for one in used]), *_money(used)] if used else [],
        inside=round((len(used) - 1) / (len(used) + 1), 2) if used else None,
        scaled=scaled,
        budget=limits,
    )  # fmt: skip


def _message(title: str, about: str, subject: str | None, runs: int, same: bool, scaled: bool) -> str:
    if not runs:
        return f"{title} has not run yet; no estimate"
    sentence = f"{'one earlier run' if runs == 1 else f'{runs} earlier runs'} of {about}"
    if subject and not same:
        sentence = f"{title} has not run for {subject} yet; this is from {sentence} for others"
    if scaled:
        sentence += ", scaled by the size of the input"
    return sentence + ("; so few say little" if runs < FEW else "")


def _money(used: Sequence[Used]) -> list[Estimate]:
    """What runs spent, by currency; those that spent nothing took all replies from the cache, or asked what has no price."""
    currencies = sorted({currency for one in used for currency in one.money})
    return [_of("money", name, [one.money[name] for one in used if name in one.money]) for name in currencies]


def _of(what: str, unit: str, values: Sequence[float]) -> Estimate:
    middle, low, high = statistics.median(values), min(values), max(values)
    return Estimate(what=what, unit=unit, median=round(middle, 4), low=round(low, 4), high=round(high, 4))


def _scaled(found: Sequence[Used], extent: float | None) -> tuple[list[Used], bool]:
    """What earlier runs would have used on an input of this extent, if all of them say what theirs was."""
    if not found or not extent or not all(one.extent for one in found):
        return list(found), False
    factors = [extent / (one.extent or extent) for one in found]
    return [
        Used(one.seconds * by, one.stored * by, extent, {name: amount * by for name, amount in one.money.items()})
        for one, by in zip(found, factors, strict=True)
    ], True


def _extent(workspace: Workspace, operation: Operation, subject: str | None) -> float | None:
    """What the input of the planned run measures now; None where the operation cannot say."""
    name = operation.subject.name if operation.subject else None
    if operation.extent is None or name is None or subject is None:
        return None
    try:
        return operation.extent(workspace, {name: subject})
    except StellwerkError:
        return None


def _earlier(record: Record, operation: Operation, subject: str | None) -> list[Used]:
    """What the newest done runs used that had something to do; if all found everything done before, what those used."""
    run, step = tables.run.c, tables.step.c
    query = select(run.id).where(run.operation == operation.path, run.state == "done", *_about(operation, subject))
    with record.database.reading() as connection:
        keys = list(connection.execute(query.order_by(run.created.desc()).limit(RECENT)).scalars())
        own = select(step.run).where(step.run.in_(keys), step.reused.is_(None)).distinct()
        busy = set(connection.execute(own).scalars())
    usage: dict[str, list[dict[str, Any]]] = {}
    for row in record.rows(tables.usage, tables.usage.c.run.in_(keys)):
        usage.setdefault(row["run"], []).append(row)
    spent: dict[str, Counter[str]] = {}
    for row in record.rows(tables.spent, tables.spent.c.run.in_(keys)):
        spent.setdefault(row["run"], Counter())[row["currency"]] += row["amount"]
    worked = usage.keys() & busy
    return [_sum(rows, spent.get(key, {})) for key, rows in usage.items() if key in (worked or usage)]


def _sum(executions: Sequence[dict[str, Any]], money: Mapping[str, float]) -> Used:
    extents = [row["extent"] for row in executions if row["extent"] is not None]
    seconds = sum(row["seconds"] for row in executions)
    return Used(seconds, sum(row["stored"] for row in executions), max(extents, default=None), money)


def _about(operation: Operation, subject: str | None) -> list[ColumnElement[bool]]:
    """The condition that a run had this subject; a reference means the asset, whatever its version."""
    if subject is None:
        return []
    if operation.subject is None:
        return [false()]
    value = tables.run.c.parameters[operation.subject.name].as_string()
    if not isinstance(operation.subject.marker, Ref):
        return [value == subject]
    asset = subject.partition("@")[0]
    return [or_(value == asset, value.startswith(f"{asset}@", autoescape=True))]
