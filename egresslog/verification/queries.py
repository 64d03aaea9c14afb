"""Results read from the finished tables: findings with their lines, frames of cases, ways and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egresslog.verification.findings import KINDS, Level
from egresslog.verification.judge import EVIDENCE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


_LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Line:
    """A line of evidence, as it came. ``hop`` is ``sidecar`` or ``gateway``; ``case``: lines of one case share it."""

    hop: str
    origin: str
    line_number: int
    line: str
    case: int


@dataclass(frozen=True)
class Finding:
    """One fact: a stable code, its level, what it means, what to do, how many cases, and evidence."""

    code: str
    level: Level
    message: str
    advice: str
    count: int
    evidence: tuple[Line, ...] = field(default=(), repr=False)


def about(code: str, count: int, lines: tuple[Line, ...] = ()) -> Finding:
    """A finding of a kind."""
    kind = KINDS[code]
    return Finding(code, kind.level, kind.cause, kind.advice, count, lines)


def ordered(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The gravest first."""
    return tuple(sorted(found, key=lambda finding: (_LEVELS.index(finding.level), finding.code)))


def rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query."""
    found: list[dict[str, Any]] = connection.sql(sql, params=values).to_arrow_table().to_pylist()
    return found


def of_hosts(connection: duckdb.DuckDBPyConnection, hosts: Sequence[str]) -> dict[str, list[Finding]]:
    """The findings about hosts."""
    query = "SELECT * FROM host_findings WHERE host IN (SELECT unnest(?::VARCHAR[])) ORDER BY host, finding"
    rows_found = rows(connection, query, [list(hosts)])
    found: dict[str, list[Finding]] = {host: [] for host in hosts}
    for row, finding in zip(rows_found, _with_evidence(connection, rows_found), strict=True):
        found[row["host"]].append(finding)
    return found


def beside(connection: duckdb.DuckDBPyConnection, *, asked: bool) -> list[Finding]:
    """The findings that belong to no host: lines in the wrong log, and cases without any name.

    Without a question also what may be the gateway's, or traffic inside the cluster: it counts for no host.
    """
    unclear = "('EGL118')" if asked else "('EGL118', 'EGL131', 'EGL197')"
    found = []
    for row in rows(connection, "SELECT * FROM left_out ORDER BY finding"):
        hop = "gateway" if row["finding"] == "EGL192" else "sidecar"
        (line,) = rows(connection, f"SELECT origin, line_number, line FROM {hop}_lines WHERE rowid = ?", [row["id"]])
        found.append(about(row["finding"], row["count"], (Line(hop, **line, case=0),)))
    unknown = f"""
        SELECT finding, count(*) AS cases, list(cid ORDER BY start, cid)[:{EVIDENCE}] AS cids
        FROM cases JOIN kinds USING (finding)
        WHERE cid NOT IN (SELECT cid FROM found)
          AND (finding IN {unclear} OR coalesce(cluster_name, sni_name, authority_name) IS NULL)
        GROUP BY finding ORDER BY finding"""
    return [*found, *_with_evidence(connection, rows(connection, unknown))]


def _with_evidence(connection: duckdb.DuckDBPyConnection, found: Sequence[dict[str, Any]]) -> list[Finding]:
    """The findings of rows with ``finding``, ``cases`` and ``cids``; the lines of all of them from one query."""
    lines = _evidence(connection, [cid for row in found for cid in row["cids"]])
    return [
        about(row["finding"], row["cases"], tuple(line for cid in row["cids"] for line in lines.get(cid, ())))
        for row in found
    ]


def _evidence(connection: duckdb.DuckDBPyConnection, cids: Sequence[int]) -> dict[int, list[Line]]:
    """The lines of cases: the sidecar's, then the gateway's outer and inner."""
    found: dict[int, list[Line]] = {}
    query = """
        SELECT c.cid, s.origin, s.line_number, s.line, o.origin, o.line_number, o.line, g.origin, g.line_number, g.line
        FROM cases c
        LEFT JOIN sidecar_lines s ON s.rowid = c.sid
        LEFT JOIN gateway_lines o ON o.rowid = c.outer_gid
        LEFT JOIN gateway_lines g ON g.rowid = c.gid
        WHERE c.cid IN (SELECT unnest(?::BIGINT[]))"""
    for cid, *columns in connection.execute(query, [list(cids)]).fetchall():
        for hop, at in (("sidecar", 0), ("gateway", 3), ("gateway", 6)):
            if columns[at] is not None:
                origin, number, line = columns[at : at + 3]
                found.setdefault(cid, []).append(Line(hop, origin, number, line, cid))
    return found


def coverage(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Per log: ``hop``, ``origin``, ``records``, and when its first record began and its last ended (ns)."""
    return [
        {"hop": hop, **row}
        for hop in ("gateway", "sidecar")
        for row in rows(connection, f"SELECT * FROM {hop}_coverage ORDER BY origin")
    ]


_LINES = """
    FROM found f JOIN cases c USING (cid) JOIN kinds k ON k.finding = f.finding
    LEFT JOIN sidecar_lines s ON s.rowid = c.sid
    LEFT JOIN gateway_lines g ON g.rowid = c.gid
    LEFT JOIN gateway_lines o ON o.rowid = c.outer_gid
    WHERE k.verdict IS NOT NULL AND f.host = coalesce(?, f.host)"""


def frame(connection: duckdb.DuckDBPyConnection, host: str | None) -> pa.Table:
    """One row per host and request or connection: verdict, finding, names, addresses, and the lines of both hops."""
    return connection.sql(
        f"""
        SELECT f.host, k.verdict, f.finding, make_timestamp_ns(c.start)::TIMESTAMPTZ_NS AS start_time,
               c.how AS paired_by, c.source_ip, c.http, c.sni_name, c.authority_name, c.cluster_name, c.ip,
               c.upstream AS upstream_host,
               s.origin AS sidecar_origin, s.line_number AS sidecar_line_number, s.line AS sidecar_line,
               g.origin AS gateway_origin, g.line_number AS gateway_line_number, g.line AS gateway_line
        {_LINES}
        ORDER BY c.start, f.cid""",
        params=[host],
    ).to_arrow_table()


def ways(connection: duckdb.DuckDBPyConnection, host: str) -> pa.Table:
    """The ways that requests to a host took: source_ip, gateway, upstream_host, verdict, requests.

    ``source_pod`` and ``gateway_pod`` name the pods that had the addresses, where a cluster told.
    """
    return connection.sql(
        f"""
        SELECT c.source_ip, CASE WHEN c.gid IS NOT NULL THEN coalesce(o.local_ip, g.local_ip)
                                 WHEN c.to_gateway THEN s.upstream_ip END AS gateway,
               pod_of(c.source_ip, c.start) AS source_pod, pod_of(gateway, c.start) AS gateway_pod,
               CASE WHEN c.gid IS NOT NULL OR NOT c.to_gateway THEN c.upstream END AS upstream_host,
               k.verdict, count(*) AS requests
        {_LINES}
        GROUP BY ALL ORDER BY requests DESC, c.source_ip, gateway, upstream_host, k.verdict""",
        params=[host],
    ).to_arrow_table()
