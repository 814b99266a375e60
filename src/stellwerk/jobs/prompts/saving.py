"""A prompt's text becomes its file, after a look whether it is right; somebody else's change is not overwritten."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.reports import Saved
from stellwerk.llm.prompts import FOLDER, SUFFIX, read
from stellwerk.llm.prompts.tokens import estimate
from stellwerk.specfile import read_text
from stellwerk.workspace import NAME, write_text

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace


def save(workspace: Workspace, name: str, text: str, replaces: str | None = None) -> Saved:
    """Write prompts/NAME.prompty.

    Args:
        workspace: whose file it is.
        name: of the prompt.
        text: of the file.
        replaces: digest of the text that is replaced, as `Saved.digest` and `digest` give it.

    Raises:
        UserError: the text is no prompt, or the file holds something else than what is to be replaced.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name[:60]!r} is no name of a prompt; take letters, digits, - and _, such as reply or reply-short")
    file = f"{FOLDER}/{name}{SUFFIX}"
    prompt = read(text, file)
    text = text if text.endswith("\n") else text + "\n"
    path = workspace.root / FOLDER / f"{name}{SUFFIX}"
    there = read_text(path) if path.is_file() else None
    if there is not None and there != text and replaces != digest(there):
        told = "was changed meanwhile; read it again" if replaces else "is there already with another text; look at it"
        raise UserError(f"{file} {told}, then give the digest of what is replaced: replaces: {digest(there)}")
    if there is None and replaces is not None:
        raise UserError(f"{file} is no longer there, so there is nothing to replace; leave replaces out to write it anew")
    if there != text:
        try:
            path.parent.mkdir(exist_ok=True)
            write_text(path, text)
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror}; see that the folder is yours") from None
    return Saved(
        prompt=f"prompt/{name}", file=file, digest=digest(text), changed=there != text,
        inputs=[one.name for one in prompt.inputs], tokens=estimate(prompt.text),
    )  # fmt: skip


def digest(text: str) -> str:
    """What names the text of a file: SHA-256 of its UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
