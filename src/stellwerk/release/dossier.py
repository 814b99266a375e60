"""The dossier of a release: a first page for whoever answers for the system, then everything that the decision rests on.

Chooses and orders; how it looks is the matter of stellwerk.report, and what is known of data stands in `dossier_data.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stellwerk.release import dossier_data
from stellwerk.release.dossier_words import either, job, proof, say, unknown
from stellwerk.release.manifest import Evidence, FindingPart, Head, OverridePart, ServicePart, SignalPart
from stellwerk.report.interval import Reading
from stellwerk.report.lineage import Edge, Lineage, Node
from stellwerk.report.page import (
    Column,
    LineagePicture,
    Number,
    Prose,
    Report,
    Section,
    Signal,
    SignalLine,
    Signals,
    Table,
    Value,
)
from stellwerk.report.words import Language, date, number, word
from stellwerk.standing import words

SEVERE = ("high", "critical")


def dossier(head: Head, language: Language) -> Report:
    """Put the dossier together."""
    evidence = head.evidence
    sections: list[Section] = [_system(head, language), _versions(head, language), _lineage(head, language)]
    sections += [_gates(head, language), _traces(head, language)]
    sections += [_findings(head, language), _waivers(head, language), _overrides(head, language)]
    sections += [_service(service, language) for service in evidence.services]
    sections += dossier_data.sections_of(evidence, language)
    return Report(
        title=say("title", language, release=head.ref),
        subtitle=say(
            "subtitle", language, purpose=_sentence(evidence.system.purpose), date=date(head.made[:10], language),
            person=head.made_by,
        ),
        headline=_headline(head, language),
        summary=(_verdict(head, language), _weak(head, language), _signed(head, language)),
        sections=tuple(sections),
        footer=(
            say("footer_key", language, candidate=evidence.candidate[:16], key=head.key),
            say("footer_anchor", language, record=head.anchor.record, seq=number(head.anchor.seq, language)),
        ),
    )  # fmt: skip


def _headline(head: Head, language: Language) -> tuple[Number, ...]:
    evidence = head.evidence
    clear = sum(signal.state == "clear" for signal in evidence.signals)
    waived = bool(evidence.waivers)
    return (
        Number(
            label=say("may_run", language), value=say("yes", language),
            note=say("yes_waived" if waived else "yes_note", language), state="caution" if waived else "clear",
        ),
        Number(
            label=say("clear_gates", language), value=clear,
            note=say("of_gates", language, count=number(len(evidence.signals), language)),
        ),
        Number(label=say("waivers", language), value=len(evidence.waivers)),
        Number(label=say("findings_open", language), value=len(_open(evidence))),
    )  # fmt: skip


def _verdict(head: Head, language: Language) -> Prose:
    evidence = head.evidence
    waived = sum(signal.waiver is not None for signal in evidence.signals)
    named = evidence.system.title or head.system
    said = [
        say(
            "verdict_waived" if waived else "verdict_clear", language, system=named, waived=number(waived, language),
            gates=number(len(evidence.signals), language),
        ),
        say("changes_darken", language),
        say("meaning", language),
    ]  # fmt: skip
    if head.note:
        said.append(say("note", language, note=head.note))
    return Prose(title=say("verdict", language), paragraphs=tuple(said), state="caution" if waived else "clear")


def _weak(head: Head, language: Language) -> Prose:
    points = tuple(_weaknesses(head, language))
    alarming = bool(points) and points != tuple(_ages(head.evidence.signals, language))
    none = () if alarming else (say("weak_none", language),)
    return Prose(title=say("weak", language), paragraphs=none, points=points, state="caution" if alarming else None)


def _weaknesses(head: Head, language: Language) -> Iterator[str]:
    """What a reader should know before the rest, the heaviest first."""
    evidence = head.evidence
    if not evidence.signals:
        yield say("weak_ungated", language)
    titles = {signal.gate: signal.title[language] for signal in evidence.signals}
    for waiver in evidence.waivers:
        yield say(
            "weak_waiver", language, gate=titles.get(waiver.gate, waiver.gate), asset=waiver.asset, person=waiver.person,
            until=date(waiver.until, language), reason=_sentence(waiver.reason),
        )  # fmt: skip
    for signal in evidence.signals:
        if signal.state != "clear" and signal.waiver is None:
            yield say(
                "weak_signal", language, gate=signal.title[language], subject=signal.subject or head.system,
                state=word(signal.state, language), reason=_sentence(signal.reason[language]),
            )  # fmt: skip
    unsettled = _open(evidence)
    if len(unsettled) == 1:
        yield say("weak_finding", language, title=_sentence(unsettled[0].title))
    elif unsettled:
        severe = sum(finding.severity in SEVERE for finding in unsettled)
        count = number(len(unsettled), language)
        yield say("weak_findings", language, count=count, severe=number(severe, language))
    for finding in evidence.findings:
        if finding.status != "open" and finding.severity in SEVERE:
            yield say(
                "weak_settled", language, title=_sentence(finding.title), person=finding.person or unknown(language),
                status=either(f"status_{finding.status}", language), reason=_sentence(finding.reason or unknown(language)),
                until=date(finding.until, language) if finding.until else say("no_end", language),
            )  # fmt: skip
    if evidence.overrides:
        yield say("weak_overrides", language, count=number(len(evidence.overrides), language))
    for version in evidence.versions:
        if version.tainted:
            yield say("weak_tainted", language, version=version.ref)
    proven = [head.authenticated, *(sign.authenticated for sign in evidence.sign_offs)]
    proven += [waiver.authenticated for waiver in evidence.waivers]
    proven += [finding.authenticated for finding in evidence.findings if finding.authenticated is not None]
    if not all(proven):
        count, every = (number(n, language) for n in (proven.count(False), len(proven)))
        yield say("weak_unproven", language, count=count, all=every)
    yield from _ages(evidence.signals, language)


def _ages(signals: Sequence[SignalPart], language: Language) -> Iterator[str]:
    """The oldest measurement, and the one that rests on the fewest cases: true of every release."""
    dated = [(signal.measured, signal) for signal in signals if signal.measured]
    if dated:
        when, oldest = min(dated, key=lambda pair: pair[0])
        yield say("weak_oldest", language, date=date(when[:10], language), gate=oldest.title[language])
    counted = [(signal.n, signal) for signal in signals if signal.n is not None and signal.measured]
    if counted:
        n, fewest = min(counted, key=lambda pair: pair[0])
        yield say("weak_fewest", language, n=number(n, language), gate=fewest.title[language])


def _signed(head: Head, language: Language) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            sign.role, sign.person, proof(sign.authenticated, language), date(sign.created, language),
            date(sign.until, language) if sign.until else None, sign.reason,
        )
        for sign in head.evidence.sign_offs
    ]  # fmt: skip
    maker = (say("releaser", language), head.made_by, proof(head.authenticated, language), date(head.made, language))
    rows.append((*maker, None, head.note))
    return _table("signed", ("role", "person", "proof", "on", "until", "reason"), rows, language)


def _system(head: Head, language: Language) -> Table:
    system, blank = head.evidence.system, unknown(language)
    risk = {None: blank, True: say("yes", language), False: say("no", language)}[system.high_risk]
    if system.high_risk is not None:
        risk = f"{risk} ({say('declared', language)})"
    rows: list[tuple[Value, ...]] = [
        (say("name", language), f"{head.system} ({system.title})" if system.title else head.system),
        (say("purpose", language), system.purpose),
        (say("owner", language), system.owner),
        (say("role_act", language), either(system.role, language)),
        (say("users", language), system.users or blank),
        (say("oversight", language), system.oversight or blank),
        (say("high_risk", language), risk),
    ]
    if system.description:
        rows.append((say("description", language), system.description))
    key = "earlier" if head.previous else "first"
    note = say(key, language, number=number(head.number, language), digest=(head.previous or "")[:16])
    return _table("system", ("what", "fact"), rows, language, note)


def _versions(head: Head, language: Language) -> Table:
    blank = unknown(language)
    rows: list[tuple[Value, ...]] = [
        (part.ref, words.kind_word(part.kind, language), part.reference, date(part.created or blank, language), part.digest)
        for part in head.evidence.versions
    ]
    columns = ("versions", "kind", "bound_as", "created", "digest")
    found = _table("versions", columns, rows, language)
    return found.model_copy(update={"intro": say("versions_intro", language)})


def _lineage(head: Head, language: Language) -> LineagePicture:
    evidence = head.evidence
    states = {signal.subject: signal.state for signal in reversed(evidence.signals) if signal.subject}
    nodes = tuple(
        Node(
            id=part.ref, label=f"{part.name}@{part.number}", kind=words.kind_word(part.kind, language), ref=part.ref,
            state=states.get(part.ref), lit=part.bound,
        )
        for part in evidence.versions
    )  # fmt: skip
    edges = tuple(Edge(made=edge.made, source=edge.source) for edge in evidence.edges)
    return LineagePicture(title=say("lineage", language), lineage=Lineage(nodes=nodes, edges=edges))


def _gates(head: Head, language: Language) -> Signals:
    evidence = head.evidence
    ordered = sorted(evidence.signals, key=lambda signal: (signal.job, signal.gate, signal.subject or ""))
    lines = tuple(_line(signal, language) for signal in ordered)
    sets = ", ".join(f"{name} {version}" for name, version in evidence.default_gates.items())
    note = say("gates_note", language) + (f" {say('sets', language, sets=sets)}" if sets else "")
    return Signals(title=say("gates", language), lines=lines, note=note)


def _line(signal: SignalPart, language: Language) -> SignalLine:
    return SignalLine(
        job=job(signal.job, language),
        gate=signal.title[language],
        state=signal.state,
        reason=signal.reason[language],
        subject=signal.subject or "",
        reading=Reading(
            value=signal.value, low=signal.low, high=signal.high, minimum=signal.min, maximum=signal.max, unit=signal.unit
        ),
        n=signal.n,
        attempts=signal.attempts,
        measured=date(signal.measured, language) if signal.measured else "",
        instruments=tuple(signal.instruments),
    )


def _traces(head: Head, language: Language) -> Table:
    """With which gate, metric and run each measurement is found again in the record."""
    rows: list[tuple[Value, ...]] = [
        (signal.gate, f"{signal.metric}, v{signal.metric_version}", ", ".join(signal.subjects), (signal.run or "")[:8] or None)
        for signal in head.evidence.signals
        if signal.value is not None
    ]
    return _table("traces", ("gate", "metric", "subjects", "run"), rows, language)


def _findings(head: Head, language: Language) -> Section:
    rows: list[tuple[Value, ...]] = [
        (
            finding.title, either(f"severity_{finding.severity}", language), either(f"status_{finding.status}", language),
            ", ".join(finding.versions), finding.owner, finding.person, finding.reason,
            date(finding.until, language) if finding.until else None,
        )
        for finding in head.evidence.findings
    ]  # fmt: skip
    columns = ("finding", "severity", "status", "versions", "owner", "decided_by", "reason", "until")
    return _or_none("findings", columns, rows, language)


def _open(evidence: Evidence) -> list[FindingPart]:
    return [finding for finding in evidence.findings if finding.status == "open"]


def _waivers(head: Head, language: Language) -> Section:
    rows: list[tuple[Value, ...]] = [
        (
            waiver.gate, waiver.asset, Signal(state=waiver.state), waiver.value, waiver.person,
            proof(waiver.authenticated, language), date(waiver.until, language), waiver.reason,
        )
        for waiver in head.evidence.waivers
    ]  # fmt: skip
    columns = ("gate", "asset", "signal", "value", "person", "proof", "until", "reason")
    return _or_none("waivers", columns, rows, language)


def _overrides(head: Head, language: Language) -> Section:
    rows: list[tuple[Value, ...]] = [(part.gate, _change(part, language), part.reason) for part in head.evidence.overrides]
    return _or_none("overrides", ("gate", "change", "reason"), rows, language)


def _change(part: OverridePart, language: Language) -> str:
    if not part.required:
        return say("not_required", language)
    shown = {name: number(v, language) if isinstance(v, int | float) else v for name, v in part.changes.items()}
    return ", ".join(f"{name}: {'–' if value is None else value}" for name, value in shown.items())


def _service(service: ServicePart, language: Language) -> Table:
    """What the company has in writing about what it bought."""
    facts = service.model_dump(exclude={"ref", "data"})
    rows: list[tuple[Value, ...]] = [
        (words.fact_word(name, language), fact or unknown(language)) for name, fact in facts.items()
    ]
    rows.append((say("data_there", language), ", ".join(service.data) or unknown(language)))
    found = _table("system", ("what", "fact"), rows, language)
    said = {"title": say("service", language, ref=service.ref), "intro": say("service_intro", language)}
    return found.model_copy(update=said)


def _or_none(title: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]], language: Language) -> Section:
    if not rows:
        return Prose(title=say(title, language), paragraphs=(say("none", language),))
    return _table(title, columns, rows, language)


_NUMBERS = ("value",)
_OF_REPORTS = ("gate", "kind", "rule", "signal", "value")  # words that reports share


def _table(title: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]], language: Language, note: str = "") -> Table:
    heads = tuple(
        Column.model_validate({
            "label": (word if name in _OF_REPORTS else say)(name, language),
            "kind": "number" if name in _NUMBERS else "code" if name == "digest" else "text",
        })
        for name in columns
    )  # fmt: skip
    return Table(title=say(title, language), columns=heads, rows=tuple(rows), note=note)


def _sentence(text: str) -> str:
    """A text of a person with a full stop at its end."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
