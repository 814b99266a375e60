"""What was bought and what others host: `services/NAME.yaml`, registered as a version that a system can bind.

What identifies it is who provides which product in which version; a price, an address or a region can change without making
it another one. Nothing is called: this is what the company has in writing.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stellwerk.standing.spec import Part, Text

if TYPE_CHECKING:
    from stellwerk.run import Run

IDENTITY = ("provider", "product", "kind", "version", "model", "date", "fingerprint")


class Service(Part):
    """A bought service, or a model that somebody else hosts."""

    provider: Text
    product: Text
    kind: Literal["service", "model"]
    version: str | None = Field(None, description="or plan, as the provider calls it")
    model: str | None = Field(None, description="the id under which a hosted model is called")
    date: dt.date | None = Field(None, description="of a hosted model, as its provider gives it")
    fingerprint: str | None = Field(None, description="of a hosted model, as it reports it")
    hosted: bool | None = Field(None, description="whether its provider may change it; true for a model if left out")
    description: str | None = None
    url: str | None = None
    purpose: str | None = Field(None, description="what it is used for")
    owner: str | None = None
    price: str | None = None
    region: str | None = Field(None, description="where data are processed, such as EU")
    retention: str | None = Field(None, description="how long the provider keeps data, such as 30 days")
    terms: str | None = Field(None, description="which terms hold, and where they are")
    processor_agreement: str | None = Field(None, description="the data processing agreement: its date or where it is")
    data: list[Text] = Field([], description="which data go there, such as texts of tickets with personal data masked")


def register(run: Run, name: str, service: Service) -> dict[str, Any]:
    """Note a version of a service or hosted model as its file describes it; the outcome of the step that did so."""
    outcome: dict[str, Any] = run.step("register", note, name=name, said=service.model_dump(mode="json"))
    return outcome


def note(run: Run, *, name: str, said: dict[str, Any]) -> dict[str, Any]:
    """Step: the fields that identify it make the version, the others are its facts."""
    facts = {field: value for field, value in said.items() if field not in IDENTITY}
    facts["provider"] = said["provider"]
    facts["hosted"] = said["kind"] == "model" if said["hosted"] is None else said["hosted"]
    identity = {field: said[field] for field in IDENTITY}
    return {"version": run.output(said["kind"], name, identity=identity, facts=facts, content={})}
