"""Has a provider changed a model? Fixed questions are asked again, and compared with what was answered at registration.

The comparison is a permutation test on distances between answers: it counts only what differs more between then and now than
among the repeats of one day, so a model that varies raises no alarm by that. A model that reports another id, or none of the
fingerprints that it had, is another one in any case. Knows nothing of what the answers are worth.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.llm import models
from stellwerk.llm.allowed import is_hosted
from stellwerk.llm.chat import CallFailed, Message, Params
from stellwerk.llm.reports import ProbedQuestion, ProbeReport
from stellwerk.llm.spec import ModelSpec

if TYPE_CHECKING:
    from stellwerk.llm.chat import ChatClient, Reply
    from stellwerk.record.record import Version
    from stellwerk.run import Run
    from stellwerk.store.store import Store

EDITION = 1  # of the questions; grows when one is changed, after which answers cannot be compared
REPEATS = 3
QUESTIONS = 24
CALLS = QUESTIONS * REPEATS
LEVEL = 0.01  # chance of a false alarm by the answers alone
DRAWS = 2000
ASKED = Params(temperature=0.0, max_tokens=64)


@dataclass(frozen=True)
class Taken:
    """The answers of one day.

    Attributes:
        answers: for each question the texts of its repeats.
        models: as reported, each once.
        fingerprints: as reported, each once.
        plainly: whether the model took no parameters, and was asked without.
    """

    answers: list[list[str]]
    models: list[str]
    fingerprints: list[str]
    taken: str
    edition: int = EDITION
    plainly: bool = False

    @classmethod
    def read(cls, store: Store, reference: str) -> Taken:
        """What an artifact of the store holds."""
        return cls(**json.loads(store.get(reference)))

    def keep(self, store: Store) -> str:
        """Put it into the store; its reference."""
        return store.put(json.dumps(asdict(self), ensure_ascii=False, sort_keys=True).encode())

    @property
    def digest(self) -> str:
        """Of the answers alone."""
        return hashlib.sha256(json.dumps([self.edition, self.answers]).encode()).hexdigest()


@cache
def questions() -> tuple[str, ...]:
    """The fixed questions: our own, in German and English, each with a short answer."""
    text = files("stellwerk.llm").joinpath("probe_questions.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def probe(run: Run, parameter: str) -> ProbeReport:
    """Ask the fixed questions and compare; where a hosted model has changed, note its new version.

    Args:
        run: at work.
        parameter: the run's parameter that names the model.

    Raises:
        CallFailed: the model did not answer.
    """
    version, spec = models.noted(run, parameter)
    known = _known(run, version)
    outcome = _measured(run, version, spec, known)
    hosted, passed = is_hosted(spec), bool(outcome["passed"])
    after = version
    if hosted and not passed and version.content.get("probe"):
        after = _changed(run, parameter, outcome["answers"], version)
    return ProbeReport(
        model=version.ref,
        passed=passed,
        sentence=_sentence(version, after, outcome, known is None),
        simulated=spec.simulated is not None,
        hosted=hosted,
        version=after.ref,
        p=outcome["p"],
        asked=CALLS,
        differing=outcome["differing"],
        reported=outcome["models"],
        fingerprints=outcome["fingerprints"],
        compared_with=outcome["since"],
        questions=[ProbedQuestion(**row) for row in outcome["questions"]],
    )


def renewed(run: Run, parameter: str, version: Version, spec: ModelSpec) -> tuple[Version, ModelSpec]:
    """Probe a hosted model before it is used: its version where it is the same, else the new one.

    Raises:
        UserError: an older version was asked for, and that model is no more.
    """
    outcome = _measured(run, version, spec, _known(run, version))
    return (version if outcome["passed"] else _changed(run, parameter, outcome["answers"], version)), spec


def registration(run: Run, name: str, spec: ModelSpec) -> str:
    """Within a step: the reference of a model's first answers."""
    return taken(run, name, spec).keep(run.store)


def measure(run: Run, *, version: str, spec: dict[str, Any], known: str | None) -> dict[str, Any]:
    """Step: ask, compare with answers that are known, and measure whether it is the same; never taken from the record."""
    subject = run.version(version)
    now = taken(run, subject.name, ModelSpec.model_validate(spec))
    answers = now.keep(run.store)
    then = Taken.read(run.store, known) if known else now
    found = compare(then, now)
    details = {"answers": answers, "registration": then is now, **{key: found[key] for key in ("p", "differing")}}
    run.measure(
        models.PROBE, float(found["passed"]), n=CALLS, metric_version=EDITION, subjects=[subject],
        details=details | {"reported": now.models, "fingerprints": now.fingerprints},
    )  # fmt: skip
    said = {"answers": answers, "models": now.models, "fingerprints": now.fingerprints}
    return {"again": True, "since": None if then is now else then.taken, **found, **said}


def confirm(run: Run, *, version: str, answers: str) -> None:
    """Step: a version that is identified by answers of this moment is what answers at this moment."""
    details = {"answers": answers, "registration": True}
    run.measure(models.PROBE, 1, n=CALLS, metric_version=EDITION, subjects=[run.version(version)], details=details)


