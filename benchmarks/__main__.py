"""Runs the benchmarks, all or those that are named, each in a process of its own.

python -m benchmarks                     all of them
python -m benchmarks build_corpora 4     one, with arguments of its own
python -m benchmarks --list              their names and what they measure
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
HELPERS = ("__init__", "__main__", "peers", "tree")


def names() -> dict[str, str]:
    """The benchmarks, and the first line of what each says of itself."""
    files = sorted(path for path in FOLDER.glob("*.py") if path.stem not in HELPERS)
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0] for path in files}


def main(arguments: list[str]) -> int:
    known = names()
    if arguments[:1] == ["--list"]:
        for name, line in known.items():
            print(f"{name:15} {line}")
        return 0
    if arguments and arguments[0] not in known:
        print(f"there is no benchmark {arguments[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in arguments[:1] or known:
        print(f"=== {name}: {known[name]}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments[1:]], cwd=FOLDER.parent).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
