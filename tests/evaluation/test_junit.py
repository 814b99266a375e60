"""Tests leave as JUnit XML, JSON lines and CSV that others read, with nothing that could break out of its place."""

from __future__ import annotations

import csv
import errno
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept import evidence_of

from stellwerk.errors import UserError
from stellwerk.evaluation import evidence
from stellwerk.evaluation.case import Answer, Case, Check
from stellwerk.evaluation.evidence import Evidence
from stellwerk.evaluation.exchange import exporting, junit

CHECKS = (Check("equals", "ja"), Check("contains", "x", metric="tone"))


@pytest.fixture
def found(tmp_path: Path) -> Evidence:
    asked = [
        (Case("good", {"q": "=1+1"}, CHECKS[:1], expected="ja"), 0, Answer("ja", seconds=0.25)),
        (Case("bad", {"q": 'a"b,c\nd'}, CHECKS), 0, Answer("=cmd|' /C calc'!A0")),
        (Case("away", {"q": "x"}, CHECKS), 0, Answer("", failure="timeout", problem="no answer in <60> s & more")),
        (Case("open", {"q": "x"}, ()), 0, Answer("whatever")),
    ]
    return evidence_of(tmp_path / "store", asked)


def test_ci_sees_what_failed_why_and_nothing_of_the_answers(found: Evidence, tmp_path: Path) -> None:
    junit.write(found, tmp_path / "log.xml")
    root = ET.parse(tmp_path / "log.xml").getroot()
    (suite,) = root
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    inner = {case.get("name"): [(part.tag, part.get("message")) for part in case] for case in suite.findall("testcase")}
    assert inner["good"] == [] and inner["away"] == [("error", "no answer in <60> s & more")]
    ((tag, message),) = inner["bad"]
    assert tag == "failure" and message is not None and message.startswith("equals: ") and "tone: " in message
    assert inner["open"][0][0] == "skipped"
    assert "calc" not in (tmp_path / "log.xml").read_text()
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["simulated"] == "false" and properties["pass_rate"] == "0.5" and "pass_rate.low" in properties


@settings(max_examples=50)
@given(st.text(st.characters(), max_size=20))
def test_any_name_makes_xml_that_can_be_read(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("junit")
    asked = [(Case(name, {}, CHECKS), 0, Answer("", failure="server", problem=name))]
    junit.write(evidence_of(folder / "store", asked), folder / "log.xml")
    (case,) = ET.parse(folder / "log.xml").getroot().iter("testcase")
    assert case.get("name") == junit.FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", name)


def test_a_csv_holds_each_call_and_no_formula(found: Evidence, tmp_path: Path) -> None:
    exporting._csv(found, tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["good", "bad", "away", "open"]
    assert rows[1]["answer"] == "'=cmd|' /C calc'!A0" and rows[0]["input.q"] == "'=1+1" and rows[1]["input.q"] == 'a"b,c\nd'
    assert (rows[0]["tone"], rows[1]["tone"], rows[2]["state"]) == ("", "0.0", "errors")


def test_json_lines_hold_everything(found: Evidence, tmp_path: Path) -> None:
    exporting._jsonl(found, tmp_path / "log.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows] == ["passed", "failed", "errors", "unscored"]
    assert rows[1]["answer"]["text"] == "=cmd|' /C calc'!A0" and rows[1]["inputs"]["q"] == 'a"b,c\nd'


def test_a_file_is_replaced_only_on_demand_and_whole(found: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "of", lambda workspace, of: found)
    file = tmp_path / "out" / "log.junit.xml"
    done = exporting.export(None, "latest", file, "junit", overwrite=False)  # type: ignore[arg-type]
    assert done.samples == 4 and file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    with pytest.raises(UserError, match="is there already"):
        exporting.export(None, "latest", file, "junit", overwrite=False)  # type: ignore[arg-type]

    def broken(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(junit, "write", broken)
    with pytest.raises(UserError, match="No space left on device; give another place"):
        exporting.export(None, "latest", file, "junit", overwrite=True)  # type: ignore[arg-type]
    assert file.read_bytes() == before and [path.name for path in file.parent.iterdir()] == [file.name]
    # Over a network the file has the name that the example has; a log is a log whatever it is called.
    assert exporting.export(None, "latest", file, "inspect", overwrite=True).message.endswith("end in .eval")  # type: ignore[arg-type]
