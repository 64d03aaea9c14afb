"""Verdicts: which host each case is about, what the cases of a host say together, and the evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.records.networks import inside
from egresslog.report.filters import Filter
from egresslog.verification.findings import KINDS, Judgement
from egresslog.verification.question import Question

if TYPE_CHECKING:
    import duckdb

_HOSTS_OF_AN_ADDRESS = 8  # so many hosts share an address at most for a nameless connection to count for each of them
_HANDSHAKE = 600  # bytes: what a TLS server sends at the least until a connection carries data
_PASSED = ("EGL116", "EGL118", "EGL119", "EGL120", "EGL121")  # past the gateway, by a cluster that has no host
_NAMELESS = ("EGL118", "EGL120", "EGL121", "EGL148", "EGL170", "EGL173")  # the address stands for the host
_PROVEN = ("EGL100", "EGL101")
EVIDENCE = 3  # cases shown per host and finding

# Names that only the cluster has: `reviews`, `reviews.default.svc.cluster.local`.
_OF_THE_CLUSTER = "(regexp_matches({0}, '[.]svc([.]|$)') OR NOT contains({0}, '.') AND NOT contains({0}, ':'))"

# What the client asked for, as far as the mesh confirmed it: a cluster's name, or the SNI that a filter chain matched.
# The authority is the client's to choose and names a case only where nothing else does (1.6).
_CONCRETE = "(cluster_name IS NOT NULL AND NOT starts_with(cluster_name, '*'))"
_PRIMARY = f"""
    CASE WHEN {_CONCRETE} AND http THEN cluster_name
         WHEN {_CONCRETE} THEN coalesce(sni_name, cluster_name)
         ELSE coalesce(sni_name, authority_name, cluster_name) END"""


_NOT_YET = "NOT EXISTS (FROM found f WHERE f.host = addresses.host AND f.cid = c.cid)"


def restrict(connection: duckdb.DuckDBPyConnection, where: Filter) -> None:
    """Leaves the cases of the filter's time and clients."""
    for bound, keeps in ((where.since, ">="), (where.until, "<")):
        if bound is not None:
            connection.execute(f"DELETE FROM cases WHERE NOT coalesce(start {keeps} ?, false)", [bound])
    if where.source:
        test = inside(where.source)
        rows = connection.execute("SELECT DISTINCT source_ip FROM cases WHERE source_ip IS NOT NULL").fetchall()
        wanted = [ip for (ip,) in rows if test(ip)]
        connection.execute("DELETE FROM cases WHERE NOT coalesce(list_contains(?, source_ip), false)", [wanted])


def attribute(connection: duckdb.DuckDBPyConnection, asked: Sequence[Question]) -> None:
    """Makes ``found`` (host, cid, finding) from ``cases``, and ``asked_hosts``: a case may speak of several hosts.

    Without questions each case is about its own host, and nothing past the gateway is without host: where no name is
    known it is the address.
    """
    connection.execute("CREATE TABLE asked_hosts (host VARCHAR)")
    if asked:
        connection.executemany("INSERT INTO asked_hosts VALUES (?)", [[question.text] for question in asked])
        _answer(connection, asked)
    else:
        connection.execute(f"""
            CREATE TABLE found AS
            SELECT host, cid, finding FROM (
                SELECT {_PRIMARY} AS host, cid,
                       CASE WHEN finding IN {_PROVEN} AND {_CONCRETE} AND host <> cluster_name THEN 'EGL102'
                            ELSE finding END AS finding
                FROM cases WHERE finding <> 'EGL189')
            WHERE host IS NOT NULL AND NOT {_OF_THE_CLUSTER.format("host")}""")
    _by_address(connection, asked=bool(asked))
    _refine(connection)


def _answer(connection: duckdb.DuckDBPyConnection, asked: Sequence[Question]) -> None:
    """Matches each name and address once, then joins: clients make up names, so there may be millions."""
    names = " UNION ".join(f"SELECT {name}_name AS value FROM cases" for name in ("cluster", "sni", "authority"))
    _matches(connection, "asked_names", names, [question for question in asked if question.network is None])
    _matches(
        connection, "asked_ips", "SELECT ip AS value FROM cases", [question for question in asked if question.network]
    )
    connection.execute(f"""
        CREATE TABLE found AS
        SELECT host, cid, CASE
            WHEN finding IN {_PROVEN} AND strength = 2 AND {_CONCRETE} AND NOT http THEN 'EGL102'
            WHEN finding IN {_PROVEN} AND strength >= 2 AND {_CONCRETE} THEN 'EGL186'
            ELSE finding END AS finding
        FROM (
            SELECT host, cid, min(strength) AS strength FROM (
                SELECT host, cid, 1 AS strength FROM cases JOIN asked_names ON value = cluster_name
                UNION ALL SELECT host, cid, 2 FROM cases JOIN asked_names ON value = sni_name
                UNION ALL SELECT host, cid, 3 FROM cases JOIN asked_names ON value = authority_name
                UNION ALL SELECT host, cid, 1 FROM cases JOIN asked_ips ON value = ip)
            GROUP BY host, cid) JOIN cases USING (cid)""")


