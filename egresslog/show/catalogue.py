"""The catalogue and single formats, for people and machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from egresslog.records.format import Format
from egresslog.show.output import SCHEMA, write_document
from egresslog.show.table import TableColumn, print_table
from egresslog.show.terminal import ColorMode, Terminal
from egresslog.show.values import safe

FORMS = ("table", "json", "yaml")


def listing(formats: Sequence[Format]) -> list[dict[str, Any]]:
    """What `formats` lists."""
    return [
        {
            "name": log_format.name,
            "encoding": log_format.encoding,
            "title": log_format.title,
            "releases": log_format.releases,
        }
        for log_format in formats
    ]


def details(log_format: Format) -> dict[str, Any]:
    """What `formats NAME` shows."""
    return {
        **listing([log_format])[0],
        "source": log_format.origin,
        "format": dict(log_format.source) if isinstance(log_format.source, Mapping) else log_format.source.strip("\n"),
        "columns": [
            {"name": column.name, "type": column.type, "unit": column.unit, "meaning": column.meaning}
            for column in log_format.columns
        ],
        "samples": [{"about": sample.about, "line": sample.line} for sample in log_format.samples],
    }


def write_listing(out: IO[bytes], formats: Sequence[Format], form: str, color: ColorMode) -> None:
    """The catalogue."""
    if form != "table":
        write_document(out, form, listing(formats))
        return
    terminal = Terminal(out, color)
    rows: list[list[Text | str]] = [
        [Text(log_format.name, style="bold"), log_format.encoding, safe(log_format.releases)] for log_format in formats
    ]
    print_table(terminal, [TableColumn(title) for title in ("NAME", "ENCODING", "RELEASES")], rows)
    terminal.close()


def write_details(out: IO[bytes], log_format: Format, form: str, color: ColorMode) -> None:
    """One format: where it is from, its string, its columns, its samples."""
    document = details(log_format)
    if form != "table":
        write_document(out, form, {**SCHEMA, **document})
        return
    terminal = Terminal(out, color)
    console = terminal.console
    console.print(Text(safe(f"{log_format.name}: {log_format.title}"), style="bold"))
    for key in ("releases", "source"):
        if document[key]:
            console.print(Text(safe(f"{key}: {document[key]}")))
    console.print()
    source = document["format"]
    console.print(Text(safe(source) if isinstance(source, str) else json.dumps(source, indent=1)))
    console.print()
    rows = [
        [Text(safe(column["name"]), style="bold"), column["type"], column["unit"], column["meaning"]]
        for column in document["columns"]
    ]
    print_table(terminal, [TableColumn(title) for title in ("COLUMN", "TYPE", "UNIT", "MEANING")], rows)
    for sample in document["samples"]:
        console.print(Text(f"\n{safe(sample['about'])}", style="dim"))
        console.print(Text(safe(sample["line"])))
    terminal.close()
