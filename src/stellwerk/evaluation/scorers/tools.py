"""What scorers need besides the answer: models that embed and judge, opened once and closed at the end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError

if TYPE_CHECKING:
    from stellwerk.llm.chat import ChatClient
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace


class Tools:
    """Clients of the models that a suite's checks name; used inside one event loop, closed by `async with`.

    Attributes:
        workspace: None where no check needs a model.
        run: spends the money.
        embedder: the model that embeds where a check names none.
        simulated: whether a model that was asked makes its answers up by a plan.
    """

    def __init__(self, workspace: Workspace | None = None, run: Run | None = None, embedder: str | None = None) -> None:
        self.workspace = workspace
        self.run = run
        self.embedder = embedder
        self.simulated = False
        self._clients: dict[str, ChatClient] = {}
        self._vectors: dict[tuple[str, str], list[float]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Tools:
        return self

    async def __aexit__(self, *details: Any) -> None:
        self._clients.clear()
        await self._stack.aclose()

    async def client(self, name: str, spec: ModelSpec | None = None) -> ChatClient:
        """The client of a model, opened at its first use.

        Args:
            name: of the model.
            spec: its file as somebody keeps it, such as a version of a judge; as it is now if left out.

        Raises:
            UserError: there is no such model, or it may not be called.
        """
        key = name if spec is None else f"{name}\0{spec.model_dump_json()}"
        if key not in self._clients:
            from stellwerk.llm.models import of
            from stellwerk.llm.opening import open_model

            name, spec = (name, spec) if spec is not None else of(self._workspace(name), name)
            opened = open_model(self._workspace(name), name, spec, run=self.run)
            self._clients[key] = await self._stack.enter_async_context(opened)
            self.simulated = self.simulated or opened.simulated
        return self._clients[key]

    async def embed(self, name: str, texts: list[str], *, keep: bool = False) -> list[list[float]]:
        """A vector for each text.

        Args:
            name: of the model.
            texts: to embed.
            keep: whether the vectors will be needed again, as those of a check's value are.
        """
        unknown = [text for text in dict.fromkeys(texts) if (name, text) not in self._vectors]
        vectors = dict(zip(unknown, await (await self.client(name)).embed(unknown), strict=True)) if unknown else {}
        found = [vectors.get(text) or self._vectors[name, text] for text in texts]
        if keep and len(self._vectors) < 10_000:
            self._vectors.update({(name, text): vector for text, vector in vectors.items()})
        return found

    def _workspace(self, name: str) -> Workspace:
        if self.workspace is None:
            raise UserError(f"the model {name} can only be called inside a workspace")
        return self.workspace
