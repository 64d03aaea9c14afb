"""CSV as log stores export it (RFC 4180): a header, and rows of which one cell is the line."""

from __future__ import annotations

import csv
import re
from typing import Any, NamedTuple, Self

from egresslog.records.chunk import MAX_LINE
from egresslog.records.schema import BASE_NAMES

# Columns that hold the line: CloudWatch Insights, Kibana, Datadog, Azure (v2, v1), Splunk, Grafana, Google.
_CARRIERS = {"@message", "message", "log", "logmessage", "logentry", "_raw", "line", "textpayload", "content", "body"}
_NAME = re.compile(r"[\w@.:/()\[\] -]{1,128}")
_LONGEST = 10_000  # characters of a header
_DELIMITERS = ",;\t"


class Row(NamedTuple):
    """One row: the line on which it begins, its text, and the line in it or why there is none.

    Attributes:
        number: the line on which it begins.
        text: as it stands in the file; it may span several lines.
        message: the cell, or all cells by name in what egresslog itself wrote; None where it is no row.
    """

    number: int
    text: str
    message: str | dict[str, Any] | None


class CsvExport:
    """The rows behind a header, fed line by line.

    Attributes:
        pending: the lines of a row that has not ended, with their numbers.
    """

    def __init__(self, names: list[str], delimiter: str) -> None:
        self.pending: list[tuple[int, str]] = []
        self._names = names
        self._delimiter = delimiter
        carriers = [index for index, name in enumerate(names) if name.strip().lower() in _CARRIERS]
        self._carrier = carriers[0] if len(carriers) == 1 else None
        self._is_own = BASE_NAMES.issubset(names)
        self._size = 0
        self._quotes = 0

    @classmethod
    def begin(cls, line: str) -> Self | None:
        """What the first line of a log is the header of; None if it is none."""
        line = line.lstrip("\ufeff")
        if not line or len(line) > _LONGEST or line[0] in "[{":
            return None
        for delimiter in sorted(_DELIMITERS, key=line.count, reverse=True):
            try:
                names = next(csv.reader([line], delimiter=delimiter, strict=True))
            except csv.Error:
                continue
            if all(_NAME.fullmatch(name) for name in names):
                export = cls(names, delimiter)
                return export if export._is_own or export._carrier is not None else None
        return None

    def feed(self, number: int, line: str) -> Row | None:
        """The row that ends with a line; None while it goes on."""
        self.pending.append((number, line))
        self._size += len(line)
        self._quotes += line.count('"')
        if self._quotes % 2 and self._size <= MAX_LINE:
            return None
        first = self.pending[0][0]
        text = "\n".join(line for _, line in self.pending)
        self.pending, self._size, self._quotes = [], 0, 0
        return Row(first, text, self._message(text))

    def _message(self, text: str) -> str | dict[str, Any] | None:
        limit = csv.field_size_limit(MAX_LINE)
        try:
            cells = next(csv.reader(text.splitlines(keepends=True), delimiter=self._delimiter, strict=True), [])
        except csv.Error:
            return None
        finally:
            csv.field_size_limit(limit)
        if len(cells) != len(self._names):
            return None
        if self._is_own:
            return {name: cell or None for name, cell in zip(self._names, cells, strict=True)}
        return cells[self._carrier] if self._carrier is not None else None
