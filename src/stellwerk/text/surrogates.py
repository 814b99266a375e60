"""Lone surrogates: half characters that Python strings may hold and UTF-8, Arrow and databases may not.

Knows how to make any Python string encodable. Knows nothing of other damage (see mojibake.py, normalise.py).
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_surrogates(text: str) -> str:
    """Make a string valid Unicode: joins surrogate pairs, replaces each lone surrogate by U+FFFD.

    Args:
        text: any Python string, for example from ``json.loads('"\\\\ud83d"')`` or ``decode(errors="surrogatepass")``.

    Returns:
        The same text where it was valid; otherwise one that ``encode("utf-8")`` accepts.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
