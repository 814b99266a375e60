"""Writes the files of the sample company that grow ticket by ticket, and the truth about each ticket.

The help desk's export, replies, labels, the process log, and the database's tickets. Knows where a ticket leaves a trace; what
it says and what is wrong with it come from the modules beside it.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Self, TextIO

from stellwerk.demo import identifiers
from stellwerk.demo.crm import Crm, choose_orphans
from stellwerk.demo.defects import make_plan
from stellwerk.demo.labels import BIASED_GROUP, Label, label
from stellwerk.demo.phrases import draws, fill, pick, read_wording
from stellwerk.demo.process import BOTTLENECK, RULE, Case, follow
from stellwerk.demo.process import COLUMNS as EVENT_COLUMNS
from stellwerk.demo.tickets import Ticket, templates

COLUMNS = [
    "ticket_id", "created", "channel", "customer_id", "customer_name", "customer_group", "machine", "machine_hours",
    "amount_eur", "subject", "body",
]  # fmt: skip


class DeskFiles:
    """Those files while the company is written; open until the block ends.

    Args:
        folder: the workspace, with raw/tickets and truth
        seed: of the whole corpus
        total: number of tickets
    """

    def __init__(self, folder: Path, seed: int, total: int) -> None:
        self.seed, self.total = seed, total
        self.counts: Counter[str] = Counter()
        self.decoys: Counter[str] = Counter()
        self.holdings: dict[str, int] = {}
        self._replies, self._events = 0, 0
        self._waits: dict[str, list[float]] = {}
        self._stack = ExitStack()
        names = ("raw/replies", "raw/labels", "truth/planted", "truth/answers", "truth/decoys")
        self._lines = {name.partition("/")[2]: self._open(folder / f"{name}.jsonl", newline="\n") for name in names}
        self._export = _Export(folder / "raw" / "tickets", self._stack)
        self._log = csv.writer(self._open(folder / "raw" / "events.csv"))
        self._log.writerow(EVENT_COLUMNS)
        self._crm = Crm(folder / "raw" / "crm.db", seed, choose_orphans(seed, total, make_plan(seed, total).defects))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, ticket: Ticket, defects: list[dict[str, Any]]) -> None:
        """Write one ticket wherever it leaves a trace, and the truth about it.

        Args:
            ticket: as exported
            defects: rows of planted.jsonl about it, without doc
        """
        given, answer = label(self.seed, ticket), reply(self.seed, ticket)
        agent = answer.agent if answer else None
        case = follow(self.seed, ticket, agent, answer.written if answer else None)
        self._export.write(ticket)
        self._write_joined(ticket, given, answer)
        self._log_case(ticket, case)
        orphan = self._crm.write(ticket, case, agent)
        doc = document(ticket.number)
        for row in (*defects, *_label_truth(ticket, given), *([{"kind": "orphan", "detail": orphan}] if orphan else [])):
            self.note({"kind": row["kind"], "doc": doc, **row})
        for row in _case_truth(ticket, case):
            self.note(row)
        for decoy in _decoys(ticket):
            self.decoys[decoy["kind"]] += 1
            self._line("decoys", decoy)

    def note(self, row: dict[str, Any]) -> None:
        """Write down something that is planted: kind, doc, detail, and partner for copies."""
        self.counts[row["kind"]] += 1
        self._line("planted", row)

    def finish(self) -> None:
        """Write the database, and what is true of all tickets together."""
        rows = self._crm.close()
        self.holdings = {"letters": self.total, "replies": self._replies, "labels": self.total, **rows}
        self.holdings |= {"events": self._events}
        waits = self._waits.get(BOTTLENECK, [])
        hours = {"median_wait_hours": round(median(waits) / 3600, 1)} if waits else {}
        self.note({"kind": "bottleneck", "doc": f"events:{BOTTLENECK}", "detail": {"activity": BOTTLENECK, **hours}})

    def _write_joined(self, ticket: Ticket, given: Label, answer: Reply | None) -> None:
        joined = {"intent": given.intent, "priority": given.priority, "annotator": given.annotator}
        self._line("labels", {"ticket_id": ticket.ticket_id, **joined})
        true = {"intent": ticket.intent, "priority": ticket.priority, "language": ticket.language}
        self._line("answers", {"doc": document(ticket.number), **true})
        if answer:
            self._replies += 1
            said = {"agent": answer.agent, "replied_at": f"{answer.written:%Y-%m-%d %H:%M:%S}", "reply": answer.text}
            self._line("replies", {"ticket_id": ticket.ticket_id, **said})

    def _log_case(self, ticket: Ticket, case: Case) -> None:
        self._log.writerows((ticket.ticket_id, name, f"{time}", who, cost) for name, time, who, cost in case.events)
        self._events += len(case.events)
        for before, after in pairwise(case.events):
            self._waits.setdefault(after[0], []).append((after[1] - before[1]).total_seconds())

    def _line(self, name: str, row: dict[str, Any]) -> None:
        self._lines[name].write(json.dumps(row, ensure_ascii=False) + "\n")

    def _open(self, path: Path, newline: str = "") -> TextIO:
        return self._stack.enter_context(path.open("w", encoding="utf-8", newline=newline))


def document(number: int) -> str:
    """The name of a ticket's document in a build of datasets/tickets.yaml."""
    return f"tickets:T-{number:06d}"


