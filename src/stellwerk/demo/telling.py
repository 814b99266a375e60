"""What the demo prints: the table of planted defects, the weakest point, the costs, and the commands that lead on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stellwerk.demo import FOLDER
from stellwerk.demo.handbook_server import Serving
from stellwerk.demo.inventory import Holding
from stellwerk.demo.network import Watched
from stellwerk.demo.page import how_read, lines, weakest_sentence
from stellwerk.demo.scoring import Case, Comparison, Line
from stellwerk.demo.sentences import say
from stellwerk.demo.story import Story
from stellwerk.errors import UserError
from stellwerk.jobs.data.reports import BuildReport, TestReport
from stellwerk.report.words import Language, number, share

SIGNS = {"clear": "● clear", "dark": "○ dark", "stop": "■ stop", None: ""}
COLOURS = {"clear": "green", "dark": "dim", "stop": "red", None: ""}


class DemoReport(BaseModel):
    """What the demo made and found."""

    workspace: str
    tickets: int
    articles: int
    holdings: list[Holding] = Field(description="what the company has, and how much of it was read")
    unchanged: bool = Field(description="everything was there before")
    builds: list[BuildReport]
    tests: list[TestReport] = Field(description="the data tests of each dataset")
    planted: Comparison
    story: Story = Field(description="how the company's systems came to their signals")
    seconds: float = Field(description="wall time of this call")
    disk_bytes: int
    network: Watched
    report: str
    next: list[str]


def tell(result: DemoReport, folder: Path) -> None:
    """Print the result for a person."""
    console = Console(highlight=False, soft_wrap=False)
    console.print("\nWhat a sample company has, and how it is read", style="bold")
    console.print(_inventory(result.holdings))
    console.print()
    for build, tests in zip(result.builds, result.tests, strict=True):
        counts = build.counts
        console.print(
            f"{build.dataset}: {number(counts.read)} read = {number(counts.kept)} kept as they were "
            f"+ {number(counts.changed)} changed + {number(counts.dropped)} dropped",
        )
        for said in (build.message, *build.warnings):
            console.print(Text(f"  {said}", style="dim"))
        bad = [check.text for check in tests.results if check.state == "failed"]
        passed = f"  data tests: {tests.passed} passed"
        console.print(Text(": ".join([f"{passed}, {len(bad)} not", " ".join(bad)]) if bad else passed, style="dim"))
    console.print()
    console.print(_table(result.planted.lines))
    console.print(Text("false: sound texts dropped or rewritten, and findings of personal data that are none\n", style="dim"))
    _tell_weakest(console, result.planted, folder)
    _tell_story(console, result.story)
    _tell_costs(console, result)
    console.print(f"See it all: {result.report}", soft_wrap=True)
    for text, says in next_commands(folder):
        console.print(Text.assemble(("  " + text, "bold"), (f"  {says}", "dim")), soft_wrap=True)


def tell_cases(cases: Sequence[Case], comparison: Comparison, folder: Path, as_json: bool) -> None:
    """Print documents that were missed or wrongly touched, each with the reason and the command that shows its way."""
    lines = {line.kind: line for line in comparison.lines}
    if as_json:
        import json

        rows = [{**case.__dict__, "command": explain(case.doc, folder)} for case in cases]
        print(json.dumps(rows, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    for kind in dict.fromkeys(case.kind for case in cases):
        own = [case for case in cases if case.kind == kind]
        line = lines[kind]
        said = f"{line.missed} of {line.planted} missed" + (f", {line.false_alarms} false alarms" if line.false_alarms else "")
        console.print(f"\n{kind}: {said}" + (f" ({line.note})" if line.note else ""), style="bold")
        for case in own:
            console.print(Text(f"{case.verdict}  {case.doc}  {case.reason}"))
            console.print(Text(f"    {explain(case.doc, folder)}", style="dim"))
    if not cases:
        console.print("nothing was missed, and nothing sound was touched")


def chosen(comparison: Comparison, cases: Sequence[Case], kinds: Sequence[str]) -> list[Case]:
    """The cases of some kinds, or of all kinds that were searched.

    Raises:
        UserError: a kind that there is not, or that nobody searches yet.
    """
    lines = {line.kind: line for line in comparison.lines}
    for kind in kinds:
        if kind not in lines:
            raise UserError(f"there is no kind {kind!r}; there are: {', '.join(lines)}")
        if lines[kind].state == "not searched yet":
            raise UserError(
                f"{kind}: {lines[kind].planted} were planted, but nothing searches them yet ({lines[kind].note}); "
                "truth/planted.jsonl lists them"
            )
    wanted = list(kinds) or [kind for kind, line in lines.items() if line.state == "searched"]
    return [case for kind in wanted for case in cases if case.kind == kind]


def next_commands(folder: Path, language: Language = "en") -> list[tuple[str, str]]:
    """Commands that lead on from the demo, each with what it shows."""
    asked = "SELECT intent, count(*) FROM documents GROUP BY intent"
    listed = [
        ("next_serve", f"stellwerk serve {_at(folder)}"),
        ("next_signals", f"stellwerk signals {_at(folder)}"),
        ("next_missed", command("demo", folder, "--missed")),
        ("next_explain", explain("tickets:T-000001", folder)),
        ("next_query", f'stellwerk data query tickets "{asked}" {_at(folder)}'),
        ("next_profile", f"stellwerk data profile tickets {_at(folder)}"),
        ("next_test", f"stellwerk data test tickets {_at(folder)}"),
        ("next_show", f"stellwerk show dataset/tickets {_at(folder)}"),
        ("next_company", command("demo", folder, "--company")),
        ("next_try", "stellwerk data try FILE"),
    ]
    return [(text, say(key, language)) for key, text in listed]


def command(name: str, folder: Path, *rest: str) -> str:
    """A command of the demo on a folder, which is named where it is not the usual one."""
    place = [] if folder == FOLDER else [shlex.quote(str(folder))]
    return " ".join(["stellwerk", name, *place, *rest])


def explain(doc: str, folder: Path) -> str:
    """The command that shows the whole way of a document."""
    return f"stellwerk data explain {shlex.quote(doc)} {_at(folder)}"


def _at(folder: Path) -> str:
    return f"-w {shlex.quote(str(folder))}"


def tell_server(server: Serving, folder: Path) -> None:
    """Print where the company's server answers, and what a build in another terminal needs."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"The company's handbook answers at {server.address} until you press Ctrl-C.", style="bold")
    console.print("To build by hand, in another terminal:")
    for line in (*server.exports(), f"stellwerk data build knowledge {_at(folder)}"):
        print(line, flush=True)


