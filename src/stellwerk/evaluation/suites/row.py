"""One case as it stands in a file or dataset, before it is joined with what holds for all, and mistakes in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from stellwerk.errors import UserError
from stellwerk.evaluation.suites.spec import TestCase


@dataclass(frozen=True, slots=True)
class Row:
    """A case and where it stands.

    Attributes:
        place: such as `cases.csv, line 7`.
        test: what was read.
        has_expected: whether its source has a right answer for each case, so that an empty one is a mistake.
        data: whether it stands in a file of data, which nobody writes by hand and which names no further files.
    """

    place: str
    test: TestCase
    has_expected: bool = False
    data: bool = False


def refuse(place: str, text: str) -> NoReturn:
    """Say what is wrong at a place.

    Raises:
        UserError: always.
    """
    raise UserError(f"{place}: {text}")
