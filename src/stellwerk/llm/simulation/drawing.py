"""Draws that follow from what was asked: the same words give the same number on every machine, in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def draw(*words: object) -> float:
    """A number in [0, 1) that follows from the words alone."""
    key = "\x1f".join(str(word) for word in words).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=7).digest()) / 2**56


def pick(choices: Sequence[T], *words: object) -> T:
    """One of some choices, which follows from the words alone."""
    return choices[int(draw(*words) * len(choices))]
