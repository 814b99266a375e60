"""An alias of a prompt moves only with evidence, forwards and back; a refusal names what is missing and what measures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.record import journal, tables
from stellwerk.runs.execution import call
from stellwerk.workspace import Workspace

HEAD = "---\nmetadata:\n  stellwerk: {owner: Anna, purpose: Sums, language: de, tests: sums%s}\n---\n"
GOOD = "user:\nAdd: {{a}} + {{b}}\n"
BAD = "user:\nSag nichts zu {{a}} und {{b}}.\n"
CASES = [{"vars": {"a": n, "b": n + 1}, "assert": [{"type": "equals", "value": str(2 * n + 1)}]} for n in range(100)]


class Desk:
    """A workspace with a prompt, a simulated model and a suite."""

    def __init__(self, root: Path) -> None:
        import yaml

        self.root = root
        self.workspace = Workspace.init(root)
        self.write("models/adder.yaml", "simulated: {plan: sums, options: {accuracy: 1.0}}\n")
        self.write("suites/sums.yaml", yaml.safe_dump({"unwanted": ["form", "over_refusal"], "tests": CASES}))
        self.prompt(GOOD)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def prompt(self, body: str, more: str = "") -> None:
        self.write("prompts/reply.prompty", HEAD % more + body)

    def system(self, **fields: Any) -> None:
        import yaml

        said = {"purpose": "p", "owner": "o", "role": "deployer", "binds": ["prompt/reply@production", "model/adder"], **fields}
        self.write("systems/desk.yaml", yaml.safe_dump(said))

    def test(self, prompt: str = "reply", **more: Any) -> Any:
        return call(self.workspace, find("prompts.test"), {"prompt": prompt, "suite": "sums", "model": "adder", **more})

    def promote(self, prompt: str = "reply", **more: Any) -> Any:
        return call(self.workspace, find("prompts.promote"), {"prompt": prompt, **more})

    def alias(self, name: str = "production") -> str | None:
        try:
            return self.workspace.record.resolve(f"prompt/reply@{name}").ref
        except UserError:
            return None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "w")
    yield made
    made.workspace.record.database.close()


def test_without_evidence_nothing_moves_and_the_sentence_names_gate_and_command(desk: Desk) -> None:
    desk.system()
    refused = desk.promote(reason="first")
    assert not refused.moved
    assert find("prompts.promote").exit_code(refused) == 1  # type: ignore[misc]
    assert desk.alias() is None
    assert refused.message == "prompt/reply@production was not moved; it points to nothing yet."
    passed = next(reason for reason in refused.reasons if "prompts.passed" in reason)
    assert passed.startswith("prompts.passed of system desk is without evidence: ")
    assert passed.endswith("measure it with: stellwerk prompts test reply sums adder")


def test_the_named_command_is_what_clears_it(desk: Desk) -> None:
    desk.prompt(GOOD)
    refused = desk.promote()
    command = refused.reasons[0].split("measure it with: ")[1].split(",")[0].split()
    assert command[:3] == ["stellwerk", "prompts", "test"]
    from stellwerk.doors.cli import run as cli

    assert cli([*command[1:], "-w", str(desk.root)]) == 0
    assert desk.promote().moved


def test_with_evidence_it_moves_and_the_evidence_is_in_the_record(desk: Desk) -> None:
    desk.system()
    desk.test()
    done = desk.promote(reason="first one")
    assert done.moved, done.reasons
    assert (done.before, done.now, desk.alias()) == (None, "prompt/reply@1", "prompt/reply@1")
    proven = {state.gate: state for state in done.evidence}
    assert proven["prompts.passed"].value == 1.0
    record = desk.workspace.record
    (row,) = record.rows(tables.measurement, tables.measurement.c.id == proven["prompts.passed"].measurement)
    assert row["metric"] == "pass_rate"
    (step,) = record.rows(tables.step, tables.step.c.name == "promote production")
    assert row["id"] in [state["measurement"] for state in step["outcome"]["evidence"]]
    with record.database.reading() as connection:
        assert list(journal.verify(connection)) == []
    assert desk.promote().moved  # where it points already


def test_a_changed_word_needs_a_test_of_its_own(desk: Desk) -> None:
    desk.system()
    desk.test()
    desk.promote()
    desk.prompt(GOOD.replace("Add", "Add:\nAdd"))
    refused = desk.promote()
    assert not refused.moved
    assert (refused.prompt, refused.now, desk.alias()) == ("prompt/reply@2", "prompt/reply@1", "prompt/reply@1")
    assert "measured on prompt/reply@1, now prompt/reply@2" in refused.reasons[0]


def test_a_worse_prompt_does_not_move_and_rolling_back_keeps_the_rule(desk: Desk) -> None:
    desk.system()
    desk.test()
    assert desk.promote().moved
    desk.prompt(GOOD + "\nassistant:\n")
    desk.test()
    assert desk.promote().now == "prompt/reply@2"
    desk.prompt(BAD)
    assert desk.test().failed == 100
    refused = desk.promote()
    assert not refused.moved
    assert "prompts.passed of system desk is stopped: measured 0 %, but required is at least 80 %" in refused.reasons[0]
    assert desk.alias() == "prompt/reply@2"
    back = desk.promote("reply@1", reason="complaints")
    assert (back.moved, back.before, back.now) == (True, "prompt/reply@2", "prompt/reply@1")
    assert back.message == "prompt/reply@production points to prompt/reply@1, before to prompt/reply@2."
    again = desk.promote("reply@2")  # the same as before, and still a step of its own
    assert (again.moved, desk.alias()) == (True, "prompt/reply@2")
    blocked = desk.promote("reply@3")
    assert (blocked.moved, desk.alias()) == (False, "prompt/reply@2")


def test_rolling_back_is_refused_when_the_gates_ask_for_more_than_was_measured(desk: Desk) -> None:
    desk.test()
    assert desk.promote().moved
    desk.system(
        gates=[
            {
                "name": "desk.exact",
                "job": "prompts",
                "concerns": ["prompt", "model"],
                "metric": "equals",
                "min": 0.9,
                "by": "prompts.test",
                "with": "suite/other",
            }
        ]
    )
    refused = desk.promote("reply@1")
    assert not refused.moved
    assert any("desk.exact of system desk" in r and "there is no suite/other to measure it with" in r for r in refused.reasons)
    assert any(r.endswith("stellwerk prompts test reply other adder") for r in refused.reasons)


def test_part_of_the_cases_never_counts(desk: Desk) -> None:
    desk.system()
    desk.test(limit=30)
    refused = desk.promote()
    assert not refused.moved
    assert "measured on part of the cases only, which never counts" in refused.reasons[0]


def test_the_prompts_own_gates_and_facts_count(desk: Desk) -> None:
    asks = "concerns: [prompt, model], metric: pass_rate, min: 0.5, min_n: 200, by: prompts.test"
    gate = f", gates: [{{name: own.many, job: prompts, {asks}}}]"
    desk.prompt(GOOD, gate)
    desk.test()
    refused = desk.promote()
    assert [r.split(" is ")[0] for r in refused.reasons] == ["own.many of the prompt itself"]
    assert "on 100 cases, but required are at least 200 cases; measure it on more cases with: " in refused.reasons[0]
    desk.write("prompts/reply.prompty", GOOD)
    refused = desk.promote()
    assert any("write owner, purpose, language under metadata.stellwerk in prompts/reply.prompty" in r for r in refused.reasons)


def test_overrides_of_the_system_hold(desk: Desk) -> None:
    desk.system(
        overrides={"prompts.passed": {"min": 0.999, "reason": "strict"}, "prompts.unwanted": {"required": False, "reason": "r"}}
    )
    desk.test()
    refused = desk.promote()
    assert [r.split(" of ")[0] for r in refused.reasons] == ["prompts.passed"]
    assert "measured 100 %, but its 95 % interval, " in refused.reasons[0]
    assert desk.promote(system="desk").moved is False
    with pytest.raises(UserError, match=r"there is no systems/other\.yaml"):
        desk.promote(system="other")


def test_a_waiver_of_the_system_lets_it_pass_until_its_day(desk: Desk) -> None:
    desk.system(overrides={"prompts.passed": {"min": 0.999, "reason": "strict"}})
    desk.test()
    assert not desk.promote().moved
    until = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    desk.write(
        "systems/desk.yaml", (desk.root / "systems/desk.yaml").read_text().replace("prompt/reply@production", "prompt/reply")
    )
    given = {"system": "desk", "gate": "prompts.passed", "asset": "prompt/reply", "reason": "few cases", "until": until}
    call(desk.workspace, find("release.waive"), given)
    done = desk.promote(system="desk")
    assert done.moved, done.reasons
    waived = next(s for s in done.evidence if s.gate == "prompts.passed")
    assert waived.why.endswith(f"lets it pass until {until}: few cases")
    assert "eine befristete Ausnahme erteilt: few cases" in waived.why_de


@pytest.mark.parametrize("alias", ["latest", "3", "a/b", "a@b", "", " "])
def test_an_alias_has_a_name_of_its_own(desk: Desk, alias: str) -> None:
    with pytest.raises(UserError, match="cannot be an alias"):
        desk.promote(alias=alias)


def test_two_at_once_leave_one_of_both(desk: Desk) -> None:
    from concurrent.futures import ThreadPoolExecutor

    desk.test()
    desk.prompt(GOOD + "\nassistant:\n")
    desk.test()

    def move(number: int) -> bool:
        return bool(call(Workspace(desk.root), find("prompts.promote"), {"prompt": f"reply@{number}"}).moved)

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(move, [1, 2, 1, 2]))
    assert desk.alias() in ("prompt/reply@1", "prompt/reply@2")
    with desk.workspace.record.database.reading() as connection:
        assert list(journal.verify(connection)) == []


def test_a_system_is_asked_whichever_version_it_binds(desk: Desk) -> None:
    desk.test()
    for reference in ("prompt/reply", "prompt/reply@1", "prompt/reply@production"):
        desk.system(binds=[reference, "model/adder"])
        assert desk.promote(system="desk").moved
    desk.prompt(BAD)
    desk.test()
    for reference in ("prompt/reply", "prompt/reply@1", "prompt/reply@production"):
        desk.system(binds=[reference, "model/adder"])
        refused = desk.promote(system="desk")
        assert (refused.moved, refused.prompt) == (False, "prompt/reply@2")
        assert desk.promote("reply@1", system="desk").moved


def test_naming_a_lax_system_does_not_pass_by_the_one_that_binds_the_alias(desk: Desk) -> None:
    desk.prompt(BAD)
    desk.test()
    desk.system()
    strict = (desk.root / "systems/desk.yaml").read_text()
    lax = {name: {"required": False, "reason": "r"} for name in ("prompts.passed", "prompts.unwanted")}
    desk.system(binds=["prompt/reply", "model/adder"], overrides=lax)
    desk.write("systems/lax.yaml", (desk.root / "systems/desk.yaml").read_text())
    desk.write("systems/desk.yaml", strict)
    refused = desk.promote(system="lax")
    assert not refused.moved and any("of system desk is stopped" in reason for reason in refused.reasons)
    assert desk.promote(system="lax", alias="staging").moved


def test_a_system_that_does_not_bind_the_prompt_is_not_asked(desk: Desk) -> None:
    desk.test()
    desk.system(binds=["prompt/replying@production", "model/adder"])
    with pytest.raises(UserError, match=r"systems/desk\.yaml does not bind prompt/reply; write prompt/reply@production under"):
        desk.promote(system="desk")
    assert [state.of for state in desk.promote().evidence] == ["the prompt itself"] * 4


def test_a_test_that_was_done_before_counts_from_when_it_was_met_again(desk: Desk) -> None:
    import yaml

    wrong = [{**case, "assert": [{"type": "equals", "value": "?"}]} for case in CASES[:50]]
    desk.write("suites/wrong.yaml", yaml.safe_dump({"unwanted": ["form", "over_refusal"], "tests": wrong}))
    desk.system(overrides={"prompts.unwanted": {"required": False, "reason": "r"}})
    desk.test()
    assert desk.promote().moved
    desk.test(suite="wrong")
    assert "prompts.passed of system desk is stopped" in desk.promote().reasons[0]
    assert desk.test().passed == 100  # out of the record
    assert desk.promote().moved


def test_promoting_is_what_the_release_judges_too(desk: Desk) -> None:
    """What is promoted here is clear there: both read the same gates."""
    from stellwerk.standing.standing import standing

    desk.system()
    desk.test()
    assert desk.promote().moved
    signals: dict[str, Callable[..., Any] | str] = {s.gate.name: s.state for s in standing(desk.workspace, "desk").signals}
    mine = {state.gate: state.state for state in desk.promote().evidence}
    assert mine == {name: signals[name] for name in mine}
