"""The machine that runs templates: Jinja's immutable sandbox, with every field, loop, join and filter under a budget.

Values are plain JSON data; a field of a value is a name in a group, never an attribute of an object. Whatever a template does
takes a turn of its budget, so that it ends after a bounded time and with a bounded text. Imported only where templates are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import StrictUndefined, Template, nodes
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context
from jinja2.visitor import NodeTransformer

from stellwerk.llm.prompts.templates import FILTERS, TESTS

MAXIMUM_TURNS = 200_000
MAXIMUM_TEXT = 32_000_000  # characters of one rendered message, and of any text on the way there
MAXIMUM_SECONDS = 2.0  # of the processor
BUDGET = "·budget"  # no template can write this name
_LOOP = ("index", "index0", "first", "last", "length", "revindex", "revindex0")


class TooMuch(Exception):
    """A template has used up what it may use."""


class Budget:
    """What the rendering of one message may use."""

    def __init__(self) -> None:
        self.turns = 0
        self._until = time.thread_time() + MAXIMUM_SECONDS

    def turn(self) -> None:
        """Note that something was done."""
        self.turns += 1
        if self.turns > MAXIMUM_TURNS:
            raise TooMuch(f"it takes over {MAXIMUM_TURNS:,} turns")
        if time.thread_time() > self._until:
            raise TooMuch(f"it takes over {MAXIMUM_SECONDS:g} seconds of the processor")

    def text(self, size: int) -> None:
        """See that a text of this size may be made."""
        self.turn()
        if size > MAXIMUM_TEXT:
            raise TooMuch(f"its text has over {MAXIMUM_TEXT:,} characters")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without attributes and calls."""

    intercepted_binops = frozenset({"+", "-"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of a group of fields, or what a loop says of its turn."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self._field(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a list by its place, or a field by its name."""
        if isinstance(obj, list | tuple) and isinstance(argument, int):
            return obj[argument] if -len(obj) <= argument < len(obj) else self.undefined(name="that place of the list")
        return self._field(obj, argument)

    def _field(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj._fail_with_undefined_error()
        if isinstance(obj, dict) and isinstance(name, str) and name in obj:
            return obj[name]
        return self.undefined(name="that field")

    def call(self, *_: Any, **__: Any) -> Any:
        """Nothing can be called."""
        raise TooMuch("it calls something")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Add or subtract numbers; texts and lists are joined by ~ and by loops."""
        _of(context).turn()
        if not all(isinstance(side, int | float) and abs(side) < 2**63 for side in (left, right)):
            raise TooMuch("it adds what is no number; join texts with ~")
        return left + right if operator == "+" else left - right


class _Bounds(NodeTransformer):
    """Puts what has to be counted behind filters of our own."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802  (Jinja calls it so)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "·each", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return nodes.Filter(nodes.List(node.nodes, lineno=node.lineno), "·joined", [], [], None, None, lineno=node.lineno)


def make() -> Sandbox:
    """The language of templates."""
    made = Sandbox(
        undefined=StrictUndefined, autoescape=False, finalize=_finalised, optimized=False, cache_size=0,
        keep_trailing_newline=True, extensions=(),
    )  # fmt: skip
    made.globals.clear()
    made.filters = _filters()
    made.tests = {name: made.tests[name] for name in (*TESTS, "==", "!=", ">", ">=", "<", "<=") if name in made.tests}
    missing = set(FILTERS) - made.filters.keys()
    assert not missing, missing
    return made


def build(environment: Any, text: str) -> Template:
    """Compile a template that was checked."""
    tree = _Bounds().visit(environment.parse(text))
    code = environment.compile(tree)
    made: Template = Template.from_code(environment, code, environment.make_globals(None))
    return made


def run(template: Template, values: Mapping[str, Any]) -> str:
    """What a template becomes with values, which are plain data.

    Raises:
        TooMuch: it uses more than it may.
        jinja2.UndefinedError: it uses something that its values do not have.
    """
    budget = Budget()
    context = template.new_context({**values, BUDGET: budget})
    pieces, size = [], 0
    for piece in template.root_render_func(context):
        size += len(piece)
        if size > MAXIMUM_TEXT:
            budget.text(size)
        pieces.append(piece)
    return "".join(pieces)


@pass_context
def _finalised(context: Context, value: Any) -> str:
    budget = _of(context)
    budget.turn()
    return as_text(value, budget)


def as_text(value: Any, budget: Budget | None = None) -> str:
    """A value as it stands in a message: texts as they are, nothing for null, lists and groups as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict | list | tuple):
        return _json(value, budget or Budget())
    return str(value)  # StrictUndefined says here that there is nothing


def _json(value: Any, budget: Budget) -> str:
    """JSON of a value nested however deep; a list that holds itself runs into the bound of the text."""
    made: list[str] = []
    size = 0
    todo: list[tuple[bool, Any]] = [(False, value)]
    while todo:
        is_text, item = todo.pop()
        if not is_text and isinstance(item, dict):
            parts: list[tuple[bool, Any]] = [(True, "{")]
            for index, (key, field) in enumerate(item.items()):
                parts += [(True, f"{', ' if index else ''}{_quoted(str(key))}: "), (False, field)]
            todo.extend(reversed([*parts, (True, "}")]))
            continue
        if not is_text and isinstance(item, list | tuple):
            parts = [(True, "[")]
            for index, field in enumerate(item):
                parts += [(True, ", "), (False, field)] if index else [(False, field)]
            todo.extend(reversed([*parts, (True, "]")]))
            continue
        text = item if is_text else "null" if item is None else _quoted(item) if isinstance(item, str) else as_text(item)
        size += len(text)
        if size > MAXIMUM_TEXT:
            budget.text(size)
        made.append(text)
    return "".join(made)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _of(context: Context) -> Budget:
    found: Budget = context.parent[BUDGET]
    return found


@pass_context
def _each(context: Context, items: Any) -> Sequence[Any]:
    """What a loop goes over: a list, or the names of a group."""
    if isinstance(items, Undefined):
        items._fail_with_undefined_error()
    if items is None:
        return _Turns((), _of(context))
    if not isinstance(items, list | tuple | dict):
        raise TooMuch("it goes over what is no list")
    return _Turns(tuple(items), _of(context))


class _Turns(Sequence[Any]):
    """The items of a loop, each of which takes a turn."""

    def __init__(self, items: Sequence[Any], budget: Budget) -> None:
        self._items = items
        self._budget = budget

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self._budget.turn()
            yield item


@pass_context
def _joined(context: Context, parts: Sequence[Any]) -> str:
    budget = _of(context)
    texts = [as_text(part, budget) for part in parts]
    budget.text(sum(map(len, texts)))
    return "".join(texts)


def _filters() -> dict[str, Any]:
    from stellwerk.llm.prompts import filters

    return {"·each": _each, "·joined": _joined, **filters.made(_of, as_text)}
