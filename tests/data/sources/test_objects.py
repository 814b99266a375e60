"""Files of an object store: a pattern means what it means on disk, and what was fetched is what was found."""

from __future__ import annotations

import hashlib
import io
import os
import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import set_settings
from s3server import KEY, SECRET, S3Server
from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data.files.find import find_files
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import objects
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.specfile import parse
from stellwerk.workspace import Workspace


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as made:
        yield made


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_S3_KEY", KEY)
    monkeypatch.setenv("TEST_S3_SECRET", SECRET)


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.bucket()


def workspace_of(root: Path, *allow: str) -> Workspace:
    Workspace.init(root)
    set_settings(root, yaml.safe_dump({"name": "w", "network": {"allow": list(allow)}}))
    return Workspace(root)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_of(tmp_path / "w", "127.0.0.0/8")


def source_at(endpoint: str | None, **s3: Any) -> Source:
    keys = {"access_key": "env:TEST_S3_KEY", "secret_key": "env:TEST_S3_SECRET"}
    return Source(name="manuals", files="s3://bucket/*", s3={"endpoint": endpoint, "region": "us-east-1", **keys, **s3})


@pytest.fixture
def source(server: S3Server) -> Source:
    return source_at(server.url)


def fill(server: S3Server, bucket: str, *keys: str) -> None:
    for key in keys:
        server.put(bucket, key, b"" if key.endswith("/") else key.encode())


KEYS = [
    "manuals/a.pdf", "manuals/b.PDF", "manuals/de/a.pdf", "manuals/de/x/ü ö#?%20&+.pdf", "manuals/.hidden.pdf",
    "manuals/.git/c.pdf", "manuals/notes.txt", "manuals/a/a/z.pdf", "other/a.pdf", "top.pdf", "manuals[1]/b.pdf",
]  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [
        "manuals/*.pdf", "manuals/**/*.pdf", "**/*.pdf", "*.pdf", "*/a.pdf", "manuals/**", "**", "manuals/?.pdf",
        "manuals/[a-b].*", "manuals/[!a].*", "manuals/.*", "manuals/.git/*", "manuals/a/a/*.pdf", "manuals/**/**/*.pdf",
        "manuals/de/x/*", "manuals/a.pdf", "manuals[[]1]/*", "manuals/*/a.pdf", "m*s/**/z.pdf",
    ],
)  # fmt: skip
def test_a_pattern_means_what_it_means_on_disk(
    server: S3Server, bucket: str, source: Source, workspace: Workspace, pattern: str
) -> None:
    fill(server, bucket, *KEYS)
    for key in KEYS:
        path = workspace.root / "disk" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    wanted = [path.relative_to(workspace.root / "disk").as_posix() for path in find_files(workspace.root / "disk", pattern)]
    found = objects.list_objects(f"s3://{bucket}/{pattern}", source, workspace)
    assert [entry.key for entry in found] == sorted(wanted)
    assert [objects.shown(entry) for entry in found] == [f"s3://{bucket}/{key}" for key in sorted(wanted)]


parts = st.sampled_from(["a", "b.c", "*", "?", "**", "[ab]", "[!a]*", "*.c", ".a", "a*"])
keys = st.lists(st.sampled_from(["a", "b.c", "ab", ".a", "c"]), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=st.lists(parts, min_size=1, max_size=4), made=st.lists(keys, min_size=1, max_size=8))
def test_any_pattern_matches_as_pathname_globs_do(pattern: list[str], made: list[list[str]], tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        there = []
        for key in sorted(made, key=len):
            path = Path(name, *key)
            if any(parent.is_file() for parent in path.parents) or path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
            there.append("/".join(key))
        try:
            wanted = [path.relative_to(name).as_posix() for path in find_files(Path(name), "/".join(pattern))]
        except UserError:
            wanted = []
        fits = re.compile(objects._regex(pattern))
        found = {key for key in there if fits.fullmatch(key)}
        # On disk `a/**` gives a file `a` too, as it gives the folder `a`; among keys nothing is both.
        while pattern and pattern[-1] == "**":
            pattern = pattern[:-1]
        folder = re.compile(objects._regex(pattern) if pattern else "")
        assert found <= set(wanted)
        assert all(folder.fullmatch(key) for key in set(wanted) - found)


def test_markers_of_folders_are_no_files(server: S3Server, bucket: str, source: Source, workspace: Workspace) -> None:
    fill(server, bucket, "manuals/", "manuals/full/", "manuals/full/a.txt", "manuals/void/", "top/")
    server.put(bucket, "manuals/empty.txt", b"")
    found = objects.list_objects(f"s3://{bucket}/**", source, workspace)
    assert [(entry.key, entry.size) for entry in found] == [("manuals/empty.txt", 0), ("manuals/full/a.txt", 18)]


def test_many_objects_come_sorted(server: S3Server, bucket: str, source: Source, workspace: Workspace) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: server.put(bucket, f"n/{number}", b"x"), range(1005)))
    found = objects.list_objects(f"s3://{bucket}/n/*", source, workspace)
    assert [entry.key for entry in found] == sorted(f"n/{number}" for number in range(1005))


