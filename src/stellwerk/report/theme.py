"""The colours of reports in light and dark, read from the style sheet, for what knows no CSS: PDF and PNG."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_STYLE: Final = Path(__file__).parent / "templates" / "style.css"


@cache
def colours(dark: bool = False) -> dict[str, str]:
    """The colours by name, such as ink: #16202e."""
    blocks = re.findall(r":root \{([^}]*)\}", _STYLE.read_text("utf-8"))
    found = re.findall(r"--([a-z]+): (#[0-9a-f]{6})", "".join(blocks if dark else blocks[:1]))
    return dict(found)


def resolved(svg: str, dark: bool = False) -> str:
    """Put colours in the place of variables in the attributes of an SVG."""
    known = colours(dark)
    return re.sub(r'"var\(--([a-z]+)[^)"]*\)"', lambda found: f'"{known[found[1]]}"', svg)
