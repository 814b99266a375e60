"""What the dossier says of data: the data record, the drafts for data protection, and Annex IV for high-risk systems.

Fills headings of the law with facts of the record, and "not yet known" where there is none. Assesses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from stellwerk.jobs.data.words import in_german, named
from stellwerk.release.dossier_words import either, say, unknown
from stellwerk.release.manifest import DataPart, Evidence, SignalPart
from stellwerk.report import sections
from stellwerk.report.page import Column, Section, Table, Value
from stellwerk.report.words import Language, date, number, quantity, word

Points = Mapping[str, Sequence[str | None]]

NOT_PERSONAL = ("SECRET",)  # kinds that a search looks for as well


def sections_of(evidence: Evidence, language: Language) -> Iterator[Section]:
    """The sections on data, in order."""
    for data in evidence.data:
        signals = [signal for signal in evidence.signals if signal.subject == data.ref]
        yield _record(data, signals, language)
        yield from _tables(data, language)
    holding = [data for data in evidence.data if _kinds(data)]
    if holding:
        yield _processing(evidence, holding, language)
        yield _screening(evidence, holding, language)
    if evidence.system.high_risk:
        yield _annex(evidence, language)


def _record(data: DataPart, signals: Sequence[SignalPart], language: Language) -> Table:
    """The points of Art. 10(2)."""
    purpose = _said("purpose", data.purpose, language)
    listed = [say("said_sources", language, count=number(len(data.sources), language))] if data.sources else []
    points: Points = {
        "art10_a": [*purpose, data.description, *_said("languages", ", ".join(data.expected_languages), language)],
        "art10_b": listed,
        "art10_c": [say("said_steps", language, count=number(len(data.steps), language))] if data.steps else [],
        "art10_d": data.assumptions,
        "art10_e": [*_amount(data, language), *_measured(signals, "data", language)],
        "art10_f": [*data.bias_examination, *_measured(signals, "ethics", language)],
        "art10_g": data.bias_measures,
        "art10_h": data.known_gaps,
    }
    found = _points(say("data", language, ref=data.ref), points, language)
    return found.model_copy(update={"intro": say("data_intro", language)})


def _amount(data: DataPart, language: Language) -> Iterator[str]:
    counts = {name: getattr(data, name) for name in ("read", "kept", "changed", "dropped")}
    if None not in counts.values():
        yield say("said_counts", language, **{name: number(count, language) for name, count in counts.items()})
    yield from _said("splits", _listed(data.splits.items(), language), language)
    yield from _said("found_languages", _listed(data.languages.items(), language), language)


def _measured(signals: Sequence[SignalPart], job: str, language: Language) -> Iterator[str]:
    """What the gates of a job measured."""
    for signal in signals:
        if signal.job == job and signal.value is not None:
            value = quantity(signal.value, signal.unit, language)
            yield say("said_gate", language, gate=signal.title[language], state=word(signal.state, language), value=value)


def _tables(data: DataPart, language: Language) -> Iterator[Table]:
    """Sources, preparation and personal data, as every report shows them."""
    if data.sources:
        lines = [sections.SourceLine.model_validate(source.model_dump()) for source in data.sources]
        yield _titled(sections.sources(lines, language), "sources_of", data, language)
    if data.steps:
        rules = [
            sections.LedgerLine(
                step=named(part.step, language), rule=named(part.rule, language), changed=part.documents if part.changed else 0,
                dropped=0 if part.changed else part.documents,
            )
            for part in data.steps
        ]  # fmt: skip
        yield _titled(sections.ledger(rules, language), "ledger_of", data, language)
    if data.personal:
        found = {kind: data.personal.counts.get(kind, 0) for kind in data.personal.searched}
        action = either(f"action_{data.personal.action}", language) if data.personal.action else None
        unsearched = [in_german(kind) if language == "de" else kind for kind in data.personal.not_searched]
        table = sections.personal(found, unsearched, action, language)
        yield _titled(table, "personal_of", data, language)


def _titled(table: Table, key: str, data: DataPart, language: Language) -> Table:
    return table.model_copy(update={"title": say(key, language, ref=data.ref)})


def _processing(evidence: Evidence, holding: Sequence[DataPart], language: Language) -> Table:
    """A draft of the entry that Art. 30(1) asks for."""
    kinds = ", ".join(sorted({kind for data in holding for kind in _kinds(data)}))
    actions = [
        say("done_to", language, ref=data.ref, action=either(f"action_{data.personal.action}", language))
        for data in holding
        if data.personal and data.personal.action
    ]
    limits = [data.retention for data in holding]
    limits += [say("delete_by", language, date=date(data.delete_by, language)) for data in holding if data.delete_by]
    points: Points = {
        "art30_a": [say("art30_owner", language, owner=evidence.system.owner, unknown=unknown(language))],
        "art30_b": [evidence.system.purpose, *(data.purpose for data in holding)],
        "basis": [b for data in holding for b in (data.legal_basis, *(source.legal_basis for source in data.sources))],
        "art30_c": [],
        "art30_c2": [say("found_kinds", language, kinds=kinds)],
        "art30_d": [],
        "art30_e": [],
        "art30_f": limits,
        "art30_g": actions,
    }
    intro = say("art30_intro", language, refs=", ".join(data.ref for data in holding))
    return _points(say("art30", language), points, language).model_copy(update={"intro": intro})


def _screening(evidence: Evidence, holding: Sequence[DataPart], language: Language) -> Table:
    """The facts that a decision by Art. 35 needs."""
    scale = [
        say(
            "art35_scale_fact", language, ref=data.ref, documents=number(data.personal.documents, language),
            read=number(data.read, language) if data.read is not None else unknown(language),
        )
        for data in holding
        if data.personal and data.personal.documents is not None
    ]  # fmt: skip
    kinds = [f"{data.ref}: {_listed(_kinds(data).items(), language)}" for data in holding]
    unsearched = sorted({kind for data in holding if data.personal for kind in data.personal.not_searched})
    not_searched = [say("not_searched_kinds", language, count=number(len(unsearched), language))] if unsearched else []
    risk = evidence.system.high_risk
    points: Points = {
        "art35_scale": scale,
        "art35_kinds": [*kinds, *not_searched],
        "art35_special": [],
        "art35_profiling": [],
        "art35_public": [],
        "art35_technology": [say("art35_ai", language)],
        "art35_risk": [] if risk is None else [f"{say('yes' if risk else 'no', language)} ({say('declared', language)})"],
    }
    found = _points(say("art35", language), points, language, "question")
    return found.model_copy(update={"intro": say("art35_intro", language)})


def _annex(evidence: Evidence, language: Language) -> Table:
    """The nine points of Annex IV."""
    system = evidence.system
    bound = sum(part.bound for part in evidence.versions)
    metrics = ", ".join(sorted({signal.metric for signal in evidence.signals}))
    counts = {"bound": number(bound, language), "all": number(len(evidence.versions), language)}
    points: Points = {
        "annex_1": [*_said("purpose", system.purpose, language), system.description, system.users],
        "annex_2": [say("annex_versions", language, **counts)],
        "annex_3": [system.oversight],
        "annex_4": [
            say("annex_metrics", language, count=number(len(evidence.signals), language), metrics=metrics,
                unknown=unknown(language))
        ] if metrics else [],
        **{f"annex_{point}": [] for point in range(5, 10)},
    }  # fmt: skip
    return _points(say("annex", language), points, language).model_copy(update={"intro": say("annex_intro", language)})


def _points(title: str, points: Points, language: Language, first: str = "point") -> Table:
    """A line for each point, with what is known or that nothing is."""
    rows: list[tuple[Value, ...]] = []
    for key, facts in points.items():
        said = ""
        for fact in dict.fromkeys(fact for fact in facts if fact):
            said += (" " if said.endswith(".") else "; " if said else "") + fact
        rows.append((say(key, language), said or unknown(language)))
    columns = (Column(label=say(first, language)), Column(label=say("known", language)))
    return Table(title=title, columns=columns, rows=tuple(rows))


def _kinds(data: DataPart) -> dict[str, int]:
    """The kinds of personal data that were found, with their counts."""
    counts = data.personal.counts if data.personal else {}
    return {kind: count for kind, count in counts.items() if count and kind not in NOT_PERSONAL}


def _said(key: str, text: str | None, language: Language) -> list[str]:
    return [say(f"said_{key}", language, text=text.rstrip("."))] if text else []


def _listed(counts: Iterable[tuple[str, int]], language: Language) -> str:
    return ", ".join(f"{name} {number(count, language)}" for name, count in counts)
