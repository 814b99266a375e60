"""Who tests the model: for each contender the files that its users would write, the command that they would give, its verdict.

Each gets the same cases, a folder of its own, a home that is kept from run to run, and no way out of this machine. Caches of
replies are off, or empty where they are part of the product. Knows no measuring.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks import peers
from benchmarks.evaluating import task

MODEL = "tiny"
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_SHARING": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
INSPECT_TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.scorer import exact
from inspect_ai.solver import generate


@task
def sums():
    def sample(case):
        return Sample(input=f"Add: {case['a']} + {case['b']}", target=case["answer"])

    return Task(dataset=json_dataset("cases.jsonl", sample), solver=generate(), scorer=exact())
"""
LM_EVAL_TASK = {
    "task": "sums",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": task.TEMPLATE,
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": [], "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
LISTED = {
    "file": {"path": "cases.jsonl"},
    "columns": {"inputs": ["a", "b"], "expected": "answer"},
    "checks": [{"type": "equals", "value": "{{expected}}"}],
}
TEST = [str(Path(sys.executable).parent / "stellwerk"), "prompts", "test", "sums", "sums", MODEL, "--json"]
PROMPT = f"---\nname: sums\ninputs:\n  - name: a\n  - name: b\n---\nuser:\n{task.TEMPLATE}\n"


@dataclass(frozen=True)
class Round:
    """One test that is to be run.

    Attributes:
        folder: for its files alone; is empty.
        home: the contender's home, which earlier rounds have used.
        cases: how many.
        at_once: calls in flight.
        base: address of the model.
    """

    folder: Path
    home: Path
    cases: int
    at_once: int
    base: str

    @property
    def environment(self) -> dict[str, str]:
        """What a contender sees: no settings or keys of ours, and a proxy that lets nobody out."""
        proxy = self.base.removesuffix("/v1")
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)
        local = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        keys = {"OPENAI_API_KEY": "none", "LOCAL_API_KEY": "none", "LOCAL_BASE_URL": self.base}
        return {**kept, **proxies, **local, **keys, **QUIET, "HOME": str(self.home), "TMPDIR": str(self.home)}


@dataclass(frozen=True)
class Contender:
    """Somebody who tests.

    Attributes:
        name: as the table says it.
        command: writes the files of a round and says what is to be run in its folder.
        share: of right answers, as the contender reports it; it gets the round and what was printed.
        version: as it calls itself.
        fine: exit codes of a test that was done, some of whose cases failed.
        times: how often it is to be measured in a round; more where cases cost little beside the start.
        note: what the table has to say of it.
    """

    name: str
    command: Callable[[Round], list[str]]
    share: Callable[[Round, str], float]
    version: str
    fine: tuple[int, ...] = (0,)
    times: int = 1
    note: str = ""


def stellwerk() -> list[Contender]:
    """This product: with the very file that promptfoo reads, and with cases as lines of JSON."""
    from stellwerk import __version__

    inline = Contender("stellwerk", lambda given: _stellwerk(given, _tests), _stellwerk_share, __version__, (0, 1), 3)
    listed = replace(inline, name="stellwerk, .jsonl", command=lambda given: _stellwerk(given, _as_lines))
    return [inline, listed]


def others() -> list[Contender]:
    """Those that can be installed here; what is missing is said."""
    found = []
    for name, make in (("promptfoo", _promptfoo), ("inspect_ai", _inspect), ("lm_eval", _lm_eval)):
        contender = make()
        if contender is None:
            print(f"  {name} cannot be installed here; is there a package index?")
        else:
            found.append(contender)
    return found


def floor() -> Contender:
    """The calls alone."""
    import aiohttp

    def command(given: Round) -> list[str]:
        lines = task.lines(given.cases, given.folder / "cases.jsonl")
        root = Path(__file__).parents[2]
        program = ["-m", "benchmarks.evaluating.floor", given.base, str(lines), str(given.at_once)]
        return ["env", f"PYTHONPATH={root}", sys.executable, *program]

    return Contender("aiohttp alone", command, lambda given, said: int(said) / given.cases, aiohttp.__version__, times=3)


def written(value: Any, path: Path) -> Path:
    """Write a value as YAML, as a person would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return path


def _tests(given: Round) -> dict[str, Any]:
    """The cases as promptfoo's configuration."""
    config = {"apiBaseUrl": given.base, "temperature": 0}
    tests = [
        {"vars": {"a": a, "b": b}, "assert": [{"type": "equals", "value": str(a + b)}]} for a, b in task.cases(given.cases)
    ]
    return {"prompts": [task.TEMPLATE], "providers": [{"id": f"openai:chat:{MODEL}", "config": config}], "tests": tests}


