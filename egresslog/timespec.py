"""Durations as Go writes them and times as RFC 3339 has them: what kubectl takes and the Kubernetes API prints."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from egresslog.errors import UsageError

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_UNITS |= {"d": 86400 * 10**9}  # Go has no days; people do
_RANGE = 2**63  # nanoseconds: what Arrow's times hold
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_BELOW_MICROSECONDS = re.compile(r"\d[.,]\d{6}(\d{1,3})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


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
        when = parse_rfc3339(text)
    except ValueError:
        raise UsageError(f"not a time: {text!r} (give 2024-05-01T10:17:14Z, or 5m for five minutes ago)") from None
    return _within(when, text)


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time.

    A time without an offset is UTC. Other forms of ISO 8601, such as a date alone, are accepted as well.

    Raises:
        ValueError: not a time.
    """
    when = datetime.fromisoformat(text)  # which ignores all digits of a second but six
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    rest = _BELOW_MICROSECONDS.search(text)
    return (when - _EPOCH) // _MICROSECOND * 1000 + (int(rest[1].ljust(3, "0")) if rest else 0)


def rfc3339(nanoseconds: int, digits: int | None = None) -> str:
    """A time (ns since 1970) in UTC.

    Args:
        nanoseconds: the time.
        digits: of the fraction of a second; more are cut off. None: three, six or nine, as many as are needed.
    """
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f"{rest:09}"
    if digits is None:
        digits = 3 if fraction.endswith("000000") else 6 if fraction.endswith("000") else 9
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{fraction[:digits]}Z" if digits else f"{whole}Z"


def is_storable(nanoseconds: int) -> bool:
    """Whether a time (ns since 1970) is one that Arrow and DuckDB hold: from 1678 to 2261."""
    return abs(nanoseconds) < _RANGE


def _within(nanoseconds: int, text: str) -> int:
    if not is_storable(nanoseconds):
        raise UsageError(f"not a time that a log can have: {text!r} (from 1678 to 2261)")
    return nanoseconds
