"""Logs of inspect_ai come in as cases, and tests leave as logs that it reads.

`files/inspect.eval` was written by inspect_ai 0.3.285 from two questions of our own and a model of our own on loopback.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from kept import evidence_of

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Answer, Case, Check
from stellwerk.evaluation.exchange import inspect_log, inspect_writing
from stellwerk.llm.chat import Message, Usage

REAL = Path(__file__).parent / "files" / "inspect.eval"
INSPECT = os.environ.get("STELLWERK_TEST_INSPECT", "")  # a Python that has inspect_ai
TURNS = (Message("system", "Antworte knapp."), Message("user", "Wo ist mein Paket? 📦"))


def test_a_real_log_becomes_cases() -> None:
    pytest.importorskip("zstandard")
    found = {case.id: case for case in inspect_log.cases(REAL)}
    assert set(found) == {"paket", "sum"}
    assert found["paket"].inputs == {"input": "Wo ist mein Paket?"} and found["paket"].expected == "unterwegs"
    assert found["paket"].cluster == "a" and found["sum"].cluster is None
    assert found["sum"].answers == ["5", "5"], "one for each epoch"


def test_a_log_in_json_is_the_same(tmp_path: Path) -> None:
    pytest.importorskip("zstandard")
    samples = list(inspect_log.samples(REAL))
    (tmp_path / "log.json").write_text(json.dumps({"version": 2, "samples": samples}))
    assert list(inspect_log.cases(tmp_path / "log.json")) == list(inspect_log.cases(REAL))


def asked() -> list[tuple[Case, int, Answer]]:
    checks = (Check("icontains", "unterwegs"), Check("contains", "Sie", metric="tone"))
    answer = Answer("Es ist unterwegs.", TURNS, "stop", usage=Usage(12, 3), seconds=0.25, model="tiny")
    broken = Answer("", TURNS, "other", failure="timeout", problem="models/writer.yaml did not answer in 60 s")
    cut = Answer("Sie", TURNS, "length", usage=Usage(12, 9), seconds=0.5)
    odd = Case("a/b ../ü", {"frage": "Wo?"}, checks, expected="unterwegs", cluster="k")
    return [(odd, 0, answer), (odd, 1, cut), (Case("zwei", {"frage": "Wann?"}, checks), 0, broken)]


def test_what_we_write_we_read(tmp_path: Path) -> None:
    inspect_writing.write(evidence_of(tmp_path / "store", asked(), repeats=2), tmp_path / "log.eval")
    samples = {(sample["id"], sample["epoch"]): sample for sample in inspect_log.samples(tmp_path / "log.eval")}
    first = samples["a/b ../ü", 1]
    assert first["scores"]["passed"]["value"] == "I" and first["scores"]["icontains"]["value"] == 1
    assert (
        first["scores"]["tone"]["value"] == 0 and samples["a/b ../ü", 2]["output"]["choices"][0]["stop_reason"] == "max_tokens"
    )
    assert samples["zwei", 1]["error"]["message"].startswith("models/writer.yaml") and samples["zwei", 1]["scores"] == {}
    with zipfile.ZipFile(tmp_path / "log.eval") as log:
        assert all(not Path(name).is_absolute() and ".." not in Path(name).parts for name in log.namelist())


@pytest.mark.slow
@pytest.mark.skipif(not INSPECT, reason="STELLWERK_TEST_INSPECT names no Python that has inspect_ai")
def test_what_we_write_inspect_ai_reads(tmp_path: Path) -> None:
    inspect_writing.write(evidence_of(tmp_path / "store", asked(), repeats=2), tmp_path / "log.eval")
    script = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries
log = read_eval_log(sys.argv[1])
header = read_eval_log(sys.argv[1], header_only=True)
summaries = read_eval_log_sample_summaries(sys.argv[1])
print(json.dumps({
    "status": header.status, "model": log.eval.model, "epochs": log.eval.config.epochs, "summaries": len(summaries),
    "scores": {score.name: {k: m.value for k, m in score.metrics.items()} for score in header.results.scores},
    "samples": [[s.id, s.epoch, s.output.completion, s.output.stop_reason if s.output.choices else None, s.messages[-1].text,
                 s.error.message if s.error else None, {k: v.value for k, v in (s.scores or {}).items()}, s.input]
                for s in log.samples],
    "tokens": {k: v.total_tokens for k, v in log.stats.model_usage.items()},
}))
"""
    done = subprocess.run(
        [INSPECT, "-c", script, tmp_path / "log.eval"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["status"], found["model"], found["epochs"]) == ("success", "stellwerk/model/writer@1", 2)
    assert found["summaries"] == 3 and found["tokens"] == {"stellwerk/model/writer@1": 36}
    assert found["scores"]["passed"]["accuracy"] == 0 and found["scores"]["tone"]["mean"] == 0.5
    samples = {(sample[0], sample[1]): sample[2:] for sample in found["samples"]}
    said, stop, last, error, scores, question = samples["a/b ../ü", 1]
    assert (said, stop, last, error) == ("Es ist unterwegs.", "stop", "Es ist unterwegs.", None)
    assert scores == {"passed": "I", "icontains": 1, "tone": 0} and question == TURNS[1].content
    assert samples["zwei", 1][3].startswith("models/writer.yaml")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04 nothing", "is neither JSON nor a zip"),
        (b"[1, 2]", "has no samples"),
        (b'{"samples": [{"x": 1}]}', "sample 1 is no sample"),
        (b"\xff\xfe", "is neither JSON nor a zip"),
        (b"[" * 100_000, "is neither JSON nor a zip"),
    ],
)
def test_what_is_no_log_is_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "log.eval").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        list(inspect_log.cases(tmp_path / "log.eval"))


def test_a_zip_of_something_else_and_a_cut_log_are_said(tmp_path: Path) -> None:
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as made:
        made.writestr("readme.txt", "hello")
    (tmp_path / "a.eval").write_bytes(other.getvalue())
    with pytest.raises(UserError, match="a zip, but no log"):
        list(inspect_log.cases(tmp_path / "a.eval"))
    (tmp_path / "b.eval").write_bytes(REAL.read_bytes()[:4000])
    with pytest.raises(UserError):
        list(inspect_log.cases(tmp_path / "b.eval"))
    damaged = bytearray(REAL.read_bytes())
    damaged[700:2000] = bytes(1300)
    (tmp_path / "c.eval").write_bytes(damaged)
    with pytest.raises(UserError, match="is broken"):
        list(inspect_log.cases(tmp_path / "c.eval"))
