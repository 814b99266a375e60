"""Finding the files of a source by a pattern, inside one folder only.

It knows paths and patterns; it opens no file.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path

from stellwerk.errors import UserError

_MAGIC = "*?["
STATE = ".stellwerk"


def find_files(root: Path, pattern: str) -> list[Path]:
    """Find the files that match a pattern.

    Args:
        root: the folder that relative patterns start from and must stay in.
        pattern: a glob such as `raw/*.csv` or `raw/**/*.md`; an absolute one is allowed, as a person wrote it into a
            spec on purpose.

    Returns:
        Files (and broken links, so that they are reported and not skipped), sorted by path, without folders and
        hidden files.

    Raises:
        UserError: the pattern climbs out of the folder, or nothing matches.
    """
    if not pattern.strip() or "\0" in pattern:
        raise UserError("The pattern of files is empty; give one such as raw/*.csv.")
    if ".." in Path(pattern).parts:
        raise UserError(
            f"The pattern '{pattern}' climbs out of the workspace with '..'; give a path inside it or an absolute one."
        )
    outside = Path(pattern).is_absolute()
    full = pattern if outside else f"{glob.escape(str(root))}/{pattern}"
    matches = [Path(match) for match in glob.iglob(full, recursive=True)]  # noqa: PTH207  (Path.glob follows no `**` links alike on all versions)
    if not outside:
        leaving = [path for path in matches if not _inside(path, root)]
        if leaving:
            name = leaving[0].relative_to(root)
            raise UserError(
                f"'{name}', matched by '{pattern}', is a link out of the workspace; "
                "copy the file into it or give its absolute path."
            )
    found = sorted({path for path in matches if path.is_symlink() or not path.is_dir()}, key=lambda path: path.as_posix())
    if any(_inside(path, root / STATE) for path in found):
        raise UserError(f"'{pattern}' matches files in {STATE}/, the keys and the record of the workspace; they are no source")
    if not found:
        raise UserError(_nothing(root, pattern, Path(full)))
    return found


def shown(path: Path, root: Path) -> str:
    """Write a path as the user is shown it: relative to the folder where it lies inside."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()


def _inside(path: Path, root: Path) -> bool:
    # Path.resolve fails on a link to itself, which is to be reported as a file that cannot be read.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _nothing(root: Path, pattern: str, full: Path) -> str:
    folder = full
    while folder != folder.parent and (any(sign in folder.name for sign in _MAGIC) or not folder.is_dir()):
        folder = folder.parent
    if not Path(pattern).is_absolute() and not folder.is_relative_to(root):
        folder = root
    entries = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))[:5] if folder.is_dir() else []
    holds = f"which holds {', '.join(entries)}" if entries else "which is empty"
    return (
        f"No file matches '{pattern}'; the nearest folder that exists is {folder}, {holds}. "
        "Correct the pattern or put the files there."
    )
