"""The sidecar's record and the gateway's record of one request or connection (shared facts, 1.5).

The address tuple joins them: the sidecar's upstream_local_address is the gateway's downstream_remote_address, and the
sidecar's upstream_host the gateway's downstream_local_address. For TCP the tuple names a connection, one to one. For
HTTP it names a connection that carries many requests, so method, path, authority, code and bytes must agree, too. A
port belongs to one connection as long as that lives, so the gateway's record must begin within the sidecar's. Request
ids are no key: a gateway of Istio 1.25 and newer writes new ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from egresslog.database import create_table

if TYPE_CHECKING:
    import duckdb

_SECOND = 10**9  # ns
SKEW = 5 * _SECOND  # between the clocks of two nodes, at most
_LIKELY = _SECOND  # more is believed only if nothing fits better
_BATCH = 100_000  # rows

_PAIR = pa.schema([("sid", pa.int64()), ("gid", pa.int64())])
_REQUEST = ("method", "path", "authority")

# Records that may have a pair: those towards the gateway that had a connection, and those of the gateway.
_ENDS = """
CREATE TABLE ends AS
SELECT true AS sidecar, id, near, upstream AS far, coalesce(near_ip, remote_ip) AS client, http, method, path,
       authority, code, sent, start, stop, unconnected,
       'outbound_.' || cluster_port || '_.' || coalesce(subset, '') || '_.' || cluster_host AS mesh_sni
FROM sidecar_cases WHERE to_gateway AND NOT ambiguous
UNION ALL
SELECT false, id, remote, local, remote_ip, http, method, path, authority, code, sent, start, stop,
       has(flags, ['NR', 'DPE']) AND upstream IS NULL, CASE WHEN starts_with(sni, 'outbound_.') THEN sni END
FROM gateway_cases WHERE NOT ambiguous AND code_of <> 'EGL192' AND coalesce(local, '') NOT LIKE 'envoy://%'
"""
_FREE = """(
    SELECT * FROM ends WHERE sidecar AND id NOT IN (SELECT sid FROM pairs)
    UNION ALL SELECT * FROM ends WHERE NOT sidecar AND id NOT IN (SELECT gid FROM pairs)) free"""


class Event(NamedTuple):
    """A record in a group of records with one key."""

    group: int
    sidecar: bool
    id: int
    start: int
    stop: int


def pair(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills the table ``pairs`` (sid, gid, how); reads ``sidecar_cases`` and ``gateway_cases``.

    ``how``: ``tuple`` one to one; ``connection`` one side logs requests and the other their connection; ``attempt`` a
    retry of the sidecar's, on another connection of the same pod; ``refused`` a connection that the hop's TLS ended.
    """
    connection.execute("CREATE TABLE pairs (sid BIGINT, gid BIGINT, how VARCHAR)")
    connection.execute(_ENDS)
    tcp = ("near", "far")
    _one_to_one(connection, "NOT http", tcp)
    _one_to_one(connection, "http AND method IS NOT NULL", (*tcp, *_REQUEST, "code", "sent"))
    # A request that ends early (reset, time-out) has other codes and bytes on either side.
    _one_to_one(connection, "http AND method IS NOT NULL", (*tcp, *_REQUEST))
    for requests, of in (("s", "g"), ("g", "s")):
        _requests_of_connections(connection, requests, of)
    _attempts(connection)
    _refused(connection)
    connection.execute("DROP TABLE ends")


def _one_to_one(connection: duckdb.DuckDBPyConnection, which: str, key: tuple[str, ...]) -> None:
    """Pairs what is left by ``key``: at once where it is unique on both sides, else in the order of time."""
    names = ", ".join(key)
    same = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in key)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE open AS SELECT * FROM {_FREE}
        WHERE {which} AND near IS NOT NULL AND far IS NOT NULL AND start IS NOT NULL""")
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE keys AS
        SELECT {names}, row_number() OVER () AS number, count(*) FILTER (sidecar) AS left_count, count(*) AS total,
               min(id) FILTER (sidecar) AS sid, min(id) FILTER (NOT sidecar) AS gid,
               min(start) FILTER (sidecar) AS from_ns, max(stop) FILTER (sidecar) AS to_ns,
               min(start) FILTER (NOT sidecar) AS at_ns
        FROM open GROUP BY {names} HAVING left_count BETWEEN 1 AND total - 1""")
    connection.execute(f"""
        INSERT INTO pairs SELECT sid, gid, 'tuple' FROM keys
        WHERE total = 2 AND at_ns BETWEEN from_ns - {SKEW} AND to_ns + {SKEW}""")
    rows = connection.sql(f"""
        SELECT b.number, a.sidecar, a.id, a.start, a.stop FROM open a JOIN keys b ON {same}
        WHERE b.total > 2 ORDER BY b.number, a.start, NOT a.sidecar, a.id""")
    create_table(connection, "matched", _PAIR, match(_events(rows)))
    connection.execute("INSERT INTO pairs SELECT sid, gid, 'tuple' FROM matched")


