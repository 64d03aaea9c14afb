"""Verdicts out: the verdict first, then the ways, the findings and the lines behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import IO, Any

from rich.style import Style
from rich.text import Text

from egresslog.live.probe.session import Trial
from egresslog.show import coverage
from egresslog.show.output import write_document
from egresslog.show.probe import document, print_trial
from egresslog.show.reports import markdown_cell
from egresslog.show.terminal import ROWS, ColorMode, Terminal
from egresslog.show.values import plural, safe
from egresslog.timespec import rfc3339
from egresslog.verification.findings import MEANINGS, Verdict
from egresslog.verification.queries import Finding
from egresslog.verification.result import HostVerdict, Verification

FORMS = ("table", "json", "ndjson", "yaml", "markdown")

_IN_FULL = 3  # hosts; of more there is a table
_WAYS = 5
_STYLES = {
    Verdict.PROVEN: "green", Verdict.BYPASSED: "red", Verdict.MISROUTED: "red", Verdict.FAILED: "red",
    Verdict.BLOCKED: "yellow", Verdict.SENT_UNCONFIRMED: "yellow", Verdict.NO_EVIDENCE: "yellow",
}  # fmt: skip
_ELSE = {Verdict.BYPASSED: "past the gateway", Verdict.BLOCKED: "refused", Verdict.FAILED: "not sent"}
_LEVELS = {"error": "red", "warning": "yellow", "info": "dim"}


def write(out: IO[bytes], form: str, verdicts: Verification, color: ColorMode, trials: Sequence[Trial] = ()) -> None:
    """Writes the verdicts in one of FORMS, and what became of the probes."""
    if form == "table":
        terminal = Terminal(out, color)
        for trial in trials:
            print_trial(terminal, trial)
        _write_terminal(terminal, verdicts)
        terminal.close()
    elif form == "json":
        _write_json(out, verdicts, trials)
    elif form == "ndjson":
        for one in verdicts:
            out.write(json.dumps(_host(one)).encode("ascii") + b"\n")
    elif form == "markdown":
        out.write("\n".join(_markdown(verdicts)).encode() + b"\n")
    else:
        write_document(out, form, {"hosts": [_host(one) for one in verdicts], **_rest(verdicts, trials)})


def _host(one: HostVerdict) -> dict[str, Any]:
    return {
        "host": one.host,
        "verdict": one.verdict.value,
        "counts": {verdict.value: count for verdict, count in one.counts.items()},
        "findings": [asdict(finding) for finding in one.findings],
    }


def _containers(verdicts: Verification) -> dict[str, list[dict[str, Any]]]:
    """What was read of each container, by hop; nothing where files were read."""
    read = {hop: coverage.document(reading.coverage) for hop, reading in verdicts.readings.items() if reading.coverage}
    return {"containers": [{"hop": hop, **one} for hop, rows in read.items() for one in rows]} if read else {}


def _coverage(verdicts: Verification) -> list[dict[str, Any]]:
    return [
        {
            "hop": row["hop"],
            "origin": row["origin"],
            "records": row["records"],
            "from": None if row["first_ns"] is None else rfc3339(row["first_ns"]),
            "to": None if row["last_ns"] is None else rfc3339(row["last_ns"]),
        }
        for row in verdicts.coverage
    ]


def _rest(verdicts: Verification, trials: Sequence[Trial]) -> dict[str, Any]:
    probes = {"probes": [document(one) for one in trials]} if trials else {}
    return {
        **probes,
        "findings": [asdict(finding) for finding in verdicts.findings],
        "gateway": {"addresses": list(verdicts.gateways), "services": list(verdicts.services)},
        "coverage": _coverage(verdicts),
        **_containers(verdicts),
        "lines": asdict(verdicts.counts),
    }


def _write_json(out: IO[bytes], verdicts: Verification, trials: Sequence[Trial]) -> None:
    """The document, host by host: clients make up hosts, so there may be very many."""
    out.write(b'{\n  "hosts": [')
    for number, one in enumerate(verdicts):
        out.write(b"," * bool(number) + b"\n    " + json.dumps(_host(one)).encode("ascii"))
    rest = json.dumps(_rest(verdicts, trials), indent=2).removeprefix("{\n")
    out.write((b"\n  ]" if len(verdicts) else b"]") + b",\n" + rest.encode("ascii") + b"\n")


def _write_terminal(terminal: Terminal, verdicts: Verification) -> None:
    console = terminal.console
    if verdicts.asked or len(verdicts) <= _IN_FULL:
        for number, one in enumerate(verdicts):
            if number:
                console.print()
            _print_host(terminal, one)
    else:
        rows: list[list[Text | str]] = [
            [
                styled(one.verdict),
                Text(safe(one.host), style="bold"),
                _tally(one),
                _codes(one),
            ]
            for one in verdicts[:ROWS]
        ]
        terminal.print_table([("VERDICT", False), ("HOST", False), ("CASES", False), ("FINDINGS", False)], rows)
        if len(verdicts) > ROWS:
            console.print(Text(f"{plural(len(verdicts) - ROWS, 'more host')} (-o json has them all)", style="dim"))
        console.print(Text("egresslog verify HOST ... shows ways, findings and lines of a host", style="dim"))
    if not len(verdicts):
        console.print(Text(f"{Verdict.NO_EVIDENCE}: no line speaks of an outside host", style="bold yellow"))
    if verdicts.findings:
        console.print()
        console.print(Text("beside the hosts:", style="dim"))
        for finding in verdicts.findings:
            _print_finding(terminal, finding)


def styled(verdict: Verdict) -> Text:
    """A verdict in its colour."""
    return Text(verdict, style=_STYLES[verdict])


def _print_host(terminal: Terminal, one: HostVerdict) -> None:
    style = Style(color=_STYLES[one.verdict], bold=True)
    console = terminal.console
    console.print(Text.assemble((f"{one.verdict}  ", style), (safe(one.host), "bold")))
    tally = f"; {_tally(one)}" if one.counts else ""
    terminal.print_sentence(Text(f"{MEANINGS[one.verdict]}{tally}"), 2)
    ways = _ways(one)
    for way, count, verdict in ways[:_WAYS]:
        console.print(Text.assemble(f"  {way}  ", (f"{count:,} {verdict}", _STYLES[verdict])))
    if ways[_WAYS:]:
        rest = sum(count for _, count, _ in ways[_WAYS:])
        console.print(Text(f"  {plural(len(ways) - _WAYS, 'more way')} with {rest:,}", style="dim"))
    for finding in one.findings:
        _print_finding(terminal, finding)


def _tally(one: HostVerdict) -> str:
    return ", ".join(f"{count:,} {verdict}" for verdict, count in one.counts.items())


def _words(text: str) -> str:
    return text.replace("_", " ")  # which Markdown takes for emphasis


def _codes(one: HostVerdict) -> str:
    return ", ".join(finding.code for finding in one.findings)


def _ways(one: HostVerdict) -> list[tuple[str, int, Verdict]]:
    """`source -> gateway -> outside`, how often, and to what end."""
    ways = []
    for row in one.ways().to_pylist():
        verdict = Verdict(row["verdict"])
        gateway = row["gateway_pod"] or row["gateway"]
        through = f"gateway {gateway}" if gateway else _ELSE.get(verdict, "gateway")
        stops = [row["source_pod"] or row["source_ip"] or "unknown sender", through, row["upstream_host"]]
        ways.append((" -> ".join(safe(stop) for stop in stops if stop), row["requests"], verdict))
    return ways


def _print_finding(terminal: Terminal, finding: Finding) -> None:
    count = f" ({finding.count:,})" if finding.count > 1 else ""
    level = (finding.level, _LEVELS[finding.level])
    terminal.print_sentence(Text.assemble(level, f" {finding.code}{count}: {finding.message}"), 2, hanging=2)
    if finding.advice:
        terminal.print_sentence(Text(finding.advice, style="dim"), 4)
    for line in _first_case(finding):
        terminal.console.print(Text(f"    {line.hop} {safe(line.origin)}:{line.line_number}", style="dim"))
        terminal.console.print(Text(f"      {safe(line.line)}"))


def _first_case(finding: Finding) -> list[Any]:
    return [line for line in finding.evidence if line.case == finding.evidence[0].case]


def _markdown(verdicts: Verification) -> Iterator[str]:
    yield "| host | verdict | cases |\n| --- | --- | --- |"
    for one in verdicts:
        yield f"| {markdown_cell(safe(one.host))} | **{_words(one.verdict)}** | {_words(_tally(one))} |"
    for one in verdicts:
        yield f"\n## {markdown_cell(safe(one.host))}: {_words(one.verdict)}\n"
        yield from _markdown_findings(one.findings)
    if verdicts.findings:
        yield "\n## Beside the hosts\n"
        yield from _markdown_findings(verdicts.findings)
    yield "\n## What was read\n\n| hop | origin | records | from | to |\n| --- | --- | --- | --- | --- |"
    for row in _coverage(verdicts):
        cells = (row["hop"], row["origin"], f"{row['records']:,}", row["from"] or "-", row["to"] or "-")
        yield f"| {' | '.join(markdown_cell(safe(cell)) for cell in cells)} |"


def _markdown_findings(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        count = f", {finding.count:,}" if finding.count else ""
        yield f"- **{finding.code}** {finding.level}{count}: {finding.message} {finding.advice}".rstrip()
        if finding.evidence:
            # Four blanks more than the list make it code, whatever backticks a client wrote.
            yield ""
            for line in _first_case(finding):
                yield f"      {line.hop} {safe(line.origin)}:{line.line_number}"
                yield f"      {safe(line.line)}"
            yield ""
