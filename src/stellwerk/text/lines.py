"""The lines and paragraphs of a batch of texts, and what share of them looks like lists, teasers or repetitions.

A line ends at `\\n`; blank lines do not count, and white space around a line is not part of it. A paragraph is a
run of lines
without a blank line between. Knows characters, not words or languages.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stellwerk.text.characters import F64, I64, SPACE, U64, Characters, Mask, owners
from stellwerk.text.ngrams import later_copies

SHORT_LINE = 30
"""Characters up to which a line is short (FineWeb, arXiv:2406.17557)."""
BULLETS = "•‣◦▪▫■□●○◆◇►▶⁃∙·"
"""A line that begins with one of these is a bullet."""
SPACED_BULLETS = "-*+–—"
"""These are bullets only with white space behind them."""
SENTENCE_ENDS = ".!?…\"'”“’‘»«›‹。！？"
"""Characters that end a sentence, or a quotation that ends one (C4, arXiv:1910.10683, with German quotation marks)."""

_NEWLINE, _DOT, _ELLIPSIS = ord("\n"), ord("."), ord("…")


class Stretches(NamedTuple):
    """Words between white space, lines or paragraphs of a block: n stretches of characters in reading order."""

    begin: I64
    """First character, shape (n,)."""
    end: I64
    """Behind the last character, shape (n,)."""
    document: I64
    """The text that each lies in, shape (n,)."""


def lines_and_paragraphs(block: Characters, words: Stretches) -> tuple[Stretches, Stretches]:
    """Join the words between white space to lines and paragraphs.

    Args:
        block: the characters.
        words: all maximal runs without white space.

    Returns:
        Lines and paragraphs, each without the white space around it.
    """
    newlines = np.flatnonzero(block.codes == _NEWLINE)
    line_number = np.searchsorted(newlines, words.begin)
    step = np.diff(line_number, prepend=-2)
    new_text = np.diff(words.document, prepend=-1) != 0
    return _join(words, new_text | (step >= 1)), _join(words, new_text | (step >= 2))


def line_scores(block: Characters, lines: Stretches, hashes: U64) -> dict[str, F64]:
    """Scores of the lines of each text, shape (n_docs,) each."""
    documents = len(block.starts) - 1
    count = np.bincount(lines.document, minlength=documents)
    length = lines.end - lines.begin
    later = later_copies(hashes, lines.document)

    def share(chosen: Mask) -> F64:
        return ratio(np.bincount(lines.document[chosen], minlength=documents), count)

    return {
        "lines": count.astype(np.float64),
        "bullet_line_share": share(_bullets(block, lines)),
        "ellipsis_line_share": share(_trailing_dots(block, lines)),
        "end_punctuation_line_share": share(is_one_of(block.codes[lines.end - 1], SENTENCE_ENDS)),
        "short_line_share": share(length <= SHORT_LINE),
        "duplicate_line_share": share(later),
        "duplicate_line_char_share": _character_share(block, lines, later),
    }


def paragraph_scores(block: Characters, paragraphs: Stretches, hashes: U64) -> dict[str, F64]:
    """Scores of the paragraphs of each text, shape (n_docs,) each."""
    documents = len(block.starts) - 1
    later = later_copies(hashes, paragraphs.document)
    count = np.bincount(paragraphs.document, minlength=documents)
    return {
        "duplicate_paragraph_share": ratio(np.bincount(paragraphs.document[later], minlength=documents), count),
        "duplicate_paragraph_char_share": _character_share(block, paragraphs, later),
    }


def ellipses(block: Characters) -> I64:
    """How often each text has "…" or three dots in a row, shape (n_docs,)."""
    signs = np.flatnonzero(block.codes == _ELLIPSIS)
    count = np.diff(np.searchsorted(signs, block.starts))
    dots = np.flatnonzero(block.codes == _DOT)
    if not len(dots):
        return count
    document = owners(dots, block.starts)
    opens = np.flatnonzero((np.diff(dots, prepend=-2) != 1) | (np.diff(document, prepend=-1) != 0))
    threes = np.diff(np.append(opens, len(dots))) // 3
    return count + np.bincount(document[opens], threes, minlength=len(count)).astype(np.int64)


def ratio(part: npt.NDArray[np.generic], whole: npt.NDArray[np.generic]) -> F64:
    """part / whole, and 0 where the whole is empty."""
    result = np.zeros(len(part))
    np.divide(part, whole, out=result, where=whole != np.int64(0))
    return result


def is_one_of(codes: npt.NDArray[np.uint32], signs: str) -> Mask:
    """Which characters are among the signs."""
    return np.isin(codes, np.array([ord(sign) for sign in signs], np.uint32))


def _join(words: Stretches, opens: Mask) -> Stretches:
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(words.begin))[: len(first)] - 1
    return Stretches(words.begin[first], words.end[last], words.document[first])


def _bullets(block: Characters, lines: Stretches) -> Mask:
    opening = block.codes[lines.begin]
    following = np.minimum(lines.begin + 1, len(block.codes) - 1)
    spaced = (block.classes[following] == SPACE) & (lines.end - lines.begin > 1)
    marked: Mask = is_one_of(opening, BULLETS) | (is_one_of(opening, SPACED_BULLETS) & spaced)
    return marked


def _trailing_dots(block: Characters, lines: Stretches) -> Mask:
    last = block.codes[lines.end - 1]
    dots: Mask = (last == _DOT) & (lines.end - lines.begin >= 3)
    for back in (2, 3):
        dots &= block.codes[np.maximum(lines.end - back, 0)] == _DOT
    dots |= last == _ELLIPSIS
    return dots


def _character_share(block: Characters, items: Stretches, chosen: Mask) -> F64:
    documents = len(block.starts) - 1
    length = (items.end - items.begin)[chosen]
    return ratio(np.bincount(items.document[chosen], length, minlength=documents), np.diff(block.starts))
