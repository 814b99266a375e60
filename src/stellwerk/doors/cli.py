"""The command line door: `stellwerk <package> <name>`, made from the registry of operations.

Only what a command needs is imported: the help of the whole program imports no job.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from stellwerk import __version__
from stellwerk.errors import StellwerkError, UserError, where
from stellwerk.jobs import JOBS

if TYPE_CHECKING:
    from stellwerk.operation import Operation

HELP = """The signal box for generative AI: does eight jobs, keeps the evidence, and clears a release while it holds.

Begin with: stellwerk data try FILE, or stellwerk demo."""
TITLES = {
    "runs": "See what ran, follow it, stop it, go on with it.",
    "record": "Verify the record of what happened, or carry it to another machine.",
    "access": "Say who may come in over a network: accounts, tokens.",
    "findings": "See what checks found wrong or risky, and decide about it.",
    "llm": "Ask models, serve local ones, see whether a hosted one has changed.",
    "evaluation": "Suites of cases, applications, judges and ratings: how every job judges.",
    "release": "Register services, waive, sign, and release AI systems with their dossiers.",
    **{job.name: f"{job.title}: {', '.join(job.tasks)}." for job in JOBS},
}
BY_HAND = {
    "init": "Make a folder a workspace.",
    "doctor": "Say what is installed, missing and reachable.",
    "serve": "Serve the pages, REST and MCP, with a worker beside them.",
    "worker": "Work on queued runs, and start what schedules are due for.",
    "mcp": "Serve the operations as tools to assistants, by the Model Context Protocol.",
    "demo": "Make a workspace of a sample company and run its jobs.",
}
TOP = {
    "jobs": "List the eight jobs, their tasks, and the operations that exist today.",
    "signals": "Say whether AI systems may run: the signal of each gate, and why.",
    "mend": "Say which runs would clear an AI system, and what a person has to do.",
    "show": "Show a version: what it is, what it was made from, what was made from it.",
    "assets": "List the assets with their latest versions.",
    "versions": "List the versions of an asset, and what was measured on them.",
    "backup": "Write the workspace to one file.",
    "restore": "Make a workspace of a backup.",
    "gc": "Say which bytes nothing needs any more, and remove them.",
    "upgrade": "Bring a record that an older version made up to date.",
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run a command.

    Returns:
        0 done, 1 a gate or data test failed, 2 the user's mistake, 3 the run failed, 130 interrupted and resumable.
    """
    try:
        app = build(arguments)
        _check_known(app, arguments)
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _say(f"{_sentence(str(error))} (see: stellwerk {' '.join(_words(arguments))} --help)", 2)
    except StellwerkError as error:
        if os.environ.get("STELLWERK_DEBUG"):
            raise
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except Exception as error:
        if os.environ.get("STELLWERK_DEBUG"):
            raise
        return _say(f"a fault of Stellwerk: {where(error)}; STELLWERK_DEBUG=1 shows all, the data at hand perhaps too", 3)
    return result if isinstance(result, int) else 0


def build(arguments: list[str]) -> App:
    """The program with the package that the arguments name; the others are there by name and title only."""
    app = App(name="stellwerk", help=HELP, version=__version__, help_format="plaintext")
    wanted = next(iter(_words(arguments)), "")
    by_hand = {
        "init": "stellwerk.doors.local:init",
        "doctor": "stellwerk.doors.local:doctor",
        "serve": "stellwerk.doors.serve:serve",
        "worker": "stellwerk.doors.worker:worker",
        "mcp": "stellwerk.doors.mcp_command:mcp",
    }
    for name, place in {**by_hand, **{e.name: e.value for e in entry_points(group="stellwerk.commands")}}.items():
        # A command that is not called is not imported: its line in the help stands here.
        app.command(place, name=name, **({} if name == wanted else {"help": BY_HAND.get(name, f"The command {name}.")}))
    for name, title in TOP.items():
        _add_top(app, name, title, name == wanted)
    names = [e.name for group in ("stellwerk.core", "stellwerk.jobs") for e in entry_points(group=group)]
    for name in names:
        package = App(name=name, help=TITLES.get(name, f"Operations of {name}."), help_format="plaintext")
        if name == wanted:
            from stellwerk.operation import load

            for operation in load(name).values():
                package.command(command(operation), name=operation.name)
        app.command(package)
    return app


