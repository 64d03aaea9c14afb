"""Envoy configurations of a sidecar and of an egress gateway, named as istiod names things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import wildcard
from .blocks import (
    ORIGINAL_DESTINATION,
    TLS_INSPECTOR,
    Json,
    assignment,
    bootstrap,
    chain,
    cluster,
    http_manager,
    listener,
    resolver,
    route,
    socket_address,
    tcp_proxy,
    virtual_host,
)
from .mesh import GATES, GATEWAY, GATEWAY_ADDRESS, HTTP, SERVICES, TCP, TLS, Endpoint, Gate, Pod, Service, addresses
from .transport import expect_mutual, start_mutual, start_tls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .certificates import Certificates

PASSES = 3
"""How often the gateway may be its own client at a time."""


@dataclass(frozen=True)
class World:
    """Where everything really is: logs, certificates, and endpoints.

    `outside` maps the service ports to the outside servers' real ports, `gateway` the gateway's listeners to
    theirs; nobody listens at `refused`.
    """

    logs: Path
    certificates: Certificates
    outside: Mapping[int, int]
    gateway: Mapping[Gate, int]
    refused: Endpoint
    dns: Endpoint


def sidecar(name: str, pod: Pod, world: World) -> Json:
    """The sidecar of `pod`."""
    logs, outside = world.logs, world.outside
    fallback = "BlackHoleCluster" if pod.registry_only else "PassthroughCluster"
    hosts = [
        virtual_host(f"{s.host}:{s.port}", [s.host, f"{s.host}:*"] if s.any_port else [s.host], _sidecar_route(s))
        for s in SERVICES
        if s.port == HTTP
    ]
    rest = _block_all() if pod.registry_only else _allow_any()
    http = http_manager(name, logs, f"{HTTP}", [*hosts, rest], edge=False)
    tls = [
        chain(tcp_proxy(name, logs, s.sidecar_cluster), sni=s.host) for s in SERVICES if s.port == TLS and not s.opaque
    ]
    otherwise = {"default_filter_chain": chain(tcp_proxy(name, logs, fallback))}
    redirected = {"bind_to_port": False}
    listeners = [
        listener("virtualOutbound", Endpoint(pod.address, 0), name, logs, [])
        | {"use_original_dst": True, "listener_filters": [ORIGINAL_DESTINATION]}
        | otherwise,
        listener(f"0.0.0.0_{HTTP}", Endpoint("0.0.0.0", outside[HTTP]), name, logs, [chain(http)]) | redirected,
        listener(f"0.0.0.0_{TLS}", Endpoint("0.0.0.0", outside[TLS]), name, logs, tls)
        | {"listener_filters": [TLS_INSPECTOR]}
        | redirected
        | otherwise,
    ]
    for service in SERVICES:
        if service.port == TCP or service.opaque:
            address = addresses(service.host)[0]
            forward = chain(tcp_proxy(name, logs, service.sidecar_cluster))
            endpoint = Endpoint(address, outside[service.port])
            listeners.append(listener(f"{address}_{service.port}", endpoint, name, logs, [forward]) | redirected)
    clusters = [_sidecar_cluster(service, world) for service in SERVICES if service.hop != "missing"]
    passthrough = {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "2s"}
    clusters += [cluster("BlackHoleCluster", []), {"name": "PassthroughCluster", **passthrough}]
    return bootstrap(name, pod.address, listeners, clusters)


def gateway(world: World) -> Json:
    """The egress gateway."""
    known = [s for s in SERVICES if s.hop == "gateway" and s.exit != "unknown"]
    listeners = [_gateway_listener(gate, [s for s in known if s.gate == gate], world) for gate in GATES]
    listeners.append(wildcard.sni_listener(GATEWAY, world.logs, world.dns, world.outside[TLS]))
    clusters = [_gateway_cluster(service, world) for service in known if service.exit != "dynamic"]
    clusters += wildcard.clusters(world.dns)
    return bootstrap(GATEWAY, GATEWAY_ADDRESS, listeners, clusters) | wildcard.BOOTSTRAP


def _sidecar_cluster(service: Service, world: World) -> Json:
    endpoints = [Endpoint(GATEWAY_ADDRESS, world.gateway[service.gate])] if service.hop == "gateway" else []
    if service.hop == "down":
        endpoints = [world.refused]
    if service.hop in ("direct", "direct-originate", "dynamic-dns"):
        port = world.outside[TLS if service.hop == "direct-originate" else service.port]
        endpoints = [Endpoint(address, port) for address in addresses(service.host)]
    found = cluster(service.sidecar_cluster, endpoints, http2=service.http2)
    if service.hop == "direct-originate":
        found |= start_tls(service.host, world.certificates.outside.certificate, service.host)
    if service.mutual in ("both", "sidecar"):
        found |= start_mutual(service.hop_sni, world.certificates)
    return found


def _sidecar_route(service: Service) -> Json:
    if service.hop == "dynamic-dns":
        return route(service.sidecar_cluster, name="allow_any_dynamic_dns")
    # Istio calls the routes it makes itself "default"; a VirtualService's route without a name has none.
    name = "default" if service.hop in ("direct", "direct-originate") else ""
    return route(service.sidecar_cluster, name=name, retry_503=service.retry_503)


def _gateway_listener(gate: Gate, services: list[Service], world: World) -> Json:
    logs = world.logs
    if gate.port == HTTP:
        hosts = [
            virtual_host(f"{s.host}:{s.port}", [s.host], route(s.gateway_cluster, timeout=s.timeout)) for s in services
        ]
        denied = [s.host for s in services if s.exit == "denied"]
        name = "http.8443" if gate.mutual else "http.8080"
        chains = [chain(http_manager(GATEWAY, logs, name, hosts, edge=True, denied=denied))]
    else:
        chains = [chain(tcp_proxy(GATEWAY, logs, s.gateway_cluster), sni=_gateway_sni(s)) for s in services]
    if gate.mutual:
        chains = [one | expect_mutual(world.certificates) for one in chains]
    found = listener(gate.name, Endpoint(GATEWAY_ADDRESS, world.gateway[gate]), GATEWAY, logs, chains)
    inspect = gate.port == TLS or gate.mutual
    return found | ({"listener_filters": [TLS_INSPECTOR]} if inspect else {})


def _gateway_sni(service: Service) -> str | None:
    if service.gate.mutual:
        return service.hop_sni
    return service.host if service.port == TLS else None


def _gateway_cluster(service: Service, world: World) -> Json:
    name, port = service.gateway_cluster, world.outside[service.exit_port]
    endpoints = {
        "refused": [world.refused],
        "empty": [],
        "loop": [Endpoint(GATEWAY_ADDRESS, world.gateway[service.gate])],
    }.get(service.exit, [Endpoint(address, port) for address in addresses(service.exit_host)])
    found = cluster(name, endpoints)
    match service.exit:
        case "originate" | "distrust":
            trusted = service.host if service.exit == "originate" else "someone.else.test"
            found |= start_tls(service.host, world.certificates.outside.certificate, trusted)
        case "unresolvable":
            endpoint = socket_address(Endpoint(service.exit_host, port))
            found |= {"type": "STRICT_DNS", "dns_lookup_family": "V4_ONLY", **resolver(world.dns)}
            found["load_assignment"] = assignment(name, [endpoint])
        case "loop":
            found["circuit_breakers"] = {"thresholds": [{"max_requests": PASSES}]}
    return found


def _allow_any() -> Json:
    to = {"name": "allow_any", "route": {"cluster": "PassthroughCluster", "timeout": "0s"}}
    return virtual_host("allow_any", ["*"], to)


def _block_all() -> Json:
    return virtual_host("block_all", ["*"], {"name": "block_all", "direct_response": {"status": 502}})