def _matches(connection: duckdb.DuckDBPyConnection, table: str, values: str, asked: Sequence[Question]) -> None:
    connection.execute(f"CREATE TABLE {table} (host VARCHAR, value VARCHAR)")
    if not asked:
        return
    tests: list[tuple[str, Callable[[str], bool]]] = [(question.text, question.matches) for question in asked]
    column: list[str] = []
    for batch in connection.sql(f"SELECT DISTINCT value FROM ({values}) WHERE value IS NOT NULL").to_arrow_reader():
        column += batch["value"].to_pylist()
    found = [(host, value) for value in column for host, test in tests if value == host or test(value)]
    hosts, matched = zip(*found, strict=True) if found else ((), ())
    rows = pa.table({"host": pa.array(hosts, pa.string()), "value": pa.array(matched, pa.string())})
    connection.register("matched", rows)
    connection.execute(f"INSERT INTO {table} SELECT * FROM matched")
    connection.unregister("matched")


def _by_address(connection: duckdb.DuckDBPyConnection, *, asked: bool) -> None:
    """Looks for what went past the gateway to an address of the host, by whatever name or none (row 6)."""
    connection.execute(f"""
        CREATE TABLE addresses AS
        FROM (SELECT DISTINCT host, ip FROM found JOIN cases USING (cid)
              WHERE found.finding IN {(*_PROVEN, "EGL102", "EGL110", "EGL115", "EGL121")} AND ip IS NOT NULL)
        QUALIFY {asked} OR count(*) OVER (PARTITION BY ip) <= {_HOSTS_OF_AN_ADDRESS}""")
    connection.execute(f"""
        CREATE TABLE wanted AS
        FROM (SELECT DISTINCT host, wanted_ip AS ip FROM found JOIN cases USING (cid)
              WHERE found.finding IN {(*_PROVEN, "EGL102")} AND wanted_ip IS NOT NULL)
        QUALIFY {asked} OR count(*) OVER (PARTITION BY ip) <= {_HOSTS_OF_AN_ADDRESS}""")
    # A connection with a name of its own is a matter of that host, unless somebody asks for this one.
    nameless = "true" if asked else f"({_PRIMARY}) IS NULL"
    connection.execute(f"""
        INSERT INTO found
        SELECT host, cid, 'EGL117'
        FROM cases c JOIN addresses USING (ip)
        WHERE finding IN {_PASSED} AND {nameless} AND {_NOT_YET}""")
    # Opaque TCP towards the gateway: only the gateway's line would have named the host.
    connection.execute(f"""
        INSERT INTO found
        SELECT DISTINCT host, cid, finding
        FROM cases c JOIN (FROM addresses UNION FROM wanted) addresses ON addresses.ip = c.wanted_ip
        WHERE to_gateway AND ({_PRIMARY}) IS NULL AND {_NOT_YET}""")
    connection.execute("""
        UPDATE cases SET finding = 'EGL118'
        WHERE finding = 'EGL116' AND sni_name IS NULL AND authority_name IS NULL
          AND cid NOT IN (SELECT cid FROM found)""")
    if asked:
        connection.execute(f"""
            INSERT INTO found
            SELECT host, cid, 'EGL199' FROM cases c JOIN addresses USING (ip)
            WHERE finding IN ('EGL110', 'EGL115') AND {_NOT_YET}""")
    else:
        connection.execute(f"""
            INSERT INTO found
            SELECT ip, cid, finding FROM cases
            WHERE finding IN {_NAMELESS} AND outside AND ip IS NOT NULL AND cid NOT IN (SELECT cid FROM found)""")


def _refine(connection: duckdb.DuckDBPyConnection) -> None:
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
    kinds = pa.table({"finding": list(KINDS), "verdict": [kind.verdict for kind in KINDS.values()]})
    connection.register("known", kinds)
    connection.execute("CREATE TABLE kinds AS SELECT * FROM known")
    connection.unregister("known")
    connection.execute(f"""
        INSERT INTO found
        SELECT host, min(cid), 'EGL198' FROM found JOIN cases USING (cid) WHERE found.finding IN {(*_PROVEN, "EGL102")}
        GROUP BY host HAVING bool_and(NOT http AND sni_name IS NOT NULL AND sent < {_HANDSHAKE})""")
    counts = ", ".join(f"count(*) FILTER (verdict = '{verdict}') AS \"{verdict}\"" for verdict in Judgement)
    order = " ".join(f"WHEN coalesce(\"{verdict}\", 0) > 0 THEN '{verdict}'" for verdict in Judgement)
    connection.execute(f"""
        CREATE TABLE verdicts AS
        SELECT host, CASE {order} ELSE '{Judgement.NO_EVIDENCE}' END AS verdict, counted.* EXCLUDE (host)
        FROM (SELECT host, {counts} FROM found JOIN kinds USING (finding) GROUP BY host) counted
        FULL JOIN asked_hosts USING (host)""")
    connection.execute(f"""
        CREATE TABLE host_findings AS
        SELECT host, found.finding, count(*) AS cases,
               min_by(cid, coalesce(start, 0)::HUGEINT * 10::HUGEINT ** 12 + cid, {EVIDENCE}) AS cids
        FROM found JOIN cases USING (cid) GROUP BY host, found.finding""")
