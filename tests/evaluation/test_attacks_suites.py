"""What a stranger sends, a model says or a file of data holds: it reads nothing it should not, and ends in bounded time."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.errors import UserError
from stellwerk.evaluation.app import AppSpec
from stellwerk.evaluation.apptarget import AppTarget
from stellwerk.evaluation.case import Answer, Case, Check, ToolCall
from stellwerk.evaluation.exchange import csv_cases, inspect_log
from stellwerk.evaluation.judges import labelled
from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.scorers.registry import scoring
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.run import Interrupted
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

SECRET = "TOP-SECRET-4711"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace.init(tmp_path / "w")
    for folder in ("suites", "apps", "judges", "secrets"):
        (found.root / folder).mkdir()
    (found.root / "secrets/key").write_text(SECRET)
    (found.state / "seen").write_text(SECRET)
    (found.root / ".env").write_text(SECRET)
    (tmp_path / "outside.yaml").write_text(f"- vars: {{a: {SECRET}}}\n  assert: [{{type: contains, value: x}}]\n")
    return found


def call(workspace: Workspace, operation: str, **values: Any) -> Any:
    return execution.call(workspace, find(operation), values)


def taken(workspace: Workspace, file: Path, format: str) -> str:
    """What is to be seen of an import: its cases, or the sentence that refuses it."""
    try:
        call(workspace, "evaluation.import", file=file, name="sent", format=format)
        return str(call(workspace, "evaluation.cases", suite="sent").model_dump_json())
    except UserError as error:
        assert "\n" not in str(error)
        return str(error)


def sent(tmp_path: Path, name: str, content: str | bytes) -> Path:
    folder = tmp_path / "sent"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def log(tmp_path: Path, sample: Any) -> Path:
    path = sent(tmp_path, "log.eval", b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("header.json", "{}")
        made.writestr("samples/1.json", sample if isinstance(sample, str | bytes) else json.dumps(sample))
    return path


PLACES = ("secrets/key", ".stellwerk/seen", ".env", "../.stellwerk/seen", "../../w/.env", "../outside.yaml", "/etc/passwd")


@pytest.mark.parametrize("place", PLACES)
def test_data_that_is_imported_reads_no_file(workspace: Workspace, tmp_path: Path, place: str) -> None:
    name = f"file://{place}"
    promptfoo: dict[str, Any] = {"vars": {"a": name}, "assert": [{"type": "contains", "value": name}]}
    hidden = {"vars": {"a": name}, "assert": [{"type": "contains", "value": "{{a}}"}]}
    for file, format in (
        (sent(tmp_path, "a.csv", f'q,__expected\nhi,"contains: {name}"\n'), "csv"),
        (sent(tmp_path, "a.csv", f'a,__expected\n{name},"contains: {{{{a}}}}"\n'), "csv"),
        (sent(tmp_path, "a.json", json.dumps([{"input": name, "expectedOutput": name}])), "langfuse"),
        (log(tmp_path, {"id": 1, "input": name, "target": [name, "b"]}), "inspect"),
        (sent(tmp_path, "a.yaml", yaml.safe_dump({"tests": [promptfoo]})), "promptfoo"),
        (sent(tmp_path, "a.yaml", yaml.safe_dump({"tests": [hidden]})), "promptfoo"),
        (sent(tmp_path, "a.yaml", yaml.safe_dump({"tests": name})), "promptfoo"),
        (sent(tmp_path, "a.yaml", yaml.safe_dump({"tests": place})), "promptfoo"),
        (sent(tmp_path, "a.yaml", yaml.safe_dump({"defaultTest": name, "tests": [{"vars": {"a": "b"}}]})), "promptfoo"),
    ):
        found = taken(workspace, file, format)
        assert SECRET not in found and "root:" not in found
        (workspace.root / "suites/sent.yaml").unlink(missing_ok=True)


def test_a_pattern_of_names_tells_nothing_of_what_lies_elsewhere(workspace: Workspace, tmp_path: Path) -> None:
    for pattern in ("../*.yaml", "/etc/*.json", "file://../../**/*.yaml"):
        said = taken(workspace, sent(tmp_path, "a.yaml", yaml.safe_dump({"tests": pattern})), "promptfoo")
        assert "outside its folder" in said and "outside.yaml" not in said and "passwd" not in said


def test_what_a_suite_reads_is_not_hidden(workspace: Workspace) -> None:
    for place in (".stellwerk/seen", "../.stellwerk/seen", ".env"):
        text = yaml.safe_dump({"tests": [{"vars": {"a": f"file://{place}"}, "assert": [{"type": "contains", "value": "x"}]}]})
        (workspace.root / "suites/s.yaml").write_text(text)
        with pytest.raises(UserError, match="hidden"):
            call(workspace, "evaluation.cases", suite="s")
        with pytest.raises(UserError, match="no such file"):
            list(labelled.rows_of(workspace, place.removeprefix("../")))
    (workspace.root / "suites/link.txt").symlink_to(workspace.state / "seen")
    text = "tests: [{vars: {a: 'file://link.txt'}, assert: [{type: contains, value: x}]}]"
    (workspace.root / "suites/s.yaml").write_text(text)
    with pytest.raises(UserError, match="hidden"):
        call(workspace, "evaluation.cases", suite="s")


def test_an_import_takes_no_folder_of_something_else(workspace: Workspace, tmp_path: Path) -> None:
    precious = workspace.root / "suites/sent/hand.csv"
    precious.parent.mkdir()
    precious.write_text("by hand")
    assert "something else" in taken(workspace, sent(tmp_path, "a.csv", "q,expected\nhi,x\n"), "csv")
    assert precious.read_text() == "by hand"


@pytest.mark.parametrize("operation", ["evaluation.import", "prompts.import", "prompts.save"])
def test_who_may_only_run_replaces_no_file(operation: str) -> None:
    assert find(operation).scope == "admin", "a suite or a prompt that is replaced is what gates are measured with"


SAMPLES: list[Any] = [
    b"\xff\xfe{}", b"[" * 200_000, {"id": 1, "input": None}, {"id": 1, "input": "a", "metadata": [1]}, {"input": "a"},
    {"id": 1, "input": "a", "output": [1]}, {"id": 1, "input": "a", "output": {"choices": [1]}}, [], "nothing",
]  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_broken_log_is_one_sentence(workspace: Workspace, tmp_path: Path, sample: Any) -> None:
    assert "log" in taken(workspace, log(tmp_path, sample), "inspect")


def test_a_log_that_is_locked_oddly_packed_or_a_bomb_is_one_sentence(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = log(tmp_path, {"id": 1, "input": "a" * 5000}).read_bytes()
    entry = whole.rfind(b"PK\x01\x02")
    for at, change in ((10, struct.pack("<H", 99)), (8, b"\x01\x00"), (24, struct.pack("<I", 2**31))):
        changed = bytearray(whole)
        changed[entry + at : entry + at + len(change)] = change
        assert "MiB" in (said := taken(workspace, sent(tmp_path, "b.eval", bytes(changed)), "inspect")) or "broken" in said
    data = bytearray(whole)
    data[60:75] = b"\xff" * 15
    assert "broken" in taken(workspace, sent(tmp_path, "c.eval", bytes(data)), "inspect")
    monkeypatch.setattr(inspect_log, "MOST_BYTES", 4000)
    assert "MiB" in taken(workspace, sent(tmp_path, "d.eval", whole), "inspect")


def test_packed_cases_are_bounded_before_they_are_read(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_cases, "MAXIMUM", 1 << 20)
    assert "MiB" in taken(workspace, sent(tmp_path, "a.csv.gz", gzip.compress(b"a" * (8 << 20))), "csv")
    for content in (b"none", gzip.compress(b"q,expected\na,b\n")[:-5]):
        assert "gzip" in taken(workspace, sent(tmp_path, "a.csv.gz", content), "csv")


@pytest.mark.parametrize(
    "text",
    [
        "tests: 5", "tests: [{vars: 5}]", "tests: [{vars: {a: 1}, assert: 5}]", "tests: [{vars: {a: 1}, options: 5}]",
        "scenarios: 5", "scenarios: [{config: [{vars: 5}], tests: [{vars: 7}]}]", 'tests: [{vars: {a: "file://\\0.txt"}}]',
        "assertionTemplates: 5\ntests: [{vars: {a: b}, assert: [{$ref: '#/x'}]}]",
    ],
)  # fmt: skip
def test_a_configuration_of_odd_parts_is_one_sentence(workspace: Workspace, tmp_path: Path, text: str) -> None:
    assert "is not as promptfoo writes it" in taken(workspace, sent(tmp_path, "a.yaml", text), "promptfoo")


@pytest.mark.parametrize(
    ("format", "name", "content"),
    [
        ("langfuse", "a.json", '{"name": "a", "prompt": "hi", "config": {"temperature": "hot"}}'),
        ("mlflow", "a.json", '{"template": "hi", "model_config": 5}'),
        ("dotprompt", "a.prompt", "{{#if a}}" * 3000),
        ("dotprompt", "a.prompt", "---\nconfig: 5\n---\nhi"),
        ("prompty", "a.prompty", "---\nmodel: 5\n---\nuser:\nhi"),
        ("promptfoo", "a.json", '{"prompts": ["file://\\u0000"]}'),
    ],
)
def test_a_foreign_prompt_of_odd_parts_is_one_sentence(
    workspace: Workspace, tmp_path: Path, format: str, name: str, content: str
) -> None:
    with pytest.raises(UserError, match="is not as") as caught:
        call(workspace, "prompts.import", file=sent(tmp_path, name, content), format=format, name="x")
    assert "\n" not in str(caught.value) and "hot" not in str(caught.value)


def test_aliases_that_repeat_long_texts_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    text = "tests:\n- vars: {a: &x '" + "z" * 1_000_000 + "'}\n" + "- vars: {a: *x}\n" * 300
    began = time.monotonic()
    assert "MiB" in taken(workspace, sent(tmp_path, "a.yaml", text), "promptfoo")
    assert time.monotonic() - began < 20


def test_a_value_in_the_column_of_the_split_is_not_told(workspace: Workspace) -> None:
    (workspace.root / "suites/s.csv").write_text("q,who\nhi,Anna Schmidt\n")
    (workspace.root / "suites/s.yaml").write_text("file: suites/s.csv\ncolumns: {inputs: [q], split: who}\n")
    with pytest.raises(UserError, match="'who' holds something else"):
        call(workspace, "evaluation.register", suite="s")
    assert "Schmidt" not in str([row["error"] for row in workspace.record.rows(tables.run)])


def test_what_was_erased_is_asked_no_more(workspace: Workspace) -> None:
    pytest.importorskip("deltalake")
    for folder in ("datasets", "models", "prompts", "raw"):
        (workspace.root / folder).mkdir()
    lines = [f"{i},Frage Nummer {i} von {'Anna Geheimnis' if i == 3 else 'jemand'} mit mehr Text,ok\n" for i in range(20)]
    (workspace.root / "raw/t.csv").write_text("id,q,a\n" + "".join(lines))
    (workspace.root / "datasets/t.yaml").write_text("sources: [{name: main, files: raw/t.csv, key: id, text: q}]")
    (workspace.root / "models/m.yaml").write_text("simulated: {plan: echo}")
    (workspace.root / "prompts/p.prompty").write_text("user:\n{{text}}\n")
    (workspace.root / "suites/s.yaml").write_text("dataset: t\ncolumns: {inputs: [text], expected: a}\nduplicates: keep\n")
    call(workspace, "data.build", dataset="t")
    first = call(workspace, "prompts.test", prompt="p", suite="s", model="m")
    erased = call(workspace, "data.erase", dataset="t", where="text like '%Geheimnis%'", reason="asked for")
    assert first.suite in erased.tainted
    with pytest.raises(UserError, match="erased since"):
        call(workspace, "prompts.test", prompt="p", suite=first.suite, model="m")
    again = call(workspace, "prompts.test", prompt="p", suite="s", model="m")
    assert again.suite != first.suite and again.cases == first.cases - 1


def verdicts(type: str, value: Any, text: str, calls: tuple[ToolCall, ...] = (), **more: Any) -> list[tuple[bool | None, str]]:
    check = Check(type, value, **more)
    assert registry.problem(check) is None
    scores = scoring([check]).score(Case("a", {"q": "x"}, (check,)), Answer(text, tool_calls=calls))
    assert isinstance(scores, tuple)
    return [(score.passed, score.reason) for score in scores]


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1:9/x", "file:///etc/passwd", "#/nope", "#nope", "other.json"],
)
@pytest.mark.parametrize("word", ["$ref", "$dynamicRef"])
def test_a_schema_refers_to_nothing_outside_of_it(word: str, reference: str) -> None:
    for schema in ({word: reference}, {"properties": {"a": {"items": [{word: reference}]}}}):
        assert "$ref to elsewhere" in str(registry.problem(Check("is-json", schema)))
        assert "$ref to elsewhere" in str(registry.problem(Check("is-json", json.dumps(schema))))


def test_references_within_a_schema_are_followed() -> None:
    inner = {"a/b": {"$anchor": "here", "type": "integer"}}
    schema = {"$defs": inner, "items": {"$ref": "#/$defs/a~1b"}, "contains": {"$ref": "#here"}}
    assert verdicts("is-json", schema, "[1, 2]") == [(True, "fits")]
    assert verdicts("is-json", schema, '[1, "x"]') == [(False, "misfit")]


def test_a_schema_that_takes_for_ever_leaves_the_answer_open() -> None:
    branching: dict[str, Any] = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    branching["a40"] = {"type": "object"}
    call_ = ToolCall("1", "f", json.dumps({"a": "a" * 40 + "!"}))
    tool = {"function": {"name": "f", "parameters": {"properties": {"a": {"pattern": "^(a+)+$"}}}}}
    began = time.monotonic()
    assert verdicts("is-json", {"$defs": branching, "$ref": "#/$defs/a0"}, "{}") == [(None, "schema_too_slow")]
    assert verdicts("is-valid-openai-tools-call", [tool], "", (call_,)) == [(None, "schema_too_slow")]
    assert verdicts("is-json", {"pattern": "^a+$"}, '"aaa"') == [(True, "fits")]
    assert time.monotonic() - began < 30


def test_a_text_of_a_schema_that_unfolds_without_end_is_refused() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    assert "aliases" in str(registry.problem(Check("is-json", bomb)))


@pytest.mark.parametrize("text", ["a" * 100_000 + ".b", "." * 100_000 + "a", "\n \n" * 30_000, "„" * 60_000, "1" * 400])
def test_an_answer_cannot_hold_a_check_up(text: str) -> None:
    began = time.monotonic()
    verdicts("count", 1, text, config={"of": "sentences"})
    verdicts("anrede", None, text)
    verdicts("number", 5, text)
    verdicts("unsupported-numbers", None, text)
    assert time.monotonic() - began < 5


def test_half_a_pair_of_surrogates_is_a_sign_like_others() -> None:
    said = "\ud800 a ganz gewöhnlicher Satz"
    asked = (("regex", "a"), ("contains", "x"), ("contains", "Satz"), ("levenshtein", "abc"))
    assert [verdicts(type, value, said)[0][0] for type, value in asked] == [True, False, True, False]
    assert all(len(verdicts(type, value, said)) == 1 for type, value in (("regex", "\ud800"), ("anrede", "du")))


class Desk:
    """A real application that answers as it is told."""

    def __init__(self) -> None:
        self.content, self.kind, self.wait = b"ok", "text/plain", 0.0
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                time.sleep(desk.wait)
                content = desk.content.replace(b"HEADER", (self.headers["authorization"] or "").encode())
                self.send_response(200)
                self.send_header("content-type", desk.kind)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_an_application_that_repeats_its_key_does_not_bring_it_into_what_is_kept(
    workspace: Workspace, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_KEY", "Bearer sk-geheim-4711-0815")
    desk.content = b"you sent HEADER"
    (workspace.root / "apps/desk.yaml").write_text(
        f"url: {desk.url}\nheaders: {{authorization: 'env:DESK_KEY'}}\nbody: {{q: '{{{{q}}}}'}}\n"
    )
    (workspace.root / "suites/s.yaml").write_text("tests: [{vars: {q: x}, assert: [{type: contains, value: 'x'}]}]")
    call(workspace, "evaluation.test", app="desk", suite="s")
    (sample,) = call(workspace, "evaluation.samples", of="latest").samples
    assert sample.answer == "you sent Bearer [key]"


def test_a_key_goes_over_no_network_in_the_open(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "geheim")
    (workspace.root / "apps/desk.yaml").write_text(
        "url: http://desk.example/\nheaders: {x-token: 'env:DESK_KEY'}\nbody: {q: '{{q}}'}\n"
    )
    (workspace.root / "suites/s.yaml").write_text("tests: [{vars: {q: x}, assert: [{type: contains, value: 'x'}]}]")
    with pytest.raises(UserError, match=r"apps/desk.yaml: .*in the open"):
        call(workspace, "evaluation.test", app="desk", suite="s")


@pytest.mark.parametrize("charset", ["idna", "punycode", "rot13", "undefined", "zip", "nope"])
def test_an_encoding_that_is_none_is_taken_for_utf_8(desk: Desk, charset: str) -> None:
    desk.content, desk.kind = "Grüße".encode(), f"text/plain; charset={charset}"

    async def once() -> Answer:
        async with AppTarget("desk", AppSpec(url=desk.url, body={}, attempts=1), desk.url, {}) as target:
            return await target.answer(Case("c", {}))

    assert asyncio.run(once()).failure is None


def test_a_run_that_is_stopped_does_not_wait_for_a_slow_application(workspace: Workspace, desk: Desk) -> None:
    from stellwerk.evaluation import engine

    desk.wait = 20.0
    check, began = Check("contains", "x"), time.monotonic()
    spec = AppSpec(url=desk.url, body={}, attempts=1, timeout=3600)

    def stopped() -> None:
        if time.monotonic() - began > 0.5:
            raise Interrupted("stopped")

    async def ask() -> None:
        async with AppTarget("desk", spec, desk.url, {}) as target:
            async for _ in engine.judged([Case("c", {}, (check,))], target, scoring([check]), check=stopped):
                pass

    with pytest.raises(Interrupted):
        asyncio.run(ask())
    assert time.monotonic() - began < 5


def test_a_place_that_cannot_be_written_is_one_sentence(workspace: Workspace) -> None:
    (workspace.root / "prompts").mkdir()
    (workspace.root / "prompts/p.prompty").write_text("user:\n{{q}}\n")
    for place in ("/proc/nope/x.json", "/dev/full/x.json"):
        with pytest.raises(UserError, match="cannot be written") as caught:
            call(workspace, "prompts.export", prompt="p", file=Path(place), format="langfuse")
        assert "\n" not in str(caught.value)
