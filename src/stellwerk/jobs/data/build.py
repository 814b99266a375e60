"""Building a dataset version: the steps in their order, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as db

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.jobs.data import copies, ledger, outliers, select, tagging, tombstones
from stellwerk.jobs.data import shards as parts
from stellwerk.jobs.data.acquire import acquire
from stellwerk.jobs.data.documents import assemble
from stellwerk.jobs.data.reports import BuildReport, Tally
from stellwerk.jobs.data.spec import DatasetSpec, Kind
from stellwerk.jobs.data.write import finished, write_table
from stellwerk.record import tables
from stellwerk.settings import Budget
from stellwerk.text.personal import NOT_SEARCHED

if TYPE_CHECKING:
    from stellwerk.run import Run


def build(run: Run, name: str, spec: DatasetSpec) -> BuildReport:
    """Build a dataset as its spec says.

    Args:
        run: the run at work.
        name: of the dataset.
        spec: what is asked.
    """
    run.limit(spec.budget or Budget(), f"datasets/{name}.yaml")
    known = run.record.versions(tables.asset.c.kind == "dataset", tables.asset.c.name == name)
    before, latest = {version.id for version in known}, run.record.latest("dataset", name)
    sources = [acquire(run, name, source) for source in spec.sources]
    run.extent(sum(acquired.version.facts["bytes"] for acquired in sources))
    tokens = tombstones.read_tokens(run, name)
    documents, stones = tombstones.forget(run, name, assemble(run, spec, sources), tokens)
    shards = tag(run, spec, documents)
    decide(run, spec, shards)
    lost = [(a.source.name, shard) for a in sources for shard in a.lost]
    tombstones.check(run, name, tokens)
    outcome = run.step(
        "publish",
        publish,
        inputs=[acquired.version for acquired in sources],
        dataset=name,
        spec=spec.model_dump(mode="json", by_alias=True),
        shards=shards,
        lost=lost,
        stones=stones,
        tokens=tokens,
    )
    tombstones.check(run, name, tokens)
    return _report(run, outcome, before, latest.id if latest else None)


def tag(run: Run, spec: DatasetSpec, documents: Sequence[str]) -> dict[str, list[str]]:
    """Compute all tags; the result holds, by step, one shard for each shard of documents."""
    items = [{"shard": shard} for shard in documents]
    normalised = run.map(
        "normalise", tagging.normalised, items, mojibake=spec.normalise.mojibake, unicode=spec.normalise.unicode
    )
    items = [{"shard": shard, "documents": document} for shard, document in zip(normalised, documents, strict=True)]
    scores = run.map("score", tagging.scored, items, languages=spec.languages)
    personal = run.map("personal data", tagging.found_personal, items, kinds=spec.personal.kinds)
    return {"documents": list(documents), "normalised": normalised, "scores": scores, "personal": personal}


def decide(run: Run, spec: DatasetSpec, shards: dict[str, list[str]]) -> None:
    """Compare, select, split, and write the ledger; adds the shards of each step."""
    documents = shards["documents"]
    sizes = [parts.rows(run.store.path(shard)) for shard in documents]
    columns = sorted({name for shard in documents for name in parts.names(run.store.path(shard))})
    select.check_names(spec.select, columns)
    select.check_values(spec.select, _types(run, shards))
    wanted = spec.outliers.columns if spec.outliers else []
    scale = spec.outliers.scale if spec.outliers else "linear"
    centres = run.step("outliers", outliers.centres, documents=documents, columns=wanted, scale=scale)
    shards["bounds"] = run.map(
        "select",
        select.judged,
        _items(shards),
        asked=asdict(
            select.Asked(
                bounds={name: bound.model_dump(mode="json", by_alias=True) for name, bound in spec.select.items()},
                outlier_bound=spec.outliers.bound if spec.outliers else None,
                centres=centres,
                personal_action=spec.personal.action,
            )
        ),
    )
    pairs = copies.compare(run, shards["normalised"], shards["scores"], sizes)
    shards["copies"] = run.step(
        "duplicates",
        copies.resolve,
        pairs=pairs,
        scores=shards["scores"],
        documents=documents,
        bounds=shards["bounds"],
        exact=spec.duplicates.exact,
        near=spec.duplicates.near,
        keep=spec.duplicates.keep,
    )
    shards["ledger"] = run.map(
        "ledger",
        ledger.decided,
        _items(shards, "documents", "normalised", "personal", "bounds", "copies"),
        near=spec.duplicates.near,
        action=spec.personal.action,
        split=spec.split.model_dump(),
    )
    names = ("documents", "normalised", "scores", "personal", "copies", "ledger")
    shards["finished"] = run.map("write", finished, _items(shards, *names), action=spec.personal.action)


def publish(
    run: Run,
    *,
    dataset: str,
    spec: dict[str, Any],
    shards: dict[str, list[str]],
    lost: list[list[str]],
    stones: list[str],
    tokens: list[str],
) -> dict[str, Any]:
    """Step: write the table and the last rows of the ledger, and note the version with its measurements."""
    tombstones.hold(run, dataset, tokens)
    reference, schema, digest, rows = write_table(run.store, shards["finished"], dataset)
    extra = [write_shard(run.store, ledger.lost_rows(s, read_shard(run.store.path(shard)))) for s, shard in lost]
    book = [*shards["ledger"], *extra, *stones]
    tally = ledger.tally(run.store.paths(book))
    personal = count_personal(run, shards["personal"])
    kept = {part: value for part, value in shards.items() if part not in ("ledger", "finished", "bounds")}
    version = run.output(
        "dataset",
        dataset,
        identity={"schema": schema, "rows": digest},
        content={"table": reference, "ledger": book, **kept},
        facts={
            "spec": spec,
            "rows": rows,
            "counts": tally.model_dump(),
            "languages": count_languages(run, shards["finished"]),
            "personal": {"searched": spec["personal"]["kinds"], "not_searched": list(NOT_SEARCHED), **personal},
        },
    )
    _measure(run, tally, personal, spec["personal"])
    return {"version": version, "counts": tally.model_dump(), "ledger": book}


def count_personal(run: Run, shards: Sequence[str]) -> dict[str, Any]:
    """Findings by kind, and the documents that hold any."""
    kinds: dict[str, int] = {}
    documents = 0
    for shard in shards:
        table = read_shard(run.store.path(shard))
        for pair in pc.value_counts(table["kind"]).to_pylist():
            kinds[pair["values"]] = kinds.get(pair["values"], 0) + pair["counts"]
        documents += pc.count_distinct(table["row"]).as_py()
    return {"counts": dict(sorted(kinds.items())), "documents": documents}


def count_languages(run: Run, shards: Sequence[str]) -> dict[str, int]:
    """Kept documents by language."""
    found: dict[str, int] = {}
    for shard in shards:
        for pair in pc.value_counts(parts.columns(run.store.path(shard), "language")["language"]).to_pylist():
            found[str(pair["values"])] = found.get(str(pair["values"]), 0) + pair["counts"]
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _measure(run: Run, tally: Tally, personal: dict[str, Any], asked: dict[str, Any]) -> None:
    """Counts over all documents: nothing was sampled, so the shares have no interval."""
    run.measure("documents_read", tally.read, n=tally.read, unit="documents")
    share = (lambda part: part / tally.read) if tally.read else (lambda part: None)
    run.measure("kept_share", share(tally.kept + tally.changed), n=tally.read, unit="share")
    for rule in tally.rules:
        run.measure(f"dropped_share.{rule.rule}", share(rule.documents), n=tally.read, unit="share")
    run.measure("personal_data_share", share(personal["documents"]), n=tally.read, unit="share")
    # Of all documents read, those too that were dropped for another reason; unknown where not every kind was searched.
    found = personal["documents"] if asked["action"] == "keep" else 0
    left = found if set(asked["kinds"]) >= set(get_args(Kind)) else None
    run.measure("personal_data_in_clear", left, n=tally.read, unit="documents", details={"searched": asked["kinds"]})


def _items(shards: dict[str, list[str]], *names: str) -> list[dict[str, Any]]:
    chosen = names or ("documents", "normalised", "scores", "personal")
    return [dict(zip(chosen, row, strict=True)) for row in zip(*(shards[name] for name in chosen), strict=True)]


def _types(run: Run, shards: dict[str, list[str]]) -> dict[str, set[pa.DataType]]:
    """The types that each score and column has in the shards; they may differ between sources."""
    found: dict[str, set[pa.DataType]] = {}
    for step in ("scores", "normalised", "documents"):
        known = set(found)
        for shard in shards[step]:
            for name, kind in parts.types(run.store.path(shard)).items():
                if name not in known and (step, name) != ("normalised", "text"):
                    found.setdefault(name, set()).add(kind)
    return found


def _warnings(run: Run) -> list[str]:
    """What the steps of this run found, those too that an earlier run did; each sentence once."""
    steps = db.select(db.func.coalesce(tables.step.c.reused, tables.step.c.id)).where(tables.step.c.run == run.id)
    rows = run.record.rows(tables.finding, tables.finding.c.step.in_(steps), order=tables.finding.c.created)
    return list(dict.fromkeys(row["title"] for row in rows))


def _report(run: Run, outcome: dict[str, Any], before: set[str], latest: str | None) -> BuildReport:
    # The counts are of this input: other input, such as one more file that cannot be read, may give an equal dataset.
    version = run.version(outcome["version"])
    steps = f"({run.done} steps done, {run.remembered} reused)"
    if not run.done:
        message = f"nothing changed: all {run.remembered} steps were done before, this is still {version.ref}"
    elif version.run == run.id or version.id not in before:  # this run may have made it before it was interrupted
        message = f"made {version.ref} {steps}"
    elif version.id == latest:
        message = f"nothing changed in the result: it is still {version.ref} {steps}"
    else:
        message = f"the result is equal to {version.ref}, so that is the version {steps}"
    name = version.name
    return BuildReport(
        dataset=version.ref,
        message=message,
        warnings=_warnings(run),
        counts=Tally.model_validate(outcome["counts"]),
        personal_data=version.facts["personal"]["counts"],
        not_searched=version.facts["personal"]["not_searched"],
        next=[f"stellwerk data profile {name}", f'stellwerk data query {name} "SELECT * FROM documents LIMIT 5"',
              f"stellwerk data test {name}", f"stellwerk show dataset/{name}"],
    )  # fmt: skip
