"""What differs between two states of an AI system, in sentences: the versions that it binds, its gates, its signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.page import text
from stellwerk.report.words import word

if TYPE_CHECKING:
    from starlette.requests import Request

    from stellwerk.release.manifest import Evidence, SignalPart


def changes(request: Request, before: Evidence, after: Evidence) -> list[str]:
    """A sentence for each thing that differs.

    Args:
        request: whose language is spoken.
        before: what was judged then.
        after: what was judged later, or is now.
    """
    return [*_bound(request, before, after), *_gates(request, before, after), *_signals(request, before, after)]


def _bound(request: Request, before: Evidence, after: Evidence) -> list[str]:
    """Assets whose bound version is another one, is new, or is gone."""
    old, new = ({f"{part.kind}/{part.name}": part for part in found.versions if part.bound} for found in (before, after))
    said = []
    for asset in sorted(old.keys() | new.keys()):
        if asset not in old:
            said.append(text(request, "%(ref)s is bound now.", ref=new[asset].ref))
        elif asset not in new:
            said.append(text(request, "%(ref)s is no longer bound.", ref=old[asset].ref))
        elif old[asset].id != new[asset].id:
            said.append(
                text(
                    request,
                    "%(asset)s: version %(new)s instead of %(old)s.",
                    asset=asset,
                    new=new[asset].number,
                    old=old[asset].number,
                )
            )
    return said


def _gates(request: Request, before: Evidence, after: Evidence) -> list[str]:
    """Gates that came, went, or have another threshold."""
    old, new = ({part.gate: part for part in found.signals} for found in (before, after))
    said = []
    for gate in sorted(old.keys() | new.keys()):
        if gate not in old:
            said.append(text(request, "The gate %(gate)s is new.", gate=_title(request, new[gate])))
        elif gate not in new:
            said.append(text(request, "The gate %(gate)s is gone.", gate=_title(request, old[gate])))
        elif _asks(old[gate]) != _asks(new[gate]):
            said.append(
                text(request, "The gate %(gate)s asks for something else than before.", gate=_title(request, new[gate]))
            )
    return said


def _signals(request: Request, before: Evidence, after: Evidence) -> list[str]:
    """Signals that changed, where the gate asks the same of the same asset."""
    language = language_of(request)
    old, new = ({(part.gate, _asset(part)): part for part in found.signals} for found in (before, after))
    return [
        text(
            request, "%(gate)s: %(new)s, before %(old)s.", gate=_title(request, new[key]),
            new=word(new[key].state, language), old=word(old[key].state, language),
        )
        for key in sorted(old.keys() & new.keys(), key=str)
        if old[key].state != new[key].state
    ]  # fmt: skip


def _asks(part: SignalPart) -> tuple[object, ...]:
    return part.metric, part.metric_version, part.min, part.max, part.min_n, part.days, part.severity, tuple(part.wanted)


def _asset(part: SignalPart) -> str:
    return (part.subject or "").partition("@")[0]


def _title(request: Request, part: SignalPart) -> str:
    return part.title.get(language_of(request)) or part.title.get("en") or part.gate
