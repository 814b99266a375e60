"""Rating on pages: one thing at a time, blind, by form, by key and on a phone, in both languages; markup stays text."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sites import Visitor, call, visible

from stellwerk.record import tables
from stellwerk.workspace import Workspace

PLANTED = "<script>alert(1)</script>"


def prepare(workspace: Workspace, things: int = 3, **fields: Any) -> None:
    """A study of pairs, drawn."""
    rows = [
        {"question": f"Where is {n}? {PLANTED}", "first": f"old {n} {PLANTED}", "second": f"new {n} " + "long " * 60}
        for n in range(things)
    ]
    (workspace.root / "answers.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (workspace.root / "studies").mkdir()
    words = {
        "question": "Which is kinder?",
        "criteria": "Look at the tone.",
        "form": "pairs",
        "file": "answers.jsonl",
        **fields,
    }
    (workspace.root / "studies/tone.yaml").write_text(yaml.safe_dump(words))
    call(workspace, "evaluation.study", study="tone")


@pytest.fixture
def visitor(new: Callable[..., Visitor]) -> Visitor:
    """Somebody who reads a workspace with a study of three pairs."""
    return new(prepare)


def item(html: str) -> str:
    found = re.search(r'name="item" value="(\d+)"', html)
    assert found, visible(html)[:300]
    return found[1]


def test_all_is_rated_one_by_one(visitor: Visitor) -> None:
    assert "Which is kinder?" in visible(visitor.read("/rate"))
    seen = []
    for turn in range(3):
        html = visitor.read("/rate/tone")
        assert f"{turn} of 3 rated" in visible(html)
        assert PLANTED not in html
        assert "answers.jsonl" not in html
        seen.append(item(html))
        assert visitor.submit("/rate/tone", on="/rate/tone", item=seen[-1], value="tie", comment="so <so>").status_code == 200
    assert sorted(seen) == ["1", "2", "3"]
    assert "All is rated. Thank you." in visible(visitor.read("/rate/tone"))
    again = visitor.read(f"/rate/tone?item={seen[0]}")
    assert "so &lt;so&gt;</textarea>" in again
    assert re.search(r'value="tie" class="" aria-pressed="true"', again)
    visitor.submit("/rate/tone", on=f"/rate/tone?item={seen[0]}", item=seen[0], value="A")
    values = [row["value"] for row in visitor.workspace.record.rows(tables.rating, order=tables.rating.c.created)]
    assert values == ["tie", "tie", "tie", "A"]


def test_the_page_is_german_too(visitor: Visitor) -> None:
    html = visitor.read("/rate/tone", "de")
    assert "0 von 3 bewertet" in visible(html)
    assert "beide gleich" in visible(html)
    assert "Antwort A" in visible(html)


def test_what_is_no_rating_stands_at_the_form_with_what_was_typed(visitor: Visitor) -> None:
    answer = visitor.submit("/rate/tone", on="/rate/tone", item="2", value="C", comment="a long thought")
    assert answer.status_code == 422
    assert "no rating of tone; it is rated A, B, tie" in visible(answer.text)
    assert "a long thought</textarea>" in answer.text
    assert item(answer.text) == "2"
    assert visitor.submit("/rate/tone", on="/rate/tone", item="77", value="A").status_code == 422
    assert not visitor.workspace.record.rows(tables.rating)


def test_unknown_studies_items_and_forged_requests_are_refused(visitor: Visitor) -> None:
    assert visitor.get("/rate/none").status_code == 404
    assert visitor.get("/rate/tone?item=9").status_code == 404
    assert visitor.post("/rate/tone", data={"item": "1", "value": "A"}).status_code == 403
    assert not visitor.workspace.record.rows(tables.rating)


def test_a_study_for_others_is_not_shown(new: Callable[..., Visitor]) -> None:
    visitor = new(lambda workspace: prepare(workspace, raters=["somebody else"]))
    assert "Nothing is to be rated." in visible(visitor.read("/rate"))
    assert visitor.get("/rate/tone").status_code == 404


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no browser is installed (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


def look(tab: Page, said: list[str]) -> None:
    """Nothing wider than the screen, nothing in the console, no serious finding of axe-core."""
    assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert said == []
    grave = [v for v in Axe().run(tab).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not grave, [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in grave]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("language", "width", "scheme"), [("en", 1280, "light"), ("de", 375, "dark")])
def test_by_keys_and_by_thumb(visitor: Visitor, browser: Browser, language: str, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, locale=language, color_scheme=scheme)
    tab, said = context.new_page(), list[str]()
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.set_default_timeout(60_000)
    tab.goto(f"{visitor.base_url}/rate/tone")
    look(tab, said)
    first = tab.locator("input[name=item]").get_attribute("value")
    if width > 600:
        tab.keyboard.press("ArrowRight")
        tab.wait_for_url("**item=*")
        tab.keyboard.press("ArrowLeft")
        tab.wait_for_url(f"**item={first}")
        with tab.expect_navigation():
            tab.keyboard.press("2")
        tab.locator("details:has(#comment) summary").click()
        tab.locator("#comment").press("1")  # while somebody writes, keys write
        assert tab.locator("#comment").input_value() == "1"
    else:
        button = tab.locator("button[value=B]")
        assert button.bounding_box()["height"] >= 44  # type: ignore[index]
        with tab.expect_navigation():
            button.click()
    look(tab, said)
    (row,) = visitor.workspace.record.rows(tables.rating)
    assert (row["item"], row["value"]) == (first, "B")
    context.close()
