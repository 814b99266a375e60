"""Writes the sample company's knowledge base: help-centre pages as HTML, and the service handbook that its REST API serves.

A page has what pages have around an article: navigation, cookie banner, footer. Sheets of the handbook stand in one JSON
file, from which demo/handbook_server.py answers. Some articles carry a planted defect; the wording is in
wording/knowledge_*.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from random import Random
from typing import Any

from stellwerk.demo import identifiers
from stellwerk.demo.catalogue import Slots, customers
from stellwerk.demo.defects import misread
from stellwerk.demo.near_copies import jaccard
from stellwerk.demo.phrases import Template, compile_template, draws, fill, pick, read_wording

EDITED = datetime(2026, 6, 1, 9, 0)
HANDBOOK = "raw/handbook.json"
VARIANTS = 6  # articles on each topic and language, each about another machine and part
SECTIONS = {"about": 2, "steps": 5, "notes": 2}
# How many articles carry each defect.
DEFECTS = {"exact_duplicate": 3, "near_duplicate": 4, "mojibake": 3, "truncated": 3, "email": 4, "phone": 3, "injection": 3}


@dataclass
class Article:
    """One article: its words, and its name: of a file for a help page, an id for a sheet of the handbook."""

    name: str
    language: str
    title: str
    sections: list[tuple[str, list[str]]]
    slots: Slots

    @property
    def words(self) -> str:
        """The words of the article without markup or boilerplate, as a build should extract them."""
        lines = [self.title]
        for heading, sentences in self.sections:
            lines += [heading, *sentences]
        return "\n\n".join(lines)

    @property
    def page(self) -> bool:
        """Whether it is a page of the help centre."""
        return self.name.endswith(".html")

    @property
    def doc(self) -> str:
        """The document's name in a build of datasets/knowledge.yaml."""
        return f"help:raw/knowledge/{self.name}" if self.page else f"handbook:{self.name}"


