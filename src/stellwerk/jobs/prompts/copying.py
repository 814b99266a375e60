"""Keeps a search from winning by heart: no wording may hold eight words in a row that stand in a case, nor tell one case.

What tells a case are addresses of mail, and numbers of orders, accounts or telephones: a writer that was shown them must not
carry them into a prompt. Knows texts alone. What the prompt held before the search is no copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stellwerk.evaluation.case import Case

WORDS = 8
_WORD = re.compile(r"\w+")
_TELLING = re.compile(r"[\w.+-]+@[\w.-]*\w|(?<!\w)(?=[\w/-]*\d[\w/-]*\d)\w[\w/-]{3,}\w")


def runs(text: str, words: int = WORDS) -> Iterator[tuple[str, ...]]:
    """All runs of so many words in a text, without case and punctuation."""
    found = _WORD.findall(text.casefold())
    return (tuple(found[place : place + words]) for place in range(len(found) - words + 1))


class CopyGuard:
    """Tells whether a wording copies from cases.

    Args:
        cases: whose inputs, expected answers and values of checks must not be copied.
        own: what the prompt holds anyhow, and may go on to hold.
    """

    def __init__(self, cases: Iterable[Case], own: str = "") -> None:
        allowed = set(map(hash, runs(own)))
        # Hashes, not texts: the cases of a large suite would fill the memory.
        self._known: set[int] = set()
        self._telling: set[int] = set()
        for case in cases:
            for text in texts(case):
                self._known |= set(map(hash, runs(text)))
                self._telling |= set(map(hash, _telling(text)))
        self._known -= allowed
        self._telling -= set(map(hash, _telling(own)))

    def copies(self, wording: str) -> int:
        """How many runs of words of this wording stand in a case, and how many words that tell one."""
        whole = sum(hash(run) in self._known for run in runs(wording))
        return whole + sum(hash(word) in self._telling for word in _telling(wording))


def texts(case: Case) -> Iterator[str]:
    """Every text in a case: of its inputs, what is expected, and what its checks compare with."""
    yield from _leaves(case.inputs)
    yield from _leaves(case.expected)
    for check in case.checks:
        yield from _leaves(check.value)


def _telling(text: str) -> list[str]:
    return [found.casefold() for found in _TELLING.findall(text)]


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
