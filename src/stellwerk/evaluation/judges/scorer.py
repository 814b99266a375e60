"""Checks that a judge decides: `llm-rubric` and its kin, and a comparison with the expected answer by a judge of pairs.

Only a judge that passed its audit is asked. What it does not say in a form that can be read is left unscored and never counts
as a failed answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from stellwerk.errors import UserError
from stellwerk.evaluation.judges import asking, spec, standing
from stellwerk.evaluation.judges.asking import Said
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, inputs_text, unscored

if TYPE_CHECKING:
    from stellwerk.evaluation.case import Check
    from stellwerk.evaluation.judges.standing import Judge
    from stellwerk.evaluation.scorers.tools import Tools
    from stellwerk.llm.chat import Usage
    from stellwerk.record.record import Version
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

TYPES = ("llm-rubric", "model-graded-closedqa", "factuality", "model-graded-factuality", "pairwise")
REFERENCE = ("factuality", "model-graded-factuality")  # their value is an answer that is known to be right
REASONS = ("judged", "judged_even", "judge_unreadable", "judge_cut_off", "judge_failed", "judge_no_expected")

_known: WeakKeyDictionary[Tools, dict[str, tuple[Version, Judge]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Prepared:
    """A check with its judge, ready to be asked."""

    check: Check
    tools: Tools
    version: Version
    judge: Judge

    async def __call__(self, asked: Asked) -> Outcome:
        """Score one answer."""
        expected = str(self.check.value) if self.check.type in REFERENCE else _text(asked.case.expected)
        if self.judge.spec.form == "pairwise":
            if not expected:
                return unscored("judge_no_expected", judge=self.version.ref)
            return await self._compared(asked, expected)
        client = await self.tools.client(self.judge.model, self.judge.model_spec)
        said = await asking.answer(client, self._task(), self.judge.params, question(asked), asked.text, expected or None)
        if said.verdict is None:
            return self._none(said)
        low, high = self.judge.spec.scale
        if self.judge.spec.form == "verdict":
            value, passed = float(bool(said.verdict)), bool(said.verdict)
        else:
            value = (float(said.verdict) - low) / (high - low)
            passed = float(said.verdict) >= self.judge.spec.bar
        if self.check.threshold is not None:
            passed = value >= self.check.threshold
        return self._scored(value, passed, "judged", [said])

    async def _compared(self, asked: Asked, expected: str) -> Outcome:
        """Better than the expected answer is 1, as good is a half; in both orders, or it is even."""
        client = await self.tools.client(self.judge.model, self.judge.model_spec)
        both = await asking.pair(client, self._task(), self.judge.params, question(asked), asked.text, expected)
        if both.verdict is None:
            return self._none(both.first if both.first.verdict is None else both.second)
        value = {"A": 1.0, "B": 0.0, "tie": 0.5}[str(both.verdict)]
        bar = 0.5 if self.check.threshold is None else self.check.threshold
        reason = "judged" if both.consistent else "judged_even"
        return self._scored(value, value >= bar, reason, [both.first, both.second])

    def _task(self) -> Any:
        """The judge's task, with what this check asks beside it."""
        task = self.judge.task
        if self.check.type in REFERENCE or not isinstance(self.check.value, str) or not self.check.value.strip():
            return task
        return replace(task, criteria=f"{task.criteria}\n\n{self.check.value}".strip())

    def _scored(self, value: float, passed: bool, reason: str, said: list[Said]) -> Outcome:
        facts = {"judge": self.version.ref, "said": said[0].reason}
        amount, currency = self._cost([one.usage for one in said])
        return Outcome(value, passed, reason, facts, amount, currency)

    def _none(self, said: Said) -> Outcome:
        reason = {"unreadable": "judge_unreadable", "cut_off": "judge_cut_off"}.get(said.problem or "", "judge_failed")
        amount, currency = self._cost([said.usage])
        return Outcome(None, None, reason, {"judge": self.version.ref, "problem": said.problem}, amount, currency)

    def _cost(self, used: list[Usage | None]) -> tuple[float | None, str | None]:
        from stellwerk.llm import prices

        costs = [prices.cost(self.judge.model_spec, usage, dt.datetime.now(dt.UTC).date()) for usage in used]
        known = [one for one in costs if one is not None]
        if len(known) < len(costs):
            return None, None
        return sum(amount for amount, _ in known), known[0][1]


def prepare(check: Check, tools: Tools) -> Prepared:
    """The judge of a check, looked up once for a test.

    Raises:
        UserError: the check names no judge, or one that was not audited or did not pass.
    """
    workspace = tools.workspace
    if workspace is None:
        raise UserError(f"the check {check.type} asks a judge, which works inside a workspace only")
    name = named(check, workspace)
    judges = _known.setdefault(tools, {})
    if name not in judges:
        judges[name] = standing.of(workspace, name)
    return Prepared(check, tools, *judges[name])


def named(check: Check, workspace: Workspace) -> str:
    """The judge that a check names by `provider`; the only one that there is where it names none.

    Raises:
        UserError: it names none, and there are several or none.
    """
    wanted = check.config.get("judge") or check.config.get("provider")
    if wanted:
        return str(wanted)
    known = workspace.specs(spec.FOLDER)
    if len(known) != 1:
        there = f"there are: {', '.join(known)}" if known else f"there is none yet; write {spec.FOLDER}/NAME.yaml and audit it"
        raise UserError(f"the check {check.type} does not say which judge decides; name one with provider: {there}")
    return known[0]


def instruments(run: Run, checks: Iterable[Check] | Any) -> list[Version]:
    """The versions of all judges that checks ask, each one audited; for the inputs and instruments of a test.

    Args:
        run: at work, outside a step.
        checks: or a suite, whose `checks` are meant.
    """
    given = getattr(checks, "checks", checks)
    names = dict.fromkeys(named(check, run.workspace) for check in given if check.type in TYPES)
    return [standing.of(run.workspace, name)[0] for name in names]


def question(asked: Asked) -> str:
    """What was asked: the turns of the user; the inputs where no messages were sent, as to an application."""
    turns = [message.content for message in asked.answer.messages if message.role == "user"]
    return "\n\n".join(turns) or inputs_text(asked.case)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
