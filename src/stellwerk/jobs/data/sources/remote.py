"""Files of object stores and of the web, brought into the store before they are read.

An object that has not changed is not fetched again. What was read is kept as an artifact, so that a state can be made again
though the file at the other end has changed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from stellwerk.jobs.data.source_spec import Source

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run

Entry = dict[str, Any]


def is_remote(pattern: str) -> bool:
    """Whether a pattern of files names an object store or the web."""
    return pattern.lower().startswith(("s3://", "https://", "http://"))


def fetch(run: Run, source: Source, patterns: list[str], latest: Version | None) -> list[Entry]:
    """Bring files into the store.

    Args:
        run: the run at work.
        source: says who asks.
        patterns: addresses and patterns of the source that are remote.
        latest: the newest version of the source, which knows what was fetched before.

    Returns:
        An entry a file: name, sha256, bytes, content (the artifact), and what the other end says of its state.
    """
    known = {file["name"]: file for file in latest.facts["made_from"]["files"]} if latest else {}
    entries: list[Entry] = []
    for pattern in patterns:
        if pattern.lower().startswith("s3://"):
            entries += _objects(run, source, pattern)
        else:
            entries.append(_page(run, source, pattern, known))
    return entries


def _objects(run: Run, source: Source, pattern: str) -> list[Entry]:
    from stellwerk.jobs.data.sources import objects

    label, entries = f"fetch {source.name}", []
    found = objects.list_objects(pattern, source, run.workspace)
    for count, entry in enumerate(found):
        run.progress(label, count, len(found), "files")
        asked = source.model_dump(mode="json", include={"name", "files", "s3"})
        entries.append(run.step(label, fetch_object, source=asked, found=objects.as_json(entry)))
    run.progress(label, len(found), len(found), "files")
    return entries


def fetch_object(run: Run, *, source: dict[str, Any], found: dict[str, Any]) -> Entry:
    """Step: fetch one object; one whose tag is as it was is not fetched again."""
    from stellwerk.jobs.data.sources import objects

    entry = objects.from_json(found)
    with run.store.partial() as path:
        objects.download(entry, path, Source.model_validate(source), run.workspace, run.check)
        return {"name": objects.shown(entry), **_kept(run, path)}


def _page(run: Run, source: Source, url: str, known: dict[str, Entry]) -> Entry:
    from stellwerk.jobs.data.sources import web

    before = known.get(web.shown(url))
    if before is not None and not run.store.has(before["content"]):
        before = None
    asked = source.model_dump(mode="json", include={"name", "files", "auth"})
    found: Entry = run.step(f"fetch {source.name}", fetch_page, source=asked, url=url, before=before, run_id=run.id)
    return found


def fetch_page(run: Run, *, source: dict[str, Any], url: str, before: Entry | None, run_id: str) -> Entry:
    """Step: ask for one file of the web, and fetch it unless it is as it was."""
    from stellwerk.jobs.data.sources import web

    del run_id
    with run.store.partial() as path:
        found = web.fetch(url, Source.model_validate(source), run.workspace, before, path, run.check)
        if not found.changed and before is not None:
            return before
        said = {"etag": found.etag, "last_modified": found.last_modified, "format": found.format, "notes": list(found.notes)}
        return {"name": found.url, **_kept(run, path), **{name: value for name, value in said.items() if value}}


def _kept(run: Run, path: Any) -> Entry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    return {"sha256": digest, "bytes": size, "content": run.store.put_file(path)}
