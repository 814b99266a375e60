"""Runs as OpenLineage events (specification 2-0-2): what began, what it read and made, how it ended.

Knows the events and their facets. Names, types, counts and sentences of ours go out; no row, no parameter, no person and no
credential. A run that is resumed goes on under its id: another START follows the end that it had.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, select

import stellwerk
from stellwerk.errors import StellwerkError, where
from stellwerk.operation import Operation, Ref, Spec
from stellwerk.record import tables
from stellwerk.record.record import Version, now
from stellwerk.runs.openlineage_names import Place, places_of

if TYPE_CHECKING:
    from stellwerk.run import Run

State = Literal["done", "failed", "cancelled", "interrupted"]
Facets = dict[str, dict[str, Any]]

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
PRODUCER = f"urn:stellwerk:{stellwerk.__version__}"
ENDS = {"done": "COMPLETE", "failed": "FAIL", "cancelled": "ABORT", "interrupted": "ABORT"}
FACETS = {
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "nominalTime": "1-0-1/NominalTimeRunFacet",
    "processing_engine": "1-1-1/ProcessingEngineRunFacet",
    "tags": "1-0-0/TagsRunFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "jobDocumentation": "1-1-0/DocumentationJobFacet",
    "documentation": "1-1-0/DocumentationDatasetFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "dataSource": "1-0-1/DatasourceDatasetFacet",
    "ownership": "1-0-1/OwnershipDatasetFacet",
    "lifecycleStateChange": "1-0-1/LifecycleStateChangeDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "inputStatistics": "1-0-0/InputStatisticsInputDatasetFacet",
    "dataQualityAssertions": "1-1-0/DataQualityAssertionsDatasetFacet",
}

log = logging.getLogger("stellwerk.openlineage")


def started(run: Run, operation: Operation) -> None:
    """Tell that a run is worked on; never raises."""
    _tell(run, operation, "START", None)


def ended(run: Run, operation: Operation, state: State, error: str | None = None) -> None:
    """Tell how a run ended; never raises.

    Args:
        run: the run.
        operation: what it executes.
        state: its state in the record.
        error: of a failed run, the sentence that the record keeps.
    """
    _tell(run, operation, ENDS[state], error)


def _tell(run: Run, operation: Operation, kind: str, error: str | None) -> None:
    try:
        place = run.workspace.settings.openlineage
        if place is not None:
            from stellwerk.runs.openlineage_delivery import deliver

            deliver(run.workspace, place, run_event(run, operation, kind, error))
    except Exception as problem:  # noqa: BLE001 what others are told about a run must not end it
        said = problem if isinstance(problem, StellwerkError) else where(problem)
        log.warning("openlineage: run %s was not told about (%s)", run.id[:8], said)


def run_event(run: Run, operation: Operation, kind: str, error: str | None = None) -> dict[str, Any]:
    """The event of a run as it stands in the record now.

    Args:
        run: the run.
        operation: what it executes.
        kind: START, COMPLETE, FAIL or ABORT.
        error: a sentence without values.
    """
    place = run.workspace.settings.openlineage
    namespace = (place and place.namespace) or run.workspace.settings.name or run.workspace.root.name
    row = run.record.rows(tables.run, tables.run.c.id == run.id)[0]
    made, read = _versions(run, row)
    return {
        "eventType": kind,
        "eventTime": now(),
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": str(uuid.UUID(run.id)), "facets": _run_facets(run, row, kind, error)},
        "job": {"namespace": namespace, "name": _job_name(operation, row), "facets": _job_facets(operation)},
        "inputs": _inputs(run, namespace, made, read),
        "outputs": [_output(run, namespace, version) for version in made],
    }


def _run_facets(run: Run, row: Mapping[str, Any], kind: str, error: str | None) -> Facets:
    due = _due(run) if kind == "START" else None
    return _facets(
        processing_engine={"version": stellwerk.__version__, "name": "Stellwerk"},
        tags={"tags": [{"key": "code", "value": row["code"], "source": "STELLWERK"}]},
        nominalTime=due and {"nominalStartTime": due},
        # The folder of the workspace may lie below somebody's name.
        errorMessage=error and {"message": error.replace(str(run.workspace.root), "."), "programmingLanguage": "PYTHON"},
    )


def _due(run: Run) -> str | None:
    """When a scheduled run was due."""
    queued = run.record.rows(tables.queue, tables.queue.c.id == run.id)
    if not queued or not queued[0]["schedule"]:
        return None
    ticks = run.record.rows(tables.tick, tables.tick.c.schedule == queued[0]["schedule"])
    return datetime.fromtimestamp(ticks[0]["due"], UTC).isoformat() if ticks else None


def _job_name(operation: Operation, row: Mapping[str, Any]) -> str:
    """The operation, and the first spec or asset that it is about: `data.build.tickets`."""
    for name, parameter in operation.parameters.items():
        value = row["parameters"].get(name)
        if isinstance(parameter.marker, Spec | Ref) and isinstance(value, str):
            return f"{operation.path}.{value.partition('@')[0].rpartition('/')[2]}"
    return operation.path


def _job_facets(operation: Operation) -> Facets:
    facets = _facets(
        jobType={"processingType": "BATCH", "integration": "STELLWERK", "jobType": "JOB"},
        jobDocumentation={"description": operation.description, "contentType": "text/plain"},
    )
    return {"jobType": facets["jobType"], "documentation": facets["jobDocumentation"]}


def _versions(run: Run, row: Mapping[str, Any]) -> tuple[list[Version], list[Version]]:
    """The versions that a run has made and read so far, those that it was asked for included."""
    query = select(tables.edge.c.direction, tables.edge.c.version).where(tables.edge.c.run == run.id).distinct()
    with run.record.database.reading() as connection:
        found = [(edge.direction, edge.version) for edge in connection.execute(query)]
    made = run.record.versions(tables.version.c.id.in_([key for direction, key in found if direction == "output"]))
    read = run.record.versions(tables.version.c.id.in_([key for direction, key in found if direction == "input"]))
    read += [run.record.resolve(value["version"]) for key, value in row["snapshots"].items() if key.startswith("ref:")]
    known = {version.id for version in made}
    return _newest(made), _newest(version for version in read if version.id not in known)


def _newest(versions: Iterable[Version]) -> list[Version]:
    """One version an asset, by name: an event names each dataset once."""
    found: dict[str, Version] = {}
    for version in versions:
        key = f"{version.kind}/{version.name}"
        if key not in found or found[key].number < version.number:
            found[key] = version
    return [found[key] for key in sorted(found)]


def _inputs(run: Run, namespace: str, made: list[Version], read: list[Version]) -> list[dict[str, Any]]:
    """What was read: versions with the tests that were asked of them, and the places that sources were read from."""
    asserted = _assertions(run)
    inputs = [
        {
            **_dataset(namespace, version),
            "inputFacets": _facets(
                dataQualityAssertions=version.id in asserted and {"assertions": asserted[version.id]},
                inputStatistics=_counted(rowCount=version.facts.get("rows")),
            ),
        }
        for version in read
    ]
    for version in made:
        if version.kind == "source":
            inputs += [_outside(namespace, place, version.facts) for place in places_of(version.facts)]
    unique = {(each["namespace"], each["name"]): each for each in reversed(inputs)}
    return [unique[key] for key in sorted(unique)]


def _outside(namespace: str, place: Place, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A place that is no version of ours."""
    files = (facts.get("made_from") or {}).get("files")
    counted = _counted(size=facts.get("bytes"), fileCount=len(files)) if files else None
    return {
        "namespace": place.namespace or namespace,
        "name": place.name,
        "facets": _facets(dataSource=_data_source(place)),
        "inputFacets": _facets(inputStatistics=counted),
    }


