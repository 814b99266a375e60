"""A test as a log of inspect_ai: the `.eval` format, a zip of JSON that `inspect view` shows and its Python API reads.

Our facts without a place of their own there stand below `metadata`; a call that got no answer is a sample with an error.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stellwerk.evaluation.evidence import Evidence
from stellwerk.evaluation.rows import dump

VERSION = 2  # of the format
PASSED = "passed"  # the scorer that says whether all checks of a sample passed
STOPS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter", "tool_calls": "tool_calls"}


def write(found: Evidence, file: Path) -> None:
    """Write a test as a log of inspect_ai."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as log:
        spec, plan = _spec(found), {"name": "plan", "steps": [], "config": {}}
        _put(log, "_journal/start.json", {"version": VERSION, "eval": spec, "plan": plan})
        summaries = []
        for _, row in found.rows():
            sample = _sample(row, found)
            name = quote(str(sample["id"]), safe=" ")[:150]
            _put(log, f"samples/{name}_epoch_{sample['epoch']}.json", sample)
            summaries.append(_summary(sample))
        _put(log, "summaries.json", summaries)
        header = {"version": VERSION, "status": "success", "eval": spec, "plan": plan}
        _put(log, "header.json", header | {"results": _results(found), "stats": _stats(found)})


def _put(log: zipfile.ZipFile, name: str, value: Any) -> None:
    # A fixed time, so that the same test gives the same bytes.
    log.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), dump(value), zipfile.ZIP_DEFLATED)


def _spec(found: Evidence) -> dict[str, Any]:
    about = found.about
    cases = list(dict.fromkeys(found.columns.case))
    return {
        "eval_id": _id(found, "eval"),
        "run_id": _id(found, "run"),
        "created": _moment(found.created),
        "task": about["suite"].partition("/")[2].partition("@")[0],
        "task_id": _id(found, "task"),
        "task_version": 0,
        "task_attribs": {},
        "task_args": {},
        "dataset": {"name": about["suite"], "samples": len(cases), "sample_ids": cases, "shuffled": False},
        "model": _model(found),
        "model_generate_config": {},
        "model_args": {},
        "config": {"epochs": about["repeats"], "limit": about["limit"]},
        "packages": {"stellwerk": importlib.metadata.version("stellwerk")},
        "metadata": {
            "stellwerk_run": found.run,
            "target": about["target"],
            "simulated": about["simulated"],
            "split": about["split"],
            "subjects": list(about["subjects"]),
            "instruments": list(about["instruments"]),
            "complete": about["complete"],
        },
        "scorers": [{"name": name, "options": {}, "metrics": [], "metadata": {}} for name in _scorers(found)],
    }


def _sample(row: Mapping[str, Any], found: Evidence) -> dict[str, Any]:
    answer, key = row["answer"], f"{row['case']}\0{row['repeat']}"
    messages = [_message(message, f"{key}\0{place}") for place, message in enumerate(answer["messages"])]
    said = {"id": _short(f"{key}\0answer"), "role": "assistant", "content": answer["text"], "source": "generate"}
    usage = _usage(answer)
    failed = answer["failure"] is not None and answer["failure"] != "rejected"
    choices = [] if failed else [{"message": said, "stop_reason": STOPS.get(answer["finish"], "unknown")}]
    model = _model(found)
    made = {
        "id": row["case"],
        "epoch": row["repeat"] + 1,
        "input": _input(row),
        "target": row["expected"]
        if isinstance(row["expected"], str)
        else ""
        if row["expected"] is None
        else str(row["expected"]),
        "messages": messages if failed else [*messages, said],
        "output": {
            "model": answer["model"] or model,
            "choices": choices,
            "completion": answer["text"],
            "time": answer["seconds"],
        },
        "scores": _scores(row, answer["text"]),
        "metadata": {"inputs": row["inputs"], "cluster": row["cluster"], "tags": row["tags"], "language": row["language"]},
        "store": {},
        "events": [],
        "model_usage": {model: usage} if usage else {},
        "attachments": {},
        "total_time": answer["seconds"],
        "working_time": answer["seconds"],
        "uuid": _short(f"{found.run}\0{key}"),
    }
    if usage:
        made["output"]["usage"] = usage
    if failed:
        problem = answer["problem"] or answer["failure"]
        made["error"] = {"message": problem, "traceback": problem, "traceback_ansi": problem}
    return made


