"""A prompt's file: what is read, what is refused with which line, what its identity ignores, and how small its changes are."""

from __future__ import annotations

import subprocess
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
        ("Answers a question of a customer.", "Something else"),
        ("owner: Anna", "owner: Berta"),
        ("\n", "\r\n"),
        ("name: reply", "name: other"),
        ("id: writer", "id: other"),
        ("description: what was asked", "description: else"),
        ("höflich", "ho\u0308flich"),
        ("---\nname", "\ufeff---\nname"),
        ("system:\n", "system:\n\n\n"),
        ("    temperature: 0.2\n    maxOutputTokens: 300", "    maxOutputTokens: 300\n    temperature: 0.2"),
        ("tests: support", "tests: [a, b]"),
        ("purpose: Support", "purpose: X, gates: []"),
    ],
)
def test_identity_ignores_what_describes(change: str, to: str) -> None:
    assert change in FILE
    changed = read(FILE.replace(change, to, 1 if change != "\n" else -1), "prompts/reply.prompty")
    assert changed.digest == read(FILE, "prompts/reply.prompty").digest


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("Fragen", "Frage"),
        ("0.2", "0.3"),
        ("kurz", "lang"),
        ("\nuser:", "\nassistant:"),
        ("Guten Tag", "Tag"),
        ("{{frage}}", "{{ frage }}"),
        ("    maxOutputTokens: 300\n", ""),
        ("  - name: frage\n", "  - name: frage\n    required: false\n"),
        ("metadata:", "outputs: [{name: a}]\nmetadata:"),
    ],
)
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
        (
            "---\ninputs:\n  - {name: a, default: 2024-01-01}\n---\nuser:\n{{a}}",
            "line 3: this is read as a date; put it into quotes",
        ),
        (
            "---\ninputs: [{name: a, kind: array, default: x}]\n---\nuser:\n{% for i in a %}{% endfor %}",
            "default: has to be a list",
        ),
        ("user:\n{% for x in l %}\nassistant:\n{{x}}\n{% endfor %}", "a list of turns is put in with {% messages NAME %}"),
        ("tool:\nx", "line 1: tool: begins no message of a prompt; there are: system, developer, user, assistant"),
        ("---\n- a\n---\nuser:\nx", "the header is no list of names and values"),
        ("{% messages h %}", "there is no message; begin one with a line system: or user:"),
        ("user:\na\nb {{ x", "line 3: this is no template: unexpected end of template"),
        ("---\nmodel: {options: {temperature: -1}}\n---\nuser:\nx", "line 2: 'model.options.temperature'"),
        (
            "---\nmetadata: {stellwerk: {ownr: x}}\n---\nuser:\nx",
            "there is no field 'metadata.stellwerk.ownr'; did you mean 'owner'?",
        ),
        (
            "---\nmetadata: {stellwerk: {gates: [{name: g, job: prompts, concerns: prompt, metric: m}]}}\n---\nuser:\nx",
            "give min or max",
        ),
        ("---\ntemplate: mustache\n---\nuser:\nx", "'template'"),
    ],
)
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


def test_longer_texts_are_estimated_as_longer() -> None:
    assert estimate("") == 0
    assert estimate("Wo ist mein Paket?") < estimate("Wo ist mein Paket? Ich warte seit drei Wochen darauf.")
    assert estimate("Donaudampfschifffahrtsgesellschaft") > estimate("Schiff")