def _as_lines(given: Round) -> Mapping[str, Any]:
    task.lines(given.cases, given.folder / "cases.jsonl")
    return LISTED


def _stellwerk(given: Round, suite: Callable[[Round], Mapping[str, Any]]) -> list[str]:
    from stellwerk.workspace import Workspace

    Workspace.init(given.folder)
    model = {"endpoint": given.base, "model": MODEL, "hosted": False}
    written({**model, "limits": {"at_once": given.at_once}, "params": {"temperature": 0}}, given.folder / "models/tiny.yaml")
    written(suite(given), given.folder / "suites/sums.yaml")
    (given.folder / "prompts").mkdir(exist_ok=True)
    (given.folder / "prompts/sums.prompty").write_text(PROMPT)
    return TEST


def _stellwerk_share(given: Round, said: str) -> float:
    found = re.search(r"^\{$.*?^\}$", said, re.MULTILINE | re.DOTALL)
    if found is None:
        raise RuntimeError(f"stellwerk reports nothing:\n{said[-1000:]}")
    report = json.loads(found[0])
    return float(report["passed"]) / given.cases


def _promptfoo() -> Contender | None:
    folder = peers.node_package("promptfoo", "22")
    if folder is None:
        return None
    package = folder / "node_modules/promptfoo"
    version = json.loads((package / "package.json").read_text())["version"]
    program = [str(folder / "node_modules/.bin/node"), str(package / "dist/src/entrypoint.js")]
    flags = ["--no-cache", "--no-table", "--no-progress-bar", "--no-share"]

    def command(given: Round) -> list[str]:
        config = written(_tests(given), given.folder / "promptfooconfig.yaml")
        return [*program, "eval", "-c", str(config), "-j", str(given.at_once), *flags]

    def share(given: Round, said: str) -> float:
        database = sqlite3.connect(given.home / ".promptfoo/promptfoo.db")
        latest = "(SELECT id FROM evals ORDER BY created_at DESC LIMIT 1)"
        passed = database.execute(f"SELECT sum(success) FROM eval_results WHERE eval_id = {latest}").fetchone()[0]
        database.close()
        return float(passed) / given.cases

    return Contender("promptfoo", command, share, version)


def _inspect() -> Contender | None:
    python = peers.environment("inspect", ["inspect_ai", "openai"])
    if python is None:
        return None
    program = str(python.parent / "inspect")
    flags = ["--display", "none", "--no-log-realtime", "--log-dir", "logs", "--model", f"openai-api/local/{MODEL}"]

    def command(given: Round) -> list[str]:
        task.lines(given.cases, given.folder / "cases.jsonl")
        (given.folder / "sums.py").write_text(INSPECT_TASK)
        places = [f"--max-connections={given.at_once}", f"--max-samples={given.at_once}"]
        return [program, "eval", "sums.py", *flags, *places]

    def share(given: Round, said: str) -> float:
        log = next((given.folder / "logs").glob("*.eval"))
        asked = [program, "log", "dump", "--header-only", str(log)]
        header = json.loads(subprocess.run(asked, capture_output=True, check=True, env=given.environment).stdout)
        return float(header["results"]["scores"][0]["metrics"]["mean"]["value"])

    return Contender("inspect_ai", command, share, _version(python, "inspect_ai"), note="log_realtime off")


def _lm_eval() -> Contender | None:
    python = peers.environment("lm_eval", ["lm_eval[api]"])
    if python is None:
        return None
    flags = ["--tasks", "sums", "--include_path", "tasks", "--apply_chat_template", "--output_path", "out", "--log_samples"]

    def command(given: Round) -> list[str]:
        lines = task.lines(given.cases, given.folder / "cases.jsonl")
        written({**LM_EVAL_TASK, "dataset_kwargs": {"data_files": {"test": str(lines)}}}, given.folder / "tasks/sums.yaml")
        model = f"model={MODEL},base_url={given.base}/chat/completions,num_concurrent={given.at_once},max_retries=1"
        called = ["--model", "local-chat-completions", "--model_args", f"{model},tokenizer_backend=None"]
        return [str(python.parent / "lm_eval"), "run", *called, *flags]

    def share(given: Round, said: str) -> float:
        results = json.loads(next((given.folder / "out").rglob("results_*.json")).read_text())
        return float(results["results"]["sums"]["exact_match,none"])

    return Contender("lm_eval", command, share, _version(python, "lm_eval"), note="without torch and transformers")


def _version(python: Path, package: str) -> str:
    asked = [str(python), "-c", f"import importlib.metadata as m; print(m.version('{package}'))"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
