"""The store in a bucket: only what is whole counts, what is damaged is named, and an empty cache is no loss."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable

from s3server import KEY, SECRET, S3Server
from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.settings import StorePlace
from stellwerk.store import remote
from stellwerk.store.remote import RemoteStore
from stellwerk.store.store import open_store
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


class Machines:
    """Stores of several machines on one bucket: each has a cache of its own."""

    def __init__(self, folder: Path, place: dict[str, str]) -> None:
        self.folder, self.place, self.count = folder, place, 0

    def __call__(self, **changes: Any) -> RemoteStore:
        self.count += 1
        made = RemoteStore(self.folder / f"cache{self.count}", StorePlace(**{**self.place, **changes}), self.folder)
        made.create()
        return made


@pytest.fixture
def machine(tmp_path: Path, server: S3Server, bucket: str) -> Machines:
    return Machines(tmp_path, server.place(bucket))


def put_table(store: RemoteStore, name: str, files: dict[str, bytes]) -> str:
    with store.partial() as folder:
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        return store.put_table(folder, name)


def test_another_machine_reads_what_one_wrote(machine: Machines) -> None:
    one, other = machine(), machine()
    artifact, empty = one.put(b"content" * 1000), one.put(b"")
    big = one.put(os.urandom(20 * 2**20))  # in parts
    table = put_table(one, "dataset/set/1", {"part.parquet": b"rows", "_delta_log/0.json": b"{}", "a b/ü#?%20.txt": b"odd"})
    assert [other.get(reference) for reference in (artifact, empty)] == [b"content" * 1000, b""]
    assert other.get(big) == one.get(big)
    found = other.table(table)
    assert {path.relative_to(found).as_posix(): path.read_bytes() for path in found.rglob("*") if path.is_file()} == {
        "part.parquet": b"rows",
        "_delta_log/0.json": b"{}",
        "a b/ü#?%20.txt": b"odd",
    }
    assert list((other.root / "partial").iterdir()) == []


def test_what_is_cached_is_not_fetched_again(machine: Machines, server: S3Server, bucket: str) -> None:
    one, other = machine(), machine()
    artifact, table = one.put(b"content"), put_table(one, "dataset/set/1", {"part": b"rows"})
    other.path(artifact)
    other.table(table)
    for key in server.keys(bucket):
        server.client.delete_object(Bucket=bucket, Key=key)
    assert other.get(artifact) == b"content"
    assert (other.table(table) / "part").read_bytes() == b"rows"


def test_what_the_bucket_lost_is_missing_though_it_is_cached(machine: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = machine(), machine()
    kept, lost, table = one.put(b"kept"), one.put(b"lost"), put_table(one, "dataset/set/1", {"part": b"rows"})
    other.remove(lost)
    other.remove(table)
    monkeypatch.setattr(remote, "BELIEVED_SECONDS", 0)
    for many in (1000, 0):  # one question each, or one look at all
        monkeypatch.setattr(remote, "MANY", many)
        assert list(open_store(one.address).missing([kept, {"x": [lost]}, table])) == [lost, table]
    assert [one.has(reference) for reference in (kept, lost, table)] == [True, False, False]
    assert one.put(b"lost") == lost
    put_table(one, "dataset/set/1", {"part": b"new rows"})
    assert other.get(lost) == b"lost"
    assert (other.table(table) / "part").read_bytes() == (one.table(table) / "part").read_bytes() == b"new rows"


def test_what_was_erased_elsewhere_leaves_the_cache(machine: Machines) -> None:
    one, other = machine(), machine()
    kept, erased = one.put(b"kept"), one.put(b"Erika Mustermann")
    table = put_table(one, "dataset/set/1", {"part": b"Erika"})
    for reference in (kept, erased):
        other.path(reference)
    other.table(table)
    one.remove(erased)
    one.remove(table)
    other.sweep()
    assert [path.read_bytes() for path in other.root.rglob("*") if path.is_file() and path.name != "compared"] == [b"kept"]


def test_the_cache_is_trimmed_by_last_use(machine: Machines) -> None:
    store = machine()
    made = [store.put(bytes([number]) * 100) for number in range(4)]
    table, now = put_table(store, "dataset/set/1", {"part": b"x" * 100}), time.time()
    for age, place in enumerate([store.path(made[0]), store.table(table), *(store.path(reference) for reference in made[1:3])]):
        os.utime(place, (now - 90_000 + age * 1000,) * 2)
    store.path(made[0])  # used now
    assert store.trim(350) == 200
    assert not (store.root / "tables" / "dataset" / "set" / "1").exists()
    assert store.cached() == 300
    assert store.trim(0) == 100, "what was used in the last hour stays"
    assert [store.get(reference)[:1] for reference in made] == [bytes([number]) for number in range(4)]
    assert (store.table(table) / "part").read_bytes() == b"x" * 100


@pytest.mark.parametrize("damage", [b"", b"konten", b"content and more"])
def test_a_damaged_artifact_is_named_and_not_kept(machine: Machines, server: S3Server, bucket: str, damage: bytes) -> None:
    reference, other = machine().put(b"content"), machine()
    (key,) = server.keys(bucket)
    server.put(bucket, key, damage)
    for _ in range(2):
        with pytest.raises(StellwerkError, match=f"{re.escape(key)} is damaged"):
            other.get(reference)
    assert [path for path in other.root.rglob("*") if path.is_file()] == []
    machine().put(b"content")
    assert other.get(reference) == b"content", "one of another size is written anew"


@pytest.mark.parametrize("which", ["part", "manifest", "gone", "outside", "no digest"])
def test_a_damaged_table_is_named_and_not_kept(machine: Machines, server: S3Server, bucket: str, which: str) -> None:
    table, other = put_table(machine(), "dataset/set/1", {"part": b"rows"}), machine()
    manifest = next(key for key in server.keys(bucket) if key.endswith("manifest.json"))
    part = next(key for key in server.keys(bucket) if key != manifest)
    entry = json.loads(server.client.get_object(Bucket=bucket, Key=manifest)["Body"].read())["part"]
    match which:
        case "part":
            server.put(bucket, part, b"soup")
        case "manifest":
            server.put(bucket, manifest, b"[1, 2")
        case "gone":
            server.client.delete_object(Bucket=bucket, Key=part)
        case "outside":
            server.put(bucket, manifest, json.dumps({"../../../../out": entry}).encode())
        case "no digest":
            server.put(bucket, manifest, json.dumps({"part": {**entry, "sha256": "../part"}}).encode())
    with pytest.raises(StellwerkError, match="no longer in the store" if which == "gone" else "is damaged"):
        other.table(table)
    assert [path for path in other.root.parent.rglob("*") if path.is_file() and "cache1" not in path.parts] == []


WRITER = """
import json, sys
from stellwerk.store.store import open_store
store = open_store(json.loads(sys.argv[1]))
with store.partial() as folder:
    folder.mkdir()
    for number in range(600):
        (folder / f"part{number}").write_bytes(str(number).encode() * 1000)
    print("begins", flush=True)
    store.put_table(folder, "dataset/set/1")
