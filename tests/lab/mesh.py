"""The mesh as data: pods, outside hosts, and what sidecar and gateway do with each host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

GATEWAY = "gateway"
"""Name of the gateway among the proxies; the others are the pods' sidecars."""

GATEWAY_ADDRESS = "127.0.2.21"
GATEWAY_SERVICE = "istio-egressgateway.istio-system.svc.cluster.local"
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
}
"""What DNS answers; hosts not named here share `OTHER_ADDRESS`."""

HTTP, TLS, TCP, UNLISTED = 80, 443, 1521, 9000
PORTS = (HTTP, TLS, TCP, UNLISTED)
"""Service ports. The real ports behind them are free ones, found at start; no listener knows `UNLISTED`."""


def addresses(host: str) -> tuple[str, ...]:
    """The outside addresses of `host`."""
    return ADDRESSES.get(host, (OTHER_ADDRESS,))


@dataclass(frozen=True)
class Service:
    """A ServiceEntry, and the VirtualService that leads it through the gateway.

    `hop` is what the sidecar does: send to the gateway, send out directly, name a cluster that does not
    exist, or find the gateway down. `exit` is what the gateway does: forward, have no route, find the
    remote refusing, find no endpoint, start TLS itself, or start TLS and distrust the certificate.
    """

    host: str
    port: int = HTTP
    subset: str = ""
    hop: Literal["gateway", "direct", "missing", "down"] = "gateway"
    exit: Literal["forward", "unknown", "refused", "empty", "originate", "distrust"] = "forward"
    http2: bool = False
    timeout: float = 0
    retry_503: bool = False

    @property
    def sidecar_cluster(self) -> str:
        """The cluster a sidecar chooses."""
        if self.hop == "direct":
            return f"outbound|{self.port}||{self.host}"
        return f"outbound|{self.port}|{self.subset}|{GATEWAY_SERVICE}"

    @property
    def gateway_cluster(self) -> str:
        """The cluster the gateway chooses."""
        port = TLS if self.exit in ("originate", "distrust") else self.port
        return f"outbound|{port}||{self.host}"


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
)
