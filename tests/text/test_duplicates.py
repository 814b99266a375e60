"""Copies and near copies: planted ones with known similarity, natural ones, and what must hold for any input."""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.text.clusters import connected, exact_groups, resolve
from stellwerk.text.duplicates import (
    candidate_pairs,
    exact_digest,
    jaccard,
    shingle_sets,
    signatures,
    verify,
)

BANDS = 20
SOURCES = ("gesetze_de", "mdn_de", "peps_en", "eips_en")


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    with lzma.open(folder / "text" / f"{name}.jsonl.xz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def band_members(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    column = table["bands"].combine_chunks()
    documents = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    hashes = column.drop_null().flatten().to_numpy()
    return np.repeat(documents, BANDS), np.tile(np.arange(BANDS), len(documents)), hashes


def deduplicate(texts: list[str], threshold: float) -> tuple[pa.Table, np.ndarray, list[np.ndarray]]:
    """The whole way from texts to decisions; the longest text stays."""
    table = signatures(texts)
    rank = np.array([len(text) for text in texts])
    pairs = candidate_pairs(*band_members(table), rank)
    sets = shingle_sets(texts)
    decided = resolve(len(texts), exact_groups(table["exact"]), pairs, verify(pairs, sets), rank, threshold)
    return decided, pairs, sets


def plain_shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def plain_jaccard(first: str, second: str) -> float:
    a, b = plain_shingles(first), plain_shingles(second)
    return len(a & b) / len(a | b) if a | b else 0.0


def assert_anchored(decided: pa.Table, texts: list[str], threshold: float) -> None:
    """Every document that goes is verified against the very one that stays for it."""
    decisions = decided.to_pylist()
    for row in decisions:
        anchor = decisions[row["kept"]]
        assert anchor["kept"] == anchor["doc"]
        assert anchor["cluster"] == row["cluster"] <= row["doc"]
        if row["kind"] == "none":
            assert (row["kept"], row["jaccard"]) == (row["doc"], 1)
        elif row["kind"] == "exact":
            assert exact_digest(texts[row["doc"]]) == exact_digest(texts[row["kept"]])
            assert row["jaccard"] == 1
        else:
            true = plain_jaccard(texts[row["doc"]], texts[row["kept"]])
            assert true >= threshold
            assert row["jaccard"] == pytest.approx(true, abs=1e-6)


@pytest.mark.shared
def test_planted_duplicates_are_found_and_nothing_goes_below_the_threshold(shared_data: Path) -> None:
    sources = [row for name in SOURCES for row in rows(shared_data, name)]
    sources += rows(shared_data, "powershell_versions_en")
    planted = rows(shared_data, "planted_duplicates")
    place = {row["id"]: at for at, row in enumerate(sources)}
    texts = [row["text"] for row in sources] + [row["text"] for row in planted]
    originals = [place[row["dup_of"]] for row in planted]
    copies = range(len(sources), len(texts))
    true = np.array([row["jaccard_5gram"] for row in planted])

    decided, pairs, sets = deduplicate(texts, 0.8)
    measured = verify(np.column_stack((originals, copies)), sets)
    assert np.abs(measured - true).max() < 1e-4

    known = set(map(tuple, pairs.tolist()))
    found = np.array([pair in known for pair in zip(originals, copies, strict=True)])
    assert np.count_nonzero(true >= 0.8) > 100
    assert found[true >= 0.8].mean() >= 0.98
    cluster = decided["cluster"].to_numpy()
    together = cluster[originals] == cluster[list(copies)]
    assert together[true >= 0.8].mean() >= 0.98
    assert_anchored(decided, texts, 0.8)


@pytest.mark.shared
def test_exact_copies_are_all_found(shared_data: Path) -> None:
    texts = [row["text"] for row in rows(shared_data, "eips_en")]
    sources = [at for at, text in enumerate(texts) if text.upper().lower() == text.lower()]
    copies = [re.sub(r"\s+", "  \n", texts[at]).upper() for at in sources]
    assert len(copies) > 300
    decided = deduplicate(texts + copies, 0.8)[0].to_pylist()
    for original, copy in zip(sources, range(len(texts), len(decided)), strict=True):
        assert decided[copy]["kept"] == decided[original]["kept"]
        assert decided[copy]["cluster"] == decided[original]["cluster"]
        assert {decided[copy]["kind"], decided[original]["kind"]} != {"none"}


@pytest.mark.shared
def test_versions_of_a_page_are_found_as_often_as_theory_says(shared_data: Path) -> None:
    pages = rows(shared_data, "powershell_versions_en")
    texts = [row["text"] for row in pages]
    decided, pairs, sets = deduplicate(texts, 0.8)
    same_page = [(a, b) for a, b in combinations(range(len(pages)), 2) if pages[a]["page"] == pages[b]["page"]]
    true = verify(np.array(same_page), sets)
    known = set(map(tuple, pairs.tolist()))
    close = [pair for pair, value in zip(same_page, true, strict=True) if value >= 0.8]
    assert len(close) > 200
    assert np.mean([pair in known for pair in close]) >= 0.99
    cluster = decided["cluster"].to_numpy()
    assert all(cluster[a] == cluster[b] for a, b in close if (a, b) in known)
    assert_anchored(decided, texts, 0.8)


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9])
def test_bands_agree_as_often_as_theory_says(similarity: float) -> None:
    """A band of 5 rows agrees with probability s**5: 300 pairs, 20 bands each, within 4 standard errors."""
    generator = random.Random(similarity)
    shared_words = round(400 * 2 * similarity / (1 + similarity))
    texts = []
    for _ in range(300):
        words = [[f"w{generator.randrange(10**9)}" for _ in range(400)] for _ in range(2)]
        words[1][:shared_words] = words[0][:shared_words]
        texts += [" ".join(half) for half in words]
    sets = shingle_sets(texts)
    exact = verify(np.arange(600).reshape(300, 2), sets).astype(float)
    keys = signatures(texts)["bands"].combine_chunks().flatten().to_numpy().reshape(300, 2, BANDS)
    agree = (keys[:, 0] == keys[:, 1]).mean(axis=1)
    expected = exact**5
    error = np.sqrt((expected * (1 - expected)).sum() / BANDS) / len(expected)
    assert abs(agree.mean() - expected.mean()) < 4 * error
    assert agree.var() == pytest.approx((expected * (1 - expected)).mean() / BANDS, rel=0.5)


