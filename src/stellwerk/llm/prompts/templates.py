"""What a template may hold, and what it becomes: a small part of Jinja that reads data and cannot do anything else.

There are outputs, `if`, `for`, comments, `raw`, some filters and tests; no call, no assignment, no macro, no include. All of it
is checked on the parsed template before anything is compiled, so that neither constants nor loops can eat time or memory.
Knows no prompt and no value.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from stellwerk.errors import UserError

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes

MAXIMUM_TEMPLATE = 500_000  # characters
MAXIMUM_NODES = 20_000
MAXIMUM_DEPTH = 40
MAXIMUM_LOOPS = 4  # inside each other

FILTERS = (
    "abs", "capitalize", "count", "d", "default", "escape", "first", "float", "int", "items", "join", "json", "last", "length",
    "lower", "replace", "reverse", "round", "sort", "string", "title", "tojson", "trim", "truncate", "unique", "upper",
    "wordcount",
)  # fmt: skip
TESTS = (
    "boolean", "defined", "divisibleby", "eq", "even", "false", "float", "ge", "gt", "in", "integer", "iterable", "le", "lt",
    "mapping", "ne", "none", "number", "odd", "sequence", "string", "true", "undefined",
)  # fmt: skip
_SAID = {
    "Call": "a call", "CallBlock": "a call", "FilterBlock": "a filter block", "Macro": "a macro", "Assign": "an assignment",
    "AssignBlock": "an assignment", "Include": "an include", "Import": "an import", "FromImport": "an import",
    "Extends": "an inheritance", "Block": "a block", "Mul": "a multiplication", "Pow": "a power", "Div": "a division",
    "FloorDiv": "a division", "Mod": "a remainder", "Slice": "a slice", "With": "a with", "Do": "a do",
    "ScopedEvalContextModifier": "an autoescape", "Dict": "a group of names and values", "NSRef": "a namespace",
}  # fmt: skip
_ALLOWED = frozenset(
    (
        "Template", "Output", "TemplateData", "If", "For", "Name", "Getattr", "Getitem", "Const", "Filter", "Test", "Compare",
        "Operand", "And", "Or", "Not", "CondExpr", "Concat", "Add", "Sub", "Neg", "Tuple", "List",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Checked:
    """A template that is allowed.

    Attributes:
        names: of the values that it uses, in the order of their first use.
    """

    names: tuple[str, ...]


def check(text: str, where: str) -> Checked:
    """See that a template is allowed.

    Args:
        text: of the template.
        where: it stands, such as `prompts/reply.prompty, line 4`: the line on which the text begins.

    Raises:
        UserError: it is not; one sentence with the line.
    """
    found = _check(text)
    if isinstance(found, Checked):
        return found
    line, problem = found
    raise UserError(f"{_line(where, line)}: {problem}")


def compiled(text: str) -> Template:
    """A template that was checked, ready to be rendered; those used last are kept.

    Raises:
        UserError: it is not allowed.
    """
    check(text, "the template")
    return _compiled(text)


def tree(text: str) -> nodes.Template:
    """The parsed template, for those who write it in another language.

    Raises:
        UserError: it is not allowed.
    """
    check(text, "the template")
    return environment().parse(text)


@functools.lru_cache(maxsize=1)
def environment() -> Environment:
    """The language of templates, with nothing in it that reaches out."""
    from stellwerk.llm.prompts import sandbox

    return sandbox.make()


class _Refused(Exception):
    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


@functools.lru_cache(maxsize=512)
def _check(text: str) -> Checked | tuple[int, str]:
    """The names of a template, or the line, counted from 1, and the problem."""
    from jinja2 import TemplateSyntaxError

    if len(text) > MAXIMUM_TEMPLATE:
        return 1, f"the message has over {MAXIMUM_TEMPLATE:,} characters; give long texts as values"
    try:
        found = environment().parse(text)
        names = _walk(found)
        _compiled(text)
    except _Refused as error:
        return error.line, error.problem
    except TemplateSyntaxError as error:
        message = error.message or "a tag is not ended"
        return error.lineno or 1, f"this is no template: {_short(message)}{_hint(message)}"
    except (RecursionError, MemoryError, SyntaxError):
        return 1, "the template is nested too deep; write it plainly"
    except ValueError as error:
        return 1, f"this is no template: {_short(str(error))}"
    return Checked(tuple(names))


@functools.lru_cache(maxsize=512)
def _compiled(text: str) -> Template:
    from stellwerk.llm.prompts import sandbox

    return sandbox.build(environment(), text)


def _walk(root: nodes.Template) -> dict[str, None]:
    """See each part; the names that are used and that no loop sets."""
    names: dict[str, None] = {}
    todo: list[tuple[Any, int, int, frozenset[str]]] = [(root, 0, 0, frozenset())]
    seen = 0
    while todo:
        node, depth, loops, known = todo.pop()
        seen += 1
        if seen > MAXIMUM_NODES or depth > MAXIMUM_DEPTH or loops > MAXIMUM_LOOPS:
            raise _Refused(node.lineno or 1, "the template has too many parts inside each other, or in all; write it plainly")
        _allowed(node)
        kind = type(node).__name__
        if kind == "Name" and node.name not in known and node.ctx == "load":
            names.setdefault(node.name)
        inner = known
        if kind == "For":
            inner = known | {"loop"} | _targets(node)
            children = [(node.iter, loops, known), (node.target, loops, inner)]
            children += [(child, loops + 1, inner) for child in (*node.body, *([node.test] if node.test else ()))]
            children += [(child, loops, known) for child in node.else_]
        else:
            children = [(child, loops, inner) for child in node.iter_child_nodes()]
        todo.extend((child, depth + 1, below, scope) for child, below, scope in reversed(children))
    return names


def _targets(loop: Any) -> set[str]:
    """The names that a loop sets."""
    from jinja2 import nodes

    return {part.name for part in (loop.target, *loop.target.find_all(nodes.Name)) if isinstance(part, nodes.Name)}


def _allowed(node: Any) -> None:
    """Refuse a part that is not in the subset."""
    kind = type(node).__name__
    if kind not in _ALLOWED:
        said = _SAID.get(kind, f"a {kind}")
        _refuse(node, f"{said} is not allowed in a template; allowed are values, if, for and filters")
    if kind == "Name" and (node.name.startswith("_") or node.name in ("self", "caller", "varargs", "kwargs")):
        _refuse(node, f"{node.name[:60]!r} cannot be the name of a value; give it another")
    if kind == "Getattr" and node.attr.startswith("_"):
        _refuse(node, f"{node.attr[:60]!r} cannot be the name of a field; none begins with an underscore")
    if kind == "Filter" and node.name not in FILTERS:
        _refuse(node, f"there is no filter {str(node.name)[:60]!r}; there are: {', '.join(FILTERS)}")
    if kind == "Test" and node.name not in TESTS:
        _refuse(node, f"there is no test {str(node.name)[:60]!r}; there are: {', '.join(TESTS)}")
    if kind in ("Filter", "Test") and (node.dyn_args or node.dyn_kwargs):
        _refuse(node, f"{node.name!r} cannot be given a list of arguments by *; write them one by one")
    if kind in ("Filter", "Test") and node.kwargs:
        _refuse(node, f"{node.name!r} takes arguments by place, not by name; write such as |default('none')")
    if kind == "Filter" and node.node is None:
        _refuse(node, "a filter block is not allowed in a template; write the filter behind its value")
    if kind == "For" and node.recursive:
        _refuse(node, "a loop that calls itself is not allowed in a template; write it plainly")


def _refuse(node: Any, problem: str) -> NoReturn:
    raise _Refused(node.lineno or 1, problem)


def _hint(message: str) -> str:
    """What helps with tags that are not ended, since a loop cannot reach over messages."""
    if "end of template" in message or "endfor" in message or "endif" in message:
        return "; a tag ends in the message that it began in, and a list of turns is put in with {% messages NAME %}"
    return ""


def _short(message: str) -> str:
    first = " ".join(message.split())[:200].rstrip(".")
    return first[:1].lower() + first[1:]


def _line(where: str, line: int) -> str:
    """The place of a line, counted from 1, of a text that begins `where`."""
    head, found, number = where.rpartition(", line ")
    return f"{head}, line {int(number) + line - 1}" if found and number.isdecimal() else f"{where}, line {line}"
