"""Writes the sample company's SQL database, raw/crm.db: customers, machines, orders of parts, tickets and service bulletins.

A few tickets point at a machine or a customer that is not there; the truth lists them. The letters themselves stand in the
help desk's export, the events of a ticket in the process log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from stellwerk.demo import identifiers
from stellwerk.demo.catalogue import Customer, Slots, customers
from stellwerk.demo.contacts import contact
from stellwerk.demo.phrases import compile_template, draws, fill, pick, read_wording
from stellwerk.demo.process import EXPORTED, Case
from stellwerk.demo.tickets import PRIORITIES, Ticket

ORPHAN_SHARE: Final = 0.003  # of all tickets; at least two
BULLETINS: Final = 24
TABLES: Final = """
CREATE TABLE customers (
  customer_id TEXT PRIMARY KEY, company TEXT NOT NULL, segment TEXT, region TEXT, city TEXT, since DATE,
  contact TEXT, email TEXT, phone TEXT, iban TEXT);
CREATE TABLE machines (
  serial TEXT PRIMARY KEY, model TEXT NOT NULL, customer_id TEXT REFERENCES customers, installed DATE, hours INTEGER,
  warranty_until DATE);
CREATE TABLE orders (
  order_id TEXT PRIMARY KEY, customer_id TEXT REFERENCES customers, serial TEXT REFERENCES machines, part_no TEXT, part TEXT,
  quantity INTEGER, amount_eur REAL, ordered DATE, status TEXT);
CREATE TABLE tickets (
  ticket_id TEXT PRIMARY KEY, customer_id TEXT REFERENCES customers, serial TEXT REFERENCES machines, channel TEXT,
  opened TIMESTAMP, closed TIMESTAMP, status TEXT, priority TEXT, agent TEXT, changed_at TIMESTAMP);
CREATE TABLE bulletins (
  number TEXT PRIMARY KEY, model TEXT, language TEXT, title TEXT, body TEXT, published DATE);
CREATE INDEX tickets_changed ON tickets (changed_at);
"""


class Crm:
    """The database while the company is written; `write` takes ticket after ticket, `close` writes what is left.

    Args:
        path: of the database; it must not be there
        seed: of the whole corpus
        orphans: numbers of tickets that point at something that is not there
    """

    def __init__(self, path: Path, seed: int, orphans: set[int]) -> None:
        self.path, self.seed, self.orphans = path, seed, orphans
        self.tickets: list[tuple[Any, ...]] = []
        self.orders: dict[str, tuple[Any, ...]] = {}

    def write(self, ticket: Ticket, case: Case, agent: str | None) -> dict[str, Any] | None:
        """Note a ticket, and the order that it is about.

        Returns:
            The detail of what was planted, if anything was.
        """
        rng = draws(f"crm/{self.seed}/{ticket.number}")
        number = ticket.customer.number
        serial = pick(rng, [unit for unit, model in machines(self.seed)[number] if model == ticket.machine])
        orphan = self._misdirect(rng, number, serial) if ticket.number in self.orphans else None
        if orphan and orphan["column"] == "serial":
            serial = orphan["value"]
        elif orphan:
            number = orphan["value"]
        urgency = PRIORITIES.index(ticket.priority)
        priority = PRIORITIES[max(0, urgency - 1)] if rng.random() < 0.1 else ticket.priority
        status = "closed" if case.closed else "open"
        self.tickets.append((
            ticket.ticket_id, number, serial, ticket.channel, f"{ticket.created}", case.closed and f"{case.closed}", status,
            priority, agent, f"{case.changed}",
        ))  # fmt: skip
        if not orphan and (ticket.intent in ("spare_part", "delivery") or "order" in ticket.slots):
            self._order(rng, ticket, serial)
        return orphan

    def close(self) -> dict[str, int]:
        """Write the database beside its place and move it there.

        Returns:
            Rows by table.
        """
        partial = self.path.with_suffix(".partial")
        with closing(sqlite3.connect(partial)) as database:
            database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {TABLES}")
            rows = {
                "customers": list(_customers(self.seed)),
                "machines": list(_machines(self.seed)),
                "orders": list(self.orders.values()),
                "tickets": self.tickets,
                "bulletins": list(_bulletins(self.seed)),
            }
            for table, entries in rows.items():
                if not entries:
                    continue
                places = ", ".join("?" * len(entries[0]))
                database.executemany(f"INSERT INTO {table} VALUES ({places})", entries)  # noqa: S608 (our own table names)
            database.commit()
        partial.replace(self.path)
        return {table: len(entries) for table, entries in rows.items()}

    def _misdirect(self, rng: Random, number: str, serial: str) -> dict[str, Any]:
        if rng.random() < 0.5:
            return {"table": "tickets", "column": "customer_id", "value": f"K-{90000 + int(number[2:])}"}
        return {"table": "tickets", "column": "serial", "value": f"{serial}-ALT"}

    def _order(self, rng: Random, ticket: Ticket, serial: str) -> None:
        slots = ticket.slots
        number = slots.get("order") or identifiers.order_number(rng)
        status = pick(rng, ["open", "shipped", "delivered", "delivered", "delivered", "cancelled"])
        amount = abs(ticket.amount_eur or round(40 + rng.random() * 900, 2))
        ordered = ticket.created.date() - timedelta(days=2 + int(rng.random() * 30))
        self.orders.setdefault(number, (
            number, ticket.customer.number, serial, slots.get("partno") or identifiers.part_number(rng, slots.prefix),
            slots["part"], 1 + int(rng.random() * 4), amount, f"{ordered}", status,
        ))  # fmt: skip


def choose_orphans(seed: int, total: int, taken: Collection[int]) -> set[int]:
    """Numbers of tickets that are to point at nothing: sound ones, whose letters stay in the dataset.

    Args:
        seed: of the whole corpus
        total: number of tickets
        taken: places (from 0) of tickets that carry another defect
    """
    rng = draws(f"orphans/{seed}")
    free = [place for place in range(total) if place not in taken]
    wanted = min(len(free), max(2, round(ORPHAN_SHARE * total)))
    return {place + 1 for place in sorted(free, key=lambda _: rng.random())[:wanted]}


@cache
def machines(seed: int) -> dict[str, list[tuple[str, str]]]:
    """By customer's number the machines that it owns: serial number and model."""
    models = read_wording("catalogue")["machines"]
    used: set[str] = set()
    owned: dict[str, list[tuple[str, str]]] = {}
    for customer in customers(seed):
        rng = draws(f"machines/{seed}/{customer.number}")
        owned[customer.number] = []
        for place in sorted(set(customer.machines)):
            for _ in range(1 + int(rng.random() * 3)):
                serial = identifiers.serial_number(rng)
                while serial in used:
                    serial = identifiers.serial_number(rng)
                used.add(serial)
                owned[customer.number].append((serial, models[place][0]))
    return owned


