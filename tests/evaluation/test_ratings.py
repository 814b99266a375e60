"""What people rate is drawn blind, each sees their own, and what they say becomes a version that judges are audited with."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.errors import UserError
from stellwerk.evaluation.judges import correcting, labelled
from stellwerk.evaluation.judges.spec import JudgeSpec
from stellwerk.evaluation.ratings import drawing, spec
from stellwerk.operation import find
from stellwerk.record import journal, tables
from stellwerk.record.lineage import walk
from stellwerk.runs import execution
from stellwerk.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.init(tmp_path / "desk")
    yield made
    made.record.database.close()


def write(workspace: Workspace, name: str, content: Any) -> None:
    path = workspace.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")


def study(workspace: Workspace, things: int = 12, **fields: Any) -> Any:
    """Draw a study on single answers, or on pairs."""
    pairs = fields.get("form") == "pairs"
    rows = []
    for number in range(things):
        answers = {"first": f"old {number}", "second": f"new {number}"} if pairs else {"answer": f"Answer {number}"}
        rows.append({"id": f"c{number}", "question": f"Question {number}?", **answers})
    write(workspace, "answers.jsonl", "\n".join(map(json.dumps, rows)))
    words = {} if pairs else {"scale": ["bad", "middling", "good"]}
    write(workspace, "studies/tone.yaml", {"question": "Is it kind?", "file": "answers.jsonl", **words, **fields})
    return execution.call(workspace, find("evaluation.study"), {"study": "tone"})


def by(workspace: Workspace, name: str) -> Workspace:
    return workspace.acting(name, authenticated=True)


def rate(workspace: Workspace, item: str, value: str, comment: str | None = None) -> Any:
    return execution.call(
        workspace, find("evaluation.rate"), {"study": "tone", "item": item, "value": value, "comment": comment}
    )


def following(workspace: Workspace) -> Any:
    return execution.call(workspace, find("evaluation.next"), {"study": "tone"})


def agreement(workspace: Workspace) -> Any:
    return execution.call(workspace, find("evaluation.agreement"), {"study": "tone"})


def test_each_person_rates_all_in_an_order_of_their_own(workspace: Workspace) -> None:
    assert study(workspace).items == 12
    orders = {}
    for name in ("anna", "bert"):
        mine, seen = by(workspace, name), []
        while (found := following(mine)).item is not None:
            assert (found.done, found.total) == (len(seen), 12)
            seen.append(found.item)
            rate(mine, found.item, "Good")
        orders[name] = seen
    assert sorted(orders["anna"], key=int) == sorted(orders["bert"], key=int) == [str(n) for n in range(1, 13)]
    assert orders["anna"] != orders["bert"]
    assert found.message == "nothing is left to rate; thank you"


def test_pairs_are_blind_and_balanced_and_turned_back(workspace: Workspace) -> None:
    study(workspace, 20, form="pairs")
    version = workspace.record.resolve("study/tone")
    things = drawing.read(workspace.store, version).things
    assert sum(thing.turned for thing in things) == 10
    places = [int(thing.id) for thing in things if thing.turned]
    assert places != list(range(1, 21, 2)) and places != list(range(2, 21, 2))
    for thing in things:
        assert thing.answers[0].startswith("new" if thing.turned else "old")
        # Whoever prefers the new ones wherever they stand.
        rate(workspace, thing.id, "A" if thing.turned else "B")
    report = agreement(workspace)
    assert (report.good, report.rated, report.raters, report.alpha) == (1.0, 20, 1, None)
    assert report.good_low < 1.0
    assert 0 < next(row.share for row in report.values if row.value == "A") < 1
    shown = following(workspace).model_dump_json() + json.dumps(version.facts)
    assert "turned" not in shown and "old" not in shown


def test_the_last_rating_counts_and_takes_the_remark_away(workspace: Workspace) -> None:
    study(workspace)
    first = rate(workspace, "3", "bad", "Mrs Berg was rude")
    second = rate(workspace, "3", "good")
    assert (first.replaced, second.replaced, second.done) == (False, True, 1)
    assert workspace.record.rows(tables.remark) == []
    rate(workspace, "4", "bad", "too long")
    assert [row["text"] for row in workspace.record.rows(tables.remark)] == ["too long"]
    report = agreement(workspace)
    assert {row.value: row.ratings for row in report.values} == {"bad": 1, "middling": 0, "good": 1}
    with workspace.record.database.reading() as connection:
        assert list(journal.verify(connection)) == []
    kept = json.dumps([row for table in tables.JOURNALED for row in workspace.record.rows(table)])
    assert "Berg" not in kept and "too long" not in kept and "Answer 3" not in kept


def test_a_remark_can_be_erased_without_breaking_the_journal(workspace: Workspace) -> None:
    study(workspace)
    rate(workspace, "1", "bad", "names somebody")
    with workspace.record.database.writing() as connection:
        connection.execute(tables.remark.delete())
    with workspace.record.database.reading() as connection:
        assert list(journal.verify(connection)) == []


def test_agreement_is_measured_and_people_are_numbers(workspace: Workspace) -> None:
    study(workspace, 30)
    for number in range(1, 31):
        value = ("bad", "middling", "good")[number % 3]
        rate(by(workspace, "anna"), str(number), value)
        rate(by(workspace, "bert"), str(number), value if number % 10 else "bad")
    report = agreement(workspace)
    (pair,) = report.pairs
    assert (pair.first, pair.second, pair.n) == (1, 2, 30)
    assert pair.same == pytest.approx(28 / 30)
    assert 0.7 < report.alpha < 1.0 and report.alpha_low < report.alpha < report.alpha_high
    assert pair.kappa > 0.8 and pair.ac1 > 0.8
    assert "anna" not in report.model_dump_json()
    measured = {row["metric"]: row for row in workspace.record.rows(tables.measurement)}
    assert measured["rater_alpha"]["value"] == pytest.approx(report.alpha)
    assert agreement(workspace).ratings == report.ratings == "ratings/tone@1"
    rate(by(workspace, "anna"), "1", "bad")
    assert agreement(workspace).ratings == "ratings/tone@2"


def test_ratings_are_what_a_judge_is_compared_with(workspace: Workspace) -> None:
    study(workspace, 3, passes="good")
    for item, values in {"1": ("good", "good", "bad"), "2": ("middling", "bad", "good"), "3": ("good", "bad")}.items():
        for name, value in zip(("anna", "bert", "cem"), values, strict=False):
            rate(by(workspace, name), item, value)
    labels = labelled.read(workspace.store, workspace.record.resolve(agreement(workspace).ratings))
    verdict, score = JudgeSpec(model="m", criteria="c"), JudgeSpec(model="m", criteria="c", form="score", scale=(1, 3))
    # People are divided on the third, so that it says nothing of a judge; of scores the median counts.
    assert {one.item.id: one.human for one in labelled.in_terms_of(labels, verdict, "r")} == {"1": True, "2": False}
    assert {one.item.id: one.human for one in labelled.in_terms_of(labels, score, "r")} == {"1": 3, "2": 2, "3": 1}
    with pytest.raises(UserError, match="people had 3 words, but scale"):
        labelled.in_terms_of(labels, JudgeSpec(model="m", criteria="c", form="score"), "r")
    with pytest.raises(UserError, match="people judged single answers"):
        labelled.in_terms_of(labels, JudgeSpec(model="m", criteria="c", form="pairwise"), "r")


def test_only_those_who_are_named_may_rate_and_enough_is_enough(workspace: Workspace) -> None:
    study(workspace, 4, raters=["anna", "bert", "cem"], each=2)
    for name in ("anna", "bert"):
        rate(by(workspace, name), "1", "good")
    late = by(workspace, "cem")
    with pytest.raises(UserError, match="tone 1 has been rated by enough people"):
        rate(late, "1", "bad")
    assert following(late).total == 3
    rate(by(workspace, "anna"), "1", "bad")  # one's own can be changed
    with pytest.raises(UserError, match="the study tone is for other people"):
        following(by(workspace, "dora"))


@pytest.mark.parametrize(
    ("item", "value", "sentence"),
    [
        ("99", "good", "has no item '99'; it has 1 to 12"),
        ("1", "great", "'great' is no rating of tone; it is rated bad, middling, good"),
        ("1", "", "is no rating of tone"),
    ],
)
def test_what_is_no_rating_is_refused(workspace: Workspace, item: str, value: str, sentence: str) -> None:
    study(workspace)
    with pytest.raises(UserError, match=re.escape(sentence)):
        rate(workspace, item, value)
    assert workspace.record.rows(tables.rating) == []


def test_the_same_study_is_the_same_version_and_another_draw_is_not(workspace: Workspace) -> None:
    assert study(workspace).study == study(workspace).study == "study/tone@1"
    rate(workspace, "1", "good")
    assert study(workspace, seed=1).study == "study/tone@2"
    # What was said of the first draw stays with it.
    assert following(workspace).done == 0
    assert execution.call(workspace, find("evaluation.next"), {"study": "tone@1"}).done == 1


def test_alike_pairs_are_left_out(workspace: Workspace) -> None:
    rows = [{"question": "q", "first": "same", "second": "same"}, {"question": "q", "first": "one", "second": "other"}]
    write(workspace, "answers.jsonl", "\n".join(map(json.dumps, rows)))
    write(workspace, "studies/tone.yaml", {"question": "Which?", "form": "pairs", "file": "answers.jsonl"})
    report = execution.call(workspace, find("evaluation.study"), {"study": "tone"})
    assert (report.items, report.found, report.alike) == (1, 2, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("question: q\nfile: x\n", "scale is missing"),
        ("question: q\nfile: x\nscale: [a, A]\n", "scale names a word twice"),
        ("question: q\nfile: x\nscale: [a, b]\npasses: a\n", "passes is 'a', expected one of the scale but its first: b"),
        ("question: q\nform: pairs\nof: [latest]\n", "of names 1 runs, expected 2 for pairs"),
        ("question: q\nscale: [a, b]\n", "give either of, the runs whose answers are rated, or file"),
        ("question: q\nfile: x\nscale: [a, b]\nraters: [x]\neach: 2\n", "each is 2, but there are only 1 raters"),
    ],
)
def test_mistakes_in_the_file_are_sentences(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        spec.read(text, "studies/x.yaml")


def test_nothing_to_rate_and_nobody_who_rated_are_sentences(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="there is no study 'tone' yet"):
        following(workspace)
    study(workspace)
    with pytest.raises(UserError, match="nobody has rated study/tone@1 yet"):
        agreement(workspace)


def test_answers_of_tests_are_rated_blind_and_correct_a_judge(workspace: Workspace) -> None:
    """From two prompts to a judge: tested, drawn, rated, gathered, audited, corrected."""
    write(workspace, "models/desk.yaml", {"simulated": {"plan": "support"}})
    cases = [
        {"vars": {"ticket": f"Meine Pumpe P-{n} verliert Öl."}, "assert": [{"type": "icontains", "value": "vielen dank"}]}
        for n in range(24)
    ]
    write(workspace, "suites/desk.yaml", {"tests": cases})
    runs = []
    for name, told in (("polite", "Antworte höflich und mit Sie."), ("short", "Antworte mit du.")):
        head = f"---\nname: {name}\ninputs:\n  - name: ticket\n    kind: string\n---\n"
        write(workspace, f"prompts/{name}.prompty", f"{head}system:\n{told}\n\nuser:\n{{{{ticket}}}}\n")
        values = {"prompt": name, "model": "desk", "suite": "desk", "split": "all"}
        runs.append(execution.call(workspace, find("prompts.test"), values).run)
    write(workspace, "studies/tone.yaml", {"question": "Which?", "form": "pairs", "of": runs, "items": 20})
    drawn = execution.call(workspace, find("evaluation.study"), {"study": "tone"})
    assert drawn.found == 24 and drawn.items == min(20, 24 - drawn.alike)
    shown = following(workspace)
    assert "Pumpe" in shown.asked and "polite" not in shown.model_dump_json() and "höflich und" not in shown.model_dump_json()
    parents = {version.ref for _, version in walk(workspace.record, workspace.record.resolve("study/tone"), "up")}
    assert {"prompt/polite@1", "prompt/short@1", "model/desk@1"} <= parents

    things = drawing.read(workspace.store, workspace.record.resolve("study/tone")).things
    for thing in things:
        rate(workspace, thing.id, "B" if thing.turned else "A")  # the first prompt is always liked better
    report = agreement(workspace)
    assert report.good == 0.0
    rated = workspace.record.resolve(report.ratings)
    found = correcting.by_people(workspace.store, rated, {thing.case: 1.0 for thing in things} | {"other": math.nan})
    assert found.value == 0.0  # whatever a judge says that always likes the second

    judge = {"model": "desk", "criteria": "Be polite.", "form": "pairwise", "labels": {"study": "tone"}}
    write(workspace, "judges/polite.yaml", {**judge, "thresholds": {"labels": 10}})
    audited = execution.call(workspace, find("evaluation.audit"), {"judge": "polite"})
    assert (audited.labels, audited.calls) == (report.ratings, 2 * drawn.items)


def test_labels_that_were_not_gathered_are_a_sentence(workspace: Workspace) -> None:
    write(workspace, "models/desk.yaml", {"simulated": {"plan": "support"}})
    write(workspace, "judges/polite.yaml", {"model": "desk", "criteria": "c", "labels": {"study": "tone"}})
    with pytest.raises(
        UserError, match="ratings of study tone were not gathered yet; run: stellwerk evaluation agreement tone"
    ):
        execution.call(workspace, find("evaluation.audit"), {"judge": "polite"})
    write(workspace, "judges/polite.yaml", {"model": "desk", "criteria": "c"})
    with pytest.raises(UserError, match="has no labels, so there is nothing to compare the judge with"):
        execution.call(workspace, find("evaluation.audit"), {"judge": "polite"})
