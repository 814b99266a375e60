"""What Langfuse exports as a suite: items of a dataset, traces or observations, as JSON, JSON lines or CSV.

The answer that a trace holds is what a model said, not what is right; only `expectedOutput` is taken as expected. The turns of
one session stay in one cluster.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stellwerk.errors import UserError
from stellwerk.evaluation.exchange.taken import Taken, lines
from stellwerk.evaluation.scorers.texts import as_text
from stellwerk.specfile import MAXIMUM_BYTES

MAXIMUM = 64 * MAXIMUM_BYTES
_LISTS = ("data", "traces", "items", "observations")
_NAMES = {
    "expected_output": "expectedOutput",
    "session_id": "sessionId",
    "trace_id": "traceId",
    "source_trace_id": "sourceTraceId",
}


def take(file: Path, name: str) -> Taken:
    """The entries of an export that have an input.

    Args:
        file: `.json`, `.jsonl` or `.csv`.
        name: of the suite.

    Raises:
        UserError: it is no such export, or no entry has an input.
    """
    if file.stat().st_size > MAXIMUM:
        raise UserError(f"{file} has over {MAXIMUM >> 20} MiB; export fewer conversations at once")
    told: list[str] = []
    rows: list[dict[str, Any]] = []
    answered = 0
    for number, entry in enumerate(_entries(file), 1):
        fields = {_NAMES.get(key, key): _opened(value) for key, value in entry.items()}
        if fields.get("input") in (None, "", {}, []):
            told.append(f"entry {number} has no input")
            continue
        if fields.get("status") == "ARCHIVED":
            told.append(f"entry {number} is archived")
            continue
        rows.append(_case(fields))
        answered += "expected" not in rows[-1] and fields.get("output") not in (None, "")
    if not rows:
        raise UserError(f"{file} holds no entry with an input; export a dataset or traces with their inputs")
    if answered:
        told.append(f"the answers of {answered} traces, which are what a model said and not what is right")
    value = {"description": f"from {file.name}", "file": f"{name}/cases.jsonl", "duplicates": "drop"}
    return Taken(value, {"cases.jsonl": lines(rows)}, told)


def _case(fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"vars": _variables(fields["input"]), "options": {"disableVarExpansion": True}}
    if (expected := fields.get("expectedOutput")) not in (None, "", {}, []):
        found["expected"] = _said(expected)
    cluster = fields.get("sessionId") or fields.get("traceId") or fields.get("sourceTraceId") or fields.get("id")
    if cluster:
        found["cluster"] = str(cluster)
    if isinstance(fields.get("tags"), list):
        found["tags"] = [str(tag) for tag in fields["tags"]]
    metadata = fields.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("language"), str):
        found["language"] = metadata["language"]
    if isinstance(fields.get("name"), str):
        found["description"] = fields["name"]
    return found


def _variables(value: Any) -> dict[str, Any]:
    """Variables of an input: a conversation gives its last question as `input` and what was before as `history`."""
    if isinstance(value, Mapping):
        for key in ("messages", "input"):
            if isinstance(value.get(key), list):
                rest = {str(name): part for name, part in value.items() if name != key}
                return {**rest, **_variables(value[key])}
        return {str(name): part for name, part in value.items()}
    if isinstance(value, list) and value and all(isinstance(turn, Mapping) and "role" in turn for turn in value):
        last = max((place for place, turn in enumerate(value) if turn["role"] == "user"), default=len(value) - 1)
        before = [f"{turn['role']}: {_said(turn)}" for turn in value[:last] if turn["role"] in ("user", "assistant")]
        return {"input": _said(value[last]), **({"history": "\n".join(before)} if before else {})}
    return {"input": value if isinstance(value, str) else as_text(value)}


def _said(value: Any) -> Any:
    """The text of a message; anything else as it is."""
    if isinstance(value, Mapping) and "content" in value:
        content = value["content"]
        if isinstance(content, list):
            return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
        return content
    return value


def _opened(value: Any) -> Any:
    """A cell of a CSV that holds JSON, opened."""
    if isinstance(value, str) and value[:1] in ('"', "{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _entries(file: Path) -> list[Mapping[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() == ".csv":
            return list(csv.DictReader(io.StringIO(text, newline="")))
        if file.suffix.lower() in (".jsonl", ".ndjson"):
            found: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            found = json.loads(text)
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8; export it anew") from None
    except (ValueError, RecursionError, csv.Error):
        raise UserError(f"{file} is no export of Langfuse; expected JSON, JSON lines or CSV") from None
    if isinstance(found, Mapping):
        found = next((found[key] for key in _LISTS if isinstance(found.get(key), list)), [found])
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise UserError(f"{file} is no export of Langfuse; expected a list of items or traces")
    return found
