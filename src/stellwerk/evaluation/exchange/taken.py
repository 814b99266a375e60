"""What an importer gives: the suite's file as a value, files of cases beside it, and what could not be taken over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from stellwerk.errors import UserError
from stellwerk.specfile import MAXIMUM_BYTES


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
        """The suite's file.

        Raises:
            UserError: it would be too long, as one in which aliases repeat long texts.
        """
        import yaml

        todo: list[Any] = [self.value]
        size = 0
        while todo and size <= MAXIMUM_BYTES:
            part = todo.pop()
            size += len(part) if isinstance(part, str) else 1
            todo += [*part, *part.values()] if isinstance(part, dict) else part if isinstance(part, list) else []
        if size > MAXIMUM_BYTES:
            raise UserError(f"its tests have over {MAXIMUM_BYTES >> 20} MiB; put them into a CSV or JSON Lines file beside it")
        return yaml.safe_dump(self.value, sort_keys=False, allow_unicode=True, width=120)


def lines(rows: list[dict[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows).encode(errors="replace")
