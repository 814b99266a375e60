"""A prompt's file: what is read, what is refused with which line, what its identity ignores, and how small its changes are."""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path

import pytest

from stellwerk.errors import UserError
from stellwerk.llm.chat import Message
from stellwerk.llm.prompts import read, render
from stellwerk.llm.prompts.tokens import estimate
from stellwerk.llm.prompts.writing import reworded, write
from stellwerk.operation import find
from stellwerk.runs.execution import call
from stellwerk.workspace import Workspace

FILE = """---
name: reply
description: Answers a question of a customer.
model:
  id: writer
  options:
    temperature: 0.2
    maxOutputTokens: 300
inputs:
  - name: frage
    description: what was asked
  - {name: regeln, kind: array, default: [kurz, höflich]}
  - {name: beispiele, kind: messages, default: [{role: user, content: Hallo}, {role: assistant, content: Guten Tag}]}
metadata:
  stellwerk: {owner: Anna, purpose: Support, language: de, tests: support}
---
system:
Du beantwortest Fragen.
{% for regel in regeln %}{{ loop.index }}. {{ regel }}
{% endfor %}

{% messages beispiele %}

user:
{{frage}}
"""


def one(text: str) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(UserError) as error:
        read(text, "prompts/p.prompty")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_becomes_messages() -> None:
    prompt = read(FILE, "prompts/reply.prompty")
    assert prompt.name == "reply"
    assert prompt.params.temperature == 0.2
    assert prompt.params.max_tokens == 300
    assert prompt.params.model_fields_set == {"temperature", "max_tokens"}
    assert prompt.facts["owner"] == "Anna"
    assert render(prompt, {"frage": "Wo?"}) == [
        Message("system", "Du beantwortest Fragen.\n1. kurz\n2. höflich\n"),
        Message("user", "Hallo"),
        Message("assistant", "Guten Tag"),
        Message("user", "Wo?"),
    ]


def test_without_header_the_inputs_are_those_that_are_used() -> None:
    prompt = read("user:\nFasse zusammen: {{text}} {% for x in liste %}{{ x }}{{ loop.index }}{% endfor %}\n", "p.prompty")
    assert [i.name for i in prompt.inputs] == ["text", "liste"]