def fetch(found: objects.Found, source: Source, workspace: Workspace) -> bytes:
    into = workspace.root / "into"
    objects.download(found, into, source, workspace, lambda: None)
    content = into.read_bytes()
    into.unlink()
    return content


def test_what_is_fetched_is_what_was_found(server: S3Server, bucket: str, source: Source, workspace: Workspace) -> None:
    big = os.urandom(20 * 2**20)
    server.client.upload_fileobj(io.BytesIO(big), bucket, "big.bin")
    fill(server, bucket, "manuals/de/ü ö#?%20&+.pdf")
    server.put(bucket, "empty.txt", b"")
    found = {entry.key: entry for entry in objects.list_objects(f"s3://{bucket}/**", source, workspace)}
    assert fetch(found["big.bin"], source, workspace) == big
    assert "-" in found["big.bin"].etag, "written in parts, so its tag is no MD5"
    assert fetch(found["manuals/de/ü ö#?%20&+.pdf"], source, workspace).decode() == "manuals/de/ü ö#?%20&+.pdf"
    assert fetch(found["empty.txt"], source, workspace) == b""
    again = objects.from_json(objects.as_json(found["big.bin"]))
    assert again == found["big.bin"]


def test_a_changed_object_is_not_taken(server: S3Server, bucket: str, source: Source, workspace: Workspace) -> None:
    fill(server, bucket, "a.txt", "b.txt")
    changed, gone = objects.list_objects(f"s3://{bucket}/*.txt", source, workspace)
    server.put(bucket, "a.txt", b"other")
    server.client.delete_object(Bucket=bucket, Key="b.txt")
    for entry in (changed, gone):
        with pytest.raises(StellwerkError, match=f"{entry.key} was changed while it was read") as caught:
            fetch(entry, source, workspace)
        assert not isinstance(caught.value, UserError)
    assert not (workspace.root / "into").exists()


def test_a_stop_is_heard_and_leaves_nothing(server: S3Server, bucket: str, source: Source, workspace: Workspace) -> None:
    server.put(bucket, "big.bin", bytes(8 * 2**20))
    (found,) = objects.list_objects(f"s3://{bucket}/big.bin", source, workspace)
    heard = []

    def check() -> None:
        heard.append(1)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        objects.download(found, workspace.root / "into", source, workspace, check)
    assert not (workspace.root / "into").exists()


class Between:
    """A relay before the server that damages or cuts what it answers to GET requests of objects."""

    def __init__(self, target: str, how: str) -> None:
        self.target, self.how, self.cuts = int(target.rpartition(":")[2]), how, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near:
            request = near.recv(65536)
            if not request:
                return
            with socket.create_connection(("127.0.0.1", self.target)) as far:
                head, _, rest = request.partition(b"\r\n\r\n")
                far.sendall(head + b"\r\nConnection: close\r\n\r\n" + rest)
                answer = b"".join(iter(lambda: far.recv(65536), b""))
            head, _, body = answer.partition(b"\r\n\r\n")
            if request.startswith(b"GET") and len(body) > 2**20 and not body.startswith(b"<?xml"):
                self.cuts += 1
                if self.how == "damage":
                    body = body[:1000] + bytes([(body[1000] + self.cuts) % 256]) + body[1001:]
                elif self.cuts < 4:
                    body = body[: 2 * 2**20]
            near.sendall(head + b"\r\n\r\n" + body)


@pytest.mark.parametrize("how", ["damage", "cut"])
def test_a_bad_line(server: S3Server, bucket: str, workspace: Workspace, how: str) -> None:
    content = os.urandom(8 * 2**20)
    server.put(bucket, "big.bin", content)
    between = Between(server.url, how)
    source = source_at(between.url)
    try:
        (found,) = objects.list_objects(f"s3://{bucket}/big.bin", source, workspace)
        assert found.etag == hashlib.md5(content).hexdigest()
        if how == "cut":
            assert fetch(found, source, workspace) == content
            assert between.cuts > 1
        else:
            with pytest.raises(StellwerkError, match="arrived damaged"):
                fetch(found, source, workspace)
            assert not (workspace.root / "into").exists()
    finally:
        between.close()


