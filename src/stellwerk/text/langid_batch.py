"""The py3langid model worked over many texts at once: numpy instead of a Python loop over each byte.

Knows the model's automaton and its naive Bayes table, and gives the same scores as `py3langid.classify` (a test compares
them). Knows nothing of scripts, stop words or which languages are expected (see language.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier

Floats: TypeAlias = npt.NDArray[np.float32]
_BATCH_BYTES = 4_000_000


class Model:
    """The automaton and the table of the model that py3langid brings along."""

    def __init__(self) -> None:
        identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.labels: list[str] = list(identifier.nb_classes)
        self.table: npt.NDArray[np.float16] = identifier.nb_ptc
        self.prior: Floats = identifier.nb_pc
        self._next: npt.NDArray[np.uint32] = np.asarray(identifier.tk_nextmove)
        self._row = np.asarray(identifier.tk_row).astype(np.uint32) << 8
        self._feature = np.asarray(identifier.tk_output, dtype=np.int32)

    def logits(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], languages: Sequence[str]) -> Floats:
        """Scores of texts for some languages: log posterior of naive Bayes, divided by the square root of the bytes.

        Args:
            data: the texts as UTF-8, one after the other, shape (bytes,).
            offsets: where each text begins and the last one ends, shape (n + 1,).
            languages: codes from ``labels``, each once.

        Returns:
            Shape (n, len(languages)); softmax over a row gives py3langid's probabilities for this set of languages.
        """
        table, prior, group = _restricted(tuple(languages))
        scores = np.empty((len(offsets) - 1, len(group)), dtype=np.float32)
        lengths = np.diff(offsets)
        start = 0
        while start < len(lengths):
            stop = int(np.searchsorted(offsets, offsets[start] + _BATCH_BYTES, side="right")) - 1
            stop = min(max(stop, start + 1), len(lengths))
            scores[start:stop] = self._scores(data, offsets[start:stop], lengths[start:stop], table, prior)
            start = stop
        scores /= np.sqrt(np.maximum(lengths, 1)).astype(np.float32)[:, None]
        return _merge(scores, group, len(languages))

    def _scores(
        self,
        data: npt.NDArray[np.uint8],
        begins: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        table: Floats,
        prior: Floats,
    ) -> Floats:
        documents, features = self._walk(data, begins, lengths)
        scores = np.zeros((len(begins), table.shape[1]), dtype=np.float32)
        if not len(documents):
            return scores
        pairs, counts = np.unique(documents.astype(np.int64) * len(table) + features, return_counts=True)
        rows = pairs // len(table)
        weighted = table[pairs % len(table)] * np.log1p(counts.astype(np.float32))[:, None]
        heads = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        scores[rows[heads]] = np.add.reduceat(weighted, heads, axis=0) + prior
        return scores

    def _walk(
        self, data: npt.NDArray[np.uint8], begins: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Run the automaton over all texts in step, one byte of each at a time; returns (text, feature) of each hit."""
        order = np.argsort(-lengths, kind="stable").astype(np.int32)
        begins, lengths = begins[order], lengths[order]
        state = np.zeros(len(order), dtype=np.uint32)
        documents: list[npt.NDArray[np.int32]] = []
        features: list[npt.NDArray[np.int32]] = []
        active = np.searchsorted(-lengths, -np.arange(lengths[0] if len(lengths) else 0), side="left")
        for position, count in enumerate(active.tolist()):
            state = state[:count]
            state = self._next[self._row[state] + data[begins[:count] + position]]
            feature = self._feature[state]
            hits = np.flatnonzero(feature >= 0)
            documents.append(order[hits])
            features.append(feature[hits])
        empty = np.empty(0, dtype=np.int32)
        return np.concatenate(documents or [empty]), np.concatenate(features or [empty])


@lru_cache(maxsize=1)
def model() -> Model:
    """The model, loaded once a process (about a second, 90 MB)."""
    return Model()


@lru_cache(maxsize=32)
def _restricted(languages: tuple[str, ...]) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Columns of the table for some languages (one may have several), and which language each belongs to."""
    whole = model()
    position = {language: index for index, language in enumerate(languages)}
    columns = [column for column, label in enumerate(whole.labels) if label in position]
    group = np.array([position[whole.labels[column]] for column in columns], dtype=np.intp)
    return whole.table[:, columns].astype(np.float32), whole.prior[columns], group


def _merge(scores: Floats, group: npt.NDArray[np.intp], languages: int) -> Floats:
    """Add up the probabilities of the columns of one language."""
    merged = np.full((len(scores), languages), -np.inf, dtype=np.float32)
    for column, language in enumerate(group.tolist()):
        merged[:, language] = np.logaddexp(merged[:, language], scores[:, column])
    return merged