def _customers(seed: int) -> Iterator[tuple[Any, ...]]:
    for customer in customers(seed):
        who = contact(seed, customer)
        yield (
            customer.number, customer.name, who.segment, who.region, customer.town, f"{who.since}", who.name, who.email,
            who.phone, who.iban,
        )  # fmt: skip


def _machines(seed: int) -> Iterator[tuple[Any, ...]]:
    for number, units in machines(seed).items():
        rng = draws(f"installed/{seed}/{number}")
        for serial, model in units:
            installed = date(2008, 1, 7) + timedelta(days=int(rng.random() * 6800))
            hours = int((EXPORTED.date() - installed).days * (3 + rng.random() * 12))
            warranty = installed + timedelta(days=pick(rng, [730, 730, 1095, 1826]))
            yield serial, model, number, f"{installed}", hours, f"{warranty}"


def _bulletins(seed: int) -> Iterator[tuple[Any, ...]]:
    """Service bulletins: short texts that the service department keeps in the database."""
    rng = draws(f"bulletins/{seed}")
    for number in range(BULLETINS):
        language = "de" if number % 2 == 0 else "en"
        wording = read_wording(f"manuals_{language}")["bulletins"]
        topics = list(wording["topics"])
        published = date(2024, 11, 4) + timedelta(days=number * 29 + int(rng.random() * 20))
        slots = Slots(rng, language, _any_customer(rng, seed), EXPORTED)
        title, *lines = wording["topics"][topics[number // 2 % len(topics)]].splitlines()
        lines += sorted(wording["shared"].splitlines(), key=lambda _: rng.random())[:2]
        body = " ".join(fill(compile_template(line), rng, slots) for line in lines)
        yield (
            f"TM-{published:%Y}-{number + 1:02d}", slots["model"], language, fill(compile_template(title), rng, slots), body,
            f"{published}",
        )  # fmt: skip


def _any_customer(rng: Random, seed: int) -> Customer:
    return pick(rng, customers(seed))
