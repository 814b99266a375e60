"""Sentences that operations write in English, told in the reader's language where their shape is known.

What a run found stays in the record as it was said then. Knows shapes of sentences; a sentence of another shape stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

from stellwerk.doors.web.language import Words

SHAPES: Final = (
    "source %(source)s: %(count)s rows or files could not be read",
    "source %(source)s: %(count)s rows belong to no document",
    "source %(source)s: column %(column)s is gone and %(other)s of the same type came: perhaps renamed",
    "source %(source)s: column %(column)s is gone",
    "source %(source)s: column %(column)s is new (%(type)s)",
    "source %(source)s: column %(column)s was %(type)s, now %(other)s",
    "%(count)s exact, %(near)s near (Jaccard at least %(share)s)",
    "%(count)s texts in the wrong encoding (repairable), %(lost)s with characters that are lost",
    "%(encoding)s; separator %(sign)s",
    "at most %(share)s of the rows without a value",
    "every row has a value",
    "no value twice",
    "one of %(count)s values",
    "assigned",
    "never tested",
    "changed since %(ref)s was tested",
    "tested with %(ref)s, now there is %(other)s",
    "Nothing is asked of %(count)s cases; they stay unscored. Give them an expected answer or checks.",
    "No check looks at the expected answer of %(count)s cases; use {{expected}} in a value.",
    "No case is for testing, so that nothing measured with this suite counts for a gate.",
    "With %(count)s cases for testing only large differences can be told from chance: see evaluation power.",
    "%(count)s cases have no cluster and count as independent of all others.",
    "There are only %(count)s clusters; intervals over so few are wide and unsure.",
    "No case is held out, so that a prompt that is optimised with this suite cannot be proven on fresh cases.",
    "Some cases lack the variables %(names)s.",
    "No language is said, so that the checks of language follow the language of the inputs.",
)
"""Each is a text of the catalogue too; the first that fits is taken."""


NUMBERS: Final = dict.fromkeys(("count", "near", "lost", "share"), r"\d[\d.,]*")


def told(words: Words, sentence: str) -> str:
    """A sentence in the reader's language.

    Args:
        words: of the reader.
        sentence: of an operation, in English.
    """
    for shape, pattern in _PATTERNS:
        found = pattern.fullmatch(sentence)
        if found and words.has(shape):
            return words.gettext(shape) % found.groupdict()
    return sentence


def _pattern(shape: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", shape)
    return re.compile(
        "".join(f"(?P<{part}>{NUMBERS.get(part, '.+?')})" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    )


_PATTERNS: Final = [(shape, _pattern(shape)) for shape in SHAPES]
