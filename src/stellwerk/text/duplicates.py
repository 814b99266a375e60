"""Signatures by which copies and near copies of texts find each other, and the exact similarity of those that did.

Similarity is the Jaccard index of two texts' sets of word 5-grams. MinHash with banding (Broder 1997; Leskovec,
Rajaraman, Ullman, Mining of Massive Datasets, chapter 3) only proposes pairs; nothing is judged without the exact
index. Knows one batch at a time; which member of a group stays is decided in `clusters.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stellwerk.text.characters import I64, U64, blocks, characters, mix, text_array
from stellwerk.text.ngrams import shingles
from stellwerk.text.tokens import block_tokens

BANDS, ROWS, SHINGLE = 20, 5, 5
"""20 bands of 5 rows propose a pair of similarity s with probability 1 - (1 - s**5)**20: 0.9996 at 0.8."""
EXACT_BYTES = 16
"""Bytes of SHA-256 that are kept; two different texts in 10**15 have an equal digest with probability 10**-9."""
ALL_PAIRS = 50
"""Size of a band's group up to which all its pairs are proposed."""
NEIGHBOURS = 4
"""In larger groups each member is paired with the group's first and this many that follow it."""

_CHUNK = 1 << 17
"""Shingles that are permuted at once, so that the work of 100 permutations stays in the processor's cache."""


def signatures(
    texts: pa.Array | pa.ChunkedArray | Sequence[str | None],
    *,
    bands: int = BANDS,
    rows: int = ROWS,
    shingle: int = SHINGLE,
    seed: int = 1,
) -> pa.Table:
    """Digests of a batch of texts, equal for exact copies and likely equal in a band for near copies.

    Args:
        texts: strings; a missing one counts as empty.
        bands: bands of the locality-sensitive hash, at least 1.
        rows: permutations of a band, at least 1.
        shingle: words of an n-gram, at least 1.
        seed: chooses the permutations; signatures of different seeds or parameters do not compare.

    Returns:
        One row per text in the same order:
        exact fixed_size_binary(16): SHA-256, cut, of the text in lower case with each run of white space made one
        space; bands fixed_size_list<uint64>(bands): null for a text of fewer than `shingle` words, which matches only
        exactly; tokens int32: words.
    """
    array = text_array(texts)
    factors, shifts = _permutations(bands * rows, seed)
    tables = []
    for block in blocks(array):
        exact = [exact_digest(text) for text in block.to_pylist()]
        tokens = block_tokens(characters(block))
        grams = shingles(tokens, shingle)
        minima = _minima(grams.hashes, grams.starts, factors, shifts)
        keys = _band_keys(minima, bands, rows)
        missing = np.diff(grams.starts) == 0
        lists = pa.FixedSizeListArray.from_arrays(pa.array(keys.ravel()), bands, mask=pa.array(missing))
        tables.append(
            pa.table(
                [pa.array(exact, pa.binary(EXACT_BYTES)), lists, np.diff(tokens.starts).astype(np.int32)],
                _schema(bands),
            )
        )
    return pa.concat_tables(tables).combine_chunks() if tables else _schema(bands).empty_table()


