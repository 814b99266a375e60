"""Writes one clean letter to the support desk: who writes, what they want and in which words.

A ticket follows from the seed and its place alone, so any ticket can be written again without the others. Knows nothing
of the defects that demo/defects.py plants, nor of the labels that annotators gave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from stellwerk.demo.catalogue import Customer, Slots, customers
from stellwerk.demo.phrases import Template, draws, fill, pick, pick_by_share, read_templates, read_wording

# Share of each intent and the priority that it has without words of urgency (0 low, 1 normal, 2 high).
INTENTS = {
    "repair": (0.20, 2),
    "spare_part": (0.17, 1),
    "technical": (0.14, 1),
    "invoice": (0.12, 1),
    "delivery": (0.11, 1),
    "complaint": (0.08, 2),
    "contract": (0.07, 0),
    "cancellation": (0.06, 1),
    "training": (0.05, 0),
}
PRIORITIES = ("low", "normal", "high")
FIRST_DAY = datetime(2024, 11, 4)
WORKING_DAYS = 520  # to the end of October 2026
SHORT_SHARE = 0.03
TYPO_SHARE = 0.3


@dataclass
class Ticket:
    """One row of the help desk's export, and what is true of it."""

    number: int
    created: datetime
    channel: str
    customer: Customer
    machine: str
    machine_hours: float
    amount_eur: float | None
    subject: str
    body: str
    language: str
    intent: str
    priority: str
    short: bool = False
    slots: Slots = field(repr=False, kw_only=True)

    @property
    def ticket_id(self) -> str:
        """The key of the row in the export."""
        return f"T-{self.number:06d}"

    @property
    def text(self) -> str:
        """The text of the document that a build makes from the row: subject, blank line, body."""
        return f"{self.subject}\n\n{self.body}"


@cache
def templates(language: str) -> dict[str, Any]:
    """The compiled wording of a language (de, en or foreign)."""
    tree: dict[str, Any] = read_templates(read_wording(language))
    return tree


def created_at(place: int, total: int) -> datetime:
    """The time of the ticket at a place (from 0) of `total`: even over working days, 7 to 17 o'clock."""
    minute = place * WORKING_DAYS * 600 // total
    day, minute = divmod(minute, 600)
    weeks, weekday = divmod(day, 5)
    return FIRST_DAY + timedelta(days=7 * weeks + weekday, hours=7, minutes=minute, seconds=place * 37 % 60)


def write_ticket(seed: int, place: int, total: int, attempt: int = 0) -> Ticket:
    """The clean ticket at a place.

    Args:
        seed: of the whole corpus
        place: from 0; the ticket's number is one more
        total: tickets in the corpus
        attempt: another draw for the same place, where the first does not suit a planned defect

    Returns:
        The ticket, its text spelt as its writer spells.
    """
    rng = draws(f"ticket/{seed}/{place}/{attempt}")
    customer = pick(rng, customers(seed))
    created = created_at(place, total)
    intent = pick_by_share(rng, {name: share for name, (share, _) in INTENTS.items()})
    channel = pick(rng, ["email"] * 6 + ["portal"] * 3 + ["chat"])
    slots = Slots(rng, customer.language, customer, created)
    short = rng.random() < SHORT_SHARE
    wording = templates(customer.language)
    if short:
        subject = fill(pick(rng, wording["shared"]["subject"]), rng, slots, customer.formal)
        body, urgency = fill(pick(rng, wording["intents"][intent]["short"]), rng, slots, customer.formal), 0
    else:
        subject = _subject(rng, wording, intent, slots, customer.formal)
        body, urgency = _letter(rng, wording, intent, slots, channel)
    if rng.random() < TYPO_SHARE:
        body = _mistype(rng, body)
    return Ticket(
        number=place + 1,
        created=created,
        channel=channel,
        customer=customer,
        machine=slots["model"],
        machine_hours=round(300 + rng.random() * 41700, 1),
        amount_eur=round(80 + (rng.random() + rng.random()) * 2100, 2) if rng.random() < 0.6 else None,
        subject=_spell(subject, customer),
        body=_spell(body, customer),
        language=customer.language,
        intent=intent,
        priority=PRIORITIES[max(0, min(2, INTENTS[intent][1] + urgency))],
        short=short,
        slots=slots,
    )


