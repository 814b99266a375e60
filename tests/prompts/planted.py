"""A model with planted rules: it is right the more often, the more of them its instruction has, and it also writes wordings.

Four of ten rules help. A case is right from a strength on that is its own, so that wordings can be compared case by case.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence

from stellwerk.llm.chat import Message, Params, Reply, Usage

USEFUL = (
    "Nenne zuerst die Bestellnummer.",
    "Rechne Beträge in Euro um.",
    "Antworte in ganzen Sätzen.",
    "Verweise auf die Rücksendefrist.",
)
USELESS = (
    "Sei immer freundlich.",
    "Denke Schritt für Schritt.",
    "Du bist ein Fachmann.",
    "Gib dein Bestes.",
    "Sei sorgfältig.",
    "Nimm dir Zeit.",
)
BASE, EFFECT = 0.2, 0.2
RIGHT, WRONG = "ja", "nein"
NONE = Params()


def strength(text: str) -> float:
    """How often the model is right with an instruction, in the long run."""
    return BASE + EFFECT * sum(rule in text for rule in USEFUL)


def chance(*parts: object) -> float:
    """A number from 0 to 1 that is always the same for the same parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") / 2**64


class PlantedModel:
    """Answers cases, and proposes wordings where the message holds an instruction between backticks.

    Args:
        seed: of the cases' strengths and of what is proposed.
        proposals: what the writer does: `rules` appends one of the ten, `nothing` gives no wording, `loses` loses the
            placeholders, `copies` puts an example in, `long` writes far too much.
    """

    name = "planted"
    simulated = True

    def __init__(self, seed: int = 0, proposals: str = "rules") -> None:
        self.seed = seed
        self.proposals = proposals
        self.asked: list[tuple[str, ...]] = []
        self.written = 0

    async def complete(self, messages: Sequence[Message], params: Params = NONE, *, repeat: int = 0) -> Reply:
        """One answer."""
        text = messages[-1].content
        if "```" in text:
            self.written += 1
            answer = f"Here it is:\n```\n{self._proposal(text, repeat)}\n```"
        else:
            self.asked.append(tuple(m.content for m in messages))
            instruction = "\n".join(m.content for m in messages[:-1])
            answer = RIGHT if chance(self.seed, text, repeat) < strength(instruction) else WRONG
        return Reply(answer, usage=Usage(sum(len(m.content) for m in messages) // 4, len(answer)), model="planted")

    def _proposal(self, question: str, repeat: int) -> str:
        found = re.search(r"```\n(.*?)\n```", question, re.DOTALL)
        assert found
        text = found[1].strip()
        if self.proposals == "nothing":
            return ""
        if self.proposals == "loses":
            return re.sub(r"\{\{.*?\}\}", "", text) + " {{fremd}}"
        if self.proposals == "long":
            return text + " Beachte das." * 500
        if self.proposals == "copies":
            example = re.search(r"### frage\n(.*?)\n", question)
            assert example
            return f"{text}\n{example[1]}"
        rules = [rule for rule in (*USEFUL, *USELESS) if rule not in text] or [""]
        if "shorter" in question:
            return text.rsplit("\n", 1)[0]
        return f"{text}\n{rules[int(chance(self.seed, question, repeat, 'rule') * len(rules))]}"

    async def stream(self, messages: Sequence[Message], params: Params = NONE) -> AsyncIterator[str | Reply]:
        """One answer in one piece."""
        yield await self.complete(messages, params)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Nothing asks for it."""
        raise NotImplementedError

    async def __aenter__(self) -> PlantedModel:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
