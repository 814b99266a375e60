"""What happened to a ticket in the support desk: its events, from receipt to the end, as the desk's software wrote them down.

A process as people live it: routes by intent, detours, reopened cases, one step that everybody waits for, and a rule that is
sometimes broken. Says which cases broke the rule or went round again: what process mining (the strategy job) has to find.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

from stellwerk.demo.phrases import draws, pick
from stellwerk.demo.tickets import Ticket

EXPORTED: Final = datetime(2026, 11, 2, 6, 0)  # nothing after the export is known
COLUMNS: Final = ("case_id", "activity", "timestamp", "resource", "cost_eur")
# Activity: minutes that pass before it (least, most), cost in EUR, who does it.
ACTIVITIES: Final = {
    "triage": (5, 90, 4.0, "triage"),
    "reroute": (30, 400, 6.0, "triage"),
    "assign": (5, 60, 2.0, "triage"),
    "answer": (0, 0, 18.0, "agent"),
    "ask customer": (60, 900, 8.0, "agent"),
    "customer replies": (240, 7000, 0.0, "customer"),
    "second level analysis": (1900, 9000, 95.0, "specialist"),
    "approve order": (60, 1500, 12.0, "lead"),
    "order part": (20, 300, 15.0, "agent"),
    "deliver part": (1500, 8000, 35.0, "warehouse"),
    "visit machine": (1400, 8600, 480.0, "engineer"),
    "solve": (30, 900, 25.0, "agent"),
    "close": (60, 2900, 3.0, "agent"),
    "reopen": (300, 9000, 5.0, "customer"),
}
TEAMS: Final = {"triage": 3, "specialist": 2, "lead": 2, "warehouse": 4, "engineer": 9}
BOTTLENECK: Final = "second level analysis"
RULE: Final = "an order above 2,000 EUR is approved before it is placed"
APPROVAL_EUR: Final = 2000.0
ROUTES: Final = {
    "repair": ["second level analysis", "visit machine", "solve"],
    "complaint": ["second level analysis", "solve"],
    "technical": ["solve"],
    "spare_part": ["order part", "deliver part", "solve"],
    "delivery": ["solve"],
}
SHARES: Final = {"reroute": 0.12, "ask": 0.3, "reopen": 0.09, "broken rule": 0.07, "technical to second level": 0.35}


@dataclass
class Case:
    """The events of one ticket, and what is remarkable about them."""

    events: list[tuple[str, datetime, str, float]] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    broken: str | None = None

    @property
    def closed(self) -> datetime | None:
        """When the case was closed for the last time; None while it is open."""
        return self.events[-1][1] if self.events[-1][0] == "close" else None

    @property
    def changed(self) -> datetime:
        """When something happened last."""
        return self.events[-1][1]


def follow(seed: int, ticket: Ticket, agent: str | None, answered: datetime | None) -> Case:
    """The events of a ticket up to the export.

    Args:
        seed: of the whole corpus
        ticket: with its true intent
        agent: who answered; None for a ticket that nobody answered
        answered: when
    """
    rng = draws(f"case/{seed}/{ticket.number}")
    case = Case([("receive", ticket.created, ticket.channel, 0.0)])
    for name in _way(rng, ticket, case, agent is not None):
        _add(rng, case, name, agent or "nobody", answered)
    known = [event for event in case.events if event[1] <= EXPORTED]
    if len(known) < len(case.events):  # what would have come later is no fact yet
        names = [name for name, *_ in known]
        case.loops = [name for name in case.loops if name in names]
        case.broken = case.broken if "order part" in names else None
    case.events = known
    return case


def _way(rng: Random, ticket: Ticket, case: Case, answered: bool) -> list[str]:
    """The activities of a case in order; says in the case what is remarkable."""
    way = ["triage"]
    if rng.random() < SHARES["reroute"]:
        way.append("reroute")
        case.loops.append("reroute")
    if not answered:
        return [*way, "close"]
    way += ["assign", "answer"]
    if rng.random() < SHARES["ask"]:
        way += ["ask customer", "customer replies"]
    route = list(ROUTES.get(ticket.intent, ["solve"]))
    if ticket.intent == "technical" and rng.random() < SHARES["technical to second level"]:
        route.insert(0, BOTTLENECK)
    if "order part" in route and (ticket.amount_eur or 0) > APPROVAL_EUR:
        place = route.index("order part")
        broken = rng.random() < SHARES["broken rule"]
        case.broken = pick(rng, ["never approved", "approved afterwards"]) if broken else None
        if case.broken != "never approved":
            route.insert(place + 1 if case.broken else place, "approve order")
    way += [*route, "close"]
    if rng.random() < SHARES["reopen"]:
        way += ["reopen", "solve", "close"]
        case.loops.append("reopen")
    return way


def _add(rng: Random, case: Case, name: str, agent: str, answered: datetime | None) -> None:
    least, most, cost, role = ACTIVITIES[name]
    draw = rng.random()
    before = case.events[-1][1]
    time = office_hours(before + timedelta(minutes=least + int((most - least) * draw**3)))
    done = any(event[0] == "answer" for event in case.events)
    if name == "answer" and answered:
        time = max(answered, before)
    elif answered and not done:
        time = min(time, before + (answered - before) / 2)  # what goes before the answer took place before it
    who = agent if role == "agent" else role if role == "customer" else f"{role}-{1 + int(rng.random() * TEAMS[role]):02d}"
    case.events.append((name, time.replace(microsecond=0), who, round(cost * (0.8 + 0.4 * rng.random()), 2)))


def office_hours(time: datetime) -> datetime:
    """The same time, or the next morning's where nobody works."""
    if time.hour >= 17:
        time = time.replace(hour=7) + timedelta(days=1)
    elif time.hour < 7:
        time = time.replace(hour=7)
    while time.weekday() > 4:
        time += timedelta(days=1)
    return time
