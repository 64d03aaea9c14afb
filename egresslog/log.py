"""Log: an immutable description of what to read. Every question to it is one pass over the sources, a Scan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.database import temporary_table
from egresslog.errors import SourceError, UsageError
from egresslog.filters import Filter
from egresslog.frames import to_pandas
from egresslog.records.catalogue import resolve
from egresslog.records.chunk import REJECTS, Counts, Parsed
from egresslog.records.format import Format
from egresslog.records.joining import JoinedBatches
from egresslog.records.parser import Parser
from egresslog.records.schema import BASE, ERA, INTERNAL
from egresslog.records.unwrapping import Prefix, Unwrapping
from egresslog.report import grouping
from egresslog.scan import Scan
from egresslog.sources import files
from egresslog.sources.coverage import Coverage
from egresslog.sources.paths import STDIN, Source, Sources, expand_paths

if TYPE_CHECKING:
    import pandas as pd

    from egresslog.report.summary import ReportTable

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
Progress = Callable[[int], None]


class Report(NamedTuple):
    """The tables of one pass, and the pass."""

    tables: tuple[ReportTable, ...]
    scan: Scan


class Log:
    """Access-log lines of any number of files or containers, read when asked for.

    Nothing is kept but counts and rejects: each of ``scan``, ``batches``, ``to_arrow``, ``to_pandas``, ``report`` and
    ``summary`` reads the sources anew, and memory does not grow with their size (a frame holds what you asked for, of
    course). Standard input can be read once.
    """

    def __init__(
        self,
        sources: Sources,
        format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002  (Istio's and the command line's word)
        columns: Sequence[str] | None = None,
        *,
        where: Filter | None = None,
        keep_going: bool = False,
        progress: Progress | None = None,
        unwrapping: Unwrapping = Unwrapping(),  # noqa: B008  (immutable)
    ) -> None:
        """See ``read``."""
        self.sources = sources
        self._unwrapping = unwrapping
        self._formats = resolve(format)
        #: The one format that was given, or that the mesh configures; None where it is detected per line.
        self.format = self._formats.forced
        #: The Arrow schema of ``scan``.
        self.full_schema = Parser(self._formats).schema
        self._known = [name for name in self.full_schema.names if name not in INTERNAL]
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
        self._last: Scan | None = None
        self._stdin_was_read = False

    @property
    def origins(self) -> tuple[str, ...]:
        """The files to read, ``-`` for standard input."""
        return tuple(source.origin for source in self.sources.sources)

    @property
    def coverage(self) -> Sequence[Coverage]:
        """What was read of each container, if the log comes from a cluster."""
        return self.sources.coverage

    @property
    def size(self) -> int | None:
        """Bytes to read as stored, None where a pipe or standard input is among the sources."""
        sizes = [source.size for source in self.sources.sources]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of ``batches``."""
        return pa.schema([self.full_schema.field(name) for name in self.columns])

    def logs_column(self, name: str) -> bool:
        """Whether the log's formats print the column; where they do not, it is null for every record."""
        return any(column.name == name for log_format in self._formats.all for column in log_format.columns)

    def scan(self, *, lines: bool = False, progress: Progress | None = None, keep_going: bool | None = None) -> Scan:
        """Begins a pass over the sources; its batches have all columns and INTERNAL.

        Args:
            lines: add the column ``line``, each record's line as it came.
            progress: called with the number of stored bytes just read; None for what the Log has.
            keep_going: leave out sources that cannot be read instead of raising; None for what the Log has.
        """
        self._last = scan = Scan.begin(self.sources)
        keep_going = self.keep_going if keep_going is None else keep_going
        scan.attach(self._pass(scan, lines=lines, progress=progress or self.progress, keep_going=keep_going))
        return scan

    def _pass(
        self, scan: Scan, *, lines: bool, progress: Progress | None, keep_going: bool
    ) -> Iterator[pa.RecordBatch]:
        joined = JoinedBatches()
        for source in self.sources.sources:
            if source.origin == STDIN:
                if self._stdin_was_read:
                    raise SourceError(STDIN, "standard input was read already; save it to a file to read it twice")
                self._stdin_was_read = True
            scan.begin_source(source.origin)
            for parsed in self._parse(source, scan, progress):
                joined.add(scan.add(parsed, self.where, lines=lines))
                # What comes from a pipe is given out at once: its next line may take long.
                if joined.is_full or source.size is None:
                    yield from joined.take()
        yield from joined.take()
        scan.finished = True
        if scan.errors and not keep_going:
            raise scan.joined_error()

    def _parse(self, source: Source, scan: Scan, progress: Progress | None) -> Iterator[Parsed]:
        parser = Parser(self._formats, self._unwrapping)
        try:
            for chunk in files.chunks(source, progress):
                yield parser.feed(chunk)
        except SourceError as error:
            scan.errors.append(error)
        yield parser.finish()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The records as Arrow batches with ``columns``, in the order of the lines.

        Raises:
            SourceError: at the end, when a source could not be read (not with ``keep_going``).
        """
        for batch in self.scan().batches():
            yield batch.select(list(self.columns))

    def to_arrow(self) -> pa.Table:
        """All records as one Arrow table. Raises as ``batches``."""
        return pa.Table.from_batches(self.batches(), schema=self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """All records as a pandas frame with Arrow dtypes: integers with gaps stay integers. Raises as ``batches``."""
        return to_pandas(self.to_arrow())

    @property
    def last_scan(self) -> Scan:
        """The last finished pass; makes one if there was none. Raises as ``batches``."""
        if self._last is None or not self._last.finished:
            self.scan().finish()
        assert self._last is not None
        return self._last

    @property
    def counts(self) -> Counts:
        """Lines, records, other, rejected and ambiguous."""
        return self.last_scan.counts

    @property
    def rejects(self) -> pd.DataFrame:
        """The lines that could not be read: origin, line_number, line, reason."""
        return to_pandas(pa.Table.from_batches(self.last_scan.reject_batches(), schema=REJECTS))

    def report(
        self,
        by: Sequence[str] = grouping.DEFAULT,
        *,
        top: int | None = None,
        sort: str | None = None,
        progress: Progress | None = None,
        keep_going: bool | None = None,
    ) -> Report:
        """One table for each of ``by``, all from one pass.

        Args:
            by: each a column, or several joined by commas; ``status`` and ``time:5m`` as well.
            top: at most so many rows; None or 0 for all.
            sort: a column of the table, see ``report.summary.ordered``.
            progress: as ``scan``.
            keep_going: as ``scan``.

        Raises:
            UsageError: an unknown column.
            SourceError: as ``batches``.
        """
        import narwhals as nw  # noqa: PLC0415

        from egresslog.report.summary import ReportTable, ordered, summarize  # noqa: PLC0415

        if top is not None and top < 0:
            raise UsageError("--top takes 0 (all) or more")
        groupings = [grouping.parse(text, self._known) for text in by]
        keys = tuple({key: None for grouped_by in groupings for key in grouped_by})
        if len({key.name for key in keys}) < len(keys):
            raise UsageError("two different buckets of time in one report; ask for one at a time")
        empty = grouping.prepare(pa.RecordBatch.from_pylist([], self.full_schema), keys)
        scan = self.scan(progress=progress, keep_going=keep_going)
        tables = []
        with temporary_table(empty.schema, (grouping.prepare(batch, keys) for batch in scan.batches())) as relation:
            frame = nw.from_native(relation).lazy()
            for grouped_by in groupings:
                summary = ordered(summarize(frame, grouped_by, scan.selected), grouped_by, sort)
                rows: pa.Table = summary.collect("pyarrow").to_native()
                shown = rows.slice(0, top) if top else rows
                requests = (pc.sum(rows["requests"]).as_py() or 0) - (pc.sum(shown["requests"]).as_py() or 0)
                names = tuple(key.name for key in grouped_by)
                tables.append(ReportTable(names, shown, len(rows) - len(shown), requests))
        return Report(tuple(tables), scan)

    def summary(
        self, by: str | Sequence[str] = "host", *, top: int | None = None, sort: str | None = None
    ) -> pd.DataFrame:
        """Requests, share, bytes, errors and duration percentiles (ms) per ``by``, the most frequent first.

        Args:
            by: a column, or several: ``"host"``, ``["host", "status"]``, ``"time:5m,host"``.
            top: at most so many rows.
            sort: a column; ``:asc`` or ``:desc`` may follow.

        Raises:
            UsageError, SourceError: as ``report``.
        """
        text = by if isinstance(by, str) else ",".join(by)
        return to_pandas(self.report([text], top=top, sort=sort).tables[0].rows)

    def __repr__(self) -> str:
        what = self.origins[0] if len(self.origins) == 1 else f"{len(self.origins)} files"
        state = str(self._last.counts) if self._last and self._last.finished else "not read yet"
        return f"<Log {what}: {state}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: counts, window, formats and the busiest hosts. pandas escapes all values."""
        import pandas as pd  # noqa: PLC0415

        # A card that says what is missing, instead of a traceback.
        tables, scan = self.report(["host"], top=5, keep_going=True)
        card = scan.card()
        frame = pd.DataFrame({"": card.values()}, index=list(card))
        return frame.to_html(header=False) + to_pandas(tables[0].rows).to_html(index=False)


