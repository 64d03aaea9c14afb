"""Cases: what became of each request or connection. A sidecar's record, the gateway's that belong to it, and a code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.database import create_table
from egresslog.verification import pairing
from egresslog.verification.findings import KINDS, Verdict
from egresslog.verification.rules import GATEWAY, INSIDE, MACROS, SIDECAR, TRANSIT, VIEWS, first_of

if TYPE_CHECKING:
    import duckdb

_SPANS = pa.schema([("ip", pa.string()), ("first_ns", pa.int64()), ("last_ns", pa.int64())])
_MILLISECOND = 10**6  # ns
GRACE = 2 * 10**9  # ns: Envoy writes its log once a second (Istio: --file-flush-interval-msec 1000), and some more

# A sidecar's own failure stands whatever a gateway says.
_BEFORE = ("EGL140", "EGL141", "EGL142", "EGL143", "EGL144", "EGL146")
_SENT = ("EGL183", "EGL145", "EGL187")  # what the gateway's coverage decides about
# Ambiguous records can only accuse, and do not get lost as somebody else's.
_ACCUSE = tuple(code for code, kind in KINDS.items() if kind.verdict in (Verdict.BYPASSED, Verdict.MISROUTED))
_DEFAULT_SERVICE = "istio-egressgateway"  # of Istio's own profiles and chart


def build(
    connection: duckdb.DuckDBPyConnection,
    *,
    services: Iterable[str] = (),
    gateways: Iterable[str] = (),
    read: Iterable[tuple[str, int, int]] = (),
    gaps: Iterable[tuple[str, int, int]] = (),
) -> None:
    """Makes the table ``cases`` from ``sidecar_lines`` and ``gateway_lines`` (``evidence.prepare``).

    Columns of ``cases``: ``cid``; ``sid``, ``gid``, ``outer_gid`` (rows of the lines, null for none); ``how`` they were
    paired; ``finding``; ``http``; ``start`` (ns); ``source_ip``; ``port`` that the client connected to; ``ip`` that it
    reached or wanted, and whether that is ``outside``; ``upstream``; ``cluster_name``, ``sni_name``,
    ``authority_name``; ``sent`` (bytes); ``to_gateway``; ``wanted_ip`` that the client connected to; ``request`` (id);
    ``serves`` (what the cluster does: one ``concrete`` host, ``any``, ``unknown``); ``gateway_sni``.

    Also left: ``gateways`` (ip), ``services`` (name), ``sidecar_coverage`` and ``gateway_coverage`` (per origin),
    ``replicas`` (coverage per gateway ip), ``left_out`` (finding, count, id).

    Args:
        connection: to a database of its own.
        services: names of the gateway's Service, in full or its first labels.
        gateways: IPs of the gateway's pods.
        read: gateway IPs and from when to when (ns) their logs are known to have been read, beyond what lines show.
        gaps: gateway IPs and from when to when they are known not to have been read.
    """
    for macro in MACROS:
        connection.execute(macro)
    connection.execute("CREATE TABLE gateways (ip VARCHAR)")
    connection.execute("CREATE TABLE services (name VARCHAR)")
    for name, sql in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {sql}")
    connection.execute("INSERT INTO gateways SELECT unnest(?::VARCHAR[])", [list(gateways)])
    learn(connection, services)
    for hop, rules in (("sidecar", SIDECAR), ("gateway", GATEWAY)):
        connection.execute(f"""
            CREATE TABLE {hop}_cases AS
            SELECT * EXCLUDE (line, details, transport, termination, received, route, answered, misplaced, found), CASE
                WHEN ambiguous AND found NOT IN {_ACCUSE} THEN 'EGL190' ELSE found END AS code_of
            FROM (SELECT *, {first_of(rules)} AS found FROM {hop}) WHERE ambiguous OR found <> '{INSIDE}'""")
    pairing.pair(connection)
    _inner_lines(connection)
    _coverage(connection, read, gaps)
    connection.execute(_CASES)
    for same in ("name = g.name AND s.sent = g.sent", "request = g.request"):
        connection.execute(_ALIKE.format(same=same))
    connection.execute(
        "CREATE TABLE left_out AS SELECT code_of AS finding, count(*) AS count, min(id) AS id"
        " FROM (SELECT code_of, id FROM sidecar_cases UNION ALL SELECT code_of, id FROM gateway_cases)"
        " WHERE code_of IN ('EGL192', 'EGL193') GROUP BY code_of"
    )


def learn(connection: duckdb.DuckDBPyConnection, services: Iterable[str]) -> None:
    """Fills ``gateways`` and ``services``: what is given, and what the lines of both hops show."""
    connection.execute("""
        INSERT INTO gateways
        SELECT DISTINCT ip FROM (
            SELECT near_ip AS ip FROM gateway WHERE NOT misplaced AND NOT ambiguous
            UNION SELECT local_ip FROM gateway
            WHERE NOT misplaced AND NOT ambiguous AND NOT coalesce(local_external, true) AND local_ip NOT LIKE '240.%')
        WHERE ip IS NOT NULL""")
    connection.execute(
        """
        INSERT INTO services
        SELECT DISTINCT cluster_host FROM sidecar
        WHERE kind = 'outbound' AND NOT ambiguous AND NOT misplaced
          AND is_service(cluster_host)
          AND (upstream_ip IN (SELECT ip FROM gateways)
               OR list_bool_or([names_service(name, cluster_host) FOR name IN ?::VARCHAR[]]))""",
        [list(services) or [_DEFAULT_SERVICE]],
    )


def _inner_lines(connection: duckdb.DuckDBPyConnection) -> None:
    """Links the two lines that a gateway writes for one connection through its SNI dynamic forward proxy (1.3.8).

    They name the same internal listener and begin in the same millisecond, or nearly; of several at once the SNI tells,
    where the sidecar's line is there, and else duration and bytes.
    """
    connection.execute("CREATE TABLE inners (outer_id BIGINT, inner_id BIGINT)")
    connection.execute(f"""
        CREATE TEMP TABLE outers AS
        SELECT o.id, o.origin, o.upstream AS name, o.start // {_MILLISECOND} AS ms, o.duration, o.sent,
               any_value(s.sni_host) AS sni
        FROM gateway_cases o LEFT JOIN pairs ON pairs.gid = o.id LEFT JOIN sidecar_cases s ON s.id = pairs.sid
        WHERE o.code_of = '{TRANSIT}' GROUP BY ALL""")
    if not connection.execute("SELECT count(*) FROM outers").fetchall()[0][0]:
        return
    connection.execute(f"""
        CREATE TEMP TABLE inside AS
        SELECT id, origin, local AS name, start // {_MILLISECOND} AS ms, duration, sent, sni_host AS sni
        FROM gateway_cases WHERE starts_with(local, 'envoy://')""")
    for key in ("origin, name, sni", "origin, name"):
        for later in range(3):
            ranked = f"row_number() OVER (PARTITION BY {key}, ms ORDER BY duration, sent, id) AS place"
            connection.execute(f"""
                INSERT INTO inners
                SELECT o.id, i.id
                FROM (SELECT * REPLACE (ms + {later} AS ms), {ranked} FROM outers
                      WHERE id NOT IN (SELECT outer_id FROM inners)) o
                JOIN (SELECT *, {ranked} FROM inside WHERE id NOT IN (SELECT inner_id FROM inners)) i
                USING ({key}, ms, place)""")


def _coverage(
    connection: duckdb.DuckDBPyConnection, read: Iterable[tuple[str, int, int]], gaps: Iterable[tuple[str, int, int]]
) -> None:
    """From when to when each origin's lines were written, and the same for each address of a gateway."""
    for hop in ("sidecar", "gateway"):
        connection.execute(f"""
            CREATE TABLE {hop}_coverage AS
            SELECT origin, count(*) AS records, min(start) AS first_ns, max(stop) AS last_ns
            FROM {hop}_lines GROUP BY origin""")
    create_table(connection, "known", _SPANS, read)
    create_table(connection, "gaps", _SPANS, gaps)
    connection.execute("""
        CREATE TABLE learned AS
        SELECT local_ip AS ip, min(stop) AS first_ns, max(stop) AS last_ns
        FROM gateway_cases WHERE code_of <> 'EGL192' AND local_ip IS NOT NULL GROUP BY local_ip""")
    connection.execute("""
        CREATE TABLE replicas AS
        SELECT * FROM known UNION ALL SELECT * FROM learned WHERE ip NOT IN (SELECT ip FROM known)""")


