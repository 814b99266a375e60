"""Files of a source: which ones there are, and reading them in groups, each group a remembered step.

A file lies below the workspace, or was brought into the store from an object store or the web (`remote.py`); its entry then
names the artifact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellwerk.errors import StellwerkError
from stellwerk.jobs.data.files.find import find_files, shown
from stellwerk.jobs.data.files.reading import ReadOptions, read
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources.part import SHARD_BYTES, Gathering, Part

if TYPE_CHECKING:
    from stellwerk.run import Run

GROUP_BYTES = 8 * 2**20
GROUP_FILES = 500
# Not in the file, but in the machine that reads it.
PASSING = ("too_slow", "ocr_missing", "ocr_failed", "extractor_failed", "unreadable_file")
Entry = dict[str, Any]  # of a file: name as shown, sha256, bytes; content and more where it came from elsewhere


def read_all(run: Run, source: Source, files: list[Entry]) -> list[Part]:
    """Read files in groups; a group whose files are as they were is not read again."""
    label, parts, done = f"read {source.name}", [], 0
    options = asdict(_options(source))
    for group in _groups(files):
        run.progress(label, done, len(files), "files")
        asked: dict[str, Any] = {"files": [_identity(file) for file in group], "options": options}
        part = run.step(label, read_files, **asked)
        if part["passing"] not in (None, run.id):  # what was in the way of an earlier run may be gone
            part = run.step(label, read_files, **asked, run_id=run.id)
        parts.append(part)
        done += len(group)
    run.progress(label, done, len(files), "files")
    return parts


def fingerprint(run: Run, source: Source, patterns: list[str]) -> list[Entry]:
    """The files below the workspace that match now: path as shown, SHA-256, bytes."""
    root, found = run.workspace.root, []
    matches = sorted({path for pattern in patterns for path in find_files(root, pattern)}, key=Path.as_posix)
    for count, path in enumerate(matches):
        run.progress(f"find {source.name}", count, len(matches), "files")
        name = shown(path, root)
        found.append({"name": name, "sha256": _digest(path), "bytes": path.stat().st_size if path.is_file() else 0})
    run.progress(f"find {source.name}", len(matches), len(matches), "files")
    return found


def read_files(run: Run, *, files: list[Entry], options: dict[str, Any], run_id: str | None = None) -> Part:
    """Step: read a group of files into shards."""
    del run_id
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    how = ReadOptions(**given)
    gathering = Gathering(run)
    for file in files:
        if "content" in file:
            told = replace(how, format=how.format or file.get("format"))
            for piece in read(run.store.path(file["content"]), file["name"], told):
                gathering.add(piece, file["name"])
            continue
        path = run.workspace.root / file["name"]
        begun = _stamp(path)
        for piece in read(path, file["name"], how):
            gathering.add(piece, file["name"])
        # The rows must be those of the bytes that the record names, also where a change left the size as it was.
        if _stamp(path) != begun or _digest(path) != file["sha256"]:
            raise StellwerkError(f"{file['name']} was changed while it was read; start the command again")
    return gathering.part(passing=run.id if gathering.met(PASSING) else None)


def _identity(file: Entry) -> Entry:
    """What the rows of a file depend on: not when it was last asked for."""
    return {name: file[name] for name in ("name", "sha256", "bytes", "content", "format") if file.get(name) is not None}


def _groups(files: list[Entry]) -> Iterator[list[Entry]]:
    """Small files together, large ones alone: a group is read again as a whole when one of its files changes."""
    group: list[Entry] = []
    size = 0
    for file in files:
        if group and (size + file["bytes"] > GROUP_BYTES or len(group) >= GROUP_FILES):
            yield group
            group, size = [], 0
        group.append(file)
        size += file["bytes"]
    if group:
        yield group


def _options(source: Source) -> ReadOptions:
    csv = source.csv
    return ReadOptions(
        format=source.format,
        separator=csv.separator,
        encoding=csv.encoding,
        decimal=csv.decimal,
        quote=csv.quote,
        sheet=source.sheet,
        batch_bytes=SHARD_BYTES,
        **{**source.documents.model_dump(), "ocr_languages": tuple(source.documents.ocr_languages)},
    )


def _digest(path: Path) -> str:
    if not path.is_file():
        return "not a file"  # to open a pipe would wait for ever
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
