"""The catalogue and single formats, for people and machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from egresslog.records.format import Format
from egresslog.show.output import SCHEMA, write_document
from egresslog.show.terminal import ColorMode, Terminal
from egresslog.show.values import safe

FORMS = ("table", "json", "yaml")


def listing(formats: Sequence[Format]) -> list[dict[str, Any]]:
    """What `formats` lists."""
    return [
        {"name": made.name, "encoding": made.encoding, "title": made.title, "releases": made.releases}
        for made in formats
    ]


def details(made: Format) -> dict[str, Any]:
    """What `formats NAME` shows."""
    return {
        **listing([made])[0],
        "source": made.origin,
        "format": dict(made.source) if isinstance(made.source, Mapping) else made.source.strip("\n"),
        "columns": [
            {"name": column.name, "type": column.type, "unit": column.unit, "meaning": column.meaning}
            for column in made.columns
        ],
        "samples": [{"about": sample.about, "line": sample.line} for sample in made.samples],
    }


def write_listing(out: IO[bytes], formats: Sequence[Format], form: str, color: ColorMode) -> None:
    """The catalogue."""
    if form != "table":
        write_document(out, form, listing(formats))
        return
    terminal = Terminal(out, color)
    rows: list[list[Text | str]] = [
        [Text(made.name, style="bold"), made.encoding, safe(made.releases)] for made in formats
    ]
    terminal.print_table([("NAME", False), ("ENCODING", False), ("RELEASES", False)], rows)
    terminal.close()


def write_details(out: IO[bytes], made: Format, form: str, color: ColorMode) -> None:
    """One format: where it is from, its string, its columns, its samples."""
    found = details(made)
    if form != "table":
        write_document(out, form, {**SCHEMA, **found})
        return
    terminal = Terminal(out, color)
    console = terminal.console
    console.print(Text(safe(f"{made.name}: {made.title}"), style="bold"))
    for key in ("releases", "source"):
        if found[key]:
            console.print(Text(safe(f"{key}: {found[key]}")))
    console.print()
    source = found["format"]
    console.print(Text(safe(source) if isinstance(source, str) else json.dumps(source, indent=1)))
    console.print()
    rows = [
        [Text(safe(column["name"]), style="bold"), column["type"], column["unit"], column["meaning"]]
        for column in found["columns"]
    ]
    terminal.print_table([("COLUMN", False), ("TYPE", False), ("UNIT", False), ("MEANING", False)], rows)
    for sample in found["samples"]:
        console.print(Text(f"\n{safe(sample['about'])}", style="dim"))
        console.print(Text(safe(sample["line"])))
    terminal.close()
