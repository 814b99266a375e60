"""What mend says and does: runs where evidence is missing, people where the evidence is bad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from office import Office

from stellwerk import operation as registry
from stellwerk.record import tables
from stellwerk.release import mending, verdict
from stellwerk.runs import queue
from stellwerk.standing import words


def planned(office: Office, **days: float) -> list[tuple[str | None, dict[str, str]]]:
    return [(one.operation, one.values) for one in mending.apart(mending.mends(office.workspace, office.now(**days)))]


def test_what_was_never_made_is_made_first_and_each_run_is_named_once(office: Office) -> None:
    report = office.call("mend", system="desk")
    assert [run.command for run in report.runs] == ["stellwerk data build mails", "stellwerk data build tickets"]
    assert len(report.runs[0].clears) == 6 and not report.tasks
    assert report.runs[0].seconds is None
    done = office.call("mend", system="desk", run=True)
    assert [(run.operation, run.state) for run in done.started] == [("data.build", "done")] * 2
    assert [run.command for run in done.runs] == ["stellwerk data test mails@1", "stellwerk data test tickets@1"]
    assert done.next == "stellwerk mend desk --run"
    done = office.call("mend", system="desk", run=True)
    assert done.releasable and done.next is None
    runs = len(office.workspace.record.rows(tables.run))
    assert not office.call("mend", system="desk", run=True).started
    assert len(office.workspace.record.rows(tables.run)) == runs


def test_a_stop_is_not_measured_again_but_somebody_has_to_change_it_or_take_it_on(office: Office) -> None:
    office.dataset("tickets", tests=[{"rows": {"min": 100}}])
    office.built()
    assert planned(office) == []
    (task,) = office.call("mend", system="desk").tasks
    assert (task.about, task.state, task.blocks) == ("data.tests on dataset/tickets@1", "stop", True)
    assert task.task.startswith("change what was measured on dataset/tickets@1 so that it is at most 0")
    assert task.or_waive == "stellwerk release waive desk data.tests --asset dataset/tickets --reason REASON --until DATE"
    assert mending.mends(office.workspace, office.now(), "de")[0].person.startswith("ändern, was an dataset/tickets@1")
    office.dataset("tickets", licence=None)
    office.call("data.build", dataset="tickets")
    tasks = {task.gate: task.task for task in office.call("mend", system="desk").tasks}
    assert tasks["data.facts"] == "write licence into datasets/tickets.yaml, then: stellwerk data build tickets"


def test_facts_of_a_hosted_model_are_written_into_the_file_that_there_is(office: Office) -> None:
    bought = {"provider": "P", "product": "GPT", "kind": "model", "model": "gpt-9", "region": "EU", "terms": "T"}
    office.write("services/gpt", bought)
    office.call("release.register", service="gpt")
    office.system(binds=["model/gpt"])

    def task() -> str:
        (found,) = (task for task in office.call("mend", system="desk").tasks if task.gate == "services.model")
        return str(found.task)

    missing = "write retention and processor agreement into"
    assert task() == f"{missing} services/gpt.yaml, then: stellwerk release register gpt"
    office.write("models/gpt", {"endpoint": "https://api.example.eu/v1", "model": "gpt-9", "region": "EU", "terms": "T"})
    assert task() == f"{missing} models/gpt.yaml, then: stellwerk llm probe gpt"
    german = [one.person for one in mending.mends(office.workspace, office.now(), "de") if one.gate == "services.model"]
    assert german == [
        "Speicherdauer und Vertrag zur Auftragsverarbeitung in models/gpt.yaml eintragen, dann: stellwerk llm probe gpt"
    ]
    office.system(binds=["model/gpt"], default_gates={"services": 1})
    assert task() == f"{missing} services/gpt.yaml, then: stellwerk release register gpt"


def test_facts_of_a_prompt_are_written_into_its_header(office: Office) -> None:
    (office.root / "prompts").mkdir()
    (office.root / "prompts" / "reply.prompty").write_text("user:\nAdd: {{a}}\n")
    office.call("prompts.register", prompt="reply")
    office.system(binds=["prompt/reply"])
    tasks = {task.gate: task.task for task in office.call("mend", system="desk").tasks}
    said = "write owner, purpose and language into prompts/reply.prompty, then: stellwerk prompts register reply"
    assert tasks["prompts.facts"] == said


def test_what_ran_out_is_measured_again_and_what_was_bound_long_ago_is_not_built_anew(office: Office) -> None:
    office.built()
    assert planned(office, days=31) == [("data.test", {"dataset": "mails@1"}), ("data.test", {"dataset": "tickets@1"})]
    reasons = [one.reason for one in mending.mends(office.workspace, office.now(days=31))]
    assert all(reason.endswith("which holds for 30 days only") for reason in reasons)
    office.made("dataset", "letters", n=1)
    office.made("dataset", "letters", n=2)
    office.dataset("letters")
    office.system(binds=["dataset/letters@1"])
    assert planned(office) == [("data.test", {"dataset": "letters@1"})]
    people = {one.gate: one.person for one in mending.mends(office.workspace, office.now()) if one.person}
    assert (
        people["data.personal"] == "measure it with: stellwerk data build; what it needs does not follow from the system's file"
    )


def test_a_gate_that_nothing_measures_says_so(office: Office) -> None:
    office.made("dataset", "tickets", n=1)
    gates: list[dict[str, Any]] = [
        {"name": "own.leaks", "job": "security", "concerns": "dataset", "metric": "leaks", "max": 0},
        {"name": "own.tool", "job": "security", "concerns": "tool", "metric": "leaks", "max": 0},
        {"name": "own.far", "job": "security", "concerns": "dataset", "metric": "leaks", "max": 0, "by": "nowhere.test"},
        {"name": "own.suite", "job": "security", "concerns": "dataset", "metric": "leaks", "max": 0, "with": "suite/hard@3"},
    ]
    office.system(binds=["dataset/tickets"], gates=gates, sign_offs=["data protection"])
    tasks = {task.gate or task.why: task for task in office.call("mend", system="desk").tasks}
    assert tasks["own.leaks"].task.startswith("no operation is known that measures leaks")
    assert tasks["own.tool"].task.startswith("bind tool under binds in systems/desk.yaml")
    assert tasks["own.far"].task.startswith("measure it with: stellwerk nowhere test")
    assert tasks["own.suite"].task.startswith("make suite/hard@3")
    assert tasks["unsigned"].task.startswith("sign in the role data protection: stellwerk release sign desk 'data protection'")
    german = {one.why: one for one in mending.mends(office.workspace, office.now(), "de")}
    assert german["unsigned"].reason == "data protection hat diese Versionen nicht unterschrieben"
    assert german["nothing"].reason.startswith("das KI-System verwendet keinen Baustein der Art Werkzeug")


def test_runs_for_several_partners_and_the_suite_follow_from_the_gate(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = '''
from __future__ import annotations
from typing import TYPE_CHECKING, Annotated
from stellwerk.operation import Ref, operation
if TYPE_CHECKING:
    from stellwerk.run import Run

@operation(example={})
def ask(prompt: Annotated[str, Ref("prompt")], suite: Annotated[str, Ref("suite")], model: Annotated[str, Ref("model")],
        limit: int | None = None, *, run: Run) -> str:
    """Ask."""
    versions = [run.input(prompt, "prompt"), run.input(model, "model")]
    run.step("ask", _ask, inputs=versions, suite=suite, ids=[v.id for v in versions])
    return "done"

def _ask(run, *, suite, ids):
    if "greet" in run.version(ids[0]).name:
        from stellwerk.errors import StellwerkError
        raise StellwerkError("the model does not answer")
    run.measure("acc", 0.9, subjects=[run.version(i) for i in ids], instruments=[run.record.resolve(suite, "suite")])
'''
    (tmp_path / "ninth").mkdir()
    (tmp_path / "ninth" / "__init__.py").write_text("")
    (tmp_path / "ninth" / "operations.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    known = registry.packages()
    monkeypatch.setattr(registry, "packages", lambda: {**known, "ninth": "ninth.operations"})
    gate = {
        "name": "good", "job": "prompts", "concerns": ["prompt", "model"], "metric": "acc", "min": 0.5,
        "with": "suite/support", "by": "ninth.ask",
    }  # fmt: skip
    for kind, name in (("prompt", "reply"), ("prompt", "greet"), ("model", "a"), ("model", "b"), ("suite", "support")):
        office.made(kind, name, n=1)
    default = ("prompts.passed", "prompts.unwanted", "prompts.facts", "prompts.erased")
    overrides = {name: {"required": False, "reason": "not in this test"} for name in default}
    office.system(binds=["prompt/reply", "prompt/greet", "model/a", "model/b"], gates=[gate], overrides=overrides)
    assert planned(office) == [
        ("ninth.ask", {"prompt": f"{prompt}@1", "suite": "support@1", "model": f"{model}@1"})
        for prompt in ("greet", "reply")
        for model in ("a", "b")
    ]
    done = office.call("mend", system="desk", run=True)
    assert [(run.state, run.error) for run in done.started] == [("failed", "the model does not answer")] * 2 + [
        ("done", None)
    ] * 2
    assert office.states() == {("good", "prompt/greet@1"): "dark", ("good", "prompt/reply@1"): "clear"}
    assert office.cli("mend", "desk", "--run") == 1


def test_whoever_does_not_wait_gets_queued_runs(office: Office) -> None:
    asked = office.workspace.acting("Anna", authenticated=True)
    report = office.call("mend", workspace=asked, system="desk", run=True)
    assert [run.state for run in report.started] == ["queued", "queued"]
    waiting = queue.positions(office.workspace.record)
    assert {run[:8] for run in waiting} == {run.run for run in report.started}
    assert not office.workspace.record.rows(tables.version)


def test_every_reason_can_be_said_in_both_languages(office: Office) -> None:
    office.built()
    office.system(sign_offs=["data protection"])
    for days in (0, 31):
        stands = office.now(days=days)
        for signal in stands.signals:
            english, german = words.reason(signal, "en"), words.reason(signal, "de")
            assert english and german and english != german and "{" not in english + german
        assert verdict.sentence(stands, "de").startswith("desk kann nicht freigegeben werden: ")
