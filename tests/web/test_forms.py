"""The form of every operation: all its parameters, the same answer as Python's, faults beside the field, and spec files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape, unescape
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sites import TICKETS, Visitor, served, visible, write_dataset

from stellwerk.doors.answering import as_json
from stellwerk.doors.refusal import Refused
from stellwerk.doors.web import fields, forms, results, specfiles
from stellwerk.errors import StellwerkError
from stellwerk.operation import LocalPath, Operation, Sensitive, load_all
from stellwerk.record import tables
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

OPERATIONS = {entry.path: entry for entry in load_all()}
ASKED = sorted(path for path, entry in OPERATIONS.items() if entry.kind == "query" and forms.by_link(entry) and not entry.local)
RUNS = sorted(path for path, entry in OPERATIONS.items() if entry.kind == "run" and not entry.local)
HOSTILE = "\"><script>alert(1)</script>'"
VOLATILE = {"seconds", "seen"}


@pytest.fixture(scope="module")
def desk(company: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A visitor of a copy of the company whose queue nobody works on."""
    workspace = Workspace.init(tmp_path_factory.mktemp("forms") / "company")
    write_dataset(workspace, "tickets", TICKETS)
    execution.call(workspace, OPERATIONS["data.build"], {"dataset": "tickets"})
    with served(workspace) as address, Visitor(address) as visitor:
        visitor.workspace = workspace
        yield visitor


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("path", sorted(OPERATIONS))
def test_every_operation_has_a_form_with_all_its_parameters(visitor: Visitor, path: str, language: str) -> None:
    entry = OPERATIONS[path]
    text = visitor.read(f"/operations/{path}", language)
    if entry.local:
        assert "<form" not in text.partition("<main")[2]
        assert f"stellwerk {path.replace('.', ' ')}" in visible(text)
        return
    named = set(re.findall(r'id="field-(\w+)"', text))
    writes = {n for n, p in entry.parameters.items() if isinstance(p.marker, LocalPath) and p.marker.writes}
    assert named == set(entry.parameters) - writes
    for name, parameter in entry.parameters.items():
        control = re.search(rf'<\w+ [^>]*id="field-{name}"[^>]*>', text)
        if isinstance(parameter.marker, Sensitive):
            assert control and 'type="password"' in control[0] and 'autocomplete="off"' in control[0]
        elif isinstance(parameter.marker, LocalPath) and name in named:
            assert control and 'type="file"' in control[0]
    assert len(set(re.findall(r'\bid="([^"]+)"', text))) == len(re.findall(r'\bid="([^"]+)"', text))


def test_no_parameter_has_a_name_that_the_pages_use_themselves() -> None:
    assert not {name for entry in OPERATIONS.values() for name in entry.parameters} & forms.OURS


@pytest.mark.parametrize("path", ASKED)
def test_the_example_of_a_query_gives_what_python_gives(visitor: Visitor, company: Workspace, path: str) -> None:
    entry = OPERATIONS[path]
    asked = {"do": "1", **{name: value for name, value in fields.texts(entry.example).items() if value != "false"}}
    page = visitor.get(f"/operations/{path}", params=asked)
    try:
        acting = company.acting(None, False)
        expected = json.loads(as_json(execution.call(acting, entry, entry.example)))
    except StellwerkError as error:
        assert page.status_code == 422
        assert all(line in unescape(page.text) for line in str(error).splitlines())
        return
    assert page.status_code == 200, visible(page.text)
    shown = visible(page.text)
    for part in results.parts(expected):
        for name, value in part.facts:
            if part.key.partition(".")[0] not in ("next", "downloads") and isinstance(value, str) and name not in VOLATILE:
                assert " ".join(value.split()) in shown, (name, value)
        if part.kind == "table":
            rows = visitor.get(f"/operations/{path}", params={**asked, "part": part.key, "as": "csv"})
            lines = rows.text.removeprefix("\ufeff").splitlines()
            assert lines[0].split(",") == part.columns
            assert len(lines) >= len(part.rows) + 1
            assert visitor.get(f"/operations/{path}", params={**asked, "part": part.key, "as": "xlsx"}).content[:2] == b"PK"


