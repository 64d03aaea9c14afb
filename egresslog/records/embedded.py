"""Access-log lines inside something of no known shape: a JSON object, a CSV row, a prefix.

Such a line may accuse and never prove, unless the user names where it stands: a mesh's own format with a client's
header in it looks the same, and a client can write a whole line into a header.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from egresslog.errors import LineError
from egresslog.records.catalogue import Formats
from egresslog.records.json_text import DuplicateKeys, load
from egresslog.records.schema import RECORD

_DEEP = 8  # levels of an object that are searched
_VALUES = 2000  # values of an object that are searched
_PREFIX = 4096  # characters: a longer prefix is none
_MARKS = 16  # marks that are tried
_RECORD = {column.name for column in RECORD} - {"method", "path", "protocol", "duration"}  # which others have, too
_BORDERS = "|\u2502\u2503\u2551"
_RUBY_END = re.compile(r'"(?:, "[^"]{1,128}"=>|\}\]\s*\Z)')


class Embedded(NamedTuple):
    """An access-log line, and where it stands: a path in an object, a cell of a row, or the text before it."""

    where: str
    message: str | dict[str, Any]


def is_line(formats: Formats, value: Any) -> bool:
    """Whether a value is strictly one whole access-log line: with quotes in a header it is not."""
    if isinstance(value, str):
        text = value.removesuffix("\n")
        if formats.match_strict(text):
            return True
        if not text.startswith("{"):
            return False
        try:
            value = load(text)
        except LineError:
            return False
    if not isinstance(value, dict) or isinstance(value, DuplicateKeys):
        return False
    try:
        match = formats.match_object(value)
    except LineError:
        return False
    return match is not None and not match.ambiguous


def in_object(formats: Formats, value: Mapping[str, Any] | list[Any]) -> list[Embedded]:
    """The access-log lines among the values of an object, outermost first.

    None where the object has keys of an access log: it is a record of its own, of a format that is not known.
    """
    found: list[Embedded] = []
    if isinstance(value, Mapping) and not _RECORD.isdisjoint(value):
        return found
    for count, (path, inner) in enumerate(_values(value)):
        if count > _VALUES:
            break
        if is_line(formats, inner):
            found.append(Embedded(path, inner))
    return found


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    """All values below ``value``, level by level."""
    level: list[tuple[str, Any]] = [("", value)]
    for _ in range(_DEEP):
        below: list[tuple[str, Any]] = []
        for path, parent in level:
            if isinstance(parent, Mapping):
                below += [(f"{path}.{key}" if path else str(key), inner) for key, inner in parent.items()]
            elif isinstance(parent, list):
                below += [(f"{path}[{index}]", inner) for index, inner in enumerate(parent)]
            if len(below) > _VALUES:
                break
        yield from below
        level = [(path, inner) for path, inner in below if isinstance(inner, Mapping | list)]


def at_path(value: Any, path: str) -> Any:
    """The value at a path such as ``kubernetes.message``: keys may hold dots; None if there is none."""
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    for position, char in enumerate(path):
        if char == "." and path[:position] in value:
            inner = at_path(value[path[:position]], path[position + 1 :])
            if inner is not None:
                return inner
    return None


def in_row(formats: Formats, text: str) -> list[Embedded]:
    """The access-log lines among the cells of a CSV row."""
    if '""' not in text or len(text) > csv.field_size_limit():
        return []
    try:
        cells = next(csv.reader([text], strict=True), [])
    except csv.Error:
        return []
    return [Embedded(f"cell {number}", cell) for number, cell in enumerate(cells, 1) if is_line(formats, cell)]


def behind_prefix(formats: Formats, text: str) -> list[Embedded]:
    """The access-log lines that begin somewhere in the text and reach to its end, or to a border's."""
    found = []
    for count, mark in enumerate(formats.starts.finditer(text, 0, _PREFIX)):
        if count >= _MARKS:
            break
        prefix = text[: mark.start()]
        found += [Embedded(prefix, rest) for rest in _rests(prefix, text[mark.start() :]) if is_line(formats, rest)]
    return found


def _rests(prefix: str, rest: str) -> list[str]:
    """What may be the line behind a prefix: up to the end, or up to what closes the prefix."""
    if prefix[-3:] == '=>"':  # Fluent Bit's output stdout: {"log"=>"LINE", "stream"=>"stdout"}
        return [rest[: end.start()] for _, end in zip(range(_MARKS), _RUBY_END.finditer(rest), strict=False)]
    border = prefix.strip()[-1:]
    trimmed = rest.rstrip(" \t\r")
    if border and border in _BORDERS and trimmed.endswith(border):
        trimmed = trimmed[:-1].rstrip(" \t")
    return [trimmed]


def unescape(text: str) -> str | None:
    r"""The text of a line in which every quote is escaped (``\"``), or that is a JSON string; None if it is neither."""
    if '\\"' in text and not re.search(r'(?<!\\)"', text):
        return text.replace('\\"', '"').replace("\\\\", "\\")
    if text[:1] == text[-1:] == '"' and len(text) > 1:
        try:
            value = load(text)
        except LineError:
            return None
        return value if isinstance(value, str) else None
    return None
