"""Makes screenshots of every page of a workspace, so that a person can look at them.

Starts `stellwerk serve` on the workspace, walks the links from the start page (one page of each kind, or all), and takes each
page wide and phone-sized, light and dark, in English and German. Says which pages scroll sideways, write errors into the
browser's console, or have serious findings of axe-core. Knows Chromium and addresses; nothing of what a page shows.

Usage: .venv/bin/python tools/screenshots.py [WORKSPACE] [OUT] [--all]
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOOKS = (("wide-light-en", 1280, "light", "en"), ("wide-dark-de", 1280, "dark", "de"), ("phone-light-de", 375, "light", "de"))
MOST = 400
FILE_ENDINGS = (".pdf", ".zip", ".json", ".csv", ".xlsx", ".svg", ".png", ".css", ".js")


def main() -> int:
    """Take the pictures; 1 where a page has a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", nargs="?", type=Path, default=Path("demo-workspace"))
    parser.add_argument("out", nargs="?", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--all", action="store_true", help="every page, not one of each kind")
    given = parser.parse_args()
    if not (given.workspace / "stellwerk.yaml").is_file():
        print(f"{given.workspace} is no workspace; make one with: make demo", file=sys.stderr)
        return 2
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    with serving(given.workspace) as base:
        faults = list(take(base, given.out, every=given.all))
    print("\n".join(faults) or "no page has a fault")
    print(f"the pictures are in {given.out}")
    return 1 if faults else 0


@contextmanager
def serving(workspace: Path) -> Iterator[str]:
    """`stellwerk serve` on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stellwerk", "serve", "--port", str(port), "--no-worker", "--workspace", str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        base = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                if process.poll() is not None:
                    raise SystemExit(f"stellwerk serve ended: {process.stderr.read() if process.stderr else ''}")
                try:
                    urllib.request.urlopen(base, timeout=5).close()
                    break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    time.sleep(0.2)
            yield base
        finally:
            process.terminate()


def take(base: str, out: Path, *, every: bool) -> Iterator[str]:
    """Walk the pages and take them; yields what is wrong with one."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        paths = walk(browser, base, every=every)
        for look, width, scheme, language in LOOKS:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language, reduced_motion="reduce"
            )
            tab = context.new_page()
            said: list[str] = []
            tab.on("console", lambda message, said=said: said.append(message.text) if message.type == "error" else None)
            for path in paths:
                said.clear()
                tab.goto(base + path, wait_until="load")
                tab.wait_for_timeout(400)
                tab.screenshot(path=out / f"{name_of(path)}.{look}.png", full_page=True)
                wider = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wider > 0:
                    yield f"{path} ({look}): scrolls {wider} px sideways"
                yield from (f"{path} ({look}): console: {line}" for line in said)
                yield from (f"{path} ({look}): {fault}" for fault in serious(Axe().run(tab)))
            context.close()
        browser.close()


def serious(results: Any) -> Iterator[str]:
    """The findings of axe-core that keep somebody from using a page."""
    for violation in results.response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            targets = "; ".join(str(node["target"]) for node in violation["nodes"][:3])
            yield f"{violation['id']}: {violation['help']}: {targets}"


def walk(browser: Any, base: str, *, every: bool) -> list[str]:
    """The addresses of pages that links lead to: all, or the first of each kind."""
    tab = browser.new_page()
    found, todo, kinds = [], ["/"], set()
    while todo and len(found) < MOST:
        path = todo.pop(0)
        kind = kind_of(path)
        if path in found or (kind in kinds and not every):
            continue
        kinds.add(kind)
        answer = tab.goto(base + path)
        if answer is None or "text/html" not in answer.headers.get("content-type", ""):
            continue
        found.append(path)
        links = tab.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
        for link in links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.endswith(FILE_ENDINGS):
                continue
            if re.search(r"(^|&)(lang|format|as|part)=", parts.query):
                continue
            todo.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    tab.close()
    return found


def kind_of(path: str) -> str:
    """Pages that differ only in names and numbers are of one kind; each operation's form is a kind of its own."""
    parts = urlsplit(path)
    fields = "&".join(sorted(field.partition("=")[0] for field in parts.query.split("&") if field))
    words = parts.path.split("/")
    kept = words if words[1] in ("operations", "jobs") else [w if i < 2 or w in KEPT else "*" for i, w in enumerate(words)]
    return "/".join(kept) + ("?" + fields if fields else "")


KEPT = ("rows", "scores", "tests", "render", "sql", "document", "diff", "dataset", "source", "service", "dossier")


def name_of(path: str) -> str:
    """A name of a file for an address."""
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")[:120] or "start"


if __name__ == "__main__":
    sys.exit(main())
