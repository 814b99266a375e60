"""Reads the rows of a dataset version as cases, in pieces, straight from its table in the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stellwerk.errors import MissingExtra, UserError
from stellwerk.evaluation.suites.row import Row
from stellwerk.evaluation.suites.spec import Columns

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.store.store import Store

BATCH = 2048
BUILT = "split"  # the column in which a built dataset says its parts
_PARTS = {"train": "dev", "validation": "test", "test": "held-out"}  # what a dataset calls the parts, and what a suite does


def rows(store: Store, version: Version, columns: Columns) -> Iterator[Row]:
    """The rows, in the order of the table's files.

    Args:
        store: that holds the table.
        version: of the dataset.
        columns: which are what. The parts train, validation and test of a built dataset become dev, test and held-out.

    Raises:
        UserError: a column is missing, or stellwerk[data] is not installed.
    """
    from stellwerk.evaluation.suites.reading import flat

    try:
        from deltalake import DeltaTable
    except ModuleNotFoundError:
        raise MissingExtra("data", "deltalake") from None
    table = DeltaTable(str(store.table(version.content["table"]))).to_pyarrow_dataset()
    wanted = _wanted(columns)
    missing = [name for name in wanted if name not in table.schema.names]
    if missing:
        known = ", ".join(table.schema.names)
        raise UserError(f"{version.ref} has no column {missing[0]!r}; there are: {known}")
    number = 0
    for fragment in sorted(table.get_fragments(), key=lambda each: str(each.path)):
        for batch in fragment.to_batches(schema=table.schema, columns=wanted, batch_size=BATCH):
            for row in batch.to_pylist():
                number += 1
                found = {name: _plain(value) for name, value in row.items()}
                if columns.split == BUILT:
                    found[BUILT] = _PARTS.get(found[BUILT], found[BUILT])
                yield flat(f"{version.ref}, row {number}", found, columns)


def _wanted(columns: Columns) -> list[str]:
    names = [columns.expected, columns.cluster, columns.id, columns.language, columns.split, columns.description]
    return list(dict.fromkeys([*columns.inputs.values(), *columns.tags, *(name for name in names if name)]))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.hex()
    return value
