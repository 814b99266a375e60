"""Packages of others that must never come into our environment: each in a folder of its own below build/, which git ignores."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "peers"
MARKITDOWN = ["markitdown[pdf,docx,pptx]", "python-pptx"]


def environment(name: str, packages: list[str]) -> Path | None:
    """The Python of a virtual environment with packages, made on first use; None where they cannot be installed."""
    folder = FOLDER / name
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, clear=True, with_pip=True)
        if not _install(python, packages):
            return None
        (folder / "complete").touch()
    return python


def folder_of(name: str, package: str) -> Path | None:
    """A folder that holds one package without what it needs, to be added to PYTHONPATH; None where it cannot be installed."""
    folder = FOLDER / name
    if not (folder / "complete").exists():
        if not _install(Path(sys.executable), ["--no-deps", "--target", str(folder), package]):
            return None
        (folder / "complete").touch()
    return folder


def _install(python: Path, arguments: list[str]) -> bool:
    command = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
