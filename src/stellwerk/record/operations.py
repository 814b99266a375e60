"""Operations on the record as a whole: verify it, carry it to another machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field
from sqlalchemy import func, select

from stellwerk.errors import UserError
from stellwerk.operation import LocalPath, operation
from stellwerk.record import journal, tables, transfer

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace


class Verification(BaseModel):
    """Whether the record is as it was written."""

    intact: bool
    entries: int = Field(description="entries of the journal")
    rows: int = Field(description="rows that the journal vouches for")
    anchors: list[str] = Field(description="where the head of the journal is noted outside the record")
    problems: list[str]


class Moved(BaseModel):
    """What was carried between records."""

    file: str
    rows: int
    new: int | None = Field(default=None, description="for an import, rows that this record did not have")
    tainted: int | None = Field(default=None, description="for an import, versions here that an erasure there has tainted")
    warnings: list[str] = Field(default=[], description="what the import could not bring about here")


def _exit_code(result: Verification) -> int:
    return 0 if result.intact else 1


@operation(example={}, exit_code=_exit_code)
def verify(*, workspace: Workspace) -> Verification:
    """Check that no row of the record was changed, reordered, added or removed since the last anchor.

    The anchor stands in stellwerk.lock; without one, a journal whose tail was cut cannot be told from a shorter one.
    """
    anchors = [journal.Anchor(*noted, "stellwerk.lock")] if (noted := workspace.anchor()) else []
    with workspace.record.database.reading() as connection:
        problems = list(journal.verify(connection, anchors))
        entries = connection.execute(select(func.count()).select_from(tables.journal)).scalar_one()
        rows = sum(connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables.JOURNALED)
    return Verification(
        intact=not problems,
        entries=entries,
        rows=rows,
        anchors=[f"{anchor.place}: entry {anchor.seq}" for anchor in anchors] or _no_anchor(workspace),
        problems=problems,
    )


def _no_anchor(workspace: Workspace) -> list[str]:
    other = workspace.lock().get("anchor") is not None
    return ["none: stellwerk.lock anchors another record, so a cut tail would not show here"] if other else []


@operation(example={"file": "record.jsonl.gz", "overwrite": True}, scope="admin")
def export(
    file: Annotated[Path, LocalPath(writes=True)] = Path("record.jsonl.gz"), overwrite: bool = False, *, workspace: Workspace
) -> Moved:
    """Write the record to a file that another record can import; names of persons stay here.

    Args:
        file: where to write it.
        overwrite: replace a file that is already there.
    """
    if file.exists() and not overwrite:
        raise UserError(f"{file} is already there; give another name, or --overwrite")
    if not file.absolute().parent.is_dir():
        raise UserError(f"{file.parent} is no folder; make it first")
    done = transfer.export(workspace.record, file)
    return Moved(file=str(file), rows=done.rows)


@operation(example={"file": "record.jsonl.gz"}, changes=True, scope="admin")
def import_(file: Annotated[Path, LocalPath()], *, workspace: Workspace) -> Moved:
    """Take in what another record exported; rows that are already here stay as they are, but for the marks of erasures.

    Args:
        file: a file made by record export.
    """
    done = transfer.import_(workspace.record, file, workspace.person)
    warnings = []
    if done.erasures:
        warnings.append(
            f"{done.erasures} erasures came with it that builds here cannot apply, since their tombstones rest on the key of "
            f"the other workspace; give them here too with: stellwerk data erase"
        )
    return Moved(file=str(file), rows=done.rows, new=done.new, tainted=done.tainted, warnings=warnings)
