"""One question to one model, for a look: nothing is measured and nothing is kept."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.llm import models, prices
from stellwerk.llm.chat import Message, Params
from stellwerk.llm.opening import open_model
from stellwerk.llm.reports import ChatReport

if TYPE_CHECKING:
    from stellwerk.llm.chat import Reply
    from stellwerk.workspace import Workspace


def chat(
    workspace: Workspace, model: str, text: str, system: str | None, temperature: float | None, max_tokens: int | None
) -> ChatReport:
    """Ask, and say what came back.

    Raises:
        UserError: the text is empty, or the model may not be called.
        CallFailed: there was no answer.
    """
    if not text.strip():
        raise UserError("text is empty; give a question")
    name, spec = models.of(workspace, model)
    given = {"temperature": temperature, "max_tokens": max_tokens}
    params = Params.model_validate({field: value for field, value in given.items() if value is not None})
    messages = ([Message("system", system)] if system else []) + [Message("user", text)]

    async def ask() -> tuple[Reply, bool]:
        async with open_model(workspace, name, spec, keep=False) as client:
            return await client.complete(messages, params), client.simulated

    reply, simulated = asyncio.run(ask())
    cost = prices.cost(spec, reply.usage, dt.datetime.now(dt.UTC).date())
    return ChatReport(
        model=name,
        answer=reply.text,
        simulated=simulated,
        finish=reply.finish,
        reported=reply.model,
        sent=reply.usage.input if reply.usage else None,
        answered=reply.usage.output if reply.usage else None,
        seconds=round(reply.seconds, 3),
        cost=cost[0] if cost else None,
        currency=cost[1] if cost else None,
    )
