"""The words of the sample company's manuals: which there are, their chapters and tables, and what is wrong with some of them.

Torques and error codes of a machine are the same in all its manuals, except in the outdated ones, which are planted. How a
manual becomes a PDF, Word, HTML or Markdown file is the matter of demo/manual_files.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any, Final

from stellwerk.demo.catalogue import Slots, customers
from stellwerk.demo.near_copies import jaccard
from stellwerk.demo.phrases import compile_template, draws, fill, pick, read_wording

PRINTED: Final = datetime(2026, 3, 1, 9, 0)
CHAPTERS: Final = {
    "manual": {"safety": 6, "transport": 5, "commissioning": 5, "operation": 6, "maintenance": 4, "faults": 4, "disposal": 3},
    "maintenance": {"safety": 4, "maintenance": 7, "faults": 3, "disposal": 2},
    "faults": {"safety": 4, "faults": 7, "operation": 3},
}
TABLES: Final = {"manual": ("torque", "codes"), "maintenance": ("intervals", "torque"), "faults": ("codes",)}
# Kind, language and format of the manuals of each machine in turn: 40 for ten machines.
FORMATS: Final = (("manual", "de", "pdf"), ("manual", "en", "pdf"), ("maintenance", "de", None), ("faults", None, None))
OTHER_FORMATS: Final = ("docx", "html", "md")
OLD_EDITIONS: Final = 2
THREADS: Final = ("M6", "M8", "M10", "M12", "M16", "M20")


@dataclass(frozen=True)
class Grid:
    """A table of a manual."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass
class Manual:
    """One manual: its words, and the file that holds them."""

    path: str
    language: str
    title: str
    edition: str
    sections: list[tuple[str, list[str], Grid | None]]
    end: str
    hidden: str = ""
    planted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The words of the manual in their order, without layout."""
        lines = [self.title, self.edition]
        for heading, sentences, grid in self.sections:
            lines += [heading, " ".join(sentences)]
            if grid:
                lines += [grid.title, *(" ".join(row) for row in (grid.header, *grid.rows))]
        return "\n".join([*lines, self.end])

    @property
    def doc(self) -> str:
        """The document's name in a build of datasets/knowledge.yaml."""
        return f"manuals:{self.path}"

    def content(self) -> dict[str, Any]:
        """All that a page needs, as plain values."""
        return {
            "title": self.title, "language": self.language, "edition": self.edition, "end": self.end, "hidden": self.hidden,
            "sections": [
                {"heading": heading, "lines": lines, "grid": asdict(grid) if grid else None}
                for heading, lines, grid in self.sections
            ],
        }  # fmt: skip


def manuals(seed: int) -> Iterator[Manual]:
    """All manuals of a seed, the old editions last; each says in `planted` what is wrong with it."""
    models = [model for model, *_ in read_wording("catalogue")["machines"]]
    written: dict[tuple[str, str], Manual] = {}
    for place, model in enumerate(models):
        for kind, language, suffix in FORMATS:
            language = language or ("de" if place % 2 else "en")
            suffix = suffix or OTHER_FORMATS[(place + (kind == "faults")) % len(OTHER_FORMATS)]
            rng = draws(f"manual/{seed}/{model}/{kind}/{language}")
            manual = _manual(rng, seed, model, kind, language, suffix)
            written[model, f"{kind}-{language}"] = manual
    rng = draws(f"manuals/{seed}")
    chosen = sorted(models, key=lambda _: rng.random())
    poisoned = written[chosen[0], "manual-en"]
    wording = read_wording("manuals_en")
    slots = Slots(rng, "en", pick(rng, customers(seed)), PRINTED)
    slots["model"] = chosen[0]
    poisoned.hidden = fill(compile_template(wording["hidden"]), rng, slots)
    poisoned.planted.append(
        {"kind": "injection", "detail": {"goal": "recommendation", "variant": "white text", "text": poisoned.hidden}}
    )
    _outdate(rng, written[chosen[1], "maintenance-de"], written[chosen[1], "manual-de"])
    yield from written.values()
    for model in chosen[2 : 2 + OLD_EDITIONS]:
        yield _old_edition(rng, written[model, f"manual-{pick(rng, ['de', 'en'])}"])


