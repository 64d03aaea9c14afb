"""Durations as Go writes them and times as RFC 3339 has them: the forms kubectl takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from egresslog.errors import UsageError

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_UNITS |= {"d": 86400 * 10**9}  # Go has no days; people do
_RANGE = 2**63  # nanoseconds: what Arrow's times hold
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h|d)", re.ASCII)


def duration(text: str) -> int:
    """Nanoseconds of ``90s``, ``5m`` or ``1h30m``.

    Raises:
        UsageError: not a duration, or not above zero.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"not a duration: {text!r} (give 90s, 5m, 1h30m, 2d)")
    total = round(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if total <= 0:
        raise UsageError(f"a duration must be above zero: {text!r}")
    return total


def moment(text: str, now: datetime) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time, or of a duration before ``now``.

    Raises:
        UsageError: neither.
    """
    if _PART.match(text):
        return _within(int(now.timestamp()) * 10**9 - duration(text), text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"not a time: {text!r} (give 2024-05-01T10:17:14Z, or 5m for five minutes ago)") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return _within((when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000, text)


def _within(nanoseconds: int, text: str) -> int:
    if abs(nanoseconds) >= _RANGE:
        raise UsageError(f"not a time that a log can have: {text!r} (from 1678 to 2261)")
    return nanoseconds
