"""Releases as the dossier and the bill of materials get them, without a record."""

from __future__ import annotations

from typing import Any

from stellwerk.release.manifest import (
    AnchorPart,
    DataPart,
    EdgePart,
    Evidence,
    FindingPart,
    Head,
    OverridePart,
    PersonalPart,
    SignalPart,
    SignOffPart,
    SourcePart,
    StepPart,
    SystemPart,
    VersionPart,
    WaiverPart,
)

DATE = "2026-11-20T09:30:00.000000+00:00"


def version(kind: str, name: str, number: int = 1, *, bound: bool = False, **identity: Any) -> VersionPart:
    """A version."""
    ref = f"{kind}/{name}@{number}"
    return VersionPart(
        id=f"id of {ref}", ref=ref, kind=kind, name=name, number=number, digest=f"{number:064x}", identity=identity,
        created=DATE, bound=bound, reference=f"{kind}/{name}" if bound else None,
    )  # fmt: skip


def signal(gate: str, subject: str | None, state: str = "clear", **fields: Any) -> SignalPart:
    """A signal; measured, unless it says otherwise."""
    values: dict[str, Any] = {
        "job": gate.partition(".")[0], "severity": "error", "title": {"en": f"Asks {gate}", "de": f"Verlangt {gate}"},
        "metric": gate.replace(".", "_"), "metric_version": 1, "min": 0.9, "max": None, "min_n": None, "days": 30.0,
        "wanted": [], "why": "inside", "reason": {"en": "measured", "de": "gemessen"}, "passes": True, "value": 0.95,
        "low": 0.91, "high": 0.98, "n": 200, "unit": "share", "attempts": 2, "measurement": f"measurement {gate}",
        "measured": DATE, "run": "0123456789abcdef", "subjects": [subject] if subject else [], "instruments": ["suite/mails@2"],
    }  # fmt: skip
    return SignalPart(gate=gate, subject=subject, state=state, **{**values, **fields})


def head(**evidence: Any) -> Head:
    """A release of a support desk with a model, a bought service and a dataset; nothing about it is weak."""
    versions = [
        version("model", "writer", 3, bound=True, task="text-generation", architecture="decoder"),
        version("service", "mailer", bound=True, provider="Post Ltd"),
        version("prompt", "reply", 4, bound=True), version("settings", "cool", bound=True),
        version("app", "desk", bound=True), version("dataset", "letters", 2), version("source", "letters.post"),
    ]  # fmt: skip
    edges = [
        EdgePart(made="model/writer@3", source="dataset/letters@2"),
        EdgePart(made="dataset/letters@2", source="source/letters.post@1"),
    ]
    parts: dict[str, Any] = {
        "candidate": "c" * 64,
        "system": SystemPart(name="desk", title="Support desk", purpose="Answers letters", owner="Erika Beispiel", role="both"),
        "versions": versions, "edges": edges, "waivers": [], "sign_offs": [], "findings": [], "overrides": [],
        "signals": [signal("models.exact", "model/writer@3"), signal("data.tests", "dataset/letters@2", low=None, high=None)],
        "default_gates": {"data": 1}, "data": [data()],
    }  # fmt: skip
    return Head(
        system="desk", number=3, version="1" * 64, made=DATE, made_by="Ute Amt", authenticated=True, run="r" * 32, note=None,
        product="0.1.0", workspace="post", anchor=AnchorPart(record="a" * 32, seq=12345, hash="b" * 64), key="d" * 64,
        previous="e" * 64, evidence=Evidence(**{**parts, **evidence}),
    )  # fmt: skip


def data(**fields: Any) -> DataPart:
    """A dataset of which much is known."""
    values: dict[str, Any] = {
        "ref": "dataset/letters@2", "purpose": "train the writer", "owner": "Data desk", "licence": "CC-BY-4.0",
        "legal_basis": "contract", "retention": "two years", "assumptions": ["letters are in German"],
        "known_gaps": ["no letters before 2020"], "read": 1000, "kept": 700, "changed": 200, "dropped": 100, "rows": 900,
        "sources": [SourcePart(name="post", origin="the post room", rows=1000)],
        "steps": [StepPart(step="duplicates", rule="exact_duplicate", documents=100, changed=False)],
        "splits": {"train": 900}, "languages": {"de": 890, "en": 10},
        "personal": PersonalPart(
            searched=["EMAIL", "IBAN"], not_searched=["names of persons"], counts={"EMAIL": 41}, documents=37, action="mask"
        ),
    }  # fmt: skip
    return DataPart(**{**values, **fields})


WEAK: dict[str, Any] = {
    "signals": [
        signal("models.exact", "model/writer@3", "caution", why="waived", waiver="w1", passes=True,
               reason={"en": "reaches beyond", "de": "reicht hinaus"}),
        signal("data.kept", "dataset/letters@2", "stop", severity="warn", why="outside", n=12,
               measured="2026-10-01T00:00:00.000000+00:00", reason={"en": "too little", "de": "zu wenig"}),
    ],
    "waivers": [
        WaiverPart(id="w1", gate="models.exact", asset="model/writer", state="caution", value=0.95, person="Max Amt",
                   authenticated=False, reason="a pilot", until="2027-01-31T23:59:59.000000+00:00"),
    ],
    "sign_offs": [
        SignOffPart(role="data protection", person="Ida Amt", authenticated=False, reason="screened", until=None, created=DATE),
    ],
    "findings": [
        FindingPart(id="f1", rule="schema_change", severity="high", title="a column went", versions=["dataset/letters@2"],
                    created=DATE, status="open", owner=None, reason=None, until=None),
        FindingPart(id="f2", rule="schema_change", severity="low", title="a column came", versions=["dataset/letters@2"],
                    created=DATE, status="accepted", owner="Ida Amt", reason="harmless", until=DATE),
        FindingPart(id="f3", rule="leak", severity="critical", title="a key in a letter", versions=["dataset/letters@2"],
                    created=DATE, status="accepted", owner="Ida Amt", person="Jo Rat", authenticated=False, reason="revoked",
                    until=DATE),
    ],
    "overrides": [OverridePart(gate="data.erased", required=False, changes={}, reason="no persons in it")],
}  # fmt: skip