def write_knowledge_base(folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Write all articles and yield the truth of each planted defect.

    Args:
        folder: of the workspace; pages go to raw/knowledge, sheets to raw/handbook.json
        seed: of the whole corpus

    Yields:
        Rows of planted.jsonl: kind, doc, detail, and partner for copies.
    """
    rng = draws(f"knowledge/{seed}")
    articles = [_article(rng, seed, language, topic, variant) for language, topic, variant in _index()]
    planted = list(_plant(rng, articles))
    (folder / "raw" / "knowledge").mkdir(parents=True, exist_ok=True)
    for article in articles:
        if article.page:
            (folder / "raw" / "knowledge" / article.name).write_bytes(_html(article).encode("utf-8"))
    sheets = [_sheet(place, article) for place, article in enumerate(article for article in articles if not article.page)]
    text = json.dumps({"articles": sheets}, ensure_ascii=False, indent=1) + "\n"
    (folder / HANDBOOK).write_bytes(text.encode("utf-8"))
    yield from planted


def _index() -> Iterator[tuple[str, str, int]]:
    for language in ("de", "en"):
        for topic in read_wording(f"knowledge_{language}")["topics"]:
            for variant in range(VARIANTS):
                yield language, topic, variant


def _article(rng: Random, seed: int, language: str, topic: str, variant: int) -> Article:
    wording = read_wording(f"knowledge_{language}")
    slots = Slots(rng, language, pick(rng, customers(seed)), EDITED)
    parts = wording["topics"][topic]

    def say(template: Template) -> str:
        for name in ("count", "value", "param", "days"):
            slots.pop(name, None)
        return fill(template, rng, slots)

    sections = []
    for section, wanted in SECTIONS.items():
        lines = [compile_template(line) for line in parts[section].splitlines()]
        kept = sorted(sorted(range(len(lines)), key=lambda _: rng.random())[:wanted])
        sections.append((wording["headings"][section], [say(lines[place]) for place in kept]))
    general = [compile_template(line) for line in wording["general"].splitlines()]
    sections[-1][1].extend(say(template) for template in sorted(general, key=lambda _: rng.random())[:2])
    name = f"{language}-{topic}-{variant + 1}" + (".html" if variant % 3 else "")
    return Article(name, language, say(compile_template(parts["title"])), sections, slots)


def _plant(rng: Random, articles: list[Article]) -> Iterator[dict[str, Any]]:
    """Plant each defect into articles of its own, never into one that was copied."""
    free = sorted(range(len(articles)), key=lambda _: rng.random())
    for kind, wanted in DEFECTS.items():
        while wanted and free:
            article = articles[free.pop()]
            row: dict[str, Any] = {"kind": kind, "doc": article.doc}
            if kind in ("exact_duplicate", "near_duplicate"):
                original = articles[free.pop()]
                copy = _copy(rng, article, original, kind)
                articles.append(copy)
                row = {"kind": kind, "doc": copy.doc, "partner": original.doc}
                row["detail"] = {"jaccard": round(jaccard(original.words, copy.words), 4)}
            else:
                detail = _spoil(rng, article, kind)
                if detail is None:
                    continue
                row["detail"] = detail
            wanted -= 1
            yield row


def _copy(rng: Random, place: Article, original: Article, kind: str) -> Article:
    stem, dot, suffix = original.name.partition(".")
    sections = [(heading, list(sentences)) for heading, sentences in original.sections]
    if kind == "near_duplicate":
        sections[-1][1][-1] = place.sections[-1][1][-1]
    ending = "alt" if original.language == "de" else "old"
    return Article(f"{stem}-{ending}{dot}{suffix}", original.language, original.title, sections, original.slots)


def _spoil(rng: Random, article: Article, kind: str) -> dict[str, Any] | None:
    wording = read_wording(f"knowledge_{article.language}")
    if kind == "mojibake":
        if article.language != "de":
            return None
        clean = article.words
        article.title = misread(article.title)
        article.sections = [(misread(head), [misread(line) for line in lines]) for head, lines in article.sections]
        return {"variant": "whole", "clean": clean}
    if kind == "truncated":
        lines = article.sections[1][1]
        article.sections = [article.sections[0], (article.sections[1][0], [*lines[:2], lines[2][: len(lines[2]) // 2]])]
        return {"variant": "anywhere", "ends": article.words[-20:]}
    if kind == "injection":
        sentence = fill(compile_template(wording["hidden"]), rng, article.slots)
        article.sections[0][1].append(sentence)
        return {"goal": "recommendation", "variant": "sentence", "text": sentence}
    if kind == "email":
        catalogue = read_wording("catalogue")
        last = pick(rng, [name for name in catalogue["last_names"] if name.isascii()])
        value = normal = f"{pick(rng, 'abcdefgh')}.{last.lower()}@tannwerder.example"
    else:
        country, area, number = identifiers.phone_number(rng)
        while country != "DE":
            country, area, number = identifiers.phone_number(rng)
        value, normal = f"+49 {area} {number}", f"+49{area}{number}"
    article.sections[-1][1].append(fill(compile_template(wording["contact"]), rng, {"value": value}))
    return {"value": value, "format": "plain", "normal": normal}


def _sheet(place: int, article: Article) -> dict[str, Any]:
    """A sheet of the handbook as the API gives it; its text is Markdown."""
    lines: list[str] = []
    for number, (heading, sentences) in enumerate(article.sections):
        lines += [f"## {heading}", ""]
        lines += [f"{place + 1}. {line}" for place, line in enumerate(sentences)] if number == 1 else [" ".join(sentences)]
        lines.append("")
    edited = EDITED + timedelta(hours=place * 53)
    return {
        "id": article.name, "language": article.language, "title": article.title, "body": "\n".join(lines).strip(),
        "updated_at": f"{edited:%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip


def _html(article: Article) -> str:
    wording = read_wording(f"knowledge_{article.language}")
    links = "".join(f'<li><a href="/{number}">{escape(name)}</a></li>' for number, name in enumerate(wording["navigation"]))
    blocks = []
    for number, (heading, sentences) in enumerate(article.sections):
        lines = [escape(line) for line in sentences]
        items = "".join(f"<li>{line}</li>" for line in lines)
        inner = f"<ol>{items}</ol>" if number == 1 else f"<p>{' '.join(lines)}</p>"
        blocks.append(f"<h2>{escape(heading)}</h2>\n{inner}")
    return f"""<!DOCTYPE html>
<html lang="{article.language}">
<head><meta charset="utf-8"><title>{escape(article.title)} | Tannwerder</title>
<script>window.dataLayer = window.dataLayer || [];</script></head>
<body>
<div class="cookie-banner" role="dialog">{escape(wording["cookie"])}</div>
<header><nav><ul>{links}</ul></nav></header>
<main><article>
<h1>{escape(article.title)}</h1>
{chr(10).join(blocks)}
</article></main>
<footer>{escape(wording["footer"])}</footer>
</body>
</html>
"""
