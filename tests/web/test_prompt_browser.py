"""The way of a prompt engineer in a real browser: write, see it rendered, mend, save, test, compare, look at a search.

In both languages, wide and on a phone; each page is looked at by axe-core, must not scroll sideways, and says nothing in the
browser's console.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from promptsite import fill
from test_browser import LOOKS, SECONDS, Reader, serving

from stellwerk.record import tables
from stellwerk.workspace import Workspace


@pytest.fixture(scope="module")
def browser(filled: Path) -> Iterator[Browser]:
    """Debian's Chromium; the workspace is filled before, for runs ask models where no event loop runs yet."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no browser is installed (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with tests and searches, to be copied."""
    workspace = Workspace.init(tmp_path_factory.mktemp("filled") / "company")
    fill(workspace)
    workspace.record.database.close()
    return workspace.root


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
def test_a_prompt_is_written_tested_and_looked_at_by_clicks(
    browser: Browser, filled: Path, tmp_path: Path, language: str, width: int, scheme: Any
) -> None:
    shutil.copytree(filled, tmp_path / "company")
    workspace = Workspace(tmp_path / "company")
    file = workspace.root / "prompts/reply.prompty"
    with serving(workspace) as base:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language, reduced_motion="reduce"
        )
        reader = Reader(context.new_page(), base, language)
        expect.set_options(timeout=SECONDS)
        tab = reader.tab
        reader.open("/prompts")
        tab.locator("main a[href='/prompts/reply']").first.click()
        tab.locator(".trends svg").wait_for()
        reader.look()

        # What is typed is rendered, a mistake leads to its line, and what is right is saved by keys alone.
        source = tab.locator("#prompt-source")
        before = source.input_value()
        source.fill(before.replace("Anfrage: {{ticket}}", "Anfrage: {{brief}}"))
        tab.locator("#preview [data-line]").click()
        assert tab.evaluate("document.activeElement.id") == "prompt-source"
        chosen = "(() => { const s = document.activeElement; return s.value.slice(s.selectionStart, s.selectionEnd); })()"
        assert tab.evaluate(chosen) == "Anfrage: {{brief}}"
        tab.keyboard.insert_text("Der Brief: {{ticket}}")
        expect(tab.locator("#preview .prompt-message").last).to_contain_text("Der Brief: Die Rechnung 40 ist falsch")
        tab.locator("#value-1").fill("Wo bleibt die Pumpe?")
        expect(tab.locator("#preview mark").last).to_have_text("Wo bleibt die Pumpe?")
        tab.locator("#case").fill("2")
        reader.click("Take it")
        expect(tab.locator("#value-1")).to_have_value("Pumpe 1 steht still, bitte schicken Sie einen Monteur zur Reparatur.")
        reader.click("Ask")
        tab.locator("#tried .prompt-message").wait_for()
        reader.look()
        source.press("Control+s")
        tab.wait_for_url("**/prompts/reply?saved=1")
        reader.look()
        assert "Der Brief: {{ticket}}" in file.read_text()

        # Its test runs, and stands in the history.
        reader.click("Test it", role="link")
        reader.click("Start")
        reader.until_done()
        reader.open("/prompts/reply")
        tab.locator("a[href='/prompts/reply/diff?first=2&second=3']").click()
        tab.wait_for_load_state()
        reader.look()
        assert tab.locator(".diff-new b", has_text="Brief").count() == 2  # in its message and in the file
        reader.open("/prompts/reply/3")

        for kind in ("prompts.optimise", "prompts.trim"):
            run = workspace.record.rows(tables.run, tables.run.c.operation == kind)[0]["id"]
            reader.open(f"/runs/{run}")
            reader.click("See the search drawn", role="link")
            expect(tab.locator(".trends svg")).to_have_count(2)
            reader.look()
        context.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_people_who_write_at_once_are_told(browser: Browser, filled: Path, tmp_path: Path) -> None:
    shutil.copytree(filled, tmp_path / "company")
    workspace = Workspace(tmp_path / "company")
    file = workspace.root / "prompts/reply.prompty"
    with serving(workspace) as base:
        tab = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en")
        reader = Reader(tab, base, "en")
        reader.open("/prompts/reply")
        theirs = file.read_text().replace("mit Sie", "immer mit Sie")
        file.write_text(theirs)
        source = tab.locator("#prompt-source")
        source.fill(source.input_value().replace("alle mit", "jeden mit"))
        expect(tab.locator("#unsaved")).to_have_text("not saved yet")
        reader.said.clear()
        tab.get_by_role("button", name="Save").click()
        tab.locator(".difflines").wait_for()
        assert file.read_text() == theirs
        reader.said.clear()  # the browser tells of the status 409
        reader.look()
        reader.click("Put mine in its place")
        assert "jeden mit" in file.read_text()
        tab.close()
