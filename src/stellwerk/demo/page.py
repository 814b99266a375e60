"""The demo's report.html: what was planted, what each step did, and what it cost, as one page.

Chooses and words what the report shows; how it looks is the matter of stellwerk.report.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from stellwerk.demo.company import COMPANY
from stellwerk.demo.folder import Note
from stellwerk.demo.inventory import Holding, inventory
from stellwerk.demo.network import Watched
from stellwerk.demo.prompting import Prompted
from stellwerk.demo.prompting import Share as Rate
from stellwerk.demo.scoring import Comparison, Line
from stellwerk.demo.sentences import say
from stellwerk.demo.story import Story, Told
from stellwerk.demo.truth import BELOW, JOB_OF, KINDS, PERSONAL
from stellwerk.jobs.data import pictures
from stellwerk.jobs.data.measured import bounded, rules
from stellwerk.jobs.data.words import in_german, named
from stellwerk.report import sections
from stellwerk.report.page import (
    Charts,
    Column,
    Command,
    FlowPicture,
    Number,
    Numbers,
    Prose,
    Report,
    Section,
    Signal,
    State,
    Table,
    Value,
)
from stellwerk.report.words import Language, number, share, word

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.store.store import Store


def report(
    note: Note,
    comparison: Comparison,
    versions: Sequence[Version],
    record: Record,
    store: Store,
    disk: tuple[int, int],
    commands: Sequence[tuple[str, str]],
    weakest_command: str,
    language: Language,
) -> Report:
    """Put the report together.

    Args:
        note: size, time and network of the demo.
        comparison: planted against found.
        versions: the datasets, in order.
        record: knows the versions of the sources.
        store: holds the shards.
        disk: bytes of the whole folder, and of the company's files in it.
        commands: with which the reader looks further, each with what it shows.
        weakest_command: shows the weakest point.
        language: en or de.
    """
    holdings = inventory(note.holdings, versions, record, store)
    parts: list[Section] = [_weakest(comparison, weakest_command, language), planted(comparison, language)]
    if note.story is not None:
        parts.append(story_table(note.story, language))
    parts.append(holdings_table(holdings, language))
    for version in versions:
        parts += _dataset(version, store, language)
    parts += _personal(versions, language)
    parts += [_sources(versions, record, language), _footprint(note, disk, language)]
    parts.append(sections.further([Command(text=text, says=says) for text, says in commands], language))
    return Report(
        title=say("title", language),
        subtitle=say(
            "subtitle",
            language,
            company=COMPANY,
            tickets=number(note.tickets, language),
            articles=note.articles,
            manuals=note.holdings["manuals"],
            mails=note.holdings["mails"],
        ),
        headline=_headline(comparison, versions, language),
        sections=tuple(parts),
        footer=tuple(f"{version.ref}, sha256 {version.digest[:16]}" for version in versions),
    )


def lines(story: Story, language: Language = "en") -> list[tuple[State | None, str]]:
    """What happened to the signals, in order: the state that came of it, and the sentence."""
    told = _prompted(story.prompted, language)
    told.append(("clear", say("story_first", language, release=story.first)))
    told.append((None, say("story_letter", language, letter=story.letter, version=story.version)))
    told.append((None, say("story_sentence", language, prompt=story.prompt, sentence=story.sentence)))
    told += _signals(story.dark, language)
    told.append(("clear", say("story_clear", language, count=len(story.clear))))
    told += [("clear", say("story_mended", language, command=command)) for command in story.mended]
    told.append(("clear", say("story_release", language, release=story.release, file=story.file)))
    told.append(("clear" if story.genuine else "stop", say("story_genuine" if story.genuine else "story_false", language)))
    told.append(("stop", say("story_tampered", language, problem=story.tampered)))
    told += _signals(story.bought, language)
    return told


def _prompted(done: Prompted, language: Language) -> list[tuple[State | None, str]]:
    """What became of the prompt before the first release."""

    def points(value: float | None) -> str:
        return "–" if value is None else number(round(100 * value, 1), language)

    def rate(one: Rate) -> dict[str, str]:
        shown = {"passed": one.value, "low": one.low, "high": one.high}
        return {name: percent(value) for name, value in shown.items()} | {"n": number(one.n, language)}

    def percent(value: float | None) -> str:
        return "–" if value is None else share(value, 1, language)

    gain, short = done.gain, done.shorter
    return [
        (None, say("story_simulated", language)),
        (None, say("story_tested", language, first=done.first, **rate(done.passed))),
        ("stop", say("story_refused", language, why=done.refused)),
        (
            None,
            say(
                "story_shorter", language, difference=points(short.difference), low=points(short.low),
                high=points(short.high), verdict=say(f"verdict_{done.verdict}", language),
            ),
        ),
        (
            None,
            say(
                "story_found", language, calls=done.calls, result=done.result, difference=points(gain.difference),
                low=points(gain.low), high=points(gain.high), n=gain.n, before=done.tokens[0], after=done.tokens[1],
            ),
        ),
        (
            None,
            say(
                "story_passes", language, **rate(done.passed_now), unwanted=percent(done.unwanted.value),
                most=percent(done.unwanted.high),
            ),
        ),
        ("clear", say("story_promoted", language, alias=done.promoted)),
        (
            "clear" if done.judge else "stop",
            say(
                "story_judge" if done.judge else "story_judge_not", language, n=done.agreement.n,
                agreement=number(round(done.agreement.value, 2), language),
            ),
        ),
    ]  # fmt: skip


def _signals(signals: Sequence[Told], language: Language) -> list[tuple[State | None, str]]:
    return [
        (one.state, say("story_told", language, gate=one.gate, subject=one.subject, why=one.why[language])) for one in signals
    ]


def story_table(story: Story, language: Language) -> Table:
    """The same as a table of the report."""
    return Table(
        title=say("story", language),
        intro=say("story_intro", language),
        columns=(Column(label=say("story_happened", language)), Column(label=say("state", language))),
        rows=tuple((text, Signal(state=state) if state else None) for state, text in lines(story, language)),
    )


def holdings_table(holdings: Sequence[Holding], language: Language) -> Table:
    """The table of what the company has."""
    labels = (("thing", "text"), ("count", "number"), ("rows_read", "number"), ("how", "text"), ("place", "text"))
    return Table(
        title=say("inventory", language),
        intro=say("inventory_intro", language),
        columns=tuple(Column.model_validate({"label": say(key, language), "kind": kind}) for key, kind in labels),
        rows=tuple(
            (say(f"thing_{held.thing}", language), held.count, held.read, how_read(held, language), held.place)
            for held in holdings
        ),
    )


def how_read(held: Holding, language: Language = "en") -> str:
    """How a thing is read, in words, and how many pages it has."""
    how = say(f"how_{held.how}", language)
    return say("how_pages", language, how=how, pages=number(held.pages, language)) if held.pages else how


def planted(comparison: Comparison, language: Language) -> Table:
    """The table of planted defects."""
    columns = [Column(label=word("kind", language))]
    columns += [Column(label=_capital(word(key, language)), kind="number") for key in ("planted", "found", "missed")]
    columns += [
        Column(label=say("alarms", language), kind="number"),
        Column(label=word("found_share", language), kind="share"),
        Column(label=say("state", language)),
    ]
    rows = tuple(
        (
            KINDS[line.kind][language == "de"], line.planted, line.found, line.missed, line.false_alarms,
            line.found_share if line.state == "searched" else None, _state(line, language),
        )
        for line in comparison.lines
    )  # fmt: skip
    return Table(
        title=word("defects", language),
        intro=say("table_intro", language),
        columns=tuple(columns),
        rows=rows,
        note=say("table_note", language),
    )


def weakest_sentence(comparison: Comparison, language: Language = "en") -> str:
    """The weakest point in a sentence."""
    weakest = comparison.weakest
    if weakest is None:
        return say("weakest_none", language)
    key = "weakest_missed" if weakest.what == "missed" else "weakest_false"
    return say(
        key, language, kind=KINDS[weakest.kind][language == "de"], count=number(weakest.count, language),
        of=number(weakest.of, language), share=share(weakest.count, weakest.of, language),
    )  # fmt: skip


def _state(line: Line, language: Language) -> Value:
    if line.kind == BELOW:
        return say("below", language)
    if line.state == "left out on purpose":
        return say("left_out", language)
    if line.state == "searched":
        return say("searched", language)
    job = JOB_OF.get(line.kind)
    if job is None:
        return Signal(state="dark", text=say("not_asked", language))
    return Signal(state="dark", text=say("no_search", language, job=in_german(job) if language == "de" else job))


def _headline(comparison: Comparison, versions: Sequence[Version], language: Language) -> tuple[Number, ...]:
    read, kept, changed, dropped = (sum(v.facts["counts"][k] for v in versions) for k in ("read", "kept", "changed", "dropped"))
    lines = [line for line in comparison.lines if line.state == "searched"]
    found, among = sum(line.found or 0 for line in lines), sum(line.planted for line in lines)
    return (
        Number(label=say("read", language), value=read),
        Number(
            label=say("kept", language),
            value=kept + changed,
            note=say("kept_note", language, changed=number(changed, language)),
        ),
        Number(label=say("dropped", language), value=dropped, note=say("dropped_note", language)),
        Number(
            label=say("found", language),
            value=share(found, among, language),
            note=say("found_note", language, found=number(found, language), planted=number(among, language)),
        ),
        Number(
            label=say("alarms", language),
            value=sum(line.false_alarms or 0 for line in lines),
            note=say("alarms_note", language),
        ),
    )


def _weakest(comparison: Comparison, command: str, language: Language) -> Prose:
    commands = [Command(text=command, says=say("weakest_see", language))] if comparison.weakest else []
    return sections.weakest_point(weakest_sentence(comparison, language), commands, language)


def _dataset(version: Version, store: Store, language: Language) -> Iterator[Section]:
    did = rules(store, version)
    name = version.name
    yield FlowPicture(
        title=say("flow", language, dataset=name), intro=say("flow_intro", language), flow=pictures.flow(version, did, language)
    )
    lines = [
        sections.LedgerLine(
            step=named(rule.step, language),
            rule=named(rule.rule, language),
            changed=rule.changed,
            dropped=rule.dropped,
            bound=rule.bound,
        )
        for rule in did
    ]
    table = sections.ledger(lines, language, say("ledger_note", language))
    yield table.model_copy(update={"title": say("ledger", language, dataset=name)})
    charts = [pictures.distribution(values, language) for values in bounded(store, version)]
    charts.sort(key=lambda chart: -sum(chart.histogram.outside))
    if charts:
        intro = say("charts_intro", language)
        yield Charts(title=say("charts", language, dataset=name), intro=intro, charts=tuple(charts))


def _personal(versions: Sequence[Version], language: Language) -> Iterator[Section]:
    counts: dict[str, int] = {}
    for version in versions:
        for kind in version.facts["personal"]["searched"]:
            counts[kind] = counts.get(kind, 0) + version.facts["personal"]["counts"].get(kind, 0)
    actions = {version.facts["spec"]["personal"]["action"] for version in versions}
    action = say(f"personal_{actions.pop()}", language) if len(actions) == 1 and actions <= {"mask", "drop"} else None
    names = {found: KINDS[kind][language == "de"] for kind, found in PERSONAL.items()}
    yield sections.personal(counts, [], action, language, names)
    unsearched = dict.fromkeys(kind for version in versions for kind in version.facts["personal"]["not_searched"])
    points = tuple(in_german(kind) if language == "de" else kind for kind in unsearched)
    yield Prose(title=say("not_searched", language), intro=say("not_searched_intro", language), points=points, state="dark")


def _sources(versions: Sequence[Version], record: Record, language: Language) -> Table:
    lines = []
    for version in versions:
        for source in version.facts["spec"]["sources"]:
            found = record.resolve(f"source/{version.name}.{source['name']}")
            facts = found.facts
            lines.append(
                sections.SourceLine(
                    name=f"{version.name}: {source['name']}",
                    origin=facts["origin"],
                    licence=facts["licence"],
                    legal_basis=facts["legal_basis"],
                    retrieved=facts["retrieved"],
                    files=len(facts["made_from"]["files"]) or None,
                    rows=facts["rows"],
                )
            )
    return sections.sources(lines, language)


def _footprint(note: Note, disk: tuple[int, int], language: Language) -> Numbers:
    whole, raw = (f"{number(size / 1e6, language)} MB" for size in disk)
    items = [Number(label=word("disk", language), value=whole, note=say("disk_note", language, raw=raw))]
    if note.seconds is not None:
        time = f"{number(round(note.seconds), language)} s"
        items.insert(0, Number(label=word("time", language), value=time, note=say("time_note", language, cores=os.cpu_count())))
    if note.network is not None:
        watched = note.network
        key = "network_note" if watched.looks else "network_note_sockets"
        items.append(
            Number(
                label=say("network", language),
                value=watched.attempts + watched.connections,
                note=say(key, language, looks=number(watched.looks, language)) + _on_this_machine(watched, language),
            )
        )
    return Numbers(title=word("footprint", language), items=tuple(items))


def _on_this_machine(watched: Watched, language: Language) -> str:
    own = say("network_own", language, own=watched.own) if watched.own else ""
    return own + (say("network_local", language, local=watched.local) if watched.local else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
