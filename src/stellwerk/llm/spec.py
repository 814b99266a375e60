"""What a person writes in `models/NAME.yaml`: where a model is, what it costs, where data go, and under which licence.

Three lines are enough for an endpoint of one's own. Knows the file alone; nothing is called.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stellwerk.credentials import Credential, looks_secret
from stellwerk.llm.chat import Params
from stellwerk.specfile import parse

FOLDER = "models"


class Part(BaseModel):
    """Base of all parts of the file: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Price(Part):
    """What calls cost from a day on, for a million tokens each."""

    input: float = Field(ge=0, allow_inf_nan=False, description="for a million tokens that are sent")
    output: float = Field(ge=0, allow_inf_nan=False, description="for a million tokens that are answered")
    cached: float | None = Field(None, ge=0, allow_inf_nan=False, description="for a million sent tokens that it had cached")
    currency: str = Field("EUR", pattern=r"^[A-Z]{3}$")
    since: dt.date = Field(description="the first day on which this price holds")
    source: str | None = Field(None, description="where the price is written")


class Limits(Part):
    """How fast an endpoint may be asked."""

    requests_per_minute: float | None = Field(None, gt=0, allow_inf_nan=False)
    tokens_per_minute: float | None = Field(None, gt=0, allow_inf_nan=False)
    at_once: int = Field(32, ge=1, le=1024, description="calls in flight")
    timeout: float = Field(120, gt=0, le=3600, allow_inf_nan=False, description="seconds that one attempt may take")
    attempts: int = Field(5, ge=1, le=20, description="of one call, retries included")


class Simulation(Part):
    """How a simulated model answers; `simulated.py` says what each plan does. For tests and teaching."""

    plan: Literal["rules", "support", "echo", "sums"]
    seed: int = 0
    options: dict[str, Any] = {}


class ModelSpec(Part):
    """A model: an endpoint that speaks the OpenAI protocol, weights in a folder, or a simulation."""

    endpoint: str | None = Field(None, description="such as https://api.example.eu/v1")
    model: str | None = Field(None, description="the id under which the endpoint knows it; its only one if left out")
    key: Credential | None = Field(None, description="env:NAME or file:PATH of the endpoint's key")
    weights: str | None = Field(None, description="folder of transformers weights, relative to the workspace")
    simulated: Simulation | None = None
    hosted: bool | None = Field(
        None, description="whether its provider may change it; true for an endpoint that is not on this machine"
    )

    provider: str | None = None
    family: str | None = Field(None, description="such as mistral; a judge of the same family is warned of")
    date: dt.date | None = Field(None, description="of a hosted model, as its provider gives it")
    region: str | None = Field(None, description="where data are processed, such as EU or DE")
    seat: str | None = Field(None, description="country where the provider has its seat, such as DE")
    retention: str | None = Field(None, description="how long the provider keeps data, such as 30 days or none")
    training: bool | None = Field(None, description="whether the provider trains on what is sent")
    terms: str | None = Field(None, description="which terms hold, and where they are")
    processor_agreement: str | None = Field(None, description="the data processing agreement: its date or where it is")
    licence: str | None = Field(None, description="of the weights: an SPDX id or LicenseRef-…")
    description: str | None = None

    price: list[Price] = Field([], description="each from a day on; unknown if left out, which is not the same as nothing")
    limits: Limits = Limits()
    params: Params = Field(Params(), description="how it is asked, where a prompt does not say otherwise")
    context: int | None = Field(None, ge=1, description="tokens that it can take in and give out together")
    keep: Literal["none", "run", "30 days", "365 days"] = Field(
        "30 days", description="how long its replies are kept, so that the same call is not paid twice"
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [name for name in ("endpoint", "weights", "simulated") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of endpoint, weights and simulated{f', not {chr(32).join(given)}' if given else ''}")
        if self.endpoint is None and (self.model is not None or self.key is not None):
            raise ValueError("model and key belong to an endpoint")
        return self

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            whole = False
        if not whole or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError(f"{value[:80]!r} is no address; expected one such as https://api.example.eu/v1")
        if "@" in parts.netloc:
            raise ValueError("the address holds a user or password; take it out, and name the key with key: env:NAME")
        if any(looks_secret(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
            raise ValueError("the address holds a parameter that looks like a key; take it out, and name it with key: env:NAME")
        return value.rstrip("/")

    @field_validator("price")
    @classmethod
    def _in_order(cls, prices: list[Price]) -> list[Price]:
        days = [price.since for price in prices]
        if len(set(days)) < len(days):
            raise ValueError("two prices begin on the same day; keep one")
        if len({price.currency for price in prices}) > 1:
            raise ValueError("the prices are in several currencies; give them in one")
        return sorted(prices, key=lambda price: price.since)


def read(text: str, file: str) -> ModelSpec:
    """Check a model's file.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return parse(text, file).check(ModelSpec)
