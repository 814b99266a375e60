"""The pages of assets: found, compared, drawn with what changed, and whatever they are called, shown as text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator

import pytest
from sites import ARTICLES, Visitor, call, served, visible, write_dataset, write_system

from stellwerk.doors.web.lineages import lit_by
from stellwerk.doors.web.textdiff import compared
from stellwerk.record import assets, lineage, tables
from stellwerk.workspace import Workspace


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A dataset of three versions: the second has other rows, the third another spec."""
    workspace = Workspace.init(tmp_path_factory.mktemp("assets") / "company")
    for rows, fields in (
        (ARTICLES, {}),
        (ARTICLES[:20], {}),
        (ARTICLES[:20], {"split": {"train": 1.0, "validation": 0.0, "test": 0.0}}),
    ):
        write_dataset(workspace, "knowledge", rows, **fields)
        call(workspace, "data.build", dataset="knowledge")
    write_system(workspace, "desk", purpose="Answer", owner="o@example.com", role="deployer", binds=["dataset/knowledge"])
    return workspace


@pytest.fixture(scope="module")
def reader(changed: Workspace) -> Iterator[Visitor]:
    with served(changed) as address, Visitor(address) as visitor:
        yield visitor


def test_assets_are_found_by_kind_and_part_of_their_name(reader: Visitor) -> None:
    everything = visible(reader.read("/assets"))
    assert "2 assets" in everything
    assert "knowledge.main" in everything
    found = reader.read("/assets?kind=dataset&search=KNOW")
    assert 'href="/assets/dataset/knowledge@3"' not in found
    assert 'href="/assets/dataset/knowledge/3"' in found
    assert "knowledge.main" not in visible(found)
    assert "So ist kein Baustein" in visible(reader.read("/assets?search=nothing", "de"))
    rows = list(csv.reader(io.StringIO(reader.get("/assets?format=csv").text.removeprefix("\ufeff"))))
    assert [row[0] for row in rows] == ["asset", "dataset/knowledge", "source/knowledge.main"]


def test_an_asset_shows_its_versions_the_newest_first(reader: Visitor) -> None:
    text = reader.read("/assets/dataset/knowledge")
    assert re.findall(r'href="/assets/dataset/knowledge/(\d)">@', text) == ["3", "2", "1"]
    assert "diff?against=2" in text
    assert "latest" in visible(text)
    german = visible(reader.read("/assets/dataset/knowledge", "de"))
    assert "3 Versionen" in german
    assert "Entstanden am" in german


def test_measurements_are_drawn_over_versions_against_the_threshold_that_holds(reader: Visitor) -> None:
    text = reader.read("/assets/dataset/knowledge/trends")
    assert "documents_read" in visible(text)
    label = next(found for found in re.findall(r'aria-label="([^"]*)"', text) if found.startswith("kept_share;"))
    assert "≥ 50 %" in label
    assert "@1: 100 %" in label
    image = reader.get("/assets/dataset/knowledge/trend?metric=kept_share&format=png")
    assert image.content.startswith(b"\x89PNG")
    assert reader.get("/assets/dataset/knowledge/trend?metric=nothing").status_code == 404
    assert reader.get("/assets/dataset/knowledge/trend?metric=kept_share&format=exe").status_code == 404


def test_the_change_is_lit_where_it_began(changed: Workspace) -> None:
    def began(number: int, against: str = "") -> list[str]:
        version = changed.record.resolve(f"dataset/knowledge@{number}")
        family = lineage.family(changed.record, version)
        lit, _ = lit_by(changed.record, version, family, against)
        return [other.ref for other in family.versions if other.id in lit]

    assert began(1) == []
    assert began(2) == ["source/knowledge.main@2"]  # other rows
    assert began(3) == ["dataset/knowledge@3"]  # another spec
    assert began(3, "dataset/knowledge@1") == ["source/knowledge.main@2"]  # what follows from it is not lit itself
    assert began(2, "source/knowledge.main@1") == ["source/knowledge.main@1"]
    assert began(3, "released") == []


def test_a_version_shows_its_lineage_as_picture_and_table(reader: Visitor) -> None:
    text = reader.read("/assets/dataset/knowledge/2")
    assert 'class="node lit"' in text
    assert "the change began in: source/knowledge.main@2" in visible(text)
    assert 'href="/assets/source/knowledge.main/1"' in text
    assert "No version of it stands in a release yet" in visible(reader.read("/assets/dataset/knowledge/2?changed=released"))
    down = visible(reader.read("/assets/source/knowledge.main/2", "de"))
    assert "dataset/knowledge@2" in down
    assert "das entstand aus ihr" in down


