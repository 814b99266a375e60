"""Prompts as files: `prompts/NAME.prompty` becomes messages; roles are parsed before values are put in."""

from __future__ import annotations

from stellwerk.llm.prompts.promptfile import FOLDER, SUFFIX, Prompt, read

__all__ = ["FOLDER", "SUFFIX", "Prompt", "read"]