@dataclass(frozen=True)
class Reply:
    """The desk's answer to a ticket."""

    agent: str
    written: datetime
    text: str


def reply(seed: int, ticket: Ticket) -> Reply | None:
    """The desk's answer; None for the few tickets that nobody answered."""
    rng = draws(f"reply/{seed}/{ticket.number}")
    if rng.random() >= 0.97:
        return None
    wording = templates("de" if ticket.language == "de" else "en")["replies"]
    texts = [fill(pick(rng, wording[part]), rng, ticket.slots) for part in ("opening", ticket.intent, "closing")]
    replied = ticket.created + timedelta(minutes=20 + int(rng.random() * 4000))
    return Reply(f"agent-{1 + int(rng.random() * 24):02d}", replied, " ".join(texts))


class _Export:
    """The help desk's export: one csv file a month, as German spreadsheets read it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack, self.month = folder, stack, ""
        self.rows: Any = None

    def write(self, ticket: Ticket) -> None:
        """Append one ticket to the file of its month."""
        month = f"{ticket.created:%Y-%m}"
        if month != self.month:
            path = self.folder / f"tickets-{month}.csv"
            file = self.stack.enter_context(path.open("w", encoding="latin-1", newline=""))
            self.rows = csv.writer(file, delimiter=";", lineterminator="\r\n")
            self.rows.writerow(COLUMNS)
            self.month = month
        customer = ticket.customer
        amount = "" if ticket.amount_eur is None else f"{ticket.amount_eur:.2f}".replace(".", ",")
        self.rows.writerow([
            ticket.ticket_id, f"{ticket.created:%Y-%m-%d %H:%M:%S}", ticket.channel, customer.number, customer.name,
            customer.group, ticket.machine, f"{ticket.machine_hours:.1f}".replace(".", ","), amount, ticket.subject,
            ticket.body,
        ])  # fmt: skip


def _case_truth(ticket: Ticket, case: Case) -> Iterator[dict[str, Any]]:
    place = f"events:{ticket.ticket_id}"
    for loop in case.loops:
        yield {"kind": "rework", "doc": place, "detail": {"loop": loop}}
    if case.broken:
        yield {"kind": "broken_rule", "doc": place, "detail": {"rule": RULE, "variant": case.broken}}


def _label_truth(ticket: Ticket, given: Label) -> Iterator[dict[str, Any]]:
    if given.noise:
        detail = {"column": "intent", "true": ticket.intent, "label": given.intent, "annotator": given.annotator}
        yield {"kind": "label_noise", "detail": detail}
    for column in given.biased:
        true, wrong = getattr(ticket, column), getattr(given, column)
        detail = {"column": column, "true": true, "label": wrong, "group": BIASED_GROUP}
        yield {"kind": "biased_label", "detail": detail}


def _decoys(ticket: Ticket) -> Iterator[dict[str, Any]]:
    """What a careless check would take for a defect: short letters, English names, numbers of business."""
    doc = document(ticket.number)
    if ticket.short and len(ticket.body.split()) >= 4:
        yield {"kind": "short_but_valid", "doc": doc, "detail": {"words": len(ticket.text.split())}}
    if ticket.language == "de":
        named = [name for name in read_wording("catalogue")["products"] if name in ticket.text]
        if named:
            yield {"kind": "english_name", "doc": doc, "detail": {"value": named[0]}}
    for slot in ("order", "tracking", "contract", "serial", "partno"):
        value = ticket.slots.get(slot, "")
        shape = identifiers.look_alike(value)
        if shape and value in ticket.text:
            yield {"kind": f"number_like_{shape}", "doc": doc, "detail": {"value": value}}
