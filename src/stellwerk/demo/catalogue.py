"""The sample company's customers, machines and parts, and the values that fill the slots of a sentence.

Knows wording/catalogue.yaml and how a German noun is inflected with its article. Does not know what a ticket says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from random import Random

from stellwerk.demo import identifiers
from stellwerk.demo.phrases import draws, pick, pick_by_share, read_wording

# Nominative, accusative, dative of the definite article; accusative of "ein"; nominative and dative of "unser".
GERMAN_ARTICLES = {
    "der": ("der", "den", "dem", "einen", "unser", "unserem"),
    "die": ("die", "die", "der", "eine", "unsere", "unserer"),
    "das": ("das", "das", "dem", "ein", "unser", "unserem"),
}


@dataclass(frozen=True)
class Customer:
    """A company that owns machines and writes to the support desk."""

    number: str
    name: str
    group: str
    language: str
    formal: bool
    town: str
    machines: tuple[int, ...]
    spelling: str  # umlauts | ascii | swiss: how the writer's keyboard spells German


@cache
def customers(seed: int, count: int = 600) -> tuple[Customer, ...]:
    """The customers of a seed; the same for every number of tickets."""
    rng = draws(f"customers/{seed}")
    return tuple(_customer(rng, index) for index in range(count))


def _customer(rng: Random, index: int) -> Customer:
    catalogue = read_wording("catalogue")
    group = pick_by_share(rng, {name: share for name, (share, _) in catalogue["groups"].items()})
    language = "de" if rng.random() < catalogue["groups"][group][1] else "en"
    named = "en" if group == "Export" else "de"
    parts = [pick(rng, catalogue[table][named]) for table in ("families", "trades", "legal")]
    draw = rng.random()
    spelling = "swiss" if group == "AT/CH" and draw < 0.5 else "ascii" if draw > 0.94 else "umlauts"
    return Customer(
        number=f"K-{10001 + index}",
        name=" ".join(parts),
        group=group,
        language=language,
        formal=rng.random() < 0.85,
        town=pick(rng, catalogue["towns"][named]),
        machines=tuple(int(rng.random() * len(catalogue["machines"])) for _ in range(1 + int(rng.random() * 3))),
        spelling=spelling,
    )


class Slots(dict[str, str]):
    """The values of one letter's slots: made when first asked for, then the same throughout the letter.

    Args:
        rng: makes the values
        language: de or en, the language of nouns, months and towns
        customer: who writes
        written: when; dates in the letter lie around it
    """

    def __init__(self, rng: Random, language: str, customer: Customer, written: datetime) -> None:
        super().__init__()
        self.rng, self.language, self.customer, self.written = rng, language, customer, written
        catalogue = read_wording("catalogue")
        self.months: list[str] = catalogue["months"][language]
        self.towns: list[str] = catalogue["towns"][language]
        parts = catalogue["parts"]
        self.prefix = ""
        self.set_machine(catalogue["machines"][pick(rng, customer.machines)])
        self.set_part(pick(rng, parts))
        other = pick(rng, parts)
        self["part2"] = other[1].split(" ", 1)[1] if language == "de" else other[2]

    def set_machine(self, entry: list[str]) -> None:
        """Speak of a machine: model, German noun, English noun."""
        model, german, english = entry
        self["model"] = model
        if self.language == "de":
            article, noun = german.split(" ", 1)
            nominative, _, dative, _, ours, _ = GERMAN_ARTICLES[article]
            short = self.rng.random()
            name = noun if short < 0.2 else f"{noun} {model}"
            self.update(machine=name, the_machine=f"{nominative} {name}", machine_dat=f"{dative} {name}")
            self["our_machine"] = f"{ours} {name}"
        else:
            name = english if self.rng.random() < 0.2 else f"{english} {model}"
            self.update(machine=name, the_machine=f"the {name}", machine_dat=f"the {name}", our_machine=f"our {name}")

    def set_part(self, entry: list[str]) -> None:
        """Speak of a part: prefix of its number, German noun, English noun."""
        self.prefix, german, english = entry
        if self.language == "de":
            article, noun = german.split(" ", 1)
            nominative, accusative, dative, indefinite, _, _ = GERMAN_ARTICLES[article]
            self.update(part=noun, a_part=f"{indefinite} {noun}", the_part=f"{nominative} {noun}")
            self.update(part_acc=f"{accusative} {noun}", part_dat=f"{dative} {noun}")
        else:
            indefinite = "an" if english[0] in "aeiou" else "a"
            self.update(part=english, a_part=f"{indefinite} {english}", the_part=f"the {english}")

    def __missing__(self, name: str) -> str:
        value = self._make(name)
        self[name] = value
        return value

    def _make(self, name: str) -> str:
        rng = self.rng
        match name:
            case "order":
                return identifiers.order_number(rng)
            case "invoice":
                return f"{pick(rng, ['RE', 'R', 'TWR-'])}{self.written.year}{identifiers.digits(rng, 5)}"
            case "contract":
                return identifiers.contract_number(rng)
            case "serial":
                return identifiers.serial_number(rng)
            case "partno":
                return identifiers.part_number(rng, self.prefix)
            case "tracking":
                return identifiers.tracking_number(rng)
            case "customer":
                return self.customer.number
            case "firm":
                return self.customer.name
            case "town":
                return pick(rng, self.towns)
            case "month":
                return pick(rng, self.months)
            case "product":
                return str(pick(rng, read_wording("catalogue")["products"]))
            case "axis":
                return pick(rng, "XYZABC")
            case "date" | "date2":
                return self._date(-2 - int(rng.random() * 40) if name == "date" else 3 + int(rng.random() * 60))
            case _:
                return self._number(name)

    def _date(self, days: int) -> str:
        day = self.written + timedelta(days=days)
        if self.language == "de":
            return f"{day:%d.%m.%Y}" if self.rng.random() < 0.7 else f"{day.day}. {self.months[day.month - 1]}"
        return f"{day:%Y-%m-%d}" if self.rng.random() < 0.4 else f"{day.day} {self.months[day.month - 1]} {day.year}"

    def _number(self, name: str) -> str:
        rng = self.rng
        match name:
            case "amount" | "amount2":
                cents = 5000 + int(rng.random() * 450000)
                plain = f"{cents // 100}.{cents % 100:02d}"
                return plain.replace(".", ",") if self.language == "de" else plain
            case "code":
                return f"{pick(rng, ['E', 'F', 'AL ', 'ERR-', ''])}{pick(rng, '1234567')}{identifiers.digits(rng, 3)}"
            case "param":
                return f"{pick(rng, ['P', 'MD', 'N'])}{pick(rng, '123456')}{identifiers.digits(rng, 4)}"
            case "version":
                return ".".join(str(int(rng.random() * size)) for size in (9, 30, 12, 99)[: pick(rng, [2, 3, 4])])
            case "year":
                return str(2008 + int(rng.random() * 18))
            case "time":
                return f"{6 + int(rng.random() * 15):02d}:{int(rng.random() * 12) * 5:02d}"
            case "hours":
                return str(300 + int(rng.random() * 44000))
            case "week":
                return str(1 + int(rng.random() * 52))
            case "days":
                return str(3 + int(rng.random() * 40))
            case "count":
                return str(2 + int(rng.random() * 46))
            case "value":
                return str(10 + int(rng.random() * 190))
        raise KeyError(name)
