"""The mesh as data: pods, outside hosts, and what sidecar and gateway do with each host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

GATEWAY = "gateway"
"""Name of the gateway among the proxies; the others are the pods' sidecars."""

UNCAPTURED = "uncaptured"
"""A pod without a sidecar."""

GATEWAY_ADDRESS = "127.0.2.21"
GATEWAY_SERVICE = "istio-egressgateway.istio-system.svc.cluster.local"
SNI_CLUSTER = "sni_cluster"
"""The gateway's cluster for names read from inner TLS."""

GATEWAY_SPIFFE = "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway-service-account"
POD_SPIFFE = "spiffe://cluster.local/ns/default/sa/default"
REFUSED_ADDRESS = "127.0.3.199"


class Endpoint(NamedTuple):
    """An address and a port."""

    address: str
    port: int


@dataclass(frozen=True)
class Pod:
    """A workload with a sidecar; `registry_only` is its outboundTrafficPolicy."""

    address: str
    registry_only: bool = False


class Gate(NamedTuple):
    """A listener of the gateway, called after the service port it serves; `mutual`: for ISTIO_MUTUAL."""

    port: int
    mutual: bool = False

    @property
    def name(self) -> str:
        """Name of the listener."""
        return f"{self.port}-mutual" if self.mutual else f"{self.port}"


PODS = {
    "sidecar": Pod("127.0.1.11"),
    "strict": Pod("127.0.1.12", registry_only=True),
}

OTHER_ADDRESS = "127.0.3.102"
ADDRESSES: dict[str, tuple[str, ...]] = {
    "edition.cnn.com": ("127.0.3.80", "127.0.3.81"),
    "en.wikipedia.org": ("127.0.3.82",),
    "api.github.com": ("127.0.3.83",),
    "pypi.org": ("127.0.3.84",),
    "my.oracle.instance.com": ("127.0.3.90",),
    "direct.example.com": ("127.0.3.100",),
    "unlisted.example.com": ("127.0.3.101",),
    "mutual-db.example.com": ("127.0.3.91",),
    "opaque.example.com": ("127.0.3.92",),
    "www.wildcard.example.com": ("127.0.3.93",),
    "fr.wildcard.example.com": ("127.0.3.94",),
    "fr.dynamic.example.com": ("127.0.3.95",),
    "dynamic-dns.example.com": ("127.0.3.103",),
    "originated.example.com": ("127.0.3.104",),
}
"""What DNS answers; hosts not named here share `OTHER_ADDRESS`."""

HTTP, TLS, TCP, UNLISTED = 80, 443, 1521, 9000
PORTS = (HTTP, TLS, TCP, UNLISTED)
"""Service ports. The real ports behind them are free ones, found at start; no listener knows `UNLISTED`."""

GATES = tuple(Gate(port, mutual) for port in (HTTP, TLS, TCP) for mutual in (False, True))


def addresses(host: str) -> tuple[str, ...]:
    """The outside addresses of `host`."""
    return ADDRESSES.get(host, (OTHER_ADDRESS,))


@dataclass(frozen=True)
class Service:
    """A ServiceEntry, and the VirtualService and DestinationRule that lead it through the gateway.

    `hop` is what the sidecar does: send to the gateway, send out directly (also over TLS of its own, or as
    ALLOW_ANY_DYNAMIC_DNS does), name a cluster that does not exist, find the gateway down, or idle: without endpoints.

    `exit` is what the gateway does: forward, have no route, find the remote refusing, find no endpoint,
    start TLS itself, start TLS and distrust the certificate, send plain HTTP to the TLS port, refuse by
    policy, find itself, find no address of the name, or read the server's name from the inner TLS.

    `mutual` is who speaks Istio's TLS on the hop, with the server name `sni` if the DestinationRule has
    one. `server` is the host of the gateway's cluster, if another. `opaque`: the sidecar expects no TLS.
    `any_port`: the sidecar's virtual host takes the host with any port.
    """

    host: str
    port: int = HTTP
    subset: str = ""
    hop: Literal["gateway", "direct", "direct-originate", "dynamic-dns", "missing", "down", "idle"] = "gateway"
    exit: Literal[
        "forward",
        "unknown",
        "refused",
        "empty",
        "originate",
        "distrust",
        "unencrypted",
        "denied",
        "loop",
        "unresolvable",
        "dynamic",
    ] = "forward"
    mutual: Literal["neither", "both", "sidecar", "gateway"] = "neither"
    sni: str = ""
    server: str = ""
    http2: bool = False
    timeout: float = 0
    retry_503: bool = False
    opaque: bool = False
    any_port: bool = False

    @property
    def sidecar_cluster(self) -> str:
        """The cluster a sidecar chooses."""
        if self.hop == "dynamic-dns":
            return "AllowAnyDynamicDNSCluster"
        if self.hop in ("direct", "direct-originate"):
            return f"outbound|{TLS if self.hop == 'direct-originate' else self.port}||{self.host}"
        return f"outbound|{self.port}|{self.subset}|{GATEWAY_SERVICE}"

    @property
    def gate(self) -> Gate:
        """The gateway's listener the sidecar reaches."""
        return Gate(self.port, self.mutual in ("both", "gateway"))

    @property
    def hop_sni(self) -> str:
        """The server name the gateway sees."""
        if self.mutual in ("both", "sidecar"):
            return self.sni or f"outbound_.{self.port}_.{self.subset}_.{GATEWAY_SERVICE}"
        return self.host

    @property
    def exit_host(self) -> str:
        """The host the gateway sends to."""
        return self.server or self.host

    @property
    def exit_port(self) -> int:
        """The service port the gateway sends to."""
        return TLS if self.exit in ("originate", "distrust", "unencrypted") else self.port

    @property
    def gateway_cluster(self) -> str:
        """The cluster the gateway chooses."""
        return SNI_CLUSTER if self.exit == "dynamic" else f"outbound|{self.exit_port}||{self.exit_host}"


