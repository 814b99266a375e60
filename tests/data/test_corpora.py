"""The real corpora in one dataset: every document is accounted for, planted copies are found, nothing goes that is no copy."""

from __future__ import annotations

import gzip
import json
import lzma
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.shared, pytest.mark.slow]

SOURCES = {
    "gesetze": "gesetze_de.jsonl.xz",
    "mdn": "mdn_de.jsonl.xz",
    "peps": "peps_en.jsonl.xz",
    "eips": "eips_en.jsonl.xz",
    "powershell": "powershell_versions_en.jsonl.xz",
    "planted": "planted_duplicates.jsonl.xz",
    "lines": "langid_lines_de_en.jsonl.gz",
}
NEAR = 0.8
Row = dict[str, Any]


def raw(folder: Path, name: str) -> list[Row]:
    path = folder / "text" / SOURCES[name]
    with (gzip.open if path.suffix == ".gz" else lzma.open)(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[n : n + 5]) for n in range(len(words) - 4)}


def jaccard(first: str, second: str) -> float:
    one, two = shingles(first), shingles(second)
    return len(one & two) / len(one | two)


def corpora(place: Any, folder: Path) -> Any:
    (place.root / "raw").mkdir()
    for file in SOURCES.values():
        shutil.copy(folder / "text" / file, place.root / "raw" / file)
    place.spec(
        languages=["de", "en"],
        sources=[
            {"name": name, "files": f"raw/{file}", **({"key": "id"} if name != "lines" else {})}
            for name, file in SOURCES.items()
        ],
        duplicates={"exact": True, "near": NEAR, "keep": "longest"},
        select={"words": {"min": 3}, "language": {"in": ["de", "en"]}},
    )
    return place.build()


class Built:
    """The built corpora, and what stands in the files."""

    def __init__(self, place: Any, folder: Path) -> None:
        self.place = place
        self.report = corpora(place, folder)
        self.ledger = {row["doc_id"]: row for row in place.adds_up(self.report)}
        self.raw = {name: raw(folder, name) for name in SOURCES}
        content = place.version("dataset/set").content
        names = place.read(content["documents"])["doc_id"].to_pylist()
        self.texts = dict(zip(names, place.read(content["normalised"])["text"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def built(places: Callable[..., Any], shared_data: Path) -> Built:
    return Built(places(workers=2), shared_data)


def test_every_document_is_accounted_for_once(built: Built) -> None:
    read = Counter(row["source"] for row in built.ledger.values())
    assert read == {name: len(rows) for name, rows in built.raw.items()}
    for name, rows in built.raw.items():
        if name == "lines":
            wanted = {f"lines:raw/{SOURCES[name]}#line {n}" for n in range(1, len(rows) + 1)}
        else:
            wanted = {f"{name}:{row['id']}" for row in rows}
            assert len(wanted) == len(rows)
        assert {key for key, row in built.ledger.items() if row["source"] == name} == wanted
    counts = built.report.counts
    assert counts.read == counts.kept + counts.changed + counts.dropped == 7_117
    assert {name: sum(found.values()) for name, found in counts.sources.items()} == dict(read)


def dropped_as_copy(built: Built, name: str) -> bool:
    return built.ledger[name]["rule"] in ("exact_duplicate", "near_duplicate")


def ids(built: Built) -> dict[str, str]:
    return {row["id"]: f"{name}:{row['id']}" for name, rows in built.raw.items() if name != "lines" for row in rows}


def test_planted_copies_are_found(built: Built) -> None:
    names = ids(built)
    exact, near = [], []
    for row in built.raw["planted"]:
        pair = f"planted:{row['id']}", names[row["dup_of"]]
        one, two = (" ".join(built.texts[name].lower().split()) for name in pair)
        if one == two:
            exact.append(pair)
        elif row["jaccard_5gram"] >= NEAR:
            near.append(pair)
    assert len(near) > 50
    found = [dropped_as_copy(built, one) or dropped_as_copy(built, two) for one, two in near]
    assert sum(found) / len(near) >= 0.98
    assert all(dropped_as_copy(built, one) or dropped_as_copy(built, two) for one, two in exact)


def test_exact_copies_go_but_for_one(built: Built) -> None:
    """All of them: no two documents that stay say the same."""
    kept = [name for name, row in built.ledger.items() if row["decision"] != "dropped"]
    texts = Counter(" ".join(built.texts[name].lower().split()) for name in kept)
    assert [text for text, times in texts.items() if times > 1 and text] == []
    for name, row in built.ledger.items():
        if row["rule"] == "exact_duplicate":
            other = json.loads(row["details"])["kept"]
            assert built.ledger[other]["decision"] != "dropped"
            assert built.texts[name].lower().split() == built.texts[other].lower().split()


def test_nothing_goes_that_is_less_alike_than_the_bound(built: Built) -> None:
    gone = {name: row for name, row in built.ledger.items() if row["rule"] == "near_duplicate"}
    assert len(gone) > 300
    for name, row in gone.items():
        other = json.loads(row["details"])["kept"]
        assert built.ledger[other]["decision"] != "dropped"
        exact = jaccard(built.texts[name], built.texts[other])
        assert exact >= NEAR
        assert float(row["value"]) == pytest.approx(exact, abs=1e-4)


def test_copies_are_not_parted(built: Built) -> None:
    table = built.place.table()
    parts: dict[str, set[str]] = {}
    for cluster, part in zip(table["cluster"].to_pylist(), table["split"].to_pylist(), strict=True):
        parts.setdefault(cluster, set()).add(part)
    assert all(len(found) == 1 for found in parts.values())


def test_an_unchanged_build_does_nothing(built: Built) -> None:
    report = built.place.build()
    assert report.message.startswith("nothing changed: all ")
    assert report.counts == built.report.counts


def test_a_second_build_elsewhere_gives_the_same_dataset(built: Built, places: Callable[..., Any], shared_data: Path) -> None:
    place = places(workers=1)
    corpora(place, shared_data)
    assert place.version("dataset/set").digest == built.place.version("dataset/set").digest
    assert place.ledger() == built.place.ledger()