def test_a_tag_that_only_looks_like_a_digest_is_no_damage(
    server: S3Server, bucket: str, source: Source, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a store encrypts with its own keys: two readings agree. The tag is what this one says, by another digest."""
    fill(server, bucket, "a.txt")
    (found,) = objects.list_objects(f"s3://{bucket}/a.txt", source, workspace)
    monkeypatch.setattr(objects.hashlib, "md5", lambda **_: hashlib.sha256())
    assert fetch(found, source, workspace) == b"a.txt"


def test_nothing_matches_is_said_with_what_is_near(server: S3Server, bucket: str, source: Source, workspace: Workspace) -> None:
    fill(server, bucket, "manuals/2026/handbook.pdf", "manuals/2026/prices.xlsx")
    for pattern, near in [
        ("manuals/2026/handbok.pdf", "handbook.pdf"),
        ("manuals/2026/*.docx", "prices.xlsx"),
        ("manuls/**/*.pdf", "handbook.pdf"),
        ("manuals/2025/x/*.pdf", "manuals/2026"),
    ]:
        with pytest.raises(UserError, match=f"no object matches.*{near}"):
            objects.list_objects(f"s3://{bucket}/{pattern}", source, workspace)
    empty = server.bucket()
    with pytest.raises(UserError, match=f"s3://{empty} is empty"):
        objects.list_objects(f"s3://{empty}/*", source, workspace)


@pytest.mark.parametrize("pattern", ["s3://{}", "s3://{}/", "s3://{}/../x", f"s3://{KEY}:{SECRET}@{{}}/x", "s3:///x"])
def test_patterns_that_cannot_be(bucket: str, source: Source, workspace: Workspace, pattern: str) -> None:
    with pytest.raises(UserError) as caught:
        objects.list_objects(pattern.format(bucket), source, workspace)
    assert SECRET not in str(caught.value)


def test_a_key_that_is_no_path_is_named(server: S3Server, bucket: str, source: Source, workspace: Workspace) -> None:
    fill(server, bucket, "odd//a.txt", "fine/a.txt")
    with pytest.raises(UserError, match=r"holds the key 'odd//a.txt', which is no path"):
        objects.list_objects(f"s3://{bucket}/**", source, workspace)
    assert len(objects.list_objects(f"s3://{bucket}/fine/*", source, workspace)) == 1


def test_no_bucket_no_server_no_keys(
    server: S3Server, bucket: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="there is no bucket 'nowhere'"):
        objects.list_objects("s3://nowhere/*.pdf", source_at(server.url), workspace)
    monkeypatch.setitem(objects.Bucket.__init__.__globals__["_RETRY"], "max_retries", 1)
    with pytest.raises(StellwerkError, match=r"127.0.0.1:9 cannot be reached"):
        objects.list_objects(f"s3://{bucket}/*", source_at("http://127.0.0.1:9"), workspace)
    monkeypatch.delenv("TEST_S3_KEY")
    with pytest.raises(UserError, match="env:TEST_S3_KEY is not set"):
        objects.list_objects(f"s3://{bucket}/*", source_at(server.url), workspace)
    with pytest.raises(UserError, match="give both access_key and secret_key"):
        objects.list_objects(f"s3://{bucket}/*", source_at(server.url, access_key=None), workspace)


def test_anonymous_where_anybody_may_read(server: S3Server, bucket: str, workspace: Workspace) -> None:
    server.client.put_object(Bucket=bucket, Key="open.txt", Body=b"open", ACL="public-read")
    server.put(bucket, "private.txt", b"private")
    source = source_at(server.url, access_key=None, secret_key=None, anonymous=True)
    found, private = objects.list_objects(f"s3://{bucket}/*", source, workspace)
    assert fetch(found, source, workspace) == b"open"
    with pytest.raises(UserError, match=r"denies access to s3://.*/private.txt"):
        fetch(private, source, workspace)


@pytest.mark.parametrize(
    ("endpoint", "allow", "said"),
    [
        ("http://127.0.0.1:9", [], "is not Amazon's; name it|has no TLS"),
        ("https://127.0.0.1:9", [], "is not Amazon's; name it"),
        ("https://10.0.0.7", ["192.168.0.0/16"], "is not Amazon's; name it"),
        ("https://minio.example.com", ["other.example.com"], "is not Amazon's; name it"),
        ("https://169.254.169.254", [], "is not Amazon's; name it"),
        ("https://[::1]:9000", [], "is not Amazon's; name it"),
        ("http://192.0.2.1", [], "has no TLS"),
        ("ftp://minio.example.com", [], "no plain address"),
    ],
)
def test_endpoints_that_may_not_be_asked(tmp_path: Path, endpoint: str, allow: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        objects.list_objects("s3://bucket/*", source_at(endpoint), workspace_of(tmp_path / "v", *allow))


def test_an_endpoint_with_a_password_is_refused_without_it(tmp_path: Path) -> None:
    text = f"sources: [{{name: a, files: 's3://b/*', s3: {{endpoint: 'https://u:{SECRET}@minio.example.com'}}}}]"
    with pytest.raises(UserError, match="holds a password") as caught:
        parse(text, "a.yaml").check(DatasetSpec)
    assert SECRET not in str(caught.value)
