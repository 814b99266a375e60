"""An exported release is verified anywhere with the file and the key alone, and no byte of it can be another."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.release import bundle, signing, verifying
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()


class Parcel:
    """An exported release, and the key of the desk that made it."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder / "desk")
        self.desk.measure()
        self.desk.make()
        self.file = folder / "desk.zip"
        self.content = self.desk.export(self.file)
        public = signing.public_key(self.desk.workspace)
        assert public is not None
        self.public = public
        self.members = bundle.unpack(self.content)

    def problems(self, content: bytes) -> list[str]:
        """What is found of some bytes with the right key, and with the one in the file."""
        found, without = verifying.check(content, self.public).problems, verifying.check(content, None).problems
        assert bool(found) >= bool(without)
        return found


@pytest.fixture(scope="module")
def parcel(tmp_path_factory: pytest.TempPathFactory) -> Parcel:
    """Made once: the tests only read it."""
    return Parcel(tmp_path_factory.mktemp("parcel"))


def call(path: str, workspace: Workspace | None = None, **values: object) -> Any:
    return execution.call(workspace, find(path), values)


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stellwerk", "release", "verify", *words], cwd=folder, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def test_on_another_machine_the_file_and_the_key_are_enough(parcel: Parcel, tmp_path: Path) -> None:
    (tmp_path / "desk.zip").write_bytes(parcel.content)
    (tmp_path / "key.pem").write_bytes(signing.to_pem(parcel.public))
    (tmp_path / "key.hex").write_text(parcel.public.hex())
    (tmp_path / "other.pem").write_bytes(signing.to_pem(OTHER))
    for key in ("key.pem", "key.hex"):
        done = command(tmp_path, "desk.zip", "--key", key, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"key_known": true' in done.stdout
    assert command(tmp_path, "desk.zip", "--key", "other.pem").returncode == 1
    (tmp_path / "desk.zip").write_bytes(parcel.content.replace(b"dataset/letters@1", b"dataset/letters@2", 1))
    assert command(tmp_path, "desk.zip", "--key", "key.pem").returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["desk.zip", "key.hex", "key.pem", "other.pem"], (
        "nothing is left"
    )


def test_without_a_key_it_says_that_the_signer_is_not_known(parcel: Parcel, tmp_path: Path) -> None:
    found = call("release.verify", file=str(parcel.file))
    assert (found.genuine, found.key_known) == (True, False)
    assert signing.fingerprint(parcel.public) in found.notes[0]
    named = call("release.verify", file=str(parcel.file), fingerprint=signing.fingerprint(parcel.public))
    assert (named.genuine, named.key_known, named.notes) == (True, True, [])
    assert not call("release.verify", file=str(parcel.file), fingerprint=signing.fingerprint(OTHER)).genuine


def test_inside_a_workspace_its_own_key_is_compared(parcel: Parcel, tmp_path: Path) -> None:
    here = call("release.verify", parcel.desk.workspace, file=str(parcel.file))
    assert (here.genuine, here.key_known, here.notes) == (True, True, [])
    strangers = Workspace.init(tmp_path / "other")
    signing.private_key(strangers)
    there = call("release.verify", strangers, file=str(parcel.file))
    assert (there.genuine, there.key_known) == (True, False)
    assert "not signed with this workspace's key" in there.notes[1]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_byte_of_the_file_can_be_another(parcel: Parcel, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(parcel.content) - 1))
    changed = bytearray(parcel.content)
    changed[place] ^= data.draw(st.integers(1, 255))
    assert parcel.problems(bytes(changed))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_nothing_can_be_cut_off_or_added(parcel: Parcel, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(parcel.content) - 1))
    more = data.draw(st.binary(min_size=1, max_size=30))
    assert parcel.problems(parcel.content[:place])
    assert parcel.problems(parcel.content[:place] + more + parcel.content[place:])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_member_can_be_changed_removed_or_added_even_in_a_whole_zip(parcel: Parcel, data: st.DataObject) -> None:
    members = dict(parcel.members)
    name = data.draw(st.sampled_from(sorted(members)))
    match data.draw(st.sampled_from(["change", "remove", "add", "swap"])):
        case "change":
            content = bytearray(members[name])
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
            members[name] = bytes(content)
        case "remove":
            del members[name]
        case "add":
            added = data.draw(st.from_regex(r"[a-z./\\:]{1,12}", fullmatch=True).filter(lambda text: text not in members))
            members[added] = members[name]
        case "swap":
            other = data.draw(st.sampled_from(sorted(members.keys() - {name})))
            members[name], members[other] = members[other], members[name]
    assert parcel.problems(bundle.pack(members))


def repacked(members: dict[str, bytes], **how: int) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", how.get("compression", zipfile.ZIP_STORED)) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return found.getvalue()


def doubled(members: dict[str, bytes]) -> bytes:
    found = io.BytesIO(bundle.pack(members))
    with zipfile.ZipFile(found, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("release.json", b"{}")
    return found.getvalue()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda m: repacked(m, compression=zipfile.ZIP_DEFLATED), "packed"),
        (lambda m: repacked(m), "not byte for byte"),
        (doubled, "same name"),
        (lambda m: bundle.pack({**m, "../../etc/cron.d/x": b"x"}), "was added"),
        (lambda m: bundle.pack({**m, "/etc/passwd": b"x"}), "was added"),
        (lambda m: bundle.pack({**m, **{f"m{n}": b"" for n in range(100)}}), "members"),
        (lambda m: b"", "no exported release"),
        (lambda m: b"PK\x05\x06" + bytes(18), "missing"),
    ],
)
def test_what_an_export_never_writes_is_refused(parcel: Parcel, make: Callable[[dict[str, bytes]], bytes], said: str) -> None:
    assert said in " ".join(parcel.problems(make(parcel.members)))


def test_members_that_lie_one_in_the_other_are_refused_before_they_are_read(parcel: Parcel) -> None:
    content = bytearray(bundle.pack({"a": b"x" * 1000, "b": b"y" * 1000}))
    second = content.rindex(b"PK\x01\x02")
    content[second + 20 : second + 28] = (5000).to_bytes(4, "little") * 2  # the sizes that the directory tells
    assert "one in the other" in " ".join(parcel.problems(bytes(content)))


def test_a_release_signed_anew_with_another_key_is_not_the_one_that_was_expected(parcel: Parcel) -> None:
    thief = Ed25519PrivateKey.generate()
    public = thief.public_key().public_bytes_raw()
    manifest = parcel.members["release.json"].replace(
        signing.fingerprint(parcel.public).encode(), signing.fingerprint(public).encode()
    )
    forged = bundle.pack(
        {**parcel.members, "release.json": manifest, "release.dsse.json": signing.sign(manifest, thief),
         "public-key.pem": signing.to_pem(public)}
    )  # fmt: skip
    assert verifying.check(forged, None).problems == [], "it is whole, with a key of its own"
    assert "not the key that was expected" in " ".join(verifying.check(forged, parcel.public).problems)


@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "no fingerprint"])
def test_what_is_no_fingerprint_is_the_readers_mistake_and_not_the_files(parcel: Parcel, text: str) -> None:
    with pytest.raises(UserError, match="expected 64 hexadecimal digits"):
        parcel.desk.call("release.verify", file=str(parcel.file), fingerprint=text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        call("release.verify", file=str(tmp_path / "none.zip"))
    with pytest.raises(UserError, match="cannot be read"):
        call("release.verify", file=str(tmp_path))
