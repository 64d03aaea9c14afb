"""Verdicts: what the cases of a host say together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.database import create_table
from egresslog.filters import Filter
from egresslog.networks import inside
from egresslog.verification.findings import KINDS, Verdict
from egresslog.verification.hosts import PROVEN

if TYPE_CHECKING:
    import duckdb

_HANDSHAKE = 600  # bytes: what a TLS server sends at the least until a connection carries data
EVIDENCE = 3  # cases shown per host and finding


def restrict(connection: duckdb.DuckDBPyConnection, where: Filter) -> None:
    """Leaves the cases of the filter's time and clients. What the others told of hosts and addresses stays known."""
    for bound, keeps in ((where.since, ">="), (where.until, "<")):
        if bound is not None:
            connection.execute(f"DELETE FROM cases WHERE NOT coalesce(start {keeps} ?, false)", [bound])
    if where.source:
        test = inside(where.source)
        rows = connection.execute("SELECT DISTINCT source_ip FROM cases WHERE source_ip IS NOT NULL").fetchall()
        wanted = [ip for (ip,) in rows if test(ip)]
        keep = "source_ip IN (SELECT unnest(?::VARCHAR[]))"
        connection.execute(f"DELETE FROM cases WHERE NOT coalesce({keep}, false)", [wanted])
    connection.execute("DELETE FROM found WHERE cid NOT IN (SELECT cid FROM cases)")


def refine(connection: duckdb.DuckDBPyConnection) -> None:
    """Why a declared host went straight outside: told by the host's other cases (F5, F6, F28 to F30)."""
    connection.execute("""
        UPDATE found SET finding = refined.finding
        FROM (SELECT host, cid, CASE
            WHEN pod_direct_until < pod_through_from THEN 'EGL113'
            WHEN pod_through_from IS NOT NULL THEN 'EGL114'
            WHEN port_through THEN 'EGL112'
            WHEN other_port_through THEN 'EGL111'
            ELSE finding END AS finding
        FROM (
            SELECT host, cid, finding, bool_or(through) OVER (PARTITION BY host, port) AS port_through,
                   bool_or(through AND port IS NOT NULL) OVER (PARTITION BY host) AS other_port_through,
                   min(start) FILTER (through) OVER pod AS pod_through_from,
                   max(start) FILTER (direct) OVER pod AS pod_direct_until
            FROM (SELECT f.*, c.start, c.port, c.source_ip, c.to_gateway AND c.sid IS NOT NULL AS through,
                         f.finding = 'EGL110' AS direct
                  FROM found f JOIN cases c USING (cid)
                  WHERE f.host IN (SELECT host FROM found WHERE finding = 'EGL110'))
            WINDOW pod AS (PARTITION BY host, source_ip, port))) refined
        WHERE found.finding = 'EGL110' AND found.host = refined.host AND found.cid = refined.cid""")


def judge(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes ``verdicts`` (host, verdict, counts per verdict) and ``host_findings`` (host, finding, cases, cids)."""
    kinds = pa.schema([("finding", pa.string()), ("verdict", pa.string())])
    create_table(connection, "kinds", kinds, [(kind.code, kind.verdict) for kind in KINDS.values()])
    connection.execute(f"""
        INSERT INTO found
        SELECT host, min(cid), 'EGL198' FROM found JOIN cases USING (cid) WHERE found.finding IN {PROVEN}
        GROUP BY host HAVING bool_and(NOT http AND sni_name IS NOT NULL AND sent < {_HANDSHAKE})""")
    counts = ", ".join(f"count(*) FILTER (verdict = '{verdict}') AS \"{verdict}\"" for verdict in Verdict)
    order = " ".join(f"WHEN coalesce(\"{verdict}\", 0) > 0 THEN '{verdict}'" for verdict in Verdict)
    connection.execute(f"""
        CREATE TABLE verdicts AS
        SELECT host, CASE {order} ELSE '{Verdict.NO_EVIDENCE}' END AS verdict, counted.* EXCLUDE (host)
        FROM (SELECT host, {counts} FROM found JOIN kinds USING (finding) GROUP BY host) counted
        FULL JOIN asked_hosts USING (host)""")
    connection.execute(f"""
        CREATE TABLE host_findings AS
        SELECT host, found.finding, count(*) AS cases,
               min_by(cid, coalesce(start, 0) * 1000000000000::HUGEINT + coalesce(sid, gid), {EVIDENCE}) AS cids
        FROM found JOIN cases USING (cid) GROUP BY host, found.finding""")


def as_expected(verdict: Verdict, expected: Verdict) -> bool | None:
    """Whether a host's verdict is the expected one; None if it cannot be told."""
    if verdict == expected:
        return True
    if verdict == Verdict.NO_EVIDENCE or (verdict == Verdict.SENT_UNCONFIRMED and expected != Verdict.NO_EVIDENCE):
        return None
    return False