def _inventory(holdings: Sequence[Holding]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("there are", justify="right", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("read", justify="right", no_wrap=True)
    table.add_column("how")
    for held in holdings:
        read = "–" if held.read is None else number(held.read)
        cells = (number(held.count), say(f"thing_{held.thing}"), read, how_read(held))
        table.add_row(*cells, style="dim" if held.read is None else "")
    return table


def _table(lines: Sequence[Line]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("kind", no_wrap=True)
    for head in ("planted", "found", "missed", "false"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("")
    for line in lines:
        said = share(line.found or 0, line.planted) + " found" if line.state == "searched" else f"{line.state} ({line.note})"
        cells = [line.planted, line.found, line.missed, line.false_alarms]
        dim = "" if line.state == "searched" else "dim"
        table.add_row(line.kind, *("–" if cell is None else number(cell) for cell in cells), said, style=dim)
    return table


def _tell_weakest(console: Console, comparison: Comparison, folder: Path) -> None:
    sentence = weakest_sentence(comparison)
    if comparison.weakest is None:
        console.print(sentence)
        return
    kind = comparison.weakest.kind
    console.print(Text.assemble(("Weakest point: ", "bold"), sentence))
    console.print(Text.assemble("See them: ", (command("demo", folder, "--missed", kind), "bold")), soft_wrap=True)


def _tell_story(console: Console, story: Story) -> None:
    console.print("\nSignals and releases", style="bold")
    table = Table.grid(padding=(0, 2))
    for sign, text in lines(story):
        table.add_row(Text(SIGNS[sign], style=COLOURS[sign]), Text(text))
    console.print(table)
    console.print()


def _tell_costs(console: Console, result: DemoReport) -> None:
    took = "Nothing changed since the last time; looking took" if result.unchanged else "It took"
    console.print(f"{took} {number(round(result.seconds, 1))} s; the folder uses {number(round(result.disk_bytes / 1e6))} MB.")
    seen = result.network
    if seen.attempts or seen.connections:
        console.print(
            f"Network: {seen.attempts} attempts to reach other machines and {seen.connections} open connections were seen.",
            style="red",
        )
        return
    looks = f", and {seen.looks} looks at its and its workers' open connections found none" if seen.looks else ""
    console.print(f"Nothing left this machine: Python's sockets in this process tried to reach no other{looks}.")
    if seen.own:
        console.print(f"{seen.own} connections went to 127.0.0.1, the demo's own server, from which the handbook is read.")
    if seen.local:
        console.print(f"{seen.local} connections went to other ports of this machine.", style="red")
