"""The words of a batch of texts as 64-bit numbers.

A word is a maximal run of `\\w` characters (letters, digits and underscore of all scripts); its hash ignores case.
Knows nothing
of languages, sub-word tokens of models or punctuation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stellwerk.text.characters import (
    I64,
    U64,
    WORD,
    Characters,
    blocks,
    characters,
    owners,
    runs,
    stretch_hashes,
    text_array,
)


class Tokens(NamedTuple):
    """The words of n_docs texts, n_words together, in reading order."""

    hashes: U64
    """Hash of each word, lower-cased character by character, shape (n_words,)."""
    starts: I64
    """Index of the first word of each text, and n_words at the end, shape (n_docs + 1,)."""
    lengths: npt.NDArray[np.int32]
    """Characters of each word, shape (n_words,)."""


def tokenize(texts: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> Tokens:
    """The words of all texts.

    Args:
        texts: strings; a missing one counts as empty.

    Returns:
        Hashes, starts and lengths. Equal words have equal hashes in every batch, run and machine.
    """
    parts = [block_tokens(characters(block)) for block in blocks(text_array(texts))]
    if not parts:
        return Tokens(np.zeros(0, np.uint64), np.zeros(1, np.int64), np.zeros(0, np.int32))
    shifts = np.cumsum([0, *(part.starts[-1] for part in parts)])
    starts = [part.starts[:-1] + shift for part, shift in zip(parts, shifts, strict=False)]
    return Tokens(
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([*starts, shifts[-1:]]),
        np.concatenate([part.lengths for part in parts]),
    )


def block_tokens(block: Characters) -> Tokens:
    """The words of one block of characters."""
    begin, end = word_runs(block)
    (hashes,) = stretch_hashes(block.codes, (begin, end))
    return Tokens(hashes, np.searchsorted(begin, block.starts), (end - begin).astype(np.int32))


def word_runs(block: Characters) -> tuple[I64, I64]:
    """Where the words of a block begin and end (exclusive), in characters."""
    return runs((block.classes & WORD) != 0, block.starts)


def document_of(tokens: Tokens) -> I64:
    """The text that each word belongs to, shape (n_words,)."""
    return owners(np.arange(len(tokens.hashes)), tokens.starts)
