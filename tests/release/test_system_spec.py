"""Mistakes in systems/*.yaml are sentences with their line, and default gates are never silently dropped."""

from __future__ import annotations

from typing import Any

import pytest
from office import Office

from stellwerk.errors import UserError
from stellwerk.gates import Gate
from stellwerk.standing import defaults, words
from stellwerk.standing.spec import KINDS

GOOD = """purpose: answer letters
owner: Team Service
role: deployer
binds: [dataset/tickets]
"""
GATE = "gates:\n  - {name: own.gate, job: security, concerns: dataset, metric: leaks, max: 0, "


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (GOOD.replace("dataset/tickets", "tickets"), 4, "'tickets' does not say what it is; write its kind before it"),
        (GOOD.replace("dataset/tickets", "datset/tickets"), 4, "there is no kind 'datset'; did you mean 'dataset'?"),
        (GOOD.replace("dataset/tickets", "dataset/tickets@"), 4, "names no dataset"),
        (GOOD.replace("[dataset/tickets]", "[dataset/a, dataset/a]"), 4, "'dataset/a' stands here twice"),
        (GOOD.replace("[dataset/tickets]", "[]"), 4, "at least 1 item"),
        (GOOD.replace("deployer", "user"), 3, "expected one of 'provider', 'deployer' or 'both'"),
        (GOOD.replace("owner: Team Service\n", ""), 1, "'owner' is missing; add it"),
        (GOOD + "sign_of: [x]\n", 5, "did you mean 'sign_offs'?"),
        (GOOD + "overrides:\n  data.tests: {max: 2}\n", 6, "'overrides.data.tests.reason' is missing"),
        (GOOD + "overrides:\n  data.tests: {reason: ' ', max: 2}\n", 6, "at least 1 character"),
        (GOOD + "overrides:\n  data.tests: {reason: x}\n", 6, "it changes nothing"),
        (GOOD + "overrides:\n  data.tests: {reason: x, required: false, max: 1}\n", 6, "not required has no threshold"),
        (GOOD + "overrides:\n  data.test: {reason: x, max: 1}\n", 6, "no default gate 'data.test' to override; did you mean"),
        (GOOD + "overrides:\n  data.tests: {reason: x, max: null}\n", 6, "give min or max"),
        (GOOD + "default_gates: {dta: 1}\n", 5, "there are no default gates of 'dta'"),
        (GOOD + "default_gates:\n  data: 99\n", 6, "the default gates of data have no set 99; there are: 1"),
        (GOOD + GATE + "with: hard}\n", 6, "'hard' does not say what it is"),
        (GOOD + GATE.replace("own.gate", "data.tests") + "days: 3}\n", 6, "'data.tests' is a default gate; change it under"),
        (GOOD + GATE.replace("max: 0", "max: 0, mx: 1") + "days: 3}\n", 6, "did you mean 'max'?"),
        (GOOD + GATE + "days: 0}\n", 6, "greater than 0"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_line(office: Office, text: str, line: int, said: str) -> None:
    office.write("systems/desk", text)
    with pytest.raises(UserError) as error:
        office.now()
    assert f"systems/desk.yaml, line {line}: " in str(error.value)
    assert said in str(error.value)


def test_all_default_sets_can_be_read_and_say_what_they_ask_in_both_languages() -> None:
    sets = defaults.sets()
    assert {"data", "services"} <= set(sets)
    gates = [gate for there in sets.values() for one in there for part in one.kinds.values() for gate in part.gates]
    newest = [gate.name for there in sets.values() for part in there[-1].kinds.values() for gate in part.gates]
    assert len(newest) == len(set(newest))
    for gate in gates:
        assert set(gate.concerns) <= set(KINDS)
        assert gate.title["en"] != gate.title["de"]
    needed = {fact for there in sets.values() for one in there for part in one.kinds.values() for fact in part.needs}
    assert all(words.fact_word(fact, "de") != words.fact_word(fact, "en") or fact == "region" for fact in needed)


def test_no_job_is_imported_for_its_default_gates() -> None:
    import subprocess
    import sys

    code = "import sys; from stellwerk.standing import defaults; assert defaults.sets()['data']; "
    code += "sys.exit(any(name.startswith('stellwerk.jobs.') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_an_override_and_a_gate_that_is_not_required_stand_with_their_reasons(office: Office) -> None:
    office.system(
        overrides={
            "data.tests": {"max": 2, "days": 5, "reason": "two known"},
            "data.kept": {"required": False, "reason": "a sample by design"},
        }
    )
    office.made("dataset", "tickets", n=1)
    stands = office.now()
    assert stands.overridden == {"data.tests": "two known"}
    assert stands.not_required == {"data.kept": "a sample by design"}
    gates = {gate.name: gate for gate in stands.gates}
    assert (gates["data.tests"].max, gates["data.tests"].days) == (2, 5)
    assert "data.kept" not in gates
    report = office.call("signals", system="desk").systems[0]
    assert [(line.gate, line.reason) for line in report.not_required] == [("data.kept", "a sample by design")]
    assert [(line.gate, line.reason) for line in report.overridden] == [("data.tests", "two known")]


def test_a_pin_keeps_an_older_set(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = defaults.sets()["data"]
    gate = Gate(name="data.newer", job="data", concerns=("dataset",), metric="leaks", max=0)
    second = first.model_copy(
        update={"version": 2, "kinds": {"dataset": first.kinds["dataset"].model_copy(update={"gates": (gate,)})}}
    )
    monkeypatch.setattr(defaults, "sets", lambda: {"data": [first, second]})
    office.made("dataset", "tickets", n=1)
    assert {gate.name for gate in office.now().gates} == {"data.newer"}
    office.system(default_gates={"data": 1})
    assert "data.tests" in {gate.name for gate in office.now().gates}


def test_the_second_set_for_what_was_bought_asks_for_the_same_as_the_first() -> None:
    first, second = defaults.sets()["services"]
    for kind, part in first.kinds.items():
        other = second.kinds[kind]
        assert (part.needs, part.hosted) == (other.needs, other.hosted)
        assert [(gate.name, gate.asks) for gate in part.gates] == [(gate.name, gate.asks) for gate in other.gates]
    assert [gate.by for gate in first.kinds["model"].gates] == [("release.register",)]
    assert [gate.by for gate in second.kinds["model"].gates] == [("llm.probe", "release.register")]


@pytest.mark.parametrize(
    ("field", "value", "same"), [("purpose", "other", False), ("role", "both", False), ("title", "T", True)]
)
def test_purpose_owner_and_role_are_the_identity(office: Office, field: str, value: Any, same: bool) -> None:
    office.made("dataset", "tickets", n=1)
    before = office.now().digest
    office.system(**{field: value}, overrides={"data.tests": {"max": 5, "reason": "r"}})
    assert (office.now().digest == before) == same
