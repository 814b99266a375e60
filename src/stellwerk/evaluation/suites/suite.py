"""A suite to work with: its cases in order, by split, however many there are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Case, Check
from stellwerk.evaluation.suites.keeping import Tally

if TYPE_CHECKING:
    from stellwerk.evaluation.suites.spec import SuiteSpec
    from stellwerk.record.record import Version


@dataclass(frozen=True)
class Suite:
    """The cases of a suite's file, or of a version of it.

    Attributes:
        name: such as support.
        spec: what the file says.
        version: None for a file that is only looked at.
        stream: gives the cases of a split, or all, each time anew.
        noted: what is known of a version's cases without reading them.
    """

    name: str
    spec: SuiteSpec
    version: Version | None
    stream: Callable[[str | None], Iterator[Case]]
    noted: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def ref(self) -> str:
        """`suite/support@3`, or `suites/support.yaml`."""
        return self.version.ref if self.version else f"suites/{self.name}.yaml"

    @property
    def epochs(self) -> int:
        """How often each case is to be asked, as the file says."""
        return self.spec.epochs

    @property
    def embedder(self) -> str | None:
        """The model that embeds, for `similar`."""
        return self.spec.embedder

    def cases(self, split: str | None = None) -> Iterator[Case]:
        """The cases of a split, in order; all where it is None or `all`."""
        return self.stream(None if split == "all" else split)

    def count(self, split: str | None = None) -> int:
        """How many cases a split has."""
        return int(self.facts["cases"] if split in (None, "all") else self.facts["splits"].get(split, 0))

    @functools.cached_property
    def facts(self) -> Mapping[str, Any]:
        """What is known of the cases: see `keeping.Tally.facts`."""
        if self.noted is not None:
            return self.noted
        tally = Tally()
        for case in self.stream(None):
            tally.add(case)
        return tally.facts()

    @functools.cached_property
    def checks(self) -> tuple[Check, ...]:
        """One check of each type, metric and family that comes up, without values."""
        return tuple(Check(**check) for check in self.facts["checks"])

    @property
    def inputs(self) -> frozenset[str]:
        """The variables that every case has."""
        return frozenset(self.facts["inputs"]["always"])


def refuse_unfit(suite: Suite, required: Iterable[str], known: Iterable[str]) -> None:
    """See that the cases have the variables of a prompt.

    Args:
        suite: whose cases are to be asked.
        required: variables that the prompt cannot do without.
        known: all of its variables; a case may have more, which the prompt does not show.

    Raises:
        UserError: a variable is missing in some cases.
    """
    always, sometimes = suite.inputs, suite.facts["inputs"]["sometimes"]
    missing = [name for name in required if name not in always]
    if missing:
        where = "some of the cases" if missing[0] in sometimes else "the cases"
        have = ", ".join(sorted(always)) or "none in common"
        raise UserError(f"the prompt needs the variable {missing[0]!r}, which {where} of {suite.ref} lack; they have: {have}")
    if always and not always & set(known):
        names = ", ".join(sorted(always))
        raise UserError(f"the prompt shows none of the variables of {suite.ref}, so that all cases would ask the same: {names}")
