"""Values as text: times, sizes, and text that somebody hostile may have written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.records.schema import PRECISION
from egresslog.timespec import rfc3339

# What a terminal obeys or what turns text around: C0 and C1 controls, DEL, line separators, bidirectional marks.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
# What a spreadsheet takes for a formula (OWASP, "CSV Injection").
_FORMULA = r"^[=+\-@\t\r]"
_UNSAFE_RE2 = r"[\x00-\x1f\x7f-\x{9f}\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}]"


def safe(text: str) -> str:
    """Text that no terminal obeys: control characters become visible escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def safe_column(column: pa.Array, *, formulas: bool = False) -> pa.Array:
    """As ``safe``, for a column; with ``formulas`` text that a spreadsheet would compute gets a ``'`` in front."""
    if not pa.types.is_string(column.type):
        return column
    if pc.any(pc.match_substring_regex(column, _UNSAFE_RE2)).as_py():
        column = pa.array([None if value is None else safe(value) for value in column.to_pylist()], pa.string())
    if formulas and pc.any(pc.match_substring_regex(column, _FORMULA)).as_py():
        column = pc.replace_substring_regex(column, f"({_FORMULA})", r"'\1")
    return column


def time_texts(batch: pa.RecordBatch, name: str) -> list[str | None]:
    """A time column as RFC 3339, with the digits that the line printed where they are known."""
    column = batch[name]
    if name != "start_time" or PRECISION not in batch.schema.names:
        return [None if value is None else rfc3339(value) for value in column.cast(pa.int64()).to_pylist()]
    texts = pc.strftime(column, "%Y-%m-%dT%H:%M:%S").to_pylist()
    places: Sequence[int | None] = batch[PRECISION].to_pylist()
    ends = {digits: 19 + (1 + digits if digits else 0) for digits in range(10)}
    return [
        None if text is None else text[: ends[9 if digits is None else digits]] + "Z"
        for text, digits in zip(texts, places, strict=True)
    ]


def plain(batch: pa.RecordBatch, names: Sequence[str]) -> list[list[Any]]:
    """The columns as Python values; times as text."""
    return [
        time_texts(batch, name) if pa.types.is_timestamp(batch[name].type) else batch[name].to_pylist()
        for name in names
    ]


def plural(count: int, noun: str) -> str:
    """``1 line``, ``2,000 lines``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Bytes for people: ``493.3 KiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024 or unit == "TiB":  # noqa: PLR2004
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
