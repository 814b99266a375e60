"""Numbers, times and intervals read as a reader of that language expects; signs that hide are shown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.report import words


@pytest.mark.parametrize(
    ("value", "en", "de"),
    [
        (date(2026, 3, 4), "4 Mar 2026", "04.03.2026"),
        ("2026-03-04", "4 Mar 2026", "04.03.2026"),
        ("2026-03-04T15:05:59.123456+00:00", "4 Mar 2026, 15:05 UTC", "04.03.2026, 15:05 UTC"),
        (datetime(2026, 3, 4, 15, 5), "4 Mar 2026, 15:05 UTC", "04.03.2026, 15:05 UTC"),
        (datetime(2026, 3, 4, 1, 5, tzinfo=timezone(timedelta(hours=2))), "3 Mar 2026, 23:05 UTC", "03.03.2026, 23:05 UTC"),
        (0, "1 Jan 1970, 00:00 UTC", "01.01.1970, 00:00 UTC"),
    ],
)
def test_days_and_moments(value: Any, en: str, de: str) -> None:
    assert (words.date(value), words.date(value, "de")) == (en, de)


def test_a_moment_in_the_zone_of_the_reader() -> None:
    zone = timezone(timedelta(hours=1), "CET")
    assert words.date(datetime(2026, 3, 4, 23, 30, tzinfo=UTC), "de", zone) == "05.03.2026, 00:30 CET"


@pytest.mark.parametrize(
    ("seconds", "en", "de"),
    [
        (0, "0 s", "0 s"),
        (0.0421, "0.0421 s", "0,0421 s"),
        (59.4, "59.4 s", "59,4 s"),
        (59.999, "60 s", "60 s"),
        (61, "1 min 1 sec", "1 Min. 1 Sek."),
        (3600, "1 hr", "1 Std."),
        (3725, "1 hr 2 mins", "1 Std. 2 Min."),
        (90000, "1 day 1 hr", "1 Tg. 1 Std."),
        (-90, "-1 min 30 secs", "-1 Min. 30 Sek."),
    ],
)
def test_durations(seconds: float, en: str, de: str) -> None:
    assert (words.duration(seconds), words.duration(seconds, "de")) == (en, de)


def test_intervals_name_their_unit() -> None:
    assert words.interval(0.912, 0.884, 0.935, "share") == "91.2 % (88.4 % to 93.5 %)"
    assert words.interval(0.912, 0.884, 0.935, "share", "de") == "91,2 % (88,4 % bis 93,5 %)"
    assert words.interval(1.84, 1.7, 2.11, "s", "de") == "1,84 s (1,7 s bis 2,11 s)"
    assert words.interval(12, None, None, "rows", "de") == "12 Zeilen"
    assert words.interval(12, 12, 12, "USD") == "12 USD"


@given(st.floats(-1e300, 1e300), st.sampled_from(["en", "de"]))
def test_every_number_can_be_read_back_within_its_digits(value: float, language: words.Language) -> None:
    text = words.number(value, language)
    plain = text.replace(",", "") if language == "en" else text.replace(".", "").replace(",", ".")
    assert float(plain) == pytest.approx(value, rel=0.006)


@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    shown = words.visible(text)
    shown.encode()
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\x00\x1b")
    assert words.visible(shown) == shown
