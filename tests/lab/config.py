"""Envoy bootstrap configurations of a sidecar and of an egress gateway, named as istiod names things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .access_log import loggers, unmatched_loggers
from .mesh import GATEWAY, GATEWAY_ADDRESS, HTTP, SERVICES, TCP, TLS, Endpoint, Pod, Service, addresses

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Json = dict[str, Any]

_API = "type.googleapis.com/envoy.extensions"
_HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": f"{_API}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}
_TLS_INSPECTOR = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": f"{_API}.filters.listener.tls_inspector.v3.TlsInspector"},
}
# Stands for iptables REDIRECT: the client names the address it wanted in a PROXY header, and Envoy
# restores it as SO_ORIGINAL_DST would.
_ORIGINAL_DESTINATION = {
    "name": "envoy.filters.listener.proxy_protocol",
    "typed_config": {"@type": f"{_API}.filters.listener.proxy_protocol.v3.ProxyProtocol"},
}


def sidecar(
    name: str,
    pod: Pod,
    logs: Path,
    *,
    outside: Mapping[int, int],
    gateway: Mapping[int, int],
    refused: Endpoint,
) -> Json:
    """The sidecar of `pod`.

    `outside` maps the service ports to the outside servers' real ports, `gateway` to the gateway's listeners.
    """
    fallback = "BlackHoleCluster" if pod.registry_only else "PassthroughCluster"

    def endpoints(service: Service) -> list[Endpoint]:
        if service.hop == "down":
            return [refused]
        if service.hop == "direct":
            return [Endpoint(address, outside[service.port]) for address in addresses(service.host)]
        return [Endpoint(GATEWAY_ADDRESS, gateway[service.port])]

    hosts = [_virtual_host(f"{s.host}:{s.port}", [s.host], _sidecar_route(s)) for s in _on_port(HTTP)]
    rest = _block_all() if pod.registry_only else _allow_any()
    http = _http_manager(name, logs, f"{HTTP}", [*hosts, rest], edge=False)
    tls = [_chain(_tcp_proxy(name, logs, s.sidecar_cluster), sni=s.host) for s in _on_port(TLS)]
    listeners = [
        _listener("virtualOutbound", Endpoint(pod.address, 0), name, logs, [])
        | {
            "use_original_dst": True,
            "listener_filters": [_ORIGINAL_DESTINATION],
            "default_filter_chain": _chain(_tcp_proxy(name, logs, fallback)),
        },
        _listener(f"0.0.0.0_{HTTP}", Endpoint("0.0.0.0", outside[HTTP]), name, logs, [_chain(http)])
        | {"bind_to_port": False},
        _listener(f"0.0.0.0_{TLS}", Endpoint("0.0.0.0", outside[TLS]), name, logs, tls)
        | {
            "bind_to_port": False,
            "listener_filters": [_TLS_INSPECTOR],
            "default_filter_chain": _chain(_tcp_proxy(name, logs, fallback)),
        },
    ]
    for service in _on_port(TCP):
        address = addresses(service.host)[0]
        chain = _chain(_tcp_proxy(name, logs, service.sidecar_cluster))
        listeners.append(
            _listener(f"{address}_{TCP}", Endpoint(address, outside[TCP]), name, logs, [chain])
            | {"bind_to_port": False}
        )
    clusters = [
        _cluster(service.sidecar_cluster, endpoints(service), http2=service.http2)
        for service in SERVICES
        if service.hop != "missing"
    ]
    clusters += [
        _cluster("BlackHoleCluster", []),
        {
            "name": "PassthroughCluster",
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "2s",
        },
    ]
    return _bootstrap(name, pod.address, listeners, clusters)


def gateway(logs: Path, outside: Mapping[int, int], refused: Endpoint, certificate: Path) -> Json:
    """The egress gateway; its listeners are called after the service port they serve."""
    known = [s for s in SERVICES if s.hop == "gateway" and s.exit != "unknown"]

    def endpoints(service: Service) -> list[Endpoint]:
        if service.exit in ("refused", "empty"):
            return [refused] if service.exit == "refused" else []
        port = outside[TLS if service.exit in ("originate", "distrust") else service.port]
        return [Endpoint(address, port) for address in addresses(service.host)]

    hosts = [
        _virtual_host(f"{s.host}:{s.port}", [s.host], _route(s.gateway_cluster, timeout=s.timeout))
        for s in known
        if s.port == HTTP
    ]
    http = _http_manager(GATEWAY, logs, "http.8080", hosts, edge=True)
    tls = [_chain(_tcp_proxy(GATEWAY, logs, s.gateway_cluster), sni=s.host) for s in known if s.port == TLS]
    tcp = [_chain(_tcp_proxy(GATEWAY, logs, s.gateway_cluster)) for s in known if s.port == TCP]
    any_port = Endpoint(GATEWAY_ADDRESS, 0)
    listeners = [
        _listener(f"{HTTP}", any_port, GATEWAY, logs, [_chain(http)]),
        _listener(f"{TLS}", any_port, GATEWAY, logs, tls) | {"listener_filters": [_TLS_INSPECTOR]},
        _listener(f"{TCP}", any_port, GATEWAY, logs, tcp),
    ]
    clusters = []
    for service in known:
        cluster = _cluster(service.gateway_cluster, endpoints(service))
        if service.exit in ("originate", "distrust"):
            name = service.host if service.exit == "originate" else "someone.else.test"
            cluster |= _start_tls(service.host, certificate, name)
        clusters.append(cluster)
    return _bootstrap(GATEWAY, GATEWAY_ADDRESS, listeners, clusters)


def _on_port(port: int) -> list[Service]:
    return [service for service in SERVICES if service.port == port]


def _bootstrap(name: str, address: str, listeners: list[Json], clusters: list[Json]) -> Json:
    return {
        "node": {"id": name, "cluster": name},
        "admin": {"address": _address(Endpoint(address, 0))},
        "cluster_manager": {"upstream_bind_config": {"source_address": {"address": address, "port_value": 0}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _address(endpoint: Endpoint) -> Json:
    return {"socket_address": {"address": endpoint.address, "port_value": endpoint.port}}


def _cluster(name: str, endpoints: list[Endpoint], *, http2: bool = False) -> Json:
    hosts = [{"endpoint": {"address": _address(endpoint)}} for endpoint in endpoints]
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]},
    }
    return cluster | ({"typed_extension_protocol_options": _HTTP2} if http2 else {})


def _start_tls(sni: str, certificate: Path, name: str) -> Json:
    """Upstream TLS that believes `certificate` if it holds `name`."""
    matcher = {"san_type": "DNS", "matcher": {"exact": name}}
    trust = {"trusted_ca": {"filename": str(certificate)}, "match_typed_subject_alt_names": [matcher]}
    context = {
        "@type": f"{_API}.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": sni,
        "common_tls_context": {"validation_context": trust},
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _listener(name: str, endpoint: Endpoint, proxy: str, logs: Path, chains: list[Json]) -> Json:
    return {
        "name": name,
        "address": _address(endpoint),
        "access_log": unmatched_loggers(logs, proxy),
        "filter_chains": chains,
    }


def _chain(network_filter: Json, *, sni: str | None = None) -> Json:
    match = {"filter_chain_match": {"server_names": [sni]}} if sni else {}
    return {**match, "filters": [network_filter]}


def _tcp_proxy(proxy: str, logs: Path, cluster: str) -> Json:
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": f"{_API}.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": cluster,
            "cluster": cluster,
            "access_log": loggers(logs, proxy),
        },
    }


def _http_manager(proxy: str, logs: Path, route_config: str, hosts: list[Json], *, edge: bool) -> Json:
    """`edge` is Istio's gateway setting: append the peer to x-forwarded-for, make a new request id."""
    router = {"@type": f"{_API}.filters.http.router.v3.Router"}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": route_config,
            "use_remote_address": edge,
            # Envoy's default of one second would only lengthen the runs.
            "delayed_close_timeout": "0.1s",
            "normalize_path": True,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
            "access_log": loggers(logs, proxy),
            "route_config": {"name": route_config, "validate_clusters": False, "virtual_hosts": hosts},
        },
    }


