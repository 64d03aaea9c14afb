"""What the lab sends, as data: one scenario, one kind of line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .exchanges import Abort, Call, Cut, Echo, Exchange, Http, Raw, Request, Together, WebSocket
from .mesh import ADDRESSES, GATEWAY, HTTP, REFUSED_ADDRESS, TCP, TLS, UNCAPTURED, UNLISTED

if TYPE_CHECKING:
    from collections.abc import Mapping

BOTH = {"sidecar": 1, GATEWAY: 1}
ONLY_SIDECAR = {"sidecar": 1}
ONLY_STRICT = {"strict": 1}
ONLY_GATEWAY = {GATEWAY: 1}


@dataclass(frozen=True)
class Scenario:
    """`send` goes from the pod `via` (or straight to the gateway) to `host`; `rows` is who logs how often.

    With `address` the client connects there, whatever it calls `host`.
    """

    name: str
    host: str
    send: Exchange
    port: int = HTTP
    via: str = "sidecar"
    rows: Mapping[str, int] = field(default_factory=lambda: BOTH)
    address: str = ""


CNN = "edition.cnn.com"
WIKIPEDIA = "en.wikipedia.org"
FORGED_AGENT = (
    b'x" "00000000-dead-beef-0000-000000000000" "evil.example.com" "6.6.6.6:80" '
    b"outbound|443||evil.example.com 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3 - -"
)


def get(path: str = "/", answer: str = "", **more: object) -> Http:
    """One GET on its own connection."""
    return Http((Request(path, answer=answer, **more),))  # type: ignore[arg-type]


def get_tls(sni: str, answer: str = "bytes=2000") -> Http:
    """One GET over TLS, hidden from the proxies."""
    return Http((Request("/", answer=answer),), sni=sni)


def agent(value: bytes | None) -> Http:
    """One GET with this user agent."""
    return get("/agent", agent=value)


THROUGH_THE_GATEWAY = (
    Scenario("http-200", CNN, get("/", "bytes=1234 ms=5")),
    Scenario("http-301", CNN, get("/politics", "status=301")),
    Scenario("http-404", WIKIPEDIA, get("/wiki/Nothing", "status=404 bytes=9")),
    Scenario("http-500", WIKIPEDIA, get("/w/api.php", "status=500 bytes=5")),
    Scenario("http-503-from-outside", WIKIPEDIA, get("/busy", "status=503")),
    Scenario("http-head", CNN, Http((Request("/", "HEAD", answer="bytes=1234"),))),
    Scenario("http-post", WIKIPEDIA, Http((Request("/form", "POST", body=b"a=1&b=2" * 10, answer="status=201"),))),
    Scenario(
        "http-keep-alive",
        CNN,
        Http(tuple(Request(f"/page/{number}", answer=f"bytes={number}") for number in range(5))),
        rows={"sidecar": 5, GATEWAY: 5},
    ),
    Scenario("http-plain-hop", WIKIPEDIA, get("/wiki/Envoy", "bytes=777")),
    Scenario("http-from-strict-pod", CNN, get("/"), via="strict", rows={"strict": 1, GATEWAY: 1}),
    Scenario("tls-originated-by-gateway", "api.github.com", get("/repos/istio/istio", "bytes=300")),
    Scenario("tls-passthrough", CNN, get_tls(CNN), TLS),
    Scenario("tls-passthrough-wikipedia", WIKIPEDIA, get_tls(WIKIPEDIA), TLS),
    Scenario("tcp-opaque", "my.oracle.instance.com", Echo(b"select 1 from dual" * 10), TCP),
)

REFUSED_OR_FAILED = (
    Scenario("sni-unknown-at-gateway", "unknown.example.com", get_tls("unknown.example.com"), TLS),
    Scenario("host-unknown-at-gateway", "unknown.example.com", get("/")),
    Scenario("stranger-at-gateway", "stranger.example.com", get("/"), via=GATEWAY, rows=ONLY_GATEWAY),
    Scenario("cluster-missing", "missing.example.com", get("/"), rows=ONLY_SIDECAR),
    Scenario("gateway-without-endpoints", "idle.example.com", get("/"), rows=ONLY_SIDECAR),
    Scenario("gateway-down", "down.example.com", get("/"), rows=ONLY_SIDECAR),
    Scenario("gateway-down-tls", "down.example.com", get_tls("down.example.com"), TLS, rows=ONLY_SIDECAR),
    Scenario("outside-refuses", "refused.example.com", get("/")),
    Scenario("outside-refuses-tls", "refused.example.com", get_tls("refused.example.com"), TLS),
    Scenario("outside-without-endpoint", "empty.example.com", get("/")),
    Scenario("outside-distrusted", "distrust.example.com", get("/")),
    Scenario("outside-closes", WIKIPEDIA, get("/closes", "act=close")),
    Scenario("outside-closes-halfway", WIKIPEDIA, get("/half", "bytes=2000 act=half-close")),
    Scenario("gateway-times-out", "slow.example.com", get("/slow", "act=hold")),
    Scenario("sidecar-retries", "retry.example.com", get("/", "status=503"), rows={"sidecar": 1, GATEWAY: 3}),
    Scenario("client-aborts", CNN, Abort(Request("/hold", answer="act=hold"))),
    Scenario(
        "client-aborts-halfway",
        WIKIPEDIA,
        Abort(Request("/hold", answer="bytes=2000 act=half-hold"), started=True),
    ),
)

PAST_THE_GATEWAY = (
    Scenario("direct-http", "direct.example.com", get("/get", "bytes=50"), rows=ONLY_SIDECAR),
    Scenario("direct-tls", "direct.example.com", get_tls("direct.example.com"), TLS, rows=ONLY_SIDECAR),
    Scenario("passthrough-http", "unlisted.example.com", get("/", "bytes=60"), rows=ONLY_SIDECAR),
    Scenario("passthrough-tls", "unlisted.example.com", get_tls("unlisted.example.com"), TLS, rows=ONLY_SIDECAR),
    Scenario("passthrough-tcp", "unlisted.example.com", get("/", "bytes=70"), UNLISTED, rows=ONLY_SIDECAR),
    Scenario("blocked-http", "unlisted.example.com", get("/"), via="strict", rows=ONLY_STRICT),
    Scenario("blocked-tls", "unlisted.example.com", get_tls("unlisted.example.com"), TLS, "strict", ONLY_STRICT),
    Scenario("blocked-tcp", "unlisted.example.com", Raw(b"hello"), UNLISTED, "strict", ONLY_STRICT),
)

BAD_REQUESTS = (
    Scenario("bad-first-line", CNN, Raw(b"this is not http\r\n\r\n"), rows=ONLY_SIDECAR),
    Scenario("bad-control-byte", CNN, get("/", headers=(b"x-bad: a\x01b",)), rows=ONLY_SIDECAR),
    Scenario("bad-no-host", CNN, Raw(b"GET /nohost HTTP/1.1\r\n\r\n"), rows=ONLY_SIDECAR),
    Scenario("bad-http-1.0", CNN, Raw(b"GET /old HTTP/1.0\r\nHost: edition.cnn.com\r\n\r\n"), rows=ONLY_SIDECAR),
    Scenario(
        "connect",
        CNN,
        Raw(b"CONNECT edition.cnn.com:443 HTTP/1.1\r\nHost: edition.cnn.com:443\r\nConnection: close\r\n\r\n"),
        rows=ONLY_SIDECAR,
    ),
)

TEXT_IN_FIELDS = (
    Scenario("agent-quotes", CNN, agent(b'a "quoted" agent \\" "')),
    Scenario("agent-tab", CNN, agent(b"tab\there")),
    Scenario("agent-utf8", CNN, agent("größe 文 \u2028 \u0085 end".encode())),
    Scenario("agent-byte-ff", CNN, agent(b"bad \xff byte")),
    Scenario("agent-latin1", CNN, agent(b"caf\xe9")),
    Scenario("agent-forged", CNN, agent(FORGED_AGENT)),
    Scenario("agent-empty", CNN, agent(b"")),
    Scenario("agent-absent", CNN, agent(None)),
    Scenario("agent-dash", CNN, agent(b"-")),
    Scenario("forwarded-for-two", CNN, get("/", headers=(b"x-forwarded-for: 192.0.2.7, 192.0.2.8",))),
    Scenario("request-id-given", CNN, get("/", headers=(b"x-request-id: 11111111-2222-4333-8444-555555555555",))),
    Scenario("path-long", CNN, get("/" + "long/" * 600)),
    Scenario("path-very-long", CNN, get("/" + "verylong/" * 2300)),
    Scenario("path-symbols", CNN, get("/a|b&c/%20%22;d?x=1&y=a|b&z=%0A&q=-")),
    Scenario("path-quotes", CNN, get('/say/"hi"?q="x"')),
    Scenario("path-normalised", CNN, get("/a/../b/./c")),
)

MUTUAL_TLS_ON_THE_HOP = (
    Scenario("mtls-hop", "mutual.example.com", get("/politics", "bytes=400")),
    Scenario("mtls-hop-named-sni", "named-sni.example.com", get("/named", "bytes=500")),
    Scenario("tls-inside-mtls", "mutual.example.com", get_tls("mutual.example.com"), TLS),
    Scenario("tcp-inside-mtls", "mutual-db.example.com", Echo(b"select 1 from dual" * 5), TCP),
    Scenario("tls-originated-over-mtls", "mutual-originate.example.com", get("/secret", "bytes=600")),
    Scenario("plain-to-mtls", "plain-to-mutual.example.com", get("/"), rows=ONLY_SIDECAR),
    Scenario("mtls-to-plain", "mutual-to-plain.example.com", get("/"), rows={"sidecar": 1, GATEWAY: 3}),
    Scenario("mtls-to-passthrough", "mutual-to-plain.example.com", get_tls("mutual-to-plain.example.com"), TLS),
    Scenario(
        "app-tls-to-mtls",
        "plain-to-mutual.example.com",
        # With an impatient client the gateway might give up before it has connected to the outside.
        Http((Request("/"),), sni="plain-to-mutual.example.com", patient=True),
        TLS,
    ),
)

WILDCARDS = (
    Scenario("wildcard-one-server", "fr.wildcard.example.com", get_tls("fr.wildcard.example.com"), TLS),
    Scenario(
        "wildcard-dynamic",
        "fr.dynamic.example.com",
        get_tls("fr.dynamic.example.com"),
        TLS,
        rows={"sidecar": 1, GATEWAY: 2},
    ),
)

MISCONFIGURED = (
    Scenario("loop", "loop.example.com", get("/again"), rows={"sidecar": 1, GATEWAY: 4}),
    Scenario("origination-missing", "unencrypted.example.com", get("/")),
    Scenario("double-tls", "double.example.com", get_tls("double.example.com"), TLS),
    Scenario("outside-unresolvable", "unresolvable.example.com", get("/")),
    Scenario("plain-to-tls-listener", "opaque.example.com", Raw(b"hello, anybody?\r\n"), TLS),
    Scenario("authority-with-port", "ported.example.com:30923", get("/")),
    Scenario("refused-by-rbac", "denied.example.com", get("/")),
)

ADDRESS_AND_NAME_DIFFER = (
    Scenario("spoofed-host-to-other-address", CNN, get("/spoofed"), address=ADDRESSES["unlisted.example.com"][0]),
    Scenario(
        "spoofed-host-to-known-address",
        "harmless.example.com",
        get("/spoofed"),
        rows=ONLY_SIDECAR,
        address=ADDRESSES[CNN][0],
    ),
)

OTHER_WAYS_OUT = (
    Scenario("dynamic-dns", "dynamic-dns.example.com", get("/", "bytes=80"), rows=ONLY_SIDECAR),
    Scenario("direct-originated", "originated.example.com", get("/", "bytes=90"), rows=ONLY_SIDECAR),
    Scenario(
        "passthrough-refused",
        "nobody.example.com",
        get_tls("nobody.example.com"),
        TLS,
        rows=ONLY_SIDECAR,
        address=REFUSED_ADDRESS,
    ),
    Scenario("uncaptured", "unlisted.example.com", get("/", "bytes=100"), via=UNCAPTURED, rows={}),
)

KINDS_OF_TRAFFIC = (
    Scenario("grpc-ok", "grpc.example.com", Call("/shop.Cart/Add", "grpc=0")),
    Scenario("grpc-failed", "grpc.example.com", Call("/shop.Cart/Add", "grpc=14"), rows={"sidecar": 1, GATEWAY: 3}),
    Scenario("websocket", "chat.example.com", WebSocket(b"\x81\x05hello" * 20, "/chat")),
    Scenario("long-lived", "my.oracle.instance.com", Echo(b"select 1 from dual" * 4, open_for=0.6), TCP),
    Scenario(
        "same-request-repeated",
        CNN,
        Http((Request("/poll", answer="bytes=40"),) * 6),
        rows={"sidecar": 6, GATEWAY: 6},
    ),
    Scenario(
        "two-clients-at-once",
        CNN,
        Together(tuple((Request(f"/a/{turn}"), Request(f"/b/{turn}", answer="ms=2")) for turn in range(3))),
        rows={"sidecar": 6, GATEWAY: 6},
    ),
)

SCENARIOS = (
    *THROUGH_THE_GATEWAY,
    *REFUSED_OR_FAILED,
    *PAST_THE_GATEWAY,
    *BAD_REQUESTS,
    *TEXT_IN_FIELDS,
    *MUTUAL_TLS_ON_THE_HOP,
    *WILDCARDS,
    *MISCONFIGURED,
    *ADDRESS_AND_NAME_DIFFER,
    *OTHER_WAYS_OUT,
    *KINDS_OF_TRAFFIC,
)

BEFORE_KILL = Scenario("before-kill", CNN, get("/", "bytes=1234"))
GATEWAY_KILLED = Scenario(
    "gateway-killed", "my.oracle.instance.com", Cut(b"select 1 from dual"), TCP, rows=ONLY_SIDECAR
)
