"""The scorer for meaning: the cosine between the vectors of answer and value, by an embedding model of the workspace."""

from __future__ import annotations

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, nfc, unscored
from stellwerk.evaluation.scorers.texts import as_text
from stellwerk.llm.chat import CallFailed


async def similar(check: Check, asked: Asked) -> Outcome:
    """The answer is as near as `threshold` to the value, or to one of its values."""
    name = str(check.config.get("provider") or asked.tools.embedder or "")
    if not name:
        raise UserError("similar needs a model that embeds; name one with provider: NAME, or embedder: NAME in the suite")
    wanted = [nfc(as_text(value)) for value in (check.value if isinstance(check.value, list) else [check.value])]
    try:
        vectors = await asked.tools.embed(name, wanted, keep=True)
        (own,) = await asked.tools.embed(name, [asked.text])
    except CallFailed as error:
        return unscored("no_embedding", model=name, problem=error.kind)
    near = max(cosine(own, other) for other in vectors)
    least = 0.75 if check.threshold is None else check.threshold
    value = min(1.0, max(0.0, near))
    return Outcome(value, value >= least, "similarity", {"share": round(near, 4), "least": least, "model": name})


def cosine(first: list[float], second: list[float]) -> float:
    """The cosine of the angle between two vectors of shape (d,); 0 where one has no length.

    Raises:
        UserError: they are of different shapes.
    """
    if len(first) != len(second):
        raise UserError(
            f"the model that embeds gives vectors of {len(first)} and of {len(second)} numbers; it must be one model"
        )
    lengths = sum(x * x for x in first) * sum(y * y for y in second)
    return float(sum(x * y for x, y in zip(first, second, strict=True)) / lengths**0.5) if lengths else 0.0


def problem(check: Check) -> str | None:
    """A text or a list of texts must be given."""
    values = check.value if isinstance(check.value, list) else [check.value]
    if values and all(isinstance(value, str) and value for value in values):
        return None
    return "needs a value: a text or a list of texts"
