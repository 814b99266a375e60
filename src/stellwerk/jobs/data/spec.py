"""What a person may write in `datasets/NAME.yaml`."""

from __future__ import annotations

import datetime as dt
import math
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from stellwerk.jobs.data.check_spec import Check
from stellwerk.text.quality_scores import SCORES

Kind = Literal["EMAIL", "PHONE", "IBAN", "CREDIT_CARD", "SECRET"]
RESERVED = ("doc_id", "source", "origin", "text", "language", "language_score", "words", "split", "cluster")
TAGS = ("language", "language_score", "replacement", "mojibake", "controls")


class Spec(BaseModel):
    """Base of all parts of a spec file: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _name(value: str) -> str:
    if not value.replace("_", "").replace("-", "").isalnum() or len(value) > 60:
        raise ValueError(f"the name is {value[:70]!r}, expected at most 60 letters, digits, - and _")
    return value


def _pattern(value: str) -> str:
    if not value.strip():
        raise ValueError("the pattern is empty, expected one such as raw/*.csv")
    return value


def _one_character(value: str) -> str:
    if value != "tab" and (len(value) != 1 or value in '"\r\n'):
        raise ValueError(f"the separator is {value!r}, expected one character such as ';', or tab")
    return value


def _quote(value: str) -> str:
    if len(value) > 1 or value in ("\r", "\n"):
        raise ValueError(f"the quote is {value!r}, expected one character, or '' where cells are never quoted")
    return value


def _finite(values: list[str | int | float | bool]) -> list[str | int | float | bool]:
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise ValueError("infinity and nan are no values that a column can be asked for; leave them out")
    return values


def _codec(value: str) -> str:
    import codecs

    try:
        codecs.lookup(value)
        "".encode(value)
    except LookupError:
        raise ValueError(f"there is no encoding {value!r}; common ones are utf-8, latin-1, cp1252 and utf-16") from None
    return value


def _date(value: Any) -> Any:
    if isinstance(value, dt.datetime) or not isinstance(value, str | dt.date):
        raise ValueError("expected a date such as 2026-11-01")
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is no date, expected one such as 2026-11-01") from None


Date = Annotated[dt.date, BeforeValidator(_date)]
Names = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=list[str] | str)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Values = Annotated[list[str | int | float | bool], AfterValidator(_finite)]


class Csv(Spec):
    """How csv files are written; what is left out is worked out from the file."""

    separator: Annotated[str, AfterValidator(_one_character)] | None = None
    encoding: Annotated[str, AfterValidator(_codec)] | None = None
    decimal: Literal[".", ","] | None = None
    quote: Annotated[str, AfterValidator(_quote)] = '"'


class Source(Spec):
    """Where documents, or columns for them, come from."""

    name: Annotated[str, AfterValidator(_name)]
    files: Annotated[str, AfterValidator(_pattern)] = Field(description="a pattern such as raw/*.csv, below the workspace")
    format: Literal["csv", "json", "jsonl", "parquet", "xlsx", "md", "txt", "html"] | None = None
    csv: Csv = Csv()
    sheet: str | None = None
    load: Literal["replace", "append", "merge"] = Field(
        "replace",
        description="replace: the rows are what the files say now; append: rows of files that are gone stay; "
        "merge: a row replaces the earlier one with the same key",
    )
    missing: Literal["keep", "delete"] = Field("keep", description="with merge: rows that the files no longer have")
    key: Names = Field([], description="the columns that name a row")
    text: Names = Field([], description="the columns that are joined to the text; documents (md, txt, html) have one")
    joins: str | None = Field(None, description="the source whose rows get this one's columns, by key")
    contract: Literal["evolve", "freeze"] = Field("evolve", description="freeze: a changed schema stops the run")
    origin: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    retrieved: Date | None = None

    @model_validator(mode="after")
    def _key_where_needed(self) -> Self:
        if self.load == "merge" and not self.key:
            raise ValueError("merge needs a key; add for example 'key: ticket_id'")
        if self.joins and not self.key:
            raise ValueError("joins needs a key; add for example 'key: ticket_id'")
        if self.missing == "delete" and self.load != "merge":
            raise ValueError("missing: delete goes with load: merge only; remove it or change load")
        return self


class Normalise(Spec):
    """How texts are brought into one form."""

    mojibake: bool = True
    unicode: Literal["NFC", "NFKC", "none"] = "NFC"


class Personal(Spec):
    """What happens to personal data and secrets."""

    action: Literal["mask", "keep", "drop"] = "mask"
    kinds: list[Kind] = list(get_args(Kind))


class Duplicates(Spec):
    """Which copies go."""

    exact: bool = True
    near: Share | None = Field(default=0.8, description="the smallest Jaccard index of word 5-grams; null keeps near copies")
    keep: Literal["longest", "first"] = "longest"


class Outliers(Spec):
    """Rows whose numbers lie far from the rest: robust z = 0.6745 (x - median) / MAD."""

    columns: Names
    bound: Finite = Field(8.0, gt=0)
    scale: Literal["linear", "log"] = "linear"


class Bound(Spec):
    """What a document's score or column must be in order to be kept."""

    min: Finite | None = None
    max: Finite | None = None
    in_: Values | None = Field(None, alias="in")
    not_in: Values | None = None
    required: bool = Field(False, description="a missing value drops the document; else it passes")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.model_fields_set <= {"required"} and not self.required:
            raise ValueError("the bound is empty; give min, max, in, not_in or required: true")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: nothing could be kept")
        return self