def _message(message: Mapping[str, Any], key: str) -> dict[str, Any]:
    role = "system" if message["role"] == "developer" else message["role"]
    return {"id": _short(key), "role": role, "content": message["content"], **({"source": "input"} if role == "user" else {})}


def _input(row: Mapping[str, Any]) -> str:
    """What the person asked: the last turn of the user; the inputs where an application was called."""
    turns = [message["content"] for message in row["answer"]["messages"] if message["role"] == "user"]
    if turns:
        return str(turns[-1])
    inputs = row["inputs"]
    return str(next(iter(inputs.values()))) if len(inputs) == 1 else dump(inputs).decode()


def _scores(row: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A score by metric, several of one name as their mean, and whether all passed; what could not be scored is left out."""
    values: dict[str, list[float]] = {}
    reasons: dict[str, list[str]] = {}
    for score in row["scores"]:
        if score["value"] is not None:
            values.setdefault(score["metric"], []).append(score["value"])
            reasons.setdefault(score["metric"], []).append(score["reason"])
    found: dict[str, Any] = {}
    if row["passed"] is not None:
        found[PASSED] = {"value": "C" if row["passed"] else "I", "answer": text}
    for name, each in values.items():
        key = f"metric.{name}" if name == PASSED else name
        found[key] = {
            "value": sum(each) / len(each),
            "answer": text,
            "explanation": ", ".join(filter(None, reasons[name])) or None,
        }
    return found


def _summary(sample: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "epoch", "input", "target", "metadata", "scores", "model_usage", "total_time", "working_time", "uuid")
    found = {name: sample[name] for name in names}
    found |= {"completed": True, "message_count": len(sample["messages"]), "retries": 0}
    return found | ({"error": sample["error"]["message"]} if "error" in sample else {})


def _results(found: Evidence) -> dict[str, Any]:
    """The numbers that stand for the whole, with the standard error that belongs to each interval's half width."""
    known = {one["metric"]: one for one in found.summary}
    scores = []
    for name in _scorers(found):
        one = known.get("pass_rate" if name == PASSED else name, {})
        value = one.get("value")
        metrics = {} if value is None else {"accuracy" if name == PASSED else "mean": value}
        metrics |= {end: one[end] for end in ("low", "high") if value is not None and one.get(end) is not None}
        entries = {key: {"name": key, "value": number, "params": {}} for key, number in metrics.items()}
        scores.append({"name": name, "scorer": name, "params": {}, "metrics": entries, "scored_samples": one.get("n", 0)})
    return {"total_samples": len(found), "completed_samples": len(found) - found.number("errors"), "scores": scores}


def _stats(found: Evidence) -> dict[str, Any]:
    columns = found.columns
    known = [(a, b) for a, b in zip(columns.input, columns.output, strict=True) if a == a and b == b]
    sent, said = int(sum(a for a, _ in known)), int(sum(b for _, b in known))
    usage = {_model(found): {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said}} if known else {}
    return {"started_at": _moment(found.created), "completed_at": _moment(found.created), "model_usage": usage}


def _usage(answer: Mapping[str, Any]) -> dict[str, int] | None:
    given = answer.get("usage")
    if given is None:
        return None
    found = {"input_tokens": given[0], "output_tokens": given[1], "total_tokens": given[0] + given[1]}
    return found | {"input_tokens_cache_read": given[2], "reasoning_tokens": given[3]}


def _scorers(found: Evidence) -> list[str]:
    return [PASSED, *(f"metric.{name}" if name == PASSED else name for name in sorted(found.columns.metrics))]


def _model(found: Evidence) -> str:
    subject = next((s for s in found.about["subjects"] if s.startswith("model/")), found.about["subjects"][-1])
    return f"stellwerk/{subject}"


def _moment(created: str) -> str:
    return created or dt.datetime.fromtimestamp(0, dt.UTC).isoformat()


def _id(found: Evidence, what: str) -> str:
    return _short(f"{found.run}\0{found.name}\0{what}")


def _short(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()[:22]
