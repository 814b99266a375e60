"""Who works at the sample company's customers and where: contact persons with their addresses, numbers and accounts.

All of it is invented; demo/identifiers.py says from which reserved ranges. Knows nothing of letters, mails or the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from stellwerk.demo import identifiers
from stellwerk.demo.catalogue import Customer
from stellwerk.demo.personal_data import plain_letters
from stellwerk.demo.phrases import draws, pick, read_wording


@dataclass(frozen=True)
class Contact:
    """What the company's database knows of a customer beside the name."""

    first: str
    last: str
    email: str
    phone: str  # as printed, international
    iban: str  # without spaces
    segment: str
    region: str
    since: date

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"


@cache
def contact(seed: int, customer: Customer) -> Contact:
    """The contact of a customer; the same in every file of a seed."""
    rng = draws(f"contact/{seed}/{customer.number}")
    catalogue = read_wording("catalogue")
    first, last = pick(rng, catalogue["first_names"]), pick(rng, catalogue["last_names"])
    firm = "-".join(plain_letters(word) for word in customer.name.split()[:2])
    country, area, number = identifiers.phone_number(rng)
    code = {"DE": "49", "GB": "44", "US": "1"}[country]
    language = "en" if customer.group == "Export" else "de"
    trade = catalogue["trades"][language].index(customer.name.split()[1])
    return Contact(
        first,
        last,
        email=f"{plain_letters(first)}.{plain_letters(last)}@{firm}.example",
        phone=f"+{code} {area} {number}",
        iban=identifiers.iban(rng),
        segment=catalogue["segments"][trade],
        region=pick(rng, catalogue["regions"].get(customer.group, catalogue["regions"]["default"])),
        since=date(1996, 1, 1) + timedelta(days=int(rng.random() * 10_000)),
    )
