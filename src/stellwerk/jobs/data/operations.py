"""The operations of the AI data engineer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from stellwerk.errors import UserError
from stellwerk.jobs.data.diff_report import Difference
from stellwerk.jobs.data.profile_report import Profile
from stellwerk.jobs.data.reports import (
    BoundPreview,
    BuildReport,
    ChatFields,
    Erasure,
    Explanation,
    ExportResult,
    Format,
    QueryResult,
    RefreshReport,
    RowPage,
    SourceStates,
    SpecSchema,
    TestReport,
    TryReport,
)
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.operation import LocalPath, Ref, Sensitive, Spec, operation

if TYPE_CHECKING:
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

SpecName = Annotated[str, Spec("datasets", DatasetSpec)]
DatasetRef = Annotated[str, Ref("dataset")]


def _exit_code(report: TestReport) -> int:
    return 1 if report.failed else 0


@operation(example={"file": "raw/labels.jsonl"}, changes=True)
def try_(
    file: Annotated[Path, LocalPath()],
    save: bool = False,
    name: str | None = None,
    *,
    workspace: Workspace | None = None,
) -> TryReport:
    """Look at any file with no spec at all: its columns, languages, copies, personal data. Changes nothing without save.

    Args:
        file: csv, tsv, json, jsonl, parquet, xlsx, md, txt, html, pdf, docx, pptx, odt, eml or msg, also with .gz, .xz or .zst.
        save: write datasets/NAME.yaml to begin with; the file itself stays where it is, but one that was sent is put into raw/.
        name: the NAME to save it under; made from the name of the file if not given.
    """
    from stellwerk.jobs.data import trying

    name = name or trying.name_for(file)
    inside = workspace is not None and file.resolve().is_relative_to(workspace.root)
    pattern = str(file.resolve().relative_to(workspace.root) if workspace is not None and inside else file.resolve())
    # What was sent by another machine does not stay where it is; a spec names what stays.
    sent = save and workspace is not None and file.resolve().is_relative_to(workspace.state)
    report = trying.try_file(file, name, f"raw/{file.name}" if sent else pattern)
    if save:
        if workspace is None:
            raise UserError("--save writes into a workspace, and this folder is in none; make one with: stellwerk init")
        if sent:
            trying.bring_in(workspace.root, file)
        report.next = [f"stellwerk data build {name}"]
        report.saved = trying.save(workspace.root, name, report.spec)
    return report


def _bytes_to_read(workspace: Workspace, values: Mapping[str, Any]) -> float | None:
    from stellwerk.jobs.data import states

    return states.extent(workspace, workspace.spec("datasets", values["dataset"], DatasetSpec), values["dataset"])


@operation(example={"dataset": "tickets"}, extent=_bytes_to_read)
def build(dataset: SpecName, *, run: Run) -> BuildReport:
    """Build a dataset version from its spec; what was done before is not done again.

    Args:
        dataset: the name of its spec, tickets for datasets/tickets.yaml.
    """
    from stellwerk.jobs.data import build as building

    return building.build(run, dataset, run.spec("dataset").check(DatasetSpec))


def _refresh_code(report: RefreshReport) -> int:
    return 1 if report.test is not None and report.test.failed else 0


@operation(example={"dataset": "tickets"}, exit_code=_refresh_code, scheduled=True, extent=_bytes_to_read)
def refresh(dataset: SpecName, *, run: Run) -> RefreshReport:
    """Build a dataset and run its tests in one go: what a schedule does.

    Args:
        dataset: the name of its spec, tickets for datasets/tickets.yaml.
    """
    from stellwerk.jobs.data import build as building
    from stellwerk.jobs.data import testing

    spec = run.spec("dataset").check(DatasetSpec)
    built = building.build(run, dataset, spec)
    tested = testing.test(run, run.record.resolve(built.dataset)) if spec.tests else None
    return RefreshReport(build=built, test=tested)


@operation(example={"dataset": "tickets"})
def sources(dataset: Annotated[str, Spec("datasets", DatasetSpec)], *, workspace: Workspace) -> SourceStates:
    """Say what was read of each source of a dataset last: when, from where, up to which value of the cursor.

    Args:
        dataset: the name of its spec, tickets for datasets/tickets.yaml.
    """
    from stellwerk.jobs.data import states

    spec = workspace.spec("datasets", dataset, DatasetSpec)
    return SourceStates(sources=states.of_sources(workspace.record, dataset, [source.name for source in spec.sources]))


@operation(example={"dataset": "tickets"})
def profile(dataset: DatasetRef, *, workspace: Workspace) -> Profile:
    """Profile a dataset version: types, missing and distinct values, distributions, outliers.

    Args:
        dataset: such as tickets, tickets@3 or tickets@production.
    """
    from stellwerk.jobs.data import profiling, versions

    return profiling.profile(versions.table_path(workspace.store, workspace.record.resolve(dataset, "dataset")))


@operation(
    example={"dataset": "tickets", "sql": "SELECT decision, count(*) AS n FROM ledger GROUP BY decision ORDER BY decision"}
)
def query(dataset: DatasetRef, sql: str, limit: int = 100, *, workspace: Workspace) -> QueryResult:
    """Ask a dataset version in SQL; the tables are documents (kept), ledger (all that came in) and scores.

    Args:
        dataset: such as tickets, tickets@3 or tickets@production.
        sql: one SELECT in DuckDB's dialect; it can reach nothing but these tables.
        limit: rows at most.
    """
    from stellwerk.jobs.data import sql as asking
    from stellwerk.jobs.data import versions

    version = workspace.record.resolve(dataset, "dataset")
    return asking.query(versions.queryable(workspace.store, version), sql, limit)


@operation(example={"dataset": "tickets", "limit": 5})
def rows(
    dataset: DatasetRef,
    table: Literal["documents", "ledger"] = "documents",
    search: str | None = None,
    decision: str | None = None,
    rule: str | None = None,
    offset: Annotated[int, Field(ge=0)] = 0,
    limit: Annotated[int, Field(ge=1, le=1000)] = 50,
    *,
    workspace: Workspace,
) -> RowPage:
    """Look at rows of a dataset version: what was kept, or what became of all that came in.

    Args:
        dataset: such as tickets, tickets@3 or tickets@production.
        table: documents (what was kept) or ledger (what became of all that came in).
        search: only rows in which a text holds this.
        decision: of the ledger, kept, changed or dropped.
        rule: of the ledger, such as near_duplicate.
        offset: rows to skip.
        limit: rows at most.
    """
    from stellwerk.jobs.data import explore

    version = workspace.record.resolve(dataset, "dataset")
    return explore.rows(
        workspace.store, version, table, search=search, decision=decision, rule=rule, offset=offset, limit=limit
    )


@operation(example={"dataset": "tickets", "score": "words", "min": 6})
def preview(
    dataset: DatasetRef,
    score: str,
    min: Annotated[float | None, Field(allow_inf_nan=False)] = None,
    max: Annotated[float | None, Field(allow_inf_nan=False)] = None,
    *,
    workspace: Workspace,
) -> BoundPreview:
    """Say what another bound on a quality score would keep, without a build.

    Args:
        dataset: such as tickets, tickets@3 or tickets@production.
        score: a quality score or a column of numbers, such as words.
        min: the smallest value that would pass; no bound if left out.
        max: the largest value that would pass; no bound if left out.
    """
    from stellwerk.jobs.data import explore

    return explore.preview(workspace.store, workspace.record.resolve(dataset, "dataset"), score, min, max)


@operation(example={"document": "tickets:T-000001", "dataset": "tickets"})
def explain(document: str, dataset: str | None = None, *, workspace: Workspace) -> Explanation:
    """Follow one document through every step: why it is in the dataset or not, what was changed, with which scores.

    Args:
        document: its id, such as tickets:T-000123, or T-000123.
        dataset: such as tickets or tickets@3; all datasets are searched if not given.
    """
    from stellwerk.jobs.data import explain as explaining

    return explaining.explain(workspace, document, dataset)


@operation(example={"dataset": "tickets"}, exit_code=_exit_code)
def test(dataset: Annotated[str, Ref("dataset", specs="datasets")], *, run: Run) -> TestReport:
    """Run the tests of a dataset's spec on a version: completeness, uniqueness, ranges, formats, freshness, rows, drift.

    Args:
        dataset: such as tickets, tickets@3 or tickets@production.
    """
    from stellwerk.jobs.data import testing

    return testing.test(run, run.input(dataset, "dataset"))


@operation(example={"first": "tickets", "second": "tickets"})
def diff(first: DatasetRef, second: DatasetRef, *, workspace: Workspace) -> Difference:
    """Compare two dataset versions: rows added, removed and changed, and the schema.

    Args:
        first: the earlier version, such as tickets@1.
        second: the later version, such as tickets@2.
    """
    from stellwerk.jobs.data import comparing, versions

    before, after = (workspace.record.resolve(reference, "dataset") for reference in (first, second))
    return comparing.diff(versions.table_path(workspace.store, before), versions.table_path(workspace.store, after))


@operation(example={"dataset": "tickets", "folder": "exports/tickets", "format": "croissant", "overwrite": True})
def export(
    dataset: DatasetRef,
    folder: Annotated[Path, LocalPath(writes=True)],
    format: Format = "parquet",
    user: str = "text",
    assistant: str = "reply",
    system: str | None = None,
    compress: bool = False,
    overwrite: bool = False,
    tainted: bool = False,
    *,
    run: Run,
) -> ExportResult:
    """Write a dataset version into a folder that other tools read, with its data record.

    Args:
        dataset: such as tickets, tickets@3 or tickets@production.
        folder: where to; it must be absent or empty.
        format: parquet, jsonl, chat (one conversation a line), huggingface, or croissant.
        user: for chat, the column of the user's turn.
        assistant: for chat, the column of the answer.
        system: for chat, the column of the system's turn.
        compress: for jsonl and chat, write .jsonl.gz.
        overwrite: replace what an earlier export wrote there.
        tainted: export the version though rows that it was made from were erased since; its data record says so.
    """
    from stellwerk.jobs.data import export as exporting
    from stellwerk.jobs.data import versions

    version = run.input(dataset, "dataset")
    chat = ChatFields(user=user, assistant=assistant, system=system)
    facts = versions.facts_of(run.workspace, version)
    if facts.tainted and not tainted:
        raise UserError(
            f"{version.ref} is tainted ({facts.tainted}), so it is not exported; "
            f"name a later version, or give --tainted to export it all the same"
        )
    table = versions.table_path(run.store, version)
    done = exporting.export(table, facts, folder, format, chat, overwrite=overwrite, compress=compress)
    run.step("export", versions.note_export, inputs=[version], run_id=run.id, format=format, rows=done.rows)
    return done


@operation(example={"dataset": "tickets", "where": "doc_id = 'tickets:T-000002'", "reason": "example of an erasure"})
def erase(dataset: DatasetRef, where: Annotated[str, Sensitive()], reason: str = "on request", *, run: Run) -> Erasure:
    """Erase documents logically from a dataset as a whole: a mark on every version that holds them or was made from them.

    The latest version is followed by a new one without them if it holds any, and no later build brings them back.

    Args:
        dataset: such as tickets; all its versions are searched, so tickets@3 says the same.
        where: an SQL condition on the documents as they were read, such as "customer_id = 'K-17'"; it is not kept.
        reason: why; do not name the person.
    """
    from stellwerk.jobs.data import erase as erasing

    return erasing.erase(run, dataset, where, reason)


@operation(example={}, changes=True)
def schema(
    file: Annotated[Path | None, LocalPath(writes=True)] = None, overwrite: bool = False, *, workspace: Workspace | None = None
) -> SpecSchema:
    """Give the JSON Schema of datasets/*.yaml, with which editors complete and check a spec.

    Args:
        file: write it there; it is only shown if not given.
        overwrite: replace a file that is already there.
    """
    import json

    from stellwerk.workspace import write_text

    del workspace
    found = DatasetSpec.model_json_schema()
    if file is not None:
        if not file.absolute().parent.is_dir():
            raise UserError(f"{file.parent} is no folder; make it first")
        if file.exists() and not overwrite:
            raise UserError(f"{file} is already there; give another name, or --overwrite")
        write_text(file, json.dumps(found, indent=2) + "\n")
    return SpecSchema(file=str(file) if file else None, json_schema=found)
