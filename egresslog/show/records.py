"""Records out: NDJSON, JSON, CSV, Parquet, or a table for people. Writers take batches and hold none of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from egresslog.log import Log
from egresslog.records.chunk import REJECTS
from egresslog.records.schema import ERA
from egresslog.scan import Scan
from egresslog.show.table import AlignedTable, TableColumn
from egresslog.show.terminal import ColorMode, Terminal
from egresslog.show.values import HOST_COLUMNS, plain, safe_column, time_texts

# What fits a terminal's width; `wide` and the machine forms have all columns.
BRIEF = ("start_time", "host", "method", "path", "response_code", "response_flags", "bytes_sent", "duration",
         "upstream_ip", "source_ip")  # fmt: skip
_TITLES = {
    "start_time": "TIME", "response_code": "CODE", "response_flags": "FLAGS", "bytes_sent": "SENT", "duration": "MS",
}  # fmt: skip
_OPTIONAL = {column.name for column in ERA}


REJECT_FORMS = ("ndjson", "json", "csv", "parquet")
FORMS = ("table", "wide", "ndjson", "json", "csv", "parquet")


def write(out: IO[bytes], log: Log, scan: Scan, form: str, color: ColorMode, *, chosen: bool) -> None:
    """Writes the records of a scan of ``log`` in one of FORMS. ``chosen``: the columns are the user's own choice.

    Raises:
        SourceError: as ``Scan.batches``, after what could be read was written.
    """
    brief = not chosen and form == "table"
    columns = [*BRIEF, *log.own_columns] if brief else list(log.columns)
    writer: Writer
    if form == "parquet":
        writer = Parquet(out, log.schema)
    elif form == "csv":
        writer = Csv(out, columns)
    elif form in {"json", "ndjson"}:
        writer = Json(out, columns, array=form == "json", all_columns=chosen)
    else:
        writer = RecordTable(Terminal(out, color), log.full_schema, columns)
    try:
        for batch in scan.batches():
            writer.write(batch)
    finally:
        writer.close()


def write_rejects(out: IO[bytes], scans: Sequence[Scan], form: str) -> None:
    """Writes the rejected lines of all scans as NDJSON, JSON, CSV or Parquet."""
    names = REJECTS.names
    writer: Writer
    if form == "parquet":
        writer = Parquet(out, REJECTS)
    elif form == "csv":
        writer = Csv(out, names)
    else:
        writer = Json(out, names, array=form == "json", all_columns=True)
    for batch in (batch for scan in scans for batch in scan.reject_batches()):
        if len(batch):
            writer.write(batch)
    writer.close()


class Writer(Protocol):
    """Takes batches (all columns and PRECISION), then ``close``."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the records of a batch."""

    def close(self) -> None:
        """Writes what ends the output."""


class Json:
    """NDJSON, or with ``array`` one JSON array. Everything beyond ASCII is escaped: safe on any terminal."""

    def __init__(
        self, out: IO[bytes], columns: Sequence[str], *, array: bool = False, all_columns: bool = False
    ) -> None:
        self._out, self._columns, self._array = out, columns, array
        # What only Istio 1.1 to 1.7 logged is left out of records that do not have it, unless it was asked for.
        self._optional = set() if all_columns else _OPTIONAL & set(columns)
        self._first = True

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes an object per record."""
        names = [name for name in self._columns if name not in self._optional or batch[name].null_count < len(batch)]
        columns = [_encoded(batch, name) for name in names]
        keys = [encode_basestring_ascii(name) + ": " for name in names]
        rows = zip(*columns, strict=True)
        if self._optional & set(names):
            lines = ["{" + ", ".join(self._shown(names, keys, row)) + "}" for row in rows]
        else:
            pattern = "{" + ", ".join(key.replace("%", "%%") + "%s" for key in keys) + "}"
            lines = [pattern % row for row in rows]
        comma, end = (",\n", "") if self._array else ("\n", "\n")
        start = ("[\n" if self._first else ",\n") if self._array else ""
        self._first = False
        self._out.write((start + comma.join(lines) + end).encode("ascii"))

    def _shown(self, names: Sequence[str], keys: Sequence[str], row: Sequence[str]) -> list[str]:
        """The fields of a record, without optional ones that it does not have."""
        return [
            key + value
            for name, key, value in zip(names, keys, row, strict=True)
            if value != "null" or name not in self._optional
        ]

    def close(self) -> None:
        """Ends the output."""
        if self._array:
            self._out.write(b"[]\n" if self._first else b"\n]\n")


def _encoded(batch: pa.RecordBatch, name: str) -> list[str]:
    """A column's values as JSON has them."""
    column = batch[name]
    if pa.types.is_timestamp(column.type):
        texts = time_texts(batch, name)
    elif pa.types.is_string(column.type):
        texts = column.to_pylist()
    else:
        numbers: list[str] = pc.fill_null(column.cast(pa.string()), "null").to_pylist()
        return numbers
    encode = encode_basestring_ascii
    return ["null" if text is None else encode(text) for text in texts]


