"""Packages of others that must never come into our environment: each in a folder of its own below build/, which git ignores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build" / "peers"


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


def node_package(name: str, node: str) -> Path | None:
    """The folder of an npm package with a Node of its own in node_modules/.bin; None where it cannot be installed.

    Args:
        name: of the package.
        node: the major version of Node that it needs; npm then chooses the newest package that runs with it.
    """
    folder = FOLDER / name
    if not (folder / "complete").exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        own = {**os.environ, "PATH": f"{folder / 'node_modules' / '.bin'}:{os.environ['PATH']}"}
        for package in (f"node@{node}", name):
            command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), package]
            if subprocess.run(command, env=own, stdout=subprocess.DEVNULL).returncode:
                return None
        (folder / "complete").touch()
    return folder


def _install(python: Path, arguments: list[str]) -> bool:
    command = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
