"""A version's lineage as a picture: which versions are in it, and which of them are lit since they changed."""

from __future__ import annotations

from sqlalchemy import select

from stellwerk.doors.web.overview import address_of
from stellwerk.record import lineage, tables
from stellwerk.record.lineage import Family
from stellwerk.record.record import Record, Version
from stellwerk.report.words import Language
from stellwerk.standing.words import kind_word

RELEASED = "released"


def picture_of(version: Version, family: Family, lit: set[str], language: Language) -> str:
    """The picture as SVG; each version leads to its page.

    Args:
        version: that it is about; it is lit where nothing else is.
        family: the versions and edges.
        lit: ids of what changed.
        language: of the kinds.
    """
    from stellwerk.report.lineage import Edge, Lineage, Node, lineage_svg

    nodes = tuple(
        Node(
            id=other.id, label=f"{other.name}@{other.number}", kind=kind_word(other.kind, language), ref=other.ref,
            href=address_of(other.ref), lit=other.id in lit if lit else other.id == version.id,
        )
        for other in family.versions
    )  # fmt: skip
    edges = tuple(Edge(made=made, source=source) for made, source in sorted(family.edges))
    return lineage_svg(Lineage(nodes=nodes, edges=edges), language)


def lit_by(record: Record, version: Version, family: Family, changed: str) -> tuple[set[str], Version | None]:
    """The versions where the change began, against an earlier state, and that state's version.

    A version changed where it is not among what the earlier one was made from; the change began where none of those that it was
    made from changed.

    Args:
        record: where they are.
        version: that the picture is about.
        family: its ancestors and descendants.
        changed: `released` for the last release, a reference, or empty for the version before.
    """
    other = _against(record, version, changed)
    if other is None:
        return set(), None
    if changed not in ("", RELEASED) and other.id in {one.id for one in family.versions} and other.id != version.id:
        return {other.id}, other
    mine, theirs = lineage.ancestors(record, [version.id]), lineage.ancestors(record, [other.id])
    new = mine - theirs
    above: dict[str, set[str]] = {}
    for made, source in family.edges:
        above.setdefault(made, set()).add(source)
    return {key for key in new if not above.get(key, set()) & new}, other


def _against(record: Record, version: Version, changed: str) -> Version | None:
    """The version that a picture is compared with."""
    if changed and changed != RELEASED:
        return record.resolve(changed)
    asset, numbers = tables.asset.c, tables.version.c
    mine = (asset.kind == version.kind, asset.name == version.name)
    query = select(numbers.id).join(tables.asset, asset.id == numbers.asset).where(*mine).limit(1)
    if changed == RELEASED:
        held, made = tables.released.c, tables.release.c
        query = query.join(tables.released, held.version == numbers.id).join(tables.release, made.id == held.release)
        query = query.order_by(made.created.desc())
    else:
        query = query.where(numbers.number < version.number).order_by(numbers.number.desc())
    with record.database.reading() as connection:
        found = connection.execute(query).scalar()
    return record.versions_of([found])[0] if found else None