class Csv:
    """CSV with a header; cells that a spreadsheet would compute, and control characters, are made harmless."""

    def __init__(self, out: IO[bytes], columns: Sequence[str]) -> None:
        self._out, self._columns, self._first = out, list(columns), True

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the records of a batch."""
        write_csv(self._out, as_text(batch, self._columns), header=self._first)
        self._first = False

    def close(self) -> None:
        """Ends the output."""
        if self._first:
            self._out.write((",".join(f'"{name}"' for name in self._columns) + "\n").encode())


def as_text(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordTable:
    """The columns with times as RFC 3339 text, for CSV."""
    arrays = {}
    for name in columns:
        column = batch[name]
        text = pa.array(time_texts(batch, name), pa.string()) if pa.types.is_timestamp(column.type) else column
        arrays[name] = safe_column(name, text, formulas=True)
    return pa.table(arrays)


def write_csv(out: IO[bytes], table: pa.RecordTable, *, header: bool = True) -> None:
    """Writes a table as CSV; absent values are empty and unquoted."""
    buffer = io.BytesIO()
    pa.csv.write_csv(table, buffer, pa.csv.WriteOptions(include_header=header, quoting_style="needed"))
    out.write(buffer.getvalue())


class Parquet:
    """Parquet with the Arrow types as they are."""

    def __init__(self, out: IO[bytes], schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pa.parquet.ParquetWriter(pa.PythonFile(out, mode="w"), schema, compression="zstd")

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the records of a batch."""
        self._writer.write_batch(batch.select(self._schema.names))

    def close(self) -> None:
        """Ends the output."""
        self._writer.close()


class RecordTable:
    """Aligned lines for people, page by page; a column never gets narrower."""

    def __init__(self, terminal: Terminal, schema: pa.Schema, columns: Sequence[str]) -> None:
        self._terminal = terminal
        self._columns = columns
        titles = [_TITLES.get(name, name.upper()) for name in columns]
        kinds = [schema.field(name).type for name in columns]
        numbers = [pa.types.is_integer(kind) for kind in kinds]
        fixed = [number or pa.types.is_timestamp(kind) for number, kind in zip(numbers, kinds, strict=True)]
        hosts = [name in HOST_COLUMNS for name in columns]
        columns_shown = [
            TableColumn(title, number, is_fixed, is_host=is_host)
            for title, number, is_fixed, is_host in zip(titles, numbers, fixed, hosts, strict=True)
        ]
        self._table = AlignedTable(terminal, columns_shown)

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the records of a batch."""
        codes = pc.fill_null(batch["response_code"], 0).to_pylist()
        self._table.write(list(zip(*plain(batch, self._columns), strict=True)), codes)

    def close(self) -> None:
        """Ends the output."""
        self._table.flush()
        self._terminal.close()
