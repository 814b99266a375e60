"""In which language a text is written, and how much of it.

Script first, then py3langid's naive Bayes over the languages that are expected and the other large ones of that script
(a text can only be recognised as foreign if its language is a candidate), with a prior for the expected ones and, in
texts of few words, the evidence of German and English function words. Knows nothing of what language is wanted: that is
a selection over its columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError
from stellwerk.text import langid_batch, scripts

UNDETERMINED = "und"
OTHERS = (
    *("de", "en", "fr", "es", "it", "pt", "nl", "pl", "cs", "sk", "sl", "hr", "ro", "hu"),
    *("sv", "da", "no", "fi", "et", "lv", "lt", "tr", "ca", "id"),
)
"""Languages in Latin script that a text is compared with besides the expected ones."""

_HEAD = 2_000  # code points that are looked at
_READ = 3 * _HEAD  # code points that are read to find them among code and addresses
_MIN_LETTERS = 3
_ENOUGH_LETTERS = 20  # with fewer left after removing code, the text is its code
_SHORT_WORDS = 8
_SHORT_BYTES = 400  # no eight words are longer
_PRIOR = 1.0  # log odds; highest for which foreign lines taken for expected ones stay under 1 % (16 languages)
_SAMPLE_LINES = 16  # lines of a document that language_share looks at
_SAMPLE_LETTERS = 30  # a line with fewer says too little
_SAMPLE_SCORE = 0.7  # a line with less does not vote

_NOT_PROSE = (
    r"(?s)```.*?(?:```|\z)",
    r"(?s)<!--.*?(?:-->|\z)",
    r"`[^`\n]*`",
    r"</?[A-Za-z!][^<>]*>",
    r"\b\w+://\S+|\bwww\.\S+|\S+@\S+",
    r"\S*\d\S*",
)
_FUNCTION_WORDS = {
    "de": "der die das den dem des ein eine einer eines einem einen und oder ist sind wird werden wurde nicht mit für"
    " auf von zu zum zur im bei aus nach durch über auch sich ich sie er wir wie wenn dass kann haben hat nur keine kein"
    " bitte",
    "en": "the a and or is are were be been not with for on of to at by from as this that these it we you they if can"
    " have has will would should which only no please",
}


def detect(texts: Any, languages: Sequence[str], *, others: Sequence[str] = OTHERS) -> pa.Table:
    """Detect the language of each text.

    Args:
        texts: pa.Array or pa.ChunkedArray of strings, normalised (see normalise.py); null counts as "".
        languages: ISO 639-1 codes of the languages that are expected; they are a little preferred.
        others: languages in Latin script to compare with; empty means that a text in Latin script must be one of
            ``languages``.

    Returns:
        A table with one row per text: language string (ISO 639-1, "und" with fewer than three letters or in a script
        without a known language); language_score float32, its probability among the candidates (0 with "und");
        language_share float32, the share of the document's text in that language by a sample of up to 16 of its lines
        (1 when no line is long enough to say; 0 with "und").

    Raises:
        UserError: if a language is not known.
    """
    column = pc.fill_null(pc.cast(texts, pa.large_string()), "")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    _check(languages, others)
    head = _prose(column)
    names, scores = _detect(head, languages, others)
    shares = _shares(head, names, languages, others)
    return pa.table(
        {
            "language": pa.array(names, pa.string()),
            "language_score": pa.array(scores, pa.float32()),
            "language_share": pa.array(shares, pa.float32()),
        }
    )


def _check(languages: Sequence[str], others: Sequence[str]) -> None:
    known = set(langid_batch.model().labels) - {"zxx"}
    unknown = [language for language in (*languages, *others) if language not in known]
    if unknown:
        raise UserError(
            f"languages: {unknown[0]!r} is not a language that can be detected; use ISO 639-1 codes such as"
            f" {', '.join(OTHERS[:6])}."
        )
    if not languages and not others:
        raise UserError("languages: name at least one language, for example [de, en].")


def _prose(column: pa.Array) -> pa.Array:
    """The first 2,000 code points of each text that are prose, not code, markup, addresses or numbers."""
    read = pc.utf8_slice_codeunits(column, 0, _READ)
    prose = read
    for pattern in _NOT_PROSE:
        prose = pc.replace_substring_regex(prose, pattern, " ")
    prose = pc.utf8_slice_codeunits(prose, 0, _HEAD)
    only_code = scripts.letters(prose) < _ENOUGH_LETTERS
    text = pc.if_else(pa.array(only_code), pc.utf8_slice_codeunits(read, 0, _HEAD), prose)
    return pc.if_else(pc.utf8_is_upper(text), pc.utf8_lower(text), text)


def _detect(
    texts: pa.Array, languages: Sequence[str], others: Sequence[str]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
    """Language and probability of each text, without preparing it."""
    names: npt.NDArray[np.object_] = np.full(len(texts), UNDETERMINED, dtype=object)
    scores = np.zeros(len(texts), dtype=np.float32)
    script, share = scripts.dominant(texts)
    says = scripts.letters(texts) >= _MIN_LETTERS
    for found in sorted(set(script[says])):
        rows = np.flatnonzero(says & (script == found))
        candidates = _candidates(found, languages, others)
        if len(candidates) == 1 and found != scripts.LATIN:
            names[rows], scores[rows] = candidates[0], share[rows]
        elif candidates:
            names[rows], scores[rows] = _classify(texts.take(pa.array(rows)), candidates, languages)
    return names, scores


def _candidates(script: str, languages: Sequence[str], others: Sequence[str]) -> list[str]:
    if script != scripts.LATIN:
        return list(scripts.LANGUAGES.get(script, ()))
    elsewhere = {language for group in scripts.LANGUAGES.values() for language in group} - {"sr", "uz", "az"}
    return list(dict.fromkeys(language for language in (*languages, *others) if language not in elsewhere))


def _classify(
    texts: pa.Array, candidates: list[str], languages: Sequence[str]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    logits = langid_batch.model().logits(data, offsets, candidates)
    logits[:, [language in languages for language in candidates]] += _PRIOR
    _add_function_words(logits, texts, candidates)
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    best = probabilities.argmax(axis=1)
    return np.array(candidates, dtype=object)[best], probabilities[np.arange(len(best)), best]


def _add_function_words(logits: langid_batch.Floats, texts: pa.Array, candidates: list[str]) -> None:
    """In texts of under eight words, add the function words found, divided by the square root of the words."""
    rows = np.flatnonzero(pc.binary_length(texts).to_numpy() < _SHORT_BYTES)
    short = texts.take(pa.array(rows))
    words = pc.count_substring_regex(short, r"\p{L}+").to_numpy(zero_copy_only=False)
    few = np.flatnonzero(words < _SHORT_WORDS)
    if not len(few):
        return
    rows, words = rows[few], words[few]
    # Two blanks between words, so that neighbours can both match with their blanks.
    spaced = pc.replace_substring_regex(pc.utf8_lower(short.take(pa.array(few))), r"\P{L}+", "  ")
    blank = pa.scalar(" ", pa.large_string())
    spaced = pc.binary_join_element_wise(blank, spaced, blank, pa.scalar("", pa.large_string()))
    for language, listed in _FUNCTION_WORDS.items():
        if language in candidates:
            hits = pc.count_substring_regex(spaced, f" (?:{listed.replace(' ', '|')}) ").to_numpy(zero_copy_only=False)
            logits[rows, candidates.index(language)] += hits / np.sqrt(np.maximum(words, 1))


def _shares(
    texts: pa.Array, names: npt.NDArray[np.object_], languages: Sequence[str], others: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Share of the letters in a sample of each document's lines that are in the document's own language."""
    shares: npt.NDArray[np.float32] = (names != UNDETERMINED).astype(np.float32)
    lines = pc.split_pattern(texts, "\n")
    document = np.asarray(pc.list_parent_indices(lines)).astype(np.int64)
    flat = pc.list_flatten(lines)
    size = scripts.letters(flat)
    long_enough = np.flatnonzero((size >= _SAMPLE_LETTERS) & (names[document] != UNDETERMINED))
    per_document = np.bincount(document[long_enough], minlength=len(texts))
    long_enough = long_enough[per_document[document[long_enough]] > 1]
    if not len(long_enough):
        return shares
    sample = long_enough[_spread(document[long_enough])]
    found, scores = _detect(flat.take(pa.array(sample)), languages, others)
    owner = document[sample]
    weight = np.where(scores >= _SAMPLE_SCORE, size[sample], 0).astype(np.float64)
    total = np.bincount(owner, weight, minlength=len(texts))
    own = np.bincount(owner, weight * (found == names[owner]), minlength=len(texts))
    rows = total > 0
    shares[rows] = own[rows] / total[rows]
    return shares


def _spread(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mask of up to 16 members of each group, spread evenly; groups is sorted."""
    counts = np.bincount(groups)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.arange(len(groups)) - starts[groups]
    size = counts[groups]
    step = np.maximum(size, _SAMPLE_LINES)
    chosen: npt.NDArray[np.bool_] = rank * _SAMPLE_LINES // step != (rank - 1) * _SAMPLE_LINES // step
    return chosen
