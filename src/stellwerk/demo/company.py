"""The sample company's data: writes all that it holds into raw/, and the truth about what is wrong with it into truth/.

Letters, replies and labels; a database; a process log; a knowledge base; manuals; e-mails. The same seed and number of tickets
give the same words on every machine. Knows which file holds what; the words and defects come from the modules beside it. All
of it is invented: Tannwerder Maschinenbau GmbH does not exist.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from stellwerk.demo.defects import COPIES, Plan, make_plan, plant, suits
from stellwerk.demo.desk_files import DeskFiles, document
from stellwerk.demo.judged import write_judged
from stellwerk.demo.knowledge_base import HANDBOOK, write_knowledge_base
from stellwerk.demo.mails import write_mails
from stellwerk.demo.manual_files import write_manuals
from stellwerk.demo.near_copies import copy_exactly, copy_nearly
from stellwerk.demo.personal_data import plant_personal
from stellwerk.demo.phrases import draws
from stellwerk.demo.tickets import Ticket, write_ticket
from stellwerk.errors import UserError

COMPANY = "Tannwerder Maschinenbau GmbH"
DATASETS = ("tickets", "knowledge", "mails")
SPECS = tuple(f"datasets/{name}.yaml" for name in DATASETS)
SYSTEMS = ("systems/support-desk.yaml", "systems/copilot.yaml", "services/copilot.yaml")
PROMPTS = (
    "models/simulated.yaml", "prompts/reply.prompty", "prompts/reply-short.prompty", "suites/support.yaml",
    "judges/helpful.yaml", "studies/tone.yaml", "apps/desk.yaml", "imports/promptfooconfig.yaml", "imports/reply.prompt",
)  # fmt: skip
FILES = (*SPECS, *SYSTEMS, *PROMPTS)
FOLDERS = {"pages": "knowledge", "manuals": "manuals", "mails": "mails"}  # things whose files are counted -> below raw
COPY_REACH = 1500  # places back within which an original is looked for


@dataclass
class Truth:
    """What `generate` wrote and planted.

    Attributes:
        folder: the workspace
        tickets: rows in raw/tickets
        articles: pages in raw/knowledge and sheets in raw/handbook.json
        holdings: for each thing that the company has, how many
        counts: for each kind of defect, how many rows of truth/planted.jsonl
        decoys: for each kind of look-alike, how many rows of truth/decoys.jsonl
        planted: truth/planted.jsonl: kind, doc, detail, and partner for copies; doc is named as the build names it
        answers: truth/answers.jsonl: doc, and the true intent, priority and language of each ticket
        look_alikes: truth/decoys.jsonl: kind, doc, detail of what looks like a defect and is none
    """

    folder: Path
    tickets: int = 0
    articles: int = 0
    holdings: dict[str, int] = field(default_factory=dict)
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
    with DeskFiles(folder, seed, tickets) as desk:
        for number, (ticket, defects) in enumerate(corpus(seed, tickets), start=1):
            desk.write(ticket, defects)
            if progress and (number % 500 == 0 or number == tickets):
                progress(number, tickets)
        desk.finish()
        write_judged(folder, (ticket for ticket, _ in corpus(seed, tickets)), seed)
        for rows in (write_knowledge_base(folder, seed), write_manuals(folder, seed), write_mails(folder, seed)):
            for row in rows:
                desk.note(row)
    holdings = desk.holdings | _count_files(folder)
    articles = holdings["pages"] + holdings["sheets"]
    return Truth(folder, tickets, articles, holdings, desk.counts, desk.decoys)


def _count_files(folder: Path) -> dict[str, int]:
    sheets = json.loads((folder / HANDBOOK).read_text(encoding="utf-8"))["articles"]
    found = {name: sum(path.is_file() for path in (folder / "raw" / place).rglob("*")) for name, place in FOLDERS.items()}
    return {**found, "sheets": len(sheets)}


def spec_text(name: str) -> str:
    """The text of datasets/NAME.yaml for the sample company.

    Args:
        name: tickets (letters with labels and replies, for training), knowledge (articles, for retrieval) or mails
    """
    return file_text(f"datasets/{name}.yaml")


def file_text(path: str) -> str:
    """The text of a spec file of the sample company, such as systems/support-desk.yaml."""
    return files("stellwerk.demo").joinpath(path).read_text(encoding="utf-8")


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
        yield {"kind": kind, "partner": document(original.number), "detail": detail}
        return
