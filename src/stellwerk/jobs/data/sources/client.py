"""A client that asks one address after the other: it waits and tries again, and reads no more than it may.

What goes wrong becomes one sentence with a status at most: libraries quote addresses, headers and bodies in what they raise.
It knows HTTP; it does not know who asks, pages, rows and files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from urllib3.exceptions import DecodeError, HTTPError

from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data.sources import guard
from stellwerk.jobs.data.sources.retries import Check, Pace, TooSlow, back_off, pause, retry_after, within

CHUNK = 64 * 1024
AGAIN = (408, 425, 429)
Result = TypeVar("Result")


class Failure(Exception):
    """One attempt failed; what it says may be shown.

    Attributes:
        reason: the end of a sentence, without address and secret.
        again: whether another attempt may help.
        wait: seconds that the server asks to wait, None where it does not say.
        status: of the answer, None where there was none.
    """

    def __init__(self, reason: str, again: bool, wait: float | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.wait = wait
        self.status = status


@dataclass(frozen=True)
class Patience:
    """How long and how often.

    Attributes:
        seconds: for one answer as a whole.
        stall: seconds without a byte.
        retries: further attempts after the first.
        per_second: requests at most; None for no limit.
    """

    seconds: float
    stall: float
    retries: int = 5
    per_second: float | None = None


class Client:
    """Sends requests for one source to one place, and to others without its credentials."""

    def __init__(self, name: str, session: guard.GuardedSession, patience: Patience, check: Check) -> None:
        """Make a client.

        Args:
            name: what sentences begin with, such as `source articles: https://kb.example.com/api`.
            session: that reaches public addresses only.
            patience: how long and how often.
            check: raises where the run was stopped.
        """
        self.name = name
        self.session = session
        self.check = check
        self._patience = patience
        self._pace = Pace(patience.per_second)

    def ask(
        self, request: requests.PreparedRequest, read: Callable[[requests.Response, Check], Result], **options: Any
    ) -> Result:
        """Send a request until it is answered.

        Args:
            request: what to send.
            read: takes the answer and what to call between its parts; raises `Failure`.
            options: of `requests.Session.send`.

        Returns:
            What `read` made of the answer.

        Raises:
            StellwerkError: it is not answered as it should be; one sentence.
            UserError: the address may not be reached, or says that a credential or the address is wrong.
        """
        for attempt in range(self._patience.retries + 1):
            self._pace.wait(self.check)
            outcome = self._attempt(request, read, options)
            if not isinstance(outcome, Failure):
                return outcome
            if not outcome.again or attempt == self._patience.retries:
                break
            pause(back_off(attempt) if outcome.wait is None else outcome.wait, self.check)
        assert isinstance(outcome, Failure)
        tries = f" ({attempt + 1} attempts)" if attempt else ""
        if outcome.status in (401, 403, 404):
            raise UserError(f"{self.name} {outcome.reason}{tries}")
        raise StellwerkError(f"{self.name} {outcome.reason}{tries}")

    def _attempt(
        self, request: requests.PreparedRequest, read: Callable[..., Result], options: Mapping[str, Any]
    ) -> Result | Failure:
        """One attempt. What a library raises ends here: it holds the request with its headers."""

        open_ones: list[requests.Response] = []

        def work(going_on: Check) -> Result | Failure:
            try:
                with self.session.send(request.copy(), timeout=self._patience.stall, **options) as response:
                    open_ones.append(response)
                    return read(checked(response), going_on)
            except Failure as failure:
                return failure
            except UserError as mistake:
                return _Refused(str(mistake))
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                return _failure(error)

        try:
            outcome = within(self._patience.seconds, work, self.check)
        except TooSlow:
            outcome = Failure(
                f"did not answer within {self._patience.seconds:g} seconds; try later, or allow more seconds", True
            )
        finally:
            for response in open_ones:
                _hang_up(response)
        if isinstance(outcome, _Refused):
            raise UserError(f"{self.name}: {outcome.reason}")
        return outcome


def _hang_up(response: requests.Response) -> None:
    """End a body that another thread may still wait for; one that was read is closed already."""
    with contextlib.suppress(ValueError, RuntimeError, OSError):
        response.raw.shutdown()


class _Refused(Failure):
    """The guard refused an address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, False)


def _failure(error: Exception) -> Failure:
    """What a library raised, in our words."""
    if isinstance(error, requests.exceptions.SSLError):
        return Failure(
            "has a certificate that is not trusted or not for this host; correct it, or name your own authority's "
            "certificates in REQUESTS_CA_BUNDLE",
            False,
        )
    if isinstance(error, requests.Timeout | TimeoutError):
        return Failure("did not answer in time; try later, or allow more seconds", True)
    if isinstance(error, requests.exceptions.ContentDecodingError | DecodeError):
        return Failure("sent a body that cannot be unpacked as its Content-Encoding says; tell who runs it", False)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return Failure("broke off its answer; try later", True)
    if isinstance(error, ValueError):  # of a header, its signs; of an address, its form
        return Failure("cannot be asked: its address, or a header or credential, holds signs that are not allowed", False)
    return Failure("could not be reached, or broke off the connection; see that the address is right, or try later", True)


def checked(response: requests.Response) -> requests.Response:
    """See that an answer is a good one.

    Raises:
        Failure: it is not.
    """
    status = response.status_code
    if 200 <= status < 300 or status == 304:
        return response
    said = {
        401: "does not know who asks (401); give 'auth', or see that its credential is the right one and has not expired",
        403: "does not let this credential read (403); ask who runs it for the right to",
        404: "is not there (404); correct the address",
        429: "says that it was asked too often (429); lower per_second, or try later",
    }
    reason = said.get(status, f"answered with status {status}; {'try later' if status >= 500 else 'see what it expects'}")
    again = status in AGAIN or status >= 500
    wait = retry_after(response.headers.get("Retry-After")) if status in (429, 503) else None
    raise Failure(reason, again, wait, status)


def body(response: requests.Response, most: int, going_on: Check) -> bytes:
    """Read the body, unpacked, up to a limit: a small answer that unpacks to a huge one ends there.

    Args:
        response: whose body was not read.
        most: bytes.
        going_on: raises once nobody waits any more.

    Raises:
        Failure: it is larger.
    """
    parts, size = [], 0
    for part in response.iter_content(CHUNK):
        going_on()
        size += len(part)
        if size > most:
            raise Failure(f"sent an answer of more than {most >> 20} MiB; ask for fewer rows a page", False)
        parts.append(part)
    return b"".join(parts)