def test_a_version_names_the_systems_that_rest_on_it(reader: Visitor) -> None:
    assert "At least half of what was read is kept" in visible(reader.read("/assets/dataset/knowledge/3/signals"))
    assert "No system here rests on this version" in visible(reader.read("/assets/dataset/knowledge/1/signals"))
    assert "What runs in this system descends from it" in visible(reader.read("/assets/source/knowledge.main/2/signals"))


def test_two_versions_of_a_dataset_are_compared_row_by_row_and_fact_by_fact(reader: Visitor) -> None:
    text = visible(reader.read("/assets/dataset/knowledge/2/diff?against=1"))
    assert "Removed 4" in text
    assert "main:A-021" in text
    sources = reader.read("/assets/source/knowledge.main/2/diff?against=1")
    assert "<del>" in sources
    assert "<ins>" in sources


@pytest.mark.parametrize(
    "path",
    ["/assets/dataset/nothing", "/assets/dataset/knowledge/99", "/assets/dataset/knowledge/1/diff?against=99", "/assets/x/y/1"],
)
def test_what_is_not_there_has_no_page(reader: Visitor, path: str) -> None:
    assert reader.get(path).status_code == 404


def test_hostile_names_and_facts_are_shown_as_text(new: Callable[..., Visitor]) -> None:
    name, fact = "<img src=x onerror=alert(1)>", "</pre><script>alert(2)</script>"

    def prepare(workspace: Workspace) -> None:
        with workspace.record.writing(workspace.person) as transaction:
            run = transaction.insert(
                tables.run, operation=fact, parameters={"dataset": name}, snapshots={}, code="c" * 64, state="failed",
                person=transaction.person, created=transaction.at, error=fact,
            )["id"]  # fmt: skip
            for number in (1, 2):
                version = transaction.put_version(
                    "prompt", name, identity={"text": f"{fact}{number}"}, facts={fact: [fact], "long": fact + "\n" + fact},
                    content={}, run=run,
                )  # fmt: skip
                step = transaction.insert(
                    tables.step, run=run, key="k", name=name, reused=None, outcome={}, seconds=1.0, finished=transaction.at
                )
                transaction.insert(tables.edge, run=run, step=step["id"], version=version.id, direction="output")

    visitor = new(prepare)
    quoted = "/assets/prompt/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    run = visitor.workspace.record.rows(tables.run)[0]["id"]
    for path in ("/assets", quoted, f"{quoted}/2", f"{quoted}/2/diff?against=1", "/runs", f"/runs/{run}"):
        text = visitor.read(path)
        assert "<img" not in text
        assert "<script>alert" not in text
        assert "&lt;img src=x" in text


def test_the_list_asks_the_record_in_pages(changed: Workspace) -> None:
    first, second = (assets.find(changed.record, page=page, limit=1) for page in (1, 2))
    assert (first.total, second.total) == (2, 2)
    assert [line.asset for line in first.assets + second.assets] == ["dataset/knowledge", "source/knowledge.main"]
    assert first.kinds == {"dataset": 1, "source": 1}
    assert [line.latest for line in first.assets] == [3]
    found = assets.versions(changed.record, "dataset/knowledge", page=2, limit=2)
    assert [line.number for line in found.versions] == [1]
    assert assets.find(changed.record, search="%").assets == []


def test_a_long_lineage_is_cut_and_says_so(changed: Workspace) -> None:
    version = changed.record.resolve("dataset/knowledge@3")
    whole, part = (lineage.family(changed.record, version, most=most) for most in (400, 1))
    assert whole.whole
    assert not part.whole
    assert {other.ref for other in whole.versions} >= {other.ref for other in part.versions}
    assert [other for _, other in lineage.walk(changed.record, version, "up")] == whole.versions[1:]


def test_texts_are_compared_line_by_line() -> None:
    assert compared("a\nb\n", "a\nb\n") == []
    found = compared("\n".join("abcdefghij"), "\n".join("abcdeXghij"))
    assert [(pair.before, pair.after) for pair in found if pair.kind == "changed"] == [("f", "X")]
    assert [pair.kind for pair in found][:3] == ["gap", "same", "same"]