def compare(then: Taken, now: Taken) -> dict[str, Any]:
    """Whether two days' answers are those of one model.

    Returns:
        `passed`, `p` of the permutation test, `differing` (questions that share no answer), and `questions` with what of each
        differs, without its answers.
    """
    splits = [_splits(first, second) for first, second in zip(then.answers, now.answers, strict=True)]
    seen = sum(row[0] for row in splits)
    rng = random.Random(20_261_122)  # noqa: S311 it draws permutations
    reached = sum(sum(rng.choice(row) for row in splits) >= seen - 1e-9 for _ in range(DRAWS))
    p = (reached + 1) / (DRAWS + 1)
    rows = [
        {"question": question, "same": bool(set(first) & set(second)), "distance": round(max(0.0, row[0]), 4)}
        for question, first, second, row in zip(questions(), then.answers, now.answers, splits, strict=True)
    ]
    named = then.models == now.models or not then.models or not now.models
    printed = not then.fingerprints or not now.fingerprints or bool({*then.fingerprints} & {*now.fingerprints})
    # Without any difference nothing is beyond what chance can do, whatever p is.
    changed = p < LEVEL and seen > 0
    differing = sum(not row["same"] for row in rows)
    return {"passed": named and printed and not changed, "p": round(p, 5), "differing": differing, "questions": rows}


def taken(run: Run, name: str, spec: ModelSpec) -> Taken:
    """Ask all questions now, past any kept reply.

    Raises:
        CallFailed: one got no answer.
    """
    from stellwerk.llm.opening import open_model

    async def ask() -> list[list[Reply]]:
        async with open_model(run.workspace, name, spec, run=run, keep=False) as client:
            first, params = await _first(client)
            rest = [(place, repeat) for place in range(QUESTIONS) for repeat in range(REPEATS)][1:]
            gate = asyncio.Semaphore(min(8, spec.limits.at_once))

            async def one(place: int, repeat: int) -> Reply:
                async with gate:
                    return await client.complete([Message("user", questions()[place])], params, repeat=repeat)

            replies = [first, *await asyncio.gather(*(one(*asked) for asked in rest))]
            plain.append(params is not ASKED)
            return [replies[start : start + REPEATS] for start in range(0, CALLS, REPEATS)]

    plain: list[bool] = []
    rows = asyncio.run(ask())
    reported = sorted({reply.model for row in rows for reply in row if reply.model})
    prints = sorted({reply.fingerprint for row in rows for reply in row if reply.fingerprint})
    texts = [[" ".join(reply.text.split()) for reply in row] for row in rows]
    return Taken(texts, reported, prints, dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), plainly=plain[0])


async def _first(client: ChatClient) -> tuple[Reply, Params]:
    """The first answer, and how the others are asked: some models refuse a temperature or a length."""
    message = [Message("user", questions()[0])]
    try:
        return await client.complete(message, ASKED), ASKED
    except CallFailed as failure:
        if failure.kind != "rejected":
            raise
    plain = Params()
    return await client.complete(message, plain), plain


def _measured(run: Run, version: Version, spec: ModelSpec, known: str | None) -> dict[str, Any]:
    said = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    outcome: dict[str, Any] = run.step(
        f"probe {version.ref}", measure, inputs=[version], version=version.id, spec=said, known=known
    )
    return outcome


def _known(run: Run, version: Version) -> str | None:
    """The answers that a version is compared with: of its registration, else of its first probe with these questions."""
    earlier = [row["details"].get("answers") for row in models.probes(run.record, version)]
    there = [str(answers) for answers in (version.content.get("probe"), *earlier) if answers and run.store.has(answers)]
    return next((answers for answers in there if Taken.read(run.store, answers).edition == EDITION), None)


def _changed(run: Run, parameter: str, answers: str, version: Version) -> Version:
    """The new version of a model that its provider has changed.

    Raises:
        UserError: the run asked for the old one.
    """
    new, _ = models.noted(run, parameter, answers)
    if new.id == version.id:
        raise UserError(
            f"{version.ref} is no longer what answers at its endpoint; use {version.name} without a version, which takes the "
            "model as it is now"
        )
    run.step(f"register {new.ref}", confirm, inputs=[new], version=new.id, answers=answers)
    return new


def _sentence(version: Version, after: Version, outcome: dict[str, Any], first: bool) -> str:
    if first or outcome["since"] is None:
        return f"{version.ref} was asked for the first time; later probes are compared with these answers."
    if outcome["passed"]:
        other = outcome["differing"]
        but = f" {other} of {QUESTIONS} questions got other answers, which chance alone can do." if other else ""
        return f"{version.ref} answers as on {outcome['since'][:10]}: nothing shows that it was changed.{but}"
    if after.id != version.id:
        return f"{version.ref} was changed by its provider; it is {after.ref} from now on, on which nothing was measured yet."
    return f"What answers as {version.ref} is no longer what it was; what was measured on it says nothing about it now."


def _splits(then: Sequence[str], now: Sequence[str]) -> list[float]:
    """The distance between two groups of answers, first as they are, then for each other way to share them out.

    The energy distance: twice the mean distance between the groups less the mean distances within them.
    """
    every = [*then, *now]
    apart = {(a, b): _distance(every[a], every[b]) for a, b in itertools.combinations(range(len(every)), 2)}

    def mean(pairs: list[tuple[int, int]]) -> float:
        return sum(apart[min(pair), max(pair)] for pair in pairs) / len(pairs) if pairs else 0.0

    def energy(group: tuple[int, ...]) -> float:
        others = [place for place in range(len(every)) if place not in group]
        between = mean([(a, b) for a in group for b in others])
        return 2 * between - mean(list(itertools.combinations(group, 2))) - mean(list(itertools.combinations(others, 2)))

    return [energy(group) for group in itertools.combinations(range(len(every)), len(then))]


def _distance(first: str, second: str) -> float:
    """From 0 for equal texts to 1 for texts that share nothing."""
    if first == second:
        return 0.0
    from rapidfuzz.distance import Indel

    return float(Indel.normalized_distance(first, second))
