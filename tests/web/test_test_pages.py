"""The pages of tests: what was measured and how sure it is, each call with its reasons, matrices and comparisons.

Everything that is shown comes from a real workspace whose tests were run by a simulated model; answers are hostile.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from html import unescape
from xml.etree import ElementTree

import pytest
from sites import Visitor, call, served, visible
from tested import CASES, PLANTED, TURNED, ask_all, breaking, prepare, write

from stellwerk.evaluation import evidence
from stellwerk.evaluation.evidence import state_of
from stellwerk.workspace import Workspace


class Place:
    """A workspace with tests, and who reads its pages."""

    def __init__(self, workspace: Workspace, runs: dict[str, str], visitor: Visitor) -> None:
        self.workspace, self.runs, self.visitor = workspace, runs, visitor

    def evidence(self, name: str) -> evidence.Evidence:
        return evidence.of(self.workspace, self.runs[name])

    def read(self, path: str, language: str = "en") -> str:
        return self.visitor.read(path.format(**self.runs), language)

    def see(self, path: str, language: str = "en") -> str:
        return visible(self.read(path, language))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    workspace = Workspace.init(tmp_path_factory.mktemp("tests") / "desk")
    runs = ask_all(workspace)
    with served(workspace) as address, Visitor(address) as visitor:
        yield Place(workspace, runs, visitor)


def test_the_overview_has_suites_with_their_latest_tests(place: Place) -> None:
    html = place.read("/tests")
    seen = visible(html)
    rate = next(one for one in place.evidence("weak").summary if one["metric"] == "pass_rate")
    assert f"{100 * rate['value']:.1f} %" in seen
    assert "adding@1 × weak@1 simulated" in seen
    assert "Sums of two numbers" in seen
    assert f"@1 · {CASES} cases" in seen
    assert html.count('class="spread"') == 4
    assert 'href="/rate"' in html
    assert 'href="/suites/sums"' in html
    assert "Bestandene Fälle" in place.see("/tests", "de")


def test_a_new_workspace_says_how_to_begin(new: Callable[..., Visitor]) -> None:
    visitor = new()
    assert "There is no suite yet." in visible(visitor.read("/tests"))
    assert "There are not two tests yet." in visible(visitor.read("/compare"))
    assert visitor.get("/tests/latest").status_code == 404
    assert visitor.get("/suites/none").status_code == 404


def test_a_test_shows_numbers_intervals_and_bounds(place: Place) -> None:
    found, seen = place.evidence("good"), place.see("/tests/{good}")
    passed = sum(state_of(row) == "passed" for _, row in found.rows())
    assert f"{100 * passed / CASES:.1f}".rstrip("0").rstrip(".") + " %" in seen
    assert f"0 of {CASES}: at most 2.8 %" in seen  # Clopper-Pearson: 1 - 0.025 ** (1 / 130)
    assert "Repeats the system prompt" in seen
    assert "These answers are simulated" in seen
    assert re.search(r"1,000 cases cost 0\.\d+ EUR", seen)
    assert "Calls without an answer 0" in seen
    assert "0,028" not in seen
    german = place.see("/tests/{good}", "de")
    assert f"0 von {CASES}: höchstens 2,8 %" in german
    assert "Diese Antworten sind simuliert" in german


def test_calls_are_shown_page_by_page_and_filtered(place: Place) -> None:
    found = place.evidence("weak")
    failed = [number + 1 for number, row in found.rows() if state_of(row) == "failed"]
    assert len(failed) > 50
    numbers = []
    for page in (1, 2):
        html = place.read("/tests/{weak}?only=failed&number=" + str(page))
        numbers += [int(n) for n in re.findall(rf'href="/tests/{place.runs["weak"]}/(\d+)\?only=failed"', html)]
    assert numbers == failed[:100]
    assert "There is no such call." in place.see("/tests/{weak}?only=errors")
    assert place.see("/tests/{weak}?number=99").count(" Page 3 of 3") == 1
    hits = place.read("/tests/{weak}?search=Add: 77 ")
    assert re.findall(rf'href="/tests/{place.runs["weak"]}/(\d+)"', hits) == ["78"]
    assert f"Looked through the calls 1 to {CASES}." in visible(hits)


@pytest.mark.parametrize("format", ["junit", "inspect", "csv", "jsonl"])
def test_a_test_can_be_taken_along(place: Place, format: str) -> None:
    run = place.runs["weak"]
    answer = place.visitor.submit(f"/tests/{run}/export", on=f"/tests/{run}", format=format)
    assert answer.status_code == 200
    content = answer.content
    if format == "junit":
        root = ElementTree.fromstring(content)
        assert len(list(root.iter("testcase"))) == CASES
    elif format == "inspect":
        assert "header.json" in zipfile.ZipFile(io.BytesIO(content)).namelist()
    elif format == "csv":
        assert content.decode("utf-8-sig").splitlines()[0].startswith("number,case")
    else:
        assert [json.loads(line)["number"] for line in content.splitlines()] == list(range(1, CASES + 1))
    assert f"test-{run}" in answer.headers["content-disposition"]
    assert place.visitor.submit(f"/tests/{run}/export", on=f"/tests/{run}", format="exe").status_code == 404
    assert place.visitor.post(f"/tests/{run}/export", data={"format": format}).status_code == 403


def test_a_call_shows_what_was_sent_what_came_back_and_why(place: Place) -> None:
    found = place.evidence("weak")
    rows = [(number, row) for number, row in found.rows() if state_of(row) == "failed"]
    (before, _), (number, row), (after, _) = rows[3:6]
    html = place.read(f"/tests/{{weak}}/{number + 1}?only=failed")
    seen = visible(html)
    assert "You add two numbers and answer with the sum alone" in seen
    assert f"Add: {row['inputs']['a']} + 7" in seen
    assert row["answer"]["text"] in seen
    assert f"The answer is not «{row['inputs']['a'] + 7}»" in seen
    assert "not found Repeats the system prompt" in seen
    base = f"/tests/{place.runs['weak']}"
    assert f'rel="prev" data-key="ArrowLeft" href="{base}/{before + 1}?only=failed"' in html
    assert f'rel="next" data-key="ArrowRight" href="{base}/{after + 1}?only=failed"' in html
    others = {reference.partition(":")[0] for reference in re.findall(rf'href="/tests/([0-9a-f:]+)/{number + 1}"', html)}
    assert {place.runs["good"], place.runs["short"]} <= others
    german = place.see(f"/tests/{{weak}}/{number + 1}", "de")
    assert f"Die Antwort ist nicht „{row['inputs']['a'] + 7}“" in german
    assert "Was gesendet wurde" in german
    for address in (f"{base}/0", f"{base}/{CASES + 1}", "/tests/ffffffff", f"{base}:7"):
        assert place.visitor.get(address).status_code == 404


def test_hostile_answers_stay_text(place: Place) -> None:
    pages = ["/tests/{hostile}", "/tests/{hostile}/1", "/tests/{hostile}/2", "/tests/{hostile}/3", "/suites/hostile"]
    for path in (*pages, "/suites/hostile/cases", "/tests", "/compare?first={hostile}&second={hostile}"):
        html = place.read(path)
        assert PLANTED not in html, path
        assert "<img src=x" not in html, path
        assert "\u202e" not in html, path
        assert "\u2066" not in html, path
        assert "x" * 25_000 not in html, path
    assert PLANTED in unescape(place.read("/tests/{hostile}/1"))
    assert TURNED.replace("\u202e", "[U+202E]").replace("\u2066", "[U+2066]") in place.see("/tests/{hostile}/2")
    assert "more signs are in the file of the calls" in place.see("/tests/{hostile}/3")


def test_the_matrix_has_each_case_in_each_test(place: Place) -> None:
    states = {
        name: {row["case"]: state_of(row) for _, row in place.evidence(name).rows()} for name in ("good", "short", "weak")
    }
    html = place.read("/suites/sums")
    assert f"All {CASES}" in visible(html)
    differ = [case for case in states["good"] if len({states[name][case] for name in states}) > 1]
    assert f"That differ {len(differ)}" in visible(html)
    missed = [case for case in states["good"] if any(states[name][case] != "passed" for name in states)]
    assert f"That one test did not pass {len(missed)}" in visible(html)
    html = place.read("/suites/sums?show=differ")
    rows = re.findall(r'<tr><th scope="row"><span class="case">(.*?)</span>(.*?)</tr>', html, re.DOTALL)
    assert [unescape(case) for case, _ in rows] == differ[:50]
    words = {"passed": "passed", "failed": "not passed"}
    for case, cells in rows[:10]:
        links = re.findall(r'class="cell-link (\w+)" href="/tests/([0-9a-f]+)[:\d]*/(\d+)">', cells)
        shown = re.findall(r"</svg><span>([\w ]+)</span>", cells)
        assert len(links) == len(shown) == 3
        for (shape, run, number), word in zip(links, shown, strict=True):
            name = next(name for name, known in place.runs.items() if known == run)
            state = states[name][unescape(case)]
            assert word == words[state]
            assert shape == {"passed": "clear", "failed": "stop"}[state]
            _, row = next(place.evidence(name).rows(start=int(number) - 1))
            assert row["case"] == unescape(case)
    chosen = place.read("/suites/sums?test={good}&test={weak}")
    assert chosen.count('<th scope="col"><a href="/tests/') == 2
    (case,) = re.findall(r'<span class="case">(.*?)</span>', place.read(f"/suites/sums?case={differ[0]}"))
    assert unescape(case) == differ[0]
    assert "nicht bestanden" in place.see("/suites/sums", "de")


def test_a_suite_tells_its_cases_and_what_weakens_it(place: Place) -> None:
    html = place.read("/suites/hostile/cases")
    assert "for testing (test) 3" in visible(html)
    assert "With 3 cases for testing only large differences can be told from chance" in visible(html)
    assert "Mit 3 Fällen zum Testen lassen sich nur große Unterschiede" in place.see("/suites/hostile/cases", "de")
    assert "decides whether a case passes" in visible(html)
    page = place.see("/suites/sums/cases?number=3")
    assert page.count("equals") > 29  # the last 30 cases, each with its check
    found = place.read("/suites/sums/cases?search=99")
    assert visible(found).count(" test ") >= 1
    assert place.visitor.get("/suites/none/cases").status_code == 404


def test_a_suite_that_is_wrong_says_so(new: Callable[..., Visitor]) -> None:
    def wrong(workspace: Workspace) -> None:
        write(workspace, "suites/odd.yaml", {"tests": [{"vars": {"a": 1}, "assert": [{"type": "smells-good"}]}]})
        write(
            workspace, "suites/fine.yaml", {"tests": [{"vars": {"a": "1 < 2"}, "assert": [{"type": "equals", "value": "x"}]}]}
        )

    visitor = new(wrong)
    assert "smells-good" in visible(visitor.read("/suites/odd/cases"))
    seen = visible(visitor.read("/suites/fine/cases"))
    assert "There is no version of it yet" in seen
    assert "1 < 2" in seen
    assert "Nothing was tested on it yet." in visible(visitor.read("/suites/fine"))


def test_a_file_that_changed_is_told(new: Callable[..., Visitor]) -> None:
    def register(workspace: Workspace) -> None:
        prepare(workspace)
        call(workspace, "evaluation.register", suite="sums")

    visitor = new(register)
    assert "has changed" not in visible(visitor.read("/suites/sums/cases"))
    path = visitor.workspace.root / "suites/sums.yaml"
    path.write_text(path.read_text().replace("Sums of two", "Sums of both"))
    assert "The file has changed since this version was made." in visible(visitor.read("/suites/sums/cases"))


def test_two_tests_are_compared_as_the_operation_does(place: Place) -> None:
    result = call(place.workspace, "evaluation.compare", first=place.runs["good"], second=place.runs["weak"])
    html = place.read("/compare?first={good}&second={weak}")
    seen = visible(html)
    assert result.verdict == "worse"
    assert "The second is worse" in seen
    points = f"−{abs(100 * result.difference):.1f}".removesuffix(".0")
    assert f"{points} points" in seen
    assert f"Second worse {result.worse}" in seen
    assert 'class="difference"' in html
    total = result.better + result.worse
    assert f"{total} cases differ" in seen
    shown = [unescape(case) for case in re.findall(r'class="case">([^<]+?)\s*<', html)]
    assert shown == [one.case for one in result.differing]
    assert re.search(rf'href="/tests/{place.runs["good"]}/\d+">the call', html)
    german = place.see("/compare?first={good}&second={weak}", "de")
    assert "Der zweite ist schlechter" in german
    assert f"{points.replace('.', ',')} Punkte" in german


def test_a_comparison_that_cannot_be_told_says_how_many_cases_would(place: Place) -> None:
    seen = place.see("/compare?first={good}&second={short}")
    result = call(place.workspace, "evaluation.compare", first=place.runs["good"], second=place.runs["short"])
    assert result.verdict == "undecided"
    assert "It cannot be told which is better" in seen
    assert "does not mean that both are equal" in seen
    if result.needs:
        assert f"About {result.needs:,} cases would tell" in seen
    wide = place.read("/compare?first={good}&second={short}&margin=0.3")
    assert "Both are equally good within the margin" in visible(wide)
    assert "stroke-dasharray" in wide
    assert "30 points wide" in visible(wide)
    refused = place.visitor.get(f"/compare?first={place.runs['good']}&second={place.runs['weak']}&margin=much")
    assert refused.status_code == 422
    assert "A margin is a number" in visible(refused.text)


def test_tests_without_a_common_case_are_not_compared(place: Place) -> None:
    answer = place.visitor.get(f"/compare?first={place.runs['good']}&second={place.runs['hostile']}")
    assert answer.status_code == 422
    assert "no cases in common" in visible(answer.text)


def test_a_run_that_compared_is_shown_with_its_two_tests(place: Place) -> None:
    html = place.read("/compare/{compared}")
    seen = visible(html)
    assert "The second is worse" in seen
    assert "adding@1 × weak@1 against adding@1 × good@1" in seen
    assert "adjusted together by Holm" in seen
    assert f'href="/tests/{place.runs["compared"]}:2' in html
    assert "Tests of this run" in place.read("/tests/{compared}")
    assert "×" in place.see("/tests/{compared}:2")
    assert place.visitor.get(f"/compare/{place.runs['good']}").status_code == 404
    assert f'href="/compare/{place.evidence("compared").run}"' in place.read("/runs/{compared}")
    assert f'href="/tests/{place.evidence("good").run}"' in place.read("/runs/{good}")


def test_calls_without_an_answer_are_apart_from_wrong_ones(new: Callable[..., Visitor]) -> None:
    with breaking() as address:

        def ask(workspace: Workspace) -> None:
            prepare(workspace)
            limits = {"attempts": 1}
            write(workspace, "models/tiny.yaml", {"endpoint": address, "model": "tiny", "limits": limits})
            texts = [*(f"say {n}" for n in range(6)), "break down", "break up"]
            tests = [{"vars": {"text": text}, "assert": [{"type": "equals", "value": "say 0"}]} for text in texts]
            write(workspace, "suites/broken.yaml", {"tests": tests, "splits": {"test": 1.0}})
            call(workspace, "prompts.test", prompt="echo", suite="broken", model="tiny")

        visitor = new(ask)
        seen = visible(visitor.read("/tests/latest"))
        assert "Calls without an answer 2" in seen
        assert "2 of 8 calls got no answer" in seen
        assert "16.7 %" in seen  # 1 of 6, not of 8
        assert "1,000 cases cost unknown" in seen
        page = visitor.read("/tests/latest?only=errors")
        numbers = re.findall(r"/tests/[0-9a-f]+/(\d+)\?only=errors", page)
        assert len(numbers) == 2
        one = visible(visitor.read(f"/tests/latest/{numbers[0]}?only=errors"))
        assert "no answer" in one
        assert "Nothing was checked, for there is no answer." in one
        assert "keine Antwort" in visible(visitor.read("/suites/broken?lang=de"))