def _manual(rng: Random, seed: int, model: str, kind: str, language: str, suffix: str) -> Manual:
    wording = read_wording(f"manuals_{language}")
    entry = next(machine for machine in read_wording("catalogue")["machines"] if machine[0] == model)
    slots = Slots(rng, language, pick(rng, customers(seed)), PRINTED)
    slots.set_machine(entry)
    tables = [_TABLES[name](seed, model, wording["tables"][name], language) for name in TABLES[kind]]
    sections: list[tuple[str, list[str], Grid | None]] = []
    for chapter, wanted in CHAPTERS[kind].items():
        parts = wording["chapters"][chapter]
        lines = sorted(parts["lines"].splitlines(), key=lambda _: rng.random())[:wanted]
        sections.append((parts["heading"], [_say(rng, slots, line) for line in lines], None))
    for place, grid in zip(range(-1 - len(tables), -1), tables, strict=True):
        sections[place] = (*sections[place][:2], grid)
    stem = f"{_slug(model)}-{kind}-{language}"
    folder = "raw/manuals/" + ("deutsch" if language == "de" else "english")
    edition = fill(compile_template(wording["edition"]), rng, {"edition": "2026-03", "year": slots["year"]})
    title = fill(compile_template(wording["kinds"][kind]), rng, slots)
    return Manual(f"{folder}/{stem}.{suffix}", language, title, edition, sections, wording["end"])


def _say(rng: Random, slots: Slots, line: str) -> str:
    for name in ("count", "value", "param", "days", "code", "hours"):
        slots.pop(name, None)
    slots.set_part(pick(rng, read_wording("catalogue")["parts"]))
    return fill(compile_template(line), rng, slots)


def _slug(model: str) -> str:
    return model.lower().replace(" ", "-")


def _torque(seed: int, model: str, wording: dict[str, Any], language: str) -> Grid:
    rng = draws(f"torque/{seed}/{model}")
    rows = [[joint, pick(rng, THREADS), f"{10 + 5 * int(rng.random() * 60)} {wording['unit']}"] for joint in wording["rows"]]
    return Grid(wording["title"], wording["header"], rows)


def _intervals(seed: int, model: str, wording: dict[str, Any], language: str) -> Grid:
    rng = draws(f"intervals/{seed}/{model}")
    rows = [[job, str(100 * (1 + int(rng.random() * 80))), pick(rng, wording["means"])] for job in wording["rows"]]
    return Grid(wording["title"], wording["header"], rows)


def _codes(seed: int, model: str, wording: dict[str, Any], language: str) -> Grid:
    rng = draws(f"codes/{seed}/{model}")
    rows, used = [], set()
    for _ in range(24):
        code = f"{pick(rng, 'EFA')}{1000 + int(rng.random() * 8000)}"
        causes, remedies = wording["causes"], wording["remedies"]
        row = [code, pick(rng, causes), pick(rng, remedies)]
        if code not in used:
            used.add(code)
            rows.append(row)
    return Grid(wording["title"], wording["header"], rows)


_TABLES: Final = {"torque": _torque, "intervals": _intervals, "codes": _codes}


def _outdate(rng: Random, old: Manual, current: Manual) -> None:
    """Give a manual torques of former times, which the current one contradicts."""
    for place, (heading, lines, grid) in enumerate(old.sections):
        if grid is None or not grid.rows[0][2].endswith("Nm"):
            continue
        rows = [list(row) for row in grid.rows]
        changed = sorted(sorted(range(len(rows)), key=lambda _: rng.random())[:3])
        for row in changed:
            now = int(rows[row][2].split()[0])
            rows[row][2] = f"{now + 5 * (1 + int(rng.random() * 6))} Nm"
            detail = {"joint": rows[row][0], "value": rows[row][2], "current": f"{now} Nm", "see": current.doc}
            old.planted.append({"kind": "outdated", "detail": detail})
        old.sections[place] = (heading, lines, replace(grid, rows=rows))


def _old_edition(rng: Random, current: Manual) -> Manual:
    """The edition before: other torques, one sentence less, nearly the same words."""
    stem, _, suffix = current.path.rpartition(".")
    old = replace(
        current,
        path=f"{stem}-2023.{suffix}",
        edition=current.edition.replace("2026-03", "2023-09"),
        sections=[(heading, list(lines), grid) for heading, lines, grid in current.sections],
        hidden="",
        planted=[],
    )
    old.sections[0][1].pop()
    _outdate(rng, old, current)
    alike = {"jaccard": round(jaccard(current.words, old.words), 4)}
    old.planted.insert(0, {"kind": "near_duplicate", "partner": current.doc, "detail": alike})
    return old
