"""What stands in the header of a prompt's file: the subset of prompty's keys that is read here, each with one meaning.

Knows the header alone, neither messages nor templates. Own facts stand below `metadata.stellwerk`, so that other readers of
the format pass over them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stellwerk.gates import Gate
from stellwerk.llm.chat import Params

Kind = Literal["string", "integer", "float", "boolean", "array", "object", "messages"]
_KINDS = {"text": "string", "number": "float", "list": "array", "thread": "messages", "int": "integer", "bool": "boolean"}
NAME = r"^[^\W\d]\w{0,99}$"


class Part(BaseModel):
    """Base of all parts of the header: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _kind(value: Any) -> Any:
    return _KINDS.get(value, value) if isinstance(value, str) else value


class InputPart(Part):
    """A value that the prompt is rendered with."""

    name: str = Field(pattern=NAME)
    kind: Annotated[Kind, BeforeValidator(_kind)] = "string"
    description: str | None = None
    default: Any = None
    example: Any = None
    required: bool | None = Field(None, description="true where there is no default, if left out")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        kinds: dict[str, tuple[type, str]] = {
            "array": (list, "a list"),
            "messages": (list, "a list of turns"),
            "object": (dict, "a group"),
        }
        wanted = kinds.get(self.kind)
        if wanted and self.default is not None and not isinstance(self.default, wanted[0]):
            raise ValueError(f"default: has to be {wanted[1]}, for the kind is {self.kind}")
        return self

    @property
    def has_default(self) -> bool:
        """Whether a default stands there, `null` included."""
        return "default" in self.model_fields_set


class Options(Part):
    """How the model is asked, in prompty's names."""

    temperature: float | None = Field(None, ge=0, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, validation_alias=AliasChoices("topP", "top_p"))
    max_tokens: int | None = Field(None, ge=1, validation_alias=AliasChoices("maxOutputTokens", "max_tokens"))
    seed: int | None = None
    stop: tuple[str, ...] = Field((), validation_alias=AliasChoices("stopSequences", "stop"))
    extra: dict[str, Any] = Field({}, validation_alias=AliasChoices("additionalProperties", "extra"))


class ModelPart(Part):
    """Which model the prompt was written for, and how it is asked."""

    id: str | None = Field(None, description="for readers; a test names the model that it asks")
    provider: str | None = None
    api: str | None = Field(None, validation_alias=AliasChoices("apiType", "api"))
    options: Options = Options()


class FormatPart(Part):
    """The language of the templates."""

    kind: Literal["jinja2"] = "jinja2"
    strict: bool = True


class ParserPart(Part):
    """How the body is read."""

    kind: Literal["prompty"] = "prompty"


class TemplatePart(Part):
    """How the body becomes messages."""

    format: FormatPart = FormatPart()
    parser: ParserPart = ParserPart()

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        """`format: jinja2` is short for `format: {kind: jinja2}`."""
        if isinstance(value, dict):
            return {name: {"kind": part} if isinstance(part, str) else part for name, part in value.items()}
        return value


class OwnPart(Part):
    """What this product knows of a prompt beside how it reads."""

    owner: str | None = Field(None, description="who answers for it")
    purpose: str | None = None
    language: str | None = Field(None, description="of the answers, such as de")
    risk: str | None = Field(None, description="class of risk of its use, such as high")
    tests: str | list[str] | None = Field(None, description="suites that test it, such as support")
    budget: str | None = None
    forbidden: list[str] = Field([], description="what it must never say")
    notes: str | None = None
    source: str | None = Field(None, description="where it was imported from")
    gates: list[Gate] = Field([], description="that an alias of it has to pass, beside those of the systems that bind it")


class MetadataPart(BaseModel):
    """Facts for readers; those of other products are kept and not read."""

    model_config = ConfigDict(extra="allow", frozen=True)

    stellwerk: OwnPart = OwnPart()


class Header(Part):
    """The header of a prompt's file."""

    name: str | None = None
    display_name: str | None = Field(None, validation_alias=AliasChoices("displayName", "display_name"))
    description: str | None = None
    version: str | float | None = None
    authors: list[str] = []
    tags: list[str] = []
    metadata: MetadataPart = MetadataPart()
    model: ModelPart = ModelPart()
    inputs: list[InputPart] | None = None
    outputs: dict[str, Any] | None = None
    tools: list[dict[str, Any]] = []
    template: TemplatePart = TemplatePart()

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        """A model as text is its id, outputs as a list of properties are a JSON Schema of an object."""
        if not isinstance(value, dict):
            return value
        value = dict(value)
        if isinstance(value.get("model"), str):
            value["model"] = {"id": value["model"]}
        if isinstance(value.get("outputs"), list):
            value["outputs"] = schema(value["outputs"])
        return value

    @model_validator(mode="after")
    def _has_each_input_once(self) -> Self:
        names = [given.name for given in self.inputs or ()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the input {name!r} stands in inputs twice; keep one")
        return self

    @property
    def params(self) -> Params:
        """How a model is asked, with only what the header says."""
        said: dict[str, Any] = {name: getattr(self.model.options, name) for name in self.model.options.model_fields_set}
        if self.outputs is not None:
            said["schema"] = self.outputs
        if self.tools:
            said["tools"] = tuple(self.tools)
        return Params.model_validate(said)

    @property
    def facts(self) -> dict[str, Any]:
        """What describes the prompt and changes nothing of what is sent, without what is left out."""
        own = self.metadata.stellwerk.model_dump(mode="json", by_alias=True, exclude={"gates"})
        gates = [gate.model_dump(mode="json", by_alias=True, exclude_unset=True) for gate in self.metadata.stellwerk.gates]
        found = {
            "title": self.display_name, "description": self.description, "authors": self.authors, "tags": self.tags,
            "written_for": self.model.id, **own, "gates": gates,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value not in (None, [], {})}


def schema(properties: list[Any]) -> dict[str, Any]:
    """A JSON Schema of an object with prompty's list of properties; all of them are required.

    Raises:
        ValueError: a property has no name.
    """
    found: dict[str, Any] = {}
    for given in properties:
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            raise ValueError("outputs: each needs a name, such as {name: answer, kind: string}")
        found[given["name"]] = _property(given)
    return {"type": "object", "properties": found, "required": list(found), "additionalProperties": False}


def _property(given: dict[str, Any]) -> dict[str, Any]:
    kind = str(given.get("kind", "string"))
    kind = {"float": "number", "text": "string", "list": "array"}.get(kind, kind)
    made: dict[str, Any] = {"type": kind}
    if given.get("description"):
        made["description"] = given["description"]
    if given.get("enumValues"):
        made["enum"] = given["enumValues"]
    if kind == "array" and isinstance(given.get("items"), dict):
        made["items"] = _property(given["items"])
    if kind == "object" and isinstance(given.get("properties"), list):
        return {**schema(given["properties"]), **{name: made[name] for name in ("description",) if name in made}}
    return made
