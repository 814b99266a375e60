"""The sample company whose data the demo runs on."""

from __future__ import annotations

from pathlib import Path

# Where the demo works unless another folder is given.
FOLDER = Path("demo-workspace")
