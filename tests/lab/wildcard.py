"""Istio's SNI dynamic forward proxy: an inner listener that goes to whatever name the app's TLS asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .blocks import API, TLS_INSPECTOR, Json, assignment, chain, resolver, tcp_proxy
from .mesh import SNI_CLUSTER

if TYPE_CHECKING:
    from pathlib import Path

    from .mesh import Endpoint

_LISTENER = "sni_listener"
_CLUSTER = "dynamic_forward_proxy_cluster"

BOOTSTRAP: Json = {
    "bootstrap_extensions": [
        {
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {"@type": f"{API}.bootstrap.internal_listener.v3.InternalListener"},
        }
    ]
}
"""What inner listeners need."""


def sni_listener(proxy: str, logs: Path, dns: Endpoint, port: int) -> Json:
    """The inner listener; every name is looked for at `port`."""
    forward = {
        "name": "envoy.filters.network.sni_dynamic_forward_proxy",
        "typed_config": {
            "@type": f"{API}.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig",
            "port_value": port,
            "dns_cache_config": _dns_cache(dns),
        },
    }
    return {
        "name": _LISTENER,
        "internal_listener": {},
        "listener_filters": [TLS_INSPECTOR],
        "filter_chains": [chain(forward, tcp_proxy(proxy, logs, _CLUSTER))],
    }


def clusters(dns: Endpoint) -> list[Json]:
    """The way into the inner listener and the way out of it."""
    inner = {"envoy_internal_address": {"server_listener_name": _LISTENER}}
    dynamic = {
        "name": "envoy.clusters.dynamic_forward_proxy",
        "typed_config": {
            "@type": f"{API}.clusters.dynamic_forward_proxy.v3.ClusterConfig",
            "dns_cache_config": _dns_cache(dns),
        },
    }
    return [
        {"name": SNI_CLUSTER, "type": "STATIC", "load_assignment": assignment(SNI_CLUSTER, [inner])},
        {"name": _CLUSTER, "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "2s", "cluster_type": dynamic},
    ]


def _dns_cache(dns: Endpoint) -> Json:
    return {"name": _CLUSTER, "dns_lookup_family": "V4_ONLY", **resolver(dns)}
