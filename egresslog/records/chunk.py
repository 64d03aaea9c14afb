"""What goes into the parser and what comes out: chunks, counts, rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

MAX_LINE = 64 * 1024 * 1024  # bytes; a longer line is no log line, and must not fill the memory

REJECTS = pa.schema(
    [("origin", pa.string()), ("line_number", pa.int64()), ("line", pa.string()), ("reason", pa.string())]
)


class Chunk(NamedTuple):
    """Bytes of whole lines and where they came from. ``broken``: why the one line in it lacks its end."""

    data: bytes
    origin: str
    first: int = 1  # number of the first line
    broken: str = ""


@dataclass(frozen=True)
class Counts:
    """How many lines there were and what became of them; ``ambiguous`` of the records."""

    total: int = 0
    records: int = 0
    other: int = 0
    rejected: int = 0
    ambiguous: int = 0

    def __add__(self, more: Counts) -> Counts:
        return Counts(
            self.total + more.total,
            self.records + more.records,
            self.other + more.other,
            self.rejected + more.rejected,
            self.ambiguous + more.ambiguous,
        )


class Reject(NamedTuple):
    """A line that could not be read, verbatim, and why. Bytes in ``reason`` count in the message, without envelope."""

    origin: str
    line_number: int
    line: str
    reason: str


@dataclass(frozen=True)
class RawLines:
    """Lines as they came, by number; bytes that are no UTF-8 are lone surrogates."""

    joined: dict[int, str]  # those made of several
    lines: list[str]
    first: int
    parts: dict[int, str] = field(default_factory=dict)  # by row: of records that are only a part of their line

    def __getitem__(self, number: int) -> str:
        return self.joined.get(number) or self.lines[number - self.first]

    def of(self, numbers: Sequence[int]) -> list[str]:
        """The lines of rows, which have these numbers."""
        if self.joined or self.parts:
            return [self.parts.get(row) or self[number] for row, number in enumerate(numbers)]
        lines, first = self.lines, self.first
        return [lines[number - first] for number in numbers]


@dataclass
class Parsed:
    """What a chunk held.

    Attributes:
        batch: the columns of the parser's formats, and PRECISION.
        raw: the lines as they came, by number.
    """

    batch: pa.RecordBatch
    rejects: list[Reject]
    counts: Counts
    formats: Counter[str]
    envelopes: Counter[str]
    unknown_keys: Counter[str]
    raw: RawLines
