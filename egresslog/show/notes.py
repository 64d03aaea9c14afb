"""What goes to standard error: what was read, in which formats, and what could not be read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from egresslog.filters import Filter
from egresslog.scan import Scan
from egresslog.show.coverage import print_coverage
from egresslog.show.reports import heading
from egresslog.show.terminal import errors
from egresslog.show.values import plural, safe

_EXAMPLES = 3


class Read(Protocol):
    """What was read: a Log, or a Following."""

    where: Filter

    @property
    def reading(self) -> Scan:
        """Counts and what else there is to say."""

    def reject_batches(self) -> Iterator[pa.RecordBatch]:
        """Lines that could not be read."""


def write_notes(color: str, log: Read, *, rejects_path: str | None, with_heading: bool, label: str = "") -> None:
    """Says what the last reading of ``log`` found; problems come last, where they are seen."""
    reading, console = log.reading, errors(color)
    if with_heading:
        about = f"{label}: " if label else ""
        noun = "container" if reading.coverage else "file"
        console.print(Text(f"{about}{plural(reading.sources, noun)}: {heading(reading)}"))
    print_coverage(console, reading.coverage)
    _write_formats(console, reading)
    if log.where:
        console.print(
            Text(f"{reading.selected:,} of {plural(reading.counts.records, 'record')} pass the filter", style="dim")
        )
    for note in reading.notes:
        console.print(Text(f"note: {safe(note)}", style="dim"))
    if reading.unknown_keys:
        keys = ", ".join(safe(key) for key, _ in reading.unknown_keys.most_common(5))
        console.print(_warning(f"JSON keys that no column keeps: {keys} (--format with your template keeps them)"))
    if reading.counts.ambiguous:
        console.print(
            _warning(
                f"{plural(reading.counts.ambiguous, 'ambiguous record')}: a quote in a header, maybe forged;"
                " what cannot be told is left empty"
            )
        )
    if reading.counts.rejected:
        _write_rejects(console, log, rejects_path)
    if not reading.counts.records:
        _write_advice(console, reading)
    for error in reading.errors:
        write_error(color, str(error))


def _write_advice(console: Console, reading: Scan) -> None:
    """Why there may be no record."""
    if reading.counts.other:
        console.print(
            _warning("no line is a known access log: is access logging on? A custom format is named with --format")
        )
    for advice in reading.advice:
        console.print(_warning(safe(advice)))


def _write_formats(console: Console, reading: Scan) -> None:
    if not reading.formats:
        return
    found = ", ".join(f"{name} {count:,}" for name, count in reading.formats.most_common())
    known = {"kubectl --timestamps"} if reading.coverage else set()  # which we asked for
    around = ", ".join(f"{name} {count:,}" for name, count in reading.envelopes.most_common() if name not in known)
    console.print(Text(f"formats: {found}{f'; wrapped by {around}' if around else ''}", style="dim"))


def _write_rejects(console: Console, log: Read, path: str | None) -> None:
    count = log.reading.counts.rejected
    where = f"all in {safe(path)}" if path else "--rejects PATH writes them all"
    console.print(_warning(f"{plural(count, 'line')} could not be read ({where}):"))
    for origin, number, reason in itertools.islice(_rejects(log), _EXAMPLES):
        console.print(Text(f"  {safe(origin)}:{number}: {safe(reason)}"))


def _rejects(log: Read) -> Iterator[tuple[str, int, str]]:
    for batch in log.reject_batches():
        yield from zip(*(batch[name].to_pylist() for name in ("origin", "line_number", "reason")), strict=True)


def _warning(text: str) -> Text:
    return Text.assemble(("warning: ", "yellow"), text)


def _error(text: str) -> Text:
    return Text.assemble(("error: ", "bold red"), safe(text))


def write_error(color: str, text: str) -> None:
    """One error; lines of it stay lines."""
    console = errors(color)
    first, *rest = text.split("\n")
    console.print(_error(first))
    for line in rest:
        console.print(Text(safe(line)))
