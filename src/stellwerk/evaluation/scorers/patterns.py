"""The scorer for regular expressions, in bounded time whatever the pattern and the answer are.

RE2 matches in linear time; what it does not know (lookaround, back references), and all where it is not installed, is
matched in a process of its own, which is ended when it takes too long.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, unscored, yes_no
from stellwerk.evaluation.scorers.texts import as_text, needs_text, shortened

MAXIMUM = 4000  # characters of a pattern


def regex(check: Check, asked: Asked) -> Outcome:
    """The pattern matches somewhere in the answer."""
    pattern = as_text(check.value)
    found = search(pattern, asked.text)
    if found is None:
        return unscored("too_slow", pattern=shortened(pattern))
    return yes_no(found, "matches" if found else "no_match", pattern=shortened(pattern))


def search(pattern: str, text: str) -> bool | None:
    """Whether a pattern matches somewhere in a text; None where that took too long."""
    quick = _compiled(pattern)
    if quick is not None:
        return quick(text)
    from stellwerk.evaluation.scorers import apart

    return apart.search(pattern, flags(pattern), text)


def problem(check: Check) -> str | None:
    """What is wrong with a pattern; one with a template in it is looked at when it is rendered."""
    if (wrong := needs_text(check)) is not None:
        return wrong
    pattern = as_text(check.value)
    if "{{" in pattern or "{%" in pattern:
        return None
    if len(pattern) > MAXIMUM:
        return f"has a pattern of over {MAXIMUM} characters"
    try:
        re.compile(pattern, flags(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        return f"has a pattern that is no regular expression: {error}"
    return None


def flags(pattern: str) -> int:
    """Letters and digits mean ASCII, as in JavaScript and RE2; not where case is ignored, for umlauts have cases too."""
    return 0 if "(?i" in pattern else re.ASCII


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Callable[[str], bool] | None:
    """A search in linear time; None where RE2 is not here or does not know the pattern."""
    try:
        import re2
    except ModuleNotFoundError:
        return None
    options: Any = re2.Options()
    options.log_errors = False
    options.max_mem = 16 << 20
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeError):
        return None
    return lambda text: compiled.search(text) is not None
