"""What is judged: a prompt with a model, or whatever else answers a case. Turns a call that failed into an answer that says so.

Knows how a case becomes messages and a reply an answer. It knows no suite and no score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from stellwerk.evaluation.case import Answer, Case
from stellwerk.llm.chat import CallFailed, ChatClient, Message, Params, Reply, Usage

if TYPE_CHECKING:
    from stellwerk.llm.prompts.promptfile import Prompt

Price = Callable[[Usage], tuple[float, str] | None]  # what a call costs, with its currency; None where that is unknown


class Target(Protocol):
    """What answers cases. Used inside one event loop; closed by `async with`.

    Attributes:
        name: as people see it.
        simulated: whether its answers are made up by a plan.
        at_once: calls in flight that it can take.
    """

    name: str
    simulated: bool
    at_once: int

    async def answer(self, case: Case, repeat: int = 0) -> Answer:
        """Answer a case; a call that failed is an answer that says so.

        Raises:
            UserError: the case cannot be asked at all, such as one without a variable that the prompt needs.
        """
        ...

    async def __aenter__(self) -> Target: ...

    async def __aexit__(self, *_: object) -> None: ...


class PromptTarget:
    """A prompt with the model that it is asked with.

    Args:
        prompt: is rendered with the inputs of each case.
        client: of the model; opened and closed with this.
        params: of the model's file; the prompt's own go before them.
        price: of a call; left out, costs are unknown.
        at_once: calls in flight.
    """

    def __init__(
        self,
        prompt: Prompt,
        client: ChatClient,
        params: Params | None = None,
        price: Price | None = None,
        at_once: int = 32,
    ) -> None:
        from stellwerk.llm.prompts.rendering import render

        self.name = f"{prompt.name} with {client.name}"
        self.simulated = client.simulated
        self.at_once = at_once
        self.client = client
        self.params = asked_with(prompt, params or Params())
        self.prompt = prompt
        self._price = price
        self._render = render

    async def answer(self, case: Case, repeat: int = 0) -> Answer:
        """Render the prompt with the case's inputs, and ask the model."""
        messages = tuple(self._render(self.prompt, case.inputs))
        try:
            reply = await self.client.complete(messages, self.params, repeat=repeat)
        except CallFailed as error:
            return failed(error, messages)
        return answered(reply, messages, self._price)

    async def __aenter__(self) -> PromptTarget:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.client.__aexit__(*details)


def asked_with(prompt: Prompt, params: Params) -> Params:
    """The parameters that a prompt is asked with: the model's, then its own, and the shape that its answer has to fit."""
    merged = params.under(prompt.params)
    if merged.schema_ is None and prompt.outputs:
        return merged.model_copy(update={"schema_": prompt.outputs})
    return merged


def answered(reply: Reply, messages: tuple[Message, ...] = (), price: Price | None = None) -> Answer:
    """The answer that a reply is. One that was kept has the price that it had, since that is what such a call costs."""
    cost = price(reply.usage) if price is not None and reply.usage is not None else None
    return Answer(
        reply.text,
        messages,
        reply.finish,
        reply.tool_calls,
        reply.usage,
        cost[0] if cost else None,
        cost[1] if cost else None,
        reply.seconds,
        reply.attempts,
        reply.kept,
        reply.model,
    )


def failed(error: CallFailed, messages: tuple[Message, ...] = ()) -> Answer:
    """The answer of a call that got none."""
    return Answer("", messages, "other", attempts=error.attempts, failure=error.kind, problem=str(error))
