"""What an importer gives: the suite's file as a value, files of cases beside it, and what could not be taken over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Taken:
    """A suite out of another tool.

    Attributes:
        value: what `suites/NAME.yaml` will say.
        files: content of further files, by their path within `suites/NAME/`.
        left_out: sentences.
    """

    value: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The suite's file."""
        import yaml

        return yaml.safe_dump(self.value, sort_keys=False, allow_unicode=True, width=120)


def lines(rows: list[dict[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows).encode(errors="replace")
