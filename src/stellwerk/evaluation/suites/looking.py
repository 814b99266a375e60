"""Shows cases of a suite, by split and by a text that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation.case import Case, Split
from stellwerk.evaluation.reports import CaseLine, CasePage, CheckLine
from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.scorers.outcome import inputs_text, nfc
from stellwerk.evaluation.scorers.texts import as_text, shortened
from stellwerk.evaluation.suites import keeping, taking

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace

LONGEST = 20_000  # characters of a text that is shown


def cases(workspace: Workspace, suite: str, split: Split | None, search: str | None, offset: int, limit: int) -> CasePage:
    """A page of cases.

    Args:
        workspace: where the suite is.
        suite: such as support or support@2.
        split: only those.
        search: only those in which an input, what is expected or the description holds this, case ignored.
        offset: cases to skip, among those that are found.
        limit: cases at most.
    """
    found = taking.of(workspace, suite)
    numbered: Iterator[tuple[int, Case]] = enumerate(found.cases(), 1)
    if not search and found.version is not None:
        numbered, offset = _onward(workspace, found.version, split, offset)
    wanted = ((number, case) for number, case in numbered if split is None or case.split == split)
    if search:
        folded = nfc(search).casefold()
        wanted = ((number, case) for number, case in wanted if folded in _searched(case))
    page = list(islice(wanted, offset, offset + limit + 1))
    return CasePage(
        suite=found.ref,
        total=found.count(split),
        offset=offset,
        cases=[line(number, case) for number, case in page[:limit]],
        more=len(page) > limit,
    )


def _onward(workspace: Workspace, version: Version, split: str | None, offset: int) -> tuple[Iterator[tuple[int, Case]], int]:
    """The cases of a version from the shard on that holds those wanted, and how many are still to skip."""
    first, shards = 1, list(version.content["shards"])
    while shards:
        held = shards[0]["cases"] if split is None else shards[0]["splits"].get(split, 0)
        if offset < held:
            break
        offset -= held
        first += shards.pop(0)["cases"]
    return enumerate(keeping.kept(workspace.store, shards), first), offset


def _searched(case: Case) -> str:
    parts = [inputs_text(case), as_text(case.expected) if case.expected is not None else "", case.description or "", case.id]
    return nfc("\n".join(parts)).casefold()


def line(number: int, case: Case) -> CaseLine:
    """A case for people; `number` is its place in the suite, counted from 1."""
    return CaseLine(
        number=number,
        id=case.id,
        split=case.split,
        inputs={name: shortened(as_text(value), LONGEST) for name, value in case.inputs.items()},
        expected=None if case.expected is None else shortened(as_text(case.expected), LONGEST),
        cluster=case.cluster,
        language=case.language,
        tags=list(case.tags),
        description=case.description,
        checks=[
            CheckLine(metric=check.named, type=_type(check.negated, check.type), value=_value(check.value), family=check.family)
            for check in case.checks
            if check.type != registry.CASE
        ],
    )


def _type(negated: bool, name: str) -> str:
    return f"not-{name}" if negated else name


def _value(value: Any) -> str:
    return "" if value is None else shortened(as_text(value), 200)
