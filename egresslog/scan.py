"""One pass over the sources: its batches, and what it found on the way (counts, window, rejects, errors)."""

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
from egresslog.filters import Filter
from egresslog.records.batch import with_lines
from egresslog.records.chunk import REJECTS, Counts, Parsed, Reject
from egresslog.sources.coverage import Coverage
from egresslog.sources.paths import Found

_REJECTS_IN_MEMORY = 10_000  # more go to a temporary file


@dataclass
class Scan:
    """One pass over the sources of a Log: take its ``batches`` once, or ``finish`` it; then read what it found.

    Attributes:
        counts: lines by what they were, before any filter.
        selected: records that passed the filter.
        window: first and last start_time of all records, as Arrow scalars; None without records.
        formats: records per format.
        envelopes: lines per envelope.
        unknown_keys: JSON keys that no column keeps, with how often they occurred.
        errors: what could not be read.
        notes: what was left out on purpose.
        advice: why there may be no access log.
        coverage: what was read of each container; empty for files.
        sources: how many files or containers were read.
        finished: whether the pass has reached the end.
        reject_buffer: the lines that could not be read.
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
    finished: bool = False
    reject_buffer: RejectBuffer = field(default_factory=lambda: RejectBuffer(), repr=False)  # noqa: PLW0108  (it is defined below)
    _batches: Iterator[pa.RecordBatch] = field(default=iter(()), repr=False)

    @classmethod
    def begin(cls, found: Found) -> Self:
        """A scan of which nothing is known but what is to be read."""
        return cls(
            notes=tuple(found.notes), advice=tuple(found.advice), errors=list(found.errors), coverage=found.coverage
        )

    def attach(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Sets what ``batches`` gives; whoever reads the sources calls ``add`` meanwhile."""
        self._batches = batches

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The records that pass the filter, as ``Log.scan`` describes them; they can be taken once.

        Raises:
            SourceError: at the end, when a source could not be read (not with ``keep_going``).
        """
        return self._batches

    def finish(self) -> Self:
        """Reads to the end. Raises as ``batches``."""
        for _ in self._batches:
            pass
        return self

    def reject_batches(self) -> Iterator[pa.RecordBatch]:
        """The lines that could not be read, in order: origin, line_number, line, reason."""
        return self.reject_buffer.batches()

    def add(self, parsed: Parsed, where: Filter, *, lines: bool) -> pa.RecordBatch:
        """Counts a parsed chunk; returns its records that pass the filter, with ``lines`` also the lines themselves."""
        self.counts += parsed.counts
        self.formats += parsed.formats
        self.envelopes += parsed.envelopes
        self.unknown_keys += parsed.unknown_keys
        self.reject_buffer.extend(parsed.rejects)
        self._widen(parsed.batch["start_time"])
        batch = where.apply(with_lines(parsed.batch, parsed.raw) if lines else parsed.batch)
        self.selected += len(batch)
        return batch

    def _widen(self, times: pa.Array) -> None:
        bounds = pc.min_max(times)
        first, last = bounds["min"], bounds["max"]
        if not first.is_valid:
            return
        if self.window:
            first = min(first, self.window[0], key=lambda scalar: scalar.value)
            last = max(last, self.window[1], key=lambda scalar: scalar.value)
        self.window = (first, last)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.errors and all(covered.whole for covered in self.coverage)

    def card(self) -> dict[str, str]:
        """A summary in words, for notebooks."""
        bounds = [scalar.cast(pa.timestamp("ms"), safe=False) for scalar in self.window or ()]
        card = {name: str(value) for name, value in asdict(self.counts).items()}
        card["window (UTC)"] = " to ".join(scalar.cast(pa.string()).as_py() for scalar in bounds) or "-"
        card["formats"] = ", ".join(f"{name} {count}" for name, count in self.formats.most_common()) or "-"
        if self.errors:
            card["could not be read"] = "; ".join(str(error) for error in self.errors)
        return card


class RejectBuffer:
    """Rejected lines, in memory while they are few and in a temporary file when they are not.

    ``last``: keep only so many, the newest; None keeps all.
    """

    def __init__(self, last: int | None = None) -> None:
        self._last = last
        self._held: list[Reject] = []
        self._file: Any = None
        self._writer: pa.RecordBatchWriter | None = None

    def extend(self, rejects: Sequence[Reject]) -> None:
        """Adds rejects."""
        self._held.extend(rejects)
        if self._last is not None:
            del self._held[: -self._last]
        elif len(self._held) > _REJECTS_IN_MEMORY:
            if self._writer is None:
                self._file = tempfile.TemporaryFile(prefix="egresslog-")  # noqa: SIM115  (lives as long as this)
                self._writer = pa.ipc.new_stream(self._file, REJECTS)
                weakref.finalize(self, self._file.close)
            self._writer.write_batch(reject_batch(self._held))
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
        yield reject_batch(self._held)


def reject_batch(rejects: Iterable[Reject]) -> pa.RecordBatch:
    """Rejects as an Arrow batch."""
    columns: list[Sequence[Any]] = list(zip(*rejects, strict=True)) or [() for _ in REJECTS]
    return pa.RecordBatch.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, REJECTS, strict=True)], schema=REJECTS
    )
