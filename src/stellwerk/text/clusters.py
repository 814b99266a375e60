"""Which member of a group of copies stays, which ones go, and which documents must not be parted by a split.

Works on numbers only: indices of documents, pairs and their exact similarity. Anchored: a document goes only if it is
itself similar enough to the one that stays for it; chains of similar documents never carry it off (cf.
marin-community/marin #6854, where transitive removal deleted whole sources). Chains do count for the cluster, which
keeps them in one part of a split.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stellwerk.text.characters import I64, Mask

KINDS = ("none", "exact", "near")
SCHEMA = pa.schema(
    [
        pa.field("doc", pa.int64(), nullable=False),
        pa.field("cluster", pa.int64(), nullable=False),
        pa.field("kept", pa.int64(), nullable=False),
        pa.field("jaccard", pa.float32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
    ]
)


def exact_groups(digests: pa.Array | pa.ChunkedArray) -> I64:
    """Group documents by their digest.

    Args:
        digests: column `exact` of the signatures of all documents.

    Returns:
        For each document the smallest index of a document with the same digest, shape (n,).
    """
    if isinstance(digests, pa.ChunkedArray):
        digests = pa.concat_arrays(digests.chunks) if digests.num_chunks else pa.array([], digests.type)
    codes = digests.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    if not len(codes):
        return np.zeros(0, np.int64)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    groups: I64 = first[inverse].astype(np.int64)
    return groups


def resolve(
    n: int,
    exact: I64,
    pairs: I64,
    jaccards: npt.NDArray[np.floating],
    rank: npt.NDArray[np.generic],
    threshold: float,
) -> pa.Table:
    """Decide for each document whether it stays, and which one stands for it if not.

    Documents are gone through from the highest rank (ties: smaller index first). One that nothing stands for stays, and
    its verified near copies that are still open go. Each that goes then names the most similar one of those that stay.

    Args:
        n: number of documents.
        exact: group label per document, equal for exact copies (`exact_groups`), shape (n,).
        pairs: verified pairs, shape (n_pairs, 2).
        jaccards: their exact similarity, shape (n_pairs,).
        rank: preference per document, e.g. its length; higher ones stay, shape (n,).
        threshold: smallest similarity of a near copy.

    Returns:
        One row per document: doc; cluster, the smallest document that it is tied to by exact copies and pairs at or
        above the threshold, over any number of steps; kept, the document that stands for it, itself if it stays;
        jaccard to that one (1 for itself and exact copies); kind `none` (it stays), `exact` or `near`.
    """
    values = np.asarray(jaccards, np.float32)
    close = values >= np.float32(threshold)
    edges, values = pairs[close], values[close]
    order = np.lexsort((np.arange(n), -np.asarray(rank).astype(np.float64)))
    first = _representatives(exact, order)
    cluster = connected(n, np.concatenate((edges, np.column_stack((np.arange(n), first)))))
    near, near_values = _between_representatives(first[edges], values)
    kept, similarity = _anchors(n, near, near_values, order[first[order] == order])
    kept, similarity = kept[first], similarity[first]
    kind = np.where(kept == np.arange(n), 0, np.where(kept == first, 1, 2))
    names = pa.array(KINDS).take(pa.array(kind))
    return pa.Table.from_arrays(
        [pa.array(np.arange(n)), pa.array(cluster), pa.array(kept), pa.array(similarity), names], schema=SCHEMA
    )


def connected(n: int, edges: I64) -> I64:
    """Connected components, named by their smallest member.

    Args:
        n: number of nodes.
        edges: shape (n_edges, 2).

    Returns:
        Shape (n,).
    """
    label = np.arange(n)
    while True:
        low = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        before = label.copy()
        for side in (0, 1):
            np.minimum.at(label, before[edges[:, side]], low)
        while not np.array_equal(label, label[label]):
            label = label[label]
        if np.array_equal(label, before):
            return label


def _representatives(exact: I64, order: I64) -> I64:
    """For each document the highest-ranked one of its exact copies."""
    labels, inverse = np.unique(exact, return_inverse=True)
    best = np.zeros(len(labels), np.int64)
    best[inverse[order[::-1]]] = order[::-1]
    return best[inverse]


def _between_representatives(edges: I64, values: npt.NDArray[np.float32]) -> tuple[I64, npt.NDArray[np.float32]]:
    """Pairs in both directions, each once, without those inside a group of exact copies."""
    apart = edges[:, 0] != edges[:, 1]
    edges, values = edges[apart], values[apart]
    both = np.concatenate((edges, edges[:, ::-1]))
    twice = np.concatenate((values, values))
    order = np.lexsort((-twice, both[:, 1], both[:, 0]))
    both, twice = both[order], twice[order]
    new = np.ones(len(both), np.bool_)
    new[1:] = (both[1:] != both[:-1]).any(axis=1)
    return both[new], twice[new]


def _anchors(n: int, edges: I64, values: npt.NDArray[np.float32], order: I64) -> tuple[I64, npt.NDArray[np.float32]]:
    """The one that stays for each representative, and the similarity to it."""
    stays = _staying(n, edges, order)
    kept, similarity = np.arange(n), np.ones(n, np.float32)
    position = np.zeros(n, np.int64)
    position[order] = np.arange(len(order))
    usable = stays[edges[:, 1]] & ~stays[edges[:, 0]]
    source, target, value = edges[usable, 0], edges[usable, 1], values[usable]
    best = np.lexsort((position[target], -value, source))
    best = best[np.diff(source[best], prepend=-1) != 0]
    kept[source[best]] = target[best]
    similarity[source[best]] = value[best]
    return kept, similarity


def _staying(n: int, edges: I64, order: I64) -> Mask:
    """Take documents in order; each that is still open stays and closes its neighbours."""
    starts = np.searchsorted(edges[:, 0], np.arange(n + 1)).tolist()
    neighbours = edges[:, 1].tolist()
    open_ = np.ones(n, np.bool_)
    linked = np.zeros(n, np.bool_)
    linked[edges[:, 0]] = True
    for document in order[linked[order]].tolist():
        if open_[document]:
            open_[neighbours[starts[document] : starts[document + 1]]] = False
    return open_
