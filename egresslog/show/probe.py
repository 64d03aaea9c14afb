"""Probes: what was asked, what came back, and the lines of that very request, hop by hop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.text import Text

from egresslog.show.terminal import Terminal
from egresslog.show.values import safe
from egresslog.timespec import rfc3339
from egresslog.verification.findings import FINDINGS

if TYPE_CHECKING:
    from egresslog.live.probe.session import ProbeResult

_HOPS = ("sidecar", "gateway")
_FOUND = {
    "address": "identified by the connection's address",
    "marker": "identified by the probe's own User-Agent",
    "time": "identified by pod, host and time only",
    None: "not found in the logs",
}


def document(result: ProbeResult) -> dict[str, Any]:
    """A probe as JSON has it."""
    probe = result.probe
    return {
        "url": probe.url,
        "from": f"{probe.pod.namespace}/{probe.pod.pod}",
        "tool": probe.tool,
        "time": rfc3339(probe.at_ns),
        "client_address": probe.client_address,
        "server_address": probe.server_address,
        "code": probe.code,
        "error": probe.error or None,
        "found_by": result.lines.found_by,
        "note": result.lines.note or None,
        "requests": [
            {
                "verdict": row["verdict"],
                "finding": row["finding"],
                "name": row["finding_name"],
                "lines": list(_lines(row)),
            }
            for row in result.lines.rows.to_pylist()
        ],
    }


def print_probe(terminal: Terminal, result: ProbeResult) -> None:
    """A probe for people."""
    probe, console = result.probe, terminal.console
    pod = f"{probe.pod.namespace}/{probe.pod.pod}"
    answer = f"answered {probe.code}" if probe.code else "no answer"
    terminal.print_sentence(
        Text.assemble(("probe", "bold"), f"  {probe.tool} {safe(probe.url)} from {pod}: ", (answer, "bold")),
        0,
        hanging=2,
    )
    if probe.error:
        terminal.print_sentence(Text(safe(probe.error), style="yellow"), 2)
    note = f": {result.lines.note}" if result.lines.note else ""
    terminal.print_sentence(Text(safe(f"{_FOUND[result.lines.found_by]}{note}")), 2)
    for row in result.lines.rows.to_pylist():
        for line in _lines(row):
            console.print(Text(f"  {line['hop']} {safe(line['origin'])}:{line['line_number']}", style="dim"))
            console.print(Text(f"    {safe(line['line'])}"))
        kind = FINDINGS[row["finding_name"]]
        terminal.print_sentence(Text(f"{row['verdict']} {kind.code} {kind.name}: {kind.cause}"), 2, hanging=2)
    console.print()


def _lines(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of a request in the order in which it passed the hops."""
    for hop in _HOPS:
        if row[f"{hop}_line"] is not None:
            yield {"hop": hop, **{name: row[f"{hop}_{name}"] for name in ("origin", "line_number", "line")}}
