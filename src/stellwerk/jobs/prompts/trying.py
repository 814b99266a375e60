"""A wording is tried with no file at all: rendered, asked once, looked at. Nothing is measured and nothing is kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts import saving
from stellwerk.jobs.prompts.rendering import texts
from stellwerk.jobs.prompts.reports import Looked, TryReport
from stellwerk.llm.prompts import Prompt, read, render
from stellwerk.llm.prompts.promptfile import LIST_LINE, ROLE_LINE, plain
from stellwerk.llm.prompts.rendering import check_values

if TYPE_CHECKING:
    from stellwerk.evaluation.case import Answer, Case
    from stellwerk.evaluation.suites.unwanted import Family
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.workspace import Workspace

NAME = "try"
FAMILIES: tuple[Family, ...] = ("form", "over_refusal", "prompt_leak", "personal_data")


def try_(workspace: Workspace, text: str, model: str, values: Mapping[str, Any], save: str | None = None) -> TryReport:
    """Render a wording, ask a model once, and look at its answer.

    Args:
        workspace: with the model's file.
        text: of a prompt's file, or the mere text of one message of the user.
        model: its name.
        values: by the names in the text.
        save: the name under which to keep the text as a file.

    Raises:
        UserError: the text is no template, a value is missing, or there is no such model.
        CallFailed: the model did not answer.
    """
    from stellwerk.llm import models

    text = as_file(text)
    prompt = read(text, save or NAME)
    check_values(prompt, values)
    messages = render(prompt, values)
    name, spec = models.of(workspace, model)
    kept = saving.save(workspace, save, text) if save else None
    answer, simulated = asyncio.run(_ask(workspace, prompt, name, spec, dict(values)))
    checks, notes = _look(prompt, answer, dict(values))
    if simulated:
        notes.insert(0, f"{name} is a simulated model: its answer shows that things work, not how well the prompt does.")
    if answer.cost is None:
        notes.append(f"what the call cost is unknown; write price into models/{name}.yaml")
    return TryReport(
        model=name, answer=answer.text, finish=answer.finish, simulated=simulated, messages=texts(messages),
        input_tokens=answer.usage.input if answer.usage else None, output_tokens=answer.usage.output if answer.usage else None,
        seconds=round(answer.seconds, 3), cost=answer.cost, currency=answer.currency, checks=checks,
        suite=_suite(prompt, dict(values)), saved=kept.file if kept else None, notes=notes,
    )  # fmt: skip


def as_file(text: str) -> str:
    """The text of a prompt's file: of one that is begun by no role and no header, that of a message of the user."""
    given = plain(text)
    begun = any(ROLE_LINE.fullmatch(line) or LIST_LINE.fullmatch(line) for line in given.split("\n"))
    if begun or re.match(r"---[ \t]*\n", given):
        return given
    if not given.strip():
        raise UserError("the text is empty; write what the model is to be asked, with {{name}} for a value")
    return f"user:\n{given.strip(chr(10))}\n"


async def _ask(workspace: Workspace, prompt: Prompt, name: str, spec: ModelSpec, values: dict[str, Any]) -> tuple[Answer, bool]:
    """The answer of one call, which is neither kept nor taken from those that were."""
    import datetime as dt

    from stellwerk.evaluation.case import Answer as Answered
    from stellwerk.evaluation.target import PromptTarget
    from stellwerk.llm import prices
    from stellwerk.llm.chat import CallFailed
    from stellwerk.llm.opening import open_model

    client = open_model(workspace, name, spec, keep=False)
    today = dt.datetime.now(dt.UTC).date()
    target = PromptTarget(prompt, client, spec.params, lambda usage: prices.cost(spec, usage, today))
    async with target:
        answer: Answered = await target.answer(_case(prompt, values))
    if answer.failure is not None:
        raise CallFailed(answer.problem or "there was no answer", answer.failure, attempts=answer.attempts)
    return answer, target.simulated


def _case(prompt: Prompt, values: dict[str, Any]) -> Case:
    from stellwerk.evaluation.case import Case

    return Case(NAME, values, language=prompt.facts.get("language"))


def _look(prompt: Prompt, answer: Answer, values: dict[str, Any]) -> tuple[list[Looked], list[str]]:
    """What checks of unwanted outputs say; those that need what is not installed are told of."""
    from dataclasses import replace

    from stellwerk.evaluation.scorers.registry import scoring
    from stellwerk.evaluation.suites import unwanted

    found, notes = [], []
    for family in FAMILIES:
        asked: Family | dict[Family, Any] = {family: prompt.outputs} if family == "form" and prompt.outputs else family
        checks = unwanted.checks([asked])
        try:
            scores = scoring(checks).score(replace(_case(prompt, values), checks=checks), answer)
        except UserError as error:
            notes.append(str(error))
            continue
        if isinstance(scores, tuple):  # none of these checks asks a model
            found += [Looked(check=family, passed=score.passed, reason=score.reason) for score in scores]
    return found, notes


def _suite(prompt: Prompt, values: dict[str, Any]) -> str:
    """The beginning of a suite: this case, with a check to be filled in."""
    import yaml

    form: Any = {"form": prompt.outputs} if prompt.outputs else "form"
    said = {
        "unwanted": [form, "over_refusal", "prompt_leak"],
        "tests": [{"vars": values, "assert": [{"type": "icontains", "value": "WHAT HAS TO STAND IN THE ANSWER"}]}],
    }
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
