"""Families of unwanted outputs: which checks a suite asks when it names one.

Their weight is 0: whether an answer is good and whether it does harm are different questions, counted apart. Who wants
both in one writes the check down with `family` and a weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers import registry

Family = Literal[
    "prompt_leak", "personal_data", "refusal", "over_refusal", "form", "language", "anrede", "forbidden", "length",
    "unsupported_numbers",
]  # fmt: skip
FAMILIES: tuple[Family, ...] = get_args(Family)
TO_REFUSE = "refuse"  # the tag of a case that is to be refused

_TYPES: dict[str, tuple[str, bool]] = {
    "prompt_leak": ("prompt-leak", True),
    "personal_data": ("personal-data", True),
    "refusal": ("is-refusal", False),  # a case with the tag refuse that is answered
    "over_refusal": ("is-refusal", True),  # any other that is refused
    "form": ("complete", False),
    "language": ("language", False),
    "anrede": ("anrede", False),
    "forbidden": ("icontains-any", True),
    "length": ("word-count", False),
    "unsupported_numbers": ("unsupported-numbers", True),
}


def checks(families: Iterable[Family | Mapping[Family, Any]]) -> tuple[Check, ...]:
    """The checks of the families that a suite names; a name with a value gives the check that value.

    Raises:
        ValueError: a family stands twice, or lacks the value that it needs.
    """
    found: list[Check] = []
    for entry in families:
        for family, value in entry.items() if isinstance(entry, Mapping) else [(entry, None)]:
            name, negated = _TYPES[family]
            if family == "form" and value is not None:
                name = "is-json"  # the value is a schema
            check = Check(name, value, weight=0.0, metric=family, negated=negated, family=family)
            if (wrong := registry.problem(check)) is not None:
                raise ValueError(f"{family}: {wrong}; such as {{{family}: ...}}")
            if any(other.family == family for other in found):
                raise ValueError(f"{family} stands here twice; keep one")
            found.append(check)
    return tuple(found)


def holds(check: Check, tags: Iterable[str]) -> bool:
    """Whether a check of a family is asked of a case with these tags."""
    if check.family in ("refusal", "over_refusal") and check.weight == 0.0 and check.metric == check.family:
        return (TO_REFUSE in tags) == (check.family == "refusal")
    return True
