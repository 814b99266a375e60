"""Quality scores of a batch of texts: the numbers by which a selection keeps or drops a document.

One row of numbers per text, all of them computed once; which bounds matter is decided later, by the selection of a
dataset.
Rules after Gopher (Rae et al. 2021, arXiv:2112.11446, Table A1), C4 (arXiv:1910.10683) and FineWeb
(arXiv:2406.17557). Knows no
thresholds, and not which language a text is in: it can be told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stellwerk.text import lines as layout
from stellwerk.text.characters import (
    BASE64,
    DIGIT,
    F64,
    I64,
    LETTER,
    SPACE,
    U64,
    UPPER,
    Characters,
    blocks,
    characters,
    counts_between,
    owners,
    runs,
    stretch_hashes,
    text_array,
)
from stellwerk.text.endings import incomplete_ends
from stellwerk.text.lines import Stretches, ratio
from stellwerk.text.ngrams import duplicate_characters, repeated, top_characters
from stellwerk.text.quality_scores import COUNTS, DUPLICATE_SIZES, SCORES, TOP_SIZES
from stellwerk.text.tokens import Tokens, document_of, tokenize, word_runs

ENCODED_RUN = 60
"""Characters from which a run of base64 characters counts as encoded data; a PEM or MIME line has 64 or 76."""

_GERMAN = (
    "aber als am an auch auf aus bei bin bitte da das dass dem den der des die durch ein eine einem einen einer "
    "es für hat habe haben ich ihr im in ist kann mit nach nicht noch nur oder sich sie sind so über um und uns "
    "von vor war wenn werden wie wir wird zu zum zur"
)
_ENGLISH = (
    "a about an and are as at be been but by can could do for from had has have he i if in is it its me my no not "
    "of on or our please she so that the their there they this to was we were will with would you your"
)
STOP_WORDS = {"de": _GERMAN.split(), "en": _ENGLISH.split()}
"""Function words by which running text is told from lists and data."""


SCHEMA = pa.schema([pa.field(name, pa.int32() if name in COUNTS else pa.float32(), nullable=False) for name in SCORES])
"""Columns of `scores`."""


def scores(
    texts: pa.Array | pa.ChunkedArray | Sequence[str | None], languages: pa.Array | Sequence[str | None] | None = None
) -> pa.Table:
    """Score a batch of texts.

    Args:
        texts: strings; a missing one counts as empty. Empty texts score 0 everywhere.
        languages: language code per text, for the function words; where it is neither de nor en, or absent, the
        language
            with more of them counts.

    Returns:
        One row per text in the same order, columns as `SCORES`.
    """
    array = text_array(texts)
    codes = _language_codes(languages, len(array))
    tables, row = [], 0
    for block in blocks(array):
        columns = _block_scores(block, codes[row : row + len(block)])
        row += len(block)
        arrays = [pa.array(columns[field.name].astype(np.int32 if field.name in COUNTS else np.float32)) for field in SCHEMA]
        tables.append(pa.Table.from_arrays(arrays, schema=SCHEMA))
    return pa.concat_tables(tables).combine_chunks() if tables else SCHEMA.empty_table()


def _block_scores(block: pa.LargeStringArray, languages: npt.NDArray[np.int8]) -> dict[str, F64]:
    chars = characters(block)
    words = _gapless(chars)
    lines, paragraphs = layout.lines_and_paragraphs(chars, words)
    begin, end = word_runs(chars)
    word_hashes, line_hashes, paragraph_hashes = stretch_hashes(
        chars.codes, (begin, end), (lines.begin, lines.end), (paragraphs.begin, paragraphs.end)
    )
    tokens = Tokens(word_hashes, np.searchsorted(begin, chars.starts), (end - begin).astype(np.int32))
    return {
        **_character_scores(chars, tokens, words),
        **layout.line_scores(chars, lines, line_hashes),
        **layout.paragraph_scores(chars, paragraphs, paragraph_hashes),
        **_repetition_scores(chars, tokens),
        **_stop_word_scores(tokens, languages),
        "incomplete_end": incomplete_ends(block),
        "base64_share": _encoded_share(chars),
    }


def _gapless(chars: Characters) -> Stretches:
    begin, end = runs((chars.classes & SPACE) == 0, chars.starts)
    return Stretches(begin, end, owners(begin, chars.starts))


def _character_scores(chars: Characters, tokens: Tokens, words: Stretches) -> dict[str, F64]:
    total = np.diff(chars.starts)
    documents = len(total)
    letters = (chars.classes & LETTER) != 0
    word_count = np.diff(tokens.starts)
    word_chars = np.bincount(document_of(tokens), tokens.lengths, minlength=documents)
    with_letter = np.bincount(words.document[_holding(letters, words)], minlength=documents)
    symbols = counts_between(chars.codes == ord("#"), chars.starts) + layout.ellipses(chars)
    newlines = counts_between(chars.codes == ord("\n"), chars.starts)
    return {
        "chars": total.astype(np.float64),
        "words": word_count.astype(np.float64),
        "mean_word_length": ratio(word_chars, word_count),
        "alpha_word_share": ratio(with_letter, np.bincount(words.document, minlength=documents)),
        "symbol_word_ratio": symbols / np.maximum(word_count, 1),
        "newline_ratio": newlines / np.maximum(word_count, 1),
        "digit_share": ratio(counts_between((chars.classes & DIGIT) != 0, chars.starts), total),
        "uppercase_share": ratio(
            counts_between((chars.classes & (UPPER | LETTER)) == UPPER | LETTER, chars.starts),
            counts_between(letters, chars.starts),
        ),
        "non_ascii_share": ratio(counts_between(chars.codes > 127, chars.starts), total),
    }


def _holding(mask: npt.NDArray[np.bool_], words: Stretches) -> npt.NDArray[np.bool_]:
    """Which stretches hold at least one true value."""
    before = np.zeros(len(mask) + 1, np.int32)
    np.cumsum(mask, out=before[1:])
    return before[words.end] > before[words.begin]


def _repetition_scores(chars: Characters, tokens: Tokens) -> dict[str, F64]:
    total = np.diff(chars.starts)
    result = {f"top_{size}gram_share": np.zeros(len(total)) for size in TOP_SIZES}
    result |= {f"duplicate_{size}gram_share": np.zeros(len(total)) for size in DUPLICATE_SIZES}
    for found in repeated(tokens, max(DUPLICATE_SIZES)):
        if found.size in TOP_SIZES:
            result[f"top_{found.size}gram_share"] = ratio(top_characters(tokens, found), total)
        if found.size in DUPLICATE_SIZES:
            result[f"duplicate_{found.size}gram_share"] = ratio(duplicate_characters(tokens, found), total)
    return result


def _stop_word_scores(tokens: Tokens, languages: npt.NDArray[np.int8]) -> dict[str, F64]:
    """Function words of the text's language, or of the one with more of them."""
    documents = len(languages)
    different, all_of_them = np.zeros((2, documents)), np.zeros((2, documents))
    for row, words in enumerate(STOP_WORDS.values()):
        listed = np.sort(tokenize(words).hashes)
        where, which = _find(tokens.hashes, listed)
        document = owners(where, tokens.starts)
        seen = np.zeros((documents, len(listed)), np.bool_)
        seen[document, which] = True
        different[row] = seen.sum(axis=1)
        all_of_them[row] = np.bincount(document, minlength=documents)
    better = np.where(all_of_them[1] > all_of_them[0], 1, 0)
    chosen = np.where(languages >= 0, languages, better)
    rows = np.arange(documents)
    return {
        "stop_word_count": different[chosen, rows],
        "stop_word_share": ratio(all_of_them[chosen, rows], np.diff(tokens.starts)),
    }