def _events(rows: duckdb.DuckDBPyRelation) -> list[list[Event]]:
    # All of it before the next query runs on the connection; groups of more than two are a small part.
    reader = rows.to_arrow_reader(_BATCH)
    return [[Event(*row) for row in zip(*(column.to_pylist() for column in batch), strict=True)] for batch in reader]


def match(batches: Iterable[list[Event]]) -> Iterator[tuple[int, int]]:
    """Pairs events that come ordered by group and start: the first open record of one side with the first of the other.

    Linear: each event is looked at twice at most. An open record whose time has passed stays without a pair, and so
    does one that was likely over if another is open: a log may begin in the midst of many equal requests.
    """
    group, waiting = -1, deque[Event]()
    for event in (event for batch in batches for event in batch):
        if event.group != group:
            group = event.group
            waiting.clear()
        while waiting and waiting[0].sidecar != event.sidecar:
            first = waiting.popleft()
            if waiting and first.stop + _LIKELY < event.start:
                continue
            sidecar, gateway = (first, event) if first.sidecar else (event, first)
            if sidecar.start - SKEW <= gateway.start <= sidecar.stop + SKEW:
                yield sidecar.id, gateway.id
                break
        else:
            waiting.append(event)


def _requests_of_connections(connection: duckdb.DuckDBPyConnection, requests: str, of: str) -> None:
    """One hop logs the requests and the other the connection they came by, where only one of them reads HTTP."""
    sides = {"s": "sidecar", "g": "NOT sidecar"}
    connection.execute(f"""
        INSERT INTO pairs
        SELECT {"r.id, c.id" if requests == "s" else "c.id, r.id"}, 'connection'
        FROM (SELECT * FROM {_FREE} WHERE {sides[requests]} AND http) r
        ASOF JOIN (SELECT * FROM {_FREE} WHERE {sides[of]} AND NOT http) c
        ON r.near = c.near AND r.far = c.far AND r.start + {SKEW} >= c.start
        WHERE r.start <= c.stop + {SKEW}""")


def _attempts(connection: duckdb.DuckDBPyConnection) -> None:
    """What is left at the gateway and is a retry: the same pod and request, within the time of the sidecar's record."""
    connection.execute(f"""
        INSERT INTO pairs
        SELECT s.id, g.id, 'attempt'
        FROM (SELECT * FROM {_FREE} WHERE NOT sidecar AND http AND method IS NOT NULL) g
        ASOF JOIN (SELECT * FROM ends WHERE sidecar AND http) s
        ON g.client = s.client AND g.method = s.method AND g.path = s.path AND g.authority = s.authority
           AND g.start + {_LIKELY} >= s.start
        WHERE g.stop <= s.stop + {_LIKELY}""")


def _refused(connection: duckdb.DuckDBPyConnection) -> None:
    """Connections that TLS between the hops ended: the sidecar then prints no address of its own.

    The client is the same, the time is, and the SNI that the mesh made names the sidecar's cluster, where the gateway
    could read it (F17, F18).
    """
    connection.execute(f"""
        INSERT INTO pairs
        SELECT s.id, g.id, 'refused'
        FROM (SELECT *, mesh_sni IS NULL AS blind FROM {_FREE} WHERE NOT sidecar AND unconnected) g
        ASOF JOIN (
            SELECT *, false AS blind FROM {_FREE} WHERE sidecar AND unconnected AND near IS NULL
            UNION ALL SELECT * REPLACE (NULL AS mesh_sni), true
            FROM {_FREE} WHERE sidecar AND unconnected AND near IS NULL AND http) s
        ON g.client = s.client AND g.far = s.far AND g.blind = s.blind
           AND coalesce(g.mesh_sni, '') = coalesce(s.mesh_sni, '') AND g.start + {_LIKELY} >= s.start
        WHERE g.start <= s.stop + {_LIKELY}""")
