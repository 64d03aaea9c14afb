"""What goes to standard error: what was read, in which formats, and what could not be read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from egresslog.filters import Filter
from egresslog.records.envelope import describe
from egresslog.scan import Scan
from egresslog.show.coverage import print_coverage
from egresslog.show.reports import heading
from egresslog.show.terminal import errors
from egresslog.show.values import plural, safe

if TYPE_CHECKING:
    from egresslog.verification.judge import Selected

_EXAMPLES = 3
_PODS = 10


def write_notes(
    color: str, scan: Scan, where: Filter, *, rejects_path: str | None, with_heading: bool, label: str = ""
) -> None:
    """Prints what a scan found; problems come last, where they are seen."""
    console = errors(color)
    if with_heading:
        about = f"{label}: " if label else ""
        noun = "container" if scan.coverage else "file"
        console.print(Text(f"{about}{plural(scan.sources, noun)}: {heading(scan)}"))
    print_coverage(console, scan.coverage)
    _write_formats(console, scan)
    if where:
        matching = f"{scan.selected:,} of {plural(scan.counts.records, 'record')} match the filters"
        is_empty = scan.counts.records and not scan.selected
        console.print(_warning(matching) if is_empty else Text(matching, style="dim"))
    _write_uncaptured(console, scan)
    if scan.unauthenticated:
        server = safe(scan.unauthenticated)
        console.print(_warning(f"{server} did not prove who it is (no TLS, or insecure-skip-tls-verify)"))
    for note in scan.notes:
        console.print(Text(f"note: {safe(note)}", style="dim"))
    if scan.unknown_keys:
        keys = ", ".join(safe(key) for key, _ in scan.unknown_keys.most_common(5))
        console.print(_warning(f"JSON keys without a column: {keys} (--format with your template keeps them)"))
    if scan.counts.ambiguous:
        console.print(
            _warning(
                f"{plural(scan.counts.ambiguous, 'ambiguous record')}: a quote in a header, perhaps forged;"
                " uncertain values are left empty"
            )
        )
    if scan.counts.rejected:
        _write_rejects(console, scan, rejects_path)
    if not scan.counts.records:
        _write_advice(console, scan)
    for error in scan.errors:
        write_error(color, str(error))


def write_selected(color: str, selected: Selected) -> None:
    """How many requests and connections the filter of ``verify`` left."""
    text = f"{selected.cases:,} of {selected.total:,} requests and connections match the filters"
    errors(color).print(Text(text, style="dim") if selected.cases or not selected.total else _warning(text))


def _write_uncaptured(console: Console, scan: Scan) -> None:
    """Pods whose traffic a sidecar does not log."""
    for pod in scan.uncaptured[:_PODS]:
        console.print(_warning(f"traffic leaves no line: {safe(pod)}"))
    if scan.uncaptured[_PODS:]:
        console.print(_warning(f"and {plural(len(scan.uncaptured) - _PODS, 'more pod')} whose traffic leaves no line"))


def _write_advice(console: Console, scan: Scan) -> None:
    """Why there may be no record."""
    if scan.counts.other:
        console.print(
            _warning("no line is a known access log: is access logging on? Give a custom format with --format")
        )
    for advice in scan.advice:
        console.print(_warning(safe(advice)))


def _write_formats(console: Console, scan: Scan) -> None:
    if not scan.formats:
        return
    formats = ", ".join(f"{name} {count:,}" for name, count in scan.formats.most_common())
    known = {"kubectl --timestamps"} if scan.coverage else set()  # we asked for them
    around = ", ".join(
        f"{describe(name)}: {count:,}" for name, count in scan.envelopes.most_common() if name not in known
    )
    console.print(Text(f"formats: {formats}{f'; {around}' if around else ''}", style="dim"))


def _write_rejects(console: Console, scan: Scan, path: str | None) -> None:
    count = scan.counts.rejected
    where = f"all in {safe(path)}" if path else "--rejects PATH writes them all"
    console.print(_warning(f"{plural(count, 'line')} could not be parsed ({where}):"))
    for origin, number, reason in itertools.islice(_rejects(scan), _EXAMPLES):
        console.print(Text(f"  {safe(origin)}:{number}: {safe(reason)}"))


def _rejects(scan: Scan) -> Iterator[tuple[str, int, str]]:
    for batch in scan.reject_batches():
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