"""


def test_a_table_whose_writer_was_killed_is_not_there(machine: Machines, server: S3Server, bucket: str) -> None:
    store = machine()
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, json.dumps(store.address)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    assert process.stdout.readline() == b"begins\n"
    while not server.keys(bucket):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    left: dict[str, int] = {}
    while left != (now := server.keys(bucket)):
        left = now  # what was on its way still arrives
        time.sleep(0.3)
    assert 0 < len(left) < 600, "it was killed in the middle"
    table, other = "table:dataset/set/1", machine()
    for reader in (store, other):
        assert not reader.has(table)
        assert list(reader.missing({"table": table})) == [table]
        with pytest.raises(StellwerkError, match="no longer in the store"):
            reader.table(table)
    assert [(reference, size) for reference, size, _ in other.tables()] == [(table, sum(left.values()))]
    put_table(other, "dataset/set/1", {"part0": b"0" * 1000, "part": b"other"})
    assert sorted(path.name for path in machine().table(table).iterdir()) == ["part", "part0"]
    other.remove(table)
    assert server.keys(bucket) == {}


RACER = """
import json, sys
from stellwerk.store.store import open_store
store = open_store(json.loads(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    store.put(str(number).encode() * 1000)
    with store.partial() as folder:
        folder.mkdir()
        (folder / "rows").write_text(str(number))
        (folder / "log").write_text(f"{number} by {sys.argv[2]}")
        store.put_table(folder, f"dataset/set/{number}")
print(store.written)
"""


def test_two_processes_may_put_the_same(machine: Machines) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, json.dumps(machine().address), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = [racer.communicate()[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert all(int(written) >= 0 for written in said)
    reader, writers = (
        machine(),
        [RemoteStore(machine.folder / f"cache{n}", StorePlace(**machine.place), machine.folder) for n in (1, 2)],
    )
    for number in range(20):
        tables = [store.table(f"table:dataset/set/{number}") for store in (reader, *writers)]
        logs = {(table / "log").read_text() for table in tables}
        assert logs <= {f"{number} by one", f"{number} by two"}
        assert len(logs) == 1, "all machines see the table of one writer, never a mixture"
    assert len(list(reader.artifacts())) == 20


def test_what_was_kept_long_ago_is_written_again(machine: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = machine().put(b"content")
    ((_, _, before),) = machine().artifacts()
    while time.time() < before + 1.1:
        time.sleep(0.05)  # the server's times are whole seconds
    other = machine()
    monkeypatch.setattr(remote, "FRESH_SECONDS", 0)
    assert other.put(b"content") == reference
    ((_, _, after),) = other.artifacts()
    assert after > before
    assert other.written == 0


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """A server that answers each request in the same wrong way, and repeats what it was sent."""

    status, headers_given, asked, sent = 403, dict[str, str](), list[str](), list[str]()

    def log_message(self, *_: object) -> None: ...

    def answer(self) -> None:
        self.asked.append(self.path)
        self.sent.append(str(self.headers))
        body = f"<Error><Code>Wrong</Code><Message>{self.headers.get('Authorization')} {SECRET}</Message></Error>".encode()
        self.send_response(self.status)
        for name, value in self.headers_given.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()


@pytest.fixture
def misbehaving() -> Iterator[tuple[str, type[Misbehaving]]]:
    handler = type("Handler", (Misbehaving,), {"asked": [], "sent": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}", handler
        made.shutdown()


REFERENCE = "sha256:" + "0" * 64


def complaint(store: RemoteStore) -> str:
    found = []
    for act in (lambda: store.get(REFERENCE), lambda: store.put(b"x"), lambda: store.size()):
        with pytest.raises(StellwerkError) as caught:
            act()
        found.append(str(caught.value))
        shown = repr(caught.value) + repr(caught.value.__cause__) + str(caught.value.__suppress_context__)
        assert SECRET not in shown
        assert KEY not in shown
        assert shown.endswith("True")
        assert "\n" not in str(caught.value)
    return " / ".join(found)


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "denies access"), (401, "denies access"), (404, ""), (301, "another region"), (302, ""), (409, "error 409")],
)
def test_what_a_server_says_is_told_without_secrets(
    machine: Machines, misbehaving: tuple[str, type[Misbehaving]], status: int, said: str
) -> None:
    url, handler = misbehaving
    handler.status = status
    assert said in complaint(machine(endpoint=url))


def test_a_redirect_carries_no_signature_and_its_content_is_checked(
    machine: Machines, misbehaving: tuple[str, type[Misbehaving]]
) -> None:
    url, handler = misbehaving
    target = type("Target", (Misbehaving,), {"asked": [], "sent": [], "status": 200})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), target) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        handler.status, handler.headers_given = 307, {"Location": f"http://127.0.0.1:{other.server_address[1]}/elsewhere"}
        with pytest.raises(StellwerkError, match=r"is damaged|error"):
            machine(endpoint=url).get(REFERENCE)
        other.shutdown()
    assert KEY in "".join(handler.sent)
    assert KEY not in "".join(target.sent)


def test_no_server_no_bucket_no_keys(machine: Machines, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(remote.Bucket.__init__.__globals__["_RETRY"], "max_retries", 1)
    assert complaint(machine(endpoint="http://127.0.0.1:9")).count("cannot be reached") == 3
    absent = complaint(machine(url="s3://no-such-bucket/x"))
    assert absent.count("there is no bucket 'no-such-bucket'") == 3
    monkeypatch.delenv("TEST_S3_SECRET")
    with pytest.raises(UserError, match="env:TEST_S3_SECRET is not set"):
        machine()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"endpoint": "http://minio.example.com:9000"}, r"has no TLS.*allow: \[minio.example.com\]"),
        ({"endpoint": f"https://user:{SECRET}@minio.example.com"}, "no plain address"),
        ({"endpoint": "minio:9000"}, "no plain address"),
        ({"url": f"s3://{KEY}:{SECRET}@bucket/x"}, "address of a bucket"),
        ({"secret_key": None}, "give both"),
    ],
)
def test_places_that_cannot_be(machine: Machines, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        machine(**changes)
    assert SECRET not in str(caught.value)


def test_plain_http_where_it_is_allowed(machine: Machines, tmp_path: Path) -> None:
    place = StorePlace(**{**machine.place, "endpoint": "http://10.1.2.3:9000"})
    RemoteStore(tmp_path / "c", place, tmp_path, ["10.0.0.0/8"])
    with pytest.raises(UserError, match="has no TLS"):
        RemoteStore(tmp_path / "c", place, tmp_path, ["192.168.0.0/16", "minio"])


def test_the_environment_changes_nothing_that_is_written(
    machine: Machines, monkeypatch: pytest.MonkeyPatch, misbehaving: tuple[str, type[Misbehaving]]
) -> None:
    url, handler = misbehaving
    for name, value in {
        "AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url, "AWS_ENDPOINT": url, "AWS_BUCKET": "other",
        "AWS_ACCESS_KEY_ID": "OTHER", "AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "token",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    store = machine()
    assert store.get(store.put(b"content")) == b"content"
    assert handler.asked == []


class Dataset:
    """A workspace whose store is a bucket."""

    def __init__(self, root: Path, place: dict[str, str], record: Path | None = None) -> None:
        self.root = root
        Workspace.init(root)
        settings: dict[str, Any] = {"name": "w", "store": place, "workers": 2}
        if record:
            settings["record"] = f"sqlite:///{record}"
        (root / "stellwerk.yaml").write_text(yaml.safe_dump(settings))
        self.workspace = Workspace(root)
        self.store = RemoteStore(root / ".stellwerk" / "cache", StorePlace(**place), root)
        self.store.create()
        self.workspace.store = self.store

    def table(self) -> pa.Table:
        version = self.workspace.record.resolve("dataset/set")
        return pa.table(DeltaTable(str(self.store.table(version.content["table"]))).to_pyarrow_table())


@pytest.mark.slow
def test_a_dataset_is_built_on_one_machine_and_read_on_another(
    tmp_path: Path, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellwerk.engine.engine.ALONE_BYTES", 0)
    monkeypatch.setattr("stellwerk.jobs.data.sources.local.GROUP_BYTES", 1000)
    place = server.place(bucket)
    one = Dataset(tmp_path / "one", place)
    texts = [
        f"The order {number} arrived late, and the customer of district {number % 7} asked twice for it."
        for number in range(60)
    ]
    for number in range(3):
        rows = [{"id": index, "text": text} for index, text in enumerate(texts) if index % 3 == number]
        path = one.root / "raw" / f"{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"sources": [{"name": "orders", "files": "raw/*.jsonl", "key": "id"}]}
    (one.root / "datasets").mkdir()
    (one.root / "datasets" / "set.yaml").write_text(yaml.safe_dump(spec))
    report = execution.call(one.workspace, find("data.build"), {"dataset": "set"})
    one.workspace.engine.close()
    built = one.table()
    assert built.num_rows == report.counts.kept + report.counts.changed > 0
    assert one.store.written > built.nbytes / 10, "what the worker processes wrote is counted too"
    two = Dataset(tmp_path / "two", place, one.workspace.state / "record.db")
    assert two.table().equals(built)
    assert two.store.written == 0
    assert SECRET not in "".join(path.read_text() for path in tmp_path.rglob("*.yaml"))


def test_the_cache_keeps_to_its_bound(machine: Machines) -> None:
    store = machine(cache=150 / 1e9)
    made = [store.put(bytes([number]) * 100) for number in range(3)]
    for age, reference in enumerate(made):
        os.utime(store.path(reference), (time.time() - 90_000 + age * 1000,) * 2)
    store.sweep()
    assert store.cached() == 100
    assert store.get(made[0]) == b"\0" * 100, "it is fetched again"
