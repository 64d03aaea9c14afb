"""What was read of each container, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from egresslog.scan import CoverageRow
from egresslog.show.values import plural, safe
from egresslog.sources.coverage import Coverage
from egresslog.timespec import rfc3339

_SHOWN = 10  # containers
_GAPS = 3


def document(hop: str | None, rows: Iterable[CoverageRow]) -> list[dict[str, Any]]:
    """The coverage as every JSON document has it (docs/output.md).

    ``from`` and ``to`` are when its first record began and its last ended; ``hop`` is null where no hop is known.
    """
    return [
        {
            "hop": hop,
            "origin": row.origin,
            "records": row.records,
            "from": _time(row.first_ns),
            "to": _time(row.last_ns),
            "gaps": [{"from": _time(gap.start), "to": _time(gap.stop), "reason": gap.reason} for gap in row.gaps],
        }
        for row in rows
    ]


def print_coverage(console: Console, coverage: Sequence[Coverage]) -> None:
    """A line per container, what is missing beneath it. Those with something missing come first."""
    for entry in sorted(coverage, key=lambda entry: entry.is_complete)[:_SHOWN]:
        restarts = f"; {plural(entry.restarts, 'restart')}" if entry.restarts else ""
        times = f", {rfc3339(entry.first)} to {rfc3339(entry.last)}" if entry.first and entry.last else ""
        console.print(Text(f"  {safe(entry.origin)}: {plural(entry.lines, 'line')}{times}{restarts}", style="dim"))
        if entry.error:
            first = entry.error.reason.split("\n", 1)[0]
            console.print(Text.assemble("    ", ("not read", "yellow"), f": {safe(first)}"))
        for gap in entry.gaps[:_GAPS]:
            span = f"{_time(gap.start) or 'the beginning'} to {_time(gap.stop) or 'now'}"
            console.print(Text.assemble("    ", ("gap", "yellow"), f" from {span}: {safe(gap.reason)}"))
        if entry.gaps[_GAPS:]:
            console.print(Text(f"    and {plural(len(entry.gaps) - _GAPS, 'more gap')}"))
        if entry.diagnostic_count:
            count = plural(entry.diagnostic_count, "message")
            kubelet = f"    {count} of the kubelet, the first: {safe(entry.diagnostics[0])}"
            console.print(Text(kubelet, style="dim"))
    if coverage[_SHOWN:]:
        console.print(Text(f"  and {plural(len(coverage) - _SHOWN, 'more container')}", style="dim"))


def _time(stamp: int | None) -> str | None:
    return None if stamp is None else rfc3339(stamp)
