"""Calls an application as a user's program would: one request for each case, to the address of its file and nowhere else.

Redirects are not followed, answers are bounded, and what a header keeps secret is never said.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation import app as files
from stellwerk.evaluation.app import AppSpec
from stellwerk.evaluation.case import Answer, Case
from stellwerk.evaluation.rows import dump
from stellwerk.llm import allowed
from stellwerk.llm.allowed import LEAST_KEY
from stellwerk.llm.chat import Failure

if TYPE_CHECKING:
    import aiohttp

    from stellwerk.record.record import Version
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

MAXIMUM_BYTES = 4 * 2**20
NEVER_ANSWERED = (404, 405, 410)  # of an address that is wrong, not of a case
AGAIN: tuple[Failure, ...] = ("rate_limited", "timeout", "connection", "server")


def take(run: Run, parameter: str) -> tuple[Version, AppSpec]:
    """The version that a run's parameter names, and its file; its identity is the commit or image where the file gives one.

    Raises:
        UserError: commit or image name a variable that is not set.
    """
    try:
        spec = run.spec(parameter).check(AppSpec)
    except KeyError:  # it names a version, not a file
        version = run.asset(parameter, files.KIND, note)
        return version, of(run.workspace, version.ref)
    build = {name: run.workspace.credential(value) for name in ("commit", "image") if (value := getattr(spec, name))}
    return run.asset(parameter, files.KIND, note, build=build), spec


def note(run: Run, *, name: str, file: str, content: str, build: dict[str, str] | None = None) -> dict[str, Any]:
    """Step: the version of an application's file."""
    spec = files.read(run.store.get(content).decode(), file)
    asked = spec.model_dump(mode="json", include={"url", "method", "headers", "query", "body", "answer"})
    pinned = bool(build)
    facts = {"hosted": not pinned, "pinned": pinned, "simulated": spec.simulated, "owner": spec.owner, **(build or {})}
    facts["description"] = spec.description
    return {
        "version": run.output(files.KIND, name, identity={**asked, **(build or {})}, facts=facts, content={"text": content})
    }


def of(workspace: Workspace, reference: str) -> AppSpec:
    """The file of a version."""
    version = workspace.record.resolve(reference, files.KIND)
    return files.read(workspace.store.get(version.content["text"]).decode(), f"{files.FOLDER}/{version.name}.yaml")


def opened(workspace: Workspace, reference: str) -> AppTarget:
    """The target that a version is; it is opened by `async with`."""
    version = workspace.record.resolve(reference, files.KIND)
    spec = of(workspace, reference)
    url = files.check_url(workspace.credential(spec.url))
    headers = {name: workspace.credential(value) for name, value in spec.headers.items()}
    if headers != spec.headers:  # some of them are secret
        allowed.check_in_clear(workspace, f"{files.FOLDER}/{version.name}.yaml", url)
    for name, value in headers.items():
        if not value.isprintable():
            raise UserError(
                f"{spec.headers[name]} cannot be sent in the header {name}: it has more than one line; keep one there"
            )
    return AppTarget(version.name, spec, url, headers)


