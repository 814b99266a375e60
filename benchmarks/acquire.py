"""Acquisition: rows a second from PostgreSQL beside dlt, documents a second for each format beside markitdown, in one run.

Each contender reads the same input in a process of its own, one after the other. The server's own work is not counted. Of the
documents, the share of planted words, headings and table cells that stands in the text is measured too: speed without text is
worth nothing. What is not ours is installed below build/peers on first use.

    python -m benchmarks acquire [rows, default 1000000] [documents a format, default 30]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.servers import PostgreSQL

from benchmarks import peers
from benchmarks.acquiring import papers, rows
from benchmarks.tree import Usage, measure

MB = 1e6
MARKITDOWN = ["markitdown[pdf,docx,pptx]", "python-pptx"]
DOCUMENTS = Path(__file__).parent / "acquiring" / "documents.py"
TABLES = ("stellwerk acquire", "stellwerk read", "dlt pyarrow", "dlt connectorx")


def contend(command: list[str], log: Path) -> tuple[Usage, dict[str, Any]]:
    """Run a contender; what it took, and the last line of what it said."""
    used = measure(command, log)
    return used, json.loads(log.read_text().strip().splitlines()[-1])


def tables(count: int) -> None:
    """Rows of a table of eight columns, from a server on this machine to files on this disk."""
    connectorx = peers.folder_of("connectorx", "connectorx")
    print(f"\nPostgreSQL, {count} rows of 8 columns: integer, two texts, numeric, double, boolean, date, timestamp with zone")
    print(f"  {'':20} {'rows/s':>9} {'rows/CPU-s':>10} {'s':>6} {'CPU-s':>6} {'MB PSS':>7}  CPU of stellwerk acquire = 1")
    base = 0.0
    with PostgreSQL() as server, tempfile.TemporaryDirectory() as name:
        server.execute(rows.FILL.format(rows=count))
        server.execute(f"VACUUM ANALYZE {rows.TABLE}")
        for contender in TABLES:
            if contender == "dlt connectorx" and connectorx is None:
                print(f"  {contender:20} connectorx cannot be installed here")
                continue
            folder = Path(name) / contender.replace(" ", "-")
            folder.mkdir()
            added = ["env", f"PYTHONPATH={connectorx}"] if contender == "dlt connectorx" else []
            command = [*added, sys.executable, "-m", "benchmarks.acquiring.rows", contender, server.url(), str(folder)]
            used, said = contend(command, Path(name) / "log")
            base = base or used.cpu
            took = f"{said['seconds']:6.1f} {used.cpu:6.1f} {used.pss / MB:7.0f}  {used.cpu / base:.2f}"
            whole = (said["rows"], said["sum"]) == (count, count * (count + 1) // 2)
            missing = "" if whole else "  NOT ALL ROWS CAME"
            print(f"  {contender:20} {count / said['seconds']:9,.0f} {count / used.cpu:10,.0f} {took}{missing}", flush=True)
    print("  seconds without imports, CPU seconds and memory with them; read: no types out of texts, digest or record")


def documents(count: int) -> None:
    """Documents of each format."""
    python = peers.environment("markitdown", MARKITDOWN)
    if python is None:
        sys.exit("markitdown cannot be installed here; is there a package index?")
    asked = [str(python), "-c", "import importlib.metadata as m; print(m.version('markitdown'))"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    print(f"\nDocuments, {count} of each format, beside markitdown {version}")
    shares = " ".join(f"{share:>6}" for share in ("words", "heads", "cells", "all", "menus"))
    print(f"  {'':17} {'docs/s':>7} {'docs/CPU-s':>10} {'start s':>7} {'MB PSS':>7} {shares}")
    with tempfile.TemporaryDirectory() as name:
        for kind in papers.FORMATS:
            folder = Path(name) / kind
            papers.make(folder, kind, count + 1, python)
            ours = read("stellwerk", sys.executable, folder, Path(name), count)
            theirs = read("markitdown", str(python), folder, Path(name), count)
            if ours and theirs:
                print(f"  {'':17} {ours / theirs:.1f} times as many documents a CPU-second", flush=True)
    print("  shares of what was planted: words of paragraphs; heads that are marked as headings; cells in rows of tables;")
    print("  all of these anywhere; menus, which are no text. The clock starts after the first document, `start s` ends there.")


def read(contender: str, executable: str, folder: Path, place: Path, count: int) -> float:
    """Print what one contender makes of a folder; documents a CPU-second, 0 where it finds nothing of what they say."""
    texts = place / f"{folder.name}-{contender}"
    texts.mkdir()
    used, said = contend([executable, str(DOCUMENTS), contender, str(folder), str(texts)], place / "log")
    label = f"{folder.name:5} {contender:11}"
    if not said["read"]:
        print(f"  {label} cannot read it")
        return 0.0
    got = papers.found({number: _text(texts, number) for number in range(1, count + 1)})
    rate = said["read"] / said["cpu"]
    speed = f"{said['read'] / said['seconds']:7.1f} {rate:10.1f} {said['start']:7.1f} {used.pss / MB:7.0f}"
    shares = " ".join(f"{share:6.0%}" for share in (got.words, got.headings, got.cells, got.anywhere, got.furniture))
    missing = "" if said["read"] == count else f"  read {said['read']} of {count}"
    print(f"  {label} {speed} {shares}{missing}", flush=True)
    return float(rate) if got.anywhere else 0.0


def _text(folder: Path, number: int) -> str:
    path = folder / f"manual{number:03}.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(count: int, each: int) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before it starts")
    tables(count)
    documents(each)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *(1_000_000, 30)[len(given) :])
