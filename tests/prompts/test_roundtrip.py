"""What other tools wrote becomes our file and theirs again with the same messages and variables (measure 8)."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.evaluation import suites
from stellwerk.jobs.prompts.exchange import exporting, importing
from stellwerk.jobs.prompts.exchange.foreign import meaning
from stellwerk.llm.prompts import read, render
from stellwerk.llm.prompts.writing import literal, write
from stellwerk.operation import find
from stellwerk.runs.execution import call
from stellwerk.workspace import Workspace

ENDINGS = {"prompty": "p.prompty", "dotprompt": "p.prompt", "promptfoo": "p.json", "langfuse": "p.json", "mlflow": "p.json"}


def taken(text: str, format: str, file: str | None = None) -> Any:
    """The prompt of a foreign file, after it was written as a file of ours and read from it."""
    (found,) = importing.read(text, Path(file or ENDINGS[format]), format)
    return read(write(found.prompt), "p.prompty")


# dotprompt: text, values, and the messages as its specification says.
DOTPROMPT: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("Hallo {{name}}!", {"name": "Ü"}, [("user", "Hallo Ü!")]),
    (
        "---\nmodel: mistral/small\nconfig: {temperature: 0.3, topK: 20}\ninput:\n  schema:\n    name: string, who asks\n"
        '    tone?: string\n  default: {tone: knapp}\n---\n{{role "system"}}\nAntworte {{tone}}.\n\n{{role "user"}}\n'
        "{{name}} fragt.\n",
        {"name": "Eva"},
        [("system", "Antworte knapp."), ("user", "Eva fragt.")],
    ),
    ("{{#if a}}A{{else}}B{{/if}}", {"a": "x"}, [("user", "A")]),
    ("{{#if a}}A{{else}}B{{/if}}", {}, [("user", "B")]),
    ("{{#unless a}}nein{{/unless}}{{b}}", {"b": "."}, [("user", "nein.")]),
    ("{{#if a}}1{{else if b}}2{{else}}3{{/if}}", {"b": "x"}, [("user", "2")]),
    ("x\n{{#if a}}\ny\n{{/if}}\nz", {"a": 1}, [("user", "x\ny\nz")]),
    ("x\n{{#each l}}\n- {{this}}\n{{/each}}\nz", {"l": ["1", "2"]}, [("user", "x\n- 1\n- 2\nz")]),
    ("{{#each l}}{{@index}}:{{this}}{{#unless @last}}, {{/unless}}{{/each}}", {"l": ["a", "b"]}, [("user", "0:a, 1:b")]),
    ("{{#each l}}{{t}}/{{../x}} {{/each}}!", {"l": [{"t": "a"}], "x": "y"}, [("user", "a/y !")]),
    (
        "{{#each l}}{{#each this.m}}{{this}}{{../n}}{{../../x}}{{/each}}{{/each}}",
        {"l": [{"m": ["1", "2"], "n": "n"}], "x": "x"},
        [("user", "1nx2nx")],
    ),
    ("{{#each l as |e i|}}{{i}}{{e.a}}{{/each}}", {"l": [{"a": "q"}]}, [("user", "0q")]),
    ("{{#each l}}{{this}}{{else}}leer{{/each}}", {"l": []}, [("user", "leer")]),
    ("{{kunde.name}} {{kunde.[plz]}}", {"kunde": {"name": "K", "plz": "1"}}, [("user", "K 1")]),
    ("{{{roh}}} {{& roh}}", {"roh": "<b>"}, [("user", "<b> <b>")]),
    ("{{json d}}", {"d": {"a": [1, "ü"]}}, [("user", '{"a": [1, "ü"]}')]),
    ("a {{! weg }}b{{!-- }} auch --}}", {}, [("user", "a b")]),
    ("\\{{nicht}} {{x}}", {"x": "1"}, [("user", "{{nicht}} 1")]),
    ("a  {{~x~}}  b", {"x": "-"}, [("user", "a-b")]),
    ("100 % {% if %} {# #} {{x}}", {"x": "1"}, [("user", "100 % {% if %} {# #} 1")]),
    (
        '{{role "system"}}S{{role "model"}}M{{role "user"}}U {{x}}',
        {"x": "1"},
        [("system", "S"), ("assistant", "M"), ("user", "U 1")],
    ),
    (
        '{{role "system"}}S\n{{history}}\n{{role "user"}}{{x}}',
        {"x": "1", "history": [{"role": "user", "content": "h"}]},
        [("system", "S"), ("user", "h"), ("user", "1")],
    ),
    ("Zeile\nuser:\nsystem:\n{{x}}", {"x": "1"}, [("user", "Zeile\nuser:\nsystem:\n1")]),
    ("   eingerückt {{x}}   ", {"x": "1"}, [("user", "   eingerückt 1   ")]),
]


@pytest.mark.parametrize(("text", "values", "expected"), DOTPROMPT)
def test_dotprompt_there_and_back(text: str, values: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    ours = taken(text, "dotprompt")
    assert [(m.role, m.content) for m in render(ours, values)] == expected
    written, _ = exporting.write(ours, Path("p.prompt"), "dotprompt")
    again = taken(written, "dotprompt")
    assert meaning(again) == meaning(ours)
    assert {i.name for i in again.inputs} == {i.name for i in ours.inputs}
    assert [(m.role, m.content) for m in render(again, values)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{> teil}}",
        "{{media url=bild}}",
        "{{#with a}}{{b}}{{/with}}",
        '{{#ifEquals a "b"}}x{{/ifEquals}}',
        "{{@auth.uid}}",
        "{{#if a}}x",
        "{{#if a}}x{{/each}}",
        "---\noutput: {schema: Registriert}\n---\nx {{a}}",
        "{{helfer a b}}",
        "{{#each l}}{{@key}}{{/each}}",
    ],
)
def test_what_dotprompt_has_and_we_have_not_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"p\.prompt holds what our prompts do not: .+; write that part anew") as error:
        importing.read(text, Path("p.prompt"), "dotprompt")
    assert "\n" not in str(error.value)


def test_picoschema_becomes_json_schema() -> None:
    text = (
        "---\noutput:\n  schema:\n    titel: string, wie es heißt\n    noten?(array, je Fach): number\n"
        "    art(enum): [A, B]\n    wer(object):\n      name: string\n    (*): any\n---\n{{x}}\n"
    )
    prompt = taken(text, "dotprompt")
    assert prompt.outputs == {
        "type": "object",
        "properties": {
            "titel": {"type": "string", "description": "wie es heißt"},
            "noten": {"type": "array", "items": {"type": "number"}, "description": "je Fach"},
            "art": {"enum": ["A", "B"]},
            "wer": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "additionalProperties": False,
                "required": ["name"],
            },
        },
        "additionalProperties": {},
        "required": ["titel", "art", "wer"],
    }
    written, _ = exporting.write(prompt, Path("p.prompt"), "dotprompt")
    assert taken(written, "dotprompt").outputs == prompt.outputs


CHATS: list[list[dict[str, str]]] = [
    [{"role": "user", "content": "{{frage}}"}],
    [{"role": "system", "content": "Du bist {{rolle}}."}, {"role": "user", "content": "{{frage}}\n\n{{zusatz}}"}],
    [
        {"role": "system", "content": "Regeln:\n- eins\n- zwei"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "{{x}}"},
    ],
    [{"role": "user", "content": "Text\nuser:\nsystem:\nassistant: {{x}}"}],
    [{"role": "user", "content": "user:"}],
    [{"role": "user", "content": "\n\n  vorn und hinten {{x}} \n\n"}],
    [{"role": "user", "content": 'JSON: {"a": {"b": "{{x}}"}}'}],
    [{"role": "user", "content": "Klammern } und { und }} bleiben {{x}}"}],
    [{"role": "user", "content": "Umlaute äöüß, 😀, Ελλάδα, \u202eRTL\u202c, \u200bnull {{x}}"}],
    [{"role": "user", "content": "---\nkein: Kopf\n---\n{{x}}"}],
    [{"role": "user", "content": "\ttab\\n und \\ und \" und ' {{x}}"}],
    [{"role": "developer", "content": "d"}, {"role": "user", "content": "{{x}}"}],
]


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("format", ["promptfoo", "langfuse", "mlflow", "yaml"])
def test_chats_there_and_back(chat: list[dict[str, str]], format: str) -> None:
    inner = {"langfuse": {"name": "p", "type": "chat", "prompt": chat}, "mlflow": {"name": "p", "template": chat}}.get(
        format, chat
    )
    if format == "yaml":
        text, file, format = yaml.safe_dump(chat, allow_unicode=True), "p.yaml", "promptfoo"
    else:
        text, file = json.dumps(inner, ensure_ascii=False), "p.json"
    ours = taken(text, format, file)
    written, _ = exporting.write(ours, Path(file), format)
    back = yaml.safe_load(written) if file == "p.yaml" else json.loads(written)
    back = {"langfuse": lambda: back["prompt"], "mlflow": lambda: back["template"]}.get(format, lambda: back)()
    values = dict.fromkeys(("frage", "rolle", "zusatz", "x"), "WERT")
    if format != "promptfoo":  # its contents are templates, in which our way to write what is no tag says the same
        assert [{"role": turn["role"], "content": turn["content"]} for turn in back] == chat
    again = taken(written, format, file)
    assert [i.name for i in again.inputs] == [i.name for i in ours.inputs]
    assert render(again, values) == render(ours, values)
    expected = [(turn["role"], re.sub(r"\{\{\w+\}\}", "WERT", turn["content"])) for turn in chat]
    assert [(m.role, m.content) for m in render(ours, values)] == expected


def test_langfuse_takes_what_looks_like_a_tag_as_text() -> None:
    said = "Nimm {% if x %} und {# c #} und {{ kein name }} und {{a.b}} und {{ x }}."
    ours = taken(json.dumps({"name": "p", "prompt": said}), "langfuse")
    assert render(ours, {"x": "1"})[0].content == said.replace("{{ x }}", "1")
    written, _ = exporting.write(ours, Path("p.json"), "langfuse")
    assert json.loads(written)["prompt"][0]["content"] == said.replace("{{ x }}", "{{x}}")


def test_langfuse_placeholders_and_parameters_stay() -> None:
    one = {
        "name": "p",
        "type": "chat",
        "config": {"temperature": 0.2, "max_tokens": 9, "owner": "x"},
        "tags": ["t"],
        "labels": ["production"],
        "prompt": [
            {"type": "chatmessage", "role": "system", "content": "S"},
            {"type": "placeholder", "name": "verlauf"},
            {"role": "user", "content": "{{x}}"},
        ],
    }
    (found,) = importing.read(json.dumps([one]), Path("p.json"), "langfuse")
    assert found.left_out == ["config.owner", "labels"]
    written, _ = exporting.write(found.prompt, Path("p.json"), "langfuse")
    back = json.loads(written)
    assert back["config"] == {"temperature": 0.2, "max_tokens": 9}
    assert back["prompt"][1] == {"type": "placeholder", "name": "verlauf"}
    assert back["tags"] == ["t"]


PROMPTY = [
    """---
