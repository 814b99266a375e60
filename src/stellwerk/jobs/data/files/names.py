"""Names of columns: never empty, never twice (not even in another case), never the reader's own `origin`.

It knows names only. Delta and DuckDB do not tell `Name` from `name`, so one of them is renamed, and the facts of the
file say so.
"""

from __future__ import annotations

from stellwerk.jobs.data.files.encoding import clean_surrogates
from stellwerk.jobs.data.files.shapes import MAX_COLUMNS, Facts, FileProblem

ORIGIN = "origin"


class ColumnNames:
    """Gives each column of a file its name, the same one each time."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._taken = {ORIGIN}
        self._by_key: dict[str, str] = {}

    def header(self, cells: list[str]) -> list[str]:
        """Name the columns of a header row, in which a name may stand twice.

        Args:
            cells: the header as it stands in the file.

        Returns:
            One unique name per cell.
        """
        self._check(len(cells))
        return [self._unique(cell, index + 1) for index, cell in enumerate(cells)]

    def key(self, key: str) -> str:
        """Name the column of a key of a JSON object, the same one for the same key."""
        name = self._by_key.get(key)
        if name is None:
            self._check(len(self._by_key) + 1)
            name = self._by_key[key] = self._unique(key, len(self._by_key) + 1)
        return name

    def _check(self, number: int) -> None:
        if number > MAX_COLUMNS:
            reason = f"has more than {MAX_COLUMNS} columns; are values used as names? Split it or turn it on its side"
            raise FileProblem("too_many_columns", reason)

    def _unique(self, wanted: str, position: int) -> str:
        stem = clean_surrogates(wanted).strip() or f"column_{position}"
        name, number = stem, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name.casefold())
        if name != wanted.strip():
            if not wanted.strip():
                self._facts.note(f"column {position} has no name and is called '{name}'")
            elif stem.casefold() == ORIGIN:
                self._facts.note(f"the column '{stem}' is called '{name}', as '{ORIGIN}' says where a row came from")
            else:
                self._facts.note(f"the name '{stem}' stands twice; column {position} is called '{name}'")
        return name
