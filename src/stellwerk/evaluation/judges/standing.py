"""A judge as a version in the record, and whether it may judge: only just this one, after an audit that it passed.

A version is the task, the thresholds and the model together; who changes one of them has a judge that nobody has audited.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from stellwerk.errors import UserError
from stellwerk.evaluation.judges import spec as specs
from stellwerk.evaluation.judges.spec import JudgeSpec
from stellwerk.evaluation.judges.wording import Task
from stellwerk.llm.chat import Params
from stellwerk.llm.spec import ModelSpec
from stellwerk.record import tables
from stellwerk.record.record import version_id
from stellwerk.specfile import read_text

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

KIND = "judge"
PASSED = "judge_passed"
EDITION = 1  # grows when our own words to a judge change


@dataclass(frozen=True)
class Judge:
    """A judge, ready to be asked.

    Attributes:
        prompt: instructions in the user's words; None for ours.
        model: the name of its model.
        place: what identifies the model.
    """

    name: str
    spec: JudgeSpec
    prompt: str | None
    model: str
    model_spec: ModelSpec
    place: dict[str, Any]

    @property
    def task(self) -> Task:
        """What shapes its questions."""
        return Task(self.spec.form, self.spec.criteria or "", self.prompt, self.spec.scale, self.spec.language)

    @property
    def params(self) -> Params:
        """How the model is asked."""
        return self.model_spec.params.under(self.spec.params)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this judge."""
        spec = self.spec
        texts = {"criteria": spec.criteria, "prompt": self.prompt}
        return {
            "form": spec.form,
            **{name: unicodedata.normalize("NFC", text) if text else None for name, text in texts.items()},
            "scale": [*spec.scale, spec.bar] if spec.form == "score" else None,
            "language": spec.language if self.prompt is None else None,
            "params": spec.params.model_dump(mode="json", by_alias=True),
            "thresholds": spec.thresholds.model_dump(mode="json"),
            "edition": EDITION,
            "model": self.place,
        }


def load(workspace: Workspace, name: str, spec: JudgeSpec) -> Judge:
    """A judge of a file, with its prompt and its model as they are now.

    Raises:
        UserError: its prompt or its model is not as expected.
    """
    from stellwerk.llm import models

    prompt = spec.prompt
    if spec.prompt_file is not None:
        prompt = read_text(workspace.root / specs.FOLDER / spec.prompt_file)
    model, model_spec = models.of(workspace, spec.model)
    place = models.place(model_spec)
    if model_spec.weights is not None:
        place["weights"] = models.digest(models.folder_of(workspace, model_spec))
    return Judge(name, spec, prompt, model, model_spec, place)


def take(run: Run, parameter: str) -> tuple[Version, Judge]:
    """The version that a run's parameter names, and the judge; whether it may judge is not asked."""
    try:
        file = run.spec(parameter)
    except KeyError:  # it names a version, not a file
        version = run.asset(parameter, KIND, note)
        return version, of_version(run.workspace, version)
    name = file.name.rpartition("/")[2].removesuffix(".yaml")
    judge = load(run.workspace, name, file.check(JudgeSpec))
    model = run.record.latest("model", judge.model)
    same = model is not None and all(model.identity.get(key) == value for key, value in judge.place.items())
    kept = run.store.put(json.dumps(_kept(judge)).encode())
    return run.asset(parameter, KIND, note, inputs=[model] if model is not None and same else [], judge=kept), judge


def note(run: Run, *, name: str, file: str, content: str, judge: str = "") -> dict[str, Any]:
    """Step: the version of a judge."""
    found = _restored(json.loads(run.store.get(judge)))
    facts: dict[str, Any] = {"model": found.model, "form": found.spec.form, "description": found.spec.description}
    facts |= {"simulated": found.model_spec.simulated is not None, "family": found.model_spec.family}
    return {"version": run.output(KIND, name, identity=found.identity, facts=facts, content={"text": content, "judge": judge})}


def of_version(workspace: Workspace, version: Version) -> Judge:
    """The judge that a version is."""
    return _restored(json.loads(workspace.store.get(version.content["judge"])))


def of(workspace: Workspace, reference: str) -> tuple[Version, Judge]:
    """A judge for use: `helpful` is judges/helpful.yaml as it is now, `helpful@2` what version 2 was.

    Raises:
        UserError: there is none, it was not audited, or it did not pass.
    """
    name = reference.removeprefix(f"{KIND}/")
    if "@" in name or name not in workspace.specs(specs.FOLDER):
        version = workspace.record.resolve(f"{KIND}/{name}", KIND)
        judge = of_version(workspace, version)
    else:
        judge = load(workspace, name, workspace.spec(specs.FOLDER, name, JudgeSpec))
        found = workspace.record.versions(tables.version.c.id == version_id(KIND, name, judge.identity))
        if not found:
            raise UserError(
                f"the judge {name} has not been audited as it stands in {specs.FOLDER}/{name}.yaml, so it may not judge; "
                f"audit it with: stellwerk evaluation audit {name}"
            )
        version = found[0]
    _check(workspace.record, version)
    return version, judge


def last_audit(record: Record, version: Version) -> dict[str, Any] | None:
    """The measurement of the last whole audit of a version; None where there was none."""
    link, row = tables.measured.c, tables.measurement.c
    on = select(link.measurement).where(link.version == version.id, link.role == "subject")
    found = record.rows(
        tables.measurement, row.id.in_(on), row.metric == PASSED, row.complete == 1, order=(row.created.desc(), row.id), limit=1
    )
    return found[0] if found else None


def self_preference(judge: Judge, families: Sequence[str | None]) -> str | None:
    """A sentence where the judge's model is of the family of one that it judges, since models like their own; else None."""
    own = judge.model_spec.family
    if own is None or own.casefold() not in {family.casefold() for family in families if family}:
        return None
    return f"the judge {judge.name} and what it judges are of the family {own}: it may prefer its own"


def _check(record: Record, version: Version) -> None:
    audit = last_audit(record, version)
    if audit is None:
        again = f"stellwerk evaluation audit {version.name}"
        raise UserError(f"{version.ref} has not been audited, so it may not judge; audit it with: {again}")
    if audit["value"] != 1:
        missed = "; ".join(audit["details"].get("missed", [])) or "see its audit"
        raise UserError(
            f"{version.ref} did not pass its audit ({missed}), so it may not judge; change {specs.FOLDER}/{version.name}.yaml, "
            f"and audit it with: stellwerk evaluation audit {version.name}"
        )


def _kept(judge: Judge) -> dict[str, Any]:
    return {
        "name": judge.name, "spec": judge.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "prompt": judge.prompt, "model": judge.model, "place": judge.place,
        "model_spec": judge.model_spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }  # fmt: skip


def _restored(kept: dict[str, Any]) -> Judge:
    spec, model = JudgeSpec.model_validate(kept["spec"]), ModelSpec.model_validate(kept["model_spec"])
    return Judge(kept["name"], spec, kept["prompt"], kept["model"], model, kept["place"])
