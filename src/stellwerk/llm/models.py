"""Models as versions in the record: what identifies one, and its file as a version keeps it.

Weights are identified by their bytes, a simulation by its plan. What a provider may change is identified by where it is, by
what it reports, and by its answers to fixed questions (`probing.py`): they are asked where a version is made, and again before
a use when the last probe is older than `HOLDS`. Nothing else is called.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from stellwerk.errors import UserError
from stellwerk.llm import spec as specs
from stellwerk.llm.allowed import is_hosted
from stellwerk.llm.spec import ModelSpec
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

KIND = "model"
PROBE = "probe_passed"  # 1 where the fixed questions are answered as at registration
HOLDS = dt.timedelta(days=7)
FACTS = (
    "provider", "family", "region", "seat", "retention", "training", "terms", "processor_agreement", "licence", "description",
    "context",
)  # fmt: skip


def take(run: Run, parameter: str) -> tuple[Version, ModelSpec]:
    """The version that a run's parameter names, and its file.

    Args:
        run: in which the model is about to be used; outside of a step.
        parameter: marked with `FileRef`, such as `model`.

    Returns:
        The version, of kind `model`, and the file of it; prices are those of the file as it is now.

    Raises:
        UserError: it is another model now than the version that was asked for, or its weights are not there.
        CallFailed: a hosted model was to be probed and did not answer.
    """
    from stellwerk.llm import probing

    version, spec = noted(run, parameter)
    if is_hosted(spec) and not is_fresh(run.record, version):
        return probing.renewed(run, parameter, version, spec)
    return version, spec


def noted(run: Run, parameter: str, answers: str | None = None) -> tuple[Version, ModelSpec]:
    """As `take`, without a look at how old the last probe is.

    Args:
        answers: reference of the answers that a hosted model's version is identified by; if left out those that the newest
            version of the same endpoint has, or new ones.
    """
    try:
        file = run.spec(parameter)
    except KeyError:  # it names a version, not a file
        version = run.asset(parameter, KIND, note)
        return version, spec_of(run.workspace, version)
    spec = file.check(ModelSpec)
    given: dict[str, Any] = {}
    if spec.weights is not None:
        given["files"] = _stamp(folder_of(run.workspace, spec))
    if is_hosted(spec):
        given["answers"] = answers or _last_answers(run.record, Path(file.name).stem, place(spec))
    return run.asset(parameter, KIND, note, **given), spec


def note(
    run: Run, *, name: str, file: str, content: str, files: str | None = None, answers: str | None = None
) -> dict[str, Any]:
    """Step: the version of a model's file; a hosted model is asked the fixed questions, unless answers of it are known."""
    from stellwerk.llm import probing

    spec = specs.read(run.store.get(content).decode(), file)
    identity, facts, kept = place(spec), facts_of(spec), {"text": content}
    new = None
    if spec.weights is not None:
        identity["weights"] = digest(folder_of(run.workspace, spec))
    if is_hosted(spec):
        if answers is None:
            answers = new = probing.registration(run, name, spec)
        taken = probing.Taken.read(run.store, answers)
        identity |= {"fingerprint": taken.fingerprints, "reported": taken.models, "probe": taken.digest}
        facts |= {"fingerprint": ", ".join(taken.fingerprints) or None, "reported": ", ".join(taken.models) or None}
        kept["probe"] = answers
    version = run.output(KIND, name, identity=identity, facts=facts, content=kept)
    if new is not None:
        run.measure(PROBE, 1, n=probing.CALLS, metric_version=probing.EDITION, details={"answers": new, "registration": True})
    return {"version": version}


def of(workspace: Workspace, reference: str) -> tuple[str, ModelSpec]:
    """A model's name and file, for a query: `writer` is models/writer.yaml as it is now, `writer@3` what version 3 kept.

    Raises:
        UserError: there is no such file or version, or the file has a mistake.
    """
    name = reference.removeprefix(f"{KIND}/")
    if "@" not in name and (name in workspace.specs(specs.FOLDER) or workspace.record.latest(KIND, name) is None):
        return name, workspace.spec(specs.FOLDER, name, ModelSpec)
    version = workspace.record.resolve(f"{KIND}/{name}", KIND)
    return version.name, spec_of(workspace, version)


