"""Edits of a text as spans, and how a place in the edited text maps back to the original.

An edit is a row (orig_start, orig_end, norm_start, norm_end) in code points: the original span became the normalised
span. Edits are sorted, do not overlap, and everything outside them is equal, only shifted. Knows nothing of why a text
was edited.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Edits: TypeAlias = npt.NDArray[np.int64]
"""Shape (n, 4), columns orig_start, orig_end, norm_start, norm_end."""


class Spots:
    """Changes still to be made, sorted, not overlapping: start, end (exclusive) and replacement of each.

    Three lists and not a list of tuples, because the garbage collector walks millions of tuples again and again.
    """

    __slots__ = ("ends", "starts", "texts")

    def __init__(self, changes: Iterable[tuple[int, int, str]] = ()) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.texts: list[str] = []
        for change in changes:
            self.add(*change)

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, start: int, end: int, text: str) -> None:
        """Add a change behind all others."""
        self.starts.append(start)
        self.ends.append(end)
        self.texts.append(text)


NO_EDITS: Edits = np.empty((0, 4), dtype=np.int64)
NO_EDITS.flags.writeable = False


def rewrite(text: str, spots: Spots) -> tuple[str, Edits]:
    """Replace spans of a text.

    Args:
        text: the text.
        spots: what to change; each one really changes its span.

    Returns:
        The new text and the edits that lead to it.
    """
    if not len(spots):
        return text, NO_EDITS
    pieces = [""] * (2 * len(spots) + 1)
    pieces[0::2] = [text[a:b] for a, b in zip(chain((0,), spots.ends), chain(spots.starts, (len(text),)), strict=True)]
    pieces[1::2] = spots.texts
    starts = np.array(spots.starts, np.int64)
    ends = np.array(spots.ends, np.int64)
    lengths = np.fromiter(map(len, spots.texts), np.int64, len(spots))
    growth = np.cumsum(lengths - (ends - starts))
    norm_ends = ends + growth
    return "".join(pieces), np.stack([starts, ends, norm_ends - lengths, norm_ends], axis=1)


def compose(first: Edits, second: Edits) -> Edits:
    """Edits of two steps as one: first maps A to B, second maps B to C, the result maps A to C.

    Edits that overlap in B melt into one; edits that only touch stay apart, so that the map stays fine.

    Args:
        first: edits from A to B.
        second: edits from B to C.

    Returns:
        Edits from A to C.
    """
    if not len(second):
        return first
    if not len(first):
        return second
    starts = np.concatenate([first[:, 2], second[:, 0]])
    ends = np.concatenate([first[:, 3], second[:, 1]])
    shift_a = np.concatenate([(first[:, 3] - first[:, 2]) - (first[:, 1] - first[:, 0]), np.zeros(len(second), np.int64)])
    shift_c = np.concatenate([np.zeros(len(first), np.int64), (second[:, 3] - second[:, 2]) - (second[:, 1] - second[:, 0])])
    order = np.lexsort((ends, starts))
    starts, ends = starts[order], ends[order]
    reach = np.maximum.accumulate(ends)
    # Two empty spans at one place (deleted in the first step, inserted in the second) have no order of their own.
    empty = starts == ends
    same_empty = empty[1:] & empty[:-1] & (starts[1:] == starts[:-1])
    is_new = np.concatenate([[True], (starts[1:] >= reach[:-1]) & ~same_empty])
    heads = np.flatnonzero(is_new)
    group_start = starts[heads]
    group_end = np.maximum.reduceat(ends, heads)
    total_a = np.cumsum(np.add.reduceat(shift_a[order], heads))
    total_c = np.cumsum(np.add.reduceat(shift_c[order], heads))
    before_a = np.concatenate([[0], total_a[:-1]])
    before_c = np.concatenate([[0], total_c[:-1]])
    return np.stack([group_start - before_a, group_end - total_a, group_start + before_c, group_end + total_c], axis=1)


def spans_to_original(
    edits: Sequence[int] | npt.NDArray[np.integer], starts: npt.ArrayLike, ends: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Map many spans of one normalised text back to the original text.

    A span that begins or ends inside an edit is widened to the whole edit. Characters deleted just before or just
    after a span are left out of it.

    Args:
        edits: flat quadruples as in the column ``edits``, or an array of shape (n, 4).
        starts: starts of the spans in code points of the normalised text, shape (m,).
        ends: their ends (exclusive), shape (m,).

    Returns:
        Starts and ends in code points of the original text, each of shape (m,).
    """
    table = np.asarray(edits, dtype=np.int64).reshape(-1, 4)
    begin = np.asarray(starts, dtype=np.int64)
    finish = np.asarray(ends, dtype=np.int64)
    if not len(table):
        return begin, finish
    orig_start, orig_end, norm_start, norm_end = table.T
    passed = np.searchsorted(norm_end, begin, side="right")
    shift = np.concatenate([[0], orig_end - norm_end])
    inside = np.minimum(passed, len(table) - 1)
    orig_begin = np.where((passed < len(table)) & (norm_start[inside] < begin), orig_start[inside], begin + shift[passed])
    reached = np.searchsorted(norm_start, finish, side="left")
    last = np.maximum(reached - 1, 0)
    orig_finish = np.where((reached > 0) & (finish < norm_end[last]), orig_end[last], finish + shift[reached])
    return orig_begin, np.maximum(orig_begin, orig_finish)


def to_original(edits: Sequence[int] | npt.NDArray[np.integer], start: int, end: int) -> tuple[int, int]:
    """Map one span of the normalised text back to the original text (see ``spans_to_original``).

    Args:
        edits: flat quadruples as in the column ``edits``.
        start: first code point of the span in the normalised text.
        end: the code point after its last.

    Returns:
        Start and end in code points of the original text.
    """
    starts, ends = spans_to_original(edits, [start], [end])
    return int(starts[0]), int(ends[0])
