"""The operations on suites, samples, judges and ratings, which every job that judges shares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from stellwerk.evaluation import app, suites
from stellwerk.evaluation.judges import spec as judges
from stellwerk.evaluation.judges.reports import JudgeAudit
from stellwerk.evaluation.ratings import spec as studies
from stellwerk.evaluation.ratings.reports import Agreement, NextItem, Rated, StudyReport
from stellwerk.evaluation.reports import (
    CasePage,
    Compared,
    Exported,
    Imported,
    Power,
    Ranking,
    SamplePage,
    SuiteReport,
    TestReport,
)
from stellwerk.operation import FileRef, LocalPath, Sensitive, operation

if TYPE_CHECKING:
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

SuiteRef = Annotated[str, FileRef("suite", suites.FOLDER, check=suites.read)]
AppRef = Annotated[str, FileRef("app", app.FOLDER, check=app.read)]
JudgeRef = Annotated[str, FileRef("judge", judges.FOLDER, check=judges.read)]
StudyRef = Annotated[str, FileRef("study", studies.FOLDER, check=studies.read)]
Share = Annotated[float, Field(gt=0, lt=1)]


def failed(report: TestReport) -> int:
    """Exit code 1 where a case did not pass: it failed, its call got no answer, or nobody could judge it."""
    return 1 if report.passed < report.samples else 0


@operation(example={"suite": "support"})
def register(suite: SuiteRef, *, run: Run) -> SuiteReport:
    """Make a version of a suite: its cases, splits, clusters, languages, and what is wrong with them.

    Args:
        suite: such as support, for suites/support.yaml.
    """
    from stellwerk.evaluation.suites import registering

    return registering.report(run, "suite")


@operation(example={"suite": "support"})
def cases(
    suite: SuiteRef,
    split: Literal["dev", "test", "held-out"] | None = None,
    search: str | None = None,
    offset: Annotated[int, Field(ge=0)] = 0,
    limit: Annotated[int, Field(ge=1, le=1000)] = 50,
    *,
    workspace: Workspace,
) -> CasePage:
    """Look at the cases of a suite.

    Args:
        suite: such as support, support@2.
        split: only those of dev, test or held-out.
        search: only those in which a text holds this.
        offset: cases to skip.
        limit: cases at most.
    """
    from stellwerk.evaluation.suites import looking

    return looking.cases(workspace, suite, split, search, offset, limit)


@operation(example={"app": "desk", "suite": "support", "limit": 5}, exit_code=failed)
def test(
    app: AppRef,
    suite: SuiteRef,
    split: Literal["dev", "test", "held-out", "all"] = "test",
    repeats: Annotated[int, Field(ge=1, le=100)] = 1,
    limit: Annotated[int | None, Field(ge=1)] = None,
    *,
    run: Run,
) -> TestReport:
    """Judge an application that is reached over HTTP on a suite of cases, as it stands before its users.

    Args:
        app: such as desk, for apps/desk.yaml.
        suite: such as support, for suites/support.yaml.
        split: which cases; all takes every one.
        repeats: how often each case is asked.
        limit: only the first cases; such a measurement never counts.
    """
    from stellwerk.evaluation import testing

    return testing.test_app(run, split=split, repeats=repeats, limit=limit)


@operation(example={"of": "latest", "limit": 5})
def samples(
    of: str,
    only: Literal["all", "failed", "errors", "unscored"] = "all",
    search: str | None = None,
    offset: Annotated[int, Field(ge=0)] = 0,
    limit: Annotated[int, Field(ge=1, le=1000)] = 50,
    *,
    workspace: Workspace,
) -> SamplePage:
    """Look at single calls of a test: what was asked, what came back, and how each check did.

    Args:
        of: the run that asked, such as 3f2a91c0, or latest.
        only: failed, errors (the call did not get through) or unscored.
        search: only those in which a text holds this.
        offset: calls to skip.
        limit: calls at most.
    """
    from stellwerk.evaluation import looking

    return looking.samples(workspace, of, only, search, offset, limit)


@operation(example={"first": "latest", "second": "latest"})
def compare(
    first: str, second: str, margin: Annotated[float, Field(ge=0, lt=1)] = 0.0, metric: str = "passed", *, workspace: Workspace
) -> Compared:
    """Compare two tests case by case: the difference with its interval, a verdict, and the cases that differ.

    Args:
        first: the run that is compared with, such as 3f2a91c0, or latest.
        second: the run that is compared.
        margin: how much worse is still as good; with it the verdict can be not worse.
        metric: passed, score, or a metric of the suite.
    """
    from stellwerk.evaluation import comparing

    return comparing.runs(workspace, first, second, margin=margin, metric=metric)


@operation(example={"rate": 0.8, "difference": 0.05})
def power(
    difference: Annotated[float, Field(ge=0.0001, lt=1)],
    rate: Share = 0.8,
    of: str | None = None,
    discordant: Share | None = None,
    power: Annotated[float, Field(ge=0.01, le=0.9999)] = 0.8,
    cluster_size: Annotated[float, Field(ge=1, le=1_000_000)] = 1.0,
    correlation: Annotated[float, Field(ge=0, le=1)] = 0.0,
    *,
    workspace: Workspace,
) -> Power:
    """Say before a test how many cases it needs, and which difference a number of cases can show.

    Args:
        difference: that should be found, such as 0.05.
        rate: of cases that pass, as it is expected.
        of: a run to take the spread from, instead of rate.
        discordant: share of cases on which two wordings are expected to differ.
        power: chance to find the difference if it is there.
        cluster_size: cases in a cluster, on average.
        correlation: of cases in one cluster, 0 to 1.
    """
    from stellwerk.evaluation import powering

    return powering.power(workspace, difference, rate, of, discordant, power, cluster_size, correlation)


@operation(example={"runs": ["latest:1", "latest:2"]})
def rank(runs: list[str], metric: str = "score", *, workspace: Workspace) -> Ranking:
    """Rank several tests on the same cases by Bradley-Terry, with an interval for each rank.

    Args:
        runs: of tests on one suite.
        metric: score, passed, or a metric of the suite.
    """
    from stellwerk.evaluation import ranking

    return ranking.rank(workspace, runs, metric)


@operation(example={"file": "imports/promptfooconfig.yaml", "name": "imported", "overwrite": True}, changes=True, scope="admin")
def import_(
    file: Annotated[Path, LocalPath()],
    name: str,
    format: Literal["promptfoo", "langfuse", "csv", "inspect"] = "promptfoo",
    overwrite: bool = False,
    *,
    workspace: Workspace,
) -> Imported:
    """Make a suite of what another tool has: a promptfoo configuration, conversations of Langfuse, a CSV, a log of inspect_ai.

    Args:
        file: what the other tool wrote.
        name: of the suite that is made.
        format: promptfoo, langfuse, csv or inspect.
        overwrite: replace a suite of that name.
    """
    from stellwerk.evaluation.exchange import importing

    return importing.import_suite(workspace, file, name, format, overwrite=overwrite)


@operation(example={"of": "latest", "file": "exports/log.junit.xml", "format": "junit", "overwrite": True}, changes=True)
def export(
    of: str,
    file: Annotated[Path, LocalPath(writes=True)],
    format: Literal["inspect", "junit", "jsonl", "csv"] = "junit",
    overwrite: bool = False,
    *,
    workspace: Workspace,
) -> Exported:
    """Write a test for another tool: a log of inspect_ai, JUnit XML for CI, or its samples as JSON lines or CSV.

    Args:
        of: the run that asked, such as 3f2a91c0, or latest.
        file: where to.
        format: inspect, junit, jsonl or csv.
        overwrite: replace a file that is already there.
    """
    from stellwerk.evaluation.exchange import exporting

    return exporting.export(workspace, of, file, format, overwrite=overwrite)


@operation(example={"judge": "helpful"})
def audit(judge: JudgeRef, *, run: Run) -> JudgeAudit:
    """Audit a judge on cases that people have judged: order, length, agreement; only one that passes may judge.

    Args:
        judge: such as helpful, for judges/helpful.yaml.
    """
    from stellwerk.evaluation.judges import auditing

    return auditing.audit(run, "judge")


@operation(example={"study": "tone"}, changes=True)
def study(study: StudyRef, *, run: Run) -> StudyReport:
    """Draw what people are to rate: answers of one test, or pairs of two, in an order that tells nothing.

    Args:
        study: such as tone, for studies/tone.yaml.
    """
    from stellwerk.evaluation.ratings import drawing

    return drawing.draw(run, "study")


@operation(example={"study": "tone"})
def next_(study: str, *, workspace: Workspace) -> NextItem:
    """The next thing that you are to rate in a study.

    Args:
        study: its name.
    """
    from stellwerk.evaluation.ratings import rating

    return rating.next_item(workspace, study)


@operation(example={"study": "tone", "item": "1", "value": "gut"}, changes=True)
def rate(
    study: str, item: str, value: str, comment: Annotated[str | None, Sensitive()] = None, *, workspace: Workspace
) -> Rated:
    """Rate one thing of a study; a later rating of the same thing by the same person replaces the earlier one.

    Args:
        study: its name.
        item: its number in the study.
        value: one of the study's scale, or for pairs A, B or tie.
        comment: why.
    """
    from stellwerk.evaluation.ratings import rating

    return rating.rate(workspace, study, item, value, comment)


@operation(example={"study": "tone"})
def agreement(study: str, *, run: Run) -> Agreement:
    """Measure how far those who rated a study agree, and make its ratings a version that judges are audited with.

    Args:
        study: its name.
    """
    from stellwerk.evaluation.ratings import agreeing

    return agreeing.agreement(run, study)
