"""How long a text is for a model: an estimate for any model, the exact count where its tokeniser lies on this machine.

The estimate knows no tokeniser and is a rule of thumb, good to compare two wordings: a word of plain ASCII is a token for each
six letters begun, one with other Latin letters for each four, other alphabets take more, and each sign is one.
"""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.errors import MissingExtra

if TYPE_CHECKING:
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.workspace import Workspace

_PIECE = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_+|\n+")


def estimate(text: str) -> int:
    """About how many tokens a text has."""
    return sum(map(_length, _PIECE.findall(text)))


def _length(piece: str) -> int:
    if not piece[0].isalpha():
        return math.ceil(len(piece) / 3) if piece[0].isdigit() else 1
    if piece.isascii():
        return math.ceil(len(piece) / 6)
    plain = sum(letter < "\u0250" for letter in piece)  # Latin letters with signs, as in German
    return math.ceil(plain / 4 + (len(piece) - plain) / 1.5)


def count(workspace: Workspace, spec: ModelSpec, text: str) -> int | None:
    """How many tokens a model of this machine makes of a text; None for one whose tokeniser is not here.

    Raises:
        MissingExtra: the tokeniser is here, and the package that reads it is not.
    """
    if spec.weights is None:
        return None
    path = workspace.root / spec.weights / "tokenizer.json"
    return _exact(path, text) if path.is_file() else None


def _exact(path: Path, text: str) -> int:
    try:
        tokenizer = _tokenizer(path, path.stat().st_mtime_ns)
    except ModuleNotFoundError:
        raise MissingExtra("train", "tokenizers") from None
    return len(tokenizer.encode(text, add_special_tokens=False).ids)  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=2)
def _tokenizer(path: Path, _changed: int) -> object:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))
