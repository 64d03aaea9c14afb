"""One pass over the sources: its batches, and what it found on the way (counts, window, rejects, errors)."""

from __future__ import annotations

import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.errors import DatabaseError, SourceError
from egresslog.filters import Filter
from egresslog.records.batch import with_lines
from egresslog.records.chunk import REJECTS, Counts, Parsed, Reject
from egresslog.sources.coverage import Coverage, Gap
from egresslog.sources.messages import os_reason
from egresslog.sources.paths import Sources

_REJECTS_IN_MEMORY = 10_000  # more go to a temporary file
_REJECTED_IN_MEMORY = 16 * 1024 * 1024  # characters of them, likewise
_UNKNOWN_KEYS = 1000
_LONGEST = 10 * 365 * 86_400_000  # ms: no connection lives longer, and sums with it stay within 64 bits


@dataclass
class OriginRecords:
    """How many records one file or container had, when the first began and when the last ended (ns since 1970)."""

    records: int = 0
    first_ns: int | None = None
    last_ns: int | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts a batch."""
        self.records += len(batch)
        start = batch["start_time"].cast(pa.int64())
        duration = pc.max_element_wise(pc.min_element_wise(pc.fill_null(batch["duration"], 0), _LONGEST), 0)
        end = pc.add(start, pc.multiply(duration, 10**6))
        first, last = pc.min(start).as_py(), pc.max(end).as_py()
        if first is not None:
            self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
            self.last_ns = last if self.last_ns is None else max(self.last_ns, last)


class CoverageRow(NamedTuple):
    """What was read of one file or container: its records, from when to when, and what is known to be missing."""

    origin: str
    records: int
    first_ns: int | None
    last_ns: int | None
    gaps: tuple[Gap, ...]


@dataclass
class Scan:
    """One pass over the sources of a Log: take its ``batches`` once, or ``finish`` it; then read what it found.

    Attributes:
        counts: lines by what they were, before any filter.
        selected: records that passed the filter.
        window: first and last start_time of all records, as Arrow scalars; None without records.
        formats: records per format.
        envelopes: lines per envelope.
        unknown_keys: JSON keys that no column keeps, with how often they occurred; only the first thousand or so.
        errors: what could not be read.
        notes: what was left out on purpose.
        advice: why there may be no access log.
        coverage: what was read of each container; empty for files.
        uncaptured: pods in scope of which some or all traffic leaves no line, and why.
        unauthenticated: the API server, if the logs came from one that did not prove to be the cluster's; else "".
        origins: what the records of each file or container cover, in the order of reading.
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
    uncaptured: tuple[str, ...] = ()
    unauthenticated: str = ""
    origins: dict[str, OriginRecords] = field(default_factory=dict)
    finished: bool = False
    reject_buffer: RejectBuffer = field(default_factory=lambda: RejectBuffer(), repr=False)  # noqa: PLW0108  (it is defined below)
    _batches: Iterator[pa.RecordBatch] = field(default=iter(()), repr=False)

    @classmethod
    def begin(cls, sources: Sources) -> Self:
        """A scan of which nothing is known but what is to be read."""
        return cls(
            notes=tuple(sources.notes),
            advice=tuple(sources.advice),
            errors=list(sources.errors),
            coverage=sources.coverage,
            uncaptured=tuple(sources.uncaptured),
            unauthenticated=sources.unauthenticated,
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
        if len(self.unknown_keys) < _UNKNOWN_KEYS:  # a client may write others in each line
            self.unknown_keys += parsed.unknown_keys
        self.reject_buffer.extend(parsed.rejects)
        if len(parsed.batch):
            self._widen(parsed.batch["start_time"])
            self.origins[parsed.batch["origin"][0].as_py()].add(parsed.batch)
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
    def sources(self) -> int:
        """How many files or containers were read."""
        return len(self.origins)

    def begin_source(self, origin: str) -> None:
        """The chunks that follow may be of this file or container."""
        self.origins.setdefault(origin, OriginRecords())

    def coverage_rows(self) -> list[CoverageRow]:
        """What was read of each file or container; a container that was not read to its end has a gap from there on."""
        gaps = {log_coverage.origin: (*log_coverage.gaps, *_unread(log_coverage)) for log_coverage in self.coverage}
        names = dict.fromkeys([*self.origins, *gaps])
        spans = {origin: self.origins.get(origin) or OriginRecords() for origin in names}
        return [
            CoverageRow(origin, span.records, span.first_ns, span.last_ns, gaps.get(origin, ()))
            for origin, span in spans.items()
        ]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.errors and all(log_coverage.is_complete for log_coverage in self.coverage)

    def joined_error(self) -> SourceError:
        """What could not be read, as one error; there must be something."""
        first, *more = self.errors
        return SourceError(first.origin, f"{first.reason}; and {len(more)} more could not be read") if more else first

    def card(self) -> dict[str, str]:
        """A summary in words, for notebooks."""
        bounds = [scalar.cast(pa.timestamp("ms"), safe=False) for scalar in self.window or ()]
        card = {name: str(value) for name, value in asdict(self.counts).items()}
        card["window (UTC)"] = " to ".join(scalar.cast(pa.string()).as_py() for scalar in bounds) or "-"
        card["formats"] = ", ".join(f"{name} {count}" for name, count in self.formats.most_common()) or "-"
        if self.errors:
            card["could not be read"] = "; ".join(str(error) for error in self.errors)
        return card


def _unread(log_coverage: Coverage) -> Iterator[Gap]:
    if log_coverage.error is not None:
        yield Gap(log_coverage.last, None, log_coverage.error.reason)


class RejectBuffer:
    """Rejected lines, in memory while they are few and in a temporary file when they are not.

    ``last``: keep only so many, the newest; None keeps all.
    """

    def __init__(self, last: int | None = None) -> None:
        self._last = last
        self._held: list[Reject] = []
        self._size = 0  # characters
        self._file: Any = None
        self._writer: pa.RecordBatchWriter | None = None

    def extend(self, rejects: Sequence[Reject]) -> None:
        """Adds rejects.

        Raises:
            DatabaseError: the temporary file cannot be written.
        """
        self._held.extend(rejects)
        self._size += sum(len(reject.line) for reject in rejects)
        if self._last is not None:
            del self._held[: -self._last]
        elif len(self._held) > _REJECTS_IN_MEMORY or self._size > _REJECTED_IN_MEMORY:
            try:
                self._spill()
            except OSError as error:
                raise DatabaseError(f"the temporary file of rejected lines failed: {os_reason(error)}") from error

    def _spill(self) -> None:
        if self._writer is None:
            self._file = tempfile.TemporaryFile(prefix="egresslog-")  # noqa: SIM115  (lives as long as this)
            self._writer = pa.ipc.new_stream(self._file, REJECTS)
            weakref.finalize(self, self._file.close)
        self._writer.write_batch(reject_batch(self._held))
        self._held, self._size = [], 0

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
