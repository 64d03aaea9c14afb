"""Verdicts out: the verdict first, then the paths, the findings and the lines behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from rich.style import Style
from rich.text import Text

from egresslog.show import coverage
from egresslog.show.output import SCHEMA, write_document
from egresslog.show.probe import document, print_probe
from egresslog.show.reports import markdown_cell
from egresslog.show.table import TableColumn, print_table
from egresslog.show.terminal import ROWS, ColorMode, Terminal
from egresslog.show.values import plural, safe, safe_host
from egresslog.verification.exclusivity import Exclusivity, ExclusivityState
from egresslog.verification.findings import FINDINGS
from egresslog.verification.queries import Finding
from egresslog.verification.result import HostVerdict, Verification
from egresslog.verification.verdict import MEANINGS, Verdict

if TYPE_CHECKING:
    from egresslog.live.probe.session import ProbeResult  # it takes time to import, and most runs send no probe

FORMS = ("table", "json", "ndjson", "yaml", "markdown")

_IN_FULL = 3  # hosts; of more there is a table
_PATHS = 5
_MISSING = 5  # senders named
_STYLES = {
    Verdict.PROVEN: "green", Verdict.BYPASSED: "red", Verdict.MISROUTED: "red", Verdict.FAILED: "red",
    Verdict.BLOCKED: "yellow", Verdict.SENT_UNCONFIRMED: "yellow", Verdict.NO_EVIDENCE: "yellow",
}  # fmt: skip
_ELSE = {Verdict.BYPASSED: "bypassing the gateway", Verdict.BLOCKED: "refused", Verdict.FAILED: "not forwarded"}
_LEVELS = {"error": "red", "warning": "yellow", "info": "dim"}


def write(
    out: IO[bytes], form: str, verdicts: Verification, color: ColorMode, results: Sequence[ProbeResult] = ()
) -> None:
    """Writes the verdicts in one of FORMS, and what became of the probes."""
    if form == "table":
        terminal = Terminal(out, color)
        for result in results:
            print_probe(terminal, result)
        _write_terminal(terminal, verdicts)
        terminal.close()
    elif form == "ndjson":
        for host in verdicts:
            out.write(json.dumps(_host(host)).encode("ascii") + b"\n")
    elif form == "markdown":
        out.write("\n".join(_markdown(verdicts)).encode() + b"\n")
    else:
        write_document(out, form, _document(verdicts, results))


def _host(host: HostVerdict) -> dict[str, Any]:
    return {
        "host": host.host,
        "verdict": host.verdict.value,
        "exclusivity": host.exclusivity.document(),
        "counts": {verdict.value: count for verdict, count in host.counts.items()},
        "findings": [asdict(finding) for finding in host.findings],
    }


def _document(verdicts: Verification, results: Sequence[ProbeResult]) -> dict[str, Any]:
    """The verdicts as JSON has them (docs/output.md)."""
    return {
        **SCHEMA,
        "hosts": (_host(host) for host in verdicts),
        **({"probes": [document(result) for result in results]} if results else {}),
        "findings": (asdict(finding) for finding in verdicts.findings),
        "gateway": {"addresses": list(verdicts.gateways), "services": list(verdicts.services)},
        "coverage": iter(_coverage(verdicts)),
        "uncaptured": list(verdicts.scans["sidecar"].uncaptured),
        "lines": asdict(verdicts.counts),
    }


def _coverage(verdicts: Verification) -> list[dict[str, Any]]:
    return [row for hop, scan in verdicts.scans.items() for row in coverage.document(hop, scan.coverage_rows())]


def _write_terminal(terminal: Terminal, verdicts: Verification) -> None:
    console = terminal.console
    if verdicts.asked or len(verdicts) <= _IN_FULL:
        for number, host in enumerate(verdicts):
            if number:
                console.print()
            _print_host(terminal, host)
    else:
        rows: list[list[Text | str]] = [
            [
                styled(host.verdict),
                Text(safe_host(host.host), style="bold"),
                _tally(host),
                _codes(host),
            ]
            for host in verdicts[:ROWS]
        ]
        print_table(terminal, [TableColumn(title) for title in ("VERDICT", "HOST", "CASES", "FINDINGS")], rows)
        if len(verdicts) > ROWS:
            console.print(Text(f"{plural(len(verdicts) - ROWS, 'more host')} (-o json has them all)", style="dim"))
        console.print(Text("Run egresslog verify HOST for the paths, findings, and log lines of a host.", style="dim"))
    if not len(verdicts):
        console.print(Text(f"{Verdict.NO_EVIDENCE}: no line mentions an outside host", style="bold yellow"))
    if verdicts.findings:
        console.print()
        console.print(Text("Other findings:", style="dim"))
        for finding in verdicts.findings:
            _print_finding(terminal, finding)


def styled(verdict: Verdict) -> Text:
    """A verdict in its color."""
    return Text(verdict, style=_STYLES[verdict])


def _print_host(terminal: Terminal, host: HostVerdict) -> None:
    style = Style(color=_STYLES[host.verdict], bold=True)
    console = terminal.console
    console.print(Text.assemble((f"{host.verdict}  ", style), (safe_host(host.host), "bold")))
    terminal.print_sentence(Text(exclusivity_text(host.exclusivity)), 2, hanging=2)
    tally = f" ({_tally(host)})" if host.counts else ""
    terminal.print_sentence(Text(f"{MEANINGS[host.verdict]}{tally}"), 2)
    paths = _paths(host)
    for path, count, verdict in paths[:_PATHS]:
        console.print(Text.assemble(f"  {path}  ", (f"{count:,} {verdict}", _STYLES[verdict])))
    if paths[_PATHS:]:
        rest = sum(count for _, count, _ in paths[_PATHS:])
        console.print(Text(f"  {plural(len(paths) - _PATHS, 'more path')} with {rest:,}", style="dim"))
    for finding in host.findings:
        _print_finding(terminal, finding)


def exclusivity_text(exclusivity: Exclusivity) -> str:
    """Whether a bypass was looked for, in one sentence."""
    senders = plural(exclusivity.senders, "sender")
    if exclusivity.state is ExclusivityState.CONFIRMED:
        return f"Bypass checked for {exclusivity.read:,} of {senders}: none."
    codes = f" ({', '.join(exclusivity.reasons)})" if exclusivity.reasons else ""
    if exclusivity.state is ExclusivityState.NOT_CHECKED:
        return "Bypass not checked: no sidecar log was read."
    missing = ", ".join(safe(name) for name in exclusivity.missing[:_MISSING])
    more = f" and {len(exclusivity.missing) - _MISSING:,} more" if exclusivity.missing[_MISSING:] else ""
    unread = f"; not for {missing}{more}" if missing else ""
    return f"Bypass checked for {exclusivity.read:,} of {senders}{unread}{codes}."


def _tally(host: HostVerdict) -> str:
    return ", ".join(f"{count:,} {verdict}" for verdict, count in host.counts.items())


def _words(text: str) -> str:
    return text.replace("_", " ")  # which Markdown takes for emphasis


def _codes(host: HostVerdict) -> str:
    return ", ".join(finding.code for finding in host.findings)


def _paths(host: HostVerdict) -> list[tuple[str, int, Verdict]]:
    """`source -> gateway -> outside`, how often, and to what end."""
    paths = []
    for row in host.paths().to_pylist():
        verdict = Verdict(row["verdict"])
        gateway = row["gateway_pod"] or row["gateway"]
        through = f"gateway {gateway}" if gateway else _ELSE.get(verdict, "gateway")
        stops = [row["source_pod"] or row["source_ip"] or "unknown sender", through, row["upstream_host"]]
        paths.append((" -> ".join(safe(stop) for stop in stops if stop), row["requests"], verdict))
    return paths


def _print_finding(terminal: Terminal, finding: Finding) -> None:
    count = f" ({finding.count:,})" if finding.count > 1 else ""
    level = (finding.level, _LEVELS[finding.level])
    terminal.print_sentence(
        Text.assemble(level, f" {finding.code} {finding.name}{count}: {safe(finding.message)}"), 2, hanging=2
    )
    if finding.advice:
        terminal.print_sentence(Text(finding.advice, style="dim"), 4)
    for line in _first_case(finding):
        terminal.console.print(Text(f"    {line.hop} {safe(line.origin)}:{line.line_number}", style="dim"))
        terminal.console.print(Text(f"      {safe(line.line)}"))


def _first_case(finding: Finding) -> list[Any]:
    return [line for line in finding.evidence if line.case == finding.evidence[0].case]


def _markdown(verdicts: Verification) -> Iterator[str]:
    yield "| host | verdict | exclusivity | cases |\n| --- | --- | --- | --- |"
    for host in verdicts:
        words = (f"**{_words(host.verdict)}**", _words(host.exclusivity.state), _words(_tally(host)))
        yield f"| {markdown_cell(safe_host(host.host))} | {' | '.join(words)} |"
    for host in verdicts:
        yield f"\n## {markdown_cell(safe_host(host.host))}: {_words(host.verdict)}\n"
        yield f"{markdown_cell(exclusivity_text(host.exclusivity))}\n"
        yield from _markdown_findings(host.findings)
    if verdicts.findings:
        yield "\n## Other findings\n"
        yield from _markdown_findings(verdicts.findings)
    yield "\n## What was read\n\n| hop | origin | records | from | to |\n| --- | --- | --- | --- | --- |"
    for row in _coverage(verdicts):
        cells = (row["hop"], row["origin"], f"{row['records']:,}", row["from"] or "-", row["to"] or "-")
        yield f"| {' | '.join(markdown_cell(safe(cell)) for cell in cells)} |"


def _markdown_message(finding: Finding) -> str:
    """What happened; what follows the words of the finding's kind comes from the logs."""
    cause = FINDINGS[finding.name].cause
    if not finding.message.startswith(cause):
        return markdown_cell(safe(finding.message))
    return cause + markdown_cell(safe(finding.message.removeprefix(cause)))


def _markdown_findings(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        count = f", {finding.count:,}" if finding.count else ""
        about = f"{_markdown_message(finding)} {finding.advice}".rstrip()
        yield f"- **{finding.code} {finding.name}** {finding.level}{count}: {about}"
        if finding.evidence:
            # Four blanks more than the list make it code, whatever backticks a client wrote.
            yield ""
            for line in _first_case(finding):
                yield f"      {line.hop} {safe(line.origin)}:{line.line_number}"
                yield f"      {safe(line.line)}"
            yield ""
