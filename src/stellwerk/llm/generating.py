"""Transformers weights in memory: a batch of conversations in, answers or vectors out. Imported lazily: it needs torch.

Knows no event loop and no cache. Whatever a caller writes stays text: where it holds a special token of the model, such as
`<|assistant|>`, it is encoded apart from the template, so that no text can open a turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stellwerk.llm.chat import CallFailed, Params

if TYPE_CHECKING:
    from stellwerk.llm.local import Job

ANSWER = 512  # tokens that an answer may have where nobody says
SMALL = 100_000_000  # parameters below which more threads only wait for each other
_MARK = "\ue000{}\ue001"  # stands for a message's text while the template is rendered; from a private area of Unicode


@dataclass
class Row:
    """One conversation of a batch, while it is answered.

    Attributes:
        ids: of the tokens that go in.
        limit: tokens that may come out.
        given: tokens that came out so far, as text.
        first: when the first one came, by `time.perf_counter`.
    """

    ids: list[int]
    params: Params
    limit: int
    noise: torch.Generator
    stops: tuple[str, ...]
    job: Job
    out: list[int] = field(default_factory=list)
    told: int = 0
    first: float | None = None
    ended: bool = False


class Weights:
    """A model and its tokenizer.

    Args:
        folder: checked by `local.check_folder`.
        context: tokens that it can take in and give out together, where its file says less than its configuration.
    """

    def __init__(self, folder: Path, context: int | None = None) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import transformers

        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **given)
        config = transformers.AutoConfig.from_pretrained(folder, **given)
        self.answers = any("CausalLM" in name for name in config.architectures or ())
        kind: Any = transformers.AutoModelForCausalLM if self.answers else transformers.AutoModel
        self._model: Any = kind.from_pretrained(folder, use_safetensors=True, dtype="auto", **given).eval()
        if torch.cuda.is_available():
            self._model = self._model.to("cuda")
        elif "OMP_NUM_THREADS" not in os.environ and sum(p.numel() for p in self._model.parameters()) < SMALL:
            torch.set_num_threads(1)
        limits = [context, getattr(config, "max_position_embeddings", None)]
        self.context = min([limit for limit in limits if isinstance(limit, int) and limit > 0], default=2048)
        ends = self._model.generation_config.eos_token_id if self.answers else None
        self._ends = {ends} if isinstance(ends, int) else set(ends or ())
        if self._tokenizer.eos_token_id is not None:
            self._ends.add(self._tokenizer.eos_token_id)
        self._pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else max(self._ends, default=0)

    def do(self, jobs: Sequence[Job]) -> None:
        """Answer all jobs; each one's future gets its result or its own failure."""
        rows = [row for job in jobs if job.kind == "chat" and (row := self._row(job)) is not None]
        if rows:
            self._generate(rows)
        for job in jobs:
            if job.kind == "embed":
                self._finish(job, self.embed, job.texts)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector of length 1 for each text: the mean of the last layer over its tokens."""
        encoded = [self._plain(text) or [self._pad] for text in texts]
        if (longest := max(map(len, encoded))) > self.context:
            raise CallFailed(f"a text has {longest} tokens, over the {self.context} that the model takes", "rejected")
        found: list[list[float]] = []
        for start in range(0, len(encoded), 32):
            ids, mask = self._padded(encoded[start : start + 32])
            states = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1].float()
            weight = mask.unsqueeze(-1).float()
            mean = (states * weight).sum(1) / weight.sum(1)
            found += torch.nn.functional.normalize(mean, dim=1).cpu().tolist()
        return found

    def count(self, messages: Sequence[dict[str, Any]]) -> int:
        """How many tokens a conversation has, with what the template adds."""
        return len(self._encoded(messages))

    def _row(self, job: Job) -> Row | None:
        """A conversation, ready to be answered; None where it cannot be, which its future is told."""
        try:
            if not self.answers:
                raise CallFailed("the weights give vectors only, no answers; use them for embeddings", "rejected")
            ids = self._encoded(job.messages)
            room = self.context - len(ids)
            if room < 1 or not ids:
                raise CallFailed(f"it has {len(ids)} tokens; the model takes 1 to {self.context - 1}", "rejected")
        except CallFailed as failure:
            job.done.set_exception(failure)
            return None
        stops = job.params.stop if self._tokenizer.chat_template else (*job.params.stop, "\nuser:", "\nsystem:")
        limit = min(room, job.params.max_tokens or ANSWER)
        return Row(ids, job.params, limit, torch.Generator().manual_seed(job.seed), stops, job)

    def _finish(self, job: Job, function: Any, *given: Any) -> None:
        try:
            job.done.set_result(function(*given))
        except Exception as error:  # noqa: BLE001 whoever waits has to hear of it
            job.done.set_exception(error)

    @torch.inference_mode()
    def _generate(self, rows: list[Row]) -> None:
        """Answer a batch, token by token; rows that have ended leave it."""
        ids, mask = self._padded([row.ids for row in rows])
        past, places = None, mask.cumsum(1).sub(1).clamp(min=0)
        while rows:
            said = self._model(
                input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=past, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
            logits, past = said.logits[:, -1].float().cpu(), said.past_key_values
            chosen = [_choose(scores, row) for scores, row in zip(logits, rows, strict=True)]
            for row, token in zip(rows, chosen, strict=True):
                self._take(row, token)
            staying = [place for place, row in enumerate(rows) if not row.ended]
            if not staying:
                return
            if len(staying) < len(rows):
                keep = torch.tensor(staying, device=mask.device)
                past.batch_select_indices(keep)
                mask, places = mask[keep], places[keep]
                rows, chosen = [rows[p] for p in staying], [chosen[p] for p in staying]
            ids = torch.tensor(chosen, device=mask.device).unsqueeze(1)
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            places = places[:, -1:] + 1

    def _take(self, row: Row, token: int) -> None:
        """Add a token to an answer, tell what it makes certain, and end the answer where it ends."""
        row.first = row.first or time.perf_counter()
        done = token in self._ends
        if not done:
            row.out.append(token)
        text = self._text(row) if done or row.stops or row.job.tell or len(row.out) >= row.limit else ""
        places = [place for stop in row.stops if stop and (place := text.find(stop)) >= 0]
        if places:
            text, done = text[: min(places)], True
        full = not done and len(row.out) >= row.limit
        row.ended = done or full or row.job.done.cancelled()
        if row.job.tell:
            # What could still become a stop text, or half a letter, is held back.
            held = 0 if row.ended else max((len(stop) - 1 for stop in row.stops), default=0) + 1
            end = (len(text) if row.ended else len(text.rstrip("\ufffd"))) - held
            if end > row.told:
                row.job.tell(text[row.told : end])
                row.told = end
        if row.ended and not row.job.done.cancelled():
            row.job.done.set_result((text, "length" if full else "stop", len(row.ids), len(row.out), row.first))

    def _text(self, row: Row) -> str:
        text: str = self._tokenizer.decode(row.out, skip_special_tokens=True)
        return text if self._tokenizer.chat_template else text.lstrip(" ")

    def _encoded(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """The tokens of a conversation up to where the answer begins."""
        if not self._tokenizer.chat_template:
            lines = [f"{message['role']}: {message['content']}" for message in messages]
            return self._plain("\n".join([*lines, "assistant:"]))
        special = [str(token) for token in self._tokenizer.get_added_vocab()]
        if not any(token in str(message["content"]) for token in special for message in messages):
            return self._template(messages)
        ids: list[int] = []
        marked = [{**message, "content": _MARK.format(place)} for place, message in enumerate(messages)]
        rest = self._rendered(marked)
        for place, message in enumerate(messages):
            before, found, rest = rest.partition(_MARK.format(place))
            if not found:
                raise CallFailed(
                    "it holds a special token of the model, which its template cannot tell from its own", "rejected"
                )
            ids += self._tokenizer.encode(before, add_special_tokens=False) + self._plain(str(message["content"]))
        return ids + list(self._tokenizer.encode(rest, add_special_tokens=False))

    def _template(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        return list(self._tokenizer.encode(self._rendered(messages), add_special_tokens=False))

    def _rendered(self, messages: Sequence[dict[str, Any]]) -> str:
        try:
            text: str = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        except Exception:  # noqa: BLE001 a template refuses what it does not know by an error of any kind
            raise CallFailed("the model's chat template does not take these roles in this order", "rejected") from None
        return text

    def _plain(self, text: str) -> list[int]:
        """Tokens of a text in which nothing is special."""
        return list(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))

    def _padded(self, rows: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows as one table, filled up on the left, and its mask."""
        width = max(map(len, rows))
        ids = torch.tensor([[self._pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        return ids.to(self._model.device), mask.to(self._model.device)


def _choose(scores: torch.Tensor, row: Row) -> int:
    """The next token of a row: the likeliest, or one drawn from the likeliest `top_p` at its temperature."""
    temperature = row.params.temperature or 0.0
    if temperature == 0:
        return int(scores.argmax())
    scores = scores / temperature
    if row.params.top_p is not None and row.params.top_p < 1:
        ordered, order = scores.softmax(0).sort(descending=True)
        scores[order[ordered.cumsum(0) - ordered > row.params.top_p]] = -torch.inf
    uniform = torch.rand(scores.shape, generator=row.noise).clamp_min(1e-20)
    return int((scores - torch.log(-torch.log(uniform))).argmax())
