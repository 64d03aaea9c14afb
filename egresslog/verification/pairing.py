"""The sidecar's record and the gateway's record of one request or connection (docs/egress-evidence.md, 1.5).

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
from egresslog.verification.statements import statement

if TYPE_CHECKING:
    import duckdb

_SECOND = 10**9  # ns
SKEW = 5 * _SECOND  # between the clocks of two nodes, at most
_LIKELY_SKEW = _SECOND  # more is believed only if nothing fits better
_BATCH = 100_000  # rows

_PAIR = pa.schema([("sidecar_id", pa.int64()), ("gateway_id", pa.int64())])
_REQUEST = ("method", "path", "authority")


class Event(NamedTuple):
    """A record in a group of records with one key."""

    group: int
    is_sidecar: bool
    id: int
    start_ns: int
    end_ns: int


def pair(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills the table ``pairs`` (sidecar_id, gateway_id, paired_by); reads ``sidecar_cases`` and ``gateway_cases``.

    ``paired_by``: ``tuple`` one to one; ``connection`` one side logs requests and the other their connection;
    ``attempt`` a retry of the sidecar's, on another connection of the same pod; ``refused`` a connection that the hop's
    TLS ended.
    """
    connection.execute("CREATE TABLE pairs (sidecar_id BIGINT, gateway_id BIGINT, paired_by VARCHAR)")
    connection.execute(statement("hop_ends"))
    addresses = ("client_address", "server_address")
    _pair_by_key(connection, "NOT is_http", addresses)
    with_method = "is_http AND method IS NOT NULL"
    _pair_by_key(connection, with_method, (*addresses, *_REQUEST, "response_code", "bytes_sent"))
    # A request that ends early (reset, time-out) has other codes and bytes on either side.
    _pair_by_key(connection, with_method, (*addresses, *_REQUEST))
    for requests_at_sidecar in (True, False):
        connection.execute(statement("connection_pairs", requests_at_sidecar=requests_at_sidecar, SKEW=SKEW))
    connection.execute(statement("retry_pairs", LIKELY_SKEW=_LIKELY_SKEW))
    connection.execute(statement("refused_pairs", LIKELY_SKEW=_LIKELY_SKEW))
    connection.execute(
        "DROP VIEW unpaired; DROP TABLE hop_ends; DROP TABLE open_ends; DROP TABLE keys; DROP TABLE matched"
    )


def _pair_by_key(connection: duckdb.DuckDBPyConnection, condition: str, key: tuple[str, ...]) -> None:
    """Pairs what is left by ``key``: at once where it is unique on both sides, else in the order of time."""
    connection.execute(statement("pairs_by_key", condition=condition, key=", ".join(key), SKEW=SKEW))
    same = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in key)
    rows = connection.sql(f"""
        SELECT b.number, a.is_sidecar, a.id, a.start_ns, a.end_ns FROM open_ends a JOIN keys b ON {same}
        WHERE b.total > 2 ORDER BY b.number, a.start_ns, NOT a.is_sidecar, a.id""")
    create_table(connection, "matched", _PAIR, match(_events(rows)))
    connection.execute("INSERT INTO pairs SELECT sidecar_id, gateway_id, 'tuple' FROM matched")


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
        while waiting and waiting[0].is_sidecar != event.is_sidecar:
            first = waiting.popleft()
            if waiting and first.end_ns + _LIKELY_SKEW < event.start_ns:
                continue
            sidecar, gateway = (first, event) if first.is_sidecar else (event, first)
            if sidecar.start_ns - SKEW <= gateway.start_ns <= sidecar.end_ns + SKEW:
                yield sidecar.id, gateway.id
                break
        else:
            waiting.append(event)
