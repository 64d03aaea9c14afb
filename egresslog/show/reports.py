"""Reports out: one document of lines, window and tables, in every form."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet
from rich.text import Text

from egresslog.log import Report
from egresslog.scan import Scan
from egresslog.show import coverage
from egresslog.show.output import SCHEMA, write_document
from egresslog.show.records import as_text, write_csv
from egresslog.show.table import TableColumn, print_table
from egresslog.show.terminal import ColorMode, Terminal, code_style
from egresslog.show.values import plain, plural, safe_value, size
from egresslog.timespec import rfc3339

if TYPE_CHECKING:  # narwhals, which `parse` does not need
    from egresslog.report.summary import ReportTable

_PAGE = 10_000  # rows
_BYTES = {"bytes_received", "bytes_sent"}
_TITLES = {
    "requests": "REQUESTS", "share": "SHARE", "bytes_received": "RECEIVED", "bytes_sent": "SENT", "errors": "ERRORS",
    "duration_p50": "P50 MS", "duration_p90": "P90 MS", "duration_p99": "P99 MS", "first_seen": "FIRST SEEN",
    "last_seen": "LAST SEEN",
}  # fmt: skip


FORMS = ("table", "wide", "json", "ndjson", "yaml", "csv", "markdown", "html", "parquet")


def write(out: IO[bytes], form: str, report: Report, color: ColorMode) -> None:
    """Writes the report in one of FORMS."""
    tables, scan = report
    if form in {"json", "yaml"}:
        write_document(out, form, document(scan, tables))
        return
    if form in _WRITERS:
        _WRITERS[form](out, scan, tables)
        return
    terminal = Terminal(out, color)
    write_table(terminal, scan, tables, wide=form == "wide")
    terminal.close()


def document(scan: Scan, tables: Sequence[ReportTable]) -> dict[str, Any]:
    """The report as JSON has it (docs/output.md). A table that --top cut says how much is omitted."""
    return {
        **SCHEMA,
        "lines": asdict(scan.counts),
        "window": dict(zip(("from", "to"), window(scan), strict=True)),
        "coverage": iter(coverage.document(None, scan.coverage_rows())),
        "tables": ({**_about(table), "rows": _rows(table)} for table in tables),
    }


def _about(table: ReportTable) -> dict[str, Any]:
    if not table.omitted_rows:
        return {"by": list(table.by)}
    return {"by": list(table.by), "omitted": {"rows": table.omitted_rows, "requests": table.omitted_requests}}


def window(scan: Scan) -> tuple[str | None, str | None]:
    """The first and the last start time of all records."""
    if scan.window is None:
        return None, None
    first, last = (rfc3339(scalar.cast(pa.int64()).as_py()) for scalar in scan.window)
    return first, last


def _rows(table: ReportTable) -> Iterator[dict[str, Any]]:
    for batch in table.rows.to_batches(max_chunksize=_PAGE):
        columns = plain(batch, batch.schema.names)
        yield from (dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True))


def write_ndjson(out: IO[bytes], _scan: Scan, tables: Sequence[ReportTable]) -> None:
    """One object per row, each with the columns it is grouped by."""
    for table in tables:
        for row in _rows(table):
            out.write(json.dumps({"by": list(table.by), **row}).encode("ascii") + b"\n")


def _flat(tables: Sequence[ReportTable]) -> pa.ReportTable:
    """All tables as one: as it is if there is one, else with the columns ``by`` and ``value`` in front."""
    if len(tables) == 1:
        return tables[0].rows
    flat = []
    for table in tables:
        keys = [
            [str(value) if value is not None else "" for value in table.rows[name].to_pylist()] for name in table.by
        ]
        values = [",".join(parts) for parts in zip(*keys, strict=True)]
        rest = table.rows.select([name for name in table.rows.schema.names if name not in table.by])
        rest = rest.add_column(0, "value", pa.array(values, pa.string()))
        flat.append(rest.add_column(0, "by", pa.array([",".join(table.by)] * len(values), pa.string())))
    return pa.concat_tables(flat)


def write_csv_report(out: IO[bytes], _scan: Scan, tables: Sequence[ReportTable]) -> None:
    """The rows as CSV."""
    flat = _flat(tables).combine_chunks()
    batches = flat.to_batches() or [pa.RecordBatch.from_pylist([], flat.schema)]
    write_csv(out, as_text(batches[0], flat.schema.names))


def write_parquet(out: IO[bytes], _scan: Scan, tables: Sequence[ReportTable]) -> None:
    """The rows as Parquet."""
    pa.parquet.write_table(_flat(tables), pa.PythonFile(out, mode="w"), compression="zstd")


def heading(scan: Scan) -> str:
    """What was read: counts and window, in one sentence."""
    counts = scan.counts
    first, last = window(scan)
    parts = [plural(counts.records, "record"), f"{counts.other:,} other", f"{counts.rejected:,} rejected"]
    text = f"{plural(counts.total, 'line')} = {' + '.join(parts)}"
    if counts.ambiguous:
        text += f" ({counts.ambiguous:,} ambiguous)"
    return text + (f"; {first} to {last}" if first else "")


def write_table(terminal: Terminal, scan: Scan, tables: Sequence[ReportTable], *, wide: bool) -> None:
    """The report for people."""
    console = terminal.console
    console.print(Text(heading(scan), style="bold"))
    for table in tables:
        names = [
            *table.by,
            *(name for name in _TITLES if wide or name not in {"first_seen", "bytes_received"}),
        ]
        rows = [[_cell(name, row[name], table.by, row) for name in names] for row in _rows(table)]
        columns = [
            TableColumn(_TITLES.get(name, name.upper()), name in _TITLES and not name.endswith("_seen"))
            for name in names
        ]
        console.print()
        print_table(terminal, columns, rows, expendable=() if wide else ("LAST SEEN", "P90 MS", "SHARE"))
        if table.omitted_rows:
            requests = plural(table.omitted_requests, "request")
            more = f"{plural(table.omitted_rows, 'more row')} with {requests} (--top 0 shows all)"
            console.print(Text(more, style="dim"))


def _cell(name: str, value: Any, by: Sequence[str], row: dict[str, Any]) -> Text:
    text = human(name, value, by)
    if name == "errors" and value:
        return Text(text, style="red" if value == row["requests"] else "yellow")
    if name in {"status", "response_code"}:
        return Text(text, style=code_style(value))
    return Text(text, style="bold" if name in by else "")


def human(name: str, value: Any, by: Sequence[str] = ()) -> str:
    """One value for people; safe on a terminal."""
    if value is None:
        return "-"
    if name in by or not isinstance(value, int | float):
        return safe_value(name, value)
    if name == "share":
        return f"{value:.1%}"
    if name in _BYTES:
        return size(value)
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"  # noqa: PLR2004


def _grid(table: ReportTable) -> tuple[list[str], list[list[str]]]:
    names = [*table.by, *_TITLES]
    return (
        [_TITLES.get(name, name).lower() for name in names],
        [[human(name, row[name], table.by) for name in names] for row in _rows(table)],
    )


def write_markdown(out: IO[bytes], scan: Scan, tables: Sequence[ReportTable]) -> None:
    """The report as Markdown, for tickets. Values cannot break the table, nor be HTML or links."""
    lines = [heading(scan), ""]
    for table in tables:
        titles, rows = _grid(table)
        lines += [f"| {' | '.join(titles)} |", "|" + " --- |" * len(titles)]
        lines += [f"| {' | '.join(markdown_cell(cell) for cell in row)} |" for row in rows]
        lines += [f"\n{plural(table.omitted_rows, 'more row')}" if table.omitted_rows else "", ""]
    out.write("\n".join(lines).rstrip("\n").encode() + b"\n")


def markdown_cell(text: str) -> str:
    """Text that is no markup in Markdown: no table cell, no HTML, no link."""
    escaped = html.escape(text, quote=False)
    for char in "\\`*_{}[]()#+!|~":
        escaped = escaped.replace(char, f"\\{char}")
    # `https://` alone makes a link on most sites.
    return escaped.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse;margin:1rem 0 2rem}th{font-weight:600;color:#57606a;text-align:right}"
    "th,td{padding:.25rem .8rem;border-bottom:1px solid #d8dee4;white-space:nowrap}td{text-align:right}"
    "th.k,td.k{text-align:left}tr.e td{color:#b42318}caption{text-align:left;font-weight:600}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th{color:#9198a1}"
    "th,td{border-color:#30363d}tr.e td{color:#ff7b72}}"
)


def write_html(out: IO[bytes], scan: Scan, tables: Sequence[ReportTable]) -> None:
    """The report as one page without scripts or outside resources."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Egress report</title>',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<style>{_STYLE}</style><h1>Egress report</h1><p>{html.escape(heading(scan))}</p>",
    ]
    for table in tables:
        titles, rows = _grid(table)
        keys = len(table.by)
        failed = [row["errors"] == row["requests"] for row in _rows(table)]
        head = "".join(f"<th{_class(index < keys)}>{html.escape(title)}" for index, title in enumerate(titles))
        parts.append(f"<table><caption>by {html.escape(', '.join(table.by))}</caption><tr>{head}")
        for row, bad in zip(rows, failed, strict=True):
            cells = "".join(f"<td{_class(index < keys)}>{html.escape(cell)}" for index, cell in enumerate(row))
            parts.append(f"<tr{' class=e' if bad else ''}>{cells}")
        parts.append("</table>" + (f"<p>{plural(table.omitted_rows, 'more row')}</p>" if table.omitted_rows else ""))
    out.write("\n".join(parts).encode() + b"\n")


def _class(key: bool) -> str:
    return " class=k" if key else ""


_WRITERS: dict[str, Callable[[IO[bytes], Scan, Sequence[ReportTable]], None]] = {
    "ndjson": write_ndjson,
    "csv": write_csv_report,
    "parquet": write_parquet,
    "markdown": write_markdown,
    "html": write_html,
}
