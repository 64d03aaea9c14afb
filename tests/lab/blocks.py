"""The pieces Envoy configurations are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .access_log import loggers, unmatched_loggers
from .mesh import Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Json = dict[str, Any]

API = "type.googleapis.com/envoy.extensions"
_HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": f"{API}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}
TLS_INSPECTOR = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": f"{API}.filters.listener.tls_inspector.v3.TlsInspector"},
}
# Stands for iptables REDIRECT: the client names the address it wanted in a PROXY header, and Envoy
# restores it as SO_ORIGINAL_DST would.
ORIGINAL_DESTINATION = {
    "name": "envoy.filters.listener.proxy_protocol",
    "typed_config": {"@type": f"{API}.filters.listener.proxy_protocol.v3.ProxyProtocol"},
}


def bootstrap(name: str, address: str, listeners: list[Json], clusters: list[Json]) -> Json:
    """A whole configuration; `address` is where its admin interface and its connections start."""
    return {
        "node": {"id": name, "cluster": name},
        "admin": {"address": socket_address(Endpoint(address, 0))},
        "cluster_manager": {"upstream_bind_config": {"source_address": {"address": address, "port_value": 0}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def socket_address(endpoint: Endpoint) -> Json:
    """An address to listen on or to connect to."""
    return {"socket_address": {"address": endpoint.address, "port_value": endpoint.port}}


def cluster(name: str, endpoints: Sequence[Endpoint], *, http2: bool = False) -> Json:
    """A cluster with fixed endpoints."""
    found: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": assignment(name, [socket_address(endpoint) for endpoint in endpoints]),
    }
    return found | ({"typed_extension_protocol_options": _HTTP2} if http2 else {})


def assignment(name: str, addresses: list[Json]) -> Json:
    """The endpoints of the cluster `name`."""
    hosts = [{"endpoint": {"address": address}} for address in addresses]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]}


def resolver(dns: Endpoint) -> Json:
    """Ask only the name server `dns`."""
    return {
        "typed_dns_resolver_config": {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": f"{API}.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                "resolvers": [socket_address(dns)],
                "dns_resolver_options": {"no_default_search_domain": True},
            },
        }
    }


def listener(name: str, endpoint: Endpoint, proxy: str, logs: Path, chains: list[Json]) -> Json:
    """A listener that logs what none of its chains takes."""
    return {
        "name": name,
        "address": socket_address(endpoint),
        "access_log": unmatched_loggers(logs, proxy),
        "filter_chains": chains,
    }


def chain(*filters: Json, sni: str | None = None) -> Json:
    """A filter chain, for connections to the server name `sni` only if it is given."""
    match = {"filter_chain_match": {"server_names": [sni]}} if sni else {}
    return {**match, "filters": list(filters)}


def tcp_proxy(proxy: str, logs: Path, to: str) -> Json:
    """Forward bytes to the cluster `to`."""
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": f"{API}.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": to,
            "cluster": to,
            "access_log": loggers(logs, proxy),
        },
    }


def http_manager(
    proxy: str, logs: Path, route_config: str, hosts: list[Json], *, edge: bool, denied: Sequence[str] = ()
) -> Json:
    """Forward requests by their host.

    `edge` is Istio's gateway setting: append the peer to x-forwarded-for, make a new request id.
    Requests to the hosts `denied` are refused.
    """
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{API}.filters.http.router.v3.Router"},
    }
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": route_config,
            "use_remote_address": edge,
            # Envoy's default of one second would only lengthen the runs.
            "delayed_close_timeout": "0.1s",
            "normalize_path": True,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "http_filters": [*([_deny(denied)] if denied else []), router],
            "access_log": loggers(logs, proxy),
            "route_config": {"name": route_config, "validate_clusters": False, "virtual_hosts": hosts},
        },
    }


def virtual_host(name: str, domains: list[str], to: Json) -> Json:
    """All requests to `domains` take the route `to`."""
    return {"name": name, "domains": domains, "routes": [{"match": {"prefix": "/"}, **to}]}


def route(to: str, *, name: str = "", timeout: float = 0, retry_503: bool = False) -> Json:
    """A route to the cluster `to` with Istio's retries."""
    retry_on = "connect-failure,refused-stream,unavailable,cancelled"
    policy: Json = {"retry_on": retry_on, "num_retries": 2}
    if retry_503:
        policy |= {"retry_on": f"{retry_on},retriable-status-codes", "retriable_status_codes": [503]}
    found: Json = {"route": {"cluster": to, "timeout": f"{timeout}s", "retry_policy": policy}}
    return found | ({"name": name} if name else {})


def _deny(hosts: Sequence[str]) -> Json:
    """What an AuthorizationPolicy `deny-egress` with action DENY becomes."""
    rules = [{"header": {"name": ":authority", "string_match": {"exact": host}}} for host in hosts]
    policy = {"permissions": [{"or_rules": {"rules": rules}}], "principals": [{"any": True}]}
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": f"{API}.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"ns[istio-system]-policy[deny-egress]-rule[0]": policy}},
        },
    }
