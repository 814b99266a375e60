"""One case as it stands in a file or dataset, before it is joined with what holds for all, and mistakes in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

from stellwerk.errors import UserError
from stellwerk.evaluation.suites.spec import TestCase


@dataclass(frozen=True, slots=True)
class Row:
    """A case and where it stands.

    Attributes:
        place: such as `cases.csv, line 7`.
        test: what was read.
        has_expected: whether its source has a right answer for each case, so that an empty one is a mistake.
    """

    place: str
    test: TestCase
    has_expected: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def refuse(place: str, text: str) -> NoReturn:
    """Say what is wrong at a place.

    Raises:
        UserError: always.
    """
    raise UserError(f"{place}: {text}")
