"""Published tables with late corrections and changing columns: GrippeWeb is merged, AMELAG changes its schema."""

from __future__ import annotations

import csv
import lzma
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.shared

GRIPPEWEB = ["2024-04-11", "2025-06-19", "2026-08-20"]
AMELAG = ["2024-03-13", "2024-10-22", "2024-10-23", "2025-08-13", "2025-10-16", "2026-07-22"]
KEY = ["Saison", "Erkrankung", "Altersgruppe", "Region", "Kalenderwoche"]
Row = dict[str, Any]


def published(path: Path) -> list[dict[str, str]]:
    """The rows of a state, read by Python alone; a value that is missing is the empty text."""
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        return [
            {name: "" if value == "NA" else value for name, value in row.items()}
            for row in csv.DictReader(file, delimiter="\t")
        ]


def plain(row: Row) -> dict[str, str]:
    """A row of ours as texts, numbers in one form."""
    return {name: "" if value is None else number(str(value)) for name, value in row.items()}


def number(text: str) -> str:
    """1.50 and 1.5 are one number."""
    try:
        return repr(float(text))
    except ValueError:
        return text


def keyed(rows: list[Row]) -> dict[tuple[str, ...], dict[str, str]]:
    found = {tuple(str(row[part]) for part in KEY): {k: number(str(v)) for k, v in plain(row).items()} for row in rows}
    assert len(found) == len(rows)
    return found


def source_rows(place: Any, reference: str) -> list[Row]:
    table = place.read(place.version(reference).content["shards"])
    return [dict(row) for row in table.drop_columns(["origin"]).to_pylist()]


def load(place: Any, state: Path, spec: Callable[[], None]) -> Any:
    target = place.root / "raw" / "table.tsv.xz"
    target.parent.mkdir(exist_ok=True)
    shutil.copy(state, target)
    spec()
    return place.build()


@pytest.mark.parametrize("missing", ["delete", "keep"])
def test_grippeweb_merges_to_the_last_state(place: Any, shared_data: Path, missing: str) -> None:
    source = {"name": "grippeweb", "files": "raw/table.tsv.xz", "load": "merge", "key": KEY, "missing": missing}
    states = [keyed(published(shared_data / f"text/rki_grippeweb_{day}.tsv.xz")) for day in GRIPPEWEB]
    expected: dict[tuple[str, ...], dict[str, str]] = {}
    for number_, (day, state) in enumerate(zip(GRIPPEWEB, states, strict=True), start=1):
        report = load(place, shared_data / f"text/rki_grippeweb_{day}.tsv.xz", lambda: place.spec(sources=[source]))
        expected = {**(expected if missing == "keep" else {}), **state}
        assert keyed(source_rows(place, f"source/set.grippeweb@{number_}")) == expected
        place.adds_up(report)
        assert keyed([{k: row[k] for k in states[0][next(iter(states[0]))]} for row in place.table().to_pylist()]) == expected
    # Earlier states are still what they were.
    whole: dict[tuple[str, ...], dict[str, str]] = {}
    for number_, state in enumerate(states, start=1):
        whole = {**(whole if missing == "keep" else {}), **state}
        assert keyed(source_rows(place, f"source/set.grippeweb@{number_}")) == whole
    assert place.version("source/set.grippeweb").number == 3


def test_grippeweb_lines_that_changed_or_went(place: Any, shared_data: Path) -> None:
    """The README counts the lines of a state that the next one does not have as they were."""
    source = {"name": "grippeweb", "files": "raw/table.tsv.xz", "load": "merge", "key": KEY, "missing": "delete"}
    for day in GRIPPEWEB:
        load(place, shared_data / f"text/rki_grippeweb_{day}.tsv.xz", lambda: place.spec(sources=[source]))
    lines = [{tuple(row.values()) for row in source_rows(place, f"source/set.grippeweb@{n}")} for n in (1, 2, 3)]
    texts = []
    for day in GRIPPEWEB:
        with lzma.open(shared_data / f"text/rki_grippeweb_{day}.tsv.xz", "rt", encoding="utf-8") as file:
            texts.append(set(file.read().splitlines()[1:]))
    assert [len(lines[n] - lines[n + 1]) for n in (0, 1)] == [len(texts[n] - texts[n + 1]) for n in (0, 1)] == [12_412, 2_329]


def amelag(contract: str, load_: str = "replace") -> Row:
    return {"name": "amelag", "files": "raw/table.tsv.xz", "load": load_, "contract": contract}


def columns(path: Path) -> list[str]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return file.readline().rstrip("\n").split("\t")


@pytest.mark.parametrize("load_", ["replace", "append"])
def test_amelag_every_change_of_schema_is_recorded(place: Any, shared_data: Path, load_: str) -> None:
    paths = [shared_data / f"text/rki_amelag_aggregiert_{day}.tsv.xz" for day in AMELAG]
    assert len({tuple(columns(path)) for path in paths}) == 5
    before: list[str] = []
    renamed = []
    for number_, path in enumerate(paths, start=1):
        place.adds_up(load(place, path, lambda: place.spec(sources=[amelag("evolve", load_)])))
        version = place.version("source/set.amelag")
        assert version.number == number_
        now = columns(path)
        changes = version.facts["schema_changes"]
        gone, come = set(before) - set(now), set(now) - set(before) if before else set()
        assert bool(changes) == bool(gone or come) or all(" was " in change for change in changes)
        for name in gone:
            assert any(change.startswith(f"column {name!r} is gone") for change in changes)
        for name in come:
            assert any(
                change.startswith(f"column {name!r} is new") or f"and {name!r} of the same type came" in change
                for change in changes
            )
        renamed += [change for change in changes if "perhaps renamed" in change]
        before = now
        titles = [row["title"] for row in place.findings("schema_change", version.id)]
        assert sorted(titles) == sorted(f"source amelag: {change}" for change in changes)
    assert any("'loess_vorhersage' is gone and 'vorhersage'" in change for change in renamed)


@pytest.mark.parametrize("load_", ["replace", "append"])
def test_amelag_a_frozen_schema_stops_the_run(
    place: Any, shared_data: Path, capsys: pytest.CaptureFixture[str], load_: str
) -> None:
    paths = [shared_data / f"text/rki_amelag_aggregiert_{day}.tsv.xz" for day in AMELAG]
    load(place, paths[0], lambda: place.spec(sources=[amelag("freeze", load_)]))
    good = place.version("dataset/set")
    changed = next(path for path in paths if columns(path) != columns(paths[0]))
    shutil.copy(changed, place.root / "raw/table.tsv.xz")
    assert place.cli("data", "build", "set") == 3
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence.startswith("source amelag: the schema changed and contract is freeze: column ")
    for name in set(columns(paths[0])) ^ set(columns(changed)):
        assert repr(name) in sentence
    assert place.version("dataset/set").id == good.id
    assert place.version("source/set.amelag").number == 1
    place.spec(sources=[amelag("evolve", load_)])
    place.adds_up(place.build())
    assert place.version("source/set.amelag").facts["schema_changes"]


def test_amelag_rows_are_those_of_the_file(place: Any, shared_data: Path) -> None:
    path = shared_data / f"text/rki_amelag_aggregiert_{AMELAG[-1]}.tsv.xz"
    load(place, path, lambda: place.spec(sources=[amelag("evolve")]))
    ours = [plain(row) for row in source_rows(place, "source/set.amelag")]
    theirs = [{name: number(value) for name, value in row.items()} for row in published(path)]
    assert [sorted(row.items()) for row in ours] == [sorted(row.items()) for row in theirs]
