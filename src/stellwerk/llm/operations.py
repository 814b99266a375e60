"""The operations on models: ask one, serve local weights, probe whether one has changed, list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from stellwerk.llm import spec
from stellwerk.llm.reports import ChatReport, ModelList, ProbeReport, Served
from stellwerk.operation import FileRef, Sensitive, operation

if TYPE_CHECKING:
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

ModelRef = Annotated[str, FileRef("model", spec.FOLDER, check=spec.read)]


@operation(example={"model": "simulated", "text": "Wann kommt meine Lieferung?"}, changes=True)
def chat(
    model: ModelRef,
    text: Annotated[str, Sensitive()],
    system: str | None = None,
    temperature: Annotated[float | None, Field(ge=0)] = None,
    max_tokens: Annotated[int | None, Field(ge=1)] = None,
    *,
    workspace: Workspace,
) -> ChatReport:
    """Ask a model one question and show its answer, with tokens, time and cost; nothing is measured.

    Args:
        model: such as writer, for models/writer.yaml.
        text: the question.
        system: what the model is told before it.
        temperature: how far answers may vary; the model's own if left out.
        max_tokens: how long the answer may be.
    """
    from stellwerk.llm import chatting

    return chatting.chat(workspace, model, text, system, temperature, max_tokens)


@operation(example={"model": "simulated"})
def probe(model: ModelRef, *, run: Run) -> ProbeReport:
    """Ask a model fixed questions and compare with what it answered before, to see whether its provider has changed it.

    Args:
        model: such as writer, for models/writer.yaml.
    """
    from stellwerk.llm import probing

    return probing.probe(run, "model")


@operation(example={"model": "simulated", "port": 0, "seconds": 0.5}, changes=True, local=True)
def serve(
    model: ModelRef,
    port: Annotated[int, Field(ge=0, le=65535)] = 8081,
    key: str | None = None,
    seconds: Annotated[float | None, Field(gt=0)] = None,
    *,
    workspace: Workspace,
) -> Served:
    """Serve local weights or a simulated model on this machine, as an endpoint that speaks the OpenAI protocol.

    Args:
        model: such as writer, for models/writer.yaml.
        port: on 127.0.0.1; 0 takes a free one.
        key: env:NAME or file:PATH of a key that callers must give; everyone on this machine may call if left out.
        seconds: stop after so many; until Ctrl-C if left out.
    """
    from stellwerk.llm import serving

    return serving.serve(workspace, model, port, key, seconds)


@operation(example={})
def list_(*, workspace: Workspace) -> ModelList:
    """List the models of this workspace: where each is, whether it may be called, its price today, when it was probed last."""
    from stellwerk.llm import listing

    return listing.models(workspace)