def test_the_estimate_errs_as_theory_says() -> None:
    """With one row a band, the share of equal bands estimates s with variance s(1-s)/k (Broder 1997)."""
    generator = random.Random(7)
    texts = []
    for _ in range(200):
        words = [f"w{generator.randrange(10**9)}" for _ in range(300)]
        changed = [word if generator.random() > 0.03 else word + "x" for word in words]
        texts += [" ".join(words), " ".join(changed)]
    exact = verify(np.arange(400).reshape(200, 2), shingle_sets(texts)).astype(float)
    keys = signatures(texts, bands=112, rows=1)["bands"].combine_chunks().flatten().to_numpy().reshape(200, 2, 112)
    estimate = (keys[:, 0] == keys[:, 1]).mean(axis=1)
    theory = np.sqrt((exact * (1 - exact)).mean() / 112)
    assert np.sqrt(((estimate - exact) ** 2).mean()) == pytest.approx(theory, rel=0.2)
    assert abs((estimate - exact).mean()) < 4 * theory / np.sqrt(200)


def test_signatures_do_not_depend_on_the_batch_and_know_their_parameters() -> None:
    texts = ["eins zwei drei vier fünf sechs", "", "kurz", None, "wort " * 400_000, "a b c d e", "A  b\nC d e"]
    whole = signatures(texts)
    for at, text in enumerate(texts):
        assert whole.slice(at, 1).to_pylist() == signatures([text]).to_pylist()
    assert whole["bands"].is_valid().to_pylist() == [True, False, False, False, True, True, True]
    assert whole["tokens"].to_pylist() == [6, 0, 1, 0, 400_000, 5, 5]
    assert whole["exact"][5] == whole["exact"][6]
    assert whole["exact"][1] == whole["exact"][3]
    assert whole["bands"][5] == whole["bands"][6]
    assert signatures(texts).equals(whole)
    assert signatures(texts, seed=2)["bands"][0] != whole["bands"][0]
    assert signatures(texts[:1], bands=3, rows=2)["bands"][0].as_py().__len__() == 3
    assert signatures([]).schema == whole.schema


def test_signatures_are_the_same_in_every_version() -> None:
    row = signatures(["Die Pumpe verliert seit gestern Öl"]).to_pylist()[0]
    assert row["exact"].hex() == "bfb5955462e804b7547da7510e943547"
    assert hex(row["bands"][0]) == "0xa689c9b7ad87b425"


def test_short_stubs_do_not_melt_together() -> None:
    stubs = [f"moved to {number}" for number in range(303)]
    table = signatures(stubs)
    assert table["bands"].null_count == 303
    decided, pairs, _ = deduplicate(stubs, 0.8)
    assert len(pairs) == 0
    assert set(decided["kind"].to_pylist()) == {"none"}
    same = deduplicate(["moved to a page"] * 303, 0.8)[0]
    assert same["kind"].to_pylist() == ["none"] + ["exact"] * 302
    assert set(same["kept"].to_pylist()) == {0}


def test_chains_never_carry_a_document_off_but_tie_its_cluster() -> None:
    words = [f"w{number}" for number in range(300)]
    chain = [" ".join(words[start : start + 200]) for start in range(0, 100, 10)]
    pairs = np.array(list(combinations(range(10), 2)))
    values = verify(pairs, shingle_sets(chain))
    decided = resolve(10, np.arange(10), pairs, values, np.arange(10), 0.8)
    assert_anchored(decided, chain, 0.8)
    assert set(decided["cluster"].to_pylist()) == {0}
    kept = decided["kept"].to_pylist()
    assert kept[9] == 9
    assert kept[0] != 9