@pytest.mark.parametrize("path", RUNS)
def test_the_example_of_a_run_is_queued_with_its_parameters_or_refused_with_the_sentence(desk: Visitor, path: str) -> None:
    entry, workspace = OPERATIONS[path], desk.workspace
    if any(isinstance(parameter.marker, Sensitive) for parameter in entry.parameters.values()):
        pytest.skip("it is not queued, since its values wait nowhere; see the test of secrets")
    given_ = {name: value for name, value in entry.example.items() if not isinstance(entry.parameters[name].marker, LocalPath)}
    sent = {name: value for name, value in fields.texts(given_).items() if value != "false"}
    answer = desk.submit(f"/operations/{path}", on=f"/operations/{path}", **sent)
    try:
        acting = workspace.acting(None, False)
        execution.prepare(acting, entry, execution.received(acting, entry, given_))
    except StellwerkError as error:
        assert answer.status_code == 422
        assert all(line in unescape(answer.text) for line in str(error).splitlines())
        return
    assert re.fullmatch(r"/runs/[0-9a-f]{32}", answer.url.path), visible(answer.text)
    (row,) = workspace.record.rows(tables.run, tables.run.c.id == answer.url.path.rpartition("/")[2])
    assert (row["operation"], row["state"]) == (path, "queued")
    assert {name: row["parameters"][name] for name in given_} == given_


def test_faults_stand_beside_their_fields_and_what_was_typed_stays(visitor: Visitor) -> None:
    text = visitor.get("/operations/runs.list", params={"do": 1, "limit": "many", "person": HOSTILE}).text
    field = text.partition('id="field-limit"')[2].partition('class="field')[0]
    assert "A number is expected, without decimals." in field
    assert 'value="many"' in field
    assert escape(HOSTILE) in text.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
    german = visitor.get("/operations/runs.list", params={"do": 1, "limit": 0}, headers={"accept-language": "de"})
    assert german.status_code == 422
    assert "Erwartet wird mindestens 1." in visible(german.text)
    missing = visitor.get("/operations/show", params={"do": 1})
    assert "This is needed." in visible(missing.text)


def test_an_address_fills_the_form_and_whatever_it_holds_is_text(visitor: Visitor) -> None:
    text = visitor.get("/operations/data.query", params={"dataset": HOSTILE, "sql": f"SELECT '{HOSTILE}' " + "x" * 80}).text
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4  # both fields, command and REST call
    assert "<script>alert" not in visitor.get("/operations/show", params={"do": 1, "reference": HOSTILE}).text


def test_form_and_yaml_say_the_same_both_ways(desk: Visitor) -> None:
    where = "/operations/data.export"
    as_yaml = desk.submit(where, on=where, dataset="tickets", format="chat", compress="true", user="text", switch="1").text
    area = unescape(as_yaml.partition('name="yaml"')[2].partition(">")[2].partition("</textarea>")[0])
    assert "dataset: tickets" in area
    assert "compress: true" in area
    assert "# system:" in area
    again = desk.submit(where, on=where, yaml=area, switch="1").text
    assert re.search(r'<option value="chat" selected>', again)
    assert re.search(r'id="field-compress"[^>]* checked', again)
    assert not re.search(r'id="field-tainted"[^>]* checked', again)
    wrong = desk.submit(where, on=where, yaml="dataset: tickets\ndataset: letters\n")
    assert wrong.status_code == 422
    assert "line 2" in visible(wrong.text)
    unknown = desk.submit(where, on=where, yaml="dataset: tickets\nfolder: /etc\ncolour: red\n")
    assert unknown.status_code == 422
    assert "colour: There is no such parameter." in visible(unknown.text)


