"""`stellwerk demo`: a workspace of a sample company, its datasets built, and what was found against what was planted.

Knows the order of things. The files, the comparison, the page and what the terminal shows come from the modules beside it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from stellwerk.demo import FOLDER
from stellwerk.errors import UserError

if TYPE_CHECKING:
    from stellwerk.demo.folder import Note
    from stellwerk.demo.scoring import Case, Comparison
    from stellwerk.demo.story import Story
    from stellwerk.demo.telling import DemoReport
    from stellwerk.jobs.data.reports import BuildReport, TestReport
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace

REPORT = "report.html"
Language = Literal["en", "de"]


def demo(
    folder: Path = FOLDER,
    *,
    tickets: int | None = None,
    seed: int | None = None,
    again: Annotated[bool, Parameter(negative=())] = False,
    missed: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    company: Annotated[bool, Parameter(negative=())] = False,
    serve: Annotated[bool, Parameter(negative=())] = False,
    language: Language = "en",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Make a workspace of a sample company, build its datasets, compare found with planted, and release its system.

    Args:
        folder: the workspace; it is made if it is not there, and gone on with if it is.
        tickets: letters to the support desk; 20000 unless given.
        seed: of the company: another seed is another company; 1 unless given.
        again: start over: first remove what the demo made in this folder.
        missed: list what was planted and missed, and false alarms, with the reasons; of the kinds named, or of all.
        company: build nothing; keep the company's own server running and print what a build by hand needs.
        serve: open the pages on the workspace when it is made, until Ctrl-C.
        language: of report.html, en or de.
        json: print the result as JSON.
    """
    from stellwerk.demo import telling
    from stellwerk.doors.terminal import show
    from stellwerk.run import Interrupted

    try:
        if company:
            return keep_open(folder, tickets, seed, again)
        if missed is not None:
            comparison, cases = look(folder)
            telling.tell_cases(telling.chosen(comparison, cases, missed), comparison, folder, json)
            return 0
        result = make(folder, tickets, seed, again, language)
    except (KeyboardInterrupt, Interrupted):
        command = telling.command("demo", folder)
        print(f"interrupted; what is finished is kept, go on with: {command}", file=sys.stderr)
        return 130
    if json:
        show(result, as_json=True)
    else:
        telling.tell(result, folder)
    if serve:
        from stellwerk.doors.serve import serve as serve_pages

        return serve_pages(workspace=folder, open_=True)
    return 0


def make(
    folder: Path, tickets: int | None = None, seed: int | None = None, again: bool = False, language: Language = "en"
) -> DemoReport:
    """Do the whole demo, or what is left of it.

    Args:
        folder: the workspace.
        tickets: letters; None for as many as there are, else 20,000.
        seed: of the company; None for the one that is there, else 1.
        again: start over.
        language: of report.html.

    Raises:
        UserError: the folder holds something else, or another demo.
        StellwerkError: a build failed.
    """
    from stellwerk.demo import folder as place
    from stellwerk.demo.handbook_server import serving
    from stellwerk.demo.inventory import inventory
    from stellwerk.demo.network import result, watching
    from stellwerk.demo.scoring import compare
    from stellwerk.demo.telling import DemoReport, next_commands
    from stellwerk.workspace import Workspace

    started = time.monotonic()
    with watching() as watch:
        note, written = prepare(folder, tickets, seed, again)
        with serving(folder, note.port) as server:
            note = note.model_copy(update={"port": server.port})
            place.keep(folder, note)
            workspace = Workspace(folder)
            before = {version.ref for version in workspace.record.versions()}
            builds = build(workspace)
        versions = [workspace.record.resolve(report.dataset) for report in builds]
        comparison, _ = compare(folder, workspace.store, versions)
        told = note.story or play(workspace, folder, note)
        tests = test(workspace, [report.dataset for report in builds])
        unchanged = not written and note.story is not None and all(report.dataset in before for report in builds)
        note = note.model_copy(update={"story": told})
        if not unchanged or note.seconds is None:
            note = note.model_copy(update={"seconds": time.monotonic() - started, "network": result(watch, note.port)})
            place.keep(folder, note)
        write_report(workspace, folder, note, comparison, versions, language)
    return DemoReport(
        workspace=str(folder),
        tickets=note.tickets,
        articles=note.articles,
        holdings=inventory(note.holdings, versions, workspace.record, workspace.store),
        unchanged=unchanged,
        builds=builds,
        tests=tests,
        planted=comparison,
        seconds=time.monotonic() - started,
        disk_bytes=place.size(folder),
        network=result(watch, note.port),
        story=told,
        report=str(folder / REPORT),
        next=[command for command, _ in next_commands(folder)],
    )


