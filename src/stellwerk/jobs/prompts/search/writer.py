"""Asks a model for wordings: a better one from answers that failed, another one of the same meaning, a shorter one.

Knows how to ask and where the wording stands in what comes back. Whether it can be used is for others to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stellwerk.jobs.prompts.search.bench import Bench
from stellwerk.llm.chat import ChatClient, Message, Params
from stellwerk.llm.prompts.promptfile import plain

TEACH = """

Further rules for the new instruction:
- Write it in the language of the current one.
- Keep every placeholder, such as {placeholders}, exactly as it is, and add no other.
- State what holds in general; do not quote the examples, and name no answer of a single one.
- It has at most {words} words."""

ANOTHER = """Here is an instruction for an assistant:
```
<curr_param>
```

Rewrite it in other words, in the same language, so that it asks for exactly the same. Keep every placeholder, such as \
{placeholders}, exactly as it is. It has at most {words} words.

Provide the new instruction within ``` blocks."""

SHORTER = """Here is an instruction for an assistant:
```
<curr_param>
```

Make it shorter, in the same language: leave out what an assistant does anyhow, and say the rest in fewer words, without \
changing what is asked. Keep every placeholder, such as {placeholders}, exactly as it is. It has at most {words} words.

Provide the shorter instruction within ``` blocks."""


class Writer:
    """A model that proposes wordings. The same question asked again is another repeat, so that another answer may come.

    Args:
        client: of the model.
        params: of the model's file.
        bench: on whose event loop it is asked.
        placeholders: that a wording has to keep.
        words: that a wording may have at most.
    """

    def __init__(
        self,
        client: ChatClient,
        params: Params,
        bench: Bench,
        placeholders: Sequence[str],
        words: int,
    ) -> None:
        self.calls = 0
        self.tokens = 0
        self._client = client
        self._params = params
        self._bench = bench
        self._rules = {"placeholders": " ".join(f"{{{{{name}}}}}" for name in placeholders) or "{{name}}", "words": words}
        self._asked: Counter[str] = Counter()

    def teach(self, text: str, examples: Sequence[Mapping[str, Any]]) -> str:
        """A wording that does better on examples of what went wrong."""
        from gepa.strategies.instruction_proposal import InstructionProposalSignature as Signature

        form = Signature.default_prompt_template + TEACH.format(**self._rules)
        filled = Signature.prompt_renderer(
            {"current_instruction_doc": text, "dataset_with_feedback": list(examples), "prompt_template": form}
        )
        return self._ask(str(filled))

    def another(self, text: str) -> str:
        """A wording that says the same in other words."""
        return self._ask(ANOTHER.format(**self._rules).replace("<curr_param>", text))

    def shorter(self, text: str) -> str:
        """A wording that says the same in fewer words."""
        return self._ask(SHORTER.format(**self._rules).replace("<curr_param>", text))

    def _ask(self, question: str) -> str:
        from gepa.strategies.instruction_proposal import InstructionProposalSignature as Signature

        self._bench.check()
        repeat = self._asked[question]
        self._asked[question] += 1
        self.calls += 1
        reply = self._bench.wait(self._client.complete([Message("user", question)], self._params, repeat=repeat))
        if reply.usage is not None:
            self.tokens += reply.usage.input + reply.usage.output
        return plain(str(Signature.output_extractor(reply.text.strip())["new_instruction"])).strip()