def _output(run: Run, namespace: str, version: Version) -> dict[str, Any]:
    dataset = _dataset(namespace, version)
    if version.run == run.id:
        change = "CREATE" if version.number == 1 else "OVERWRITE"
        dataset["facets"] |= _facets(lifecycleStateChange={"lifecycleStateChange": change})
    # The bytes of a source are those that were read, not those that were written.
    size = None if version.kind == "source" else version.facts.get("bytes")
    counted = _counted(rowCount=version.facts.get("rows"), size=size)
    return {**dataset, "outputFacets": _facets(outputStatistics=counted)}


def _dataset(namespace: str, version: Version) -> dict[str, Any]:
    """What is said of a version wherever it stands."""
    facts, spec = version.facts, version.facts.get("spec") or {}
    schema = version.identity.get("schema")
    fields = [{"name": name, "type": str(kind)} for name, kind in schema.items()] if isinstance(schema, dict) else []
    places = places_of(facts) if version.kind == "source" else []
    owner, description = spec.get("owner"), spec.get("description")
    facets = _facets(
        version={"datasetVersion": str(version.number)},
        schema=fields and {"fields": fields},
        dataSource=places and _data_source(places[0]),
        ownership=owner and {"owners": [{"name": owner}]},
        documentation=description and {"description": description, "contentType": "text/plain"},
    )
    return {"namespace": namespace, "name": f"{version.kind}/{version.name}", "facets": facets}


def _data_source(place: Place) -> dict[str, Any]:
    return {"name": place.namespace or "workspace", **({"uri": place.uri} if place.uri else {})}


def _assertions(run: Run) -> dict[str, list[dict[str, Any]]]:
    """The data tests of this run, those too whose outcome an earlier run had, by version."""
    steps = select(func.coalesce(tables.step.c.reused, tables.step.c.id)).where(tables.step.c.run == run.id)
    metric = tables.measurement.c.metric.startswith("data_test.", autoescape=True)
    order = (tables.measurement.c.created, tables.measurement.c.metric, tables.measurement.c.id)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in run.record.rows(tables.measurement, metric, tables.measurement.c.step.in_(steps), order=order):
        links = (tables.measured.c.measurement == row["id"], tables.measured.c.role == "subject")
        for link in run.record.rows(tables.measured, *links):
            found.setdefault(link["version"], []).append(_assertion(row))
    return found


def _assertion(row: Mapping[str, Any]) -> dict[str, Any]:
    """A data test without the pattern and the values that it asks for."""
    details = row["details"]
    said = {
        "assertion": details.get("condition"),
        "success": details.get("state") == "passed",
        "column": details.get("column"),
        "severity": details.get("severity"),
        "name": row["metric"].partition(".")[2],
        "expected": details.get("bound") if details.get("condition") != "matches" else None,
        "actual": None if row["value"] is None else f"{row['value']:g}",
    }
    return {name: value for name, value in said.items() if value is not None}


def _counted(**numbers: Any) -> dict[str, Any]:
    return {name: int(value) for name, value in numbers.items() if value is not None}


def _facets(**given: Any) -> Facets:
    """The facets that have something to say, each with its schema."""
    return {name: _facet(name, fields) for name, fields in given.items() if fields}


def _facet(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    version, _, kind = FACETS[name].partition("/")
    url = f"https://openlineage.io/spec/facets/{version}/{kind}.json#/$defs/{kind}"
    return {"_producer": PRODUCER, "_schemaURL": url, **fields}
