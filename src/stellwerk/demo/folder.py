"""The folder of a demo: the sample company's files and spec files in a workspace, made once, gone on with, or made anew.

Files are written beside their place and moved there when they are whole, so an interrupted demo goes on where it stopped.
Builds nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field

from stellwerk.demo.company import FILES, file_text, generate
from stellwerk.demo.network import Watched
from stellwerk.demo.story import Begun, Story
from stellwerk.errors import UserError
from stellwerk.workspace import FILE, LOCK, STATE, Workspace, write_text

TICKETS: Final = 20_000
SEED: Final = 1
NOTE: Final = "demo.json"
WRITTEN: Final = ("raw", "truth")
RELEASES: Final = "releases"
NETWORK: Final = """
network:
  allow: [127.0.0.1]                  # the demo's own server, from which the service handbook is read
"""
OURS: Final = (*WRITTEN, *FILES, RELEASES, STATE, FILE, LOCK, ".gitignore", "report.html")


class Note(BaseModel):
    """What the demo knows about its folder, in truth/demo.json."""

    tickets: int
    seed: int
    articles: int
    holdings: dict[str, int] = Field({}, description="how many of each thing the company has")
    port: int = Field(0, description="at which the handbook's server answered last, so that its address stays")
    seconds: float | None = None
    network: Watched | None = None
    begun: Begun | None = Field(None, description="how far the story is")
    story: Story | None = None


def prepare(
    folder: Path, tickets: int | None, seed: int | None, again: bool, progress: Callable[[int, int], None] | None = None
) -> tuple[Note, bool]:
    """Make sure that a folder holds a workspace with the sample company's files.

    Args:
        folder: the workspace.
        tickets: how many; None for those that are there, else 20,000.
        seed: of the company; None for the one that is there, else 1.
        again: make everything anew.
        progress: called with (tickets written, tickets).

    Returns:
        The folder's note, and whether the files were written by this call.

    Raises:
        UserError: the folder holds something else, or a demo of another size or seed.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder that is to hold the demo")
    if tickets is not None and tickets < 1:
        raise UserError(f"tickets is {tickets}, expected 1 or more")
    there = _complete(folder)
    if again:
        _clear(folder, there)
        there = None
    if there:
        _check_same(folder, there, tickets, seed)
        _make_workspace(folder)
        _write_specs(folder)
        return there, False
    _check_free(folder)
    partial = _partial(folder)
    shutil.rmtree(partial, ignore_errors=True)
    # Made first: it marks the workspace as a demo's, wherever this is interrupted.
    partial.mkdir(parents=True)
    _make_workspace(folder)
    truth = generate(partial, TICKETS if tickets is None else tickets, SEED if seed is None else seed, progress)
    note = Note(tickets=truth.tickets, seed=SEED if seed is None else seed, articles=truth.articles, holdings=truth.holdings)
    keep(partial, note)
    _move(folder)
    _write_specs(folder)
    return note, True


def keep(folder: Path, note: Note) -> None:
    """Write the folder's note."""
    write_text(folder / "truth" / NOTE, note.model_dump_json(indent=2) + "\n")


def read_note(folder: Path) -> Note | None:
    """The note of a folder, None where no demo was made in it."""
    path = folder / "truth" / NOTE
    try:
        return Note.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UserError(f"{path} cannot be read; make the demo anew in another folder: stellwerk demo FOLDER") from None


def size(folder: Path) -> int:
    """Bytes that a folder uses."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _complete(folder: Path) -> Note | None:
    """The note of a folder whose files are whole; finishes a move that was interrupted."""
    if read_note(_partial(folder)) is not None:
        _move(folder)
    return read_note(folder)


def _move(folder: Path) -> None:
    partial = _partial(folder)
    for name in WRITTEN:  # the truth, which holds the note, goes last
        if (partial / name).exists():
            (partial / name).replace(folder / name)
    partial.rmdir()


def _partial(folder: Path) -> Path:
    return folder / STATE / "demo"


def _make_workspace(folder: Path) -> None:
    """Make the folder a workspace that may reach the demo's own server."""
    Workspace.init(folder)
    said = (folder / FILE).read_text(encoding="utf-8")
    if "network:" not in said:
        write_text(folder / FILE, said + NETWORK)


def _write_specs(folder: Path) -> None:
    """Write the spec files that are not there; one that a person has changed stays."""
    for name in FILES:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            write_text(path, file_text(name))


def _check_same(folder: Path, there: Note, tickets: int | None, seed: int | None) -> None:
    if not there.holdings:
        raise UserError(f"{folder} holds a demo of an earlier version, which had less; start over with --again")
    for what, wanted, has in (("tickets", tickets, there.tickets), ("seed", seed, there.seed)):
        if wanted is not None and wanted != has:
            raise UserError(
                f"{folder} holds a demo with {what} {has}, not {wanted}; start over with --again, or give another folder"
            )


def _check_free(folder: Path) -> None:
    """See that a folder holds nothing of a person's that a demo would mix with."""
    if folder.is_file():
        raise UserError(f"{folder} is a file; give the folder that is to hold the demo: stellwerk demo FOLDER")
    if _partial(folder).exists():
        return
    for name in (*WRITTEN, FILE, *FILES):
        if (folder / name).exists():
            raise UserError(f"{folder / name} is there and is not a demo's; give another folder: stellwerk demo FOLDER")


def _clear(folder: Path, there: Note | None) -> None:
    """Remove what a demo made, and nothing else."""
    if there is None:
        _check_free(folder)
    for path in (folder / name for name in OURS):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for place in {(folder / name).parent for name in FILES}:
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
