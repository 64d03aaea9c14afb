"""Records as evidence: the columns that pairing and rules ask about, one Arrow batch in, one out."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.records.batch import each, host_of_authority, host_of_cluster, host_of_sni, ip_of, ips
from egresslog.records.flags import FLAGS
from egresslog.records.schema import ARROW, BASE, UPSTREAMS
from egresslog.verification.statements import statement

if TYPE_CHECKING:
    import duckdb

_MILLISECOND = 10**6  # nanoseconds
_LONGEST = 10 * 365 * 86_400_000  # ms: no connection lives longer, and sums with it stay within 64 bits
_LATEST = 2**63 - 10**18  # ns: likewise, in the year 2230
_FORGED = 300  # characters: a line that fits into an SNI, and what Envoy writes after it
_CLUSTER = re.compile(r"(outbound|inbound-vip|inbound)\|(\d{0,9})\|([^|]*)\|(.*)", re.DOTALL | re.ASCII)

# Istio's own clusters (docs/egress-evidence.md, 1.6 and 1.3.11); `sni_cluster` and the like are others.
_NAMED = {
    "PassthroughCluster": "passthrough",
    "AllowAnyDynamicDNSCluster": "dynamic-dns",
    "BlackHoleCluster": "blackhole",
    "InboundPassthroughCluster": "inbound-passthrough",
    "InboundPassthroughClusterIpv4": "inbound-passthrough",
    "InboundPassthroughClusterIpv6": "inbound-passthrough",
}

# Columns of a record that are evidence as they are.
_KEPT = (
    "origin", "line_number", "ambiguous", "line", "method", "path", "authority", "response_code",
    "response_code_details", "upstream_transport_failure_reason", "connection_termination_details", "bytes_received",
    "bytes_sent", "duration", "upstream_cluster", "requested_server_name", "route_name", "upstream_host", "upstream_ip",
    "upstream_local_address", "downstream_local_address", "downstream_remote_address", "source_ip",
)  # fmt: skip


def _schema() -> pa.Schema:
    names = [column.name for column in BASE]
    empty = pa.RecordBatch.from_arrays(
        [pa.array([], ARROW[column.type]) for column in BASE]
        + [pa.array([], pa.string()), pa.array([], pa.list_(pa.string()))],
        names=[*names, "line", UPSTREAMS],
    )
    return prepare(empty, bool).schema


def prepare(batch: pa.RecordBatch, is_external: Callable[[str], bool], *, flags_known: bool = True) -> pa.RecordBatch:
    """The evidence in records.

    Args:
        batch: records with all columns, UPSTREAMS, and ``line``, the line as it came.
        is_external: whether an IP lies outside the cluster.
        flags_known: False for a format without response flags; they are ``?`` then.

    Returns:
        The columns of ``_KEPT``, and: ``start_ns``, ``end_ns`` (ns since 1970; a line is written at its end),
        ``is_http``, ``response_flags`` (short names), ``masked_request_id`` (the request id without the digit that
        tracing changes), ``forwarded_ip`` (the last of X-Forwarded-For), ``source_is_forwarded`` (the peer's address
        is one of X-Forwarded-For: then ``source_ip`` is null), ``cluster_kind``, ``cluster_port``, ``cluster_subset``,
        ``cluster_host`` (parts of the cluster's name), ``sni_host`` (null if it is the mesh's own),
        ``authority_host``, ``upstream_local_ip``, ``downstream_local_ip``, and whether an address is an outside one:
        ``upstream_is_external``, ``downstream_local_is_external``, ``source_is_external``.
    """
    if batch[UPSTREAMS].null_count < len(batch):
        batch = _accused(batch, is_external)
    columns: dict[str, pa.Array] = {name: batch[name] for name in _KEPT}
    start = pc.min_element_wise(batch["start_time"].cast(pa.int64()), _LATEST, skip_nulls=False)
    duration = pc.max_element_wise(pc.min_element_wise(pc.fill_null(batch["duration"], 0), _LONGEST), 0)
    columns["start_ns"] = start
    columns["end_ns"] = pc.add(start, pc.multiply(duration, _MILLISECOND))
    http_only = [pc.is_valid(batch[name]) for name in ("method", "protocol", "authority")]
    columns["is_http"] = reduce(pc.or_, http_only, pc.fill_null(pc.greater(batch["response_code"], 0), False))
    flags = each(batch["response_flags"], _short_flags)
    columns["response_flags"] = flags if flags_known else pc.fill_null(flags, "?")
    # Only hex digit 14 changes with the trace decision (istio#57938): all others must be equal.
    columns["masked_request_id"] = pc.utf8_replace_slice(batch["request_id"], 14, 15, "x")
    # The gateway appends the peer to X-Forwarded-For; what stands before it is the client's.
    columns["forwarded_ip"] = each(batch["x_forwarded_for"], _last_ip)
    cluster = batch["upstream_cluster"]
    columns["cluster_kind"] = each(cluster, _cluster_kind)
    columns["cluster_port"] = each(cluster, _cluster_part(2)).cast(pa.int64(), safe=False)
    columns["cluster_subset"] = each(cluster, _cluster_part(3))
    columns["cluster_host"] = each(cluster, host_of_cluster)
    columns["sni_host"] = each(batch["requested_server_name"], host_of_sni)
    columns["authority_host"] = each(batch["authority"], host_of_authority)
    # With X-Forwarded-For a sidecar prints the client's choice as its peer, with port 0.
    forwarded = pc.fill_null(pc.ends_with(batch["downstream_remote_address"], ":0"), False)
    columns["source_is_forwarded"] = forwarded
    columns["source_ip"] = pc.if_else(forwarded, pa.scalar(None, pa.string()), batch["source_ip"])
    columns["upstream_local_ip"] = ips(batch["upstream_local_address"])
    columns["downstream_local_ip"] = ips(batch["downstream_local_address"])
    columns["upstream_is_external"] = each(batch["upstream_ip"], is_external, pa.bool_())
    columns["downstream_local_is_external"] = each(columns["downstream_local_ip"], is_external, pa.bool_())
    columns["source_is_external"] = each(columns["source_ip"], is_external, pa.bool_())
    return pa.RecordBatch.from_pydict(columns)


def _accused(batch: pa.RecordBatch, is_external: Callable[[str], bool]) -> pa.RecordBatch:
    """The batch where an upstream that came several times is the outside one, if there is one: it may be a bypass."""
    hosts, addresses = batch["upstream_host"].to_pylist(), batch["upstream_ip"].to_pylist()
    wanted = batch["downstream_local_address"].to_pylist()
    for row, upstreams in enumerate(batch[UPSTREAMS].to_pylist()):
        # Past the gateway the upstream is mostly what the client wanted: of several outside ones, the likely one.
        for upstream in sorted(upstreams or (), key=lambda upstream: upstream != wanted[row]):
            address = ip_of(upstream)
            if hosts[row] is None and address and is_external(address):
                hosts[row], addresses[row] = upstream, address
    for name, values in (("upstream_host", hosts), ("upstream_ip", addresses)):
        batch = batch.set_column(batch.schema.get_field_index(name), name, pa.array(values, pa.string()))
    return batch


def is_inbound(batch: pa.RecordBatch) -> pa.Array:
    """Which evidence is about requests that a pod was sent: no business of egress. An ambiguous one may lie."""
    return pc.and_(pc.fill_null(pc.equal(batch["cluster_kind"], "inbound"), False), pc.invert(batch["ambiguous"]))


def distrust_forged(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes those ``gateway_lines`` ambiguous that a newline in an SNI may have forged, by ``rejected_lines``."""
    if connection.execute("SELECT 1 FROM rejected_lines WHERE hop = 'gateway' LIMIT 1").fetchall():
        connection.execute(statement("forged_lines", FORGED=_FORGED))


def _last_ip(forwarded: str) -> str | None:
    return ip_of(forwarded.rpartition(",")[2].strip())


def _short_flags(flags: str) -> str:
    return ",".join(FLAGS[flag].short if flag in FLAGS else flag for flag in flags.split(","))


def _cluster_kind(cluster: str) -> str:
    if match := _CLUSTER.fullmatch(cluster):
        return match[1]
    return _NAMED.get(cluster, "other")


def _cluster_part(group: int) -> Callable[[str], Any]:
    def part(cluster: str) -> str | None:
        match = _CLUSTER.fullmatch(cluster)
        return (match[group] or None) if match else None

    return part


#: What ``prepare`` gives.
SCHEMA = _schema()
