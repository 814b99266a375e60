"""The sample company's data: writes tickets, replies, labels and a knowledge base, and the truth about their defects.

The same seed and number of tickets give the same bytes on every machine. Knows which file holds what; the words, defects
and labels come from the modules beside it. All of it is invented: Tannwerder Maschinenbau GmbH does not exist.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from stellwerk.demo import identifiers
from stellwerk.demo.defects import COPIES, Plan, make_plan, plant, suits
from stellwerk.demo.knowledge_base import write_knowledge_base
from stellwerk.demo.labels import BIASED_GROUP, Label, label
from stellwerk.demo.near_copies import copy_exactly, copy_nearly
from stellwerk.demo.personal_data import plant_personal
from stellwerk.demo.phrases import draws, fill, pick, read_wording
from stellwerk.demo.tickets import Ticket, templates, write_ticket
from stellwerk.errors import UserError

COMPANY = "Tannwerder Maschinenbau GmbH"
DATASETS = ("tickets", "knowledge")
COLUMNS = [
    "ticket_id", "created", "channel", "customer_id", "customer_name", "customer_group", "machine", "machine_hours",
    "amount_eur", "subject", "body",
]  # fmt: skip
COPY_REACH = 1500  # places back within which an original is looked for


@dataclass
class Truth:
    """What `generate` wrote and planted.

    Attributes:
        folder: the workspace
        tickets: rows in raw/tickets
        articles: files in raw/knowledge
        counts: for each kind of defect, how many rows of truth/planted.jsonl
        decoys: for each kind of look-alike, how many rows of truth/decoys.jsonl
        planted: truth/planted.jsonl: kind, doc, detail, and partner for copies; doc is named as the build names it
        answers: truth/answers.jsonl: doc, and the true intent, priority and language of each ticket
        look_alikes: truth/decoys.jsonl: kind, doc, detail of what looks like a defect and is none
    """

    folder: Path
    tickets: int = 0
    articles: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    decoys: Counter[str] = field(default_factory=Counter)

    @property
    def planted(self) -> Path:
        """Where the planted defects are listed."""
        return self.folder / "truth" / "planted.jsonl"

    @property
    def answers(self) -> Path:
        """Where the true labels are listed."""
        return self.folder / "truth" / "answers.jsonl"

    @property
    def look_alikes(self) -> Path:
        """Where the look-alikes are listed."""
        return self.folder / "truth" / "decoys.jsonl"


def generate(
    folder: Path,
    tickets: int = 20_000,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Truth:
    """Write the sample company's raw files and the truth about them.

    Args:
        folder: the workspace; raw/ and truth/ below it must not exist or be empty
        tickets: rows of raw/tickets
        seed: other seeds give other companies' customers, letters and defects
        progress: called with (tickets written, tickets) every 500 tickets and at the end

    Returns:
        How often each defect was planted, and where the truth stands.

    Raises:
        UserError: the number of tickets is below 1, or the folder already holds raw or truth files.
    """
    if tickets < 1:
        raise UserError(f"The number of tickets is {tickets}, expected 1 or more.")
    for name in ("raw", "truth"):
        if (folder / name).exists() and any((folder / name).iterdir()):
            raise UserError(f"{folder / name} already holds files; choose another folder or remove it.")
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "raw" / "tickets").mkdir()
    truth = Truth(folder)
    with ExitStack() as stack:
        lines = {name: stack.enter_context(_jsonl(folder / name)) for name in (
            "raw/replies.jsonl", "raw/labels.jsonl", "truth/planted.jsonl", "truth/answers.jsonl", "truth/decoys.jsonl",
        )}  # fmt: skip
        write = {Path(name).stem: _line_writer(file) for name, file in lines.items()}
        export = _Export(folder / "raw" / "tickets", stack)
        for ticket, defects in corpus(seed, tickets):
            given = label(seed, ticket)
            export.write(ticket)
            _write_joined(seed, ticket, given, write)
            for row in [*defects, *_label_truth(ticket, given)]:
                truth.counts[row["kind"]] += 1
                write["planted"]({"kind": row["kind"], "doc": _doc(ticket.number), **row})
            for decoy in _decoys(ticket):
                truth.decoys[decoy["kind"]] += 1
                write["decoys"](decoy)
            truth.tickets += 1
            if progress and (truth.tickets % 500 == 0 or truth.tickets == tickets):
                progress(truth.tickets, tickets)
        for row in write_knowledge_base(folder, seed):
            truth.counts[row["kind"]] += 1
            write["planted"](row)
    truth.articles = sum(1 for _ in (folder / "raw" / "knowledge").iterdir())
    return truth


def spec_text(name: str) -> str:
    """The text of datasets/NAME.yaml for the sample company.

    Args:
        name: tickets (letters with labels and replies, for training) or knowledge (articles, for retrieval)
    """
    return files("stellwerk.demo").joinpath("datasets", f"{name}.yaml").read_text(encoding="utf-8")


def corpus(seed: int, total: int) -> Iterator[tuple[Ticket, list[dict[str, Any]]]]:
    """All tickets in the order of their numbers, each with the rows of truth about its defects.

    Args:
        seed: of the whole corpus
        total: number of tickets

    Yields:
        The ticket as exported, and its rows for planted.jsonl (without doc).
    """
    plan = make_plan(seed, total)
    copied: set[int] = set()
    for place in range(total):
        kind = plan.defects.get(place)
        ticket = write_ticket(seed, place, total)
        rows: list[dict[str, Any]] = []
        if kind in COPIES:
            rows += _copy(seed, ticket, kind, plan, copied, total)
        elif kind:
            attempt = 0
            while not suits(kind, ticket) and attempt < 200:
                attempt += 1
                ticket = write_ticket(seed, place, total, attempt)
            if suits(kind, ticket):
                rows.append({"kind": kind, "detail": plant(seed, ticket, kind)})
        for personal in plan.personal.get(place, []):
            rows.append({"kind": personal, "detail": plant_personal(seed, ticket, personal)})
        yield ticket, rows


def _copy(seed: int, ticket: Ticket, kind: str, plan: Plan, copied: set[int], total: int) -> Iterator[dict[str, Any]]:
    """Turn a ticket into a copy of an earlier one without defects, and say so; no original is copied twice."""
    place = ticket.number - 1
    rng = draws(f"copy/{seed}/{place}")
    for _ in range(300):
        candidate = place - 1 - int(rng.random() * min(place, COPY_REACH))
        if candidate in plan.defects or candidate in plan.personal or candidate in copied:
            continue
        original = write_ticket(seed, candidate, total)
        if not suits(kind, original):
            continue
        copied.add(candidate)
        detail = (copy_exactly if kind == "exact_duplicate" else copy_nearly)(rng, ticket, original)
        yield {"kind": kind, "partner": _doc(original.number), "detail": detail}
        return


def _doc(number: int) -> str:
    return f"tickets:T-{number:06d}"


def _jsonl(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


def _line_writer(file: TextIO) -> Callable[[dict[str, Any]], None]:
    def write(row: dict[str, Any]) -> None:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write


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


def _write_joined(seed: int, ticket: Ticket, given: Label, write: dict[str, Callable[[dict[str, Any]], None]]) -> None:
    row = {"ticket_id": ticket.ticket_id, "intent": given.intent, "priority": given.priority, "annotator": given.annotator}
    write["labels"](row)
    truth = {"doc": _doc(ticket.number), "intent": ticket.intent, "priority": ticket.priority, "language": ticket.language}
    write["answers"](truth)
    rng = draws(f"reply/{seed}/{ticket.number}")
    if rng.random() < 0.97:
        wording = templates("de" if ticket.language == "de" else "en")["replies"]
        texts = [fill(pick(rng, wording[part]), rng, ticket.slots) for part in ("opening", ticket.intent, "closing")]
        replied = ticket.created + timedelta(minutes=20 + int(rng.random() * 4000))
        agent = f"agent-{1 + int(rng.random() * 24):02d}"
        reply = {"ticket_id": ticket.ticket_id, "agent": agent, "replied_at": f"{replied:%Y-%m-%d %H:%M:%S}"}
        write["replies"]({**reply, "reply": " ".join(texts)})


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
    doc = _doc(ticket.number)
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