class AppTarget:
    """An application behind an address.

    Args:
        name: of its file.
        spec: its file.
        url: with no reference in it.
        headers: with no reference in them.
    """

    def __init__(self, name: str, spec: AppSpec, url: str, headers: dict[str, str]) -> None:
        self.name = name
        self.simulated = spec.simulated
        self.at_once = spec.at_once
        self._spec = spec
        self._url = url
        self._headers = headers
        secrets = [value for name, value in headers.items() if value != spec.headers.get(name)]
        self._secrets = [part.encode() for value in secrets for part in value.split() if len(part) >= LEAST_KEY]
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AppTarget:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.at_once),
            timeout=aiohttp.ClientTimeout(total=self._spec.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),  # one user's session must not answer another's question
            auto_decompress=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def answer(self, case: Case, repeat: int = 0) -> Answer:
        """Send a case, again where it got no answer, and read the answer."""
        body, query = self._request(case)
        for attempt in range(1, self._spec.attempts + 1):
            found = await self._once(body, query, attempt)
            if found.failure not in AGAIN or attempt == self._spec.attempts:
                break
            await asyncio.sleep(min(0.25 * 2**attempt, 10))
        return found

    def _request(self, case: Case) -> tuple[bytes | None, dict[str, str]]:
        values = dict(case.inputs)
        try:
            body = None if self._spec.body is None else dump(files.filled(self._spec.body, values))
            query = {name: str(files.filled(text, values)) for name, text in self._spec.query.items()}
        except KeyError as error:
            raise UserError(
                f"apps/{self.name}.yaml needs the variable {error.args[0]}, which case {case.id} does not have; "
                "add it to the case or take it out of the file"
            ) from None
        return body, query

    async def _once(self, body: bytes | None, query: dict[str, str], attempt: int) -> Answer:
        import aiohttp

        assert self._session is not None, "a target is asked inside `async with`"
        headers = {"content-type": "application/json", **self._headers} if body is not None else self._headers
        started = time.perf_counter()
        try:
            async with self._session.request(
                self._spec.method, self._url, data=body, params=query, headers=headers, allow_redirects=False
            ) as response:
                content = await _bounded(response)
                taken = time.perf_counter() - started
                return self._read(response.status, content, response.charset, taken, attempt)
        except TimeoutError:
            return self._failed("timeout", f"gave no answer within {self._spec.timeout:g} s", attempt)
        except aiohttp.ClientError as error:
            # What the library says may hold the address, and that a key.
            return self._failed("connection", f"could not be reached, or broke off ({type(error).__name__})", attempt)

    def _read(self, status: int, content: bytes | None, charset: str | None, taken: float, attempt: int) -> Answer:
        if kind := _failure(status):
            moved = "; redirects are not followed, so give the address that it leads to" if 300 <= status < 400 else ""
            return self._failed(kind, f"answered with status {status}{moved}", attempt, taken)
        if content is None:
            return self._failed("rejected", f"answered with over {MAXIMUM_BYTES // 2**20} MiB", attempt, taken)
        for secret in self._secrets:
            content = content.replace(secret, b"[key]")  # it may repeat what it was sent, and answers are kept
        text = _decoded(content, charset)
        if self._spec.answer == files.TEXT:
            return Answer(text, seconds=taken, attempts=attempt)
        try:
            found = files.at(json.loads(text), self._spec.answer)
        except (ValueError, RecursionError):
            return self._failed("not_json", "did not answer with JSON", attempt, taken)
        except LookupError:
            return self._failed("not_json", f"gave JSON in which nothing stands at {self._spec.answer}", attempt, taken)
        said = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        return Answer(said, seconds=taken, attempts=attempt)

    def _failed(self, kind: Failure, what: str, attempt: int, taken: float = 0.0) -> Answer:
        problem = f"the application of apps/{self.name}.yaml {what}"
        return Answer("", finish="other", seconds=taken, attempts=attempt, failure=kind, problem=problem)


def _failure(status: int) -> Failure | None:
    """Why an answer of a status is none; what else the application refuses is how it answers that case."""
    if 200 <= status < 300:
        return None
    if status in (401, 403, 407):
        return "unauthorised"
    if status == 429:
        return "rate_limited"
    if status == 408:
        return "timeout"
    return "rejected" if 400 <= status < 500 and status not in NEVER_ANSWERED else "server"


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, decompressed; None where it is longer than an answer may be."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(64 * 1024):
        size += len(part)
        if size > MAXIMUM_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _decoded(content: bytes, charset: str | None) -> str:
    """Bytes as text; in UTF-8 where the answer names no encoding that there is."""
    try:
        return content.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):  # some names of encodings are of something else, such as idna
        return content.decode("utf-8", errors="replace")