@settings(max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(
    dataset=st.text(min_size=1, max_size=20).filter(str.strip),
    compress=st.booleans(),
    user=st.sampled_from(["text", "no", "1", "~"]),
)
def test_yaml_of_any_values_reads_back_as_these_values(dataset: str, compress: bool, user: str) -> None:
    from stellwerk.specfile import parse

    entry = OPERATIONS["data.export"]
    given_ = {"dataset": dataset, "compress": compress, "user": user}
    found = (
        fields.Field("dataset", "", "text", True),
        fields.Field("compress", "", "check", False),
        fields.Field("user", "", "text", False),
    )
    assert parse(fields.as_yaml(entry, list(found), given_), "yaml").value == given_


def test_secrets_are_never_shown_again_and_stand_in_no_address(desk: Visitor) -> None:
    where, secret = "/operations/data.erase", "customer = 'K-4711'"
    text = desk.get(where, params={"dataset": "tickets", "where": secret}).text
    assert "K-4711" not in text.partition("<main")[2]
    wrong = desk.submit(where, on=where, dataset="nothing", where=secret)
    assert wrong.status_code == 422
    assert "nothing" in visible(wrong.text)
    assert "K-4711" not in wrong.text
    switched = desk.submit(where, on=where, dataset="tickets", where=secret, switch="1")
    assert "K-4711" not in switched.text
    assert "where" not in unescape(switched.text.partition('name="yaml"')[2].partition("</textarea>")[0])


def test_a_file_is_sent_with_the_form(desk: Visitor) -> None:
    where = "/operations/data.try"
    token = re.search(r'name="csrf" value="([^"]*)"', desk.read(where))
    assert token
    files = {
        "csrf": (None, token[1]),
        "file": (
            "letters.csv",
            b"id;text\n" + b"".join(b"%d;The pump in hall %d stands still\n" % (n, n) for n in range(40_000)),
        ),
    }
    answer = desk.post(where, files=files)
    assert answer.status_code == 200, visible(answer.text)
    assert re.search(r"Rows 40,000\b", visible(answer.text))
    assert "letters.csv" in visible(answer.text)


def test_a_path_on_the_server_is_not_taken(desk: Visitor) -> None:
    answer = desk.submit("/operations/data.try", on="/operations/data.try", file="/etc/passwd")
    assert answer.status_code == 422
    assert "root:" not in answer.text


def test_the_plan_and_the_spec_file_follow_what_is_chosen(visitor: Visitor) -> None:
    assert re.search(r"Time [\d.]+ s", visible(visitor.read("/operations/data.build/plan?dataset=tickets")))
    assert "noch nie gelaufen" in visible(visitor.read("/operations/data.erase/plan", "de"))
    part = visitor.read("/operations/data.build/file?dataset=tickets")
    assert 'id="line-1"' in part
    assert "There is no datasets/letters.yaml" in visible(visitor.read("/operations/data.build/file?dataset=letters"))


def test_command_and_rest_call_say_what_the_form_says(visitor: Visitor) -> None:
    text = visible(visitor.get("/operations/data.query", params={"dataset": "tickets", "sql": "SELECT 'a b'"}).text)
    assert """stellwerk data query tickets 'SELECT '"'"'a b'"'"''""" in text
    assert "/api/data/query -H 'Content-Type: application/json'" in text
    entry: Operation = OPERATIONS["data.export"]
    assert forms.command(entry, {"dataset": "t", "compress": True, "format": "chat"}) == (
        "stellwerk data export t FOLDER --format chat --compress"
    )
    assert forms.command(OPERATIONS["data.erase"], {"dataset": "t"}) == "stellwerk data erase t WHERE"


def test_what_is_no_operation_has_no_page(visitor: Visitor) -> None:
    for path in ("nothing", "data.nothing", "data.build/nothing"):
        assert visitor.get(f"/operations/{path}").status_code == 404


# spec files


def spec_form(visitor: Visitor, folder: str, name: str) -> dict[str, str]:
    text = visitor.read(f"/specs/{folder}/{name}?edit=1")
    digest = re.search(r'name="digest" value="([^"]*)"', text)
    assert digest
    return {
        "digest": digest[1],
        "content": unescape(text.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]),
    }


