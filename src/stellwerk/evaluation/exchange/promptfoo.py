"""A configuration of promptfoo as a suite: its tests, default test and templates; prompts and providers stay with promptfoo.

What is not offered here is left out and told, never passed over. Nothing that a configuration brings along is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stellwerk.errors import UserError
from stellwerk.evaluation.exchange.taken import Taken
from stellwerk.evaluation.suites.loading import SIGN, plain
from stellwerk.evaluation.suites.spec import Assertion, TestCase
from stellwerk.specfile import SpecFile, parse, read_text

_FILES = (".csv", ".tsv", ".yaml", ".yml", ".json", ".jsonl", ".txt", ".md")
_CASES = (".csv", ".tsv", ".yaml", ".yml", ".json", ".jsonl")
_FIELDS = ("description", "vars", "assert", "threshold", "options", "metadata")
_PLAIN_OPTIONS = ("disableVarExpansion", "disableDefaultAsserts")
_MOST = 256 << 20


class _LeftOut(Exception):
    """Something that cannot be taken over; the message says what."""


class _Taking:
    """Takes over one configuration."""

    def __init__(self, file: Path, name: str, templates: Mapping[str, Any]) -> None:
        self.templates = templates
        self.folder = file.parent.resolve()
        self.name = name
        self.files: dict[str, bytes] = {}
        self.left_out: list[str] = []

    def tests(self, value: Any, where: str = "test") -> Iterator[Any]:
        """Each test that can be asked, and each file of tests."""
        for number, test in enumerate([value] if isinstance(value, str | Mapping) else value or [], 1):
            if isinstance(test, str):
                yield from self._file_of_tests(test)
            elif isinstance(test, Mapping) and set(test) <= {"path", "config"}:
                self.left_out.append(f"{where} {number}: tests that code makes")
            elif isinstance(test, Mapping) and (made := self.test(test, f"{where} {number}")) is not None:
                yield made

    def test(self, test: Mapping[str, Any], where: str) -> dict[str, Any] | None:
        """A test without what is not offered; None where it asks something else then."""
        made = {key: plain(value) for key, value in test.items() if key in _FIELDS}
        for key in sorted(set(test) - set(_FIELDS)):
            self.left_out.append(f"{where}: {key}")
        options = made.pop("options", None) or {}
        kept = {key: value for key, value in options.items() if key in _PLAIN_OPTIONS}
        for key in sorted(set(options) - set(kept)):
            self.left_out.append(f"{where}: options.{key}")
        if kept:
            made["options"] = kept
        variables = made.get("vars")
        if isinstance(variables, str):
            variables = made["vars"] = self._vars_file(variables, where)
        try:
            made["vars"] = {key: self._value(value, where) for key, value in (variables or {}).items()}
        except _LeftOut as reason:
            self.left_out.append(f"{reason}; the whole test is left out")
            return None
        for key, value in made["vars"].items():
            if isinstance(value, str) and "{{" in value:
                self.left_out.append(f"{where}: the template in the variable {key}, which stays as it is written")
        made["assert"] = list(self._assertions(test.get("assert"), where))
        try:
            TestCase.model_validate(made)
        except ValidationError as error:
            self.left_out.append(f"{where}: the whole test, for {_first(error)}")
            return None
        return {key: value for key, value in made.items() if value not in ({}, [], None)}

    def _assertions(self, given: Any, where: str) -> Iterator[dict[str, Any]]:
        for number, assertion in enumerate(given or [], 1):
            place = f"{where}, check {number}"
            if not isinstance(assertion, Mapping):
                self.left_out.append(f"{place}: it is no group of fields")
                continue
            made = {key: plain(value) for key, value in assertion.items() if value is not None}
            if set(made) == {"$ref"}:
                named = self.templates.get(str(made["$ref"]).rpartition("/")[2])
                if not isinstance(named, Mapping):
                    self.left_out.append(f"{place}: {made['$ref']}, which names no template")
                    continue
                made = dict(plain(named))
            if isinstance(made.get("provider"), str | dict):
                self.left_out.append(f"{place}: its provider; name a judge or a model of this workspace")
                del made["provider"]
            if isinstance(made.get("assert"), list):
                made["assert"] = list(self._assertions(made["assert"], place))
            try:
                made["value"] = self._value(made.get("value"), place)
            except _LeftOut as reason:
                self.left_out.append(str(reason))
                continue
            made = {key: value for key, value in made.items() if value is not None}
            try:
                Assertion.model_validate(made)
            except ValidationError as error:
                self.left_out.append(f"{place} ({made.get('type')}): {_first(error)}")
            else:
                yield made

    def _value(self, value: Any, where: str) -> Any:
        if isinstance(value, list):
            return [self._value(each, where) for each in value]
        if not isinstance(value, str) or not value.startswith(SIGN):
            return value
        if not value.lower().endswith(_FILES):
            raise _LeftOut(f"{where}: {value} is code or of a kind that is not read here")
        return self._copied(value.removeprefix(SIGN))

    def _file_of_tests(self, name: str) -> Iterator[dict[str, Any] | str]:
        plain_name = name.removeprefix(SIGN)
        if "://" in plain_name or not plain_name.lower().endswith(_CASES):
            self.left_out.append(f"{name}: tests that are not in a CSV, JSON or YAML file")
            return
        for path in self._named(plain_name):
            if path.suffix.lower() in (".yaml", ".yml", ".json"):
                value = parse(read_text(path), path.name).value
                yield from self.tests(value.get("tests") if isinstance(value, dict) else value, f"{path.name}, test")
            else:
                yield self._copied(path.relative_to(self.folder).as_posix())

    def _named(self, name: str) -> list[Path]:
        """The files of a name, or of a pattern of names."""
        if not any(sign in name for sign in "*?["):
            return [self._path(name)]
        if name.startswith("/") or ".." in Path(name).parts:
            raise UserError(f"the configuration refers to {name}, which is outside its folder; put the files into it")
        return [self._path(str(path)) for path in sorted(self.folder.glob(name)) if path.is_file()]

    def _vars_file(self, name: str, where: str) -> dict[str, Any]:
        value = parse(read_text(self._path(name.removeprefix(SIGN))), name).value
        if not isinstance(value, dict):
            raise UserError(f"{where}: {name} holds no variables")
        return dict(plain(value))

    def _copied(self, name: str) -> str:
        """The name, within the suite, of a copy of a file."""
        path = self._path(name)
        if path.stat().st_size > _MOST:
            raise UserError(f"{path} has over {_MOST >> 20} MiB")
        part = path.relative_to(self.folder).as_posix()
        self.files[part] = path.read_bytes()
        return f"{SIGN}{self.name}/{part}"

    def _path(self, name: str) -> Path:
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder):
            raise UserError(f"the configuration refers to {name}, which is outside its folder; put the file into it")
        if not path.is_file():
            raise UserError(f"the configuration refers to {name}, which is not there")
        return path


def take(file: Path, name: str) -> Taken:
    """The tests of a configuration.

    Args:
        file: promptfooconfig.yaml, or the same as JSON; a list of tests is one too.
        name: of the suite.

    Raises:
        UserError: it is no such configuration, or it has no test that can be asked.
    """
    raw = parse(read_text(file), file.name)
    if isinstance(raw.value, list):
        raw = SpecFile(raw.name, {"tests": raw.value}, {})
    config = raw.value
    if not isinstance(config, dict) or not (config.keys() & {"tests", "scenarios"}):
        raise UserError(f"{file} is no configuration of promptfoo; expected one with tests")
    taking = _Taking(file, name, config.get("assertionTemplates") or {})
    value: dict[str, Any] = {"description": config.get("description") or f"from {file.name}"}
    default = config.get("defaultTest")
    if isinstance(default, str):
        default = parse(read_text(taking._path(default.removeprefix(SIGN))), default).value
    if isinstance(default, Mapping) and (made := taking.test(default, "defaultTest")):
        value["defaultTest"] = made
    given = config.get("tests")
    value["tests"] = [*taking.tests(given), *taking.tests(list(_scenarios(config.get("scenarios"))), "test of a scenario")]
    if not value["tests"]:
        raise UserError(f"{file} has no test that can be asked here; " + "; ".join(taking.left_out[:3] or ["it has none"]))
    known = {"description", "tests", "defaultTest", "assertionTemplates", "scenarios", "prompts", "providers", "$schema"}
    for key in sorted(set(config) - known):
        taking.left_out.append(f"{key}, which is promptfoo's own")
    return Taken(value, taking.files, taking.left_out)


def _scenarios(scenarios: Any) -> Iterator[dict[str, Any]]:
    """Each test of a scenario with each of its settings, as promptfoo joins them."""
    for scenario in scenarios or []:
        if not isinstance(scenario, Mapping):
            continue
        for setting in scenario.get("config") or [{}]:
            for test in scenario.get("tests") or [{}]:
                if not isinstance(setting, Mapping) or not isinstance(test, Mapping):
                    continue
                variables = {**(setting.get("vars") or {}), **(test.get("vars") or {})}
                asked = [*(setting.get("assert") or []), *(test.get("assert") or [])]
                yield {**setting, **test, "vars": variables, "assert": asked}


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    text = str(found.get("ctx", {}).get("error", found["msg"]))
    return f"{'.'.join(str(part) for part in found['loc'])}: {text}" if found["type"] != "value_error" else text