SERVICES = (
    Service("edition.cnn.com", subset="cnn", http2=True),
    Service("edition.cnn.com", TLS, subset="cnn"),
    Service("en.wikipedia.org", subset="wikipedia"),
    Service("en.wikipedia.org", TLS, subset="wikipedia"),
    Service("api.github.com", subset="github", exit="originate"),
    Service("pypi.org", subset="pypi"),
    Service("pypi.org", TLS, subset="pypi"),
    Service("my.oracle.instance.com", TCP, subset="oracle"),
    Service("direct.example.com", hop="direct"),
    Service("direct.example.com", TLS, hop="direct"),
    Service("missing.example.com", subset="missing", hop="missing"),
    Service("idle.example.com", subset="idle", hop="idle"),
    Service("down.example.com", subset="down", hop="down"),
    Service("down.example.com", TLS, subset="down", hop="down"),
    Service("unknown.example.com", subset="unknown", exit="unknown"),
    Service("unknown.example.com", TLS, subset="unknown", exit="unknown"),
    Service("refused.example.com", subset="refused", exit="refused"),
    Service("refused.example.com", TLS, subset="refused", exit="refused"),
    Service("empty.example.com", subset="empty", exit="empty"),
    Service("distrust.example.com", subset="distrust", exit="distrust"),
    Service("slow.example.com", subset="slow", timeout=0.1),
    Service("retry.example.com", subset="retry", retry_503=True),
    Service("mutual.example.com", subset="mutual", mutual="both", http2=True),
    Service("mutual.example.com", TLS, subset="mutual", mutual="both"),
    Service("named-sni.example.com", subset="named", mutual="both", sni="named-sni.example.com", http2=True),
    Service("mutual-db.example.com", TCP, subset="db", mutual="both"),
    Service("mutual-originate.example.com", subset="originate", mutual="both", exit="originate"),
    Service("plain-to-mutual.example.com", subset="forgotten", mutual="gateway"),
    Service("plain-to-mutual.example.com", TLS, subset="forgotten", mutual="gateway"),
    Service("mutual-to-plain.example.com", subset="early", mutual="sidecar"),
    Service("mutual-to-plain.example.com", TLS, subset="early", mutual="sidecar"),
    Service("*.wildcard.example.com", TLS, subset="wildcard", server="www.wildcard.example.com"),
    Service("*.dynamic.example.com", TLS, subset="dynamic", mutual="both", exit="dynamic"),
    Service("loop.example.com", subset="loop", exit="loop"),
    Service("unencrypted.example.com", subset="unencrypted", exit="unencrypted"),
    Service("double.example.com", TLS, subset="double", exit="originate"),
    Service("grpc.example.com", subset="grpc", http2=True),
    Service("chat.example.com", subset="chat"),
    Service("denied.example.com", subset="denied", exit="denied"),
    Service("unresolvable.example.com", subset="unresolvable", exit="unresolvable"),
    Service("opaque.example.com", TLS, subset="opaque", exit="unknown", opaque=True),
    Service("ported.example.com", subset="ported", any_port=True),
    Service("dynamic-dns.example.com", hop="dynamic-dns"),
    Service("originated.example.com", hop="direct-originate"),
)
