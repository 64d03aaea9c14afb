"""Values as text: times, sizes, and text that somebody hostile may have written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.records.schema import PRECISION
from egresslog.timespec import rfc3339

# Characters that show nothing although they are letters, marks of their own, or symbols (Unicode's
# Default_Ignorable_Code_Point beyond the categories below, and the blank Braille pattern).
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_ZERO_WIDTH = frozenset({"Mn", "Me"})  # marks on the character before, variation selectors
# What a spreadsheet takes for a formula (OWASP, "CSV Injection"), also in full width (which Excel and LibreOffice fold)
# and after white space, which they may strip.
_SIGNS = r"=+\-@\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}\x{fe62}\x{fe63}\x{fe66}\x{fe6b}\x{2212}"
_FORMULA = rf"^[\s\pZ\x{{feff}}]*[{_SIGNS}]|^[\t\r\n]"
_PLAIN = r"^[\x20-\x7e]*$"

#: Columns of names that are ASCII on the wire, where a letter that only looks like another is always somebody's trick.
HOST_COLUMNS = frozenset({"host", "authority", "requested_server_name", "upstream_cluster"})


@lru_cache(10_000)
def _shown(char: str) -> str:
    """A character, or its escape if it shows nothing or changes what others show."""
    # Not printable: categories C* (controls, bidirectional marks, tags, private use, unassigned) and Z* but the blank.
    if char.isprintable() and char not in _BLANK and unicodedata.category(char) not in _ZERO_WIDTH:
        return char
    return char.encode("unicode_escape").decode("ascii")


def safe(text: str) -> str:
    """Text that no terminal obeys and that hides nothing: characters that are not seen become visible escapes."""
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def safe_host(text: str) -> str:
    """As ``safe``, for a name that is ASCII on the wire: all else is escaped, such as a Cyrillic letter."""
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")


def safe_value(name: str, value: Any) -> str:
    """A value of a column as safe text; ``-`` for none."""
    if value is None:
        return "-"
    return safe_host(str(value)) if name in HOST_COLUMNS else safe(str(value))


def safe_column(name: str, column: pa.Array, *, formulas: bool = False) -> pa.Array:
    """As ``safe_value``, for a column; ``formulas``: what a spreadsheet would compute gets a ``'`` in front."""
    if not pa.types.is_string(column.type):
        return column
    is_formula = pc.match_substring_regex(column, _FORMULA)
    if not pc.all(pc.match_substring_regex(column, _PLAIN)).as_py():
        texts = [None if value is None else safe_value(name, value) for value in column.to_pylist()]
        column = pa.array(texts, pa.string())
    if formulas and pc.any(is_formula).as_py():
        column = pc.if_else(is_formula, pc.binary_join_element_wise("'", column, ""), column)
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