# Whether a cluster is one host's, could be any host's, or cannot be told.
_SERVES = """
    CASE WHEN {0}.kind IN ('outbound', 'inbound-vip') AND NOT starts_with({0}.cluster_host, '*') THEN 'concrete'
         WHEN {0}.kind = 'other' AND NOT contains({0}.cluster, 'dynamic_forward_proxy') THEN 'unknown' ELSE 'any' END"""
_CASES = f"""
CREATE TABLE cases AS
WITH best AS (
    -- Requests that share a connection are a case each. Retries are one: what is grave, else a proof, counts.
    SELECT sid, how, gid FROM pairs WHERE how = 'connection'
    UNION ALL
    SELECT p.sid, min(p.how), arg_max(p.gid, 10000000000000000000::HUGEINT * (
        4 * (g.code_of IN ('EGL130', 'EGL131'))::INT + 2 * (g.code_of = 'EGL100')::INT + (p.how = 'tuple')::INT
    ) + g.start)
    FROM pairs p JOIN gateway_cases g ON g.id = p.gid WHERE p.how <> 'connection' GROUP BY p.sid
),
sent AS (
    SELECT s.*, s.upstream_ip IN (SELECT ip FROM replicas) AS replica_read,
           best.how, best.gid AS paired, inners.inner_id,
           (SELECT count(*) FROM gateway_lines) = 0 AS unread,
           (SELECT count(*) FROM learned) = 0 AS addressless,
           EXISTS (
               SELECT 1 FROM replicas r
               WHERE r.ip = s.upstream_ip AND s.stop >= r.first_ns AND s.stop + {GRACE} <= r.last_ns
           ) AND NOT EXISTS (
               SELECT 1 FROM gaps g
               WHERE g.ip = s.upstream_ip AND g.first_ns <= s.stop + {GRACE} AND g.last_ns >= s.start) AS covered
    FROM sidecar_cases s
    LEFT JOIN best ON best.sid = s.id
    LEFT JOIN inners ON inners.outer_id = best.gid
    WHERE s.code_of <> 'EGL193'
),
told AS (
    SELECT s.id AS sid, coalesce(s.inner_id, s.paired) AS gid,
           CASE WHEN s.inner_id IS NOT NULL THEN s.paired END AS outer_gid, s.how,
           CASE
               WHEN s.code_of = 'EGL144' AND g.code_of = 'EGL153' THEN g.code_of
               WHEN s.code_of IN {_BEFORE} THEN s.code_of
               WHEN s.paired IS NOT NULL AND s.inner_id IS NULL AND g.code_of = '{TRANSIT}' THEN 'EGL165'
               WHEN s.paired IS NOT NULL THEN g.code_of
               WHEN s.code_of NOT IN {_SENT} THEN s.code_of
               WHEN s.unread THEN 'EGL180'
               WHEN s.code_of = 'EGL187' THEN s.code_of
               WHEN s.addressless THEN 'EGL187'
               WHEN NOT s.replica_read THEN 'EGL182'
               WHEN NOT s.covered THEN 'EGL181'
               ELSE s.code_of END AS finding,
           s.http, s.start, coalesce(s.near_ip, s.remote_ip) AS source_ip,
           try_cast(split_part(s.local, ':', -1) AS INTEGER) AS port,
           CASE WHEN g.external THEN g.upstream_ip WHEN s.external THEN s.upstream_ip ELSE s.local_ip END AS ip,
           coalesce(g.upstream, s.upstream) AS upstream,
           CASE WHEN g.id IS NOT NULL AND g.kind IN ('outbound', 'inbound-vip') THEN g.cluster_host
                WHEN NOT s.to_gateway THEN s.cluster_host END AS cluster_name,
           coalesce(s.sni_host, g.sni_host) AS sni_name, coalesce(s.authority_host, g.authority_host) AS authority_name,
           coalesce(g.sent, s.sent) AS sent, s.to_gateway, s.local_ip AS wanted_ip,
           coalesce(g.external, s.external, s.local_external) AS outside, s.request,
           CASE WHEN g.id IS NOT NULL THEN {_SERVES.format("g")} WHEN s.to_gateway THEN 'any'
                ELSE {_SERVES.format("s")} END AS serves, g.sni_host AS gateway_sni
    FROM sent s LEFT JOIN gateway_cases g ON g.id = coalesce(s.inner_id, s.paired)
    UNION ALL
    SELECT NULL, g.id, o.outer_id, NULL, CASE g.code_of WHEN 'EGL100' THEN 'EGL101' WHEN '{TRANSIT}' THEN 'EGL165'
               ELSE g.code_of END,
           g.http, g.start, coalesce(outer_line.remote_ip, g.remote_ip, g.forwarded_ip), NULL, g.upstream_ip,
           g.upstream,
           CASE WHEN g.kind IN ('outbound', 'inbound-vip') THEN g.cluster_host END, g.sni_host, g.authority_host,
           g.sent, true, NULL, g.external, g.request, {_SERVES.format("g")}, g.sni_host
    FROM gateway_cases g
    LEFT JOIN inners o ON o.inner_id = g.id
    LEFT JOIN gateway_cases outer_line ON outer_line.id = o.outer_id
    WHERE g.code_of <> 'EGL192'
      AND g.id NOT IN (SELECT gid FROM pairs) AND g.id NOT IN (SELECT outer_id FROM inners)
      AND coalesce(o.outer_id, -1) NOT IN (SELECT gid FROM pairs)
)
SELECT row_number() OVER () AS cid, * FROM told
"""

# The hop loses addresses where a NAT or load balancer stands between: lines that are alike are a hint, no pair (1.5).
_ALIKE = f"""
UPDATE cases SET finding = 'EGL188' WHERE cid IN (
    SELECT s.cid
    FROM (SELECT *, coalesce(sni_name, authority_name) AS name FROM cases
          WHERE finding IN ('EGL182', 'EGL183', 'EGL187')) s
    ASOF JOIN (SELECT *, coalesce(sni_name, authority_name) AS name FROM cases WHERE sid IS NULL) g
    ON s.{{same}} AND s.http = g.http AND s.start + {pairing.SKEW} >= g.start
    WHERE g.start >= s.start - {pairing.SKEW})
"""