def _subject(rng: Random, wording: dict[str, Any], intent: str, slots: Slots, formal: bool) -> str:
    lines = wording["shared"]["subject"] if rng.random() < 0.55 else wording["intents"][intent]["subject"]
    return fill(pick(rng, lines), rng, slots, formal)


def _letter(rng: Random, wording: dict[str, Any], intent: str, slots: Slots, channel: str) -> tuple[str, int]:
    formal = slots.customer.formal
    shared = wording["shared"]

    def say(lines: list[Template]) -> str:
        return fill(pick(rng, lines), rng, slots, formal)

    urgency = 0
    last = [say(wording["intents"][intent]["ask"])] if rng.random() < 0.6 else []
    draw = rng.random()
    if draw < 0.18:
        last.append(say(shared["urgent"]))
        urgency = 1
    elif draw < 0.28:
        last.append(say(shared["relaxed"]))
        urgency = -1
    if rng.random() < 0.4:
        last.append(say(shared["closing"]))
    sentences = _opening(rng, wording, say) + _middle(rng, wording, intent, say) + last
    body = _lay_out(rng, sentences)
    if channel == "chat" or (channel == "portal" and rng.random() < 0.5):
        return body, urgency
    greeting = say(shared["greeting_formal" if formal else "greeting_informal"])
    return f"{greeting}\n\n{body}\n\n{signature(rng, wording, slots)}", urgency


def _opening(rng: Random, wording: dict[str, Any], say: Any) -> list[str]:
    return [say(wording["shared"]["opener"])] if rng.random() < 0.4 else []


def _middle(rng: Random, wording: dict[str, Any], intent: str, say: Any) -> list[str]:
    own = wording["intents"][intent]
    request = say(own["hint" if rng.random() < 0.36 else "say"])
    around = [say(wording["shared"]["context"]) for _ in range(1 + int(rng.random() * 3))]
    if rng.random() < 0.65:
        around.append(say(own["more"]))
    for share in (0.6, 0.35):
        if rng.random() < share:
            other = pick(rng, [name for name in INTENTS if name != intent])
            around.append(say(wording["distractors"][other]))
    around = list(dict.fromkeys(around))
    around.sort(key=lambda _: rng.random())
    place = 0 if rng.random() < 0.5 else int(rng.random() * (len(around) + 1))
    return [*around[:place], request, *around[place:]]


def _lay_out(rng: Random, sentences: list[str]) -> str:
    draw = rng.random()
    if draw < 0.15:
        return "\n".join(sentences)
    if draw < 0.5 and len(sentences) > 3:
        half = 2 + int(rng.random() * (len(sentences) - 3))
        return " ".join(sentences[:half]) + "\n\n" + " ".join(sentences[half:])
    return " ".join(sentences)


def signature(rng: Random, wording: dict[str, Any], slots: Slots) -> str:
    """The end of a letter, without a person's name: farewell, department, company."""
    farewell = fill(pick(rng, wording["shared"]["farewell"]), rng, slots)
    desk = fill(pick(rng, wording["shared"]["desk"]), rng, slots)
    return f"{farewell}\n{desk}{pick(rng, [', ', chr(10)])}{slots['firm']}"


def _spell(text: str, customer: Customer) -> str:
    if customer.language != "de" or customer.spelling == "umlauts":
        return text
    text = text.replace("ß", "ss")
    if customer.spelling == "ascii":
        for umlaut, ascii_letters in zip("äöüÄÖÜ", ["ae", "oe", "ue", "Ae", "Oe", "Ue"], strict=True):
            text = text.replace(umlaut, ascii_letters)
    return text


def _mistype(rng: Random, body: str) -> str:
    words = body.split(" ")
    for _ in range(1 + int(rng.random() * 3)):
        place = int(rng.random() * len(words))
        word = words[place]
        if len(word) > 4 and word.isalpha():
            at = 1 + int(rng.random() * (len(word) - 2))
            swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            words[place] = pick(rng, [swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:], word.lower()])
    return " ".join(words)
