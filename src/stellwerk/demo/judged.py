"""Answers that two people of the sample company's desk have judged: what a judge, itself a model, is audited with.

All of it is invented. Which answers are good is planted: those take up what was asked, in the polite form, and promise nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from stellwerk.demo.phrases import draws, pick
from stellwerk.demo.tickets import Ticket

FILE: Final = "raw/judged.jsonl"
ITEMS: Final = 60
GOOD: Final = (
    "Guten Tag, vielen Dank für Ihre Anfrage zu {about}. Wir prüfen sie heute und melden uns bei Ihnen mit dem "
    "nächsten Schritt. Freundliche Grüße, Kundendienst Tannwerder",
    "Guten Tag, wir haben Ihr Anliegen zu {about} aufgenommen und an die Fachabteilung gegeben, die sich bei Ihnen meldet. "
    "Freundliche Grüße, Kundendienst Tannwerder",
    "Sehr geehrte Damen und Herren, danke für Ihre Nachricht zu {about}. Bitte senden Sie uns ein Foto des Typenschilds, "
    "dann können wir Ihnen weiterhelfen. Freundliche Grüße, Kundendienst Tannwerder",
)
NUMBER: Final = re.compile(
    r"\b(?:A\d{6}|AB-20\d\d-\d{5}|RE20\d{7}|WV-\d{5}|4[5-9]00\d{6}|\d{10,15}|[A-Z]{1,4}-?\d[\d.-]{3,}\d)\b"
)
BAD: Final = (
    "Dabei kann ich nicht helfen.",
    "Das bekommst du verbindlich bis zum 3. des Monats, versprochen.",
    "Steht alles in der Anleitung, lies da nach. Kostet sonst 120,00 EUR.",
)


def write_judged(folder: Path, tickets: Iterable[Ticket], seed: int) -> None:
    """Write raw/judged.jsonl.

    Args:
        folder: the workspace.
        tickets: that were answered; the first ones are taken.
        seed: of the company.
    """
    lines = []
    for number, ticket in zip(range(ITEMS), tickets, strict=False):
        good = number % 2 == 0
        answer = pick(draws(f"judged/{seed}/{number}"), GOOD if good else BAD).format(about=_about(ticket))
        said = {"question": ticket.text, "answer": answer, "human": "pass" if good else "fail"}
        lines.append(json.dumps(said, ensure_ascii=False) + "\n")
    (folder / FILE).write_text("".join(lines), encoding="utf-8", newline="\n")


def _about(ticket: Ticket) -> str:
    """The number that a letter names, or its machine."""
    found = NUMBER.search(ticket.text)
    return found[0] if found else ticket.machine