def test_a_file_of_ours_is_written_as_it_was_read() -> None:
    prompt = read(FILE, "prompts/reply.prompty")
    again = read(write(prompt), "prompts/reply.prompty")
    assert again == prompt
    assert again.digest == prompt.digest


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("Answers a question of a customer.", "Something else"), ("owner: Anna", "owner: Berta"), ("\n", "\r\n"), ("name: reply", "name: other"),
        ("id: writer", "id: other"), ("description: what was asked", "description: else"), ("höflich", "ho\u0308flich"),
        ("---\nname", "\ufeff---\nname"), ("system:\n", "system:\n\n\n"), ("    temperature: 0.2\n    maxOutputTokens: 300", "    maxOutputTokens: 300\n    temperature: 0.2"),
        ("tests: support", "tests: [a, b]"), ("purpose: Support", "purpose: X, gates: []"),
    ],
)  # fmt: skip
def test_identity_ignores_what_describes(change: str, to: str) -> None:
    assert change in FILE
    changed = read(FILE.replace(change, to, 1 if change != "\n" else -1), "prompts/reply.prompty")
    assert changed.digest == read(FILE, "prompts/reply.prompty").digest


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("Fragen", "Frage"), ("0.2", "0.3"), ("kurz", "lang"), ("\nuser:", "\nassistant:"), ("Guten Tag", "Tag"), ("{{frage}}", "{{ frage }}"),
        ("    maxOutputTokens: 300\n", ""), ("  - name: frage\n", "  - name: frage\n    required: false\n"), ("metadata:", "outputs: [{name: a}]\nmetadata:"),
    ],
)  # fmt: skip
def test_identity_changes_with_what_is_sent(change: str, to: str) -> None:
    assert change in FILE
    assert read(FILE.replace(change, to), "prompts/reply.prompty").digest != read(FILE, "prompts/reply.prompty").digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hallo", "line 1: this text is in no message; begin one with a line system: or user:"),
        ("---\nname: x\n", "line 1: the header is not ended; put a line --- after it"),
        ("---\nnme: x\n---\nuser:\nx", "line 2: there is no field 'nme'; did you mean 'name'?"),
        ("---\ninputs:\n  - {name: a, kind: strng}\n---\nuser:\n{{a}}", "line 3: 'inputs[1].kind' is 'strng', expected one of"),
        ("---\ninputs:\n  - {name: a}\n---\nuser:\nx\n{{b}}", "line 6: 'b' is no input; add it to inputs, or use one of: a"),
        ("---\ninputs:\n  - {name: a}\n---\nuser:\nx", "the input 'a' is used in no message; use it, or take it out of inputs"),
        ("---\ninputs: [{name: a}, {name: a}]\n---\nuser:\n{{a}}", "the input 'a' stands in inputs twice; keep one"),
        ("---\ninputs:\n  - {name: a, default: 2024-01-01}\n---\nuser:\n{{a}}", "line 3: this is read as a date; put it into quotes"),
        ("---\ninputs: [{name: a, kind: array, default: x}]\n---\nuser:\n{% for i in a %}{% endfor %}", "default: has to be a list"),
        ("user:\n{% for x in l %}\nassistant:\n{{x}}\n{% endfor %}", "a list of turns is put in with {% messages NAME %}"),
        ("tool:\nx", "line 1: tool: begins no message of a prompt; there are: system, developer, user, assistant"),
        ("---\n- a\n---\nuser:\nx", "the header is no list of names and values"),
        ("{% messages h %}", "there is no message; begin one with a line system: or user:"),
        ("user:\na\nb {{ x", "line 3: this is no template: unexpected end of template"),
        ("---\nmodel: {options: {temperature: -1}}\n---\nuser:\nx", "line 2: 'model.options.temperature'"),
        ("---\nmetadata: {stellwerk: {ownr: x}}\n---\nuser:\nx", "there is no field 'metadata.stellwerk.ownr'; did you mean 'owner'?"),
        ("---\nmetadata: {stellwerk: {gates: [{name: g, job: prompts, concerns: prompt, metric: m}]}}\n---\nuser:\nx", "give min or max"),
        ("---\ntemplate: mustache\n---\nuser:\nx", "'template'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_line(text: str, said: str) -> None:
    assert said in one(text)


def test_values_are_asked_for_by_name() -> None:
    prompt = read(FILE, "prompts/reply.prompty")
    with pytest.raises(UserError, match="prompt reply needs a value for 'frage'"):
        render(prompt, {})
    with pytest.raises(UserError, match="the value for 'regeln' has to be a list"):
        render(prompt, {"frage": "x", "regeln": "geheim"})
    with pytest.raises(UserError, match="turn 1 needs a role, user or assistant") as error:
        render(prompt, {"frage": "x", "beispiele": [{"role": "system", "content": "geheim"}]})
    assert "geheim" not in str(error.value)
    assert render(prompt, {"frage": "x", "more": 1})[-1].content == "x"  # a case may hold more than a prompt needs


def test_a_search_rewords_messages_and_cannot_break_the_prompt() -> None:
    prompt = read(FILE, "prompts/reply.prompty")
    new = prompt.reworded({0: "Kurz. {% for r in regeln %}{{r}}{% endfor %}"})
    assert render(new, {"frage": "x"})[0].content == "Kurz. kurzhöflich"
    assert new.digest != prompt.digest
    for bad in ("ohne die Regeln", "{{regeln}} {{neu}}", "{% for r in regeln %}", "{{regeln}}\nuser:\nx"):
        with pytest.raises(UserError):
            prompt.reworded({0: bad})


def test_a_change_of_one_word_is_a_small_diff(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    saved = call(workspace, find("prompts.save"), {"name": "reply", "text": FILE})
    subprocess.run([*git, "init", "-q", "."], cwd=tmp_path, check=True)
    subprocess.run([*git, "add", "prompts"], cwd=tmp_path, check=True)
    for text in (FILE.replace("Fragen", "Anfragen"), reworded(FILE, {2: "{{frage}}!"})):
        saved = call(workspace, find("prompts.save"), {"name": "reply", "text": text, "replaces": saved.digest})
        told = subprocess.run([*git, "diff", "--numstat"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        added, removed, _ = told.split(maxsplit=2)
        assert 1 <= int(added) + int(removed) <= 2
    assert reworded(FILE, {0: read(FILE, "p").messages[0].template}) == FILE


def test_saving_overwrites_nobody(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    first = call(workspace, find("prompts.save"), {"name": "note", "text": "user:\n{{text}}\n"})
    assert (first.file, first.changed, first.inputs) == ("prompts/note.prompty", True, ["text"])
    assert not call(workspace, find("prompts.save"), {"name": "note", "text": "user:\n{{text}}\n"}).changed
    with pytest.raises(UserError, match="is there already with another text"):
        call(workspace, find("prompts.save"), {"name": "note", "text": "user:\nneu {{text}}\n"})
    (tmp_path / "prompts/note.prompty").write_text("user:\nvon jemand anderem {{text}}\n")
    with pytest.raises(UserError, match="was changed meanwhile"):
        call(workspace, find("prompts.save"), {"name": "note", "text": "user:\nneu\n", "replaces": first.digest})
    with pytest.raises(UserError, match="line 2: an assignment is not allowed"):
        call(workspace, find("prompts.save"), {"name": "other", "text": "user:\n{% set a = 1 %}\n"})
    for name in ("../x", "a/b", "", ".x"):
        with pytest.raises(UserError, match="is no name of a prompt"):
            call(workspace, find("prompts.save"), {"name": name, "text": "user:\nx\n"})
    assert sorted(path.name for path in (tmp_path / "prompts").iterdir()) == ["note.prompty"]


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ x.__class__ }}",
    "{{ x|attr('__class__') }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__ }}",
    "{{ namespace() }}",
    "{{ joiner() }}",
    "{{ x.format(x) }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ x|map(attribute='__class__') }}",
    "{% include 'x' %}",
    "{% import 'os' as os %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block a %}{% endblock %}",
    "{% macro m() %}{% endmacro %}",
    "{% call x() %}{% endcall %}",
    "{% set x = 1 %}",
    "{% filter upper %}x{% endfilter %}",
    "{% with a = 1 %}{% endwith %}",
    "{% do x.append(1) %}",
    "{% autoescape false %}x{% endautoescape %}",
    "{{ loop.__class__ }}",
    "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
    "{{ x() }}",
    "{{ x.y() }}",
    "{% for i in x %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{{ x|pprint }}",
    "{{ x|xmlattr }}",
    "{{ x|format(x) }}",
    "{{ {}.items() }}",
    "{{ _x }}",
    "{{ caller() }}",
    "{{ x is filter('a') }}",
    "{{ x is callable }}",
    "{{ x|urlize }}",
    "{{ x|random }}",
    "{{ x|default(*x) }}",
    "{{ debug }}{% debug %}",
    "{{ x|groupby('a') }}",
]

BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 10**10**10 }}",
    "{{ [0] * 10**9 }}",
    "{{ 9**999999 }}",
    "{{ 1 // 0 }}",
    "{{ 1 % 0 }}",
    "{{ '%999999999d' % 1 }}",
    "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}",
    "{{ range(10**9)|list }}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a'|indent(10**9) }}",
    "{{ " + "(" * 3000 + "x" + ")" * 3000 + " }}",
    "{{ x" + "|upper" * 30000 + " }}",
    "{{ " + "x + " * 5000 + "x }}",
    "{{ " + "not " * 5000 + "x }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{% if x %}" * 500 + "{% endif %}" * 500,
    "{% for a in x %}" * 30 + "{{ a }}" + "{% endfor %}" * 30,
    "{{ 1" + "0" * 5000 + " }}",
    "{{ " + "[" * 2000 + "]" * 2000 + " }}",
    "{{ x" + "[0]" * 5000 + " }}",
    "{{ x" + ".a" * 5000 + " }}",
    "x" * 600_000,
    "{{ lipsum(n=10**6) }}",
    "{{ " + "x ~ " * 30000 + "x }}",
    "{{ 1 if " * 2000 + "x" + " }}",
    "{{ x == " * 1000,
    "{" * 400_000,
    "{{" * 100_000,
    "{%" * 100_000,
    "{# " * 100_000,
]


