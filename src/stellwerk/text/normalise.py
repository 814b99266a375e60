"""Brings texts into one form: right encoding, no invisible characters, plain blanks and line ends, one Unicode form.

Every change is kept as an edit, so that a place found in the normalised text can be shown in the original (see
offsets.py). Damage that cannot be undone (U+FFFD) is counted. Knows nothing of meaning: words, case, punctuation and
HTML stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError
from stellwerk.text.mojibake import mojibake_spots
from stellwerk.text.offsets import NO_EDITS, Edits, Spots, compose, rewrite, spans_to_original, to_original
from stellwerk.text.surrogates import clean_surrogates

__all__ = ["clean_surrogates", "normalise", "spans_to_original", "to_original"]

Form: TypeAlias = Literal["NFC", "NFKC", "none"]
UNICODE_FORMS: tuple[Form, ...] = ("NFC", "NFKC", "none")
_COUNTS = ("mojibake", "controls", "spaces", "unicode", "replacement")
_MAX_ROUNDS = 12  # a repair can uncover another one (encoded twice with a zero-width space inside); each round is linear

# A row with none of these is already normal: RE2 finds them in the column without making Python strings. Everything
# between U+00A1 and U+02FF and common punctuation is stable under NFC as long as no two of them stand together.
_LOOK = (
    r"[^\t\n\x20-\x7e\x{a1}-\x{ac}\x{ae}-\x{2ff}\x{2010}-\x{2027}\x{2030}-\x{205e}\x{20a0}-\x{20bf}\x{2190}-\x{22ff}]"
    r"|[^\x00-\x7f]{2}|[ÃÂŒœ]"
)
_LOOK_COMPATIBILITY = r"[^\t\n\x20-\x7e]"

# The scan for invisible characters is one character class, which `re` finds ten times faster than alternatives; what it
# finds is looked up, and only runs and joiners, whose neighbours count, go through the full pattern.
_LINES = "\r\x0b\x0c\u0085\u2028\u2029"
_BLANKS = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_GONE = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u180e\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_JOINERS = "\u200c-\u200f\u061c"
_TAGS = "\U000e0001-\U000e007f"
_JOINING = "\u0590-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af"  # scripts in which a joiner or a mark is spelling
_PICTURE = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_SCAN = re.compile(f"[{_LINES}{_BLANKS}{_GONE}{_JOINERS}{_TAGS}]+\n?")
_UNSEEN = re.compile(
    # Tag characters spell the flags of regions after U+1F3F4; anywhere else they are a hidden copy of ASCII.
    f"(?P<flag>(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{2,6}}\U000e007f)"
    f"|(?P<line>\r\n?|[{_LINES}])"
    f"|(?P<blank>[{_BLANKS}])"
    f"|(?P<gone>(?:[{_GONE}{_TAGS}]+"
    f"|(?<![{_JOINING}{_PICTURE}])[{_JOINERS}]|[{_JOINERS}](?![{_JOINING}{_PICTURE}]))+)"
)
_INSTEAD = {"line": "\n", "blank": " ", "gone": ""}
_PLAIN = {
    char: _INSTEAD[match.lastgroup or ""]
    for char in map(chr, range(0x10000))
    if (match := _UNSEEN.fullmatch(char)) and not re.match(f"[{_JOINERS}]", char)
} | {"\r\n": "\n"}
# Characters below U+0300 never change under NFC and never combine with what stands before them, so a text may be cut
# before each; under NFKC the same holds below U+00A0.
_RUNS = {"NFC": re.compile("[\u0300-\U0010ffff]+"), "NFKC": re.compile("[\xa0-\U0010ffff]+")}


@dataclass
class _Result:
    text: str
    edits: Edits
    mojibake: int = 0
    controls: int = 0
    spaces: int = 0
    unicode: int = 0
    replacement: int = 0


def normalise(texts: Any, *, mojibake: bool = True, unicode: Form = "NFC") -> pa.Table:
    """Normalise a column of texts.

    Order of the steps: wrong encoding (mojibake), invisible characters and blanks, Unicode form; repeated until nothing
    changes, so normalising twice gives what normalising once gives. Line ends (CRLF, CR, VT, FF, NEL, U+2028, U+2029)
    become LF, blanks (NBSP, U+2000 to U+200A, U+3000 ...) become a plain blank, tabs stay. Joiners stay where they are
    spelling (between letters of Arabic or Indic scripts, in emoji); bidirectional overrides go.

    Args:
        texts: pa.Array or pa.ChunkedArray of strings; null counts as "".
        mojibake: repair text that was decoded with the wrong encoding.
        unicode: "NFC", "NFKC" or "none".

    Returns:
        A table with one row per text: text large_string; edits list<int32>, flat quadruples orig_start, orig_end,
        norm_start, norm_end in code points; the counts (int32) mojibake = repaired spots, controls = characters
        removed, spaces = blanks and line ends changed, unicode = spots brought to the Unicode form, replacement =
        U+FFFD left in the text; changed bool.

    Raises:
        UserError: if ``unicode`` is none of the three.
    """
    if unicode not in UNICODE_FORMS:
        raise UserError(f"normalise.unicode: expected one of {', '.join(UNICODE_FORMS)}, found {unicode!r}.")
    column = pc.fill_null(pc.cast(texts, pa.large_string()), "")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    look = pc.match_substring_regex(column, _LOOK_COMPATIBILITY if unicode == "NFKC" else _LOOK)
    rows = np.flatnonzero(look.to_numpy(zero_copy_only=False))
    results = [_normalise(text, mojibake, unicode) for text in column.take(pa.array(rows)).to_pylist()]
    return _table(column, look, rows, results)


def _table(column: pa.Array, look: pa.Array, rows: np.ndarray[Any, Any], results: list[_Result]) -> pa.Table:
    """Put the results of the rows that were looked at back among those that were normal already."""
    if any(len(result.edits) for result in results):
        texts = pc.replace_with_mask(column, look, pa.array([result.text for result in results], pa.large_string()))
    else:
        texts = column
    sizes = np.zeros(len(column) + 1, dtype=np.int32)
    sizes[rows + 1] = [4 * len(result.edits) for result in results]
    flat = np.concatenate([result.edits for result in results] or [NO_EDITS]).astype(np.int32).ravel()
    table = {
        "text": texts,
        "edits": pa.ListArray.from_arrays(pa.array(np.cumsum(sizes, dtype=np.int32)), pa.array(flat)),
    }
    for name in _COUNTS:
        counts = np.zeros(len(column), dtype=np.int32)
        counts[rows] = [getattr(result, name) for result in results]
        table[name] = pa.array(counts)
    table["changed"] = pa.array(sizes[1:] > 0)
    return pa.table(table)


def _normalise(text: str, mojibake: bool, form: Form) -> _Result:
    result = _Result(text, NO_EDITS)
    for _ in range(_MAX_ROUNDS):
        before = result.text
        if mojibake:
            spots = mojibake_spots(result.text)
            result.mojibake += len(spots)
            _apply(result, spots)
        _apply(result, _unseen_spots(result))
        if form != "none":
            spots = _form_spots(result.text, form)
            result.unicode += len(spots)
            _apply(result, spots)
        if result.text == before:
            break
    result.replacement = result.text.count("\ufffd")
    return result


def _apply(result: _Result, spots: Spots) -> None:
    if len(spots):
        result.text, edits = rewrite(result.text, spots)
        result.edits = compose(result.edits, edits)


def _unseen_spots(result: _Result) -> Spots:
    """Invisible characters to remove, blanks and line ends to make plain; counts them into the result."""
    text = result.text
    spots = Spots()
    for run in _SCAN.finditer(text):
        start, end = run.span()
        plain = _PLAIN.get(run.group())
        if plain is not None:
            spots.add(start, end, plain)
            continue
        while start < end:
            match = _UNSEEN.match(text, start)
            if match is not None and match.lastgroup in _INSTEAD:
                spots.add(start, match.end(), _INSTEAD[match.lastgroup])
            start = match.end() if match is not None else start + 1
    removed = spots.texts.count("")
    result.spaces += len(spots) - removed
    if removed:
        result.controls += sum(e - s for s, e, plain in zip(spots.starts, spots.ends, spots.texts, strict=True) if not plain)
    return spots


def _form_spots(text: str, form: Literal["NFC", "NFKC"]) -> Spots:
    """The spots that are not in the Unicode form, each with its character before and all its marks."""
    if text.isascii() or unicodedata.is_normalized(form, text):
        return Spots()
    spots = Spots()
    for match in _RUNS[form].finditer(text):
        start, end = max(0, match.start() - 1), match.end()
        old = text[start:end]
        new = unicodedata.normalize(form, old)
        if new != old:
            spots.add(start, end, new)
    return spots
