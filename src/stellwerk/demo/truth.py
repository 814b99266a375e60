"""Reads the truth that the generator wrote beside the sample company's files: planted defects and look-alikes.

Knows the kinds of defects and what a person calls them. Does not know what a build made of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PERSONAL: Final = {
    "email": "EMAIL",
    "phone": "PHONE",
    "iban": "IBAN",
    "credit_card": "CREDIT_CARD",
    "secret": "SECRET",
}
"""Planted kind of personal data -> kind of finding."""
HEADS: Final = "email_head"
"""Addresses in the heads of e-mails: the reader puts them into columns of their own, which a spec may leave out."""
HEAD_COLUMNS: Final = ("sender", "recipients")
FOUND_AS: Final = {**PERSONAL, HEADS: PERSONAL["email"]}
BELOW: Final = "near_below_bound"
"""Near copies that resemble their original by less than the bound of the spec, which therefore keeps both."""

KINDS: Final[dict[str, tuple[str, str]]] = {
    "exact_duplicate": ("Exact duplicates", "Genaue Dubletten"),
    "near_duplicate": ("Near duplicates", "Ähnliche Dubletten"),
    BELOW: ("Near duplicates below the bound", "Ähnliche Dubletten unter der Grenze"),
    "mojibake": ("Broken characters", "Zerstörte Zeichen"),
    "wrong_language": ("Wrong language", "Falsche Sprache"),
    "truncated": ("Cut-off texts", "Abgeschnittene Texte"),
    "outlier": ("Outliers", "Ausreißer"),
    "junk": ("Junk", "Unbrauchbares"),
    "scan": ("Scans without text", "Scans ohne Text"),
    "damaged_file": ("Damaged files", "Beschädigte Dateien"),
    "orphan": ("Rows that point nowhere", "Zeilen ohne Gegenstück"),
    "email": ("E-mail addresses", "E-Mail-Adressen"),
    HEADS: ("E-mail addresses in heads", "E-Mail-Adressen in Köpfen"),
    "phone": ("Telephone numbers", "Telefonnummern"),
    "iban": ("Bank accounts (IBAN)", "Bankkonten (IBAN)"),
    "credit_card": ("Payment cards", "Zahlungskarten"),
    "secret": ("Passwords and keys", "Passwörter und Schlüssel"),
    "person_name": ("Names of persons", "Namen von Personen"),
    "label_noise": ("Wrong labels", "Falsche Labels"),
    "biased_label": ("Labels unfair to a group", "Labels zum Nachteil einer Gruppe"),
    "outdated": ("Outdated values", "Veraltete Angaben"),
    "injection": ("Hidden instructions", "Versteckte Anweisungen"),
    "broken_rule": ("Broken rules of the process", "Verletzte Regeln im Ablauf"),
    "rework": ("Cases that go round again", "Vorgänge, die sich wiederholen"),
    "bottleneck": ("Steps that all wait for", "Engpässe im Ablauf"),
}
"""Kinds in the order of the table, with their names in English and German."""
JOB_OF: Final = {
    "person_name": "data",
    "label_noise": "data",
    "biased_label": "ethics",
    "outdated": "data",
    "injection": "security",
    "broken_rule": "strategy",
    "rework": "strategy",
    "bottleneck": "strategy",
}
"""Kinds that no step searches yet, with the job whose task they are."""
COPIES: Final = ("exact_duplicate", "near_duplicate", BELOW)
REMOVED: Final = (*COPIES, "wrong_language", "truncated", "outlier", "junk", "scan", "damaged_file")
"""Kinds that a build should drop."""


@dataclass(frozen=True)
class Planted:
    """One planted defect."""

    kind: str
    doc: str
    detail: dict[str, Any] = field(hash=False)
    partner: str | None = None


def planted(folder: Path, near: float | None) -> list[Planted]:
    """Read truth/planted.jsonl.

    Args:
        folder: the workspace.
        near: the bound on near duplicates; copies below it get a kind of their own.
    """
    found = []
    for row in _rows(folder / "truth" / "planted.jsonl"):
        kind = row["kind"]
        if kind == "near_duplicate" and near is not None and row["detail"]["jaccard"] < near:
            kind = BELOW
        found.append(Planted(kind, row["doc"], row["detail"], row.get("partner")))
    return found


def look_alikes(folder: Path) -> dict[str, list[str]]:
    """Read truth/decoys.jsonl: document -> what in it looks like a defect and is none."""
    found: dict[str, list[str]] = {}
    for row in _rows(folder / "truth" / "decoys.jsonl"):
        found.setdefault(row["doc"], []).append(row["kind"])
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
