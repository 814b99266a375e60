"""From a suite's file to its version in the record, and from a version or file to its cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Case
from stellwerk.evaluation.suites import keeping
from stellwerk.evaluation.suites.making import Making
from stellwerk.evaluation.suites.sources import Source, digests
from stellwerk.evaluation.suites.spec import FOLDER, checked, read
from stellwerk.evaluation.suites.suite import Suite
from stellwerk.specfile import parse, read_text

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

KIND = "suite"


def take(run: Run, parameter: str) -> tuple[Version, Suite]:
    """The suite that a parameter of a run names, as a version of the record; see `suites.take`."""
    try:
        raw = run.spec(parameter)
    except KeyError:  # it named a version
        version = run.asset(parameter, KIND, note)
        if version.tainted:
            raise UserError(
                f"{version.ref} was made from rows that were erased since, so nobody is asked its cases any more; name "
                f"{version.name}, which takes them as they are now"
            ) from None
        return version, _suite(run.workspace, version)
    spec = checked(raw)
    dataset = run.input(spec.dataset, "dataset") if spec.dataset else None
    files = digests(Source(run.workspace, spec, raw, dataset))
    inputs = [dataset] if dataset else []
    found = run.asset(
        parameter, KIND, note, inputs=inputs, files=dict(sorted(files.items())), dataset=dataset.id if dataset else None
    )
    return found, _suite(run.workspace, found)


def of(workspace: Workspace, reference: str) -> Suite:
    """A suite to look at; see `suites.of`."""
    name = reference.removeprefix(f"{KIND}/")
    if "@" in name or name not in workspace.specs(FOLDER):
        if "@" not in name and workspace.record.latest(KIND, name) is None:
            workspace.spec_path(FOLDER, name)  # says which there are
        return _suite(workspace, workspace.record.resolve(name, KIND))
    path = workspace.spec_path(FOLDER, name)
    raw = parse(read_text(path), f"{FOLDER}/{path.name}")
    spec = checked(raw)
    dataset = workspace.record.resolve(spec.dataset, "dataset") if spec.dataset else None
    source = Source(workspace, spec, raw, dataset)
    return Suite(name, spec, None, lambda split: _streamed(source, split))


def note(
    run: Run,
    *,
    name: str,
    file: str,
    content: str,
    files: Mapping[str, str] | None = None,
    dataset: str | None = None,
) -> dict[str, Any]:
    """Step: make the cases, keep them in the store, and note their version."""
    raw = parse(run.store.get(content).decode(), file)
    spec = checked(raw)
    source = Source(run.workspace, spec, raw, run.version(dataset) if dataset else None)
    making, tally = Making(spec, source.files), keeping.Tally()
    cases = making.cases(source.rows())
    digest, shards = keeping.keep(
        run.store, cases, tally, lambda done: run.progress(f"note {KIND} {name}", done, None, "cases")
    )
    if digests(source) != (files or {}):
        raise UserError(f"{file}: a file of its cases changed while it was read; start again when it stays as it is")
    facts = {
        **tally.facts(),
        "dropped": making.dropped,
        "unasked": making.unasked,
        "contradicting": making.contradicting,
        "description": spec.description,
        "language": spec.language,
    }
    facts |= {"epochs": spec.epochs, "dataset": source.dataset.ref if source.dataset else None}
    identity = {"cases": digest, "epochs": spec.epochs}
    if spec.embedder is not None:
        identity["embedder"] = spec.embedder
    version = run.output(KIND, name, identity=identity, facts=facts, content={"text": content, "file": file, "shards": shards})
    return {"version": version, "cases": tally.cases}


def _suite(workspace: Workspace, version: Version) -> Suite:
    content = version.content
    spec = read(workspace.store.get(content["text"]).decode(), content["file"])
    return Suite(
        version.name, spec, version, lambda split: keeping.kept(workspace.store, content["shards"], split), version.facts
    )


def _streamed(source: Source, split: str | None) -> Iterator[Case]:
    cases = Making(source.spec, source.files).cases(source.rows())
    return (case for case in cases if split is None or case.split == split)
