"""Assets and their versions as people look for them: by kind, by name, page by page.

Asks the record in bulk, a handful of queries for each page. Changes nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Connection, and_, func, select

from stellwerk.errors import UserError
from stellwerk.record import tables
from stellwerk.record.record import Record


class AssetLine(BaseModel):
    """An asset in one line."""

    asset: str = Field(description="kind/name")
    kind: str
    name: str
    latest: int | None = Field(description="the number of its latest version")
    versions: int
    changed: str = Field(description="when its latest version was made")
    tainted: bool = Field(description="whether its latest version was made from rows that were erased since")
    released: str | None = Field(description="the newest release that holds its latest version")


class AssetList(BaseModel):
    """Assets by kind and name."""

    assets: list[AssetLine]
    total: int = Field(description="assets that fit the search, on all pages")
    kinds: dict[str, int] = Field(description="assets of each kind, whatever was searched for")


class VersionLine(BaseModel):
    """A version in one line."""

    TABLE: ClassVar = ("version", "created", "aliases", "tainted", "released", "run")

    version: str
    number: int
    digest: str
    created: str
    aliases: list[str]
    tainted: bool
    released: str | None = Field(description="the newest release that holds it")
    run: str = Field(description="that made it first")


class ValueLine(BaseModel):
    """The newest complete measurement of a metric on a version."""

    metric: str
    version: int = Field(description="its number")
    value: float
    low: float | None
    high: float | None
    n: int | None
    unit: str


class VersionList(BaseModel):
    """The versions of an asset, the newest first, and what was measured on them."""

    asset: str
    total: int
    versions: list[VersionLine]
    measured: list[ValueLine] = Field(description="by metric, the oldest version first")


def find(record: Record, *, kind: str | None = None, search: str | None = None, page: int = 1, limit: int = 50) -> AssetList:
    """A page of assets.

    Args:
        record: where they are.
        kind: only of this kind.
        search: only those whose name holds this text, whatever its case.
        page: which page, from 1.
        limit: how many on a page.
    """
    asset, alias, version = tables.asset.c, tables.alias.c, tables.version.c
    where: list[ColumnElement[bool]] = []
    if kind is not None:
        where.append(asset.kind == kind)
    if search:
        where.append(asset.name.icontains(search, autoescape=True))
    newest = and_(alias.asset == asset.id, alias.name == "latest")
    query = (
        select(asset.id, asset.kind, asset.name, asset.created, version.number, version.tainted, version.id.label("version"),
               version.created.label("changed"))
        .join_from(tables.asset, tables.alias, newest, isouter=True)
        .join(tables.version, version.id == alias.version, isouter=True)
        .where(*where).order_by(asset.kind, asset.name).limit(limit).offset((page - 1) * limit)
    )  # fmt: skip
    with record.database.reading() as connection:
        total = connection.execute(select(func.count()).select_from(tables.asset).where(*where)).scalar_one()
        by_kind = select(asset.kind, func.count()).group_by(asset.kind).order_by(asset.kind)
        kinds = {name: number for name, number in connection.execute(by_kind)}  # noqa: C416  (rows are no pairs to dict)
        rows = connection.execute(query).all()
        counted = select(version.asset, func.count()).where(version.asset.in_([row.id for row in rows])).group_by(version.asset)
        numbers = {key: number for key, number in connection.execute(counted)}  # noqa: C416
        releases = released(connection, [row.version for row in rows if row.version])
    lines = [
        AssetLine(
            asset=f"{row.kind}/{row.name}", kind=row.kind, name=row.name, latest=row.number, versions=numbers.get(row.id, 0),
            changed=row.changed or row.created, tainted=row.tainted is not None, released=releases.get(row.version or ""),
        )
        for row in rows
    ]  # fmt: skip
    return AssetList(assets=lines, total=total, kinds=kinds)


def versions(record: Record, reference: str, *, page: int = 1, limit: int = 50) -> VersionList:
    """A page of the versions of an asset, the newest first.

    Args:
        record: where they are.
        reference: `kind/name`.
        page: which page, from 1.
        limit: how many on a page.

    Raises:
        UserError: there is no such asset.
    """
    kind, _, name = reference.partition("@")[0].partition("/")
    found = record.rows(tables.asset, tables.asset.c.kind == kind, tables.asset.c.name == name)
    if not found:
        record.resolve(reference)  # says what there is instead
        raise UserError(f"say the kind of {reference!r} too, such as dataset/{reference}")
    version, alias, asset = tables.version.c, tables.alias.c, found[0]["id"]
    columns = (version.id, version.number, version.digest, version.created, version.tainted, version.run)
    query = select(*columns).where(version.asset == asset).order_by(version.number.desc())
    with record.database.reading() as connection:
        total = connection.execute(select(func.count()).select_from(tables.version).where(version.asset == asset)).scalar_one()
        rows = connection.execute(query.limit(limit).offset((page - 1) * limit)).all()
        aliases: dict[str, list[str]] = {}
        for row in connection.execute(select(alias.name, alias.version).where(alias.asset == asset).order_by(alias.name)):
            aliases.setdefault(row.version, []).append(row.name)
        releases = released(connection, [row.id for row in rows])
        measured = _measured(connection, {row.id: row.number for row in rows})
    lines = [
        VersionLine(
            version=f"{kind}/{name}@{row.number}", number=row.number, digest=row.digest, created=row.created,
            aliases=aliases.get(row.id, []), tainted=row.tainted is not None, released=releases.get(row.id), run=row.run,
        )
        for row in rows
    ]  # fmt: skip
    return VersionList(asset=f"{kind}/{name}", total=total, versions=lines, measured=measured)


def released(connection: Connection, keys: list[str]) -> dict[str, str]:
    """For each of some versions that stands in a release the newest one, such as `support-desk 3`."""
    held, made = tables.released.c, tables.release.c
    query = (
        select(held.version, tables.asset.c.name, made.number)
        .join(tables.release, made.id == held.release)
        .join(tables.version, tables.version.c.id == made.version)
        .join(tables.asset, tables.asset.c.id == tables.version.c.asset)
        .where(held.version.in_(keys)).order_by(made.created)
    )  # fmt: skip
    return {row.version: f"{row.name} {row.number}" for row in connection.execute(query)}


def made_by(record: Record, package: str) -> dict[str, int]:
    """How many assets of each kind the operations of a package have made."""
    asset, version, run = tables.asset.c, tables.version.c, tables.run.c
    query = (
        select(asset.kind, func.count(asset.id.distinct()))
        .join(tables.version, version.asset == asset.id).join(tables.run, run.id == version.run)
        .where(run.operation.startswith(f"{package}.", autoescape=True)).group_by(asset.kind).order_by(asset.kind)
    )  # fmt: skip
    with record.database.reading() as connection:
        return {kind: number for kind, number in connection.execute(query)}  # noqa: C416


def _measured(connection: Connection, numbers: dict[str, int]) -> list[ValueLine]:
    measurement, measured = tables.measurement.c, tables.measured.c
    columns = (measurement.metric, measurement.value, measurement.low, measurement.high, measurement.n, measurement.unit)
    query = (
        select(measured.version, *columns)
        .join(tables.measurement, measurement.id == measured.measurement)
        .where(measured.version.in_(list(numbers)), measured.role == "subject", measurement.complete == 1)
        .where(measurement.value.is_not(None)).order_by(measurement.created)
    )  # fmt: skip
    newest: dict[tuple[str, int], Any] = {}
    for row in connection.execute(query):
        newest[row.metric, numbers[row.version]] = row
    names = [column.name for column in columns]
    return [ValueLine(version=key[1], **{name: getattr(row, name) for name in names}) for key, row in sorted(newest.items())]
