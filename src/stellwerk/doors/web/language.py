"""The languages of the pages: which one a request wants, and its words.

English is the language of the source texts; `locale/de/*.po` hold the German ones, a file for each module of pages. Numbers and
dates follow the language too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from babel.core import negotiate_locale
from babel.messages.pofile import read_po

from stellwerk.report.words import Language

if TYPE_CHECKING:
    from starlette.requests import Request

COOKIE = "stellwerk_language"
LOCALE = Path(__file__).parent / "locale"
LANGUAGES: dict[str, Language] = {"en": "en", "de": "de"}


def language_of(request: Request) -> Language:
    """The language that a request asks for: in its address, by its cookie, or by what the browser prefers."""
    for wanted in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if wanted in LANGUAGES:
            return LANGUAGES[wanted]
    accepted = [part.split(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")[:20]]
    return LANGUAGES[negotiate_locale([tag for tag in accepted if tag], list(LANGUAGES), sep="-") or "en"]


class Words:
    """The texts of a language; one that is missing stays English."""

    def __init__(self, language: Language) -> None:
        self._texts = _catalogue(language)

    def gettext(self, message: str) -> str:
        """The text in this language."""
        found = self._texts.get(message, message)
        return found if isinstance(found, str) else found[0]

    def has(self, message: str) -> bool:
        """Whether there is a text for it in this language."""
        return message in self._texts

    def ngettext(self, singular: str, plural: str, num: int) -> str:
        """The text for a number of things; English and German both have one form for one and another for the rest."""
        found = self._texts.get(singular, (singular, plural))
        return found if isinstance(found, str) else found[num != 1]


@cache
def words(language: Language) -> Words:
    """The texts of a language, read once."""
    return Words(language)


@cache
def _catalogue(language: Language) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, str | tuple[str, ...]] = {}
    for path in sorted((LOCALE / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id and message.string and not message.fuzzy:
                    key = message.id if isinstance(message.id, str) else message.id[0]
                    found[key] = message.string if isinstance(message.string, str) else tuple(message.string)
    return found
