"""How each case of a test came out, in one byte each, so that several large tests can be held against each other at once.

Made of the columns of a test and kept in memory, the latest first, up to a bound; a test never changes, so it never goes stale.
"""

from __future__ import annotations

import functools
import gzip
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from stellwerk.evaluation.evidence import Evidence
from stellwerk.evaluation.rows import load

HELD = 1_000_000  # cases of all tests that are kept in memory
State = Literal["passed", "failed", "errors", "unscored", "absent"]
STATES: tuple[State, ...] = ("passed", "unscored", "errors", "failed", "absent")  # of the repeats of a case the latest counts
ABSENT = STATES.index("absent")


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The cases of a test.

    Attributes:
        cases: ids, in the order in which they were asked.
        index: the place of each id.
        states: of each case, a place in `STATES`: failed where one of its repeats failed.
        calls: of each case the number of the call to look at, from 0: the first that did not pass.
        asked: of each case, its repeats.
        passed: of each case, the repeats that passed.
    """

    cases: Sequence[str]
    index: dict[str, int]
    states: bytes
    calls: array[int]
    asked: array[int]
    passed: array[int]

    def state(self, case: str) -> State:
        """How a case came out; absent where it was not asked."""
        place = self.index.get(case)
        return "absent" if place is None else STATES[self.states[place]]


def outcomes(found: Evidence) -> Outcomes:
    """The outcomes of a test, from memory where it was looked at lately."""
    key = str(found.counts["columns"])
    with _lock:
        if key in _held:
            _held.move_to_end(key)
            return _held[key]
    made = _made(found)
    with _lock:
        _held[key] = made
        while len(_held) > 1 and sum(len(one.cases) for one in _held.values()) > HELD:
            _held.popitem(last=False)
    return made


@dataclass(frozen=True)
class Matrix:
    """The cases of several tests, each once.

    Attributes:
        cases: in the order of the first test, then those that only others have.
        differing: places of the cases that came out otherwise in one of the tests that asked them.
        missed: places of the cases that one test did not pass.
    """

    cases: Sequence[str]
    differing: Sequence[int]
    missed: Sequence[int]


def matrix(found: Sequence[Evidence]) -> tuple[Matrix, list[Outcomes]]:
    """Several tests held against each other; what was once held against each other is remembered."""
    seen = [outcomes(one) for one in found]
    return (_matrix(tuple(seen)) if seen else Matrix((), (), ())), seen


@functools.lru_cache(8)
def _matrix(found: tuple[Outcomes, ...]) -> Matrix:
    import numpy as np

    if all(one.cases is two.cases for one, two in pairwise(found)):
        cases = found[0].cases
        rows = [one.states for one in found]
    else:
        cases = list(dict.fromkeys(case for one in found for case in one.cases))
        rows = [bytes(_states(one, cases)) for one in found]
    states = np.array([np.frombuffer(row, dtype=np.uint8) for row in rows])
    worst = np.where(states == ABSENT, 0, states).max(axis=0)
    best = np.where(states == ABSENT, ABSENT, states).min(axis=0)
    highest = np.where(states == ABSENT, best, states).max(axis=0)
    return Matrix(cases, np.flatnonzero(highest != best).tolist(), np.flatnonzero(worst > 0).tolist())


def _states(found: Outcomes, cases: Sequence[str]) -> Iterator[int]:
    index, states = found.index, found.states
    return (ABSENT if (place := index.get(case)) is None else states[place] for case in cases)


def _made(found: Evidence) -> Outcomes:
    columns = load(gzip.decompress(found.store.get(found.counts["columns"])))
    if not any(columns["repeat"]):
        return _once(columns)
    calls, asked, passed, states = array("l"), array("l"), array("l"), bytearray()
    index: dict[str, int] = {}
    for number, (case, value, error) in enumerate(zip(columns["case"], columns["passed"], columns["error"], strict=True)):
        state = _state(value, error)
        place = index.get(case)
        if place is None:
            index[case] = len(states)
            states.append(state)
            calls.append(number)
            asked.append(1)
            passed.append(state == 0)
            continue
        asked[place] += 1
        passed[place] += state == 0
        if state > states[place]:
            states[place] = state
            calls[place] = number
    cases, index = _shared(list(index), index)
    return Outcomes(cases, index, bytes(states), calls, asked, passed)


def _once(columns: Mapping[str, Any]) -> Outcomes:
    """The outcomes of a test that asked each case once; large ones mostly do."""
    states = bytes(map(_state, columns["passed"], columns["error"]))
    names: list[str] = columns["case"]
    cases, index = _shared(names, {})
    if cases is names:
        index = {case: place for place, case in enumerate(names)}
    ones = array("l", [1]) * len(states)
    return Outcomes(cases, index, states, array("l", range(len(states))), ones, array("l", (one == 0 for one in states)))


def _state(passed: float | None, error: float | None) -> int:
    return 2 if error else 1 if passed is None else 0 if passed else 3


def _shared(cases: Sequence[str], index: dict[str, int]) -> tuple[Sequence[str], dict[str, int]]:
    """The same list for tests that asked the same cases in the same order: it is most of the memory, and quick to compare."""
    with _lock:
        for one in _held.values():
            if one.cases == cases:
                return one.cases, one.index
    return cases, index


_held: OrderedDict[str, Outcomes] = OrderedDict()
_lock = threading.Lock()