class Split(Spec):
    """The parts of the dataset; copies of one text always land in the same part."""

    train: Share = 0.8
    validation: Share = 0.1
    test: Share = 0.1
    seed: int = 1

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test add up to {total:g}, expected 1")
        return self


def _check_join(source: Source, named: dict[str, Source]) -> None:
    main = named.get(source.joins or "")
    if main is None or main is source:
        others = ", ".join(name for name in named if name != source.name) or "none"
        raise ValueError(f"source {source.name!r} joins {source.joins!r}, which is no other source; there are: {others}")
    if main.joins is not None:
        raise ValueError(
            f"source {source.name!r} joins {main.name!r}, which joins another one itself and brings no documents; "
            f"name a source that does"
        )
    if len(main.key) != len(source.key):
        raise ValueError(
            f"source {source.name!r} joins {main.name!r} by {', '.join(source.key)}, but the key of {main.name!r} is "
            f"{', '.join(main.key) or 'missing'}; give both a key of as many columns"
        )


class DatasetSpec(Spec):
    """A dataset: what it is for, where it comes from, what is done to it, what is asked of it."""

    description: str | None = None
    purpose: str | None = None
    owner: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    languages: list[str] = Field([], description="the languages that are expected, as ISO 639-1 codes")
    assumptions: list[str] = []
    known_gaps: list[str] = []
    retention: str | None = None
    delete_by: Date | None = None
    sources: Annotated[list[Source], Field(min_length=1)]
    normalise: Normalise = Normalise()
    personal: Personal = Personal()
    duplicates: Duplicates = Duplicates()
    outliers: Outliers | None = None
    select: dict[str, Bound] = Field({}, description="bounds on quality scores or columns, applied in this order")
    split: Split = Split()
    drop_columns: Names = []
    tests: list[Check] = []

    @field_validator("sources")
    @classmethod
    def _sources_fit(cls, sources: list[Source]) -> list[Source]:
        named = {source.name: source for source in sources}
        if len(named) < len(sources):
            names = [source.name for source in sources]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two sources have the name {twice!r}; give each its own")
        for source in sources:
            if source.joins is not None:
                _check_join(source, named)
        return sources

    @property
    def documents(self) -> list[Source]:
        """The sources that bring documents of their own."""
        return [source for source in self.sources if source.joins is None]


def known_scores() -> list[str]:
    """The names that bounds may use in every dataset, beside its columns."""
    return [*SCORES, *TAGS]