def spec_of(workspace: Workspace, version: Version) -> ModelSpec:
    """The file of a version.

    Raises:
        UserError: the version was registered as a service, so it cannot be called.
    """
    text = version.content.get("text")
    if text is None:
        raise UserError(
            f"{version.ref} says only what was bought; to call it, write models/{version.name}.yaml with its endpoint, "
            "and register that"
        )
    return specs.read(workspace.store.get(text).decode(), f"{specs.FOLDER}/{version.name}.yaml")


def place(spec: ModelSpec) -> dict[str, Any]:
    """What identifies a model by its file alone: where it is, what it is called there, and how it is asked."""
    from stellwerk.llm import simulated

    params = spec.params.model_dump(mode="json", exclude_unset=True, by_alias=True)
    found: dict[str, Any] = {"params": params} if params else {}
    if spec.simulated is not None:
        return found | {"simulated": spec.simulated.model_dump(mode="json"), "edition": simulated.EDITION}
    if spec.endpoint is not None:
        date = spec.date.isoformat() if spec.date else None
        return found | {"endpoint": spec.endpoint, "model": spec.model, "date": date}
    return found


def facts_of(spec: ModelSpec) -> dict[str, Any]:
    """What is known of a model and can change without making it another one."""
    facts: dict[str, Any] = {name: getattr(spec, name) for name in FACTS}
    facts |= {"hosted": is_hosted(spec), "simulated": spec.simulated is not None, "model": spec.model}
    facts["price"] = [price.model_dump(mode="json") for price in spec.price] or None
    return facts


def folder_of(workspace: Workspace, spec: ModelSpec) -> Path:
    """The folder of a model's weights.

    Raises:
        UserError: it is not there.
    """
    folder = workspace.root / str(spec.weights)
    if not folder.is_dir():
        raise UserError(
            f"weights is {str(spec.weights)!r}, but there is no such folder in the workspace; put the weights there"
        )
    return folder


def digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of the files that make a model; notes and pictures beside them do not count."""
    found = hashlib.sha256()
    for path in _parts(folder):
        with path.open("rb") as file:
            found.update(f"{path.relative_to(folder).as_posix()}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return found.hexdigest()


def is_fresh(record: Record, version: Version) -> bool:
    """Whether the last probe of a version passed, less than `HOLDS` ago."""
    last = probes(record, version)[-1:]
    return any(
        row["value"] == 1 and abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(row["created"])) < HOLDS for row in last
    )


def probes(record: Record, version: Version) -> list[dict[str, Any]]:
    """The measurements of the probe on a version, oldest first."""
    link = tables.measured.c
    on = select(link.measurement).where(link.version == version.id, link.role == "subject")
    row = tables.measurement.c
    return record.rows(tables.measurement, row.id.in_(on), row.metric == PROBE, order=row.created)


def _last_answers(record: Record, name: str, wanted: dict[str, Any]) -> str | None:
    """The answers of the newest version at the same place; None where there is none, so that they have to be asked for."""
    newest = record.latest(KIND, name)
    if newest is None or any(newest.identity.get(field) != value for field, value in wanted.items()):
        return None
    return newest.content.get("probe")


def _parts(folder: Path) -> list[Path]:
    """The files of a model that decide what it answers."""
    wanted = (".safetensors", ".json", ".jinja", ".model", ".txt")
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in wanted)


def _stamp(folder: Path) -> str:
    """Changes when a file of the model does, without reading gigabytes."""
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in _parts(folder)]
    return hashlib.sha256(repr([(name, s.st_size, s.st_mtime_ns) for name, s in stats]).encode()).hexdigest()