def exact_digest(text: str) -> bytes:
    """Digest of a text that ignores case and the kind and number of white space, shape 16 bytes."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).digest()[:EXACT_BYTES]


def shingle_sets(texts: pa.Array | pa.ChunkedArray | Sequence[str | None], shingle: int = SHINGLE) -> list[U64]:
    """The different word n-grams of each text.

    Args:
        texts: strings; a missing one counts as empty.
        shingle: words of an n-gram.

    Returns:
        One sorted array of different 64-bit hashes per text; empty for a text with fewer words.
    """
    sets: list[U64] = []
    for block in blocks(text_array(texts)):
        grams = shingles(block_tokens(characters(block)), shingle)
        sets += [np.unique(part) for part in np.split(grams.hashes, grams.starts[1:-1])]
    return sets


def jaccard(first: U64, second: U64) -> float:
    """Size of the intersection over the size of the union; 0 where both are empty.

    Args:
        first: sorted and without repetitions.
        second: likewise.
    """
    total = len(first) + len(second)
    if not total:
        return 0.0
    joined = np.concatenate((first, second))
    joined.sort(kind="stable")
    common = int(np.count_nonzero(joined[1:] == joined[:-1]))
    return common / (total - common)


def verify(pairs: I64, sets: Sequence[U64]) -> npt.NDArray[np.float32]:
    """The exact similarity of pairs.

    Args:
        pairs: places in `sets`, shape (n_pairs, 2).
        sets: of `shingle_sets`.

    Returns:
        Jaccard indices, shape (n_pairs,).
    """
    values = (jaccard(sets[first], sets[second]) for first, second in pairs.tolist())
    return np.fromiter(values, np.float32, len(pairs))


def candidate_pairs(
    documents: I64, bands: npt.NDArray[np.integer], hashes: U64, rank: npt.NDArray[np.generic] | None = None
) -> I64:
    """Pairs of documents that share a band.

    A group of up to 50 documents gives all its pairs. A larger one gives each document with the group's highest-ranked
    one, which is the one that stays if they are near copies, and with the next 4 in the order of rank: linear in the
    group, at the price that near copies of a member in the middle can be missed unless another band brings them
    together.

    Args:
        documents: index of a document, shape (n,).
        bands: number of the band, shape (n,).
        hashes: the document's hash in that band, shape (n,).
        rank: preference of each document, indexed by document; without one, lower indices are preferred.

    Returns:
        Different pairs, smaller index first, sorted, shape (n_pairs, 2).
    """
    preference = np.zeros(len(documents)) if rank is None else -np.asarray(rank)[documents].astype(np.float64)
    order = np.lexsort((documents, preference, hashes, bands))
    members, band, key = documents[order], np.asarray(bands)[order], hashes[order]
    opens = np.ones(len(members), np.bool_)
    opens[1:] = (band[1:] != band[:-1]) | (key[1:] != key[:-1])
    starts = np.flatnonzero(opens)
    sizes = np.diff(np.append(starts, len(members)))
    found = [np.zeros((0, 2), np.int64)]
    for size in np.unique(sizes[(sizes > 1) & (sizes <= ALL_PAIRS)]).tolist():
        first, second = np.triu_indices(size, 1)
        group = members[starts[sizes == size][:, None] + np.arange(size)]
        found.append(_unique_pairs(group[:, first].ravel(), group[:, second].ravel()))
    for start, size in zip(starts[sizes > ALL_PAIRS].tolist(), sizes[sizes > ALL_PAIRS].tolist(), strict=True):
        group = members[start : start + size]
        steps = [(group[:-step], group[step:]) for step in range(1, NEIGHBOURS + 1)]
        steps.append((np.full(size - 1, group[0]), group[1:]))
        found.append(_unique_pairs(*(np.concatenate(side) for side in zip(*steps, strict=True))))
    pairs = np.concatenate(found)
    return _unique_pairs(pairs[:, 0], pairs[:, 1])


def _unique_pairs(first: I64, second: I64) -> I64:
    low, high = np.minimum(first, second), np.maximum(first, second)
    apart = low != high
    low, high = low[apart], high[apart]
    order = np.lexsort((high, low))
    low, high = low[order], high[order]
    keep = np.ones(len(low), np.bool_)
    keep[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return np.column_stack((low[keep], high[keep]))


def _permutations(count: int, seed: int) -> tuple[U64, U64]:
    """Factors (odd) and summands of `x * factor + summand` modulo 2**64, whose upper bits order the shingles."""
    numbers = mix(np.arange(1, 2 * count + 1, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32)))
    return numbers[:count] | np.uint64(1), numbers[count:]


def _minima(hashes: U64, starts: I64, factors: U64, shifts: U64) -> U64:
    """The smallest permuted hash of each text, shape (permutations, n_docs); the largest number for one without
    shingles."""
    minima = np.full((len(factors), len(starts) - 1), np.iinfo(np.uint64).max, np.uint64)
    filled = np.flatnonzero(np.diff(starts))
    for low in range(0, len(hashes), _CHUNK):
        part = hashes[low : low + _CHUNK]
        high = low + len(part)
        touched = filled[(starts[filled] < high) & (starts[filled + 1] > low)]
        cuts = np.maximum(starts[touched] - low, 0)
        permuted = np.empty_like(part)
        for row, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
            np.multiply(part, factor, out=permuted)
            permuted += shift
            smallest = np.minimum.reduceat(permuted, cuts)
            minima[row, touched] = np.minimum(minima[row, touched], smallest)
    return minima


def _band_keys(minima: U64, bands: int, rows: int) -> U64:
    """One hash of each band's rows, shape (n_docs, bands); the lower half of a minimum is left out, as it is not
    random."""
    upper = (minima >> np.uint64(32)).reshape(bands, rows, -1)
    keys = np.tile(np.arange(bands, dtype=np.uint64)[:, None], (1, minima.shape[1]))
    for row in range(rows):
        keys = mix(keys ^ upper[:, row]) + np.uint64(row)
    return np.ascontiguousarray(keys.T)


def _schema(bands: int) -> pa.Schema:
    return pa.schema(
        [
            pa.field("exact", pa.binary(EXACT_BYTES), nullable=False),
            pa.field("bands", pa.list_(pa.uint64(), bands)),
            pa.field("tokens", pa.int32(), nullable=False),
        ]
    )
