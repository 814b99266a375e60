"""The operations of the prompt engineer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from stellwerk.evaluation.operations import SuiteRef, failed
from stellwerk.evaluation.reports import TestReport
from stellwerk.jobs.prompts.registering import Registered
from stellwerk.jobs.prompts.reports import (
    Library,
    Promotion,
    PromptDiff,
    PromptExported,
    PromptImported,
    Rendered,
    Saved,
    TryReport,
)
from stellwerk.jobs.prompts.searching import Optimisation, PromptComparison, Trimmed
from stellwerk.llm import prompts
from stellwerk.llm.operations import ModelRef
from stellwerk.operation import FileRef, LocalPath, Sensitive, operation

if TYPE_CHECKING:
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

PromptRef = Annotated[str, FileRef("prompt", prompts.FOLDER, suffix=prompts.SUFFIX, check=prompts.read)]
Split = Literal["dev", "test", "held-out", "all"]
Format = Literal["prompty", "dotprompt", "promptfoo", "langfuse", "mlflow"]


@operation(
    example={"text": "Antworte knapp: {{frage}}", "model": "simulated", "values": {"frage": "Wo ist mein Paket?"}}, changes=True
)
def try_(
    text: str,
    model: ModelRef,
    values: Annotated[dict[str, Any] | None, Sensitive()] = None,
    save: str | None = None,
    *,
    workspace: Workspace,
) -> TryReport:
    """Try a wording with no file at all: render it, ask a model once, and show what a suite would check. Measures nothing.

    Args:
        text: the prompt, with {{name}} for a value; lines system:, user: and assistant: begin messages.
        model: such as writer, for models/writer.yaml.
        values: of the names in it, as JSON.
        save: the NAME under which to write it to prompts/NAME.prompty.
    """
    from stellwerk.jobs.prompts import trying

    return trying.try_(workspace, text, model, values or {}, save)


@operation(example={"prompt": "reply", "suite": "support", "case": 1})
def render(
    prompt: PromptRef,
    values: Annotated[dict[str, Any] | None, Sensitive()] = None,
    suite: SuiteRef | None = None,
    case: Annotated[int, Field(ge=1)] = 1,
    *,
    workspace: Workspace,
) -> Rendered:
    """Show the messages that a prompt becomes, with how long they are.

    Args:
        prompt: such as reply, for prompts/reply.prompty, or reply@3.
        values: of its inputs, as JSON.
        suite: take the values from a case of this suite instead.
        case: which case, counted from 1.
    """
    from stellwerk.jobs.prompts import rendering

    return rendering.render(workspace, prompt, values, suite, case)


@operation(example={"prompt": "reply"})
def register(prompt: PromptRef, *, run: Run) -> Registered:
    """Make a version of a prompt's file as it is now; what was measured on an earlier one does not count for it.

    Args:
        prompt: such as reply, for prompts/reply.prompty.
    """
    from stellwerk.jobs.prompts import registering

    return registering.register(run)


@operation(example={"prompt": "reply", "suite": "support", "model": "simulated"}, exit_code=failed)
def test(
    prompt: PromptRef,
    suite: SuiteRef,
    model: ModelRef,
    split: Split = "test",
    repeats: Annotated[int, Field(ge=1, le=100)] = 1,
    limit: Annotated[int | None, Field(ge=1)] = None,
    *,
    run: Run,
) -> TestReport:
    """Test a prompt with a model on a suite of cases: what passes, what it costs, and which unwanted outputs there are.

    Args:
        prompt: such as reply, for prompts/reply.prompty, or reply@3.
        suite: such as support, for suites/support.yaml, or support@2.
        model: such as writer, for models/writer.yaml.
        split: which cases; all takes every one.
        repeats: how often each case is asked.
        limit: only the first cases; such a measurement never counts.
    """
    from stellwerk.evaluation import testing

    return testing.test_prompt(run, split=split, repeats=repeats, limit=limit)


@operation(example={"first": "reply", "second": "reply-short", "suite": "support", "model": "simulated"})
def compare(
    first: PromptRef,
    second: PromptRef,
    suite: SuiteRef,
    model: ModelRef,
    second_model: ModelRef | None = None,
    split: Split = "test",
    repeats: Annotated[int, Field(ge=1, le=100)] = 1,
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    metric: str = "passed",
    *,
    run: Run,
) -> PromptComparison:
    """Compare two wordings, or two models, on the same cases: which is better, or that it cannot be told.

    Args:
        first: the prompt that is compared with, such as reply@3.
        second: the prompt that is compared; the same one to compare models.
        suite: such as support, for suites/support.yaml.
        model: that both are asked with, such as writer.
        second_model: that the second is asked with instead.
        split: which cases.
        repeats: how often each case is asked.
        margin: how much worse is still as good; with it the verdict can be not worse.
        metric: passed, score, or a metric of the suite.
    """
    from stellwerk.jobs.prompts import comparing

    return comparing.compare(
        run, split=split, repeats=repeats, margin=margin, metric=metric, two_models=second_model is not None
    )


@operation(example={"first": "reply", "second": "reply-short"})
def diff(first: PromptRef, second: PromptRef, *, workspace: Workspace) -> PromptDiff:
    """Show what differs between two prompts or versions: messages line by line, inputs, parameters.

    Args:
        first: such as reply@2.
        second: such as reply.
    """
    from stellwerk.jobs.prompts import differences

    return differences.diff(workspace, first, second)


@operation(example={"prompt": "reply", "suite": "support", "model": "simulated", "calls": 150, "writer": "simulated"})
def optimise(
    prompt: PromptRef,
    suite: SuiteRef,
    model: ModelRef,
    writer: ModelRef | None = None,
    calls: Annotated[int, Field(ge=10, le=1_000_000)] = 400,
    tokens: Annotated[int | None, Field(ge=10)] = None,
    seed: int = 0,
    save: str | None = None,
    *,
    run: Run,
) -> Optimisation:
    """Search a better wording by gepa, beside cheap baselines at as many calls, and prove the gain on cases held out.

    Args:
        prompt: to begin with, such as reply.
        suite: dev cases teach, test cases choose, held-out cases prove.
        model: that answers, such as writer.
        writer: the model that proposes wordings; the one that answers if left out.
        calls: metric calls at most.
        tokens: that the prompt may have at most; half as many more than now if left out, and at least 120 more.
        seed: of all that is drawn.
        save: the NAME under which to write the result to prompts/NAME.prompty.
    """
    from stellwerk.jobs.prompts import optimising

    return optimising.optimise(run, calls=calls, tokens=tokens, seed=seed, save=save, writer=writer is not None)


@operation(example={"prompt": "reply", "suite": "support", "model": "simulated", "margin": 0.1})
def trim(
    prompt: PromptRef,
    suite: SuiteRef,
    model: ModelRef,
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05,
    calls: Annotated[int, Field(ge=10, le=1_000_000)] = 400,
    save: str | None = None,
    *,
    run: Run,
) -> Trimmed:
    """Search a cheaper wording that is proven to be not worse by more than a margin.

    Args:
        prompt: to begin with, such as reply.
        suite: test cases choose, held-out cases prove.
        model: that answers, such as writer.
        margin: how much worse is still as good, such as 0.05.
        calls: metric calls at most.
        save: the NAME under which to write the result to prompts/NAME.prompty.
    """
    from stellwerk.jobs.prompts import trimming

    return trimming.trim(run, margin=margin, calls=calls, save=save)


@operation(
    example={"prompt": "reply", "alias": "production", "reason": "first one"},
    scope="approve",
    exit_code=lambda report: 0 if report.moved else 1,
)
def promote(
    prompt: PromptRef, alias: str = "production", system: str | None = None, reason: str = "", *, run: Run
) -> Promotion:
    """Point an alias to a prompt version, only with the evidence that the gates of the systems that bind it ask for.

    Args:
        prompt: such as reply, for prompts/reply.prompty as it is now, or reply@3.
        alias: such as production.
        system: whose gates have to be passed too; those of all that bind the alias have to anyhow.
        reason: why, for the record.
    """
    from stellwerk.jobs.prompts import promoting

    return promoting.promote(run, alias=alias, system=system, reason=reason)


@operation(example={})
def library(search: str | None = None, stale: bool = False, *, workspace: Workspace) -> Library:
    """List the prompts: owner, versions, aliases, where each is used, when it was tested last, what is stale.

    Args:
        search: only those in which name, description or text holds this.
        stale: only those whose file has changed since they were tested.
    """
    from stellwerk.jobs.prompts import library as listing

    return listing.library(workspace, search, stale=stale)


@operation(example={"file": "imports/reply.prompt", "format": "dotprompt", "overwrite": True}, changes=True, scope="admin")
def import_(
    file: Annotated[Path, LocalPath()],
    format: Format = "prompty",
    name: str | None = None,
    overwrite: bool = False,
    *,
    workspace: Workspace,
) -> PromptImported:
    """Bring prompts of another tool into the library as files of our own.

    Args:
        file: a .prompty, a .prompt, a promptfoo configuration or chat, or an export of Langfuse or MLflow.
        format: prompty, dotprompt, promptfoo, langfuse or mlflow.
        name: of the prompt; its own or that of the file if left out.
        overwrite: replace prompts of that name.
    """
    from stellwerk.jobs.prompts.exchange import importing

    return importing.import_prompts(workspace, file, format, name, overwrite=overwrite)


@operation(example={"prompt": "reply", "file": "exports/reply.prompt", "format": "dotprompt", "overwrite": True}, changes=True)
def export(
    prompt: PromptRef,
    file: Annotated[Path, LocalPath(writes=True)],
    format: Format = "prompty",
    overwrite: bool = False,
    *,
    workspace: Workspace,
) -> PromptExported:
    """Write a prompt for another tool.

    Args:
        prompt: such as reply, or reply@3.
        file: where to.
        format: prompty, dotprompt, promptfoo, langfuse or mlflow.
        overwrite: replace a file that is already there.
    """
    from stellwerk.jobs.prompts.exchange import exporting

    return exporting.export_prompt(workspace, prompt, file, format, overwrite=overwrite)


@operation(example={"name": "note", "text": "user:\nFasse zusammen: {{text}}\n"}, changes=True, scope="admin")
def save(name: str, text: str, replaces: str | None = None, *, workspace: Workspace) -> Saved:
    """Write a prompt's file, after a look whether it is right.

    Args:
        name: of the prompt, reply for prompts/reply.prompty.
        text: of the file.
        replaces: digest of the text that is replaced, as it was read; a file that somebody changed meanwhile stays.
    """
    from stellwerk.jobs.prompts import saving

    return saving.save(workspace, name, text, replaces)
