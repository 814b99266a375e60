"""Writing systems: which script a text is written in, and which languages are written in it.

Knows Unicode scripts and the languages of the language model for each. Knows nothing of words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

LATIN = "Latin"
LANGUAGES: dict[str, tuple[str, ...]] = {
    "Cyrillic": ("ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "mn", "tg"),
    "Greek": ("el",),
    "Arabic": ("ar", "fa", "ur", "ps", "ug"),
    "Hebrew": ("he",),
    "Han": ("zh",),
    "Japanese": ("ja",),
    "Hangul": ("ko",),
    "Devanagari": ("hi", "mr", "ne"),
    "Bengali": ("bn", "as"),
    "Gurmukhi": ("pa",),
    "Gujarati": ("gu",),
    "Oriya": ("or",),
    "Tamil": ("ta",),
    "Telugu": ("te",),
    "Kannada": ("kn",),
    "Malayalam": ("ml",),
    "Sinhala": ("si",),
    "Thai": ("th",),
    "Lao": ("lo",),
    "Myanmar": ("my",),
    "Khmer": ("km",),
    "Georgian": ("ka",),
    "Armenian": ("hy",),
    "Ethiopic": ("am",),
}
"""Languages by script, for every script but Latin."""

# A sign of these scripts is a syllable or a word, so it weighs as much as three letters.
_SIGNS = ("Han", "Japanese", "Hangul")
_KANA = r"[\p{Hiragana}\p{Katakana}]"
_KANA_SHARE = 0.05  # Japanese mixes Han with kana; Chinese has no kana but in names


# By the first byte of UTF-8, which numpy counts fifty times faster than a regular expression: 0xC3 to 0xCB begin Latin
# letters, 0xCD to 0xDF Greek to Arabic, 0xE0, 0xE1 and 0xE3 to 0xED the letters of Asia; 0xC2 and 0xE2 begin signs.
_LETTER = np.zeros(256, dtype=np.uint8)
_LETTER[[*range(0x41, 0x5B), *range(0x61, 0x7B), *range(0xC3, 0xCC), *range(0xCD, 0xE2), *range(0xE3, 0xEE)]] = 1
_FOREIGN = np.where(np.arange(256) >= 0xCD, _LETTER, 0).astype(np.uint8)


def letters(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Number of letters of each text, by blocks of Unicode (a few signs in blocks of letters count too), shape (n,)."""
    return _count_bytes(texts, _LETTER)


def dominant(texts: pa.Array) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
    """The script that most letters of each text belong to.

    Args:
        texts: large strings without null, n of them.

    Returns:
        Names of scripts, "Latin" or a key of ``LANGUAGES`` (also "Latin" when there is no letter, "Other" for a script
        that is not listed), and the weighted share of the letters that it has, each of shape (n,).
    """
    names: npt.NDArray[np.object_] = np.full(len(texts), LATIN, dtype=object)
    total, foreign = letters(texts), _count_bytes(texts, _FOREIGN)
    shares: npt.NDArray[np.float32] = (1 - foreign / np.maximum(total, 1)).astype(np.float32)
    # Even weighed three times, a smaller part than this cannot be the larger one.
    rows = np.flatnonzero(foreign * 3 > total - foreign)
    if len(rows):
        names[rows], shares[rows] = _weigh(texts.take(pa.array(rows)))
    return names, shares


def _weigh(texts: pa.Array) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
    latin = _count(texts, r"\p{Latin}")
    foreign = _count(texts, r"[^\P{L}\p{Latin}]")
    scripts = [LATIN, *LANGUAGES, "Other"]
    weights = np.zeros((len(texts), len(scripts)), dtype=np.float32)
    weights[:, 0] = latin
    counted = np.zeros(len(texts), dtype=np.int64)
    for column, script in enumerate(scripts[1:-1], start=1):
        counts = _count(texts, _KANA if script == "Japanese" else rf"[^\P{{L}}\P{{{script}}}]")
        counted += counts
        weights[:, column] = counts * (3 if script in _SIGNS else 1)
    weights[:, -1] = np.maximum(foreign - counted, 0)
    han, kana = scripts.index("Han"), scripts.index("Japanese")
    both = weights[:, han] + weights[:, kana]
    japanese = weights[:, kana] > _KANA_SHARE * both
    weights[:, kana] = np.where(japanese, both, 0)
    weights[:, han] = np.where(japanese, 0, both)
    best = weights.argmax(axis=1)
    share = weights[np.arange(len(weights)), best] / np.maximum(weights.sum(axis=1), 1)
    return np.array(scripts, dtype=object)[best], share.astype(np.float32)


def _count(texts: Any, pattern: str) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = pc.count_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return counts.astype(np.int64)


def _count_bytes(texts: pa.Array, table: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    if not len(texts):
        return np.zeros(0, dtype=np.int64)
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    total = np.concatenate([[0], np.cumsum(table[data], dtype=np.int64)])
    counts: npt.NDArray[np.int64] = np.diff(total[offsets - offsets[0]])
    return counts