def command(entry: Operation) -> Callable[..., int]:
    """A function for cyclopts with the parameters of an operation, and those that every command has."""

    def invoke(*given: Any, **named: Any) -> int:
        bound = signature.bind(*given, **named)
        bound.apply_defaults()
        values = dict(bound.arguments)
        as_json, folder = values.pop("json"), values.pop("workspace")
        if values.pop("queue", False):
            return _enqueue(entry, values, as_json, folder)
        return _execute(entry, values, as_json, folder)

    parameters = [
        inspect.Parameter(
            p.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if p.required else p.default,
            annotation=Annotated[p.type, Parameter(help=p.description, negative=())],
        )
        for p in entry.parameters.values()
    ]
    common: dict[str, tuple[Any, Any]] = {
        "json": (False, Annotated[bool, Parameter(help="print the result as JSON", negative=())]),
        "workspace": (None, Annotated[Path | None, Parameter(["--workspace", "-w"], help="the folder of the workspace")]),
    }
    if entry.kind == "run":
        common["queue"] = (False, Annotated[bool, Parameter(help="hand it to a worker and return at once", negative=())])
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        for name, (default, hint) in common.items()
    ]
    signature = inspect.Signature(parameters)
    invoke.__signature__ = signature  # type: ignore[attr-defined]
    invoke.__annotations__ = {p.name: p.annotation for p in parameters}
    invoke.__doc__ = entry.description
    invoke.__name__ = entry.name
    return invoke


def _add_top(app: App, name: str, title: str, wanted: bool) -> None:
    if not wanted:
        app.command(App(name=name, help=title, help_format="plaintext"))
        return
    from stellwerk.operation import load

    app.command(command(load("")[name]), name=name)


def _execute(entry: Operation, values: dict[str, Any], as_json: bool, folder: Path | None) -> int:
    from stellwerk.doors.terminal import progress, show
    from stellwerk.runs import execution
    from stellwerk.workspace import Workspace

    workspace = Workspace(folder) if folder else Workspace.find() if entry.needs_workspace else _nearby()
    with progress() as listener:
        if workspace is not None:
            workspace.listener = listener
        result = execution.call(workspace, entry, values)
    # Whoever read the output has seen enough; what was to be done is done.
    with suppress(BrokenPipeError):
        show(result, as_json)
        sys.stdout.flush()
        return entry.exit_code(result) if entry.exit_code else 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return entry.exit_code(result) if entry.exit_code else 0


def _enqueue(entry: Operation, values: dict[str, Any], as_json: bool, folder: Path | None) -> int:
    from stellwerk.doors.terminal import show
    from stellwerk.runs import queue
    from stellwerk.workspace import Workspace

    workspace = Workspace(folder) if folder else Workspace.find()
    run = queue.enqueue(workspace, entry, values)
    position = queue.positions(workspace.record).get(run)
    then = f"stellwerk runs follow {run[:8]}"
    show(queue.Queued(run=run[:8], id=run, operation=entry.path, state="queued", position=position, next=then), as_json)
    return 0


def _nearby() -> Any:
    from stellwerk.workspace import Workspace

    try:
        return Workspace.find()
    except UserError:
        return None


def _check_known(app: App, arguments: list[str]) -> None:
    """Name the nearest command for a misspelt one; cyclopts would import every package to find it."""
    for word in _words(arguments):
        names = [name for name in app if not name.startswith("-")]
        if not names:
            return
        if word not in names:
            near = difflib.get_close_matches(word, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"
            raise UserError(f"stellwerk has no command {word!r} here; {hint}")
        if word not in TITLES:
            return
        app = app[word]


def _sentence(said: str) -> str:
    """What cyclopts says, without the lines and addresses that pydantic adds to it."""
    first, _, more = said.partition(" 1 validation error for ")
    found = re.search(r"\n\s+(?:Value error, )?(.+?) \[type=", more)
    return f"{first} {found[1]}" if found else " ".join(said.split())


def _words(arguments: list[str]) -> list[str]:
    """The leading arguments that name a command."""
    found: list[str] = []
    for argument in arguments[:2]:
        if argument.startswith("-"):
            break
        found.append(argument)
    return found


def _say(sentence: str, code: int) -> int:
    from stellwerk.doors.terminal import clean

    # Nobody may be there to read it; the exit code says it all the same.
    with suppress(OSError):
        print(clean(sentence), file=sys.stderr, flush=True)
    return code
