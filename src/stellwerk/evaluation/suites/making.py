"""Makes the cases of a suite: joins each with what holds for all, fills in templates, and looks for what is wrong.

Streams: of each case it remembers a digest and a place, so that 200,000 need about 130 MB.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Case, Check, Split
from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.suites import templates, unwanted
from stellwerk.evaluation.suites.loading import SIGN, Files, plain
from stellwerk.evaluation.suites.row import Row, refuse
from stellwerk.evaluation.suites.sources import loaded
from stellwerk.evaluation.suites.spec import SPLITS, Assertion, DefaultTest, Splits, SuiteSpec, TestCase
from stellwerk.evaluation.suites.templates import Unrendered, rendered
from stellwerk.specfile import parse, read_text

_EXPANDED = 1000  # cases that the lists among one case's variables may make
_ID = 16  # hexadecimal digits of an id that nobody gave


class Making:
    """Makes cases out of rows.

    Attributes:
        dropped: cases that were there already and were left out.
        unasked: cases whose expected answer no check looks at.
        contradicting: cases that expect another answer than one with the same inputs.
    """

    def __init__(self, spec: SuiteSpec, files: Files) -> None:
        self.spec = spec
        self.dropped = 0
        self.unasked = 0
        self.contradicting = 0
        self._files = files
        self._default = _default(spec, files)
        self._common = unwanted.checks(spec.unwanted)
        self._places: dict[bytes, str] = {}
        self._answers: dict[bytes, tuple[bytes, str]] = {}
        self._parts: dict[str, tuple[Split, str]] = {}
        self._names: frozenset[str] | None = None

    def cases(self, rows: Iterable[Row]) -> Iterator[Case]:
        """The cases, in order; those that were drawn, where the suite is a sample.

        Raises:
            UserError: one sentence, with its line, for the first thing that is wrong.
        """
        made = self._made(rows)
        return made if self.spec.sample is None else drawn(made, self.spec.sample)

    def _made(self, rows: Iterable[Row]) -> Iterator[Case]:
        count = 0
        for row in rows:
            for variables in _expanded(row, self._default):
                case = self._case(row, variables)
                if self._is_new(row, case):
                    count += 1
                    yield case
        if not count:
            raise UserError("the suite has no cases; add some")

    def _case(self, row: Row, variables: Mapping[str, Any]) -> Case:
        test, default = row.test, self._default
        place = row.place
        if self.spec.inputs is not None:
            _check_names(place, variables, self.spec.inputs)
        expected = plain(_own(test, default, "expected"))
        if expected in (None, "", []) and (row.has_expected or "expected" in test.model_fields_set) and not test.assert_:
            refuse(place, "what is expected is empty; fill it in, or take the case out")
        tags = tuple(dict.fromkeys([*_texts(place, test, default, "tags")]))
        language = _own(test, default, "language") or self.spec.language
        cluster = self._cluster(place, test, variables)
        if row.data:
            _refuse_files(place, test.assert_)
        checks = self._checks(place, test, variables, expected, tags)
        given = _own(test, default, "id")
        # Checks that hold for all are no part of it: with another one more, the cases are still the same.
        key = str(given) if given is not None else _digest(_identity(variables, expected, test))[:_ID]
        split = self._split(place, _own(test, default, "split"), cluster, key)
        return Case(key, dict(variables), checks, expected, cluster, tags, language, split, test.description)

    def _checks(
        self, place: str, test: TestCase, variables: Mapping[str, Any], expected: Any, tags: tuple[str, ...]
    ) -> tuple[Check, ...]:
        default = self._default
        known = variables if expected is None or "expected" in variables else {**variables, "expected": expected}
        defaults = [] if test.options.get("disableDefaultAsserts") else default.assert_
        asked = (*defaults, *test.assert_, *self.spec.checks)
        found: list[Check] = []
        if expected is not None and all(assertion.family is not None for assertion in asked):
            found.append(Check("equals", expected))  # that is what an expected answer is for
        elif (
            expected is not None
            and "expected" not in variables
            and not any(_looks_at(assertion, expected) for assertion in asked)
        ):
            self.unasked += 1
        for assertion in asked:
            found += self._placed(place, assertion, known, len(found))
        found += [self._rendered(place, check, known) for check in self._common if unwanted.holds(check, tags)]
        threshold = test.threshold if test.threshold is not None else default.threshold
        if threshold is not None:
            found.append(Check(registry.CASE, threshold=threshold, weight=0.0))
        return tuple(found)

    def _placed(self, place: str, assertion: Assertion, variables: Mapping[str, Any], at: int) -> list[Check]:
        """The check of an assertion; a set is followed by its own, whose config says where the set stands."""
        outer = self._rendered(place, assertion.check(), variables)
        inner = [self._rendered(place, each.check(), variables) for each in assertion.assert_]
        return [outer, *(replace(check, config={**check.config, "set": at}) for check in inner)]

    def _rendered(self, place: str, check: Check, variables: Mapping[str, Any]) -> Check:
        """A check with its texts filled in, looked at again where that changed them."""
        try:
            value, metric = rendered(check.value, variables), rendered(check.metric, variables)
        except Unrendered as error:
            refuse(place, f"the value of {check.type} needs what this case does not have: {error}")
        if _names_file(check.value):  # as it is written; what a variable holds is never taken for a file's name
            value = self._files.filled(value)
        if value is check.value and metric is check.metric:
            return check
        made = replace(check, value=value, metric=metric)
        if made.value != check.value and (wrong := registry.problem(made)) is not None:
            refuse(place, f"filled in, {wrong}")
        return made

    def _cluster(self, place: str, test: TestCase, variables: Mapping[str, Any]) -> str | None:
        name = self.spec.cluster
        value = _own(test, self._default, "cluster")
        if value is None and name is not None:
            value = variables.get(name, test.metadata.get(name))
        wanted = name or (self.spec.columns.cluster if self.spec.columns else None)
        if wanted is not None and (value is None or str(value).strip() == ""):
            refuse(place, f"the cluster {wanted!r} is empty; fill it in, for cases of one cluster are not independent")
        return str(value) if value is not None else None

    def _split(self, place: str, given: Any, cluster: str | None, key: str) -> Split:
        if given is not None and given not in SPLITS:
            refuse(place, f"the split is none; expected one of {', '.join(SPLITS)}")
        split = cast(Split, given) if given is not None else part_of(cluster or key, self.spec.splits)
        known, where = self._parts.setdefault(cluster, (split, place)) if cluster is not None else (split, place)
        if known != split:
            refuse(place, f"its cluster is in {split} here and in {known} at {where}; a cluster stays together")
        return split

    def _is_new(self, row: Row, case: Case) -> bool:
        """Whether a case was not there before; contradictions and equal ids are refused."""
        whole = _short(_identity(case.inputs, case.expected, row.test))
        same = self._places.get(whole)
        if same is not None and self.spec.duplicates == "drop":
            self.dropped += 1
            return False
        # Whoever gave both an id of their own knows that they are two.
        if same is not None and _own(row.test, self._default, "id") is None:
            refuse(row.place, f"the same case stands at {same}; take one out, or say duplicates: drop")
        if case.expected is not None:
            answer = _short(case.expected)
            other, where = self._answers.setdefault(_short(case.inputs), (answer, row.place))
            if other != answer and self.spec.duplicates != "keep":
                refuse(row.place, f"it expects another answer than the case with the same inputs at {where}; keep one")
            self.contradicting += other != answer
        key = _short(["id", case.id])
        if (elsewhere := self._places.get(key)) is not None:
            refuse(row.place, f"its id {case.id[:60]!r} is that of the case at {elsewhere}; give each case its own")
        self._places[whole] = self._places[key] = row.place
        return True


def _default(spec: SuiteSpec, files: Files) -> TestCase:
    """What holds for each case, which may stand in a file of its own."""
    default: TestCase = spec.defaultTest
    if default.from_ is not None:
        name = default.from_.removeprefix(SIGN)
        default = templates.resolved(parse(read_text(files.path(name)), name)).check(DefaultTest)
    return loaded(default, files)


def drawn(cases: Iterable[Case], number: int) -> Iterator[Case]:
    """As many cases as asked for, those whose ids have the lowest hashes, in their order; holds no more than those."""
    heap: list[tuple[int, int, Case]] = []
    for place, case in enumerate(cases):
        rank = int.from_bytes(hashlib.sha256(f"sample:{case.id}".encode(errors="replace")).digest()[:8], "big")
        entry = (-rank, place, case)
        if len(heap) < number:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    yield from (case for _, _, case in sorted(heap, key=lambda entry: entry[1]))


def part_of(key: str, splits: Splits | None) -> Split:
    """The part that a cluster or id falls into, the same on every machine."""
    if splits is None:
        return "test"
    place = int.from_bytes(hashlib.sha256(f"{splits.seed}:{key}".encode(errors="replace")).digest()[:8], "big") / 2**64
    if place < splits.dev:
        return "dev"
    return "test" if place < splits.dev + splits.test or splits.held_out == 0 else "held-out"


def _expanded(row: Row, default: TestCase) -> Iterator[Mapping[str, Any]]:
    """The variables of a case; a list among them makes a case of each of its values, as promptfoo does."""
    variables = {name: plain(value) for name, value in {**default.vars, **row.test.vars}.items()}
    lists = {name: value for name, value in variables.items() if isinstance(value, list)}
    if not lists or row.test.options.get("disableVarExpansion") or default.options.get("disableVarExpansion"):
        yield variables
        return
    count = 1
    for value in lists.values():
        count *= len(value)
    if not 0 < count <= _EXPANDED:
        refuse(row.place, f"the lists among its variables make {count} cases, expected 1 to {_EXPANDED}")
    for values in itertools.product(*lists.values()):
        yield {**variables, **dict(zip(lists, values, strict=True))}


def _check_names(place: str, variables: Mapping[str, Any], wanted: Iterable[str]) -> None:
    missing = [name for name in wanted if name not in variables]
    extra = [name for name in variables if name not in set(wanted)]
    if missing:
        refuse(place, f"the variable {missing[0]!r} is missing; add it, or take it out of inputs")
    if extra:
        refuse(place, f"there is a variable {extra[0]!r} that inputs does not name; take it out, or add it there")


def _own(test: TestCase, default: TestCase, name: str) -> Any:
    """What a case says itself, in its metadata or by default."""
    for source in (test, default):
        value = getattr(source, name)
        if value not in (None, []):
            return value
        if (value := source.metadata.get(name)) is not None:
            return value
    return None


def _texts(place: str, test: TestCase, default: TestCase, name: str) -> list[str]:
    value = _own(test, default, name) or []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        refuse(place, f"{name} is no list of texts")
    return [str(each) for each in value]


def _names_file(value: Any) -> bool:
    return any(isinstance(each, str) and each.startswith(SIGN) for each in (value if isinstance(value, list) else [value]))


def _refuse_files(place: str, assertions: Iterable[Assertion]) -> None:
    """Refuse checks of data that name files: data come from anywhere, and could ask for what is nobody's business."""
    for assertion in assertions:
        if _names_file(assertion.value):
            refuse(place, f"the value of {assertion.type} names a file, which data may not do; write that check below checks")
        _refuse_files(place, assertion.assert_)


def _looks_at(assertion: Assertion, expected: Any) -> bool:
    """Whether a check compares with what is expected: by its template, its value, or by a judge, which is shown it."""
    kind = registry.SCORERS.get(assertion.type.removeprefix("not-"))
    judged = kind is not None and kind.needs == registry.JUDGE
    same = assertion.value == expected or "expected" in str(assertion.value)
    return judged or same or any(_looks_at(each, expected) for each in assertion.assert_)


def _identity(variables: Mapping[str, Any], expected: Any, test: TestCase) -> dict[str, Any]:
    """What makes a case the same: its inputs, what is expected, and what only this case asks."""
    own = [assertion.model_dump(mode="json", by_alias=True, exclude_defaults=True) for assertion in test.assert_]
    return {"inputs": variables, "expected": expected, "checks": own, "threshold": test.threshold}


def _digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()


def _short(value: Any) -> bytes:
    return hashlib.sha256(_canonical(value)).digest()[:12]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str).encode(errors="replace")
