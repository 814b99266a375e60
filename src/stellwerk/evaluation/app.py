"""What a person writes in `apps/NAME.yaml`: where an application answers over HTTP, what it is sent, where the answer stands.

Knows the file alone; nothing is called.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from stellwerk.credentials import Address, is_reference, looks_secret
from stellwerk.specfile import parse

FOLDER = "apps"
KIND = "app"
TEXT = "text"
VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")
_HEADER = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


def check_url(value: str) -> str:
    """Refuse what is no address of an application: another scheme, variables, or the address of a cloud's metadata.

    Raises:
        ValueError: it is none.
    """
    if is_reference(value):
        return value
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("it is no address; expected one such as https://desk.example.eu/answer, or env:NAME")
    if VARIABLE.search(value):
        raise ValueError("it holds a {{variable}}; an address has none, put it below query or body")
    try:
        if ipaddress.ip_address(host).is_link_local:
            raise ValueError("it is a link-local address, where clouds keep their secrets; name the host of the application")
    except ValueError as error:
        if "link-local" in str(error):
            raise
    return value


def _pointer(value: str) -> str:
    if value != TEXT and not (value.startswith("/") or value == ""):
        raise ValueError(
            f"{value!r} is neither text nor a JSON pointer; expected text, or one such as /choices/0/message/content"
        )
    return value


class AppSpec(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[Address, AfterValidator(check_url)] = Field(
        description="such as https://desk.example.eu/answer, or env:NAME"
    )
    method: Literal["GET", "POST", "PUT"] = "POST"
    headers: dict[Annotated[str, Field(pattern=_HEADER)], str] = Field(
        {}, description="what is secret only as env:NAME or file:PATH"
    )
    query: dict[str, str] = Field({}, description="of the address; texts may hold {{variables}} of the case")
    body: Any = Field(None, description="JSON; its texts may hold {{variables}} of the case")
    answer: Annotated[str, AfterValidator(_pointer)] = Field(
        TEXT, description="where the answer stands: a JSON pointer such as /answer, or text for the whole body"
    )
    timeout: float = Field(60, gt=0, le=3600, allow_inf_nan=False, description="seconds that one attempt may take")
    attempts: int = Field(3, ge=1, le=20, description="where a call got no answer")
    at_once: int = Field(8, ge=1, le=1024, description="calls in flight")
    commit: str | None = Field(None, description="of the code that answers, or env:NAME of it")
    image: str | None = Field(None, description="digest of the container image that answers, or env:NAME of it")
    simulated: bool = Field(False, description="whether its answers are made up by a plan, for tests and teaching")
    description: str | None = None
    owner: str | None = None

    @model_validator(mode="after")
    def _keeps_its_secrets(self) -> Self:
        for name, value in self.headers.items():
            if looks_secret(name) and not is_reference(value):
                raise ValueError(f"the header {name} holds a secret by its name; name where it is kept: env:NAME or file:PATH")
            if "\n" in value or "\r" in value:
                raise ValueError(f"the header {name} has two lines; a header has one")
            if VARIABLE.search(value):
                raise ValueError(f"the header {name} holds a {{{{variable}}}}; put it below query or body")
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET sends no body; take method: POST, or put the {{variables}} below query")
        return self

    @property
    def variables(self) -> frozenset[str]:
        """The names of the inputs that it is sent."""
        return frozenset(name for text in _texts([self.body, self.query]) for name in VARIABLE.findall(text))


def read(text: str, file: str) -> AppSpec:
    """Check a file.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return parse(text, file).check(AppSpec)


def filled(template: Any, values: dict[str, Any]) -> Any:
    """A template with values in the place of its variables: a value is one value, whatever stands in it.

    A text that is nothing but one variable becomes the value with its type; within other text it becomes text.

    Raises:
        KeyError: a variable has no value.
    """
    if isinstance(template, str):
        whole = VARIABLE.fullmatch(template.strip())
        if whole:
            return values[whole[1]]
        return VARIABLE.sub(lambda found: _as_text(values[found[1]]), template)
    if isinstance(template, list):
        return [filled(part, values) for part in template]
    if isinstance(template, dict):
        return {name: filled(part, values) for name, part in template.items()}
    return template


def at(document: Any, pointer: str) -> Any:
    """What a JSON pointer names (RFC 6901).

    Raises:
        LookupError: nothing stands there.
    """
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            if not (name.isdecimal() and len(name) < 10):
                raise LookupError(pointer)
            document = document[int(name)]
        elif isinstance(document, dict):
            document = document[name]
        else:
            raise LookupError(pointer)
    return document


def _as_text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]
