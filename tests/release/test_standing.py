"""What a system binds and how it stands, on real records with really built datasets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from office import Office
from sqlalchemy import event

from stellwerk.errors import UserError
from stellwerk.record import tables
from stellwerk.release import verdict
from stellwerk.standing import words


@pytest.fixture(scope="module")
def built(offices: Callable[[], Office]) -> Office:
    return offices().built()


def test_a_changed_row_darkens_exactly_the_gates_of_its_dataset_and_mend_clears_them(built: Office) -> None:
    assert set(built.states().values()) == {"clear"}
    assert built.now().releasable
    assert built.cli("signals", "desk") == 0
    texts = [f"tickets {n}: another text on machines" for n in range(8)]
    built.rows("tickets", texts)
    built.call("data.build", dataset="tickets")
    assert built.version("dataset/tickets").number == 2
    states = built.states()
    assert {key for key, state in states.items() if state != "clear"} == {("data.tests", "dataset/tickets@2")}
    assert states["data.tests", "dataset/mails@1"] == "clear"
    stands = built.now()
    assert stands.reasons == [
        "data.tests on dataset/tickets@2 is without evidence: measured on dataset/tickets@1, now dataset/tickets@2"
    ]
    assert built.cli("signals", "desk") == 1

    planned = built.call("mend", system="desk")
    assert [(run.operation, run.values, run.clears) for run in planned.runs] == [
        ("data.test", {"dataset": "tickets@2"}, ["data.tests on dataset/tickets@2"])
    ]
    assert planned.runs[0].seconds is not None and not planned.tasks and not planned.started
    done = built.call("mend", system="desk", run=True)
    assert [(run.operation, run.state) for run in done.started] == [("data.test", "done")]
    assert done.releasable and set(built.states().values()) == {"clear"}
    assert not built.call("mend", system="desk").runs


def test_what_a_test_says_last_counts_though_it_was_remembered(office: Office) -> None:
    office.built()
    strict, weak = [{"rows": {"min": 99}}], [{"rows": {"min": 1}}]
    for tests, state in ((strict, "stop"), (weak, "clear"), (strict, "stop"), (weak, "clear")):
        office.dataset("tickets", tests=tests)
        report = office.call("data.test", dataset="tickets")
        assert (report.failed > 0) == (state == "stop")
        assert office.states()["data.tests", "dataset/tickets@1"] == state
    office.dataset("tickets", tests=[*strict, *weak])
    office.call("data.test", dataset="tickets")
    office.dataset("tickets", tests=weak)
    office.call("data.test", dataset="tickets")
    assert office.states()["data.tests", "dataset/tickets@1"] == "caution", "one test passed where one of two failed"


@pytest.mark.parametrize("bare", [True, False])
def test_a_system_that_no_gate_can_stop_is_not_released(office: Office, bare: bool) -> None:
    office.made("tool", "search", text="Looks up tickets")  # a kind that has no default gates
    gate = {"name": "own", "job": "prompts", "concerns": "tool", "metric": "accuracy", "min": 0.8, "severity": "warn"}
    office.system(binds=["tool/search"], gates=[] if bare else [gate])
    stands = office.now()
    assert not stands.releasable
    assert stands.reasons == ["no gate could stop it, so a release would prove nothing"]
    (sentence, german) = (verdict.sentence(stands, language) for language in ("en", "de"))
    assert sentence == f"desk cannot be released: {stands.reasons[0]}"
    assert german.startswith("desk kann nicht freigegeben werden: kein Prüfpunkt")
    tasks = office.call("mend", system="desk").tasks
    assert ("desk", "ungated", True) in [(task.about, task.why, task.blocks) for task in tasks]
    assert office.cli("signals", "desk") == 1


def test_going_back_to_old_rows_brings_the_old_evidence_back(built: Office) -> None:
    before = built.version("dataset/mails")
    built.rows("mails", ["quite another mail on machines and noise"])
    built.call("data.build", dataset="mails")
    assert built.states()["data.tests", "dataset/mails@2"] == "dark"
    built.rows("mails", [f"mails {n}: the machine of type {n * 7} makes noise at {n} degrees" for n in range(8)])
    built.call("data.build", dataset="mails")
    assert built.version("dataset/mails") == before
    assert set(built.states().values()) == {"clear"}


def test_a_system_may_pin_a_number_or_follow_an_alias(built: Office) -> None:
    first = built.version("dataset/tickets@1")
    with built.workspace.record.writing(built.workspace.person) as transaction:
        asset = transaction.connection.execute(tables.version.select().where(tables.version.c.id == first.id)).mappings().one()
        transaction.move_alias(asset["asset"], "production", first.id, first.run)
    built.system("pinned", binds=["dataset/tickets@1", "dataset/tickets@production", "dataset/tickets"])
    assert [one.version.ref for one in built.now("pinned").bound if one.version] == [
        "dataset/tickets@1", "dataset/tickets@1", built.version("dataset/tickets").ref,
    ]  # fmt: skip


def test_a_binding_that_names_nothing_is_dark_and_nothing_is_released(office: Office) -> None:
    office.system(binds=["dataset/tickets@7", "service/copilot"])
    office.made("dataset", "tickets", n=1)
    stands = office.now()
    assert not stands.releasable
    first, second = (one.problem or "" for one in stands.bound)
    assert first == "dataset/tickets has no version '7'; it has: @1"
    assert second.startswith("there is no service named 'copilot'")
    assert {(s.state, s.why) for s in stands.signals} == {("dark", "unbound")}
    assert {s.gate.job for s in stands.signals} == {"data", "ethics"}
    assert verdict.sentence(stands) == "desk cannot be released: 2 bindings have no version"


def test_gates_on_data_concern_what_a_bound_index_descends_from(office: Office) -> None:
    office.system(binds=["index/search"])
    old = office.made("dataset", "tickets", n=1, facts={"spec": {"licence": "x"}})
    office.made("dataset", "tickets", n=2)
    source = office.made("source", "s", n=1)
    index = office.made("index", "search", old, source, n=1)
    stands = office.now()
    assert [v.ref for v in stands.closure] == ["index/search@1", "dataset/tickets@1", "source/s@1"]
    assert set(stands.edges) == {(index.id, old.id), (index.id, source.id)}
    assert {s.subject.ref for s in stands.signals if s.subject} == {"dataset/tickets@1"}
    facts = next(s for s in stands.signals if s.gate.name == "data.facts")
    assert facts.measurement is not None
    assert (facts.state, facts.measurement.details["missing"], facts.measurement.n) == ("stop", ["legal_basis", "purpose"], 3)
    assert words.reason(facts, "de") == "noch nicht bekannt: Rechtsgrundlage und Zweck"


def test_rows_erased_underneath_stop_what_was_made_from_them_and_not_the_clean_version(office: Office) -> None:
    office.system(binds=["index/search"])
    tainted = office.made("dataset", "tickets", n=1)
    clean = office.made("dataset", "tickets", tainted, n=2)
    office.made("index", "search", clean, n=1)
    with office.workspace.record.writing(office.workspace.person) as transaction:
        erasure = transaction.insert(
            tables.erasure, run=tainted.run, version=tainted.id, rows=1, reason="asked", created=transaction.at
        )
        transaction.update(tables.version, tainted.id, tainted=erasure["id"])
    assert office.states()["data.erased", "dataset/tickets@2"] == "clear"
    office.made("index", "search", tainted, n=2)
    signal = next(s for s in office.now().signals if s.gate.name == "data.erased")
    assert (signal.state, words.reason(signal)) == ("stop", "rows were erased underneath dataset/tickets@1")


def test_an_open_finding_of_high_severity_stops_until_somebody_decides(office: Office) -> None:
    office.system(binds=["dataset/tickets"])
    source = office.made("source", "s", n=1)
    office.made("dataset", "tickets", source, n=1)
    key = ("data.findings", "dataset/tickets@1")
    office.finding("medium", source)
    assert office.states()[key] == "clear"
    high = office.finding("high", source)
    assert office.states()[key] == "stop"
    assert [f["id"] for f in office.now().open_findings][:1] == [high]
    until = (datetime.now(UTC) + timedelta(days=10)).date()
    office.call("findings.accept", finding=high, reason="known", until=until)
    assert office.states()[key] == "clear"
    later = {s.gate.name: s.state for s in office.now(days=12).signals}
    assert later["data.findings"] == "stop"
    office.call("findings.mitigate", finding=high, reason="mended")
    assert {s.gate.name: s.state for s in office.now(days=12).signals}["data.findings"] == "clear"


def test_a_finding_without_a_version_is_about_what_the_runs_made_that_met_it(office: Office) -> None:
    office.system(binds=["dataset/tickets"])
    version = office.made("dataset", "tickets", n=1)
    (step,) = office.workspace.record.rows(tables.step, tables.step.c.run == version.run)
    office.finding("critical", run=version.run, step=step["id"])
    assert office.states()["data.findings", "dataset/tickets@1"] == "stop"
    again = office.made("dataset", "tickets", n=2)
    assert office.states()["data.findings", "dataset/tickets@2"] == "clear"
    with office.workspace.record.writing(office.workspace.person) as transaction:
        reused = {**step, "id": "r" * 32, "run": again.run, "reused": step["id"]}
        transaction.insert(tables.step, **reused)
    assert office.states()["data.findings", "dataset/tickets@2"] == "stop"


def test_a_hosted_model_is_clear_only_while_a_young_probe_says_that_it_is_the_same(office: Office) -> None:
    office.write(
        "services/gpt",
        {"provider": "P", "product": "GPT", "kind": "model", "model": "gpt-9", "date": "2026-10-01", "price": "1"},
    )
    report = office.call("release.register", service="gpt")
    assert (report.version, "terms" in report.missing) == ("model/gpt@1", True)
    gate = {"name": "good", "job": "models", "concerns": "model", "metric": "accuracy", "min": 0.5}
    office.system(binds=["model/gpt"], gates=[gate])
    model = office.version("model/gpt")
    office.measured("accuracy", 0.9, model)
    assert office.states()["good", "model/gpt@1"] == "caution"
    office.measured("probe_passed", 1, model)
    assert office.states()["good", "model/gpt@1"] == "clear"
    assert {s.gate.name: s.state for s in office.now(days=8).signals}["good"] == "caution"
    office.measured("probe_passed", 0, model)
    assert office.states()["good", "model/gpt@1"] == "caution"


def test_a_price_makes_no_other_version_of_a_service_and_another_plan_does(office: Office) -> None:
    service = {"provider": "Contoso", "product": "Copilot", "kind": "service", "version": "E3", "price": "30", "region": "EU"}
    office.write("services/copilot", service)
    office.system(binds=["service/copilot"])
    assert office.call("release.register", service="copilot").message == "made service/copilot@1"
    assert office.states() == {("services.facts", "service/copilot@1"): "stop"}
    office.write("services/copilot", {**service, "retention": " ", "terms": "DPA 2026", "processor_agreement": "\t"})
    assert office.call("release.register", service="copilot").missing == ["processor agreement", "retention"]
    assert office.states() == {("services.facts", "service/copilot@1"): "stop"}
    known = {"retention": "30 days", "terms": "DPA 2026", "processor_agreement": "signed 2026-01-02"}
    office.write("services/copilot", {**service, "price": "40", **known})
    report = office.call("release.register", service="copilot")
    assert (report.version, report.missing) == ("service/copilot@1", [])
    assert office.states() == {("services.facts", "service/copilot@1"): "clear"}
    assert office.version("service/copilot").facts["price"] == "40"
    office.write("services/copilot", {**service, "version": "E5"})
    assert office.call("release.register", service="copilot").version == "service/copilot@2"
    office.write("services/copilot", {**service, "provider": "C", "hosted": "perhaps"})
    with pytest.raises(UserError, match=r"services/copilot.yaml, line 7: 'hosted' is 'perhaps', expected true or false"):
        office.call("release.register", service="copilot")


def test_only_the_instrument_that_a_gate_names_counts(office: Office) -> None:
    gate = {"name": "good", "job": "security", "concerns": "tool", "metric": "acc", "min": 0.5, "with": "suite/support"}
    office.system(binds=["tool/search"], gates=[gate])
    tool = office.made("tool", "search", n=1)
    assert office.states() == {("good", "tool/search@1"): "dark"}
    easy = office.made("suite", "support", n=1)
    office.measured("acc", 0.9, tool, instruments=(easy,))
    assert office.states() == {("good", "tool/search@1"): "clear"}
    office.made("suite", "support", n=2)
    (signal,) = office.now().signals
    assert words.reason(signal) == "measured with suite/support@1, but required is a measurement with suite/support@2"


def test_junit_says_what_passes_fails_and_was_left_out(office: Office) -> None:
    office.system(binds=["dataset/tickets"], overrides={"data.tests": {"required": False, "reason": "a ‹toy› \x07"}})
    office.made("dataset", "tickets", n=1)
    office.write("systems/broken", "purpose: [")
    file = office.root / "signals.xml"
    assert office.cli("signals", "--junit", str(file)) == 1
    root = ElementTree.parse(file).getroot()
    desk = next(suite for suite in root if suite.get("name") == "desk")
    said = {case.get("name"): [(part.tag, part.get("type")) for part in case] for case in desk}
    assert said["data.facts dataset/tickets@1"] == [("failure", "stop")]
    assert said["data.personal dataset/tickets@1"] == [("failure", "dark")]
    assert said["data.kept dataset/tickets@1"] == [("skipped", None)]  # of severity warn
    assert said["data.tests"] == [("skipped", None)]
    assert said["data.erased dataset/tickets@1"] == []
    assert (root.get("errors"), desk.get("failures")) == ("1", "2")
    with pytest.raises(UserError, match="is no folder"):
        office.call("signals", junit=office.root / "nowhere" / "x.xml")
    with pytest.raises(UserError, match="is a folder; give the name of a file"):
        office.call("signals", junit=office.root)


def test_with_no_system_nothing_is_said_to_be_free(office: Office) -> None:
    (office.root / "systems" / "desk.yaml").unlink()
    assert office.cli("signals") == 1
    assert office.call("signals").sentence.startswith("there is no AI system yet")


def test_the_number_of_queries_does_not_grow_with_the_assets(office: Office) -> None:
    def queries() -> int:
        seen: list[str] = []
        engine = office.workspace.record.database.engine
        event.listen(engine, "before_cursor_execute", note := lambda *given: seen.append(given[2]))
        assert office.now().bound[0].version
        event.remove(engine, "before_cursor_execute", note)
        return sum(statement.lstrip().startswith("SELECT") for statement in seen)

    counts = []
    for number in (1, 12):
        names = [f"d{n}" for n in range(number)]
        for name in names:
            version = office.made("dataset", name, office.made("source", name, n=1), n=1)
            office.measured("data_tests_failed", 0, version)
        office.system(binds=[f"dataset/{name}" for name in names])
        counts.append(queries())
    assert counts[0] == counts[1] < 25
