"""Handlebars as dotprompt uses it: values, if, unless, each, comments, roles and history. Knows no header.

The rules of its lines are kept: a tag of a block that stands alone on a line takes the line with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stellwerk.jobs.prompts.exchange.foreign import Said, role, trimmed
from stellwerk.jobs.prompts.exchange.pieces import CannotSay, Each, If, Piece, Value

_TAG = re.compile(r"(\\\\|\\)?\{\{(?:(\{)(.*?)\}\}\}|(!--.*?--~?|!.*?|[^{].*?)\}\})", re.DOTALL)
_PART = re.compile(r"[^\W\d][\w-]*|\d+|\[[^\]]*\]")
HISTORY = "history"


@dataclass
class Tag:
    """A tag: what stands in it, and whether it takes spaces before or behind it."""

    text: str
    before: bool = False
    behind: bool = False

    @property
    def takes_line(self) -> bool:
        """Whether it takes the line on which it stands alone."""
        return self.text[:1] in ("#", "/", "!", "^") or self.text.split(" ")[0] == "else"


def read(text: str, where: str) -> list[Said]:
    """The messages of a template.

    Raises:
        CannotSay: it holds what our templates do not.
        UserError: a role is none.
    """
    parser = _Parser(_strip(_tokens(text)), where)
    return parser.messages()


def _tokens(text: str) -> list[str | Tag]:
    """Texts and tags, in order; texts that were kept from being tags are texts."""
    found: list[str | Tag] = []
    end = 0
    for match in _TAG.finditer(text):
        escaped = match.group(1)
        before = text[end : match.start()]
        end = match.end()
        if escaped == "\\":
            found.append(before + match.group()[1:])
            continue
        found.append(before + ("\\" if escaped else ""))
        inner = (match.group(3) if match.group(2) else match.group(4)) or ""
        behind = inner.endswith("~")
        ahead = inner.startswith("~")
        inner = inner.removesuffix("~").removeprefix("~").strip()
        if inner.startswith("{"):
            raise CannotSay("a block of raw text")
        found.append(Tag(inner.removeprefix("&").strip(), ahead, behind))
    found.append(text[end:])
    merged: list[str | Tag] = []
    for token in found:
        if isinstance(token, str) and merged and isinstance(merged[-1], str):
            merged[-1] += token
        elif token != "":
            merged.append(token)
    return merged


def _strip(tokens: list[str | Tag]) -> list[str | Tag]:
    """Take the lines and spaces that tags take."""
    new = list(tokens)
    for place, token in enumerate(tokens):
        if not isinstance(token, Tag):
            continue
        before = tokens[place - 1] if place else ""
        behind = tokens[place + 1] if place + 1 < len(tokens) else ""
        alone = (
            token.takes_line
            and isinstance(before, str)
            and isinstance(behind, str)
            and re.search(r"(?:\A|\n)[ \t]*\Z" if place < 2 else r"\n[ \t]*\Z", before) is not None
            and re.match(r"[ \t]*(?:\r?\n|\Z)" if place + 2 >= len(tokens) else r"[ \t]*\r?\n", behind) is not None
        )
        if place and isinstance(text := new[place - 1], str) and (alone or token.before):
            new[place - 1] = text.rstrip() if token.before else re.sub(r"[ \t]*\Z", "", text)
        if place + 1 < len(new) and isinstance(text := new[place + 1], str) and (alone or token.behind):
            new[place + 1] = text.lstrip() if token.behind else re.sub(r"\A[ \t]*\r?\n?", "", text)
    return [token for token in new if token != ""]


class _Parser:
    def __init__(self, tokens: list[str | Tag], where: str) -> None:
        self.tokens = tokens
        self.where = where
        self.place = 0
        self.items: list[dict[str, tuple[str, ...]]] = []  # of each loop around: what its names are

    def messages(self) -> list[Said]:
        """Split the template at its roles; what stands before the first is of the user."""
        found: list[Said] = []
        now, gathered = role("user", self.where), list[Piece]()

        def close() -> None:
            pieces = _trim(gathered)
            if pieces:
                found.append(Said(now, pieces))
            gathered.clear()

        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            if isinstance(token, Tag) and (named := re.fullmatch(r"""role\s+["'](\w+)["']""", token.text)):
                close()
                now = role(named.group(1), self.where)
                self.place += 1
            elif isinstance(token, Tag) and token.text == HISTORY:
                close()
                found.append(Said("messages", [HISTORY]))
                now = role("model", self.where)
                self.place += 1
            else:
                gathered += self._next()
        close()
        return found

    def _next(self) -> list[Piece]:
        token = self.tokens[self.place]
        self.place += 1
        if isinstance(token, str):
            return [token]
        if token.text.startswith("!"):
            return []
        if token.text.startswith("#"):
            return [self._block(token.text[1:].strip())]
        if token.text[:1] in (">", "^", "/") or token.text.split(" ")[0] == "else":
            raise CannotSay(f"the tag {{{{{token.text[:40]}}}}} in this place")
        words = token.text.split()
        if len(words) == 2 and words[0] == "json":
            return [Value(self._path(words[1]), as_json=True)]
        if len(words) != 1:
            raise CannotSay(f"the helper {words[0] if words else ''!r}")
        return [Value(self._path(words[0]))]

    def _block(self, text: str) -> Piece:
        words = text.split()
        if words[0] in ("if", "unless") and len(words) == 2:
            path = self._path(words[1])
            then, other = self._branches(words[0])
            return If(path, tuple(then), tuple(other), words[0] == "unless")
        each = re.fullmatch(r"each\s+(\S+)(?:\s+as\s+\|\s*(\w+)(?:\s+(\w+))?\s*\|)?", text)
        if each is None:
            raise CannotSay(f"the block {{{{#{words[0]}}}}}")
        path = self._path(each.group(1))
        item = each.group(2) or ("item" if not self.items else f"item{len(self.items) + 1}")
        known = {"this": (item,), "@index": ("loop", "index0"), "@first": ("loop", "first"), "@last": ("loop", "last")}
        known |= {each.group(2): (item,)} if each.group(2) else {}
        known |= {each.group(3): ("loop", "index0")} if each.group(3) else {}
        self.items.append(known)
        then, other = self._branches("each", inside=True)
        return Each(path, item, tuple(then), tuple(other))

    def _branches(self, name: str, *, inside: bool = False) -> tuple[list[Piece], list[Piece]]:
        """What stands in a block, and what stands in its else."""
        then: list[Piece] = []
        other: list[Piece] = []
        now = then
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            text = token.text if isinstance(token, Tag) else ""
            if text.startswith("/"):
                self.place += 1
                if text[1:].strip() != name:
                    raise CannotSay(f"the end of {text[1:].strip()[:40]!r} in a block of {name!r}")
                if inside and now is then:
                    self.items.pop()
                return then, other
            if text in ("else", "^"):
                if inside:
                    self.items.pop()
                self.place += 1
                now = other
            elif text.startswith("else "):
                words = text.split()
                if words[1] not in ("if", "unless") or len(words) != 3:
                    raise CannotSay(f"the tag {{{{{text[:40]}}}}}")
                self.place += 1
                path = self._path(words[2])
                inner, rest = self._branches(name)
                return then, [If(path, tuple(inner), tuple(rest), words[1] == "unless")]
            else:
                now += self._next()
        raise CannotSay(f"a block of {name!r} that is not ended")

    def _path(self, text: str) -> tuple[str, ...]:
        """What a path of Handlebars names, as a path of ours."""
        depth = len(self.items)
        while text.startswith("../"):
            text, depth = text[3:], depth - 1
        if depth < 0:
            raise CannotSay("a path that leads out of the template")
        if text.startswith("@root."):
            text, depth = text[6:], 0
        known = self.items[depth - 1] if depth else {}
        if text.startswith("@"):
            if text not in known or depth != len(self.items):
                raise CannotSay(f"the value {text[:40]!r}")
            return known[text]
        text = text.removeprefix("./")
        if text == ".":
            text = "this"
        parts = [part.strip("[]") for part in _PART.findall(text)]
        if not parts or "".join(_PART.findall(text)) != text.replace(".", ""):
            raise CannotSay(f"the value {text[:40]!r}")
        for names in reversed(self.items[:depth]):
            if parts[0] in names and (parts[0] != "this" or names is known):
                return (*names[parts[0]], *parts[1:])
        return (*known["this"], *parts) if depth else tuple(parts)


def _trim(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces without the empty lines around them."""
    found = list(pieces)
    if found and isinstance(found[0], str):
        found[0] = re.sub(r"\A(?:[ \t]*\r?\n)+", "", found[0])
    if found and isinstance(found[-1], str):
        found[-1] = re.sub(r"(?:\r?\n[ \t]*)+\Z", "", found[-1])
    found = [piece for piece in found if piece != ""]
    return [] if all(isinstance(piece, str) and not trimmed(piece).strip() for piece in found) else found


def write(messages: Sequence[tuple[str, str | Sequence[Piece]]]) -> str:
    """Messages as a template.

    Raises:
        CannotSay: a piece has no way to be said.
    """
    parts = []
    for named, content in messages:
        if named == "messages":
            if content != HISTORY:
                raise CannotSay(f"a list of turns that is not called {HISTORY}")
            parts.append("{{history}}\n")
            continue
        if named == "developer":
            raise CannotSay("a message of the role developer")
        said = "model" if named == "assistant" else named
        assert not isinstance(content, str)
        parts.append(f'{{{{role "{said}"}}}}\n{_said(content, [])}\n')
    return "".join(parts)


def _said(pieces: Sequence[Piece], loops: list[str]) -> str:
    written: list[str] = []
    for piece in pieces:
        match piece:
            case str():
                written.append(_literal(piece))
                continue
            case Value(path, as_json):
                _before_tag(written)
                written.append(f"{{{{{'json ' if as_json else ''}{_way(path, loops)}}}}}")
                continue
            case If(path, then, otherwise, negated):
                name, head = ("unless", _way(path, loops)) if negated else ("if", _way(path, loops))
                inner, other = _said(then, loops), _said(otherwise, loops)
            case Each(path, item, body, otherwise):
                usual = "item" if not loops else f"item{len(loops) + 1}"
                name, head = "each", _way(path, loops) + ("" if item == usual else f" as |{item}|")
                inner, other = _said(body, [*loops, item]), _said(otherwise, loops)
        _before_tag(written)
        # The comment keeps a tag from standing alone on its line, which it would take with it.
        middle = f"{{{{else}}}}{{{{! }}}}{other}" if otherwise else ""
        written.append(f"{{{{#{name} {head}}}}}{{{{! }}}}{inner}{middle}{{{{/{name}}}}}{{{{! }}}}")
    return "".join(written)


def _before_tag(written: list[str]) -> None:
    """Keep what stands before a tag from becoming part of it."""
    if written and written[-1].endswith("{"):
        raise CannotSay("a { right before a value")
    if written and (end := re.search(r"\\+\Z", written[-1])):
        if len(end.group()) > 1:
            raise CannotSay("several \\ right before a value")
        written[-1] += "\\"


def _literal(text: str) -> str:
    if re.search(r"\\\{\{|\{\{\{", text):
        raise CannotSay("a text with {{{ or \\{{ in it")
    return text.replace("{{", "\\{{")


def _way(path: tuple[str, ...], loops: list[str]) -> str:
    if path[0] == "loop":
        if not loops or path[1:] not in (("index0",), ("first",), ("last",)):
            raise CannotSay(f"the value {'.'.join(path)}")
        return {"index0": "@index", "first": "@first", "last": "@last"}[path[1]]
    for up, name in enumerate(reversed(loops)):
        if path[0] == name:
            return "../" * up + ".".join(("this", *path[1:]))
    return "../" * len(loops) + ".".join(path)
