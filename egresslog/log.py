"""Log: what a user holds. Sources and formats in; batches, frames, counts and summaries out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.database import stored
from egresslog.errors import SourceError, UsageError
from egresslog.filters import Filter
from egresslog.frames import to_pandas
from egresslog.records.batch import with_lines
from egresslog.records.catalogue import resolve
from egresslog.records.chunk import REJECTS, Counts, Parsed
from egresslog.records.format import Format
from egresslog.records.parser import Parser
from egresslog.records.schema import BASE, ERA, PRECISION
from egresslog.report import grouping
from egresslog.scan import Rejects, Scan, Table
from egresslog.sources import files
from egresslog.sources import paths as places
from egresslog.sources.coverage import Coverage

if TYPE_CHECKING:
    import pandas as pd

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class Log:
    """Access-log lines of any number of files or containers, read when asked for.

    Nothing is kept but counts and rejects: each of ``batches``, ``to_arrow``, ``to_pandas`` and ``summary`` reads the
    sources anew, and memory does not grow with their size (a frame holds what you asked for, of course). Standard
    input can be read once.
    """

    def __init__(
        self,
        found: places.Sources,
        format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002  (Istio's and the command line's word)
        columns: Sequence[str] | None = None,
        *,
        where: Filter | None = None,
        keep_going: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """See ``read``."""
        self._found = found
        self._formats = resolve(format)
        #: The one format that was asked for, or that the mesh has; None where each line's is found.
        self.format = self._formats.forced
        self._schema = Parser(self._formats).schema
        self._known = [name for name in self._schema.names if name != PRECISION]
        columns = [columns] if isinstance(columns, str) else columns
        if unknown := [name for name in columns or () if name not in self._known]:
            raise UsageError(f"no column {unknown[0]!r}; columns are: {', '.join(self._known)}")
        #: Columns that a custom format adds to those of every record.
        self.own_columns = tuple(column.name for column in self._formats.columns[len(BASE) :] if column not in ERA)
        #: Names of the columns that ``batches`` and the frames have.
        self.columns = tuple(columns or self._known)
        self.where = where or Filter()
        self.keep_going = keep_going
        self.progress = progress
        self._reading = Scan()
        self._rejects = Rejects()
        self._read_stdin = False

    @property
    def origins(self) -> tuple[str, ...]:
        """The files to read, ``-`` for standard input."""
        return tuple(source.origin for source in self._found.sources)

    @property
    def coverage(self) -> Sequence[Coverage]:
        """What was read of each container, if the log is a cluster's."""
        return self._found.coverage

    @property
    def size(self) -> int | None:
        """Bytes to read as stored, None where a pipe or standard input is among the sources."""
        sizes = [source.size for source in self._found.sources]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of ``batches``."""
        return pa.schema([self._schema.field(name) for name in self.columns])

    def fills(self, column: str) -> bool:
        """Whether the log's formats print what the column holds; else it is null for want of it."""
        return any(made.name == column for form in self._formats.all for made in form.columns)

    @property
    def full_schema(self) -> pa.Schema:
        """The Arrow schema of ``stream``."""
        return self._schema

    def stream(self, *, lines: bool = False) -> Iterator[pa.RecordBatch]:
        """The records that pass the filter, with all columns and PRECISION; counts as it goes.

        Args:
            lines: add the column ``line``, each record's line as it came.

        Raises:
            SourceError: at the end, when a source could not be read (not with ``keep_going``).
        """
        self._reading = reading = Scan.begin(self._found)
        self._rejects = rejects = Rejects()
        for source in self._found.sources:
            if source.origin == places.STDIN:
                if self._read_stdin:
                    raise SourceError(
                        places.STDIN, "standard input was read already; save it to a file to read it twice"
                    )
                self._read_stdin = True
            reading.sources += 1
            parser = Parser(self._formats)
            for parsed in self._parse(source, parser, reading):
                reading.add(parsed)
                rejects.extend(parsed.rejects)
                batch = self.where.apply(with_lines(parsed.batch, parsed.raw) if lines else parsed.batch)
                reading.selected += len(batch)
                if len(batch):
                    yield batch
        reading.complete = True
        if reading.errors and not self.keep_going:
            raise _joined(reading.errors)

    def _parse(self, source: places.Source, parser: Parser, reading: Scan) -> Iterator[Parsed]:
        try:
            for chunk in files.chunks(source, self.progress):
                yield parser.feed(chunk)
        except SourceError as error:
            reading.errors.append(error)
        yield parser.finish()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The records as Arrow batches with ``columns``, in the order of the lines.

        Raises:
            SourceError: at the end, when a source could not be read (not with ``keep_going``).
        """
        for batch in self.stream():
            yield batch.select(list(self.columns))

    def to_arrow(self) -> pa.Table:
        """All records as one Arrow table. Raises as ``batches``."""
        return pa.Table.from_batches(self.batches(), schema=self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """All records as a pandas frame with Arrow dtypes: integers with gaps stay integers. Raises as ``batches``."""
        return to_pandas(self.to_arrow())

    @property
    def reading(self) -> Scan:
        """What the last complete pass found; makes one if there was none."""
        if not self._reading.complete:
            for _ in self.stream():
                pass
        return self._reading

    @property
    def counts(self) -> Counts:
        """Lines, records, other, rejected and ambiguous."""
        return self.reading.counts

    @property
    def rejects(self) -> pd.DataFrame:
        """The lines that could not be read: origin, line_number, line, reason."""
        return to_pandas(pa.Table.from_batches(self.reject_batches(), schema=REJECTS))

    def reject_batches(self) -> Iterator[pa.RecordBatch]:
        """As ``rejects``, in Arrow batches."""
        assert self.reading.complete
        return self._rejects.batches()

    def tables(
        self, by: Sequence[str] = grouping.DEFAULT, *, top: int | None = None, sort: str | None = None
    ) -> list[Table]:
        """One table for each of ``by``, all from one pass.

        Args:
            by: each a column, or several joined by commas; ``status`` and ``time:5m`` as well.
            top: at most so many rows; None or 0 for all.
            sort: a column of the table, see ``report.summary.ordered``.

        Raises:
            UsageError: an unknown column.
            SourceError: as ``batches``.
        """
        import narwhals as nw  # noqa: PLC0415

        from egresslog.report.summary import ordered, summarize  # noqa: PLC0415

        wanted = [grouping.parse(text, self._known) for text in by]
        every = tuple({key: None for keys in wanted for key in keys})
        if len({key.name for key in every}) < len(every):
            raise UsageError("two different buckets of time in one report; ask for one at a time")
        if top is not None and top < 0:
            raise UsageError("--top takes 0 (all) or more")
        empty = grouping.prepare(pa.RecordBatch.from_pylist([], self._schema), every)
        problem: list[SourceError] = []
        reader = pa.RecordBatchReader.from_batches(empty.schema, self._prepared(every, problem))
        found = []
        with stored(reader) as relation:
            total = self._reading.selected
            frame = nw.from_native(relation).lazy()
            for keys in wanted:
                grouped = ordered(summarize(frame, keys, total), keys, sort)
                rows: pa.Table = grouped.collect("pyarrow").to_native()
                cut = rows.slice(0, top) if top else rows
                requests = (pc.sum(rows["requests"]).as_py() or 0) - (pc.sum(cut["requests"]).as_py() or 0)
                found.append(Table(tuple(key.name for key in keys), cut, len(rows) - len(cut), requests))
        if problem:
            raise problem[0]
        return found

    def _prepared(self, every: Sequence[grouping.Key], problem: list[SourceError]) -> Iterator[pa.RecordBatch]:
        """Batches for the engine; a source's error must not pass through it."""
        try:
            for batch in self.stream():
                yield grouping.prepare(batch, every)
        except SourceError as error:
            problem.append(error)

    def summary(
        self, by: str | Sequence[str] = "host", *, top: int | None = None, sort: str | None = None
    ) -> pd.DataFrame:
        """Requests, share, bytes, errors and duration percentiles (ms) per ``by``, the most frequent first.

        Args:
            by: a column, or several: ``"host"``, ``["host", "status"]``, ``"time:5m,host"``.
            top: at most so many rows.
            sort: a column; ``:asc`` or ``:desc`` may follow.

        Raises:
            UsageError, SourceError: as ``tables``.
        """
        text = by if isinstance(by, str) else ",".join(by)
        return to_pandas(self.tables([text], top=top, sort=sort)[0].rows)

    def __repr__(self) -> str:
        what = self.origins[0] if len(self.origins) == 1 else f"{len(self.origins)} files"
        state = str(self._reading.counts) if self._reading.complete else "not read yet"
        return f"<Log {what}: {state}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: counts, window, formats and the busiest hosts. pandas escapes all values."""
        import pandas as pd  # noqa: PLC0415

        before, self.keep_going = self.keep_going, True  # a card that says what is missing, instead of a traceback
        try:
            hosts = self.tables(["host"], top=5)[0].rows
        finally:
            self.keep_going = before
        card = self._reading.card()
        frame = pd.DataFrame({"": card.values()}, index=list(card))
        return frame.to_html(header=False) + to_pandas(hosts).to_html(index=False)


def read(
    paths: Paths,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    columns: Sequence[str] | None = None,
    *,
    where: Filter | None = None,
    keep_going: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Log:
    """Reads access logs.

    Args:
        paths: a path or several: files (plain, gzip, zstd, bz2, xz, lz4), directories, globs, ``-`` for standard input.
        format: a name of the catalogue, an Envoy format string, a JSON template, a TOML file's path or a Format; None
            finds the format of each line among those of the catalogue.
        columns: the columns to give out; None for all.
        where: only the records that pass, see ``Filter.parse``.
        keep_going: leave out sources that cannot be read (``log.reading.errors`` names them) instead of raising.
        progress: called with the number of stored bytes just read.

    Returns:
        A Log. Nothing is read before it is asked for.

    Raises:
        UsageError: an unknown column.
        CatalogueError, FormatError: an unknown or wrong format.
    """
    found = places.expand_paths([paths] if isinstance(paths, str | os.PathLike) else paths)
    return Log(found, format, columns, where=where, keep_going=keep_going, progress=progress)


def _joined(errors: Sequence[SourceError]) -> SourceError:
    if len(errors) == 1:
        return errors[0]
    return SourceError(errors[0].origin, f"{errors[0].reason}; and {len(errors) - 1} more could not be read")
