"""Makes a small Llama with a byte-level tokenizer on this machine: random weights, for what does not depend on sense."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEXTS = [
    "Guten Tag, wo bleibt unsere Bestellung A123456?",
    "Bitte senden Sie uns ein Angebot über drei Filter.",
    "The machine shows error 1210 and does not start.",
    "Wir kündigen den Wartungsvertrag zum Jahresende.",
]


def make(folder: Path, *, template: str | None = TEMPLATE, seed: int = 0, **changes: Any) -> Path:
    """Write a model of about 100,000 parameters with its tokenizer; the same seed gives the same bytes.

    Args:
        folder: to write it to.
        template: of chats; None for a model that has none.
        seed: of its weights.
        changes: of its configuration.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": special[1:]})
    fast.chat_template = template
    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(fast), "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 256, "tie_word_embeddings": True, "eos_token_id": 0, "bos_token_id": None, "pad_token_id": 0,
        "initializer_range": 0.2,
    }  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(**{**settings, **changes}))
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