def read(
    paths: Paths,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    columns: Sequence[str] | None = None,
    *,
    where: Filter | None = None,
    keep_going: bool = False,
    progress: Progress | None = None,
    field: str = "",
    prefix: str = "",
    strip_prefix: bool = False,
) -> Log:
    """Reads access logs.

    Args:
        paths: a path or several: files (plain, gzip, zstd, bz2, xz, lz4), directories, globs, ``-`` for standard input.
        format: a name of the catalogue, an Envoy format string, a JSON template, a TOML file's path or a Format; None
            detects the format of each line among those of the catalogue.
        columns: the columns to give out; None for all.
        where: only the records that pass, see ``Filter.parse``.
        keep_going: leave out sources that cannot be read (``log.last_scan.errors`` names them) instead of raising.
        progress: called with the number of stored bytes just read.
        field: the path of the value that holds the line, in JSON objects: ``log``, ``kubernetes.message``.
        prefix: a regular expression (RE2) of what stands before each line.
        strip_prefix: what stands behind a prefix that egresslog does not know proves as any line does.

    Returns:
        A Log. Nothing is read before it is asked for.

    Raises:
        UsageError, CatalogueError, FormatError: an unknown column, a wrong prefix, an unknown or wrong format.
    """
    unwrapping = Unwrapping(field, Prefix.parse(prefix) if prefix else None, strip_prefix)
    sources = expand_paths([paths] if isinstance(paths, str | os.PathLike) else paths)
    return Log(sources, format, columns, where=where, keep_going=keep_going, progress=progress, unwrapping=unwrapping)
