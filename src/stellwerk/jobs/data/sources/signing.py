"""Who asks: credentials put on requests to one place, and on none elsewhere.

It knows the ways in which APIs and web servers know who asks; the values behind references come from the workspace, late.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from stellwerk.credentials import is_reference, looks_secret
from stellwerk.errors import UserError
from stellwerk.jobs.data.source_spec import Auth, OAuth2
from stellwerk.jobs.data.sources import guard
from stellwerk.jobs.data.sources.client import Client, Failure, body
from stellwerk.jobs.data.sources.retries import Check

MOST_TOKEN = 2**20
TOKEN_LIVES = 3600.0  # seconds, where its server does not say
TOKEN_MARGIN = 30.0
Resolve = Callable[[str], str]  # from a reference to the value behind it


class Signed(AuthBase):
    """Puts headers, and whoever asks, on requests to one place only."""

    def __init__(self, url: str, headers: Mapping[str, str], who: AuthBase | None) -> None:
        self._url = url
        self._headers = headers
        self._who = who

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request, unless it goes elsewhere."""
        if guard.same_place(self._url, str(request.url)):
            request.headers.update(self._headers)
            if self._who is not None:
                return self._who(request)
        return request


class Bearer(AuthBase):
    """A token in the header Authorization."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Key(AuthBase):
    """A key in a header or in the query, where it replaces one that the address has."""

    def __init__(self, name: str, value: str, in_query: bool) -> None:
        self._name = name
        self._value = value
        self._in_query = in_query

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        if not self._in_query:
            request.headers[self._name] = self._value
            return request
        parts = urlsplit(str(request.url))
        pairs = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != self._name]
        request.url = urlunsplit(parts._replace(query=urlencode([*pairs, (self._name, self._value)])))
        return request


class Token(AuthBase):
    """A token that is fetched with client credentials (OAuth 2), and again before it expires."""

    def __init__(self, oauth2: OAuth2, secret: str, client: Client) -> None:
        self._fields = {"grant_type": "client_credentials", "client_id": oauth2.client_id, "client_secret": secret}
        if oauth2.scope:
            self._fields["scope"] = oauth2.scope
        self._url = oauth2.token_url
        self._client = client
        self._bearer: Bearer | None = None
        self._until = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        if self._bearer is None or time.monotonic() >= self._until:
            asking = requests.Request("POST", self._url, data=self._fields, headers={"Accept": "application/json"}).prepare()
            token, seconds = self._client.ask(asking, _token)
            self._bearer, self._until = Bearer(token), time.monotonic() + max(seconds - TOKEN_MARGIN, 1.0)
        return self._bearer(request)


def _token(response: requests.Response, going_on: Check) -> tuple[str, float]:
    try:
        said = json.loads(body(response, MOST_TOKEN, going_on))
        return str(said["access_token"]), float(said.get("expires_in") or TOKEN_LIVES)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Failure("gave no access_token; see that it is the address of an OAuth 2 token", False) from None


def who_asks(auth: Auth | None, resolve: Resolve, client: Client) -> AuthBase | None:
    """Whoever asks, with the credentials behind the references.

    Args:
        auth: as the spec has it.
        resolve: from a reference to the value.
        client: fetches the token of `oauth2`.
    """
    if auth is None:
        return None
    if auth.bearer is not None:
        return Bearer(resolve(auth.bearer))
    if auth.basic is not None:
        return HTTPBasicAuth(auth.basic.user.encode(), resolve(auth.basic.password).encode())
    if auth.api_key is not None:
        return Key(auth.api_key.name, resolve(auth.api_key.value), auth.api_key.place == "query")
    assert auth.oauth2 is not None
    return Token(auth.oauth2, resolve(auth.oauth2.client_secret), client)


def written_out(name: str, fields: Mapping[str, Any], what: str) -> None:
    """See that no secret stands in a spec.

    Args:
        name: of the source.
        fields: headers or parameters as the spec has them.
        what: `header` or `parameter`.

    Raises:
        UserError: one looks like a secret and is no reference.
    """
    for field, value in fields.items():
        if looks_secret(field) and not (isinstance(value, str) and is_reference(value)):
            raise UserError(
                f"source {name}: the {what} {field!r} looks like a secret that is written out; name where it is kept: "
                "env:NAME or file:PATH, or use 'auth'"
            )
