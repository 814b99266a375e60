"""How long to wait before a call is tried again: what the server asks for, or twice as long each time, spread by chance."""

from __future__ import annotations

import datetime as dt
import random
from email.utils import parsedate_to_datetime

FIRST = 0.5  # seconds
LONGEST = 30.0
LONGEST_ASKED = 300.0  # a server that asks for more is asked again after so long


def back_off(attempt: int, longest: float = LONGEST) -> float:
    """Seconds to wait after a failed attempt; spread, so that many callers do not come back at once.

    Args:
        attempt: 0 after the first failure.
        longest: seconds at most.
    """
    longest = min(longest, FIRST * 2.0 ** min(attempt, 20))
    return random.SystemRandom().uniform(longest / 2, longest)


def spread(seconds: float) -> float:
    """A wait that a server asked for, and a little more, so that not all who wait come back in the same moment."""
    return seconds + random.SystemRandom().uniform(0, min(1.0, 0.1 * seconds + 0.02))


def asked(header: str | None, now: dt.datetime | None = None, longest: float = LONGEST_ASKED) -> float | None:
    """Seconds that `Retry-After` asks for.

    Args:
        header: seconds, also with a fraction, or an HTTP date.
        now: with a time zone; the clock's if left out.
        longest: seconds at most.

    Returns:
        0 to `longest` seconds; None where it is absent or cannot be read.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text[:12]), longest)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    left = (moment.replace(tzinfo=moment.tzinfo or dt.UTC) - (now or dt.datetime.now(dt.UTC))).total_seconds()
    return min(max(left, 0.0), longest)
