"""The header Retry-After in every form: a number of seconds, a date, or nonsense, which counts as absent."""

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.onefile.responses import parse_retry_after

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def _seconds(header: str) -> float | None:
    return parse_retry_after(httpx.Response(429, headers=[(b"Retry-After", header.encode())]), _NOW)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("60", 60),
        ("007", 7),
        ("999999999", 999_999_999),
        ("Thu, 15 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 15 Jan 2026 12:00:30", 30),
        ("Thu, 15 Jan 2026 13:00:30 +0100", 30),
        ("Thu, 15 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 01 Jan 1990 00:00:00 GMT", 0),
    ],
)
def test_seconds_and_dates_are_understood(header: str, seconds: float) -> None:
    assert _seconds(header) == seconds


@pytest.mark.parametrize(
    "header",
    [
        *(
            "",
            "soon",
            "-5",
            "+5",
            "1.5",
            "1e3",
            "60, 60",
            "60;",
            "٣",
            "inf",
            "nan",
            "0x10",
            "9" * 10,
            "9" * 20,
            "9" * 5000,
        ),
        "Thu, 15 Jan 99999999999999999999 12:00:30 GMT",
        "Thu, 15 Jan 2026 12:00:30 +99999999999999999999",
        "Thu, 15 Jan 2026 12:00:30 -99999999999999999999",
        "Thu, 15 Jan 2026 12:00:30 +9999",
        "Thu, 99999999999999999999 Jan 2026 12:00:30 GMT",
        "Thu, 15 Jan 2026 99999999999999999999:00:30 GMT",
        "Thu, 15 Jan 2026 12:00:99999999999999999999 GMT",
        "Thu, 32 Jan 2026 12:00:30 GMT",
        "Thu, 15 Xxx 2026 12:00:30 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Mon, 01 Jan 0000 00:00:00 GMT",
        ",",
        ":",
        "Thu,",
    ],
)
def test_nonsense_counts_as_absent_and_raises_nothing(header: str) -> None:
    seconds = _seconds(header)
    assert seconds is None or 0 <= seconds < 10**12


def test_missing_header_is_absent() -> None:
    assert parse_retry_after(httpx.Response(429), _NOW) is None


_PART = st.one_of(
    st.integers().map(str),
    st.sampled_from(["Thu,", "Jan", "GMT", "+0100", ":", "-", "12:00:00", "2026", "15", "AM", "EST", "Z"]),
    st.text(max_size=5),
)


@given(st.lists(_PART, max_size=8).map(" ".join))
def test_no_header_raises_an_error(header: str) -> None:
    seconds = _seconds(header.replace("\ud800", ""))
    assert seconds is None or seconds >= 0
