"""What a person may write in `datasets/NAME.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from stellwerk.jobs.data.check_spec import Check
from stellwerk.jobs.data.source_spec import Date, Finite, Names, Share, Source, Spec, Values
from stellwerk.runs.schedules import check_cron
from stellwerk.settings import Budget
from stellwerk.text.quality_scores import SCORES

Kind = Literal["EMAIL", "PHONE", "IBAN", "CREDIT_CARD", "SECRET"]
RESERVED = ("doc_id", "source", "origin", "text", "language", "language_score", "words", "split", "cluster")
TAGS = ("language", "language_score", "replacement", "mojibake", "controls")


class Normalise(Spec):
    """How texts are brought into one form."""

    mojibake: bool = True
    unicode: Literal["NFC", "NFKC", "none"] = "NFC"


class Personal(Spec):
    """What happens to personal data and secrets."""

    action: Literal["mask", "keep", "drop"] = "mask"
    kinds: list[Kind] = Field(list(get_args(Kind)))


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
    assumptions: list[str] = Field([])
    known_gaps: list[str] = Field([])
    retention: str | None = None
    delete_by: Date | None = None
    schedule: Annotated[str, AfterValidator(check_cron)] | None = Field(
        None, description='when a worker builds and tests it, as cron: "0 5 * * *" is daily at five'
    )
    budget: Budget | None = Field(None, description="what one build may use; the smaller of this and that of stellwerk.yaml")
    sources: Annotated[list[Source], Field(min_length=1)]
    normalise: Normalise = Normalise()
    personal: Personal = Personal()
    duplicates: Duplicates = Duplicates()
    outliers: Outliers | None = None
    select: dict[str, Bound] = Field({}, description="bounds on quality scores or columns, applied in this order")
    split: Split = Split()
    drop_columns: Names = Field([])
    tests: list[Check] = Field([])

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
