"""The record: what happened in a workspace, and how to ask it.

Assets and their immutable versions, runs and their steps, measurements, findings, aliases and lineage. Every write goes
through a `Transaction`, which adds the journal's entries at its end. It holds no bytes of datasets or artifacts: those lie
in the store.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select

from stellwerk.errors import UserError
from stellwerk.record import journal, tables
from stellwerk.record.database import Database

ERASED = "erased person"
PAGE = 500  # ids in one query


@dataclass(frozen=True)
class Version:
    """One immutable state of an asset.

    Attributes:
        ref: how people name it, such as `dataset/tickets@3`.
        identity: the declared fields that make it what it is; their digest is the version's.
        facts: what is known about it beside its identity.
        content: where its bytes lie in the store.
        tainted: the erasure that removed rows it was made from, if any.
    """

    id: str
    kind: str
    name: str
    number: int
    digest: str
    identity: dict[str, Any]
    facts: dict[str, Any]
    content: dict[str, Any]
    tainted: str | None
    run: str
    created: str

    @property
    def ref(self) -> str:
        """`kind/name@number`."""
        return f"{self.kind}/{self.name}@{self.number}"


class Transaction:
    """One write to the record: rows and their journal entries, committed together."""

    def __init__(self, connection: Connection, person: str) -> None:
        self.connection = connection
        self.person = person
        self.at = now()
        self.written: list[tuple[Table, Mapping[str, Any]]] = []

    def insert(self, table: Table, **values: Any) -> dict[str, Any]:
        """Write a row; a missing `id` is drawn at random."""
        row = journal.plain(table, {"id": uuid.uuid4().hex, **values})
        self.connection.execute(table.insert(), row)
        self.written.append((table, row))
        return row

    def update(self, table: Table, key: str, **changes: Any) -> dict[str, Any]:
        """Change a row; the journal gets the digest of what it is now."""
        stored = journal.plain(table, changes)
        self.connection.execute(table.update().where(table.c.id == key).values({name: stored[name] for name in changes}))
        row = dict(self.connection.execute(select(table).where(table.c.id == key)).mappings().one())
        self.written.append((table, row))
        return row

    def put_version(
        self,
        kind: str,
        name: str,
        *,
        identity: Mapping[str, Any],
        facts: Mapping[str, Any],
        content: Mapping[str, Any],
        run: str,
    ) -> Version:
        """Note a version: equal identity is the same version, with what is known of it now; `latest` moves to it either way."""
        digest = hashlib.sha256(journal.canonical(identity)).hexdigest()
        asset = self._asset(kind, name)
        row = self._one(tables.version, tables.version.c.asset == asset, tables.version.c.digest == digest)
        if row is None:
            highest = self.connection.execute(
                select(func.max(tables.version.c.number)).where(tables.version.c.asset == asset)
            ).scalar()
            row = self.insert(
                tables.version,
                id=version_id(kind, name, identity),
                asset=asset,
                number=(highest or 0) + 1,
                digest=digest,
                identity=dict(identity),
                facts=dict(facts),
                content=dict(content),
                tainted=None,
                run=run,
                created=self.at,
            )
        else:
            row = self.tell(row["id"], facts=facts, content=content)
        self.move_alias(asset, "latest", row["id"], run)
        return _version(kind, name, row)

    def tell(self, version: str, *, facts: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
        """Say what is known of a version now: the same content may come about in another way, with another ledger."""
        row = self._one(tables.version, tables.version.c.id == version)
        assert row is not None
        new = journal.plain(tables.version, {"facts": dict(facts), "content": dict(content)})
        if (row["facts"], row["content"]) == (new["facts"], new["content"]):
            return dict(row)
        return self.update(tables.version, version, facts=new["facts"], content=new["content"])

    def make_latest(self, version: str, run: str) -> None:
        """Point `latest` of a version's asset to it."""
        query = select(tables.version.c.asset).where(tables.version.c.id == version)
        self.move_alias(self.connection.execute(query).scalar_one(), "latest", version, run)

    def move_alias(self, asset: str, name: str, version: str, run: str) -> None:
        """Point an alias to a version."""
        row = self._one(tables.alias, tables.alias.c.asset == asset, tables.alias.c.name == name)
        if row is None:
            self.insert(tables.alias, asset=asset, name=name, version=version, run=run, moved=self.at)
        elif row["version"] != version:
            self.update(tables.alias, row["id"], version=version, run=run, moved=self.at)

    def _asset(self, kind: str, name: str) -> str:
        key = asset_id(kind, name)
        if self._one(tables.asset, tables.asset.c.id == key) is None:
            self.insert(tables.asset, id=key, kind=kind, name=name, created=self.at)
        return key

    def _one(self, table: Table, *where: Any) -> Mapping[str, Any] | None:
        row = self.connection.execute(select(table).where(*where)).mappings().one_or_none()
        return dict(row) if row is not None else None