def test_large_groups_give_few_pairs_and_all_with_the_one_that_stays() -> None:
    members = np.arange(2_000)
    rank = np.zeros(2_000)
    rank[1234] = 1
    pairs = candidate_pairs(members, np.zeros(2_000, np.int64), np.zeros(2_000, np.uint64), rank)
    assert len(pairs) <= 2_000 * 5
    partners = set(pairs[(pairs == 1234).any(axis=1)].ravel().tolist())
    assert partners == set(range(2_000))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2), st.integers(0, 3)), max_size=60))
def test_small_groups_give_all_their_pairs_once(members: list[tuple[int, int, int]]) -> None:
    documents, bands, keys = (np.array([row[at] for row in members], np.int64) for at in range(3))
    pairs = candidate_pairs(documents, bands, keys.astype(np.uint64))
    expected = {(min(a[0], b[0]), max(a[0], b[0])) for a, b in combinations(members, 2) if a[1:] == b[1:] and a[0] != b[0]}
    assert pairs.tolist() == sorted(map(list, expected))


words = st.lists(st.sampled_from(["a", "B", "c", "ö", "7"]), max_size=30).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(words, words)
def test_jaccard_equals_that_of_plain_sets(first: str, second: str) -> None:
    sets = shingle_sets([first, second])
    assert jaccard(*sets) == pytest.approx(plain_jaccard(first, second), abs=1e-12)
    assert jaccard(sets[0], sets[0]) == (1.0 if len(sets[0]) else 0.0)


@st.composite
def problems(draw: Callable[..., Any]) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(0, 12))
    index = st.integers(0, max(n - 1, 0))
    groups = np.array(draw(st.lists(index, min_size=n, max_size=n)), np.int64)
    edges = (
        draw(st.dictionaries(st.tuples(index, index).filter(lambda e: e[0] < e[1]), st.floats(0, 1), max_size=30))
        if n > 1
        else {}
    )
    pairs = np.array(list(edges), np.int64).reshape(-1, 2)
    rank = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), np.int64)
    return n, groups, pairs, np.array(list(edges.values()), np.float32), rank


@settings(max_examples=300, deadline=None)
@given(problems())
def test_whoever_goes_is_tied_to_the_one_that_stays(
    problem: tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    n, groups, pairs, values, rank = problem
    decided = resolve(n, groups, pairs, values, rank, 0.8).to_pylist()
    verified = {frozenset(edge): value for edge, value in zip(pairs.tolist(), values.tolist(), strict=True) if value >= 0.8}
    by_group = {frozenset((groups[a], groups[b])): True for a, b in map(sorted, verified)}
    for row in decided:
        doc, kept = row["doc"], row["kept"]
        assert decided[kept]["kept"] == kept
        if row["kind"] == "exact":
            assert groups[doc] == groups[kept] and doc != kept
            assert (-rank[kept], kept) < (-rank[doc], doc)
        elif row["kind"] == "near":
            assert frozenset((groups[doc], groups[kept])) in by_group
            assert row["jaccard"] >= np.float32(0.8)
        else:
            assert doc == kept
    stays = [row["doc"] for row in decided if row["kind"] == "none"]
    assert all(groups[a] != groups[b] and frozenset((groups[a], groups[b])) not in by_group for a, b in combinations(stays, 2))


@settings(max_examples=200, deadline=None)
@given(problems())
def test_clusters_are_connected_components(
    problem: tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    n, groups, pairs, values, rank = problem
    label = list(range(n))
    ties = [pair for pair, value in zip(pairs.tolist(), values.tolist(), strict=True) if value >= 0.8]
    ties += [[a, b] for a, b in combinations(range(n), 2) if groups[a] == groups[b]]
    for _ in range(n):
        for a, b in ties:
            label[a] = label[b] = min(label[a], label[b])
    assert resolve(n, groups, pairs, values, rank, 0.8)["cluster"].to_pylist() == label
    assert connected(n, np.array(ties, np.int64).reshape(-1, 2)).tolist() == label


@pytest.mark.parametrize(("threshold", "kind"), [(0.7, "near"), (0.71, "none")])
def test_a_similarity_equal_to_the_threshold_is_near(threshold: float, kind: str) -> None:
    values = np.array([7 / 10], np.float32)
    decided = resolve(2, np.arange(2), np.array([[0, 1]]), values, np.array([1, 2]), threshold)
    assert decided["kind"].to_pylist() == [kind, "none"]


def test_groups_of_exact_copies_are_named_by_their_first_member() -> None:
    digests = pa.chunked_array([[b"b", b"a"], [b"b", b"c", b"a"]])
    assert exact_groups(digests).tolist() == [0, 1, 0, 3, 1]
    assert exact_groups(pa.array([], pa.binary(16))).tolist() == []
