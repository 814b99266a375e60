"""Files that are sent and fetched instead of paths: they arrive whole, and no reference can be made up."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from served import ended, served, upload, work_on_queue

import stellwerk
from stellwerk.doors import files
from stellwerk.errors import UserError
from stellwerk.operation import LocalPath, Operation, find
from stellwerk.runs import exchange, queue
from stellwerk.workspace import Workspace


def test_an_uploaded_file_is_looked_at_and_saved_as_a_dataset(client: httpx.Client, desk: Path, tmp_path: Path) -> None:
    file = tmp_path / "häfen (neu).csv"
    file.write_text("name,ships\nKiel,3\nRostock,4\n")
    answer = client.post("/api/data/try", json={"file": upload(client, file), "save": True, "name": "ports"})
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["file"], report["rows"], report["saved"]) == ("häfen (neu).csv", 2, "datasets/ports.yaml")
    assert ".stellwerk/store" not in answer.text
    assert (desk / "raw/häfen (neu).csv").read_text() == file.read_text()
    assert "raw/häfen (neu).csv" in (desk / "datasets/ports.yaml").read_text()
    (desk / "raw/häfen (neu).csv").unlink()
    (desk / "datasets/ports.yaml").unlink()


def test_a_body_is_taken_as_a_file_too(client: httpx.Client, desk: Path) -> None:
    content = b"id;text\n1;" + b"x" * 3_000_000
    answer = client.post(
        "/api/uploads", params={"name": "big.csv"}, content=content, headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.status_code == 201
    assert answer.json()["bytes"] == len(content)
    digest = hashlib.sha256(content).hexdigest()
    assert answer.json()["reference"].startswith(f"upload:{digest}/big.csv?")
    assert Workspace(desk).store.get(f"sha256:{digest}") == content


def test_a_file_that_is_too_large_is_not_kept(
    client: httpx.Client, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "UPLOAD_BYTES", 100_000)
    before = Workspace(desk).store.size()
    file = tmp_path / "large.csv"
    file.write_bytes(b"x" * 200_000)
    with file.open("rb") as content:
        assert client.post("/api/uploads", files={"file": content}).status_code == 413
    raw = {"Content-Type": "application/octet-stream"}
    assert client.post("/api/uploads", content=file.read_bytes(), headers=raw).status_code == 413
    assert client.post("/api/uploads", files={"nothing": (None, "text")}).status_code == 422
    assert Workspace(desk).store.size() == before
    assert not list((Workspace(desk).store.root / "partial").iterdir())


def test_an_export_is_fetched_and_equals_the_one_made_locally(client: httpx.Client, desk: Path, tmp_path: Path) -> None:
    run = client.post("/api/data/export", json={"dataset": "letters", "format": "jsonl"}).json()["id"]
    work_on_queue(desk)
    result = ended(client, run)["result"]
    (download,) = result["downloads"]
    assert download["name"] == "letters.zip"
    assert result["folder"] == "letters"
    answer = client.get(download["url"])
    assert answer.headers["content-disposition"] == 'attachment; filename="letters.zip"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(answer.content) == download["bytes"]
    fetched = zipfile.ZipFile(io.BytesIO(answer.content))
    stellwerk.open(desk).data.export("letters", tmp_path / "local", format="jsonl")
    local = {
        path.relative_to(tmp_path / "local").as_posix(): path.read_bytes() for path in (tmp_path / "local").rglob("*.jsonl")
    }
    assert local
    assert {name: fetched.read(f"letters/{name}") for name in local} == local
    assert client.get(download["url"], headers={"Range": "bytes=0-3"}).content == answer.content[:4]


def test_a_worker_of_another_machine_finds_uploads_and_leaves_downloads(desk: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    shutil.copytree(desk, here)
    with served(here) as client:
        run = client.post("/api/data/export", json={"dataset": "letters"}).json()["id"]
        # The same record and store, by another path.
        there = tmp_path / "there"
        there.symlink_to(here, target_is_directory=True)
        work_on_queue(there)
        (download,) = ended(client, run)["result"]["downloads"]
        assert client.get(download["url"]).status_code == 200


def test_nobody_can_make_up_a_reference(client: httpx.Client, desk: Path, tmp_path: Path) -> None:
    secret = Workspace(desk).store.put(b"name,salary\nAnna,1\n").removeprefix("sha256:")
    file = tmp_path / "mine.csv"
    file.write_text("a,b\n1,2\n")
    mine = upload(client, file)
    digest, signature = mine.removeprefix("upload:").split("/")[0], mine.split("?")[1]
    keyed = Workspace(desk).keyed(f"upload\0{secret}/mine.csv")
    for forged in (
        mine.replace(digest, secret), mine.replace("mine", "yours"), mine[:-1] + ("0" if mine[-1] != "0" else "1"),
        f"upload:{secret}/mine.csv?{'0' * 64}", f"upload:{secret}/mine.csv?{keyed}", f"sha256:{secret}",
    ):  # fmt: skip
        answer = client.post("/api/data/try", json={"file": forged})
        assert answer.status_code == 422, forged
        assert "salary" not in answer.text
    for address in (f"{secret}/mine.csv?signature={signature}", f"{digest}/mine.csv?signature={signature}", f"{secret}/x"):
        assert client.get(f"/api/downloads/{address}").status_code in (404, 422)


def test_only_a_reference_waits_for_a_worker_and_no_path(desk: Path, tmp_path: Path) -> None:
    workspace, export = Workspace(desk), find("data.export")
    with pytest.raises(UserError, match="folder is a path on this machine"):
        queue.check(workspace, export, {"dataset": "letters", "folder": tmp_path})
    queue.check(workspace, export, {"dataset": "letters", "folder": "download:letters"})
    reader = Operation("probe", "read", "run", read, {}, True, True)
    sent = exchange.store_upload(workspace, "../../Ä \u202e.csv", b"a\n1\n")
    queue.check(workspace, reader, {"file": sent})
    with pytest.raises(UserError, match="nobody here gave that reference"):
        queue.check(workspace, reader, {"file": sent[:-1] + ("0" if sent[-1] != "0" else "1")})
    with exchange.at_hand(workspace, reader, {"file": Path(sent)}) as (values, _):
        place = values["file"]
        assert (place.name, place.read_bytes()) == ("Ä .csv", b"a\n1\n") or place.name == "Ä.csv"
    assert not place.exists()


def read(file: Annotated[Path, LocalPath()], *, run: object) -> None:
    """Read a file."""


@given(st.text(max_size=300))
@settings(phases=[Phase.explicit, Phase.generate], max_examples=200)
def test_a_name_is_safe_whatever_it_is(name: str) -> None:
    safe = exchange.safe_name(name)
    assert safe not in ("", ".", "..")
    assert safe.isprintable()
    assert len(safe.encode()) <= exchange.NAME_BYTES
    assert not set(safe) & set('/\\%?*:"<>|[]')
    assert exchange.safe_name(safe) == safe


def test_files_of_a_call_that_was_killed_are_removed(desk: Path) -> None:
    store = Workspace(desk).store
    left = store.root / "partial" / "999999999-left"
    (left / "content").mkdir(parents=True)
    with served(desk):
        pass
    store.sweep()
    assert not left.exists()
