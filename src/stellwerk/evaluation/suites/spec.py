"""What a person writes in `suites/NAME.yaml`: cases in promptfoo's test syntax, in a file, or out of a dataset version.

A configuration of promptfoo is such a file too: its prompts and providers are left to promptfoo, its tests run here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from stellwerk.evaluation.case import Check, Split
from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.suites import templates
from stellwerk.evaluation.suites import unwanted as families
from stellwerk.specfile import SpecFile, parse

FOLDER = "suites"
Finite = Annotated[float, Field(allow_inf_nan=False)]
SPLITS: tuple[Split, ...] = ("dev", "test", "held-out")


class Part(BaseModel):
    """Base of all parts of the file: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Assertion(Part):
    """One thing that is asked of an answer, as promptfoo writes it."""

    type: str
    value: Any = None
    threshold: Finite | None = None
    weight: Finite = Field(1.0, ge=0)
    metric: str | None = None
    family: families.Family | None = Field(None, description="of unwanted outputs, in which a failure is counted")
    config: dict[str, Any] = {}
    provider: str | None = Field(None, description="the judge or the model that embeds: a name in judges/ or models/")
    rubricPrompt: str | None = None  # noqa: N815  (promptfoo's word)
    assert_: list[Assertion] = Field([], alias="assert")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.type == registry.SET:
            if not self.assert_ or any(each.type == registry.SET for each in self.assert_):
                raise ValueError("assert-set needs assert: a list of checks, none of which is a set again")
            if self.value is not None:
                raise ValueError("assert-set has no value; the checks below it have")
            return self
        if self.assert_:
            raise ValueError(f"only assert-set has assert, not {self.type}")
        if isinstance(self.value, str) and self.value.startswith("file://"):
            return self  # it is looked at when the file is read
        if (wrong := registry.problem(self.check())) is not None:
            raise ValueError(wrong)
        return self

    def check(self) -> Check:
        """As a check, its texts not rendered yet."""
        config = dict(self.config)
        config.update({key: value for key in ("provider", "rubricPrompt") if (value := getattr(self, key)) is not None})
        name = self.type.removeprefix("not-")
        negated = name != self.type
        return Check(name, self.value, self.threshold, self.weight, self.metric, negated, self.family, config)


class TestCase(Part):
    """One case, as promptfoo writes a test; id, expected, cluster, tags, language and split may stand below metadata."""

    __test__ = False  # it is no test of pytest

    description: str | None = None
    vars: dict[str, Any] = {}
    assert_: list[Assertion] = Field([], alias="assert")
    threshold: Finite | None = None
    options: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    id: str | int | None = None
    expected: Any = None
    cluster: str | int | None = None
    tags: list[str] = []
    language: str | None = None
    split: Split | None = None
    from_: str | None = Field(None, alias="from", description="a file that this stands for, such as file://cases.yaml")

    @model_validator(mode="after")
    def _stands_for_a_file(self) -> Self:
        if self.from_ is not None and (not self.from_.startswith("file://") or len(self.model_fields_set) > 1):
            raise ValueError(f"{self.from_[:60]!r} is no test; expected vars and assert, or file:// and a file of tests")
        return self

    @model_validator(mode="after")
    def _changes_no_prompt(self) -> Self:
        known = {"disableVarExpansion", "disableDefaultAsserts", "provider", "rubricPrompt"}
        if unknown := sorted(set(self.options) - known):
            raise ValueError(
                f"options.{unknown[0]} would change what is asked or answered and is not done here; put it into the prompt"
            )
        return self


class DefaultTest(TestCase):
    """What holds for each case that does not say otherwise."""


class Columns(Part):
    """Which columns of a file or dataset are what; without it a file is read as promptfoo reads it."""

    inputs: dict[str, str] = Field(description="columns that are variables; a mapping gives them other names")
    expected: str | None = None
    cluster: str | None = None
    id: str | None = None
    tags: list[str] = []
    language: str | None = None
    split: str | None = Field(None, description="holds dev, test or held-out")
    description: str | None = None


