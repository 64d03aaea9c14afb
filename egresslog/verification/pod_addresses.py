"""Addresses that are known to be the cluster's: as it says, or as the proxies' own in the lines. They lie inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.database import create_table
from egresslog.errors import UsageError
from egresslog.networks import Network, is_private
from egresslog.sources.paths import Sources
from egresslog.verification.statements import statement

if TYPE_CHECKING:
    import duckdb

Address = IPv4Address | IPv6Address

_IPS = pa.schema([("ip", pa.string())])
_SUBNET = (
    64  # bits: an IPv6 subnet's prefix (RFC 4291, 2.5.4); whoever is in a pod's subnet is in the cluster's network
)
_NAMED = 3  # pods in a message


def learn(
    connection: duckdb.DuckDBPyConnection, of_cluster: Iterable[str], is_named_external: Callable[[str], bool]
) -> None:
    """Marks the known pods' addresses as inside in ``sidecar_lines`` and ``gateway_lines``; makes ``pod_addresses``.

    Pods may have public addresses, as on IPv6. Only the proxies' own addresses count as known, never those of peers:
    a server outside could connect to a gateway that lets traffic in, and would then excuse what was sent to it.

    Args:
        connection: to the database of a verdict, with the lines of both hops.
        of_cluster: the IPs of the pods whose logs were read from a cluster.
        is_named_external: whether an IP lies in a range that the user gave as external.

    Raises:
        UsageError: a range given with --external contains pods.
    """
    of_lines = [ip for (ip,) in connection.execute(statement("pod_addresses")).fetchall()]
    # Loopback addresses are no pod's, only where Envoy runs beside its upstream.
    pods = sorted({ip for ip in (*of_cluster, *of_lines) if not ip_address(ip).is_loopback})
    if wrong := [ip for ip in pods if is_named_external(ip)]:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise UsageError(
            f"--external contains addresses of pods: {', '.join(wrong[:_NAMED])}{more} (give only ranges that are "
            "outside of the cluster)"
        )
    create_table(connection, "pod_addresses", _IPS, [[ip] for ip in pods])
    blocks = {_block(ip_address(ip)) for ip in pods}
    external = [ip for (ip,) in connection.execute(statement("external_addresses")).fetchall()]
    inside = [ip for ip in external if not is_named_external(ip) and _block(ip_address(ip)) in blocks]
    if inside:
        create_table(connection, "inside_addresses", _IPS, [[ip] for ip in inside])
        for hop in ("sidecar", "gateway"):
            connection.execute(statement("mark_inside", hop=hop))
        connection.execute("DROP TABLE inside_addresses")


def inside_ranges(sources: Iterable[Sources], external: Sequence[Network]) -> list[Network]:
    """Ranges that a cluster says are its own, as far as they are not private, which is inside anyway.

    Args:
        sources: from where the logs come.
        external: what the user gave as external. It may contain the API server, which need not run in the cluster.

    Raises:
        UsageError: a range given with --external overlaps those of pods or Services.
    """
    places = list(sources)
    ranges = list(dict.fromkeys(entry for place in places for entry in place.ranges))
    for one in external:
        if wrong := [str(entry) for entry in ranges if one.overlaps(entry)]:
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            raise UsageError(
                f"--external {one} overlaps what the cluster says are addresses of its pods and Services: "
                f"{', '.join(wrong[:_NAMED])}{more} (give only ranges that are outside of the cluster)"
            )
    servers = [entry for place in places for entry in place.api_server if not any(map(entry.overlaps, external))]
    return [entry for entry in dict.fromkeys([*ranges, *servers]) if not is_private(entry)]


def _block(address: Address) -> object:
    """What is inside if the address is: itself, or its subnet for IPv6."""
    return ip_network((int(address), _SUBNET), strict=False) if isinstance(address, IPv6Address) else address
