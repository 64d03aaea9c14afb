"""Cases: what became of each request or connection. A sidecar's record, the gateway's that belong to it, a finding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.database import create_table
from egresslog.verification import finding_type, pairing
from egresslog.verification.coverage import SPANS, Span
from egresslog.verification.findings import FINDINGS
from egresslog.verification.rules import AMBIGUOUS_SIDECAR, GATEWAY, MACROS, SIDECAR, VIEWS, first_match
from egresslog.verification.statements import statement

if TYPE_CHECKING:
    import duckdb

_NAMES = pa.schema([("name", pa.string())])
_IPS = pa.schema([("ip", pa.string())])
_MILLISECOND = 10**6  # ns
GRACE = 2 * 10**9  # ns: Envoy writes its log once a second (Istio: --file-flush-interval-msec 1000), and some more
_DEFAULT_SERVICE = "istio-egressgateway"  # of Istio's own profiles and chart


def build(
    connection: duckdb.DuckDBPyConnection,
    *,
    services: Iterable[str] = (),
    gateways: Iterable[str] = (),
    read: Iterable[Span] = (),
    gaps: Iterable[Span] = (),
) -> None:
    """Makes the table ``cases`` from ``sidecar_lines`` and ``gateway_lines`` (``evidence.prepare``).

    tables.md describes the columns, and the tables that are left beside it.

    Args:
        connection: to a database of its own.
        services: names of the gateway's Service, in full or its first labels.
        gateways: IPs of the gateway's pods.
        read: gateway IPs and from when to when (ns) their logs are known to have been read, beyond what lines show.
        gaps: gateway IPs and from when to when they are known not to have been read.
    """
    for macro in MACROS:
        connection.execute(macro)
    rows = [finding_type.row(finding) for finding in FINDINGS.values()]
    create_table(connection, "findings", finding_type.SCHEMA, rows)
    create_table(connection, "gateways", _IPS, [[ip] for ip in gateways])
    connection.execute("CREATE TABLE services (name VARCHAR)")
    create_table(connection, "given_services", _NAMES, [[name] for name in services] or [[_DEFAULT_SERVICE]])
    create_table(connection, "read_coverage", SPANS, read)
    create_table(connection, "gaps", SPANS, gaps)
    for hop, query in VIEWS.items():
        connection.execute(f"CREATE VIEW {hop} AS {query}")
    connection.execute(statement("known_gateway"))
    for hop, rules, ambiguous in (("sidecar", SIDECAR, AMBIGUOUS_SIDECAR), ("gateway", GATEWAY, GATEWAY)):
        connection.execute(statement("lines", hop=hop, rules=first_match(rules), ambiguous=first_match(ambiguous)))
    pairing.pair(connection)
    _link_inner_lines(connection)
    connection.execute(statement("coverage"))
    connection.execute(statement("cases", GRACE=GRACE))
    for same in ("s.name = g.name AND s.bytes_sent = g.bytes_sent", "s.masked_request_id = g.masked_request_id"):
        connection.execute(statement("similar_lines", same=same, SKEW=pairing.SKEW))
    connection.execute(statement("misplaced_lines"))


def _link_inner_lines(connection: duckdb.DuckDBPyConnection) -> None:
    """Links the two lines that a gateway writes for one connection through its SNI dynamic forward proxy.

    They name the same internal listener and begin in the same millisecond, or nearly; of several at once the SNI
    decides, where the sidecar's line is there, and else duration and bytes (docs/egress-evidence.md, 1.3.8).
    """
    connection.execute("CREATE TABLE inner_lines (outer_id BIGINT, inner_id BIGINT)")
    if not connection.execute("SELECT 1 FROM gateway_cases WHERE finding = 'transit' LIMIT 1").fetchall():
        return
    connection.execute(statement("inner_candidates", MILLISECOND=_MILLISECOND))
    for key in ("origin, listener, sni", "origin, listener"):
        for later in range(3):
            connection.execute(statement("inner_lines", key=key, later=later))
