"""A model as everybody gets it: its calls are taken from the kept replies where they were paid already, are charged to the run
where not, and end at once when the run is stopped. It does not know how the model is reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import TYPE_CHECKING, Self, TypeVar

from stellwerk.errors import UserError
from stellwerk.llm import prices, replies
from stellwerk.llm.allowed import is_hosted
from stellwerk.llm.chat import PLAIN, ChatClient, Message, Params, Reply, Usage

if TYPE_CHECKING:
    from stellwerk.llm.replies import Replies
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

HOSTED_SECONDS = 86_400.0  # the age at which a reply of a model that its provider may change is asked for anew
BEAT = 0.25  # seconds between two looks whether the run was stopped
Result = TypeVar("Result")


class Opened:
    """A client around another one. Opened and closed inside one event loop by `async with`.

    Attributes:
        name: of the asset.
        simulated: whether its answers are made up by a plan.
        spec: its file.
    """

    def __init__(
        self, workspace: Workspace, name: str, spec: ModelSpec, inner: ChatClient, *, run: Run | None, identity: str | None,
        older: bool,
    ) -> None:  # fmt: skip
        """Wrap a client; nothing is opened yet.

        Args:
            workspace: whose replies are kept.
            name: of the asset.
            spec: its file.
            inner: that asks the model.
            run: that is charged, and that may be stopped.
            identity: what replies of this model are found by; None keeps none and uses none.
            older: whether replies of a hosted model are used that are over a day old.
        """
        self.name = name
        self.simulated = inner.simulated
        self.spec = spec
        self._workspace = workspace
        self._inner = inner
        self._run = run
        self._identity = identity if spec.keep != "none" and (spec.keep != "run" or run is not None) else None
        self._within = HOSTED_SECONDS if is_hosted(spec) and not older else None
        self._replies: Replies | None = None
        self._scopes: set[asyncio.Timeout] = set()
        self._stopped: BaseException | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._identity is not None:
            self._replies = replies.Replies(self._workspace)
        try:
            await self._inner.__aenter__()
        except BaseException:
            self._close_replies()
            raise
        if self._run is not None:
            self._watch = asyncio.create_task(self._watching(self._run))
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            if self._watch is not None:
                self._watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._watch
        finally:
            try:
                await self._inner.__aexit__(*error)
            finally:
                self._close_replies()

    async def complete(self, messages: Sequence[Message], params: Params = PLAIN, *, repeat: int = 0) -> Reply:
        """Take one answer from the kept replies, or ask for it.

        Raises:
            CallFailed: there was no answer.
            Interrupted, BudgetSpent: the run was stopped.
            UserError: its cost is unknown and the run's money is bounded.
        """
        asked = self._params(params)
        key = None
        if self._replies is not None:
            key = replies.key(await self._who(), messages, asked, repeat)
            known = self._replies.reply(key, self._within) if key is not None else None
            if known is not None:
                return known
        reply = await self._guarded(self._inner.complete(messages, asked, repeat=repeat))
        if self._replies is not None and key is not None:
            self._replies.put(key, reply, self.spec.keep, self._run.id if self._run is not None else None)
        self._charge(reply.usage)
        return reply

    async def stream(self, messages: Sequence[Message], params: Params = PLAIN) -> AsyncGenerator[str | Reply, None]:
        """Ask for one answer piece by piece; nothing of it is kept.

        Raises:
            CallFailed: there was no answer, or it broke off.
            Interrupted, BudgetSpent: the run was stopped.
            UserError: its cost is unknown and the run's money is bounded.
        """
        pieces = aiter(self._inner.stream(messages, self._params(params)))
        try:
            while True:
                try:
                    piece = await self._guarded(anext(pieces))
                except StopAsyncIteration:
                    return
                if isinstance(piece, Reply):
                    self._charge(piece.usage)
                yield piece
        finally:
            if (close := getattr(pieces, "aclose", None)) is not None:
                await close()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text: kept ones, and one call for the others, each text once.

        Raises:
            CallFailed: the model has no embeddings, or there was no answer.
            Interrupted, BudgetSpent: the run was stopped.
            UserError: its cost is unknown and the run's money is bounded.
        """
        kept = self._replies
        identity = await self._who() if kept is not None else ""
        known: dict[str, list[float]] = {}
        for text in dict.fromkeys(texts) if kept is not None else ():
            key = replies.vector_key(identity, text)
            if key is not None and (vector := kept.vector(key, self._within)) is not None:  # type: ignore[union-attr]
                known[text] = vector
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            vectors, usage = await self._guarded(self._embedded(missing))
            known.update(zip(missing, vectors, strict=True))
            self._keep_vectors(identity, missing, vectors)
            self._charge(usage)
        return [known[text] for text in texts]

    def _keep_vectors(self, identity: str, texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
        if self._replies is None:
            return
        for text, vector in zip(texts, vectors, strict=True):
            if (key := replies.vector_key(identity, text)) is not None:
                self._replies.put_vector(key, vector, self.spec.keep, self._run.id if self._run is not None else None)

    async def _embedded(self, texts: Sequence[str]) -> tuple[list[list[float]], Usage | None]:
        """Vectors, and the tokens that they took where the client counts them."""
        counted = getattr(self._inner, "embedded", None)
        if counted is not None:
            vectors, usage = await counted(texts)
            return vectors, usage
        return await self._inner.embed(texts), None

    async def _who(self) -> str:
        """What replies of this model are found by; an endpoint that names no model is asked for its only one."""
        if self.spec.endpoint is not None and self.spec.model is None:
            return f"{self._identity}\0{await self._guarded(self._inner.model())}"  # type: ignore[attr-defined]
        return self._identity or ""

    def _params(self, params: Params) -> Params:
        """How the model is asked: as its file says, and as `params` says where it says something."""
        return self.spec.params.under(params) if self.spec.params.model_fields_set else params

    def _charge(self, usage: Usage | None) -> None:
        """Let the run spend what a call cost."""
        if self._run is None:
            return
        cost = prices.cost(self.spec, usage, dt.datetime.now(dt.UTC).date())
        if cost is not None:
            self._run.spend(*cost)
        elif self._run.has_money_budget and self.spec.endpoint is not None:
            raise UserError(
                f"model {self.name} does not say how many tokens a call took, so its cost is unknown and the budget of money "
                "cannot be kept; choose another model, or take money out of budget"
            )
        self._run.check()

    async def _guarded(self, work: Awaitable[Result]) -> Result:
        """Wait for a call, no longer than until the run is stopped.

        Raises:
            Interrupted, BudgetSpent: it was stopped.
        """
        if self._run is None:
            return await work
        if self._stopped is not None:
            if asyncio.iscoroutine(work):
                work.close()
            raise self._stopped
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.add(scope)
                return await work
        except TimeoutError:
            if self._stopped is None:
                raise
            raise self._stopped from None
        finally:
            self._scopes.discard(scope)

    async def _watching(self, run: Run) -> None:
        """Look whether the run was stopped; if so, end all calls that are under way."""
        while True:
            try:
                run.check()
            except Exception as stop:  # noqa: BLE001 - it is raised again by each call
                self._stopped = stop
                for scope in tuple(self._scopes):
                    scope.reschedule(asyncio.get_running_loop().time())
                return
            await asyncio.sleep(BEAT)

    def _close_replies(self) -> None:
        if self._replies is not None:
            self._replies.close()
            self._replies = None
