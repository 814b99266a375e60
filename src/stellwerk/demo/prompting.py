"""What the demo does with its prompt: test it, be refused its promotion, search a better wording, prove it, and promote that.

Each step is an operation that a person can call. The model is a simulated one, and everything that comes of it says so.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field

from stellwerk.errors import StellwerkError
from stellwerk.jobs.prompts.searching import Gain
from stellwerk.workspace import write_text

if TYPE_CHECKING:
    from stellwerk.doors.python import OpenWorkspace
    from stellwerk.evaluation.reports import TestReport

SYSTEM: Final = "support-desk"
PROMPT: Final = "reply"
SHORT: Final = "reply-short"
FOUND: Final = "reply-found"
SUITE: Final = "support"
MODEL: Final = "simulated"
JUDGE: Final = "helpful"
ALIAS: Final = "production"
CALLS: Final = 600
SENTENCE: Final = "Beginnen Sie die Antwort mit einem Gruß.\n"


class Share(BaseModel):
    """A share of cases, with its 95 % interval."""

    value: float
    low: float | None
    high: float | None
    n: int


class Prompted(BaseModel):
    """What became of the prompt."""

    first: str = Field(description="the version that the company had")
    passed: Share = Field(description="of the cases, with that version")
    refused: str = Field(description="the gates that kept it from its promotion")
    calls: int = Field(description="that the search for a better wording needed")
    result: str = Field(description="the version that was found")
    tokens: tuple[int, int] = Field(description="of the prompt before and after")
    gain: Gain = Field(description="of the version that was found, on cases that the search never saw")
    passed_now: Share
    unwanted: Share = Field(description="answers with an unwanted output")
    promoted: str = Field(description="the alias, with the version that it points to")
    shorter: Gain = Field(description="of a wording in few words, against the first one")
    verdict: str
    judge: bool = Field(description="whether the judge passed its audit, so that it may judge")
    agreement: Share = Field(description="of the judge with people, beyond chance (Gwet's AC1)")


def play(opened: OpenWorkspace) -> Prompted:
    """Test, optimise, compare and promote the prompt; what was done before is not done again.

    Raises:
        StellwerkError: a step did not do what it is to do.
    """
    tested = opened.prompts.test(f"{PROMPT}@1" if _there(opened) else PROMPT, SUITE, MODEL)
    refusal = opened.prompts.promote(f"{PROMPT}@1", ALIAS, SYSTEM, reason="to see whether it may")
    shorter = opened.prompts.compare(f"{PROMPT}@1", SHORT, SUITE, MODEL)
    # A search takes no wording with more unwanted outputs on the few cases that choose, so that one may find nothing.
    searches = (opened.prompts.optimise(f"{PROMPT}@1", SUITE, MODEL, calls=CALLS, seed=n, save=FOUND) for n in range(1, 9))
    found = next((search for search in searches if search.file is not None), None)
    if refusal.moved or found is None:
        raise StellwerkError("the demo's first wording was promoted, or no better one was found, which is a fault")
    result = _take_over(opened)
    again = opened.prompts.test(result, SUITE, MODEL)
    promoted = opened.prompts.promote(result, ALIAS, SYSTEM, reason="proven on cases held out")
    if not promoted.moved:
        raise StellwerkError(f"the demo's prompt was not promoted: {promoted.message}")
    audit = opened.evaluation.audit(JUDGE)
    agreed = next(one for one in audit.measures if one.measure == "agreement")
    return Prompted(
        first=f"prompt/{PROMPT}@1",
        passed=_share(tested, "pass_rate"),
        refused=", ".join(f"{one.gate} ({one.of})" for one in refusal.evidence if not one.passes),
        calls=found.calls,
        result=f"prompt/{result}",
        tokens=(found.tokens_before, found.tokens_after or 0),
        gain=found.gains[0],
        passed_now=_share(again, "pass_rate"),
        unwanted=_share(again, "unwanted_rate"),
        promoted=f"prompt/{PROMPT}@{ALIAS} = prompt/{result}",
        shorter=shorter.gain,
        verdict=shorter.verdict,
        judge=audit.passed,
        agreement=Share(value=agreed.value or 0.0, low=agreed.low, high=agreed.high, n=agreed.n),
    )


def _take_over(opened: OpenWorkspace) -> str:
    """Make the wording that was found the prompt's own, as a person would; returns its version."""
    folder = opened.workspace.root / "prompts"
    own, found = ((folder / f"{name}.prompty").read_text(encoding="utf-8") for name in (PROMPT, FOUND))
    text = found.replace(f"name: {FOUND}\n", f"name: {PROMPT}\n")
    opened.prompts.save(PROMPT, text, replaces=hashlib.sha256(own.encode()).hexdigest())
    version: str = opened.prompts.register(PROMPT).prompt
    return version.partition("/")[2]


def change(folder: Path) -> str:
    """Add a sentence to the prompt, as a person of the desk would; returns it. Adding it twice changes nothing."""
    path = folder / "prompts" / f"{PROMPT}.prompty"
    text = path.read_text(encoding="utf-8")
    if SENTENCE not in text:
        head, found, rest = text.partition("\nuser:\n")
        if not found:
            raise StellwerkError(f"{path} has no line user:, which is a fault")
        write_text(path, f"{head.rstrip()}\n{SENTENCE}{found}{rest}")
    return SENTENCE.strip()


def _there(opened: OpenWorkspace) -> bool:
    return opened.workspace.record.latest("prompt", PROMPT) is not None


def _share(report: TestReport, metric: str) -> Share:
    line = next(line for line in report.numbers if line.metric == metric)
    if line.value is None:
        raise StellwerkError(f"{metric} could not be measured on {report.target}, which is a fault")
    return Share(value=line.value, low=line.low, high=line.high, n=line.n or 0)
