"""The data tests of a spec, run on a version: each condition becomes a measurement with its n."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.jobs.data import checks, versions
from stellwerk.jobs.data.check_spec import Check, CheckResult
from stellwerk.jobs.data.reports import TestReport
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run


def test(run: Run, version: Version) -> TestReport:
    """Run the tests that the spec file asked for when the run was submitted, on a version.

    Raises:
        UserError: the spec asks for none.
    """
    spec = run.spec("dataset").check(DatasetSpec)
    if not spec.tests:
        raise UserError(
            f"datasets/{version.name}.yaml has no tests; add some, such as tests: [{{column: doc_id, unique: true}}]"
        )
    earlier = run.record.versions(tables.asset.c.kind == "dataset", tables.asset.c.name == version.name)
    before = [other for other in earlier if other.number < version.number]
    outcome = run.step(
        "test",
        measure,
        inputs=[version, *before[-1:]],
        version=version.id,
        previous=before[-1].id if before else None,
        tests=[check.model_dump(mode="json", by_alias=True, exclude_none=True) for check in spec.tests],
        # Freshness depends on the day.
        now=datetime.now(UTC).replace(minute=0, second=0, microsecond=0).isoformat(),
    )
    results = [CheckResult.model_validate(result) for result in outcome]
    return TestReport(dataset=version.ref, **_counts(results), results=results)


def measure(run: Run, *, version: str, previous: str | None, tests: list[dict[str, Any]], now: str) -> list[dict[str, Any]]:
    """Step: ask all checks in one pass, and note a measurement for each."""
    current = run.version(version)
    table = versions.table_path(run.store, current)
    earlier = versions.table_path(run.store, run.version(previous)) if previous else None
    wanted = [Check.model_validate(test) for test in tests]
    results = checks.run_checks(table, wanted, earlier, now=datetime.fromisoformat(now))
    for result in results:
        run.measure(
            f"data_test.{result.name}",
            result.value,
            n=result.n,
            subjects=[current],
            details={
                "column": result.column,
                "condition": result.condition,
                "state": result.state,
                "bound": result.bound,
                "severity": result.severity,
            },
        )
    counts = _counts(results)
    failures = [result.text for result in results if not result.passed]
    run.measure("data_tests_failed", counts["failed"], n=len(results), unit="tests", subjects=[current],
                details={**counts, "failures": failures})  # fmt: skip
    return [result.model_dump(mode="json") for result in results]


def _counts(results: list[CheckResult]) -> dict[str, int]:
    bad = [result for result in results if not result.passed]
    failed = sum(result.severity == "error" for result in bad)
    return {"passed": len(results) - len(bad), "failed": failed, "warned": len(bad) - failed}
