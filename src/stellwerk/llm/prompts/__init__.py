"""Prompts as files: `prompts/NAME.prompty` becomes messages; roles are parsed before values are put in."""

from __future__ import annotations

from stellwerk.llm.prompts.promptfile import FOLDER, SUFFIX, Input, Prompt, TemplateMessage, read
from stellwerk.llm.prompts.rendering import render
from stellwerk.llm.prompts.versions import of, take

__all__ = ["FOLDER", "SUFFIX", "Input", "Prompt", "TemplateMessage", "of", "read", "render", "take"]
