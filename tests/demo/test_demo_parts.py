"""The parts of the demo: its folder, the watch over the network, judging one defect, sentences in both languages."""

from __future__ import annotations

import contextlib
import socket
import string
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.demo import folder as place
from stellwerk.demo import network, sentences
from stellwerk.demo.judging import core, judge
from stellwerk.demo.outcome import Document, Finding
from stellwerk.demo.scoring import Line, weakest
from stellwerk.demo.truth import Planted
from stellwerk.errors import UserError
from stellwerk.jobs.data import words as data_words
from stellwerk.text.personal import NOT_SEARCHED
from stellwerk.workspace import Workspace


def digest(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_interrupted_writing_ends_with_the_same_files(tmp_path: Path) -> None:
    place.prepare(tmp_path / "whole", 600, 3, False)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.prepare(tmp_path / "cut", 600, 3, False, stop)
    assert not (tmp_path / "cut" / "raw").exists()
    place.prepare(tmp_path / "cut", 600, 3, False)
    for name in ("raw", "truth", "datasets"):
        assert digest(tmp_path / "cut" / name) == digest(tmp_path / "whole" / name)
    # Killed between the two moves: the raw files are at their place, the truth is not.
    moved = tmp_path / "cut" / ".stellwerk" / "demo"
    moved.mkdir()
    (tmp_path / "cut" / "truth").rename(moved / "truth")
    note, written = place.prepare(tmp_path / "cut", None, None, False)
    assert (note.tickets, note.seed, written) == (600, 3, False)
    assert digest(tmp_path / "cut" / "truth") == digest(tmp_path / "whole" / "truth")


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    Workspace.init(tmp_path / "mine")
    (tmp_path / "mine" / "datasets").mkdir()
    before = digest(tmp_path / "mine")
    for again in (False, True):
        with pytest.raises(UserError, match="not a demo's"):
            place.prepare(tmp_path / "mine", 10, 1, again)
    assert digest(tmp_path / "mine") == before
    place.prepare(tmp_path / "demo", 10, 1, False)
    (tmp_path / "demo" / "notes.txt").write_text("mine")
    (tmp_path / "demo" / "datasets" / "own.yaml").write_text("mine")
    (tmp_path / "demo" / "datasets" / "tickets.yaml").write_text("# mine\n")
    with pytest.raises(UserError, match="seed 1, not 2"):
        place.prepare(tmp_path / "demo", 10, 2, False)
    place.prepare(tmp_path / "demo", None, None, False)
    assert (tmp_path / "demo" / "datasets" / "tickets.yaml").read_text() == "# mine\n"
    note, written = place.prepare(tmp_path / "demo", 12, 2, True)
    assert (note.tickets, note.seed, written) == (12, 2, True)
    assert (tmp_path / "demo" / "notes.txt").exists()
    assert (tmp_path / "demo" / "datasets" / "own.yaml").exists()
    assert (tmp_path / "demo" / "datasets" / "tickets.yaml").read_text() != "# mine\n"


def test_watch_sees_connections_to_other_machines_only() -> None:
    routed = False
    with network.watching() as watch, datagrams() as inward, datagrams() as outward:
        inward.connect(("127.0.0.1", 9))
        time.sleep(3 * network.PAUSE)
        assert network.result(watch).attempts == network.result(watch).connections == 0
        # The demo's own server is told from other ports of this machine.
        assert [(network.result(watch, port).own, network.result(watch, port).local) for port in (9, 10)] == [(1, 0), (0, 1)]
        with contextlib.suppress(OSError):  # where there is no way out at all
            outward.connect(("192.0.2.1", 9))  # reserved for documentation; connecting a datagram socket sends nothing
            routed = Path("/proc/net/udp").exists()
        time.sleep(3 * network.PAUSE)
    assert (network.result(watch).attempts, network.result(watch).connections) == (1, int(routed))


def datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@given(st.ip_addresses())
def test_addresses_of_proc_are_read_back(address: Any) -> None:
    groups = [address.packed[start : start + 4] for start in range(0, len(address.packed), 4)]
    written = "".join((group[::-1] if sys.byteorder == "little" else group).hex().upper() for group in groups)
    assert network.decode_address(written) == str(address)


def test_this_machine_is_told_from_others() -> None:
    assert all(
        map(network.local, ("127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "localhost", b"localhost", "::ffff:127.0.0.1", ""))
    )
    assert not any(map(network.local, ("192.0.2.1", "2001:db8::1", "example.org", b"example.org", "::ffff:192.0.2.1")))


def document(text: str, *findings: tuple[int, int, str]) -> Document:
    found = tuple(Finding("text", kind, start, end, 0.9, "pattern") for start, end, kind in findings)
    return Document("tickets:T-1", "tickets", text, False, None, None, None, None, False, {}, found)


@given(st.text(string.ascii_letters + " ", max_size=20), st.integers(0, 15), st.integers(0, 15))
def test_a_value_is_found_when_all_of_it_is(before: str, start: int, end: int) -> None:
    value = "DE89 3704 0044"
    text = f"{before}: {value} rest"
    at = text.index(value)
    row = Planted("iban", "tickets:T-1", {"value": value, "format": "groups of four"})
    spec = {"tickets": {"select": {}, "outliers": None, "personal": {"kinds": ["IBAN"], "action": "mask"}}}
    spec["tickets"]["duplicates"] = {"exact": True, "near": 0.8}  # type: ignore[dict-item]
    spec["tickets"]["normalise"] = {"mojibake": True}  # type: ignore[dict-item]
    reason = judge(row, {"tickets:T-1": document(text, (at + start, at + end, "IBAN"))}, spec)
    left = (value[:start] + value[max(start, end) :]).strip() if end > start else value
    assert (reason is None) == (not left)
    assert reason is None or value not in reason


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ("mailto", "mailto:a.b@c.example", "a.b@c.example"),
        ("password", "Benutzer wartung, Passwort Halle!1234abc", "Halle!1234abc"),
        ("password", "PW=Halle!1234abc", "Halle!1234abc"),
        ("hex key", "api_key=00ff", "00ff"),
        ("password in address", "https://wartung:Halle!1@portal.b.example/login", "Halle!1"),
    ],
)
def test_what_must_not_be_left_of_a_value(shape: str, value: str, expected: str) -> None:
    kind = "email" if shape == "mailto" else "secret"
    assert core(Planted(kind, "d", {"value": value, "format": shape})) == expected


def test_weakest_of_lines() -> None:
    def line(kind: str, planted: int, found: int, false: int) -> Line:
        return Line(kind=kind, planted=planted, found=found, missed=planted - found, false_alarms=false, state="searched")

    told = weakest([line("iban", 10, 9, 0), line("phone", 10, 10, 2), line("junk", 10, 10, 0)])
    assert told is not None
    assert (told.kind, told.what, told.count, told.of) == ("phone", "false alarms", 2, 12)
    assert weakest([line("iban", 10, 10, 0)]) is None


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_sentence_is_there_in_both_languages() -> None:
    read: Callable[[str, Any], str] = lambda key, language: sentences._SENTENCES[key][language == "de"]  # noqa: E731
    for key in sentences._SENTENCES:
        assert placeholders(read(key, "en")) == placeholders(read(key, "de")), key
    assert set(NOT_SEARCHED) <= set(data_words.GERMAN)
