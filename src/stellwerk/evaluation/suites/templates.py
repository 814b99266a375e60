"""Templates in a suite: `$ref` to a check that is written once, and {{variables}} in what an answer is compared with."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.specfile import SpecFile

if TYPE_CHECKING:
    import jinja2

_REF = "#/assertionTemplates/"
_LONGEST = 1_000_000  # characters that a rendered value may have


class Unrendered(Exception):
    """A template that cannot be rendered; the message says why in words that follow the template's name."""


def resolved(spec: SpecFile) -> SpecFile:
    """The file with what may be written short written long, and each `$ref` replaced by what it names.

    A name of a file becomes `{path: ...}` or `{from: ...}`, a list of names a mapping: so each field has one form.

    Raises:
        UserError: there is no such template.
    """
    if not isinstance(spec.value, dict) or not isinstance(spec.value.get("assertionTemplates"), dict):
        templates: Mapping[str, Any] = {}
    else:
        templates = spec.value["assertionTemplates"]

    def replace(value: Any, place: tuple[str | int, ...]) -> Any:
        if isinstance(value, list):
            return [replace(each, (*place, index)) for index, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if set(value) != {"$ref"} or not isinstance(reference, str) or place[-2:-1] not in (("assert",), ("checks",)):
            return {key: replace(each, (*place, key)) for key, each in value.items()}
        name = reference.removeprefix(_REF)
        if not reference.startswith(_REF) or name not in templates:
            known = ", ".join(templates) or "none"
            raise UserError(
                f"{spec.name}, line {spec.line(place)}: $ref {reference!r} names no template; "
                f"expected {_REF} and a name below assertionTemplates, there are: {known}"
            )
        return templates[name]

    if not isinstance(spec.value, dict):
        return spec
    value = {key: each if key == "assertionTemplates" else replace(each, (key,)) for key, each in spec.value.items()}
    return SpecFile(spec.name, _long(value), spec.lines)


def _long(value: dict[str, Any]) -> dict[str, Any]:
    tests, file, columns, families = (value.get(name) for name in ("tests", "file", "columns", "unwanted"))
    if isinstance(tests, str):
        tests = [tests]
    if isinstance(tests, list):
        value["tests"] = [{"from": _as_file(test)} if isinstance(test, str) else test for test in tests]
    if isinstance(file, str):
        value["file"] = {"path": file}
    if isinstance(columns, dict) and isinstance(columns.get("inputs"), list):
        value["columns"] = {**columns, "inputs": {str(name): name for name in columns["inputs"]}}
    if isinstance(families, list):
        value["unwanted"] = [{family: None} if isinstance(family, str) else family for family in families]
    if isinstance(value.get("defaultTest"), str):
        value["defaultTest"] = {"from": _as_file(value["defaultTest"])}
    return value


def _as_file(name: str) -> str:
    """promptfoo also takes the bare name of a file of tests."""
    known = name.endswith((".csv", ".tsv", ".jsonl", ".yaml", ".yml", ".json", ".gz"))
    return f"file://{name}" if known and "://" not in name else name


def rendered(value: Any, variables: Mapping[str, Any]) -> Any:
    """A text, or each text of a list, with its {{variables}} filled in; anything else as it is.

    What a variable holds is never read as a template.

    Raises:
        Unrendered: a variable is missing, or the template is broken.
    """
    if isinstance(value, list):
        return [rendered(each, variables) if isinstance(each, str) else each for each in value]
    if not isinstance(value, str) or not any(sign in value for sign in ("{{", "{%", "{#")):
        return value
    import jinja2

    try:
        text = _template(value).render(variables)
    except jinja2.UndefinedError as error:
        raise Unrendered(f"{str(error).rstrip('.')}; there are: {', '.join(sorted(map(str, variables))) or 'none'}") from None
    except jinja2.TemplateError as error:
        raise Unrendered(f"it is no template: {error}") from None
    except Exception as error:  # noqa: BLE001  (an expression in a template can fail in any way)
        raise Unrendered(f"it cannot be rendered: {type(error).__name__}") from None
    if len(text) > _LONGEST:
        raise Unrendered(f"it has over {_LONGEST} characters")
    return text


@functools.lru_cache(maxsize=4096)
def _template(text: str) -> jinja2.Template:
    return _environment().from_string(text)


@functools.cache
def _environment() -> jinja2.Environment:
    import json

    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.globals.clear()  # range and the like could be made to run for ever
    environment.filters["dump"] = lambda value: json.dumps(value, ensure_ascii=False)  # nunjucks' word for tojson
    return environment
