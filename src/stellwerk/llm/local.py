"""Local transformers weights in this process (extra `train`): calls that wait together are generated together.

A thread of its own loads and generates, so that the event loop stays free. Safetensors only, no code of the model's folder, no
network. A call's answer does not depend on which others share its batch: sampling adds Gumbel noise that follows from the
call's seed and takes the greatest, which is the same as drawing (E. J. Gumbel, 1954: argmax(log p + G) is distributed as p);
only rounding at different widths may still tell. It can be bound to no schema and to no tools: such calls are rejected.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stellwerk.errors import MissingExtra, UserError
from stellwerk.llm.chat import PLAIN, CallFailed, Message, Params, Reply, Usage, as_json

if TYPE_CHECKING:
    from stellwerk.llm.generating import Weights
    from stellwerk.llm.spec import ModelSpec

BATCH = 16  # calls that are generated together at most
GATHER = 0.004  # seconds that the first call waits for others


@dataclass
class Job:
    """One call on its way to the thread.

    Attributes:
        kind: whether an answer or vectors are wanted.
        tell: gets the pieces of an answer that is streamed.
    """

    kind: Literal["chat", "embed"]
    messages: list[dict[str, Any]]
    texts: list[str]
    params: Params
    seed: int
    done: Future[Any] = field(default_factory=Future)
    tell: Callable[[str], None] | None = None


class LocalClient:
    """A `ChatClient` over weights in a folder; they are loaded at the first call and let go when it is closed.

    Args:
        name: of the asset.
        spec: its file, with `weights`.
        root: of the workspace, from which the folder is named.

    Raises:
        MissingExtra: torch or transformers is not installed.
        UserError: the folder is missing, or holds what is not loaded here.
    """

    simulated = False

    def __init__(self, name: str, spec: ModelSpec, root: Path) -> None:
        self.name = name
        self._spec = spec
        self._folder = root / str(spec.weights)
        check_folder(self._folder, f"models/{name}.yaml")
        check_installed()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def complete(self, messages: Sequence[Message], params: Params = PLAIN, *, repeat: int = 0) -> Reply:
        """Generate one answer; at temperature 0, or where none is given, the likeliest.

        Raises:
            CallFailed: `rejected` where the conversation is too long or the model cannot do it, `server` where it broke.
        """
        return await self._asked(self._job(messages, params, repeat))

    async def stream(self, messages: Sequence[Message], params: Params = PLAIN) -> AsyncIterator[str | Reply]:
        """The answer in pieces, as it is generated."""
        job, loop = self._job(messages, params, 0), asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def tell(piece: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        job.tell = tell
        asked = asyncio.ensure_future(self._asked(job))
        asked.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await asked
        finally:
            asked.cancel()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length 1: the mean over the tokens of the last layer.

        Raises:
            CallFailed: a text is too long for the model.
        """
        if not texts:
            return []
        job = Job("embed", [], list(texts), PLAIN, 0)
        found: list[list[float]] = await self._done(job)
        return found

    async def __aenter__(self) -> LocalClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    def _job(self, messages: Sequence[Message], params: Params, repeat: int) -> Job:
        asked = self._spec.params.under(params)
        if asked.schema_ is not None or asked.tools:
            what = "a schema" if asked.schema_ is not None else "tools"
            raise CallFailed(f"local weights of {self.name} take no {what.removeprefix('a ')}; ask for it in words", "rejected")
        said = [as_json(message) for message in messages]
        return Job("chat", said, [], asked, _seed(asked.seed, repeat))

    async def _asked(self, job: Job) -> Reply:
        began = time.perf_counter()
        text, finish, sent, given, first = await self._done(job)
        return Reply(
            text, finish, Usage(sent, given), self._folder.name, seconds=time.perf_counter() - began,
            first_seconds=first - began if first and job.tell else None, taken=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip

    async def _done(self, job: Job) -> Any:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"weights of {self.name}", daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return await asyncio.wrap_future(job.done)

    def _work(self) -> None:
        """Generate until the end; runs in the thread."""
        weights: Weights | None = None
        while (first := self._jobs.get()) is not None:
            batch, ended = self._gathered(first)
            batch = [job for job in batch if job.done.set_running_or_notify_cancel()]
            try:
                if weights is None:
                    from stellwerk.llm.generating import Weights

                    weights = Weights(self._folder, self._spec.context)
                if batch:
                    weights.do(batch)
            except Exception as error:  # noqa: BLE001 whatever torch says, those who wait have to hear of it
                for job in batch:
                    if not job.done.done():
                        job.done.set_exception(_failure(self.name, error))
            if ended:
                return

    def _gathered(self, first: Job) -> tuple[list[Job], bool]:
        """The calls that wait now, of one kind; whether the client was closed meanwhile."""
        batch, until = [first], time.monotonic() + GATHER
        while len(batch) < BATCH:
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
                if job is None:
                    return batch, True
                batch.append(job)
                continue
            break
        return batch, False


def check_folder(folder: Path, file: str) -> None:
    """Refuse what is not loaded here: pickles, code, and what is no model.

    Raises:
        UserError: a sentence about it.
    """
    import json

    if not (folder / "config.json").is_file():
        raise UserError(f"{file}: weights is {folder.name!r}, which has no config.json; give a folder of transformers weights")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{file}: {folder.name} holds no .safetensors; other weights can hide code, so convert them first")
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        try:
            said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:
            raise UserError(f"{file}: {folder.name}/{name} is no JSON; copy the weights again") from None
        if "auto_map" in said:
            raise UserError(
                f"{file}: {folder.name}/{name} wants code of its own to be run, which is not done here; choose another model"
            )


def check_installed() -> None:
    """See that torch and transformers are there.

    Raises:
        MissingExtra: one is not.
    """
    from importlib.util import find_spec

    for package in ("torch", "transformers", "safetensors"):
        if find_spec(package) is None:
            raise MissingExtra("train", package)


def _seed(seed: int | None, repeat: int) -> int:
    """What the draws of a call follow from; a seed that is not given is 0, so that the same run gives the same answers."""
    return int.from_bytes(hashlib.blake2b(f"{seed or 0}/{repeat}".encode(), digest_size=7).digest())


def _failure(name: str, error: Exception) -> Exception:
    if isinstance(error, CallFailed):
        return error
    return CallFailed(f"the weights of {name} could not answer: {type(error).__name__}", "server")
