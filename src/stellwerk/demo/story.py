"""What the demo shows of signals: a prompt and its proof, a release, a change of one row and one sentence, what mends it.

Each step is an operation that a person can call. What happened once is kept in the demo's note, so that calling the demo again
tells the same story and changes nothing, and one that was interrupted goes on where it was.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from stellwerk.demo import prompting
from stellwerk.demo.changing import change_a_letter
from stellwerk.demo.prompting import Prompted
from stellwerk.errors import StellwerkError
from stellwerk.gates import Signal, State
from stellwerk.report.words import Language
from stellwerk.standing import words
from stellwerk.standing.standing import standing

if TYPE_CHECKING:
    from stellwerk.doors.python import OpenWorkspace
    from stellwerk.release.answers import Verified

SYSTEM = "support-desk"
BOUGHT = "copilot"
CHANGED = "tickets"


class Told(BaseModel):
    """A signal that does not pass, and why, in the languages of the report."""

    gate: str
    subject: str
    state: State
    why: dict[Language, str]


class Change(BaseModel):
    """A letter and a prompt that were changed, and what that did to the signals."""

    letter: str = Field(description="the ticket in which a sentence was added")
    version: str = Field(description="the dataset version that came of it")
    sentence: str = Field(description="that was added to the prompt")
    prompt: str = Field(description="the prompt version that came of it")
    dark: list[Told] = Field(description="signals that the change darkened")
    clear: list[str] = Field(description="gates and versions whose signals stayed clear")
    mended: list[str] = Field(description="the runs that brought them back")


class Begun(BaseModel):
    """The story so far: what the record no longer shows once it went on."""

    prompted: Prompted = Field(description="what became of the prompt before")
    first: str = Field(description="the release before the change")
    change: Change | None = None


class Story(Change):
    """How the demo's systems came to their signals."""

    prompted: Prompted
    first: str = Field(description="the release before the change")
    release: str
    file: str = Field(description="the release as a file, relative to the workspace")
    key: str = Field(description="fingerprint of the key that signed it")
    genuine: bool = Field(description="whether another process, without workspace and key, found the file as it was signed")
    tampered: str = Field(description="what it said of a copy with one byte changed")
    bought: list[Told] = Field(description="what stops the bought system")


def play(
    opened: OpenWorkspace, folder: Path, datasets: Sequence[str], begun: Begun | None, keep: Callable[[Begun], None]
) -> Story:
    """Test and release, change, mend, release again, and verify.

    Args:
        opened: the workspace.
        folder: of the workspace.
        datasets: that are tested before the first release.
        begun: what an earlier call that was interrupted has done.
        keep: is told how far the story is.

    Raises:
        StellwerkError: a step did not do what it is to do.
    """
    opened.release.register(BOUGHT)
    if begun is None:
        for name in datasets:
            opened.data.test(name)
        prompted = prompting.play(opened)
        begun = Begun(prompted=prompted, first=opened.release.make(SYSTEM).release)
        keep(begun)
    change = begun.change
    if change is None:
        change = _change(opened, folder)
        keep(begun.model_copy(update={"change": change}))
    opened.mend(SYSTEM, run=True)
    release = opened.release.make(SYSTEM)
    file = folder / "releases" / f"{release.release.replace('@', '-')}.zip"
    file.parent.mkdir(exist_ok=True)
    done = opened.release.export(release.release, file, overwrite=True)
    return Story(
        **change.model_dump(),
        prompted=begun.prompted,
        first=begun.first,
        release=release.release,
        file=str(file.relative_to(folder)),
        key=done.key,
        genuine=_verify(file, done.key).genuine,
        tampered=_tampered(file, done.key),
        bought=[_told(signal) for signal in standing(opened.workspace, BOUGHT).signals if not signal.passes],
    )


def _change(opened: OpenWorkspace, folder: Path) -> Change:
    """Change a letter and the prompt, and see what is dark and which runs would mend it."""
    letter, sentence = change_a_letter(folder), prompting.change(folder)
    version = opened.data.build(CHANGED).dataset
    prompt = opened.prompts.register(prompting.PROMPT).prompt
    after = standing(opened.workspace, SYSTEM)
    dark = [_told(signal) for signal in after.signals if signal.state == "dark"]
    if not dark or after.releasable:
        raise StellwerkError(f"a changed letter and prompt darkened nothing of {SYSTEM}, which is a fault")
    clear = [f"{told.gate} on {told.subject}" for told in map(_told, after.signals) if told.state == "clear"]
    mended = [run.command.removeprefix("stellwerk ") for run in opened.mend(SYSTEM).runs]
    return Change(
        letter=letter, version=version, sentence=sentence, prompt=prompt, dark=dark, clear=clear, mended=mended
    )  # fmt: skip


def _told(signal: Signal) -> Told:
    return Told(
        gate=signal.gate.name,
        subject=signal.subject.ref if signal.subject else "",
        state=signal.state,
        why={"en": words.reason(signal, "en"), "de": words.reason(signal, "de")},
    )


def _verify(file: Path, key: str) -> Verified:
    """`release verify` in a process of its own, in a folder without a workspace."""
    from stellwerk.release.answers import Verified

    command = [sys.executable, "-m", "stellwerk", "release", "verify", str(file.absolute()), "--fingerprint", key, "--json"]
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in (0, 1):
        raise StellwerkError(f"release verify failed: {done.stderr.strip()}")
    return Verified.model_validate_json(done.stdout)


def _tampered(file: Path, key: str) -> str:
    """What verifying says of a copy in which one byte of a document is another."""
    with tempfile.TemporaryDirectory() as elsewhere:
        copy = Path(elsewhere) / file.name
        with zipfile.ZipFile(file) as original, zipfile.ZipFile(copy, "w") as other:
            for name in original.namelist():
                content = bytearray(original.read(name))
                if name.endswith("dossier.en.html"):
                    content[len(content) // 2] ^= 1
                other.writestr(name, bytes(content))
        said = _verify(copy, key)
    if said.genuine:
        raise StellwerkError("a changed copy of the release passed its check, which is a fault")
    return said.problems[0]
