"""Text that was decoded with the wrong encoding: "fÃ¼r" instead of "für", also when it happened twice.

Knows where such damage may be (a fast screen), asks ftfy whether it is and what was meant, and says which spots
changed. Knows nothing of control characters, blanks or Unicode forms (see normalise.py). Only encoding is repaired:
quotes stay curly, HTML entities stay as they are.
"""

from __future__ import annotations

import re
from itertools import accumulate

import ftfy
from ftfy.badness import is_bad

from stellwerk.text.offsets import Spots
from stellwerk.text.surrogates import clean_surrogates

# Damage always shows as two neighbouring characters beyond ASCII, a C1 control, or one of the lead characters before a
# blank whose byte A0 was lost. A superset of ftfy.badness at a tenth of its cost; a test compares the two.
_PARTS = "\xa0-\u04ff\u2010-\u22ff\u2500-\u25ff\uf8ff\ufb01\ufb02\ufffd"
_SUSPECT = re.compile(
    f"[\x80-\x9f{_PARTS}](?:(?<=[\x80-\x9f])"
    f"|(?![ß-öø-ÿ])[\x80-\x9f{_PARTS}]|(?<![À-ÖØ-öø-ÿ])[ß-öø-ÿ]"  # "öß" and the like are only letters
    "|(?<=[Œœ])(?![A-Za-z])|(?<=[ÃÂ])(?= ))"
)
_PIECE = 1000  # code points on each side of a suspect place in a line without end
_CONFIG = ftfy.TextFixerConfig(
    unescape_html=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    remove_terminal_escapes=False,
    explain=False,
)
_ANCHORS = (re.compile("([ -~]+)"), re.compile("([!-~]+)"))


def mojibake_spots(text: str) -> Spots:
    """Find the places of a text that were decoded wrongly, and what they should say.

    Args:
        text: valid Unicode.

    Returns:
        The changes that repair it; none when nothing is damaged.
    """
    spots = Spots()
    at = 0
    while (match := _SUSPECT.search(text, at)) is not None:
        start, end = _piece(text, at, match.start(), match.end())
        piece = text[start:end]
        if is_bad(piece):
            fixed = clean_surrogates(ftfy.fix_encoding(piece, _CONFIG))
            if fixed != piece:
                _add_differences(spots, start, piece, fixed)
        at = end
    return spots


def _piece(text: str, floor: int, start: int, end: int) -> tuple[int, int]:
    """The line around a suspect place, or in a very long line the words around it, never before ``floor``."""
    low = max(floor, start - _PIECE)
    left = text.rfind("\n", low, start) + 1
    if not left:
        left = low if low == floor else text.rfind(" ", low, start) + 1 or low
    high = min(len(text), end + _PIECE)
    right = text.find("\n", end, high)
    if right < 0:
        right = high
        if high < len(text):
            blank = text.rfind(" ", end + 1, high)
            right = blank if blank > 0 else high
    return left, right


def _add_differences(spots: Spots, start: int, piece: str, fixed: str) -> None:
    """Add the spots where two versions of the piece at ``start`` differ.

    They are aligned on printable ASCII, which a repair of the encoding never touches.
    """
    for anchor in _ANCHORS:
        old, new = anchor.split(piece), anchor.split(fixed)
        if len(old) == len(new) and old[1::2] == new[1::2]:
            break
    else:
        old, new = [piece], [fixed]
    starts = accumulate(map(len, old), initial=start)
    for at, before, after in zip(starts, old, new, strict=False):
        if before != after:
            head, tail = _common(before, after)
            spots.add(at + head, at + len(before) - tail, after[head : len(after) - tail])


def _common(before: str, after: str) -> tuple[int, int]:
    """Lengths of the common start and the common end of two different strings, which do not overlap in either."""
    limit = min(len(before), len(after))
    head = 0
    while head < limit and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < limit - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return head, tail