class CaseFile(Part):
    """A file of cases: CSV, JSON lines or YAML, perhaps with .gz behind it."""

    path: str
    encoding: str | None = Field(None, description="of a CSV; UTF-8, UTF-16 and Windows-1252 are told apart by themselves")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="of a CSV, such as ;")


class Splits(Part):
    """Shares of the parts; a case lands in one by a hash of its cluster, or of its id where it has none."""

    dev: float = Field(0.0, ge=0, le=1)
    test: float = Field(0.0, ge=0, le=1)
    held_out: float = Field(0.0, ge=0, le=1, alias="held-out")
    seed: int = 1

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if abs(self.dev + self.test + self.held_out - 1) > 1e-9:
            raise ValueError(f"dev, test and held-out add up to {self.dev + self.test + self.held_out:g}, expected 1")
        return self


def _one_line(name: str) -> str:
    if not name.strip() or len(name) > 200:
        raise ValueError("is empty or too long for a name")
    return name


class SuiteSpec(Part):
    """The file as a whole."""

    description: str | None = None
    language: str | None = Field(None, description="of the answers that are expected, such as de")
    tests: list[TestCase] | None = Field(None, description="cases, or file:// and the file that has them")
    file: CaseFile | None = Field(None, description="of cases: .csv, .jsonl or .yaml, relative to the workspace")
    dataset: str | None = Field(None, description="a dataset, such as tickets or tickets@3")
    columns: Columns | None = None
    inputs: list[str] | None = Field(None, description="the variables that each case has, no more and no less")
    defaultTest: DefaultTest = DefaultTest()  # noqa: N815  (promptfoo's word)
    checks: list[Assertion] = Field([], description="asked of every case, beside its own")
    cluster: Annotated[str, AfterValidator(_one_line)] | None = Field(
        None, description="the variable or column whose equal values make cases depend on each other"
    )
    sample: int | None = Field(
        None, ge=1, le=100_000, description="only so many cases, drawn by a hash of the id, so that the same ones stay in"
    )
    splits: Splits | None = Field(None, description="all cases are for testing if left out")
    epochs: int = Field(1, ge=1, le=100, description="how often each case is asked")
    unwanted: list[dict[families.Family, Any]] = Field([], description="families of unwanted outputs")
    duplicates: Literal["refuse", "drop", "keep"] = Field(
        "refuse", description="what happens to a case that is there twice; keep keeps those with ids of their own"
    )
    embedder: str | None = Field(None, description="the model in models/ that embeds, for similar")

    prompts: Any = Field(None, description="promptfoo's; not used here")
    providers: Any = Field(None, description="promptfoo's; not used here")
    assertionTemplates: dict[str, Any] = Field({}, description="checks that $ref may name")  # noqa: N815
    evaluateOptions: Any = Field(None, description="promptfoo's; not used here")  # noqa: N815
    outputPath: Any = Field(None, description="promptfoo's; not used here")  # noqa: N815
    schema_: str | None = Field(None, alias="$schema", description="promptfoo's; not used here")

    @model_validator(mode="after")
    def _has_cases_of_one_kind(self) -> Self:
        given = [name for name in ("tests", "file", "dataset") if getattr(self, name) not in (None, [])]
        if len(given) != 1:
            raise ValueError(f"give one of tests, file and dataset{f', not {chr(32).join(given)}' if given else ''}")
        if self.dataset is not None and self.columns is None:
            raise ValueError("cases out of a dataset need columns: {inputs: [...]}, and expected where there is a right answer")
        if self.columns is not None and self.tests is not None:
            raise ValueError("columns belong to file or dataset")
        if self.columns is not None and self.cluster is not None and self.columns.cluster is not None:
            raise ValueError("cluster stands at the top and in columns; keep one")
        families.checks(self.unwanted)
        return self


def read(text: str, file: str) -> SuiteSpec:
    """Check a file.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return checked(parse(text, file))


def checked(raw: SpecFile) -> SuiteSpec:
    """Check a file that was parsed.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return templates.resolved(raw).check(SuiteSpec)
