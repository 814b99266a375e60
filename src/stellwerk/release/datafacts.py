"""What the record knows of the datasets that a candidate rests on, for the data record.

Reads the facts that builds wrote, whichever package built them: what is not there stays not yet known. Counts and kinds only;
no path of a file, no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stellwerk.record.record import Version
from stellwerk.release.manifest import DataPart, PersonalPart, SourcePart, StepPart

KIND = "dataset"
_SAID = ("description", "purpose", "owner", "licence", "legal_basis", "retention", "delete_by")


def of(closure: Sequence[Version], edges: Sequence[tuple[str, str]]) -> list[DataPart]:
    """What is known of each dataset version.

    Args:
        closure: the versions that a candidate rests on.
        edges: a version, and one that it was made from.
    """
    known = {version.id: version for version in closure}
    found = []
    for version in sorted((v for v in closure if v.kind == KIND), key=lambda v: (v.name, v.number)):
        above = [known[source] for made, source in edges if made == version.id and source in known]
        found.append(_data(version, [other for other in above if other.kind == "source"]))
    return found


def _data(version: Version, sources: Sequence[Version]) -> DataPart:
    facts = version.facts
    spec, counts = _group(facts, "spec"), _group(facts, "counts")
    return DataPart(
        ref=version.ref,
        **{name: _text(spec, name) for name in _SAID},
        expected_languages=_texts(spec, "languages"),
        assumptions=_texts(spec, "assumptions"),
        known_gaps=_texts(spec, "known_gaps"),
        bias_examination=_texts(facts, "bias_examination"),
        bias_measures=_texts(facts, "bias_measures"),
        sources=_sources(spec, sources),
        rows=_number(facts, "rows"),
        **{name: _number(counts, name) for name in ("read", "kept", "changed", "dropped")},
        steps=_steps(counts),
        splits=_numbers(counts, "splits"),
        languages=_numbers(facts, "languages"),
        personal=_personal(_group(facts, "personal"), _group(spec, "personal")),
    )


def _sources(spec: Mapping[str, Any], versions: Sequence[Version]) -> list[SourcePart]:
    """The sources as the spec declares them, with what was read of each."""
    # The same dataset may have been made from several states of a source; the latest is the one it stands for now.
    read = {v.name.rpartition(".")[2]: v.facts for v in sorted(versions, key=lambda v: v.number)}
    declared = {said["name"]: said for said in spec.get("sources", ()) if isinstance(said, dict) and "name" in said}
    found = []
    for name, said in (declared or read).items():
        facts = read.get(name, {})
        files = _group(facts, "made_from").get("files")
        found.append(
            SourcePart(
                name=name,
                **{field: _text(said, field) for field in ("origin", "licence", "legal_basis", "retrieved")},
                files=len(files) if isinstance(files, list) and files else None,
                rows=_number(facts, "rows"),
            )
        )
    return found


def _steps(counts: Mapping[str, Any]) -> list[StepPart]:
    rules = [rule for rule in counts.get("rules", ()) if isinstance(rule, dict)]
    dropped = [StepPart(step=rule["step"], rule=rule["rule"], documents=rule["documents"], changed=False) for rule in rules]
    changed = [
        StepPart(step="personal" if name.startswith("mask:") else "normalise", rule=name, documents=number, changed=True)
        for name, number in _numbers(counts, "edits").items()
    ]
    return dropped + changed


def _personal(facts: Mapping[str, Any], spec: Mapping[str, Any]) -> PersonalPart | None:
    if not facts:
        return None
    return PersonalPart(
        searched=_texts(facts, "searched"),
        not_searched=_texts(facts, "not_searched"),
        counts=_numbers(facts, "counts"),
        documents=_number(facts, "documents"),
        action=_text(spec, "action"),
    )


def _group(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    found = facts.get(name)
    return found if isinstance(found, str) and found else None


def _texts(facts: Mapping[str, Any], name: str) -> list[str]:
    found = facts.get(name)
    return [part for part in found if isinstance(part, str)] if isinstance(found, list) else []


def _number(facts: Mapping[str, Any], name: str) -> int | None:
    found = facts.get(name)
    return found if isinstance(found, int) else None


def _numbers(facts: Mapping[str, Any], name: str) -> dict[str, int]:
    return {key: value for key, value in _group(facts, name).items() if isinstance(value, int)}
