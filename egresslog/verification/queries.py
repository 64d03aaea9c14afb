"""What is read from the finished tables: findings with their lines, frames of cases, paths and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from egresslog.verification.finding_type import Level
from egresslog.verification.findings import FINDINGS
from egresslog.verification.judge import EVIDENCE
from egresslog.verification.statements import statement

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


_LIKELY = 3  # hosts in a message
_LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Line:
    """A line of evidence, as it came. ``hop`` is ``sidecar`` or ``gateway``; lines of one case share its number."""

    hop: str
    origin: str
    line_number: int
    line: str
    case: int


@dataclass(frozen=True)
class Finding:
    """One fact: a stable code and name, its level, what it means, what to do, how many cases, and evidence."""

    code: str
    name: str
    level: Level
    message: str
    advice: str
    count: int
    evidence: tuple[Line, ...] = field(default=(), repr=False)


def finding(name: str, count: int, lines: tuple[Line, ...] = ()) -> Finding:
    """A finding of a kind."""
    kind = FINDINGS[name]
    return Finding(kind.code, kind.name, kind.level, kind.cause, kind.advice, count, lines)


def by_gravity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The gravest first."""
    return tuple(sorted(findings, key=lambda finding: (_LEVELS.index(finding.level), finding.code)))


def rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query."""
    result: list[dict[str, Any]] = connection.sql(sql, params=values).to_arrow_table().to_pylist()
    return result


def of_hosts(connection: duckdb.DuckDBPyConnection, hosts: Sequence[str]) -> dict[str, list[Finding]]:
    """The findings about hosts."""
    query = "SELECT * FROM host_findings WHERE host IN (SELECT unnest(?::VARCHAR[])) ORDER BY host, finding"
    host_rows = rows(connection, query, [list(hosts)])
    findings: dict[str, list[Finding]] = {host: [] for host in hosts}
    for row, host_finding in zip(host_rows, _with_evidence(connection, host_rows), strict=True):
        findings[row["host"]].append(host_finding)
    for host, finding_about in _unreadable(connection, hosts).items():
        findings[host].append(finding_about)
    return findings


def _unreadable(connection: duckdb.DuckDBPyConnection, hosts: Sequence[str]) -> dict[str, Finding]:
    """By host, the finding about lines that could not be read and mention it, or may be about every host."""
    query = f"""
        SELECT host, count(*) AS lines, list(struct_pack(hop, origin, line_number, line)
                                             ORDER BY hop, origin, line_number)[:{EVIDENCE}] AS evidence
        FROM unreadable_mentions WHERE host IS NULL OR host IN (SELECT unnest(?::VARCHAR[])) GROUP BY host"""
    found = {row["host"]: row for row in rows(connection, query, [list(hosts)])}
    of_every_host = found.pop(None, {"lines": 0, "evidence": []})
    return {
        host: finding(
            "unreadable-lines",
            row["lines"] + of_every_host["lines"],
            tuple(
                Line(**line, case=-at)
                for at, line in enumerate((row["evidence"] + of_every_host["evidence"])[:EVIDENCE], 1)
            ),
        )
        for host in hosts
        if (row := found.get(host, {"lines": 0, "evidence": []}))["lines"] + of_every_host["lines"]
    }


def of_no_host(connection: duckdb.DuckDBPyConnection, *, asked: bool) -> list[Finding]:
    """The findings that belong to no host: lines in the wrong log, and cases without any name.

    Without a question also what may be the gateway's, or traffic inside the cluster: it counts for no host.
    """
    findings = []
    for row in rows(connection, "SELECT * FROM misplaced_lines ORDER BY finding DESC"):
        hop = "gateway" if row["finding"] == "sidecar-lines-in-gateway-log" else "sidecar"
        (line,) = rows(connection, f"SELECT origin, line_number, line FROM {hop}_lines WHERE rowid = ?", [row["id"]])
        findings.append(finding(row["finding"], row["lines"], (Line(hop, **line, case=0),)))
    nameless = rows(connection, statement("nameless_cases", asked=asked, EVIDENCE=EVIDENCE))
    return [*findings, *_with_evidence(connection, nameless)]


def _with_evidence(connection: duckdb.DuckDBPyConnection, cases: Sequence[dict[str, Any]]) -> list[Finding]:
    """The findings of rows with ``finding``, ``cases`` and ``case_ids``; the lines of all of them from one query."""
    case_ids = [case_id for row in cases for case_id in row["case_ids"]]
    lines = _evidence(connection, case_ids)
    findings = [
        finding(
            row["finding"], row["cases"], tuple(line for case_id in row["case_ids"] for line in lines.get(case_id, ()))
        )
        for row in cases
    ]
    findings = [
        _with_ranges(connection, finding, row["case_ids"]) if finding.name == "port-not-declared" else finding
        for finding, row in zip(findings, cases, strict=True)
    ]
    if not any(row["finding"] == "passthrough-nameless" for row in cases):
        return findings
    likely = connection.execute(statement("likely_hosts"), [case_ids]).fetchall()
    return [
        _with_likely_hosts(finding, list(dict.fromkeys(host for case_id, host in likely if case_id in row["case_ids"])))
        for finding, row in zip(findings, cases, strict=True)
    ]


def _with_ranges(connection: duckdb.DuckDBPyConnection, finding: Finding, case_ids: Sequence[int]) -> Finding:
    """The finding with the ranges that its addresses are in: Istio makes them up in one of IPv4 and one of IPv6."""
    query = """
        SELECT DISTINCT CASE WHEN contains(coalesce(s.upstream_ip, s.downstream_local_ip), ':')
            THEN '2001:2::/48' ELSE '240.0.0.0/4' END
        FROM cases c JOIN sidecar_lines s ON s.rowid = c.sidecar_id
        WHERE c.case_id IN (SELECT unnest(?::BIGINT[])) ORDER BY 1 DESC"""
    ranges = [name for (name,) in connection.execute(query, [list(case_ids)]).fetchall()]
    return (
        replace(finding, message=f"{finding.message} The address is in {' or '.join(ranges)}.") if ranges else finding
    )


def _with_likely_hosts(finding: Finding, hosts: Sequence[str]) -> Finding:
    if not hosts:
        return finding
    likely = f" Likely {', '.join(hosts[:_LIKELY])}: the same pod named it in other connections to the address."
    return replace(finding, message=finding.message + likely)


def _evidence(connection: duckdb.DuckDBPyConnection, case_ids: Sequence[int]) -> dict[int, list[Line]]:
    """The lines of cases: the sidecar's, then the gateway's outer and inner."""
    lines: dict[int, list[Line]] = {}
    for case_id, *columns in connection.execute(statement("evidence"), [list(case_ids)]).fetchall():
        for hop, at in (("sidecar", 0), ("gateway", 3), ("gateway", 6)):
            if columns[at] is not None:
                origin, number, line = columns[at : at + 3]
                lines.setdefault(case_id, []).append(Line(hop, origin, number, line, case_id))
    return lines


def frame(connection: duckdb.DuckDBPyConnection, host: str | None) -> pa.Table:
    """One row per host and request or connection: verdict, finding, names, addresses, and the lines of both hops."""
    return connection.sql(statement("frame"), params=[host]).to_arrow_table()


def paths(connection: duckdb.DuckDBPyConnection, host: str) -> pa.Table:
    """The paths that requests to a host took: source_ip, gateway, upstream_host, verdict, requests.

    ``source_pod`` and ``gateway_pod`` name the pods that had the addresses, where a cluster knows them.
    """
    return connection.sql(statement("paths"), params=[host]).to_arrow_table()