name: Basic
description: d
authors: [a]
model:
  api: chat
  configuration: {type: azure_openai, azure_deployment: gpt, api_key: geheim}
  parameters: {max_tokens: 100, temperature: 0.2}
inputs:
  firstName: {type: string}
  question: {type: string, default: 'Wie?'}
sample: {firstName: Jo}
---
system:
Du hilfst {{firstName}}.

user:
{{question}}
""",
    """---
name: v2
model:
  id: gpt-4o-mini
  provider: openai
  connection: {kind: key, apiKey: geheim}
  options: {temperature: 0.7, maxOutputTokens: 10}
inputs:
  - {name: name, kind: string, default: Welt}
template: {format: {kind: jinja2}, parser: {kind: prompty}}
---
system:
Freundlich.

user:
Hallo {{name}}.
""",
    "---\nname: ohne Rollen\n---\nDu bist {{x}}.\n",
    "Nur Text vor\n# User:\n{{x}}\n",
    "---\ninputs:\n  - {name: l, kind: list}\n---\nuser:\n{% for i in l %}- {{i}}\n{% endfor %}Ende\n",
]


@pytest.mark.parametrize("text", PROMPTY)
def test_prompty_of_others_there_and_back(text: str) -> None:
    (found,) = importing.read(text, Path("p.prompty"), "prompty")
    written, _ = exporting.write(found.prompt, Path("p.prompty"), "prompty")
    assert "geheim" not in written
    again = read(written, "p.prompty")
    assert again.identity == found.prompt.identity
    assert importing.read(written, Path("p.prompty"), "prompty")[0].prompt.identity == again.identity


@example("{\r0")
@settings(max_examples=300, deadline=None)
@given(st.text(st.one_of(st.sampled_from("{}%#\\\n \t\r'\"-~useryt:"), st.characters(codec="utf-8")), max_size=60))
def test_any_text_is_written_so_that_it_stays_what_it_is(text: str) -> None:
    prompt = read(f"system:\nx\n\nuser:\n{literal(text)}\n\nassistant:\ny\n", "p.prompty")
    assert [m.role for m in prompt.messages] == ["system", "user", "assistant"]
    assert render(prompt, {})[1].content == unicodedata.normalize("NFC", text)


def test_what_a_tool_cannot_say_is_refused_and_not_written(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/p.prompty").write_text("user:\n{% if x %}{{x|upper}}{% endif %}\n")
    for format in ("langfuse", "mlflow", "promptfoo", "dotprompt"):
        with pytest.raises(UserError, match=f"holds what {format} cannot say"):
            call(workspace, find("prompts.export"), {"prompt": "p", "file": str(tmp_path / "out"), "format": format})
    assert not (tmp_path / "out").exists()


def test_operations_import_and_export(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    source = tmp_path / "reply.prompt"
    source.write_text(DOTPROMPT[1][0])
    done = call(workspace, find("prompts.import"), {"file": str(source), "format": "dotprompt"})
    assert done.left_out == ["config.topK"]
    assert (done.prompts[0].file, done.prompts[0].inputs) == ("prompts/reply.prompty", ["tone", "name"])
    with pytest.raises(UserError, match="already there"):
        call(workspace, find("prompts.import"), {"file": str(source), "format": "dotprompt"})
    out = tmp_path / "exports/reply.json"
    said = call(workspace, find("prompts.export"), {"prompt": "reply", "file": str(out), "format": "langfuse"})
    assert said.prompt == "prompts/reply.prompty"
    assert json.loads(out.read_text())["prompt"][1] == {"type": "chatmessage", "role": "user", "content": "{{name}} fragt."}


def test_promptfoo_configuration_reads_only_files_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("geheim")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "chat.json").write_text(json.dumps(CHATS[1]))
    config = folder / "promptfooconfig.yaml"
    config.write_text("prompts: ['Sag {{x}}', file://chat.json, {raw: 'Noch {{y}}', label: l}]\nproviders: [openai:x]\n")
    found = importing.read(config.read_text(), config, "promptfoo", "p")
    assert [one.prompt.name for one in found] == ["p-1", "p-2", "p-3"]
    assert [m.role for m in found[1].prompt.messages] == ["system", "user"]
    with pytest.raises(UserError, match="does not lie below its folder"):
        importing.read("prompts: file://../outside.txt", config, "promptfoo", "p")


def test_a_promptfoo_configuration_brings_its_tests_as_a_suite(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    file = tmp_path / "promptfooconfig.yaml"
    tests = [{"vars": {"q": f"question {n}"}, "assert": [{"type": "contains", "value": str(n)}]} for n in range(3)]
    file.write_text(yaml.safe_dump({"prompts": ["Answer: {{q}}"], "providers": ["x"], "tests": tests}))
    done = importing.import_prompts(workspace, file, "promptfoo")
    assert (done.suite, done.cases, [one.prompt for one in done.prompts]) == ("promptfooconfig", 3, ["prompt/promptfooconfig"])
    assert suites.of(workspace, "promptfooconfig").count("test") == 3
    (workspace.root / "prompts" / "promptfooconfig.prompty").unlink()
    with pytest.raises(UserError, match="there is a suite promptfooconfig already"):
        importing.import_prompts(workspace, file, "promptfoo")
    assert not list((workspace.root / "prompts").iterdir())
