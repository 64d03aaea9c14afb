"""RFC 3339 times to nanoseconds and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egresslog.timespec import parse_rfc3339, rfc3339

T0 = 1_795_000_000 * 10**9  # 2026-11-18T11:06:40Z


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-18T11:06:40Z", T0),
        ("2026-11-18T11:06:40", T0),
        ("2026-11-18T16:36:40+05:30", T0),
        ("2026-11-18T11:06:40.5Z", T0 + 500_000_000),
        ("2026-11-18T11:06:40.000001Z", T0 + 1000),
        ("2026-11-18T11:06:40.123456789Z", T0 + 123_456_789),
        ("2026-11-18T16:36:40.1234567+05:30", T0 + 123_456_700),
        ("2026-11-18", T0 - 40_000 * 10**9),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_parses_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    """Any number of digits, and the node's own offset, which some runtimes print."""
    assert parse_rfc3339(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "2026-02-31T00:00:00Z", "2026-11-18T11:06:40Zulu", "1795000000", "5m"])
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("nanoseconds", "digits", "text"),
    [
        (T0, None, "2026-11-18T11:06:40.000Z"),
        (T0 + 10_000_000, None, "2026-11-18T11:06:40.010Z"),
        (T0 + 1000, None, "2026-11-18T11:06:40.000001Z"),
        (T0 + 1, None, "2026-11-18T11:06:40.000000001Z"),
        (T0 + 999_999_999, 0, "2026-11-18T11:06:40Z"),
        (T0 + 123_456_789, 3, "2026-11-18T11:06:40.123Z"),
        (-1, 0, "1969-12-31T23:59:59Z"),
    ],
)
def test_prints_as_many_digits_as_needed(nanoseconds: int, digits: int | None, text: str) -> None:
    """Three at least; or as many as asked for, and the rest is cut off (the log API's ``sinceTime``)."""
    assert rfc3339(nanoseconds, digits) == text


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_there_and_back(nanoseconds: int) -> None:
    """Every time that Arrow can hold."""
    text = rfc3339(nanoseconds)
    assert parse_rfc3339(text) == nanoseconds
    seconds = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanoseconds // 10**9)
    assert text.startswith(seconds.isoformat()[:19])
