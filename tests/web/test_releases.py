"""The pages of releases: what was frozen, its documents as they were signed, and what they may do in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sites import Visitor, call, visible

from stellwerk.operation import find
from stellwerk.workspace import Workspace


@pytest.fixture(scope="module")
def released(company: Workspace) -> str:
    """The address of a release of the system that may run."""
    call(company, "release.make", system="support-desk")
    return "/releases/support-desk/1"


def test_a_release_shows_who_made_it_every_gate_and_how_to_check_it(released: str, visitor: Visitor) -> None:
    said = visible(visitor.read(released))
    assert "Release 1 of support-desk" in said
    assert "stellwerk release verify support-desk-1.zip" in said
    assert "(not authenticated)" in said
    assert re.search(r"Clear Data The dataset's own tests pass .* dataset/knowledge@1 0 tests ≤ 0 tests 1 1", said)
    assert "Freigabe 1 von support-desk" in visible(visitor.read(released, "de"))
    assert 'href="/releases/support-desk/1"' in visitor.read("/releases")


def test_the_dossier_is_shown_as_it_was_frozen_in_a_sandbox(released: str, visitor: Visitor) -> None:
    for language, word in (("en", "Signed with Ed25519"), ("de", "Unterschrieben mit Ed25519")):
        answer = visitor.get(f"{released}/dossier.html", params={"lang": language})
        assert word in answer.text
        policy = answer.headers["content-security-policy"]
        assert "sandbox" in policy
        assert "script-src" not in policy
        assert "default-src 'none'" in policy


def test_documents_are_downloads_and_the_bundle_is_genuine(released: str, visitor: Visitor, tmp_path: Path) -> None:
    pdf = visitor.get(f"{released}/dossier.pdf?lang=de")
    assert pdf.content.startswith(b"%PDF")
    assert pdf.headers["content-disposition"] == 'attachment; filename="support-desk-1-de.pdf"'
    assert json.loads(visitor.get(f"{released}/bom.json").content)["bomFormat"] == "CycloneDX"
    assert json.loads(visitor.get(f"{released}/manifest.json").content)["system"] == "support-desk"
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(visitor.get(f"{released}/bundle.zip").content)
    assert find("release.verify").function(bundle, workspace=None).genuine


@pytest.mark.parametrize("path", ["support-desk/99", "nothing/1", "support-desk/1/other.html", "support-desk/1/dossier.docx"])
def test_what_is_not_there_is_not_found(released: str, visitor: Visitor, path: str) -> None:
    assert visitor.get(f"/releases/{path}").status_code == 404
