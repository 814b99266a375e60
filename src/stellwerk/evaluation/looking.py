"""Single calls of a test, page by page: what was asked, what came back, how each check did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation import evidence, paging, words
from stellwerk.evaluation.case import Score
from stellwerk.evaluation.evidence import Evidence, Only
from stellwerk.evaluation.reports import SamplePage, SampleView, ScoreLine, Turn

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

STATES = {"all": "", "failed": " that failed", "errors": " without an answer", "unscored": " that could not be scored"}


def samples(workspace: Workspace, of: str, only: Only, search: str | None, offset: int, limit: int) -> SamplePage:
    """Some calls of a test.

    Args:
        workspace: where it ran.
        of: a run, see `evidence.of`.
        only: of a kind.
        search: only those in which a text holds this, whatever its case.
        offset: calls to skip.
        limit: calls at most.
    """
    found = evidence.of(workspace, of)
    if search is None:
        total = found.number(only)
        shown = paging.page(found, only, offset, limit)
    else:
        # A search reads every shard, so that the pages know how many there are.
        kept: list[tuple[int, dict[str, Any]]] = []
        total = 0
        for entry in _holding(found.rows(only), search):
            if offset <= total < offset + limit:
                kept.append(entry)
            total += 1
        shown = kept
    return SamplePage(
        run=found.run[:8],
        test=found.name,
        message=_message(found, total, only, search),
        simulated=found.simulated,
        total=total,
        samples=[view(number, row) for number, row in shown],
    )


def view(number: int, row: Mapping[str, Any]) -> SampleView:
    """A call for people."""
    answer = row["answer"]
    usage = answer.get("usage")
    scores = [_line(score) for score in row["scores"]]
    missed = [score for score in scores if score.passed is not True]
    return SampleView(
        number=number + 1,
        state=evidence.state_of(row),
        messages=[Turn(role=message["role"], text=message["content"]) for message in answer["messages"]],
        answer=answer["text"],
        scores=scores,
        why=answer["problem"] or "; ".join(f"{score.metric}: {score.said}" for score in missed),
        why_de=answer["problem"] or "; ".join(f"{score.metric}: {score.said_de}" for score in missed),
        tokens=usage[0] + usage[1] if usage else None,
        **{name: row[name] for name in ("case", "repeat", "score", "description", "inputs", "expected", "cluster", "tags")},
        **{name: answer[name] for name in ("finish", "problem", "seconds", "cost", "currency", "attempts", "kept", "model")},
    )


def _line(found: Mapping[str, Any]) -> ScoreLine:
    score = Score(**{name: value for name, value in found.items() if name != "family"})
    shown = {name: found[name] for name in ("metric", "passed", "value", "reason", "family")}
    return ScoreLine(said=words.reason(score, "en"), said_de=words.reason(score, "de"), **shown)


def _holding(rows: Iterator[tuple[int, dict[str, Any]]], search: str) -> Iterator[tuple[int, dict[str, Any]]]:
    wanted = search.casefold()
    return (entry for entry in rows if any(wanted in text.casefold() for text in paging.texts(entry[1])))


def _message(found: Evidence, total: int, only: Only, search: str | None) -> str:
    kind = STATES[only] + (f" with {search!r}" if search else "")
    return f"{total} of {len(found)} calls{kind}: {found.about['target']} on {found.about['suite']}"
