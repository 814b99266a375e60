"""Builds the text corpora of ../shared/data/text: MB a second, MB a CPU-second, peak memory, seconds by step.

Each build is the command `stellwerk data build` on a new workspace. The corpus once, then several times as large: as rows with
other ids, which are exact copies to the build, and as texts whose letters are shifted, which are new documents to it.

    python -m benchmarks build_corpora [how many times larger, default 4]
"""

from __future__ import annotations

import gzip
import json
import lzma
import string
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.tree import Usage, measure

DATA = Path(__file__).parents[2] / "shared" / "data" / "text"
CORPORA = ["gesetze_de.jsonl.xz", "mdn_de.jsonl.xz", "peps_en.jsonl.xz", "eips_en.jsonl.xz", "powershell_versions_en.jsonl.xz",
           "planted_duplicates.jsonl.xz", "langid_lines_de_en.jsonl.gz"]  # fmt: skip
STELLWERK = [sys.executable, "-m", "stellwerk"]
MB = 1e6


def shifted(text: str, by: int) -> str:
    """The text with each letter of a to z moved on in the alphabet."""
    small, large = string.ascii_lowercase, string.ascii_uppercase
    return text.translate(str.maketrans(small + large, small[by:] + small[:by] + large[by:] + large[:by]))


def prepare(folder: Path, times: int, new: bool) -> tuple[int, int]:
    """Make a workspace with the corpora; returns documents and bytes of text."""
    subprocess.run([*STELLWERK, "init", str(folder)], check=True, capture_output=True)
    (folder / "raw").mkdir()
    documents = size = 0
    sources = []
    for file in CORPORA:
        name = file.split("_")[0]
        opened: Any = gzip.open if file.endswith(".gz") else lzma.open
        with opened(DATA / file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        for copy in range(times):
            with (folder / "raw" / f"{name}{copy}.jsonl").open("w", encoding="utf-8") as target:
                for place, row in enumerate(rows):
                    text = shifted(row["text"], copy * 3) if new and copy else row["text"]
                    target.write(json.dumps({**row, "id": f"{row.get('id', place)}/{copy}", "text": text}) + "\n")
                    documents, size = documents + 1, size + len(text.encode())
        sources.append({"name": name, "files": f"raw/{name}*.jsonl", "key": "id"})
    spec = {"languages": ["de", "en"], "sources": sources, "select": {"words": {"min": 3}}}
    (folder / "datasets").mkdir()
    (folder / "datasets" / "corpora.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return documents, size


def asked(folder: Path, *command: str) -> Any:
    found = subprocess.run([*STELLWERK, *command, "--json", "-w", str(folder)], check=True, capture_output=True, text=True)
    return json.loads(found.stdout)


def build(title: str, times: int, new: bool = False) -> Usage:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "workspace"
        documents, size = prepare(folder, times, new)
        command = [*STELLWERK, "data", "build", "corpora", "-w", str(folder), "--json"]
        used = measure(command, Path(name) / "log")
        again = measure(command, Path(name) / "log")
        shown = asked(folder, "runs", "list")["runs"]
        steps = asked(folder, "runs", "show", shown[-1]["run"])["steps"]
        kept = sum(file.stat().st_size for file in (folder / ".stellwerk").rglob("*") if file.is_file())
        counts = asked(folder, "data", "build", "corpora")["counts"]
    print(f"\n{title}: {documents} documents, {size / MB:.1f} MB of text")
    print(f"  {size / MB / used.wall:6.2f} MB/s            ({used.wall:.1f} s)")
    print(f"  {size / MB / used.cpu:6.2f} MB/CPU-s        ({used.cpu:.1f} CPU-s in up to {used.processes} processes)")
    print(f"  {used.pss / MB:6.0f} MB peak PSS     ({used.rss / MB:.0f} MB peak RSS)")
    print(f"  {kept / MB:6.0f} MB on disk")
    print(f"  {again.wall:6.2f} s to see that nothing changed")
    print(f"  read {counts['read']} = kept {counts['kept']} + changed {counts['changed']} + dropped {counts['dropped']}")
    table(steps)
    return used


def table(steps: list[dict[str, Any]]) -> None:
    """Seconds by kind of step, the sources together."""
    kinds: dict[str, list[float]] = {}
    for step in steps:
        words = step["step"].split()
        kind = words[0] if words[0] in ("read", "type", "load", "join", "shape") else step["step"]
        entry = kinds.setdefault(kind, [0, 0])
        entry[0] += step["shards"]
        entry[1] += step["seconds"]
    print(f"    {'step':22} {'parts':>6} {'s':>7}")
    for kind, (parts, seconds) in kinds.items():
        print(f"    {kind:22} {parts:6.0f} {seconds:7.2f}")


def main(times: int) -> None:
    if not DATA.is_dir():
        sys.exit(f"the corpora are not here: {DATA}")
    once = build("once", 1)
    copies = build(f"{times} times, copies", times)
    new = build(f"{times} times, new texts", times, new=True)
    growth = f"{copies.pss / once.pss:.2f} (copies) and {new.pss / once.pss:.2f} (new texts)"
    print(f"\npeak PSS grows by {growth} for {times} times the input; the target is below 1.5")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
