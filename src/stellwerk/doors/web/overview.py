"""What pages say about an AI system: its sentence, the route of the eight jobs, and each signal with what would clear it.

Words alone: whether a system can be released, `release/` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from stellwerk.doors.web import results
from stellwerk.doors.web.language import language_of, words
from stellwerk.doors.web.page import text
from stellwerk.errors import UserError
from stellwerk.gates import Signal, State, Waiver
from stellwerk.jobs import JOBS
from stellwerk.operation import find
from stellwerk.report.interval import Reading, reading_svg, reading_text, threshold_text
from stellwerk.report.words import date
from stellwerk.standing import derived
from stellwerk.standing import words as release_words

if TYPE_CHECKING:
    from starlette.requests import Request

    from stellwerk.release.mending import Mend
    from stellwerk.standing.standing import Standing
    from stellwerk.workspace import Workspace


@dataclass(frozen=True)
class Line:
    """A signal in words and pictures.

    Attributes:
        signal: as it was judged.
        title: what its gate asks for.
        reason: why it is as it is.
        subject: of the asset page of what is measured: its address; None where there is nothing.
        value: with its interval; empty where nothing was measured.
        picture: the value against the threshold, as SVG.
        measured: when.
        instruments: that it was measured with, by reference.
        mends: what would clear it.
        fix: where a person mends it, as address and words; None where no page does.
    """

    signal: Signal
    title: str
    reason: str
    subject: str | None
    value: str
    picture: str
    threshold: str
    measured: str
    instruments: list[str]
    mends: list[Mend]
    fix: tuple[str, str] | None

    @property
    def todo(self) -> str:
        """What only a person can do about it."""
        return " ".join(dict.fromkeys(sentence(mend.person) for mend in self.mends if mend.person))

    @property
    def runs(self) -> bool:
        """Whether a run would mend it, so that a click does."""
        return any(mend.operation for mend in self.mends)


@dataclass(frozen=True)
class Station:
    """A job on the route of a system; its state is None where no gate asks anything of it."""

    job: str
    title: str
    state: State | None


@dataclass(frozen=True)
class Overview:
    """A system as its card shows it.

    Attributes:
        standing: None where its file has a mistake.
        mistake: the sentence about it.
        sentence: whether it can be released, and what stops it.
    """

    name: str
    title: str
    standing: Standing | None
    mistake: str
    sentence: str
    route: list[Station]
    lines: list[Line]
    mends: list[Mend]

    @property
    def state(self) -> State:
        """The signal of the system as a whole."""
        if self.standing is None:
            return "dark"
        if self.standing.releasable:
            return "caution" if any(line.signal.waiver for line in self.lines) else "clear"
        found = [line.signal.state for line in self.stops]
        return "stop" if "stop" in found else "caution" if found and not self.missing and set(found) == {"caution"} else "dark"

    @property
    def stops(self) -> list[Line]:
        """The signals that do not pass; those of a part that is missing are told by that part."""
        return [line for line in self.lines if _blocks(line.signal)]

    @property
    def missing(self) -> list[str]:
        """What the file binds and the record has no version of."""
        return [bound.reference for bound in self.standing.bound if bound.version is None] if self.standing else []


def job_titles(request: Request) -> dict[str, str]:
    """What the jobs are called in one word; one that another package brought keeps its name."""
    known = {
        "data": text(request, "Data"),
        "prompts": text(request, "Prompts"),
        "models": text(request, "Models"),
        "training": text(request, "Training"),
        "security": text(request, "Security"),
        "ethics": text(request, "Ethics"),
        "cloud": text(request, "Cloud"),
        "strategy": text(request, "Strategy"),
    }
    return {job.name: known.get(job.name, job.title) for job in JOBS}


def operation_title(request: Request, path: str) -> str:
    """What an operation does, as a heading; the name of one whose package is gone."""
    try:
        return results.headline(text(request, find(path).title))
    except UserError:
        return path


def package_title(request: Request, package: str) -> str:
    """What a group of operations is called: a job, or what all jobs share."""
    shared = {
        "runs": text(request, "Runs"),
        "record": text(request, "Record"),
        "release": text(request, "Releases"),
        "findings": text(request, "Findings"),
        "access": text(request, "Access"),
    }
    return job_titles(request).get(package) or shared.get(package, package)


def overview(request: Request, workspace: Workspace, name: str, *, timed: bool = True) -> Overview:
    """Read how a system stands, and put it into words.

    Args:
        request: whose language is spoken.
        workspace: with the system.
        name: of the system.
        timed: whether to say how long mending takes.
    """
    from stellwerk.release import mending
    from stellwerk.standing.standing import standing

    titles = job_titles(request)
    try:
        found = standing(workspace, name)
    except UserError as error:
        route = [Station(job, title, None) for job, title in titles.items()]
        return Overview(name, name, None, str(error), text(request, "The file of this system has a mistake."), route, [], [])
    mends = mending.mends(workspace, found, language_of(request), timed=timed)
    route = [Station(job, titles.get(job, job), state) for job, state in found.by_job(job.name for job in JOBS).items()]
    shown = [line(request, workspace, found, signal, mends) for signal in found.signals]
    return Overview(name, found.spec.title or name, found, "", verdict(request, found), route, shown, mends)


def line(request: Request, workspace: Workspace, standing: Standing, signal: Signal, mends: Sequence[Mend]) -> Line:
    """Put one signal into words."""
    language = language_of(request)
    measured, gate = signal.measurement, signal.gate
    reading = Reading(
        value=measured.value if measured else None,
        low=measured.low if measured else None,
        high=measured.high if measured else None,
        minimum=gate.min,
        maximum=gate.max,
        unit=measured.unit if measured else "",
    )
    subject = signal.subject
    return Line(
        signal=signal,
        title=release_words.gate_title(gate, language),
        reason=sentence(release_words.reason(signal, language)),
        subject=address_of(subject.ref) if subject and not subject.missing else None,
        value=reading_text(reading, language),
        picture=reading_svg(reading) if reading.value is not None else "",
        threshold=threshold_text(reading, language),
        measured=moment(request, workspace, measured.created) if measured else "",
        instruments=sorted(standing.candidate.names.get(key, key[:8]) for key in measured.instruments) if measured else [],
        mends=[mend for mend in mends if mend.gate == gate.name and mend.subject == (subject.ref if subject else None)],
        fix=_fix(request, signal),
    )


def _fix(request: Request, signal: Signal) -> tuple[str, str] | None:
    """Where a person mends what no run does."""
    subject, metric = signal.subject, signal.gate.metric
    if subject is None or signal.state == "clear":
        return None
    asset = f"{subject.kind}/{subject.name}"
    if metric == derived.FINDINGS:
        return f"/findings?asset={quote(asset)}", text(request, "See the findings")
    folder = {"dataset": "datasets", "service": "services", "model": "services"}.get(subject.kind)
    if metric.startswith(derived.FACTS) and folder:
        return f"/specs/{folder}/{quote(subject.name)}?edit=true", text(request, "Fill in what is missing")
    return None


def verdict(request: Request, standing: Standing) -> str:
    """Whether a system can be released, and how much stops it."""
    if standing.releasable:
        return text(request, "Can be released.")
    said = _what_stops(request, standing)
    return text(request, "Cannot be released: %(what)s.", what=said) if said else text(request, "Cannot be released.")


def headline(request: Request, systems: Sequence[Overview]) -> str:
    """The sentence at the top: how many systems can be released, and what stops the others."""
    free = [one for one in systems if one.standing is not None and one.standing.releasable]
    total = len(systems)
    if len(free) == 1:
        head = text(request, "1 of %(num)s systems can be released", num=total)
    elif free:
        head = text(request, "%(free)s of %(num)s systems can be released", free=len(free), num=total)
    else:
        head = text(request, "None of %(num)s systems can be released", num=total)
    if total == 1:
        head = text(request, "%(name)s can be released", name=free[0].name) if free else ""
    stopped = [one for one in systems if one.standing is None or not one.standing.releasable]
    parts = [head] if head else []
    parts += [_stopped(request, one) for one in stopped[:2]]
    if len(stopped) > 2:
        parts.append(plural(request, "%(num)s more is stopped", "%(num)s more are stopped", len(stopped) - 2))
    return "; ".join(parts) + "."


def _stopped(request: Request, one: Overview) -> str:
    if one.standing is None:
        return text(request, "the file of %(name)s has a mistake", name=one.name)
    blocked = sum(_blocks(signal) for signal in one.standing.signals)
    if blocked:
        return plural(
            request, "%(name)s is stopped by %(num)s gate", "%(name)s is stopped by %(num)s gates", blocked, name=one.name
        )
    if missing := len(one.missing):
        return plural(
            request, "%(name)s lacks %(num)s part that it binds", "%(name)s lacks %(num)s parts that it binds", missing,
            name=one.name,
        )  # fmt: skip
    if missing := len(one.standing.unsigned):
        return plural(
            request, "%(name)s waits for %(num)s sign-off", "%(name)s waits for %(num)s sign-offs", missing, name=one.name
        )
    return text(request, "%(name)s is not complete", name=one.name)


def _blocks(signal: Signal) -> bool:
    return not signal.passes and not (signal.subject and signal.subject.missing)


def _what_stops(request: Request, standing: Standing) -> str:
    blocked = sum(map(_blocks, standing.signals))
    missing = sum(bound.version is None for bound in standing.bound)
    parts = [
        plural(request, "%(num)s gate stops it", "%(num)s gates stop it", blocked) if blocked else "",
        plural(request, "%(num)s part that it binds is missing", "%(num)s parts that it binds are missing", missing)
        if missing
        else "",
        plural(request, "%(num)s sign-off is missing", "%(num)s sign-offs are missing", len(standing.unsigned))
        if standing.unsigned
        else "",
        release_words.UNGATED[language_of(request)] if standing.ungated else "",
    ]
    return ", ".join(part for part in parts if part)


def sentence(clause: str) -> str:
    """A clause as a sentence; one that begins with a reference keeps its small letter."""
    first = clause.partition(" ")[0]
    begun = clause if "/" in first or "@" in first else clause[:1].upper() + clause[1:]
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."


def plural(request: Request, singular: str, several: str, num: int, **values: Any) -> str:
    """A text about a number of things, which stands in it as `%(num)s`."""
    return words(language_of(request)).ngettext(singular, several, num) % {"num": num, **values}


def moment(request: Request, workspace: Workspace, at: str | float) -> str:
    """A moment as the reader writes it, in the time zone of the workspace."""
    return date(at, language_of(request), ZoneInfo(workspace.settings.timezone))


def day(request: Request, workspace: Workspace, at: str) -> str:
    """The day of a moment as the reader writes it, in the time zone of the workspace."""
    local = datetime.fromisoformat(at).astimezone(ZoneInfo(workspace.settings.timezone))
    return date(local.date(), language_of(request))


def last_day(request: Request, until: str) -> str:
    """The last day of a decision, which holds until its end in UTC."""
    return date(datetime.fromisoformat(until).astimezone(UTC).date(), language_of(request))


def address_of(ref: str) -> str:
    """The address of the page of a version, or of an asset where no number is given."""
    asset, _, number = ref.partition("@")
    return "/assets/" + quote(asset) + (f"/{quote(number)}" if number else "")


def release_address(system: str, number: int | str) -> str:
    """The address of the page of a release."""
    return f"/releases/{quote(system, safe='')}/{quote(str(number), safe='')}"


def waivers_of(standing: Standing) -> list[tuple[Waiver, bool]]:
    """The waivers that hold, and whether each lets something pass now."""
    used = {signal.waiver.id for signal in standing.signals if signal.waiver}
    return [(waiver, waiver.id in used) for waiver in standing.waivers]
