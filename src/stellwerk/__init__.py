"""Stellwerk: the signal box for generative AI in a company.

import stellwerk
workspace = stellwerk.open("my-folder")
workspace.data.build("tickets")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stellwerk.doors.python import OpenWorkspace

__version__ = "0.1.0"


def open(path: str | Path | None = None) -> OpenWorkspace:
    """Open a workspace: the folder at `path`, or the one that the current folder is in."""
    from stellwerk.doors.python import open_workspace

    return open_workspace(path)
