"""What a person may write in `stellwerk.yaml`: where record and store are, what may be reached, who is told, and budgets."""

from __future__ import annotations

import ipaddress
import zoneinfo
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stellwerk.credentials import Address, Credential


class Part(BaseModel):
    """Base of all parts: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        if not value or "/" in value or ":" in value or " " in value:
            raise ValueError(f"{value!r} is no network or host; expected one such as 10.0.0.0/8 or kb.intern.example") from None
    return value


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {value!r}; expected one such as Europe/Berlin or UTC") from None
    return value


class RecordPlace(Part):
    """The record's database."""

    url: Address = Field(description="such as postgresql+psycopg://stellwerk@db.example.com/stellwerk, or env:NAME")
    password: Credential | None = None
    schema_: str | None = Field(None, alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="of PostgreSQL")


class StorePlace(Part):
    """A bucket that holds the store; the folder on disk is then a cache of it."""

    url: str = Field(description="s3://bucket/prefix", pattern=r"^s3://[^/]+(/.*)?$")
    endpoint: str | None = Field(None, description="of a store that is not Amazon's")
    region: str | None = None
    access_key: Credential | None = None
    secret_key: Credential | None = None
    cache: float | None = Field(None, gt=0, allow_inf_nan=False, description="gigabytes on this disk; no bound if left out")


class Network(Part):
    """What sources may reach beside public addresses."""

    allow: list[Annotated[str, AfterValidator(_network)]] = Field([], description="networks or hosts, such as 10.0.0.0/8")


class Mail(Part):
    """Notifications by e-mail."""

    to: list[str] = Field(min_length=1)
    sender: str
    server: str = Field(description="host and port, such as mail.example.com:587")
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: Credential | None = None

    @model_validator(mode="after")
    def _nothing_in_clear(self) -> Self:
        if self.security == "none" and self.password is not None:
            raise ValueError("with security: none the password would go over the network in clear; use starttls or tls")
        return self


class Notification(Part):
    """Who is told, and when."""

    webhook: Address | None = Field(None, description="an address that takes JSON by POST, or env:NAME")
    email: Mail | None = None
    when: list[Literal["failed", "stopped", "done"]] = Field(
        ["failed", "stopped"], description="failed: a run failed; stopped: a data test or gate says no"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.webhook is None) == (self.email is None):
            raise ValueError("give either webhook or email")
        return self


class Budget(Part):
    """What one run may use; it is stopped where that is spent, and can be resumed."""

    minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    gigabytes: float | None = Field(None, gt=0, allow_inf_nan=False, description="that it adds to the store")
    money: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        {}, description="for calls to models, by currency, such as {EUR: 5}"
    )


class AllowedModels(Part):
    """Which models may be called at all; a model about which the fact is unknown is not allowed where the fact is bounded."""

    regions: list[str] | None = Field(None, description="where data may be processed, such as [EU, DE, local]")
    seats: list[str] | None = Field(None, description="countries where a provider may have its seat, such as [DE, FR]")
    licences: list[str] | None = Field(None, description="of weights, such as [Apache-2.0, MIT]")


class Lineage(Part):
    """Where OpenLineage events go."""

    file: str | None = None
    url: Address | None = Field(None, description="an endpoint such as http://marquez:5000/api/v1/lineage")
    api_key: Credential | None = None
    namespace: str | None = Field(None, description="of this workspace's jobs and datasets; its name if left out")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("give either file or url")
        return self


def _as_place(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class Settings(Part):
    """The file as a whole."""

    name: str | None = None
    record: Annotated[RecordPlace | None, BeforeValidator(_as_place)] = None
    key: Credential | None = Field(
        None, description="of tokens and hidden ids, one for all who share a record; a file if left out"
    )
    signing_key: Credential | None = Field(None, description="Ed25519, of releases: PEM or hexadecimal; a file if left out")
    store: Annotated[StorePlace | None, BeforeValidator(_as_place)] = None
    workers: int | None = Field(None, ge=1, strict=True, description="processes that one run works on")
    network: Network = Network()
    notify: list[Notification] = Field([])
    budget: Budget = Budget()
    models: AllowedModels = AllowedModels()
    openlineage: Lineage | None = None
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="of schedules, such as Europe/Berlin")
