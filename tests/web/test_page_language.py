"""Every text of the pages has a German one, and the German ones keep to the words of the design."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

from stellwerk.doors.web import language
from stellwerk.doors.web.told import SHAPES, told
from stellwerk.operation import load_all

WEB = Path(language.__file__).parent
GERMAN = sorted((language.LOCALE / "de").glob("*.po"))
SOURCES = sorted([*WEB.glob("templates/*.html"), *WEB.glob("*.py")])
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "text": (2,), "plural": (2, 3)}
# Words of the design in English that a German page does not use, where they stand as words of their own.
FORBIDDEN = re.compile(
    r"\b(gates?|releases?|waivers?|runs?|findings?|assets?|jobs?|dossiers?|candidates?|steps?|operations?|lineage|workspaces?|"
    r"records?|journals?|aliases|systems?|evidence|signal (?:gr\u00fcn|rot|gelb)|du|dein\w*|dir|dich)\b",
    re.IGNORECASE,
)


def messages(source: Path) -> Iterator[tuple[str, ...]]:
    """The texts that a template or module shows, each with its plural where it has one."""
    method = "jinja2.ext:babel_extract" if source.suffix == ".html" else "python"
    with source.open("rb") as file:
        for _, message, _, _ in extract(method, file, KEYWORDS, options={"newstyle_gettext": "true"}):
            yield (message,) if isinstance(message, str) else tuple(message)


def translations(path: Path) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    with path.open("rb") as file:
        for message in read_po(file, locale="de"):
            if message.id:
                yield (
                    tuple([message.id] if isinstance(message.id, str) else message.id),
                    tuple([message.string] if isinstance(message.string, str) else message.string),
                )


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_text_of_a_page_has_a_german_one(source: Path) -> None:
    known = {key[0]: (key, value) for path in GERMAN for key, value in translations(path)}
    for message in messages(source):
        key, value = known.get(message[0], ((), ()))
        assert key == message, f"no German text, or another plural: {message}"
        assert all(value), message


@pytest.mark.parametrize("path", GERMAN, ids=lambda path: path.name)
def test_german_texts_use_the_words_of_the_design(path: Path) -> None:
    for key, value in translations(path):
        for said in value:
            assert not FORBIDDEN.search(re.sub(r"%\(\w+\)s|[\w./-]*[./=_-][\w./-]*", " ", said)), (key, said)


@pytest.mark.parametrize("path", GERMAN, ids=lambda path: path.name)
def test_german_texts_name_the_same_values(path: Path) -> None:
    for key, value in translations(path):
        wanted = {name for text in key for name in re.findall(r"%\((\w+)\)s", text)}
        assert all(set(re.findall(r"%\((\w+)\)s", said)) == wanted for said in value), key


def test_a_text_has_one_german_text_only() -> None:
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    for path in GERMAN:
        for key, value in translations(path):
            assert key[0] not in found, f"{key[0]!r} stands in {path.name} and in {found[key[0]][1]}"
            found[key[0]] = (value, path.name)


def test_sentences_of_operations_are_told_in_german_with_their_values() -> None:
    german = language.words("de")
    assert told(german, "source manuals: 2 rows or files could not be read") == (
        "Quelle manuals: 2 Zeilen oder Dateien waren nicht lesbar"
    )
    assert told(german, "one of the values") == "one of the values"
    assert all(german.has(shape) for shape in SHAPES)
    assert told(language.words("en"), "every row has a value") == "every row has a value"


def test_every_parameter_and_field_of_a_result_has_a_german_name() -> None:
    german = language.words("de")
    names = {name for entry in load_all() for name in entry.parameters}
    for entry in load_all():
        for part in (entry.result_schema, *entry.result_schema.get("$defs", {}).values()):
            names |= set(part.get("properties") or {})
    assert [name for name in sorted(names) if not german.has(name.replace("_", " "))] == []
