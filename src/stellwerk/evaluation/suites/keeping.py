"""Cases as JSON and back, and as shards of compressed JSON lines in the store; the digest of all is a suite's identity."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from stellwerk.evaluation.case import Case, Check
from stellwerk.evaluation.scorers import registry

if TYPE_CHECKING:
    from stellwerk.store.store import Store

SHARD = 1000  # cases
KINDS = 500  # different checks that are remembered; metrics that are named by a variable could be as many as cases
ASKED = ("judge", "provider")  # what names the model that a check asks
_LISTS = ("tags", "checks")  # left out where they are empty


@dataclass
class Tally:
    """What is counted while cases go by.

    Attributes:
        checks: one of each type, metric and family, without values.
        sometimes: variables that some cases lack.
        silent: cases of which nothing is asked.
    """

    cases: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    clusters: set[bytes] = field(default_factory=set)
    clustered: int = 0
    silent: int = 0
    checks: dict[str, Check] = field(default_factory=dict)
    variables: Counter[str] = field(default_factory=Counter)

    def add(self, case: Case) -> None:
        """Count a case."""
        self.cases += 1
        self.splits[case.split] += 1
        self.languages[case.language or ""] += 1
        if len(self.tags) < KINDS:
            self.tags.update(case.tags)
        self.variables.update(case.inputs.keys())
        if case.cluster is not None:
            self.clustered += 1
            self.clusters.add(hashlib.sha256(case.cluster.encode(errors="replace")).digest()[:8])
        self.silent += not any(check.weight > 0 for check in case.checks)
        for check in case.checks:
            config = {name: check.config[name] for name in ASKED if name in check.config}
            key = f"{check.type}|{check.negated}|{check.metric}|{check.family}|{check.weight}|{config}"
            if key not in self.checks and len(self.checks) < KINDS:
                self.checks[key] = Check(
                    check.type, None, None, check.weight, check.metric, check.negated, check.family, config
                )

    def facts(self) -> dict[str, Any]:
        """As JSON for the record, without texts of cases."""
        always = sorted(name for name, times in self.variables.items() if times == self.cases)
        return {
            "cases": self.cases,
            "splits": dict(self.splits),
            "languages": {name: times for name, times in sorted(self.languages.items()) if name},
            "clusters": len(self.clusters),
            "clustered": self.clustered,
            "silent": self.silent,
            "inputs": {"always": always, "sometimes": sorted(set(self.variables) - set(always))},
            "checks": [check_json(check) for check in self.checks.values()],
            "tags": dict(sorted(self.tags.items())),
        }


def keep(store: Store, cases: Iterable[Case], tally: Tally, noted: Any = None) -> tuple[str, list[dict[str, Any]]]:
    """Write cases to the store.

    Args:
        store: to write to.
        cases: streamed.
        tally: counts them.
        noted: is called with the number of cases after each shard.

    Returns:
        The digest over all, and the shards: reference, cases and splits of each.
    """
    digest = hashlib.sha256()
    shards: list[dict[str, Any]] = []
    lines: list[bytes] = []
    splits: Counter[str] = Counter()

    def flush() -> None:
        content = gzip.compress(b"".join(lines), 6, mtime=0)
        shards.append({"content": store.put(content), "cases": len(lines), "splits": dict(splits)})
        lines.clear()
        splits.clear()
        if noted is not None:
            noted(tally.cases)

    for case in cases:
        line = case_line(case)
        digest.update(line)
        lines.append(line)
        splits[case.split] += 1
        tally.add(case)
        if len(lines) >= SHARD:
            flush()
    if lines:
        flush()
    return digest.hexdigest(), shards


def kept(store: Store, shards: Iterable[Mapping[str, Any]], split: str | None = None) -> Iterator[Case]:
    """The cases of shards, in order; shards without any of the split are not read."""
    for shard in shards:
        if split is None or shard["splits"].get(split):
            for line in gzip.decompress(store.get(shard["content"])).splitlines():
                case = case_of(_load(line))
                if split is None or case.split == split:
                    yield case


def case_line(case: Case) -> bytes:
    """A case as one line of JSON, its names in order, so that equal cases give equal lines."""
    found = {name: getattr(case, name) for name in ("id", "inputs", "expected", "cluster", "language", "split", "description")}
    found |= {"tags": list(case.tags), "checks": [check_json(check) for check in case.checks]}
    said = {name: value for name, value in found.items() if value is not None and (value or name not in _LISTS)}
    try:
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Half surrogate pairs and numbers beyond 64 bits, which JSON can hold.
        return json.dumps(said, sort_keys=True, separators=(",", ":"), default=str).encode() + b"\n"


def case_of(value: Mapping[str, Any]) -> Case:
    """The case of a line."""
    return Case(
        value["id"],
        value["inputs"],
        tuple(Check(**check) for check in value.get("checks", ())),
        value.get("expected"),
        value.get("cluster"),
        tuple(value.get("tags", ())),
        value.get("language"),
        value["split"],
        value.get("description"),
    )


def check_json(check: Check) -> dict[str, Any]:
    """A check as JSON, without what is left out."""
    plain: dict[str, Any] = {"type": check.type}
    for name in ("value", "threshold", "metric", "family"):
        if (value := getattr(check, name)) is not None:
            plain[name] = value
    if check.weight != 1.0:
        plain["weight"] = check.weight
    if check.negated:
        plain["negated"] = True
    if check.config:
        plain["config"] = dict(check.config)
    return plain


def counts(check: Check) -> bool:
    """Whether a check decides whether a case passes."""
    return check.weight > 0 and check.type != registry.CASE and "set" not in check.config


def _load(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)