@pytest.mark.parametrize("template", ESCAPES, ids=range(len(ESCAPES)))
def test_no_template_gets_out(template: str) -> None:
    assert one(f"user:\n{{{{ x }}}}{template}").startswith("prompts/p.prompty, line 2: ")


@pytest.mark.parametrize("template", BOMBS, ids=range(len(BOMBS)))
def test_a_template_that_would_eat_the_machine_is_refused_before_it_runs(template: str) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert len(one(f"user:\n{template}")) < 700
    assert time.process_time() - started < 1.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB


LOOPS = {
    "nested": "{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}",
    "much": "{% for a in l %}{{ t }}{% endfor %}",
    "joined": "{{ l|join(t) }}",
    "replaced": "{{ t|replace('a', t) }}",
    "side by side": "{% for a in l %}{% if (" + " ~ ".join(["t"] * 40) + ") == a %}{% endif %}{% endfor %}",
    "slow filters": "{% for a in l %}{% if t|upper|lower|upper|lower == a %}x{% endif %}{% endfor %}",
    "json": "{% for a in l %}{{ l|json }}{% endfor %}",
    "sorted": "{% for a in l %}{% for b in l|sort %}{% endfor %}{% endfor %}",
}


@pytest.mark.parametrize("template", LOOPS.values(), ids=LOOPS)
def test_values_cannot_make_a_template_eat_the_machine(template: str) -> None:
    prompt = read(f"user:\n{template}\n{{{{ l|length }}}}{{{{ t|length }}}}", "p.prompty")
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError, match=r"message 1 \(user\): the template cannot be rendered, for it") as error:
        render(prompt, {"l": [str(i) for i in range(20_000)], "t": "a" * 300_000})
    assert "\n" not in str(error.value)
    assert time.process_time() - started < 7
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB


