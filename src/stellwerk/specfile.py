"""Spec files: YAML that remembers its lines, and mistakes as sentences that a newcomer can act on."""

from __future__ import annotations

import difflib
import functools
import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from stellwerk.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    Model = TypeVar("Model", bound=BaseModel)

Place = tuple[str | int, ...]
MAXIMUM_BYTES = 4 * 2**20
MAXIMUM_PLACES = 200_000
LONG = 10_000  # characters


@dataclass(frozen=True)
class SpecFile:
    """A parsed file: its value, and the line of each place in it, counted from 1."""

    name: str
    value: Any
    lines: dict[Place, int]

    def check(self, model: type[Model]) -> Model:
        """Check the value against a model.

        Raises:
            UserError: a sentence with its line for each mistake, all of them at once.
        """
        from pydantic import ValidationError

        try:
            return model.model_validate({} if self.value is None else self.value)
        except ValidationError as error:
            found = {(self.line(e["loc"]), self._sentence(e, model)) for e in error.errors()}
            raise UserError("\n".join(f"{self.name}, line {line}: {text}" for line, text in sorted(found))) from None

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that stands in the file."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def _sentence(self, error: ErrorDetails, model: type[BaseModel]) -> str:
        place = tuple(part for part in error["loc"] if not _is_internal(part))
        field = _spoken(place)
        known = error.get("ctx", {})
        match error["type"]:
            case "missing":
                return f"{field} is missing; add it"
            case "extra_forbidden":
                names = _fields_at(model, place[:-1])
                near = difflib.get_close_matches(str(place[-1]), names, 1, 0.6)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
                return f"there is no field {field}; {hint}"
            case "literal_error" | "enum":
                return f"{field} is {_shown(error['input'])}, expected one of {known['expected']}"
            case "value_error":
                return f"{field}: {known['error']}"
            case "float_parsing" | "float_type" | "int_parsing" | "int_type" | "int_from_float":
                return f"{field} is {_shown(error['input'])}, expected a number"
            case "bool_parsing" | "bool_type":
                return f"{field} is {_shown(error['input'])}, expected true or false"
            case "string_type":
                return f"{field} is {_shown(error['input'])}, expected a text (put it into quotes)"
            case "list_type" | "tuple_type":
                return f"{field} is {_shown(error['input'])}, expected a list such as [a, b]"
            case "model_type" | "dict_type" | "model_attributes_type":
                return f"{field} is {_shown(error['input'])}, expected names and values below it"
            case _:
                message = error["msg"]
                return f"{field} is {_shown(error['input'])}: {message[0].lower()}{message[1:]}"


def read_text(path: Path) -> str:
    """The text of a spec file.

    Raises:
        UserError: it is not there, not readable, not UTF-8, or far too large for a spec.
    """
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise UserError(f"{path} has over {MAXIMUM_BYTES // 2**20} MiB; a spec file is a short text")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _loaders() -> tuple[Any, ...]:
    """The loaders to try in turn: libyaml reads three times as fast, Python's own says what is wrong in sentences people know.

    libyaml's reading keeps its own stack; its composing would be ended by deep nesting, and the process with it, so that
    Python composes.
    """
    parser: Any = getattr(getattr(yaml, "cyaml", None), "CParser", None)
    if parser is None:
        return (yaml.SafeLoader,)

    class Fast(Composer, parser, SafeConstructor, Resolver):  # type: ignore[misc]
        def __init__(self, text: str) -> None:
            parser.__init__(self, text)
            for part in (Composer, SafeConstructor, Resolver):
                part.__init__(self)

        dispose = parser.dispose

    return (Fast, yaml.SafeLoader)


LOADERS = _loaders()


def parse(text: str, name: str) -> SpecFile:
    """Parse YAML 1.1 as plain data: no tags, no aliases that expand without bound, no field twice.

    A long text is remembered a while, for a run looks at its suite several times; nobody changes what comes of it.

    Raises:
        UserError: it is not YAML; the sentence names the line.
    """
    return _remembered(text, name) if len(text) > LONG else _parsed(text, name)


@functools.lru_cache(maxsize=2)
def _remembered(text: str, name: str) -> SpecFile:
    return _parsed(text, name)


def _parsed(text: str, name: str) -> SpecFile:
    *fast, last = LOADERS
    for loader in fast:
        with suppress(UserError):
            return _read(loader, text, name)
    return _read(last, text, name)


def _read(kind: Any, text: str, name: str) -> SpecFile:
    loader = None
    try:
        loader = kind(text)
        node = loader.get_single_node()
        places = list(itertools.islice(_lines(node, (), name), MAXIMUM_PLACES)) if node is not None else []
        if len(places) == MAXIMUM_PLACES:
            raise UserError(f"{name} has over {MAXIMUM_PLACES} fields, perhaps through aliases (*name); write it plainly")
        value = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise UserError(f"{name}, line {line}: this is not valid YAML: {problem}") from None
    except RecursionError:
        raise UserError(f"{name}: this is not valid YAML for a spec: it is nested too deep") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{name}: this is not valid YAML: {str(error).splitlines()[0]}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return SpecFile(name, value, dict(places))


def _lines(node: yaml.Node, place: Place, name: str) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(f"{name}, line {line}: this is not valid YAML for a spec: brackets around text need quotes")
            if key.value in seen:
                raise UserError(f"{name}, line {line}: {key.value!r} stands here a second time; keep one of the two")
            seen.add(key.value)
            yield from _lines(value, (*place, key.value), name)
            yield (*place, key.value), line
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*place, index), name)


def _spoken(place: Place) -> str:
    """`sources[1].text` for `("sources", 0, "text")`: people count from one."""
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return repr(text) if text else "the file"


def _is_internal(part: str | int) -> bool:
    """Pydantic names the branches of a union within the place of an error; they stand in no file."""
    return isinstance(part, str) and (part.startswith(("function-", "tagged-union", "list[", "dict[")) or part in _BRANCHES)


_BRANCHES = frozenset({"str", "int", "float", "bool", "date", "datetime"})


def _fields_at(model: type[BaseModel], place: Place) -> list[str]:
    """The fields that a model knows at a place."""
    from pydantic import BaseModel

    below_names = False
    for part in place:
        # An item of a list, or a name that the user chose, as in `select: {words: …}`.
        if isinstance(part, int) or below_names:
            below_names = False
            continue
        field = model.model_fields.get(part) or next((f for f in model.model_fields.values() if f.alias == part), None)
        inner = next((t for t in _models(field.annotation) if issubclass(t, BaseModel)), None) if field else None
        if inner is None:
            return []
        model, below_names = inner, getattr(field and field.annotation, "__origin__", None) is dict
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and not getattr(hint, "__args__", ()):
        yield hint
    for part in getattr(hint, "__args__", ()):
        yield from _models(part)


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict | list) else "a list" if isinstance(value, list) else "a group of fields"
    return text if len(text) <= 60 else f"{text[:57]}…"
