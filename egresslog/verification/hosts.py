"""Which host each case is about: by the names that the mesh confirmed, by the client's, and by address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.database import create_table
from egresslog.verification.targets import Question

if TYPE_CHECKING:
    import duckdb

_HOSTS_OF_AN_ADDRESS = 8  # so many hosts share an address at most for a nameless connection to count for each of them
_PASSED = ("EGL116", "EGL118", "EGL119", "EGL120", "EGL121")  # past the gateway, by a cluster that has no host
_NAMELESS = ("EGL118", "EGL120", "EGL121", "EGL148", "EGL170", "EGL173")  # the address stands for the host
PROVEN = ("EGL100", "EGL101", "EGL102")
_DIRECT = ("EGL110", "EGL115", "EGL121")
# The gateway reached for this address when it was asked for the host.
_REACHED = (*PROVEN, *_DIRECT, "EGL157", "EGL158", "EGL160", "EGL161", "EGL162", "EGL163", "EGL185")

# Names that only the cluster has: `reviews`, `reviews.default.svc.cluster.local`.
_OF_THE_CLUSTER = "(is_service({0}) OR NOT contains({0}, '.') AND NOT contains({0}, ':'))"

# What the client asked for, as far as the mesh confirmed it: a cluster's name, or the SNI that the gateway read itself.
# What the client wrote (authority, the SNI at the sidecar) names a case where the cluster could serve any host (1.6).
_PRIMARY = """
    CASE WHEN serves = 'concrete' AND http THEN cluster_name
         WHEN serves = 'concrete' THEN coalesce(gateway_sni, cluster_name)
         WHEN http THEN coalesce(authority_name, sni_name, cluster_name)
         ELSE coalesce(sni_name, authority_name, cluster_name) END"""
_HOST = pa.schema([("host", pa.string())])
_NAMED = pa.schema([("host", pa.string()), ("value", pa.string())])
# A gateway that lets traffic in as well: it sends to a service of the cluster, and no sidecar's line leads there.
_INGRESS = "finding = 'EGL131' AND sid IS NULL AND coalesce(is_service(cluster_name), false)"
_NOT_YET = "NOT EXISTS (FROM found f WHERE f.host = addresses.host AND f.cid = c.cid)"


def attribute(connection: duckdb.DuckDBPyConnection, asked: Sequence[Question]) -> None:
    """Makes ``found`` (host, cid, finding) from ``cases``, and ``asked_hosts``: a case may speak of several hosts.

    Without questions each case is about its own host, and nothing past the gateway is without host: where no name is
    known it is the address.
    """
    create_table(connection, "asked_hosts", _HOST, [[question.text] for question in asked])
    if asked:
        _answer(connection, asked)
    else:
        connection.execute(f"""
            CREATE TABLE found AS
            SELECT host, cid, CASE
                WHEN finding NOT IN {PROVEN} OR serves = 'any' OR host = cluster_name THEN finding
                WHEN NOT http AND host = gateway_sni THEN 'EGL102'
                ELSE 'EGL186' END AS finding
            FROM (SELECT *, {_PRIMARY} AS host FROM cases
                  WHERE finding <> 'EGL189'
                    AND (finding <> 'EGL197' OR (SELECT count(*) FROM gateways) + (SELECT count(*) FROM services) = 0))
            WHERE host IS NOT NULL AND (outside OR NOT {_OF_THE_CLUSTER.format("host")})
              AND NOT ({_INGRESS})""")
    _by_address(connection, asked=bool(asked))


def _answer(connection: duckdb.DuckDBPyConnection, asked: Sequence[Question]) -> None:
    """Matches each name and address once, then joins: clients make up names, so there may be millions.

    The strength of a match: 1 the cluster's name or the address; 2 what the hop's protocol routes by (HTTP: authority,
    else the gateway's SNI); 3 any other name; an ambiguous line counts if the name is anywhere in it.
    """
    names = [question for question in asked if question.network is None]
    tests = [(question.text, question.matches) for question in names]
    columns = ("cluster_name", "sni_name", "gateway_sni", "authority_name")
    values = _distinct(connection, " UNION ".join(f"SELECT {name} AS value FROM cases" for name in columns))
    create_table(
        connection,
        "asked_names",
        _NAMED,
        ((h, value) for value in values for h, test in tests if h == value or test(value)),
    )
    wildcards = [value for value in values if value.startswith("*.")]
    create_table(
        connection, "covering", _NAMED, ((h, value) for value in wildcards for h, _ in tests if h.endswith(value[1:]))
    )
    needles = ((h, h.removeprefix("*")) for h, _ in tests if h != "*")
    create_table(connection, "needles", _NAMED, needles)
    ips = [(question.text, question.matches) for question in asked if question.network]
    values = _distinct(connection, "SELECT ip AS value FROM cases")
    create_table(
        connection, "asked_ips", _NAMED, ((text, value) for value in values for text, test in ips if test(value))
    )
    connection.execute(f"""
        CREATE TABLE found AS
        SELECT host, cid, CASE
            WHEN finding NOT IN {PROVEN} OR strength = 1 THEN finding
            WHEN strength = 2 AND serves = 'any' THEN finding
            WHEN strength = 2 AND NOT http THEN 'EGL102'
            WHEN strength = 3 AND serves = 'any' AND (NOT http OR authority_name IS NULL) THEN finding
            ELSE 'EGL186' END AS finding
        FROM (
            SELECT host, cid, min(strength) AS strength FROM (
                SELECT host, cid, 1 AS strength FROM cases JOIN asked_names ON value = cluster_name
                UNION ALL SELECT host, cid, 2 FROM cases JOIN asked_names ON value = authority_name WHERE http
                UNION ALL SELECT host, cid, 2 FROM cases JOIN asked_names ON value = gateway_sni WHERE NOT http
                UNION ALL SELECT host, cid, 3 FROM cases JOIN asked_names ON value = sni_name
                UNION ALL SELECT host, cid, 3 FROM cases JOIN asked_names ON value = authority_name
                UNION ALL SELECT host, cid, 1 FROM cases JOIN asked_ips ON value = ip
                UNION ALL SELECT host, cid, 1 FROM cases JOIN covering ON value = cluster_name
                          WHERE sni_name IS NULL AND authority_name IS NULL
                UNION ALL SELECT host, cid, 1 FROM cases CROSS JOIN asked_hosts WHERE host = '*' AND outside
                UNION ALL SELECT host, cid, 3 FROM cases JOIN sidecar_lines s ON s.rowid = sid JOIN needles
                          ON contains(lower(s.line), value) WHERE s.ambiguous
                UNION ALL SELECT host, cid, 3 FROM cases JOIN gateway_lines g ON g.rowid = gid JOIN needles
                          ON contains(lower(g.line), value) WHERE g.ambiguous)
            GROUP BY host, cid) JOIN cases USING (cid)""")


def _distinct(connection: duckdb.DuckDBPyConnection, values: str) -> list[str]:
    found: list[str] = []
    for batch in connection.sql(f"SELECT DISTINCT value FROM ({values}) WHERE value IS NOT NULL").to_arrow_reader():
        found += batch["value"].to_pylist()
    return found


def _by_address(connection: duckdb.DuckDBPyConnection, *, asked: bool) -> None:
    """Looks for what went past the gateway to an address of the host, by whatever name or none (row 6)."""
    for table, column, findings in (("addresses", "ip", _REACHED), ("wanted", "wanted_ip", PROVEN)):
        connection.execute(f"""
            CREATE TABLE {table} AS
            FROM (SELECT DISTINCT host, {column} AS ip FROM found JOIN cases USING (cid)
                  WHERE found.finding IN {findings} AND {column} IS NOT NULL)
            QUALIFY {asked} OR count(*) OVER (PARTITION BY ip) <= {_HOSTS_OF_AN_ADDRESS}""")
    # A connection with a name of its own is a matter of that host, unless somebody asks for this one.
    nameless = "true" if asked else f"({_PRIMARY}) IS NULL"
    connection.execute(f"""
        INSERT INTO found
        SELECT DISTINCT host, cid, 'EGL117'
        FROM cases c JOIN (FROM addresses UNION FROM wanted) addresses USING (ip)
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
