"""What all searches and comparisons share in telling and keeping their results: sentences, versions, files, evidence as JSON.

Knows the record and the workspace. It asks no model.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation.evidence import Evidence, from_outcome
from stellwerk.jobs.prompts.search.candidates import Candidate
from stellwerk.jobs.prompts.search.wording import Wording
from stellwerk.jobs.prompts.searching import CandidateLine, Gain
from stellwerk.llm import prompts
from stellwerk.llm.prompts import versions, writing
from stellwerk.record import tables
from stellwerk.specfile import read_text
from stellwerk.workspace import NAME, write_text

if TYPE_CHECKING:
    from stellwerk.jobs.prompts.search.ground import Ground
    from stellwerk.record.record import Version
    from stellwerk.run import Run

SEARCHES = ("prompts.optimise", "prompts.trim")
SIMULATED = "Answers are simulated: a plan made them up, so the numbers say nothing about a real model."
SAID = {
    "better": "is better",
    "worse": "is worse",
    "equivalent": "is as good, within the margin",
    "not_worse": "is not worse by the margin or more",
    "undecided": "cannot be told apart",
}


def said(second: str, first: str, found: Gain) -> str:
    """A verdict as a sentence."""
    known = found.low is not None and found.high is not None
    bounds = f" (95 % interval {found.low:+.3f} to {found.high:+.3f})" if known else ""
    return (
        f"{second} {SAID[found.verdict or 'undecided']} against {first}: {found.metric} {found.first:.3f} -> "
        f"{found.second:.3f}, a difference of {found.difference:+.3f}{bounds} on {found.n} cases"
    )


def left_out(cases: int) -> str:
    """A sentence on cases that could not be compared."""
    return f"{cases} cases held out are left out, since an answer to them could not be scored."


def instruments(run: Run, first: Evidence, second: Evidence) -> list[Version]:
    """What a difference was measured with: the suite, judges, and what the second was compared with."""
    against = [reference for reference in first.about["subjects"] if reference not in second.about["subjects"]]
    return [run.record.resolve(reference) for reference in (*second.about["instruments"], *against)]


def line(one: Candidate, number: int | None = None) -> CandidateLine:
    """A wording for people."""
    return CandidateLine(
        number=one.number if number is None else number,
        origin=one.origin,
        parent=one.parent,
        score=one.score,
        unwanted=one.unwanted,
        tokens=one.tokens,
        calls=one.calls,
        frontier=one.frontier,
    )


def check_save(run: Run, name: str | None) -> None:
    """See before anything is asked that the result can be written; what an earlier search wrote there may be written again.

    Raises:
        UserError: there is such a prompt already, or this is no name.
    """
    if name is not None and _path(run, name).exists() and not _found_before(run, name):
        raise UserError(f"{prompts.FOLDER}/{name}{prompts.SUFFIX} is there already; choose another name for save")


def file_of(run: Run, base: Ground, text: str) -> str:
    """Reference of the file that a wording makes; the header stays as a person wrote it."""
    before = versions.text_of(run.workspace, base.prompt)
    place = Wording.of(versions.prompt_of(run.workspace, base.prompt)).place
    return run.store.put(writing.reworded(before, {place: text}).encode())


def kept(run: Run, base: Ground, text: str, name: str) -> Version:
    """The version that a wording becomes; it descends from all that the search worked on."""
    given = {"name": name, "file": f"{prompts.FOLDER}/{name}{prompts.SUFFIX}", "content": file_of(run, base, text)}
    return run.version(run.step(f"note prompt {name}", keep, inputs=base.inputs, **given)["version"])


def keep(run: Run, *, name: str, file: str, content: str) -> dict[str, str]:
    """Step: make a version of the prompt that was found."""
    return versions.note(run, name=name, file=file, content=content)


def diff(before: str, after: str) -> list[str]:
    """What differs between two wordings, line by line."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=1)
    return list(found)


def save(run: Run, base: Ground, text: str, name: str) -> str:
    """Write the file of a wording; its name below the workspace."""
    path, content = _path(run, name), run.store.get(file_of(run, base, text)).decode()
    if path.exists() and read_text(path) != content:
        check_save(run, name)
    write_text(path, content)
    return f"{prompts.FOLDER}/{path.name}"


def plain(side: Evidence) -> dict[str, Any]:
    """Evidence as JSON of references."""
    return {"name": side.name, "about": dict(side.about), "evidence": dict(side.counts), "summary": list(side.summary)}


def evidence_of(run: Run, found: dict[str, Any]) -> Evidence:
    """The evidence that `plain` gave."""
    return from_outcome(run.store, run.id, found["name"], "", found)


def _found_before(run: Run, name: str) -> bool:
    """Whether a prompt's file is as a search left it, perhaps this one before it was interrupted."""
    version = run.record.latest("prompt", name)
    if version is None:
        return False
    (made,) = run.record.rows(tables.run, tables.run.c.id == version.run)
    file = f"{prompts.FOLDER}/{name}{prompts.SUFFIX}"
    return made["operation"] in SEARCHES and prompts.read(read_text(_path(run, name)), file).digest == version.digest


def _path(run: Run, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise UserError(f"{name[:60]!r} cannot be the name of a prompt; give one such as reply-short")
    return run.workspace.root / prompts.FOLDER / f"{name}{prompts.SUFFIX}"