def prepare(folder: Path, tickets: int | None, seed: int | None, again: bool) -> tuple[Note, bool]:
    """Write the company's files, where they are not there, and show how far that is."""
    from stellwerk.demo import folder as place
    from stellwerk.doors.terminal import progress

    with progress() as listener:
        return place.prepare(
            folder, tickets, seed, again, lambda done, total: listener("write the company", done, total, "tickets")
        )


def keep_open(folder: Path, tickets: int | None, seed: int | None, again: bool) -> int:
    """Serve the company's handbook until Ctrl-C, so that a person can build by hand in another terminal."""
    from stellwerk.demo import folder as place
    from stellwerk.demo import telling
    from stellwerk.demo.handbook_server import serving

    note, _ = prepare(folder, tickets, seed, again)
    with serving(folder, note.port) as server:
        place.keep(folder, note.model_copy(update={"port": server.port}))
        telling.tell_server(server, folder)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


def build(workspace: Workspace) -> list[BuildReport]:
    """Build the company's datasets; what was done before is not done again."""
    from stellwerk.demo.company import DATASETS
    from stellwerk.doors.python import OpenWorkspace
    from stellwerk.doors.terminal import progress

    reports = []
    for name in DATASETS:
        with progress() as listener:
            workspace.listener = listener
            reports.append(OpenWorkspace(workspace).data.build(name))
    return reports


def play(workspace: Workspace, folder: Path, note: Note) -> Story:
    """Release the company's system, change a letter, and bring back what that darkened."""
    from stellwerk.demo import folder as place
    from stellwerk.demo import story
    from stellwerk.demo.company import DATASETS
    from stellwerk.doors.python import OpenWorkspace
    from stellwerk.doors.terminal import progress

    with progress() as listener:
        workspace.listener = listener
        opened = OpenWorkspace(workspace)
        return story.play(
            opened, folder, DATASETS, note.begun, lambda begun: place.keep(folder, note.model_copy(update={"begun": begun}))
        )


def test(workspace: Workspace, versions: Sequence[str]) -> list[TestReport]:
    """Run the data tests that the specs ask for."""
    from stellwerk.doors.python import OpenWorkspace

    return [OpenWorkspace(workspace).data.test(version) for version in versions]


def look(folder: Path) -> tuple[Comparison, list[Case]]:
    """Compare planted and found in a demo that was made before; builds nothing.

    Raises:
        UserError: there is no finished demo in the folder.
    """
    from stellwerk.demo import telling
    from stellwerk.demo.company import DATASETS
    from stellwerk.demo.folder import read_note
    from stellwerk.demo.scoring import compare
    from stellwerk.workspace import Workspace

    note = read_note(folder)
    if note is None or note.seconds is None:
        raise UserError(f"there is no finished demo in {folder}; make it with: {telling.command('demo', folder)}")
    workspace = Workspace(folder)
    return compare(folder, workspace.store, [workspace.record.resolve(f"dataset/{name}") for name in DATASETS])


def write_report(
    workspace: Workspace,
    folder: Path,
    note: Note,
    comparison: Comparison,
    versions: Sequence[Version],
    language: Language,
) -> None:
    """Write report.html into the workspace."""
    from stellwerk.demo import page
    from stellwerk.demo.folder import size
    from stellwerk.demo.telling import command, next_commands
    from stellwerk.report.page import render
    from stellwerk.workspace import write_text

    weakest = command("demo", folder, "--missed", comparison.weakest.kind) if comparison.weakest else ""
    report = page.report(
        note,
        comparison,
        versions,
        workspace.record,
        workspace.store,
        (size(folder), size(folder / "raw")),
        next_commands(folder, language),
        weakest,
        language,
    )
    write_text(folder / REPORT, render(report, language))
