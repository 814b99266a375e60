"""The kernels that tag documents: normalised text, language, quality scores, signatures, personal data.

Each turns a shard into a table of tags with one row a document in the same order (personal data: one row a finding). A tag is
computed once; what is kept is decided later, from tags alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.jobs.data.personal_columns import scan_column, searchable
from stellwerk.text import duplicates, language, normalise, personal, quality

TEXT = "text"


def normalised(shard: pa.Table, *, mojibake: bool, unicode: normalise.Form) -> pa.Table:
    """Kernel: texts in one form, with the edits that led there."""
    return normalise.normalise(shard[TEXT], mojibake=mojibake, unicode=unicode)


def scored(shard: pa.Table, documents: pa.Table, *, languages: Sequence[str]) -> pa.Table:
    """Kernel: language, quality scores, and the signatures that find copies."""
    texts = shard[TEXT]
    found = language.detect(texts, languages)
    scores = quality.scores(texts, pc.cast(found["language"], pa.string()))
    signatures = duplicates.signatures(texts)
    # Parquet gives lists of fixed size back only where none is missing, and a short text has no bands.
    bands = signatures["bands"].cast(pa.list_(pa.uint64()))
    signatures = signatures.set_column(signatures.column_names.index("bands"), "bands", bands)
    tables = (documents.select(["doc_id"]), found, scores, signatures)
    return pa.table({name: table[name] for table in tables for name in table.column_names})


def found_personal(shard: pa.Table, documents: pa.Table, *, kinds: Sequence[str]) -> pa.Table:
    """Kernel: personal data and secrets in the normalised text and in every other column of texts or numbers.

    Returns:
        One row a finding: row, column, kind, start, end, score, evidence; never the value.
    """
    tables = []
    for name in searched_columns(documents):
        found = personal.scan(shard[TEXT], kinds) if name == TEXT else scan_column(name, documents[name], kinds)
        tables.append(found.append_column("column", pa.array([name] * found.num_rows, pa.string())))
    return pa.concat_tables(tables)


def searched_columns(documents: pa.Table) -> list[str]:
    """The columns in which personal data are searched: the text and every other column of texts or numbers, ids left out."""
    own = ("doc_id", "source", "origin", TEXT)
    return [TEXT] + [field.name for field in documents.schema if field.name not in own and searchable(field.type)]


def spread(scores: pa.Table, *, offset: int) -> pa.Table:
    """Kernel: one row for each band of each document: its number among all documents, the band, the hash."""
    bands = scores["bands"].combine_chunks()
    numbers = np.flatnonzero(pc.is_valid(bands).to_numpy(zero_copy_only=False))
    hashes = pc.list_flatten(bands)
    size = len(hashes) // max(len(numbers), 1)
    return pa.table(
        {
            "document": pa.array(numbers.repeat(size) + offset),
            "band": pa.array(np.tile(np.arange(size, dtype=np.int32), len(numbers))),
            "hash": hashes,
        }
    )


def shingled(shard: pa.Table, *, rows: list[int]) -> pa.Table:
    """Kernel: the word 5-grams of some documents, as sorted hashes."""
    texts = shard[TEXT].take(pa.array(rows, pa.int64()))
    sets = duplicates.shingle_sets(texts)
    ends = np.cumsum([0, *map(len, sets)]).astype(np.int32)
    values = np.concatenate(sets) if sets else np.zeros(0, np.uint64)
    return pa.table({"shingles": pa.ListArray.from_arrays(pa.array(ends), pa.array(values))})
