"""Through the pages of tests in a real browser: from all tests to one call, over a matrix by keys, and to a comparison.

Wide in English and light, and on a phone in German and dark; each page is looked at by axe-core on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from sites import served
from test_browser import LOOKS, Reader, browser
from tested import ask_all

from stellwerk.workspace import Workspace

__all__ = ["browser"]  # the fixture
SHOTS = os.environ.get("STELLWERK_SHOTS")  # a folder for pictures, to look at them


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    workspace = Workspace.init(tmp_path_factory.mktemp("browsing") / "desk")
    with ThreadPoolExecutor(1) as aside:  # the browser's driver has an event loop on this thread, and a test wants its own
        runs = aside.submit(ask_all, workspace).result()
    with served(workspace) as address:
        yield address, runs


def shot(reader: Reader, name: str) -> None:
    if SHOTS:
        reader.tab.screenshot(path=Path(SHOTS) / f"{name}.png")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
def test_a_person_finds_what_differs(
    browser: Browser, site: tuple[str, dict[str, str]], language: str, width: int, scheme: Any
) -> None:
    base, runs = site
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language, reduced_motion="reduce"
    )
    reader = Reader(context.new_page(), base, language)
    tab, say = reader.tab, reader.say
    tab.set_default_timeout(60_000)
    try:
        reader.open("/")
        reader.click("Tests", role="link", of="nav.main")
        assert reader.headline == say("Tests")
        shot(reader, f"tests-{language}")

        # One test, what it missed, and a call of it.
        tab.locator(f"a[href='/tests/{runs['weak']}']").first.click()
        reader.look()
        shot(reader, f"test-{language}")
        reader.click("Not passed", role="link", of="nav.tabs")
        tab.locator(".calls a").first.click()
        reader.look()
        assert say("not passed") in tab.locator(".state").inner_text()
        assert tab.locator(".checks li").count() == 2
        shot(reader, f"call-{language}")
        first = tab.url
        if width > 600:
            tab.keyboard.press("ArrowRight")
            tab.wait_for_url(lambda url: url != first)
            tab.keyboard.press("ArrowLeft")
            tab.wait_for_url(first)

        # The matrix of its suite: only what differs, over its cells by keys, and into one.
        reader.open("/suites/sums")
        reader.click("That differ", role="link")
        shot(reader, f"matrix-{language}")
        cells = tab.locator(".matrix .cell-link")
        assert cells.count() % 3 == 0
        assert len({shape.get_attribute("class") for shape in cells.all()}) == 2
        if width > 600:
            cells.first.focus()
            tab.keyboard.press("ArrowDown")
            tab.keyboard.press("ArrowRight")
            place = "document.activeElement.closest('td').cellIndex + ' ' + document.activeElement.closest('tr').rowIndex"
            assert tab.evaluate(place) == "2 2"
            assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            tab.keyboard.press("Enter")
        else:
            box = cells.first.bounding_box()
            assert box is not None
            assert box["height"] >= 44
            cells.first.click()
        tab.locator(".checks").wait_for()
        reader.look()

        reader.open("/suites/sums/cases")
        shot(reader, f"cases-{language}")

        # Two tests against each other, by the form.
        reader.open("/compare")
        tab.locator("#first").select_option(runs["good"])
        tab.locator("#second").select_option(runs["weak"])
        reader.click("Compare", of="form")
        assert reader.headline == say("The second is worse")
        assert tab.locator("svg.difference").get_attribute("role") == "img"
        shot(reader, f"compare-{language}")
        tab.locator(".pair a").first.click()
        reader.look()
        for path in (f"/compare/{runs['compared']}", f"/tests/{runs['hostile']}", f"/tests/{runs['hostile']}/3"):
            reader.open(path)
        assert tab.evaluate("document.querySelectorAll('img').length") == 0
    finally:
        context.close()


@pytest.mark.timeout(300)
def test_the_keyboard_alone_takes_a_test_along(browser: Browser, site: tuple[str, dict[str, str]]) -> None:
    base, runs = site
    tab = browser.new_page()
    tab.goto(f"{base}/tests/{runs['good']}")
    for _ in range(60):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.value") == "junit":
            break
    with tab.expect_download() as coming:
        tab.keyboard.press("Enter")
    assert coming.value.suggested_filename == f"test-{runs['good']}.xml"
    tab.close()
