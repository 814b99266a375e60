"""Word n-grams of a batch of texts: their hashes, and how much of each text repeats.

Works on the words of `tokens.py` and on all texts of a batch at once. Knows no thresholds: the rules that use the
shares are
in the selection of a dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from stellwerk.text.characters import F64, I64, U64, Mask, bounds, mix
from stellwerk.text.tokens import Tokens, document_of

_FACTOR = np.uint64(0xD6E8FEB86659FD93)


class Shingles(NamedTuple):
    """The word n-grams of n_docs texts, in reading order, repetitions included."""

    hashes: U64
    """Shape (n_shingles,)."""
    starts: I64
    """Index of the first n-gram of each text, and n_shingles at the end, shape (n_docs + 1,)."""


class Repeated(NamedTuple):
    """The n-grams of one length that occur more than once in their text, equal ones side by side."""

    size: int
    positions: I64
    """Index of the first word of each occurrence; ordered by n-gram, without order inside one, shape (n,)."""
    groups: I64
    """Index in `positions` where each different n-gram starts, and n at the end, shape (n_groups + 1,)."""
    first: I64
    """Word at which each different n-gram occurs first, shape (n_groups,)."""


def shingles(tokens: Tokens, size: int) -> Shingles:
    """Hashes of all runs of `size` words inside each text; a text with fewer words has none.

    Args:
        tokens: of a batch.
        size: words of an n-gram, at least 1.

    Returns:
        One hash per position where an n-gram starts.
    """
    per_document = np.maximum(np.diff(tokens.starts) - (size - 1), 0)
    starts = bounds(per_document)
    shift = np.repeat(tokens.starts[:-1] - starts[:-1], per_document)
    positions = np.arange(starts[-1]) + shift
    hashes = np.zeros(len(positions), np.uint64)
    for offset in range(size):
        hashes *= _FACTOR
        hashes += tokens.hashes[positions + offset]
    return Shingles(mix(hashes), starts)


def repeated(tokens: Tokens, longest: int = 10) -> Iterator[Repeated]:
    """Find the n-grams that occur more than once in their text, for n = 2, 3, ... `longest`.

    An n-gram can only repeat where the two shorter ones inside it repeat, so that each round looks at fewer places.

    Args:
        tokens: of a batch.
        longest: the last n.

    Yields:
        One result per n, also where nothing repeats.
    """
    if not len(tokens.hashes):
        return
    document = document_of(tokens)
    ends = tokens.starts[1:][document]
    rolling = mix(document.astype(np.uint64) + np.uint64(1)) * _FACTOR + tokens.hashes
    alive: Mask = np.ones(len(tokens.hashes), np.bool_)
    for size in range(2, longest + 1):
        places = np.flatnonzero(alive[:-1] & alive[1:])
        places = places[places + size <= ends[places]]
        rolling[places] = rolling[places] * _FACTOR + tokens.hashes[places + size - 1]
        found = _group(size, places, rolling[places])
        alive = np.zeros(len(tokens.hashes), np.bool_)
        alive[found.positions] = True
        yield found


def top_characters(tokens: Tokens, found: Repeated) -> F64:
    """Characters of each text that its most frequent repeated n-gram covers.

    The n-gram with the most occurrences (overlapping ones counted; of several the one that occurs first) is counted
    where it
    does not overlap itself, from left to right, with one space between its words. A text in which no n-gram occurs
    twice has 0.
    After "top n-gram" in Table A1 of arXiv:2112.11446.

    Returns:
        Shape (n_docs,).
    """
    documents = len(tokens.starts) - 1
    if not len(found.first):
        return np.zeros(documents)
    document = document_of(tokens)[found.first]
    count = np.diff(found.groups)
    order = np.lexsort((found.first, -count, document))
    best = order[np.diff(document[order], prepend=-1) != 0]
    places = np.sort(_members(found, best))
    begin, times = without_overlap(places, found.size)
    return _covered(tokens, begin, times, found.size, joints=found.size - 1)


def duplicate_characters(tokens: Tokens, found: Repeated) -> F64:
    """Characters of each text that lie in words of n-grams which stood in it before.

    A text is read from left to right. An n-gram that was read before counts, and reading goes on behind it; n-grams
    that begin inside it are neither counted nor remembered. Only the characters of the words count. After "duplicate
    n-grams" in Table A1 of arXiv:2112.11446, in the reading of datatrove, for which the thresholds of FineWeb-2 were
    found.

    Returns:
        Shape (n_docs,).
    """
    order = np.argsort(found.positions)
    kind = np.repeat(np.arange(len(found.first)), np.diff(found.groups))[order]
    read = [False] * len(found.first)
    free, begin = -1, []
    for place, gram in zip(found.positions[order].tolist(), kind.tolist(), strict=True):
        if place >= free:
            if read[gram]:
                begin.append(place)
                free = place + found.size
            else:
                read[gram] = True
    chosen = np.array(begin, np.int64)
    return _covered(tokens, chosen, np.ones_like(chosen), found.size, joints=0)


def without_overlap(places: I64, size: int) -> tuple[I64, I64]:
    """Choose from left to right the places that do not overlap the last chosen one.

    Args:
        places: sorted indices of words; each stands for the words place ... place + size - 1.
        size: words that a place stands for.

    Returns:
        Stretches of chosen places that touch: first word of each, and how many places it holds.
    """
    if not len(places):
        return places, places
    breaks = np.flatnonzero(np.diff(places) != 1)
    low = places[np.concatenate(([0], breaks + 1))]
    high = places[np.concatenate((breaks, [len(places) - 1]))]
    free = -1
    begin, times = [], []
    for first, last in zip(low.tolist(), high.tolist(), strict=True):
        start = max(first, free)
        if start <= last:
            count = (last - start) // size + 1
            begin.append(start)
            times.append(count)
            free = start + count * size
    return np.array(begin, np.int64), np.array(times, np.int64)


def later_copies(hashes: U64, document: I64) -> Mask:
    """Which items (lines, paragraphs) stood in the same text before.

    Args:
        hashes: of the items, in reading order, shape (n,).
        document: the text of each item, shape (n,).

    Returns:
        Shape (n,).
    """
    found = _group(1, np.arange(len(hashes)), hashes ^ mix(document.astype(np.uint64) + np.uint64(1)))
    later: Mask = np.zeros(len(hashes), np.bool_)
    later[found.positions] = True
    later[found.first] = False
    return later


def _group(size: int, places: I64, keys: U64) -> Repeated:
    """Bring the places with equal keys together and leave those out whose key is single."""
    order = np.argsort(keys)
    ordered = keys[order]
    equal = ordered[1:] == ordered[:-1]
    keep = np.zeros(len(places), np.bool_)
    keep[1:] |= equal
    keep[:-1] |= equal
    opens = keep.copy()
    opens[1:] &= ~equal
    positions = places[order[keep]]
    groups = np.append(np.flatnonzero(opens[keep]), len(positions))
    first = np.minimum.reduceat(positions, groups[:-1]) if len(positions) else positions
    return Repeated(size, positions, groups, first)


def _members(found: Repeated, groups: I64) -> I64:
    """The positions of some of the groups."""
    chosen = np.zeros(len(found.first), np.bool_)
    chosen[groups] = True
    return found.positions[np.repeat(chosen, np.diff(found.groups))]


def _covered(tokens: Tokens, begin: I64, times: I64, size: int, joints: int) -> F64:
    """Sum the characters of the chosen stretches per text, and `joints` more for each place."""
    before = bounds(tokens.lengths)
    characters = before[begin + times * size] - before[begin] + times * joints
    total: F64 = np.zeros(len(tokens.starts) - 1)
    np.add.at(total, document_of(tokens)[begin], characters)
    return total
