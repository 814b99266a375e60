"""Rating: the next thing for a person, and noting what they say. A person sees only their own ratings, and no run.

A rating is never changed: a later one of the same thing by the same person counts instead, and takes the earlier remark away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from stellwerk.errors import UserError
from stellwerk.evaluation.ratings import drawing
from stellwerk.evaluation.ratings.drawing import Thing, Things
from stellwerk.evaluation.ratings.reports import NextItem, Rated
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.workspace import Workspace

LONGEST = 2000  # characters of a remark


@dataclass(frozen=True)
class Mine:
    """A study as one person sees it.

    Attributes:
        order: of all its things, for this person.
        said: this person's ratings by item.
        open: items that are still theirs to rate, in their order.
    """

    version: Version
    things: Things
    person: str
    order: list[Thing]
    said: dict[str, dict[str, Any]]
    open: list[str]

    @property
    def total(self) -> int:
        """Things that this person has rated or is to rate."""
        return len(self.said) + len(self.open)


def mine(workspace: Workspace, study: str) -> Mine:
    """A study for whoever asks.

    Raises:
        UserError: there is no such study, or it is for other people.
    """
    version = find(workspace, study)
    things, person = drawing.read(workspace.store, version), workspace.person
    raters = things.study.raters
    if raters is not None and workspace.record.name_of(person) not in raters:
        raise UserError(
            f"the study {version.name} is for other people; who may rate stands under raters in studies/{version.name}.yaml"
        )
    latest = ratings(workspace.record, version)
    said = {item: row for (item, who), row in latest.items() if who == person}
    counted = Counter(item for item, _ in latest)
    each = things.study.each
    order = drawing.order(version, person, things.things)
    open_ = [t.id for t in order if t.id not in said and (each is None or counted[t.id] < each)]
    if each is not None:
        open_.sort(key=lambda item: -counted[item])  # what somebody has begun comes first, so that all get enough ratings
    return Mine(version, things, person, order, said, open_)


def find(workspace: Workspace, study: str) -> Version:
    """The version of a study.

    Raises:
        UserError: nothing of that name was drawn.
    """
    name = study.removeprefix(f"{drawing.KIND}/")
    if workspace.record.latest(drawing.KIND, name.partition("@")[0]) is None:
        raise UserError(
            f"there is no study {name[:60]!r} yet; write studies/NAME.yaml and run: stellwerk evaluation study NAME"
        )
    return workspace.record.resolve(name, drawing.KIND)


def next_item(workspace: Workspace, study: str, item: str | None = None) -> NextItem:
    """What whoever asks is to rate next, or a thing that they name.

    Raises:
        UserError: there is no such study or thing, or it is for other people.
    """
    own = mine(workspace, study)
    spec, chosen = own.things.study, item if item is not None else next(iter(own.open), None)
    numbers = [thing.id for thing in own.order]
    report = NextItem(
        study=own.version.ref, item=None, question=spec.question, criteria=spec.criteria, asked=None, expected=None, answers=[],
        words=list(spec.words), done=len(own.said), total=own.total, message="nothing is left to rate; thank you",
    )  # fmt: skip
    if chosen is None:
        return report.model_copy(update={"before": numbers[-1] if own.said else None})
    thing = _thing(own, chosen)
    place = numbers.index(thing.id)
    row = own.said.get(thing.id)
    return report.model_copy(
        update={
            "item": thing.id, "asked": thing.question, "expected": thing.expected, "answers": list(thing.answers),
            "rated": row["value"] if row else None, "comment": _remark(workspace.record, row) if row else None,
            "place": place + 1, "before": numbers[place - 1] if place else None,
            "after": numbers[place + 1] if place + 1 < len(numbers) else None,
            "message": f"rate it with: stellwerk evaluation rate {own.version.name} {thing.id} VALUE",
        }
    )  # fmt: skip


def rate(workspace: Workspace, study: str, item: str, value: str, comment: str | None = None) -> Rated:
    """Note what whoever asks says of a thing.

    Raises:
        UserError: there is no such thing, the value is none of the study's, or others have rated it already.
    """
    own = mine(workspace, study)
    thing, words = _thing(own, item), {word.casefold(): word for word in own.things.study.words}
    if value.strip().casefold() not in words:
        raise UserError(f"{value[:40]!r} is no rating of {own.version.name}; it is rated {', '.join(words.values())}")
    if thing.id not in own.said and thing.id not in own.open:
        raise UserError(f"{own.version.name} {thing.id} has been rated by enough people; take the next one")
    text = (comment or "").strip()
    if len(text) > LONGEST:
        raise UserError(f"the comment has {len(text)} characters; give at most {LONGEST}")
    said = words[value.strip().casefold()]
    _note(workspace, own, thing, said, text)
    new = thing.id not in own.said
    return Rated(
        study=own.version.ref, item=thing.id, value=said, replaced=not new, done=len(own.said) + new, total=own.total,
        message=f"noted: {said}",
    )  # fmt: skip


def ratings(record: Record, version: Version) -> dict[tuple[str, str], dict[str, Any]]:
    """The rating that counts of each thing by each person: (item, person) to row."""
    row = tables.rating.c
    found = record.rows(tables.rating, row.version == version.id, order=(row.created, row.id))
    return {(one["item"], one["person"]): one for one in found}


def raters_of(record: Record, version: Version) -> dict[str, int]:
    """How many things each person has rated, by id."""
    counted: dict[str, int] = defaultdict(int)
    for _, person in ratings(record, version):
        counted[person] += 1
    return dict(counted)


def _note(workspace: Workspace, own: Mine, thing: Thing, value: str, text: str) -> None:
    row, remark = tables.rating.c, tables.remark
    with workspace.record.writing(own.person) as transaction:
        earlier = select(row.id).where(row.version == own.version.id, row.item == thing.id, row.person == own.person)
        transaction.connection.execute(delete(remark).where(remark.c.id.in_(earlier)))
        written = transaction.insert(
            tables.rating, version=own.version.id, item=thing.id, person=own.person, authenticated=workspace.authenticated,
            value=value, created=transaction.at,
        )  # fmt: skip
        if text:
            # What people write may name somebody, so the journal does not know it and it can be taken back.
            transaction.connection.execute(remark.insert(), {"id": written["id"], "text": text.replace("\0", "\ufffd")})


def _thing(own: Mine, item: str) -> Thing:
    found = next((thing for thing in own.order if thing.id == item.strip()), None)
    if found is None:
        raise UserError(f"the study {own.version.name} has no item {item[:20]!r}; it has 1 to {len(own.order)}")
    return found


def _remark(record: Record, row: dict[str, Any]) -> str | None:
    found = record.rows(tables.remark, tables.remark.c.id == row["id"])
    return found[0]["text"] if found else None
