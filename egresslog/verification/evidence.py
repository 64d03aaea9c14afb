"""Records as evidence: the columns that pairing and rules ask about, one Arrow batch in, one out."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.records.batch import each, host_of_authority, host_of_cluster, host_of_sni, ip_of, ips
from egresslog.records.flags import FLAGS
from egresslog.records.schema import ARROW, BASE

_MILLISECOND = 10**6  # nanoseconds
_LONGEST = 10 * 365 * 86_400_000  # ms: no connection lives longer, and sums with it stay within 64 bits
_LATEST = 2**63 - 10**18  # ns: likewise, in the year 2230
_CLUSTER = re.compile(r"(outbound|inbound-vip|inbound)\|(\d{0,9})\|([^|]*)\|(.*)", re.DOTALL | re.ASCII)

# Cluster names that mean something (Istio; shared facts, 1.6 and 1.3.11); `sni_cluster` and the like are others.
_NAMED = {
    "PassthroughCluster": "passthrough",
    "AllowAnyDynamicDNSCluster": "dynamic-dns",
    "BlackHoleCluster": "blackhole",
    "InboundPassthroughCluster": "inbound-passthrough",
    "InboundPassthroughClusterIpv4": "inbound-passthrough",
    "InboundPassthroughClusterIpv6": "inbound-passthrough",
}

# Taken over as they are: our name, and the record's column.
_KEPT = {
    "origin": "origin", "line_number": "line_number", "ambiguous": "ambiguous", "line": "line", "method": "method",
    "path": "path", "authority": "authority", "code": "response_code", "details": "response_code_details",
    "transport": "upstream_transport_failure_reason", "received": "bytes_received", "sent": "bytes_sent",
    "cluster": "upstream_cluster", "sni": "requested_server_name", "route": "route_name", "upstream": "upstream_host",
    "upstream_ip": "upstream_ip", "near": "upstream_local_address", "local": "downstream_local_address",
    "remote": "downstream_remote_address", "remote_ip": "source_ip", "duration": "duration",
    "termination": "connection_termination_details",
}  # fmt: skip


def _schema() -> pa.Schema:
    names = [column.name for column in BASE]
    empty = pa.RecordBatch.from_arrays(
        [pa.array([], ARROW[column.type]) for column in BASE] + [pa.array([], pa.string())], names=[*names, "line"]
    )
    return prepare(empty, bool).schema


def prepare(batch: pa.RecordBatch, is_external: Callable[[str], bool], *, flags_known: bool = True) -> pa.RecordBatch:
    """The evidence in records.

    Args:
        batch: records with all columns, and ``line``, the line as it came.
        is_external: whether an IP lies outside the cluster.
        flags_known: False for a format without response flags; they are ``?`` then.

    Returns:
        The columns of ``_KEPT``, and: ``start``, ``stop`` (ns since 1970; a line is written at its end), ``http``,
        ``forwarded_ip`` (the last of X-Forwarded-For), ``flags`` (short names), ``request`` (the request id without the
        digit that tracing changes), ``kind``, ``cluster_port``, ``subset``, ``cluster_host`` (the parts of the
        cluster's name), ``sni_host`` (null if it is the mesh's own), ``authority_host``, ``near_ip``, ``local_ip``,
        ``external``, ``local_external``, ``remote_external``.
    """
    made: dict[str, pa.Array] = {name: batch[column] for name, column in _KEPT.items()}
    made["start"] = start = pc.min_element_wise(batch["start_time"].cast(pa.int64()), _LATEST, skip_nulls=False)
    duration = pc.max_element_wise(pc.min_element_wise(pc.fill_null(batch["duration"], 0), _LONGEST), 0)
    made["stop"] = pc.add(start, pc.multiply(duration, _MILLISECOND))
    named = [pc.is_valid(batch[name]) for name in ("method", "protocol", "authority")]
    made["http"] = reduce(pc.or_, named, pc.fill_null(pc.greater(batch["response_code"], 0), False))
    flags = each(batch["response_flags"], _short_flags)
    made["flags"] = flags if flags_known else pc.fill_null(flags, "?")
    # Only hex digit 14 changes with the trace decision (istio#57938): all others must be equal.
    made["request"] = pc.utf8_replace_slice(batch["request_id"], 14, 15, "x")
    # The gateway appends the peer to X-Forwarded-For; what stands before it is the client's.
    made["forwarded_ip"] = each(batch["x_forwarded_for"], _last_ip)
    cluster = batch["upstream_cluster"]
    made["kind"] = each(cluster, _kind)
    made["cluster_port"] = each(cluster, _part(2)).cast(pa.int64(), safe=False)
    made["subset"] = each(cluster, _part(3))
    made["cluster_host"] = each(cluster, host_of_cluster)
    made["sni_host"] = each(batch["requested_server_name"], host_of_sni)
    made["authority_host"] = each(batch["authority"], host_of_authority)
    made["near_ip"] = ips(batch["upstream_local_address"])
    made["local_ip"] = ips(batch["downstream_local_address"])
    made["external"] = each(batch["upstream_ip"], is_external, pa.bool_())
    made["local_external"] = each(made["local_ip"], is_external, pa.bool_())
    made["remote_external"] = each(batch["source_ip"], is_external, pa.bool_())
    return pa.RecordBatch.from_pydict(made)


def is_inbound(batch: pa.RecordBatch) -> pa.Array:
    """Which evidence is about requests that a pod was sent: no business of egress. An ambiguous one may lie."""
    return pc.and_(pc.fill_null(pc.equal(batch["kind"], "inbound"), False), pc.invert(batch["ambiguous"]))


def _last_ip(forwarded: str) -> str | None:
    return ip_of(forwarded.rpartition(",")[2].strip())


def _short_flags(flags: str) -> str:
    return ",".join(FLAGS[flag].short if flag in FLAGS else flag for flag in flags.split(","))


def _kind(cluster: str) -> str:
    if found := _CLUSTER.fullmatch(cluster):
        return found[1]
    return _NAMED.get(cluster, "other")


def _part(group: int) -> Callable[[str], Any]:
    def part(cluster: str) -> str | None:
        found = _CLUSTER.fullmatch(cluster)
        return (found[group] or None) if found else None

    return part


#: What ``prepare`` gives.
SCHEMA = _schema()
