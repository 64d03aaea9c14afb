"""What one pass over the sources found: counts, window, formats, errors, and the rejected lines."""

from __future__ import annotations

import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.errors import SourceError
from egresslog.records.chunk import REJECTS, Counts, Parsed, Reject
from egresslog.sources.coverage import Coverage
from egresslog.sources.paths import Sources

_REJECTS_HELD = 10_000  # in memory; more go to a temporary file


@dataclass
class Table:
    """One table of a report: its rows as Arrow, and how many rows and requests ``top`` cut off."""

    by: tuple[str, ...]
    rows: pa.Table
    omitted: int = 0
    omitted_requests: int = 0


@dataclass
class Scan:
    """What one pass over the sources found, complete when the pass is.

    Attributes:
        counts: of lines, before any filter.
        selected: records that passed the filter.
        window: first and last start_time of all records, as Arrow scalars, or None.
        formats: records per format.
        envelopes: lines per envelope.
        unknown_keys: JSON keys that no column keeps, with how often they came.
        errors: what could not be read.
        notes: what was left out on purpose.
        advice: why there may be no access log.
        coverage: what was read of each container, if it was containers.
    """

    counts: Counts = field(default_factory=Counts)
    selected: int = 0
    window: tuple[pa.TimestampScalar, pa.TimestampScalar] | None = None
    formats: Counter[str] = field(default_factory=Counter)
    envelopes: Counter[str] = field(default_factory=Counter)
    unknown_keys: Counter[str] = field(default_factory=Counter)
    errors: list[SourceError] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    coverage: Sequence[Coverage] = ()
    sources: int = 0
    complete: bool = False

    @classmethod
    def begin(cls, found: Sources) -> Self:
        """A reading of which nothing is known but what is to be read."""
        return cls(
            notes=tuple(found.notes), advice=tuple(found.advice), errors=list(found.errors), coverage=found.coverage
        )

    def add(self, parsed: Parsed) -> None:
        """Counts a parsed chunk."""
        self.counts += parsed.counts
        self.formats += parsed.formats
        self.envelopes += parsed.envelopes
        self.unknown_keys += parsed.unknown_keys
        if len(parsed.batch):
            ends = pc.min_max(parsed.batch["start_time"])
            first, last = ends["min"], ends["max"]
            if not first.is_valid:
                return
            if self.window:
                first = min(first, self.window[0], key=lambda scalar: scalar.value)
                last = max(last, self.window[1], key=lambda scalar: scalar.value)
            self.window = (first, last)

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.errors and all(covered.is_complete for covered in self.coverage)

    def card(self) -> dict[str, str]:
        """What there is to say about the reading, in words."""
        ends = [scalar.cast(pa.timestamp("ms"), safe=False) for scalar in self.window or ()]
        card = {name: str(value) for name, value in asdict(self.counts).items()}
        card["window (UTC)"] = " to ".join(scalar.cast(pa.string()).as_py() for scalar in ends) or "-"
        card["formats"] = ", ".join(f"{name} {count}" for name, count in self.formats.most_common()) or "-"
        if self.errors:
            card["could not be read"] = "; ".join(str(error) for error in self.errors)
        return card


class Rejects:
    """Rejected lines, in memory while they are few and in a temporary file when they are not."""

    def __init__(self) -> None:
        self._held: list[Reject] = []
        self._file: Any = None
        self._writer: pa.RecordBatchWriter | None = None

    def extend(self, rejects: Sequence[Reject]) -> None:
        """Keeps more."""
        self._held.extend(rejects)
        if len(self._held) > _REJECTS_HELD:
            if self._writer is None:
                self._file = tempfile.TemporaryFile(prefix="egresslog-")  # noqa: SIM115  (lives as long as this)
                self._writer = pa.ipc.new_stream(self._file, REJECTS)
                weakref.finalize(self, self._file.close)
            self._writer.write_batch(batch_of(self._held))
            self._held = []

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All of them, in order."""
        if self._writer is not None:
            self._file.flush()
            position = self._file.tell()
            self._file.seek(0)
            reader = pa.ipc.open_stream(pa.PythonFile(self._file, mode="r"))
            while self._file.tell() < position:
                yield reader.read_next_batch()
            self._file.seek(position)
        yield batch_of(self._held)


def batch_of(rejects: Iterable[Reject]) -> pa.RecordBatch:
    """Rejects as Arrow has them."""
    columns: list[Sequence[Any]] = list(zip(*rejects, strict=True)) or [() for _ in REJECTS]
    return pa.RecordBatch.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, REJECTS, strict=True)], schema=REJECTS
    )