def test_a_spec_file_is_changed_if_it_is_right_and_nobody_else_changed_it(desk: Visitor) -> None:
    where, file = "/specs/datasets/tickets", desk.workspace.root / "datasets" / "tickets.yaml"
    form = spec_form(desk, "datasets", "tickets")
    wrong = desk.submit(where, on=where + "?edit=1", digest=form["digest"], content=form["content"] + "colour: red\n")
    assert wrong.status_code == 422
    assert re.search(r"Line \d+ : there is no field 'colour'", visible(wrong.text))
    assert "colour: red" in unescape(wrong.text)
    assert file.read_text() == form["content"]

    changed = form["content"].replace("Hold tickets", "Hold <b>letters</b>").replace("\n", "\r\n")
    done = desk.submit(where, on=where + "?edit=1", digest=form["digest"], content=changed)
    assert done.status_code == 200
    assert file.read_text() == changed.replace("\r\n", "\n")
    assert "&lt;b&gt;letters" in done.text
    assert "<b>letters" not in done.text

    late = desk.submit(where, on=where + "?edit=1", digest=form["digest"], content=form["content"])
    assert late.status_code == 409
    assert "letters" in file.read_text()
    assert not list(file.parent.glob(".*"))


def test_a_new_spec_file_begins_with_what_it_needs(desk: Visitor) -> None:
    form = spec_form(desk, "systems", "desk")
    assert form["digest"] == ""
    assert form["content"].index("purpose:") < form["content"].index("# gates:")
    content = "purpose: Answer\nowner: o@example.com\nrole: deployer\nbinds: [dataset/tickets]\n"
    done = desk.submit("/specs/systems/desk", on="/specs/systems/desk?edit=1", digest="", content=content)
    assert done.status_code == 200
    assert (desk.workspace.root / "systems" / "desk.yaml").read_text() == content


@pytest.mark.parametrize(
    "place",
    ["etc/passwd", ".stellwerk/key", "datasets/..", "datasets/a%2fb", "datasets/.git", "raw/tickets", "datasets/%2e%2e"],
)
def test_no_other_file_is_reached(desk: Visitor, place: str) -> None:
    assert desk.get(f"/specs/{place}").status_code in (400, 404)
    assert desk.submit(f"/specs/{place}", digest="", content="a: 1\n").status_code in (400, 404)


def test_only_whoever_may_administer_writes_spec_files() -> None:
    def asking(*scopes: str) -> Any:
        return SimpleNamespace(state=SimpleNamespace(caller=SimpleNamespace(scopes=frozenset(scopes))))

    specfiles._may_write(asking("read", "admin"))
    with pytest.raises(Refused):
        specfiles._may_write(asking("read", "run", "approve"))


# results


def test_results_come_apart_into_facts_tables_lists_and_texts() -> None:
    found = results.parts({
        "message": "done", "none": None, "empty": [], "yes": True, "long": "a\nb", "names": ["x", "y"],
        "lines": [{"a": 1, "b": {"c": [1, 2]}}, {"a": None, "d": "z"}], "counts": {"read": 3}, "deep": {"in": {"side": 1}},
    })  # fmt: skip
    assert [(part.kind, part.key) for part in found] == [
        ("facts", ""), ("text", "long"), ("list", "names"), ("table", "lines"), ("facts", "counts"), ("group", "deep"),
        ("facts", "deep.in"),
    ]  # fmt: skip
    assert found[0].facts == [("message", "done"), ("yes", True)]
    assert (found[3].columns, found[3].rows) == (["a", "b", "d"], [[1, "c: 1, 2", None], [None, None, "z"]])
    (grid,) = results.parts({"columns": ["a"], "types": ["INT"], "rows": [[1], [2]]})
    assert (grid.kind, grid.rows, grid.numeric) == ("table", [[1], [2]], [True])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=120, phases=[Phase.explicit, Phase.generate])
@given(JSON)
def test_any_json_is_shown_with_tables_that_are_rectangular(value: Any) -> None:
    for part in results.parts(value):
        assert all(len(row) == len(part.columns) for row in part.rows)
        assert len(part.numeric) == len(part.columns)
        assert "".join(text for row in part.rows for cell in row for text, _ in results.links(cell)) is not None


def test_what_names_a_version_leads_to_it() -> None:
    assert list(results.links("made dataset/tickets@12, see https://x.example/a@b")) == [
        ("made ", ""), ("dataset/tickets@12", "/assets/dataset/tickets/12"), (", see https://x.example/a@b", ""),
    ]  # fmt: skip