class Record:
    """The database that grows and is never edited by hand."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @functools.cached_property
    def id(self) -> str:
        """The random id that this record was given when it was made; the lock file says whose journal it anchors."""
        return str(self.rows(tables.journal_head)[0]["record"])

    @contextmanager
    def writing(self, person: str) -> Iterator[Transaction]:
        """A transaction: its rows and their journal entries are committed together, or not at all."""
        with self.database.writing() as connection:
            transaction = Transaction(connection, person)
            yield transaction
            journal.append(connection, person, transaction.at, transaction.written)

    def rows(self, table: Table, *where: Any, order: Any = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Rows of one table as dictionaries."""
        query = select(table).where(*where)
        if order is not None:
            query = query.order_by(*order) if isinstance(order, tuple) else query.order_by(order)
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(query.limit(limit)).mappings()]

    def person(self, name: str) -> str:
        """The random id of a person, made on first use; the journal knows only this id."""
        query = select(tables.person.c.id).where(tables.person.c.name == name)
        with self.database.reading() as connection:
            key = connection.execute(query).scalar()
        if key is None:
            with self.database.writing() as connection:
                # Another process may have made it in the meantime.
                key = connection.execute(query).scalar()
                if key is None:
                    key = uuid.uuid4().hex
                    connection.execute(tables.person.insert(), {"id": key, "name": name, "created": now()})
        return str(key)

    def name_of(self, person: str) -> str:
        """The name behind a person's id, or a word that says that it was erased."""
        found = self.rows(tables.person, tables.person.c.id == person)
        return str(found[0]["name"]) if found else ERASED

    def versions(self, *where: Any, order: Any = None) -> list[Version]:
        """Versions with the kind and name of their asset, oldest first."""
        query = (
            select(tables.version, tables.asset.c.kind, tables.asset.c.name)
            .join(tables.asset, tables.asset.c.id == tables.version.c.asset)
            .where(*where)
            .order_by(*(order or (tables.asset.c.kind, tables.asset.c.name, tables.version.c.number)))
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [_version(row["kind"], row["name"], dict(row)) for row in rows]

    def versions_of(self, keys: Iterable[str]) -> list[Version]:
        """The versions with these ids, however many they are."""
        wanted = list(keys)
        pages = [wanted[start : start + PAGE] for start in range(0, len(wanted), PAGE)]
        return [version for page in pages for version in self.versions(tables.version.c.id.in_(page))]

    def resolve(self, reference: str, kind: str | None = None) -> Version:
        """Find the version that a reference names.

        Args:
            reference: `dataset/tickets@3`, `tickets@3`, `tickets` (the latest) or `tickets@production` (an alias).
            kind: the kind to assume where the reference does not say one.

        Raises:
            UserError: nothing of that name, number or alias; the sentence names what there is.
        """
        name, _, wanted = reference.partition("@")
        if "/" in name:
            kind, _, name = name.partition("/")
        versions = self.versions(tables.asset.c.name == name, *([tables.asset.c.kind == kind] if kind else []))
        kinds = sorted({version.kind for version in versions})
        if not versions:
            raise UserError(f"there is no {kind or 'asset'} named {name!r}{self._near(name, kind)}")
        if len(kinds) > 1:
            raise UserError(f"{name!r} could be {' or '.join(f'{k}/{name}' for k in kinds)}: say which")
        if wanted.isdecimal():
            chosen = [version for version in versions if str(version.number) == wanted]
        else:
            aliases = self.aliases(versions[0])
            chosen = [version for version in versions if aliases.get(wanted or "latest") == version.id]
        if not chosen:
            numbers = ", ".join(f"@{version.number}" for version in versions[-8:])
            raise UserError(f"{kinds[0]}/{name} has no version {wanted!r}; it has: {numbers}")
        return chosen[0]

    def agree(self, name: str, value: str) -> bool:
        """Whether all who share the record have the same value of something; the first one to ask sets it."""
        query = select(tables.shared.c.value).where(tables.shared.c.name == name)
        with self.database.reading() as connection:
            known = connection.execute(query).scalar()
        if known is None:
            with self.database.writing() as connection:
                known = connection.execute(query).scalar()
                if known is None:
                    connection.execute(tables.shared.insert(), {"name": name, "value": value})
        return known in (None, value)

    def latest(self, kind: str, name: str) -> Version | None:
        """The version that `latest` of an asset points to; None where nothing was made yet."""
        newest = select(tables.alias.c.version).where(tables.alias.c.name == "latest")
        found = self.versions(tables.asset.c.kind == kind, tables.asset.c.name == name, tables.version.c.id.in_(newest))
        return found[0] if found else None

    def aliases(self, version: Version) -> dict[str, str]:
        """The aliases of a version's asset: name to version id."""
        join = tables.alias.join(tables.asset, tables.asset.c.id == tables.alias.c.asset)
        query = select(tables.alias.c.name, tables.alias.c.version).select_from(join)
        query = query.where(tables.asset.c.kind == version.kind, tables.asset.c.name == version.name)
        with self.database.reading() as connection:
            return {row.name: row.version for row in connection.execute(query)}

    def _near(self, name: str, kind: str | None) -> str:
        known = [row["name"] for row in self.rows(tables.asset) if kind is None or row["kind"] == kind]
        near = difflib.get_close_matches(name, known, 1, 0.5)
        if near:
            return f"; did you mean {near[0]!r}?"
        return f"; there are: {', '.join(sorted(known)[:10])}" if known else "; nothing was made yet"


def now() -> str:
    """The time in UTC as ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def asset_id(kind: str, name: str) -> str:
    """The id that an asset has in every record."""
    return hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()


def version_id(kind: str, name: str, identity: Mapping[str, Any]) -> str:
    """The id that a version has in every record: a digest of its asset's name and its identity."""
    digest = hashlib.sha256(journal.canonical(identity)).hexdigest()
    return hashlib.sha256(f"{kind}/{name}@{digest}".encode()).hexdigest()


def _version(kind: str, name: str, row: Mapping[str, Any]) -> Version:
    fields = ("id", "number", "digest", "identity", "facts", "content", "tainted", "run", "created")
    return Version(kind=kind, name=name, **{field: row[field] for field in fields})
