"""The way of the demo by clicks in a real browser: release, change, dark signals, mend, release again, verify.

In both languages, wide and on a phone. `stellwerk serve` runs as a process of its own with its worker. On the way each page is
looked at by axe-core, must not scroll sideways, and must say nothing in the browser's console.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sites import ARTICLES, SYSTEM, TICKETS, call, write_dataset, write_system

from stellwerk.doors.web.language import words
from stellwerk.workspace import Workspace

LOOKS = [
    pytest.param("en", 1280, "light", id="English, wide, light"),
    pytest.param("de", 375, "dark", id="German, phone, dark"),
]
SECONDS = 120_000


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


@pytest.fixture
def company(tmp_path: Path) -> Workspace:
    """Two datasets, built and tested, and a system that binds both."""
    workspace = Workspace.init(tmp_path / "company")
    settings = workspace.root / "stellwerk.yaml"
    settings.write_text(settings.read_text() + "workers: 1\n")
    write_dataset(workspace, "tickets", TICKETS, tests=[{"column": "id", "unique": True}])
    write_dataset(workspace, "knowledge", ARTICLES, tests=[{"column": "id", "unique": True}])
    for name in ("tickets", "knowledge"):
        call(workspace, "data.build", dataset=name)
        call(workspace, "data.test", dataset=name)
    write_system(workspace, "support-desk", **{**SYSTEM, "binds": ["dataset/tickets", "dataset/knowledge"]})
    return workspace


@contextmanager
def serving(workspace: Workspace) -> Iterator[str]:
    """`stellwerk serve` with its worker; gives the address that it prints."""
    command = [sys.executable, "-m", "stellwerk", "serve", "--port", "0", "-w", str(workspace.root)]
    log = (workspace.root / "serve.log").open("w+")
    with log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True) as process:
        try:
            until = time.monotonic() + 60
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", (workspace.root / "serve.log").read_text())):
                assert process.poll() is None and time.monotonic() < until, (workspace.root / "serve.log").read_text()
                time.sleep(0.1)
            yield found[0]
        finally:
            process.terminate()
            process.wait(timeout=30)


class Reader:
    """A person at the browser, who reads each page before the next click."""

    def __init__(self, tab: Page, base: str, language: str) -> None:
        self.tab, self.base = tab, base
        self.said: list[str] = []
        self.say: Callable[[str], str] = words(language).gettext  # type: ignore[arg-type]
        tab.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.set_default_timeout(SECONDS)

    def open(self, path: str) -> None:
        self.tab.goto(self.base + path)
        self.look()

    def click(self, text: str, *, role: Any = "button", of: str | None = None) -> None:
        """Click the control with this English text, in the reader's language."""
        place = self.tab.locator(of) if of else self.tab
        place.get_by_role(role, name=self.say(text)).first.click()
        self.tab.wait_for_load_state()
        self.look()

    def look(self) -> None:
        """The page is usable: nothing in the console, nothing wider than the screen, no serious finding of axe-core."""
        wider = self.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{self.tab.url} scrolls {wider} px sideways"
        assert self.said == [], f"{self.tab.url}: {self.said}"
        grave = [v for v in Axe().run(self.tab).response["violations"] if v["impact"] in ("serious", "critical")]
        assert not grave, f"{self.tab.url}: " + "; ".join(f"{v['id']} {[n['target'] for n in v['nodes']][:3]}" for v in grave)

    def until_done(self) -> None:
        """Stay on the page of a run until it has ended well."""
        self.tab.locator(".state .run-done").wait_for()
        self.look()

    @property
    def headline(self) -> str:
        return self.tab.locator("h1").inner_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
def test_a_person_releases_changes_mends_and_releases_again_by_clicks(
    browser: Browser, company: Workspace, language: str, width: int, scheme: Any
) -> None:
    with serving(company) as base:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language, reduced_motion="reduce"
        )
        reader = Reader(context.new_page(), base, language)
        reader.open("/")
        assert reader.tab.locator("html").get_attribute("lang") == language
        assert reader.headline == reader.say("%(name)s can be released") % {"name": "support-desk"} + "."
        reader.tab.locator(".system h2 a").click()
        reader.look()
        reader.click("Release it")
        reader.until_done()

        # One row of a source changes, and its dataset is built from the form of the operation.
        path = company.root / "raw" / "tickets.jsonl"
        path.write_text(path.read_text().replace("Pump 7 stands still", "Pump 7 leaks and stands still"))
        reader.open("/operations/data.build?dataset=tickets")
        reader.click("Start")
        reader.until_done()
        reader.open("/")
        assert reader.tab.locator(".stops .signal.dark").count() == 1
        assert "dataset/tickets@2" in reader.tab.locator(".stops").inner_text()
        assert "knowledge" not in reader.tab.locator(".stops").inner_text()

        reader.click("Mend all that runs can mend")
        reader.tab.locator(".stops").wait_for(state="detached")  # the page renews itself when the run has ended
        reader.look()
        reader.tab.locator(".system h2 a").click()
        reader.click("Release it")
        reader.until_done()

        reader.open("/releases")
        reader.tab.locator("main a[href='/releases/support-desk/2']").first.click()
        reader.look()
        with reader.tab.expect_download() as coming:
            reader.tab.locator("a[href$='bundle.zip']").first.click()
        bundle = company.root.parent / "release.zip"
        coming.value.save_as(bundle)
        key = call(company, "release.show", release="support-desk@2").key
        command = [sys.executable, "-m", "stellwerk", "release", "verify", str(bundle), "--fingerprint", key, "--json"]
        done = subprocess.run(command, cwd=company.root.parent, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["genuine"] is True
        context.close()


@pytest.mark.timeout(300)
def test_the_keyboard_alone_leads_from_the_start_to_a_signal(browser: Browser, company: Workspace) -> None:
    with serving(company) as base:
        tab = browser.new_page()
        tab.goto(base)
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.keyboard.press("Enter")
        assert tab.evaluate("location.hash") == "#content"
        for _ in range(30):
            tab.keyboard.press("Tab")
            if (tab.evaluate("document.activeElement.getAttribute('href')") or "").startswith("/systems/"):
                break
        outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "the place of the keyboard cannot be seen"
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/systems/support-desk*")
        tab.close()
