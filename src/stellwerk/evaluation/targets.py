"""Opens what is to be judged from the references that a step was given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation.target import Price, PromptTarget, Target

if TYPE_CHECKING:
    from stellwerk.llm.chat import Usage
    from stellwerk.llm.prompts.promptfile import Prompt
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.run import Run


def opened(run: Run, target: Mapping[str, Any]) -> Target:
    """The target of a test; it is opened by `async with`.

    Args:
        run: at work, whose money its calls cost.
        target: `{"prompt": ref, "model": ref}` or `{"app": ref}`.
    """
    if "app" in target:
        from stellwerk.evaluation import apptarget

        return apptarget.opened(run.workspace, target["app"])
    from stellwerk.llm import prompts

    return of_prompt(run, prompts.of(run.workspace, target["prompt"]), target["model"])


def of_prompt(run: Run, prompt: Prompt, model: str) -> PromptTarget:
    """A prompt, which need not be in the record, with the model of a reference.

    Args:
        run: at work, whose money its calls cost.
        prompt: that is asked.
        model: reference of a version.
    """
    from stellwerk.llm import models
    from stellwerk.llm.opening import open_model

    version = run.record.resolve(model, "model")
    spec = models.spec_of(run.workspace, version)
    client = open_model(run.workspace, version.name, spec, run=run, version=version.id)
    return PromptTarget(prompt, client, spec.params, price(spec), spec.limits.at_once)


def price(spec: ModelSpec) -> Price:
    """What a call costs today."""
    from stellwerk.llm import prices

    today = dt.datetime.now(dt.UTC).date()

    def cost(usage: Usage) -> tuple[float, str] | None:
        return prices.cost(spec, usage, today)

    return cost
