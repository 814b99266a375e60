"""Reads a folder of documents, with our readers or with markitdown; run by the benchmark `acquire` as a process of its own.

    PYTHON benchmarks/acquiring/documents.py CONTENDER FOLDER TEXTS

It needs nothing beside the contender, for markitdown has an environment of its own. The first document is read before the clock
starts. The last line of its output is JSON; the texts lie in the folder TEXTS.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def stellwerk() -> Callable[[Path], str | None]:
    from stellwerk.jobs.data.files.reading import Unreadable, read

    def text(path: Path) -> str | None:
        pieces: list[Any] = list(read(path, path.name))
        problem = next((piece.reason for piece in pieces if isinstance(piece, Unreadable)), None)
        if problem:
            print(problem)
            return None
        return "\n\n".join(part for piece in pieces for part in piece["text"].to_pylist() if part)

    return text


def markitdown() -> Callable[[Path], str | None]:
    from markitdown import MarkItDown, MarkItDownException

    reader = MarkItDown()

    def text(path: Path) -> str | None:
        try:
            return str(reader.convert(str(path)).text_content)
        except MarkItDownException as problem:
            print(type(problem).__name__)
            return None

    return text


def cpu() -> float:
    """CPU seconds so far of this process, of those that it ended, and of those that work for it now."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(used.ru_utime + used.ru_stime for used in spent)
    if "psutil" in sys.modules:
        for child in sys.modules["psutil"].Process().children(recursive=True):
            times = child.cpu_times()
            total += times.user + times.system
    return total


def main(contender: str, folder: str, target: str) -> None:
    begun = time.perf_counter()
    text = {"stellwerk": stellwerk, "markitdown": markitdown}[contender]()
    if contender == "stellwerk":
        import psutil  # noqa: F401  its readers work in a child
    paths, read = sorted(Path(folder).iterdir()), 0
    text(paths[0])
    ready, spent = time.perf_counter(), cpu()
    for path in paths[1:]:
        found = text(path)
        if found is not None:
            read += 1
            (Path(target) / f"{path.stem}.md").write_text(found, encoding="utf-8")
    done = {"read": read, "seconds": time.perf_counter() - ready, "cpu": cpu() - spent, "start": ready - begun}
    print("\n" + json.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