def _find(hashes: U64, listed: U64) -> tuple[I64, I64]:
    """Where the hashes are in a short sorted list, and at which place of it; a table of 16 bits sorts most words
    out."""
    low = np.uint64(0xFFFF)
    table = np.zeros(1 << 16, np.bool_)
    table[listed & low] = True
    where = np.flatnonzero(table[hashes & low])
    place = np.minimum(np.searchsorted(listed, hashes[where]), len(listed) - 1)
    hit = listed[place] == hashes[where]
    return where[hit], place[hit]


def _encoded_share(chars: Characters) -> F64:
    begin, end = runs((chars.classes & BASE64) != 0, chars.starts)
    long = np.flatnonzero(end - begin >= ENCODED_RUN)
    stretches = Stretches(begin[long], end[long], owners(begin[long], chars.starts))
    if len(long):
        letter = _holding((chars.classes & LETTER) != 0, stretches)
        digit = _holding((chars.classes & DIGIT) != 0, stretches)
        stretches = Stretches(*(part[letter & digit] for part in stretches))
    length = stretches.end - stretches.begin
    total = np.diff(chars.starts)
    return ratio(np.bincount(stretches.document, length, minlength=len(total)), total)


def _language_codes(languages: pa.Array | Sequence[str | None] | None, documents: int) -> npt.NDArray[np.int8]:
    """Row of `STOP_WORDS` per text, -1 where the language is unknown."""
    if languages is None:
        return np.full(documents, -1, np.int8)
    values = languages.to_pylist() if hasattr(languages, "to_pylist") else languages
    rows = {language: row for row, language in enumerate(STOP_WORDS)}
    return np.fromiter((rows.get(value or "", -1) for value in values), np.int8, documents)
