"""The quality scores by name: what each number says, in which unit, and whose rule it is.

Imports nothing, so that a spec file can be checked and a page written without numpy. `quality.py` computes the scores.
"""

from __future__ import annotations

from typing import NamedTuple

TOP_SIZES = (2, 3, 4)
"""Lengths n of which the most frequent n-gram is scored (Gopher)."""
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
"""Lengths n of which the repeated n-grams are scored (Gopher)."""


class Score(NamedTuple):
    """What a quality score is, for pages and the command line."""

    title: str
    description: str
    unit: str
    source: str


_OWN = "Stellwerk"
_GOPHER = "Gopher, arXiv:2112.11446, Table A1"
_FINEWEB = "FineWeb, arXiv:2406.17557"
_C4 = "C4, arXiv:1910.10683"


def _share(title: str, description: str, source: str) -> Score:
    return Score(title, "Share of the " + description, "share", source)


_SIZE = {
    "chars": Score("Characters", "Length of the text in characters.", "characters", _OWN),
    "words": Score("Words", "Runs of letters, digits and underscores.", "words", _GOPHER),
    "lines": Score("Lines", "Lines that are not blank.", "lines", _OWN),
    "mean_word_length": Score("Mean word length", "Mean length of a word; high in tables of codes.", "characters", _GOPHER),
}
_LAYOUT = {
    "alpha_word_share": _share(
        "Words with a letter", "words between white space that hold a letter; low in tables of numbers.", _GOPHER
    ),
    "symbol_word_ratio": Score(
        "Symbols per word", "Number signs (#) and ellipses (… or ...) per word; high in tag lists.", "ratio", _GOPHER
    ),
    "bullet_line_share": _share("Bullet lines", "lines that begin with a bullet.", _GOPHER),
    "ellipsis_line_share": _share("Lines that break off", "lines that end with an ellipsis.", _GOPHER),
    "end_punctuation_line_share": _share(
        "Lines that end a sentence", "lines that end with . ! ? … or a quotation mark; low in menus and tables.", _C4
    ),
    "short_line_share": _share("Short lines", "lines with at most 30 characters.", _FINEWEB),
    "newline_ratio": Score("Line breaks per word", "Line breaks per word; high in lists and menus.", "ratio", _FINEWEB),
}
_ALPHABET = {
    "digit_share": _share("Digits", "characters that are decimal digits.", _OWN),
    "uppercase_share": _share("Capitals", "letters that are upper case.", _OWN),
    "non_ascii_share": _share("Non-ASCII characters", "characters outside ASCII; high in broken encodings.", _OWN),
    "stop_word_count": Score(
        "Function words",
        "How many different function words of the language occur (German or English; the better one if it is unknown).",
        "words",
        _GOPHER,
    ),
    "stop_word_share": _share(
        "Share of function words", "words that are function words; low in lists, code and other languages.", _OWN
    ),
}
_REPETITION = {
    "duplicate_line_share": _share("Repeated lines", "lines that stood in the text before.", _GOPHER),
    "duplicate_line_char_share": _share(
        "Characters in repeated lines", "characters in lines that stood in the text before.", _GOPHER
    ),
    "duplicate_paragraph_share": _share("Repeated paragraphs", "paragraphs that stood in the text before.", _GOPHER),
    "duplicate_paragraph_char_share": _share(
        "Characters in repeated paragraphs", "characters in paragraphs that stood in the text before.", _GOPHER
    ),
    **{
        f"top_{size}gram_share": _share(
            f"Most frequent {size} words in a row",
            f"characters that the most frequent run of {size} words covers, if it occurs at least twice.",
            _GOPHER,
        )
        for size in TOP_SIZES
    },
    **{
        f"duplicate_{size}gram_share": _share(
            f"Repeated runs of {size} words",
            f"characters in runs of {size} words that stood in the text before.",
            _GOPHER,
        )
        for size in DUPLICATE_SIZES
    },
}
_DAMAGE = {
    "incomplete_end": Score(
        "Cut off at the end",
        "1: ends with a mark of a cut, a comma, a hyphen, an open bracket, a function word or letters that end no "
        "German or English word; 0.5: only the last of several sentences has no full stop; else 0.",
        "0, 0.5 or 1",
        _OWN,
    ),
    "base64_share": _share(
        "Encoded data", "characters in runs of 60 or more letters and digits without a gap (base64, keys).", _OWN
    ),
}

SCORES: dict[str, Score] = {**_SIZE, **_LAYOUT, **_ALPHABET, **_REPETITION, **_DAMAGE}
"""All scores by the names of their columns, in their order."""
COUNTS = frozenset({"chars", "words", "lines", "stop_word_count"})
"""The scores that are whole numbers."""
