"""What a cluster shows beyond lines: from when to when logs were read, what is missing, and whose the IPs were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.database import create_table
from egresslog.sources.coverage import Coverage
from egresslog.verification.pairing import SKEW

if TYPE_CHECKING:
    import duckdb

Span = tuple[str, int, int]  # a gateway's IP; from when to when (ns)
SPANS = pa.schema([("ip", pa.string()), ("first_ns", pa.int64()), ("last_ns", pa.int64())])

_EVER = 2**62  # ns
_PODS = pa.schema([("ip", pa.string()), ("name", pa.string()), ("first_ns", pa.int64()), ("last_ns", pa.int64())])


def name_pods(connection: duckdb.DuckDBPyConnection, pods: Iterable[tuple[str, str, int | None, int | None]]) -> None:
    """Makes the macro ``pod_of(ip, start)``: the name of the pod that had an IP then, null if it was none or several.

    Args:
        connection: to the database of a verdict.
        pods: IP, ``namespace/name``, and from when to when it lived (ns; None: unknown, or alive). Addresses are given
            to new pods again, and pods on the host's network share one.
    """
    lives = [(ip, name, first or 0, _EVER if last is None else last) for ip, name, first, last in pods]
    create_table(connection, "pods", _PODS, lives)
    connection.execute("""
        CREATE MACRO pod_of(address, began) AS (
            SELECT CASE WHEN count(DISTINCT name) = 1 THEN any_value(name) END FROM pods
            WHERE ip = address AND coalesce(began BETWEEN first_ns AND last_ns, true))""")


def spans(read: Iterable[tuple[str, Coverage]]) -> list[Span]:
    """Of each gateway IP, from when to when its log was read; between two instances something may be missing.

    ``until`` is by our clock, which may be ahead of the node's: only what is older than that difference counts.
    """
    read_spans = []
    for ip, coverage in read:
        ends = [last for _, last in coverage.parts]
        if ends:  # what runs now was read until then
            ends[-1] = max(ends[-1], (coverage.until or 0) - SKEW)
        read_spans += [(ip, first, end) for (first, _), end in zip(coverage.parts, ends, strict=True)]
    return read_spans


def gaps(read: Iterable[tuple[str, Coverage]]) -> list[Span]:
    """Of each gateway IP, the pieces that were not read."""
    return [
        (ip, gap.start or 0, _EVER if gap.stop is None else gap.stop) for ip, coverage in read for gap in coverage.gaps
    ]
