"""The bill of materials is CycloneDX as the standard's own schema reads it, and names what the release names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from desk import Desk
from heads import WEAK, data, head
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.release.bom import bom
from stellwerk.release.bundle import unpack
from stellwerk.release.manifest import SystemPart

STRICT = JsonStrictValidator(SchemaVersion.V1_6)


def read(content: bytes) -> dict[str, Any]:
    """A bill of materials that the schema takes."""
    assert (error := STRICT.validate_str(content.decode())) is None, error
    return dict(json.loads(content))


@pytest.mark.parametrize("evidence", [{}, WEAK, {"signals": [], "data": [], "edges": []}])
def test_it_keeps_to_the_schema(evidence: dict[str, Any]) -> None:
    found = read(bom(head(**evidence), {}))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")


def test_components_carry_digest_lineage_and_signals() -> None:
    facts = {"id of model/writer@3": {"description": "writes replies", "licence": "Apache-2.0"}}
    found = read(bom(head(**WEAK), facts))
    parts = {part["bom-ref"]: part for part in found["components"]}
    assert {ref: part["type"] for ref, part in parts.items()} == {
        "model/writer@3": "machine-learning-model", "prompt/reply@4": "data", "settings/cool@1": "data",
        "app/desk@1": "application", "dataset/letters@2": "data", "source/letters.post@1": "data",
    }  # fmt: skip
    model, letters = parts["model/writer@3"], parts["dataset/letters@2"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": f"{3:064x}"}]
    assert model["pedigree"]["ancestors"] == [{"type": "data", "name": "letters", "version": "2"}]
    assert model["modelCard"]["modelParameters"] == {
        "task": "text-generation", "modelArchitecture": "decoder", "datasets": [{"ref": "dataset/letters@2"}],
    }  # fmt: skip
    (metric,) = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metric == {
        "type": "models_exact", "value": "0.95 share", "confidenceInterval": {"lowerBound": "0.91", "upperBound": "0.98"},
    }  # fmt: skip
    assert {"name": "stellwerk:gate:models.exact", "value": "caution, waived; 0.95 share; min 0.9"} in model["properties"]
    assert (model["description"], model["licenses"]) == ("writes replies", [{"license": {"name": "Apache-2.0"}}])
    assert letters["data"][0]["sensitiveData"] == ["EMAIL: 41 found, action: mask"]
    assert [(s["bom-ref"], s["provider"]["name"]) for s in found["services"]] == [("service/mailer@1", "Post Ltd")]
    depends = {line["ref"]: line["dependsOn"] for line in found["dependencies"]}
    assert depends["desk@3"] == ["app/desk@1", "model/writer@3", "prompt/reply@4", "service/mailer@1", "settings/cool@1"]
    assert depends["model/writer@3"] == ["dataset/letters@2"]


def test_the_same_release_gives_the_same_bytes() -> None:
    assert bom(head(), {}) == bom(head(), {})


@settings(max_examples=30, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_no_text_of_a_person_breaks_it(text: str) -> None:
    system = SystemPart(name="desk", title=text, purpose=text, owner=text, role="provider")
    found = read(bom(head(system=system, data=[data(description=text, owner=text, licence=text)]), {}))
    assert found["metadata"]["component"]["description"] == text


def test_a_release_carries_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    desk.measure()
    desk.make()
    found = read(unpack(desk.export(tmp_path / "desk.zip"))["bom.cdx.json"])
    assert [part["bom-ref"] for part in found["components"]] == ["dataset/letters@1", "source/letters.letters@1"]
