"""What a comparison of two dataset versions answers; light, so that help and schemas need no data library."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class ColumnChange(_Model):
    """A column that differs in the schemas."""

    column: str = Field(description="name of the column, in A where it was there")
    change: Literal["added", "removed", "type changed", "likely renamed"] = Field(description="what happened to it")
    before: str | None = Field(description="type in A; none if added")
    after: str | None = Field(description="type in B; none if removed; the new name if likely renamed")
    equal: float | None = Field(default=None, description="for likely renamed: share of the rows of both with the same value")


class ChangedValues(_Model):
    """How often the values of one column differ in rows that both have."""

    column: str = Field(description="name of the column")
    rows: int = Field(description="rows of both whose value differs")
    share: float = Field(description="of the rows that both have")


class GroupCount(_Model):
    """Rows of one split or language."""

    column: str = Field(description="split or language")
    group: str = Field(description="its value; (none) where it has none")
    before: int = Field(description="rows in A")
    after: int = Field(description="rows in B")


class Difference(_Model):
    """What changed from A to B."""

    key: str = Field(description="column that names a row")
    rows_before: int = Field(description="rows of A")
    rows_after: int = Field(description="rows of B")
    added: int = Field(description="rows only B has")
    removed: int = Field(description="rows only A has")
    changed: int = Field(description="rows of both that differ in a column that both have (and that is not ignored)")
    unchanged: int = Field(description="rows of both that do not")
    ignored: tuple[str, ...] = Field(
        description="columns that do not make a row changed; their values are counted all the same"
    )
    columns: tuple[ColumnChange, ...] = Field(description="changes of the schema")
    values: tuple[ChangedValues, ...] = Field(description="columns whose values changed, the most frequent first")
    groups: tuple[GroupCount, ...] = Field(description="rows per split and language, before and after")
    added_ids: tuple[str, ...] = Field(description="the first five keys of the added rows")
    removed_ids: tuple[str, ...] = Field(description="the first five keys of the removed rows")
    changed_ids: tuple[str, ...] = Field(description="the first five keys of the changed rows")
    same: bool = Field(description="whether rows, values and schema are the same")
