"""What a person writes in `studies/NAME.yaml`: what people are to rate, by which words, how many things, and who."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from stellwerk.specfile import parse

FOLDER = "studies"
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
PAIR = ("A", "B", "tie")


class StudySpec(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(min_length=1, max_length=500, description="what each rater answers, such as: Is the tone right?")
    criteria: str | None = Field(None, max_length=5000, description="what to look at, in sentences")
    description: str | None = None
    form: Literal["scale", "pairs"] = Field(
        "scale", description="scale rates single answers, pairs says which of two is better"
    )
    scale: tuple[Word, ...] = Field((), max_length=9, description="the words to choose from, worst first, such as [bad, good]")
    passes: Word | None = Field(None, description="the first word of the scale that counts as good; the upper half if left out")
    of: list[str] = Field([], max_length=2, description="runs that tested: one for a scale, two for pairs")
    file: str | None = Field(
        None, description="instead, a CSV or JSON Lines file of the workspace with question and answer, or first and second"
    )
    items: int = Field(50, ge=1, le=10_000, description="things to rate, at most")
    expected: bool = Field(False, description="show the expected answer too")
    raters: list[Word] | None = Field(None, description="names of who may rate; everyone with access if left out")
    each: int | None = Field(None, ge=1, le=100, description="people that rate each thing; all of them if left out")
    seed: int = Field(0, description="of the draw")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.form == "pairs" and (self.scale or self.passes):
            raise ValueError("pairs are rated A, B or tie; leave scale and passes out")
        if self.form == "scale" and len(self.scale) < 2:
            raise ValueError("scale is missing; give the words to choose from, worst first, such as [bad, good]")
        if len({word.casefold() for word in self.scale}) < len(self.scale):
            raise ValueError("scale names a word twice; keep one")
        if self.passes is not None and self.passes not in self.scale[1:]:
            raise ValueError(f"passes is {self.passes!r}, expected one of the scale but its first: {', '.join(self.scale[1:])}")
        if bool(self.of) == (self.file is not None):
            raise ValueError("give either of, the runs whose answers are rated, or file")
        wanted = 2 if self.form == "pairs" else 1
        if self.of and len(self.of) != wanted:
            raise ValueError(f"of names {len(self.of)} runs, expected {wanted} for {self.form}")
        if self.raters is not None and self.each is not None and self.each > len(self.raters):
            raise ValueError(f"each is {self.each}, but there are only {len(self.raters)} raters")
        return self

    @property
    def words(self) -> tuple[str, ...]:
        """What a rating can be."""
        return PAIR if self.form == "pairs" else self.scale


def read(text: str, file: str) -> StudySpec:
    """Check a file.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return parse(text, file).check(StudySpec)