def test_a_field_is_a_name_in_a_group_and_never_an_attribute() -> None:
    prompt = read("user:\n{{ x.items }}{{ x.keys }}{{ x.name }}", "p.prompty")
    assert render(prompt, {"x": {"items": "a", "keys": "b", "name": "c"}})[0].content == "abc"
    with pytest.raises(UserError, match="uses a field that its value does not have") as error:
        render(prompt, {"x": {"geheim": 1}})
    assert "geheim" not in str(error.value)
    maybe = read("user:\n{{ x.a|default('-') }}{% if x.b is defined %}b{% endif %}", "p.prompty")
    assert render(maybe, {"x": {}})[0].content == "-"


@pytest.mark.parametrize("name", ["__class__", "__init__", "upper", "format", "__len__", "mro"])
@pytest.mark.parametrize("value", ["text", 1, 1.5, True, [1], {"a": 1}])
def test_a_name_that_comes_with_the_values_reaches_nothing_either(name: str, value: object) -> None:
    prompt = read("user:\n{{ x[k] }}", "p.prompty")
    with pytest.raises(UserError, match="uses a field that its value does not have"):
        render(prompt, {"x": value, "k": name})


def test_no_global_is_there_but_the_inputs() -> None:
    for name in ("config", "request", "range", "dict", "lipsum", "cycler", "joiner", "namespace", "g", "os"):
        prompt = read(f"user:\n{{{{ {name} }}}}", "p.prompty")
        assert [i.name for i in prompt.inputs] == [name]
        assert render(prompt, {name: "value"})[0].content == "value"


def test_longer_texts_are_estimated_as_longer() -> None:
    assert estimate("") == 0
    assert estimate("Wo ist mein Paket?") < estimate("Wo ist mein Paket? Ich warte seit drei Wochen darauf.")
    assert estimate("Donaudampfschifffahrtsgesellschaft") > estimate("Schiff")