def _virtual_host(name: str, domains: list[str], route: Json) -> Json:
    return {"name": name, "domains": domains, "routes": [{"match": {"prefix": "/"}, **route}]}


def _sidecar_route(service: Service) -> Json:
    # Istio calls the routes it makes itself "default"; a VirtualService's route without a name has none.
    name = "default" if service.hop == "direct" else ""
    return _route(service.sidecar_cluster, name=name, retry_503=service.retry_503)


def _route(cluster: str, *, name: str = "", timeout: float = 0, retry_503: bool = False) -> Json:
    retry_on = "connect-failure,refused-stream,unavailable,cancelled"
    policy: Json = {"retry_on": retry_on, "num_retries": 2}
    if retry_503:
        policy |= {"retry_on": f"{retry_on},retriable-status-codes", "retriable_status_codes": [503]}
    route: Json = {"route": {"cluster": cluster, "timeout": f"{timeout}s", "retry_policy": policy}}
    return route | ({"name": name} if name else {})


def _allow_any() -> Json:
    route = {"name": "allow_any", "route": {"cluster": "PassthroughCluster", "timeout": "0s"}}
    return _virtual_host("allow_any", ["*"], route)


def _block_all() -> Json:
    return _virtual_host("block_all", ["*"], {"name": "block_all", "direct_response": {"status": 502}})
