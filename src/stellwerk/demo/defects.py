"""Decides which tickets get which planted defect, and plants those that spoil text, numbers or language.

Each ticket has at most one defect of this module; copies are made by demo/near_copies.py, personal data by
demo/personal_data.py, wrong labels by demo/labels.py. A defect says in its detail what the clean value was.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from stellwerk.demo.personal_data import PERSONAL_RATES, insert_sentence
from stellwerk.demo.phrases import draws, fill, pick, read_wording
from stellwerk.demo.tickets import Ticket, signature, templates

# Share of all tickets with each defect.
DEFECT_RATES = {
    "exact_duplicate": 0.015,
    "near_duplicate": 0.02,
    "mojibake": 0.01,
    "wrong_language": 0.01,
    "truncated": 0.01,
    "outlier": 0.005,
    "junk": 0.005,
    "injection": 0.003,
}
COPIES = ("exact_duplicate", "near_duplicate")
OLD_FIELD_LIMIT = 255  # characters that the old help desk kept of a body


@dataclass
class Plan:
    """Which place in the corpus (from 0) gets what."""

    defects: dict[int, str] = field(default_factory=dict)
    personal: dict[int, list[str]] = field(default_factory=dict)


def make_plan(seed: int, total: int) -> Plan:
    """Deal the defects out over the places, each kind as often as its rate says.

    Copies stand behind the first twentieth, so that there is something to copy. Personal data may meet outliers and
    injections, and each other.
    """
    rng = draws(f"plan/{seed}")
    plan = Plan()
    for kind, rate in DEFECT_RATES.items():
        first = total // 20 if kind in COPIES else 0
        wanted = round(rate * total)
        while wanted:
            place = first + int(rng.random() * (total - first))
            if place not in plan.defects:
                plan.defects[place] = kind
                wanted -= 1
    for kind, rate in PERSONAL_RATES.items():
        wanted = round(rate * total)
        while wanted:
            place = int(rng.random() * total)
            kinds = plan.personal.setdefault(place, [])
            if kind not in kinds and plan.defects.get(place, "outlier") in ("outlier", "injection"):
                kinds.append(kind)
                wanted -= 1
    plan.personal = {place: kinds for place, kinds in plan.personal.items() if kinds}
    return plan


def suits(kind: str, ticket: Ticket) -> bool:
    """Whether a clean ticket can get a defect, or be the original of a copy."""
    match kind:
        case "mojibake":
            return ticket.language == "de" and sum(character > "\x7f" for character in ticket.body) >= 3
        case "truncated":
            return len(ticket.body) > OLD_FIELD_LIMIT + 60
        case "outlier":
            return ticket.machine_hours > 4000
        case "near_duplicate" | "injection":
            return len(ticket.body.split()) >= 45
        case "exact_duplicate":
            return not ticket.short
    return True


def plant(seed: int, ticket: Ticket, kind: str) -> dict[str, Any]:
    """Plant a defect that needs no other ticket.

    Args:
        seed: of the whole corpus
        ticket: changed in place
        kind: a key of DEFECT_RATES that is not a copy

    Returns:
        What was done, with the clean value where it can be restored.
    """
    rng = draws(f"defect/{seed}/{ticket.number}")
    return PLANTERS[kind](rng, ticket)


def misread(text: str) -> str:
    """A text whose UTF-8 bytes were read as Latin-1."""
    return text.encode("utf-8").decode("latin-1")


def _mojibake(rng: Random, ticket: Ticket) -> dict[str, Any]:
    clean = ticket.text
    variant = pick(rng, ["whole"] * 7 + ["paragraph"] * 2 + ["twice"])
    if variant == "paragraph":
        paragraphs = ticket.body.split("\n\n")
        spoilt = max(range(len(paragraphs)), key=lambda place: sum(c > "\x7f" for c in paragraphs[place]))
        paragraphs[spoilt] = misread(paragraphs[spoilt])
        ticket.body = "\n\n".join(paragraphs)
    else:
        ticket.subject, ticket.body = misread(ticket.subject), misread(ticket.body)
        if variant == "twice":
            ticket.subject, ticket.body = misread(ticket.subject), misread(ticket.body)
    return {"variant": variant, "clean": clean}


def _wrong_language(rng: Random, ticket: Ticket) -> dict[str, Any]:
    language = pick(rng, ["fr", "it", "es", "nl"])
    wording = templates("foreign")[language]
    intent = pick(rng, list(wording["intents"]))

    def say(lines: list[Any]) -> str:
        return fill(pick(rng, lines), rng, ticket.slots)

    sentences = [say(wording["intents"][intent])]
    for _ in range(2 + int(rng.random() * 3)):
        sentence = say(wording["filler"])
        if sentence not in sentences:
            sentences.append(sentence)
    ticket.subject = pick(
        rng, [ticket.slots["model"], ticket.slots["order"], f"{ticket.slots['model']} {ticket.slots['serial']}"]
    )
    ticket.body = f"{say(wording['greeting'])}\n\n{' '.join(sentences)}\n\n{say(wording['farewell'])}\n{ticket.customer.name}"
    ticket.intent, ticket.priority, ticket.language = intent, "normal", language
    return {"language": language}


def _truncated(rng: Random, ticket: Ticket) -> dict[str, Any]:
    full = len(ticket.body)
    variant = "field limit" if rng.random() < 0.7 else "anywhere"
    cut = OLD_FIELD_LIMIT if variant == "field limit" else int(full * (0.35 + rng.random() * 0.4))
    ticket.body = ticket.body[:cut]
    return {"variant": variant, "characters": len(ticket.body), "lost": full - cut, "ends": ticket.body[-20:]}


def _outlier(rng: Random, ticket: Ticket) -> dict[str, Any]:
    column = "amount_eur" if ticket.amount_eur and ticket.amount_eur > 500 and rng.random() < 0.4 else "machine_hours"
    clean = ticket.amount_eur if column == "amount_eur" else ticket.machine_hours
    assert clean is not None  # chosen above
    how = pick(rng, ["factor 100", "factor 100", "factor 1000", "negative"])
    value = round(-clean if how == "negative" else clean * int(how.removeprefix("factor ")), 2)
    if column == "amount_eur":
        ticket.amount_eur = value
    else:
        ticket.machine_hours = value
    return {"column": column, "how": how, "clean": clean, "value": value}


def _junk(rng: Random, ticket: Ticket) -> dict[str, Any]:
    variant = pick(rng, ["empty", "keys", "keys", "only signature", "blob"])
    subject = fill(pick(rng, templates("planted")["junk_subjects"]), rng, {})
    ticket.subject = subject if rng.random() < 0.7 else ""
    if variant == "keys":
        ticket.body = pick(rng, read_wording("planted")["junk"].splitlines())
    elif variant == "only signature":
        ticket.body = signature(rng, templates("en" if ticket.language == "en" else "de"), ticket.slots)
    elif variant == "blob":
        noise = bytes(int(rng.random() * 256) for _ in range(300 + int(rng.random() * 600)))
        ticket.body = base64.b64encode(noise).decode("ascii")
    else:
        ticket.body = ""
    ticket.intent, ticket.priority = "technical", "low"
    return {"variant": variant}


def _injection(rng: Random, ticket: Ticket) -> dict[str, Any]:
    wording = templates("planted")["injections"][ticket.language]
    goal = pick(rng, list(wording))
    sentence = fill(pick(rng, wording[goal]), rng, ticket.slots)
    variant = pick(rng, ["sentence", "sentence", "comment", "below signature"])
    if variant == "sentence":
        ticket.body = insert_sentence(rng, ticket.body, sentence)
    elif variant == "comment":
        sentence = f"<!-- {sentence} -->"
        ticket.body = f"{sentence}\n{ticket.body}"
    else:
        ticket.body = f"{ticket.body}\n\n{'_' * 20}\n{sentence}"
    return {"goal": goal, "variant": variant, "text": sentence}


PLANTERS: dict[str, Callable[[Random, Ticket], dict[str, Any]]] = {
    "mojibake": _mojibake,
    "wrong_language": _wrong_language,
    "truncated": _truncated,
    "outlier": _outlier,
    "junk": _junk,
    "injection": _injection,
}
