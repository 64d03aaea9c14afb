"""What goes into the parser and what comes out: chunks, counts, rejects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
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


@dataclass
class Parsed:
    """What a chunk held. ``batch`` has the columns of the parser's formats, and PRECISION."""

    batch: pa.RecordBatch
    rejects: list[Reject]
    counts: Counts
    formats: Counter[str]
    envelopes: Counter[str]
    unknown_keys: Counter[str]
