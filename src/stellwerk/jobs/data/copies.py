"""Exact and near copies: candidates from signatures, each verified, and which copy stays.

Candidates and their exact similarity depend on the texts only. Which copy stays depends on what the bounds let pass, so that a
copy never goes for the sake of one that is dropped itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.jobs.data import shards, tagging
from stellwerk.text import clusters, duplicates

if TYPE_CHECKING:
    from stellwerk.run import Run

TIED = 0.8  # the Jaccard index from which copies that stay are kept in one part of a split


def compare(run: Run, normalised: Sequence[str], scores: Sequence[str], sizes: Sequence[int]) -> str:
    """Find and verify the pairs of near copies.

    Args:
        run: the run at work.
        normalised: shards of normalised texts.
        scores: shards of tags with the signatures.
        sizes: documents in each shard.

    Returns:
        A shard of pairs: first, second (numbers among all documents), jaccard.
    """
    starts = np.concatenate(([0], np.cumsum(sizes))).tolist()
    items = [{"scores": shard, "offset": start} for shard, start in zip(scores, starts, strict=False)]
    bands = run.map("spread bands", tagging.spread, items)
    found = run.step("find candidates", candidates, bands=bands, scores=list(scores), sizes=list(sizes))
    numbers = _numbers(run, found["concerned"])
    cuts = np.searchsorted(numbers, starts).tolist()
    rows = [(numbers[a:b] - start).tolist() for start, (a, b) in zip(starts, pairwise(cuts), strict=False)]
    items = [{"shard": shard, "rows": some} for shard, some in zip(normalised, rows, strict=True) if some]
    sets = run.map("shingle candidates", tagging.shingled, items)
    return str(run.step("verify candidates", verify, sets=sets, **found))


def candidates(run: Run, *, bands: list[str], scores: list[str], sizes: list[int]) -> dict[str, str]:
    """Step: pairs of documents that share a band, exact copies counted once, and which documents they concern, as shards."""
    length, exact = _lengths_and_groups(run, scores)
    groups = run.engine.group(bands, ["band", "hash"], "document")
    documents = pc.list_flatten(groups["document"]).combine_chunks().to_numpy()
    parents = pc.list_parent_indices(groups["document"]).combine_chunks().to_numpy()
    once = exact[documents] == documents
    documents, parents = documents[once], parents[once]
    pairs = duplicates.candidate_pairs(
        documents, groups["band"].to_numpy()[parents], groups["hash"].to_numpy()[parents], rank=length
    )
    concerned = np.zeros(sum(sizes), np.bool_)
    concerned[pairs.ravel()] = True
    return {
        "pairs": write_shard(run.store, pa.table({"first": pairs[:, 0], "second": pairs[:, 1]})),
        "concerned": write_shard(run.store, pa.table({"document": np.flatnonzero(concerned).astype(np.int64)})),
    }


def verify(run: Run, *, pairs: str, concerned: str, sets: list[str]) -> str:
    """Step: the exact Jaccard index of each pair."""
    numbers = _numbers(run, concerned)
    shingles = [found for shard in sets for found in _lists(read_shard(run.store.path(shard))["shingles"])]
    table = read_shard(run.store.path(pairs))
    places = np.searchsorted(numbers, _pairs(table))
    jaccards = np.zeros(len(places), np.float32)
    block = 20_000
    for start in range(0, len(places), block):
        run.progress("verify candidates", start, len(places), "pairs")
        jaccards[start : start + block] = duplicates.verify(places[start : start + block], shingles)
    return write_shard(run.store, table.append_column("jaccard", pa.array(jaccards)))


def resolve(
    run: Run,
    *,
    pairs: str,
    scores: list[str],
    documents: list[str],
    bounds: list[str],
    exact: bool,
    near: float | None,
    keep: str,
) -> list[str]:
    """Step: which copies go, among the documents that pass the bounds.

    Returns:
        A shard for each shard of documents: kind (none, exact, near), kept (id of the copy that stays), jaccard, cluster (id of
        the first document that copies tie it to), row by row.
    """
    ids = [shards.columns(run.store.path(shard), "doc_id")["doc_id"] for shard in documents]
    names = pa.chunked_array([chunk for column in ids for chunk in column.chunks], pa.string()).combine_chunks()
    passing = np.concatenate([_passing(run, shard) for shard in bounds] or [np.zeros(0, np.bool_)])
    length, whole = _lengths_and_groups(run, scores)
    rank = length if keep == "longest" else np.zeros(len(names))
    # Documents that do not take part stand alone, with a label of their own.
    alone = ~passing | (length == 0) | (not exact)
    same = _first_of(np.where(alone, np.arange(len(names)) + len(names), whole))
    table = read_shard(run.store.path(pairs))
    jaccards = table["jaccard"].to_numpy()
    found = _among(_pairs(table), whole, passing & (length > 0))
    there = (found >= 0).all(axis=1) & (near is not None)
    result = clusters.resolve(len(names), same, found[there], jaccards[there], rank, near or 0.0)
    close = jaccards >= np.float32(min(near or TIED, TIED))
    tied = _tied(_pairs(table)[close], np.where(length > 0, whole, np.arange(len(names))))
    result = pa.table(
        {
            "kind": result["kind"],
            "kept": names.take(result["kept"].combine_chunks()),
            "jaccard": result["jaccard"],
            "cluster": names.take(pa.array(tied)),
        }
    )
    starts = np.concatenate(([0], np.cumsum([len(column) for column in ids]))).tolist()
    return [write_shard(run.store, result.slice(a, b - a)) for a, b in pairwise(starts)]


def _tied(pairs: Any, groups: Any) -> Any:
    """For each document the first one that copies tie it to, whether they go or stay: a split must not part them."""
    own = np.column_stack((np.arange(len(groups)), groups))
    return clusters.connected(len(groups), np.concatenate((pairs, own)))


def _numbers(run: Run, concerned: str) -> Any:
    return read_shard(run.store.path(concerned))["document"].to_numpy()


def _pairs(table: pa.Table) -> Any:
    return np.column_stack((table["first"].to_numpy(), table["second"].to_numpy())).astype(np.int64)


def _among(pairs: Any, groups: Any, passing: Any) -> Any:
    """Pairs, verified on the first of all exact copies, as pairs of the first copies that take part; -1 where none does."""
    taking = np.full(len(groups), -1, np.int64)
    numbers = np.flatnonzero(passing)[::-1]
    taking[groups[numbers]] = numbers
    return taking[pairs]


def _first_of(labels: Any) -> Any:
    """For each document the smallest document with the same label."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _lists(column: pa.ChunkedArray) -> list[Any]:
    return [part for chunk in column.chunks for part in np.split(chunk.flatten().to_numpy(), chunk.offsets.to_numpy()[1:-1])]


def _passing(run: Run, shard: str) -> Any:
    return pc.is_null(shards.columns(run.store.path(shard), "rule")["rule"]).to_numpy()


def _lengths_and_groups(run: Run, scores: list[str]) -> tuple[Any, Any]:
    """Characters of each document, and the first document with the same text."""
    tags = [shards.columns(run.store.path(shard), "exact", "chars") for shard in scores]
    digests = pa.chunked_array([chunk for table in tags for chunk in table["exact"].chunks], pa.binary(16))
    return np.concatenate([table["chars"].to_numpy() for table in tags] or [np.zeros(0)]), clusters.exact_groups(digests)
