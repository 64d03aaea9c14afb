"""What `egresslog verify HOST` must say of each scenario, written by hand from the decision table (docs/egress-evidence.md, 1.6).

`findings` are the codes about the host, `beside` those that belong to no host. Istio's text and JSON carry the same
facts. Envoy's default format has neither clusters, SNI nor addresses but the upstream's: what it cannot tell is in
`short`, where the gateway's address is given with --gateway-ip.
"""

from __future__ import annotations

from typing import NamedTuple

from egresslog import Verdict

PROVEN, BYPASSED, MISROUTED = Verdict.PROVEN, Verdict.BYPASSED, Verdict.MISROUTED
FAILED, BLOCKED, UNCONFIRMED, NOTHING = (
    Verdict.FAILED,
    Verdict.BLOCKED,
    Verdict.SENT_UNCONFIRMED,
    Verdict.NO_EVIDENCE,
)
EXITS = {PROVEN: 0, BYPASSED: 1, MISROUTED: 1, FAILED: 1, BLOCKED: 1, UNCONFIRMED: 3, NOTHING: 3}


class Answer(NamedTuple):
    """A verdict, the codes of the findings about the host, and of those about none."""

    verdict: Verdict
    findings: frozenset[str]
    beside: frozenset[str] = frozenset()


class Expected(NamedTuple):
    """The answer from Istio's formats, from Envoy's default format, and from Istio's text where that differs from JSON."""

    istio: Answer
    short: Answer
    text: Answer | None = None


def _answer(verdict: Verdict, findings: str, beside: str = "") -> Answer:
    return Answer(verdict, frozenset(f"EGL{n}" for n in findings.split()), frozenset(f"EGL{n}" for n in beside.split()))


def _of(
    verdict: Verdict, findings: str, short: Verdict, short_findings: str, beside: str = "", short_beside: str = ""
) -> Expected:
    return Expected(_answer(verdict, findings, beside), _answer(short, short_findings, short_beside))


# What is found in every verification of the lab: nothing in Istio's formats; Envoy's default format has no addresses.
EVERY_SCENARIO: frozenset[str] = frozenset()
NO_ADDRESSES = frozenset({"EGL103"})

# The gateway's line names host and outside address; the sidecar's is like it, and has no addresses to join them by.
HTTP = _of(PROVEN, "100", PROVEN, "101 188")
# The default format has no SNI and no cluster: no line names a host. What was sent to the gateway stays beside.
TLS = _of(PROVEN, "100", NOTHING, "195", "", "101 187")
# A quote in a header: text proves nothing, and is about every host that it names; JSON escapes it.
FORGED = Expected(_answer(PROVEN, "100"), _answer(UNCONFIRMED, "190"), _answer(UNCONFIRMED, "190"))

# User agents that hold `" "`, by chance (`a "quoted" agent \\" "`) and on purpose.
AMBIGUOUS = ("agent-quotes", "agent-forged")

EXPECTED = {
    # Through the gateway.
    "http-200": HTTP,
    "http-301": HTTP,
    "http-404": HTTP,
    "http-500": HTTP,
    "http-503-from-outside": HTTP,
    "http-head": HTTP,
    "http-post": HTTP,
    "http-keep-alive": HTTP,
    "http-plain-hop": HTTP,
    "http-from-strict-pod": HTTP,
    "tls-originated-by-gateway": HTTP,
    "tls-passthrough": TLS,
    "tls-passthrough-wikipedia": TLS,
    "tcp-opaque": TLS,
    "mtls-hop": HTTP,
    "mtls-hop-named-sni": HTTP,
    "tls-inside-mtls": TLS,
    "tcp-inside-mtls": TLS,
    "tls-originated-over-mtls": HTTP,
    "wildcard-one-server": _of(PROVEN, "102", NOTHING, "195", "", "101 187"),
    # Without addresses nothing joins the outer of the gateway's two lines to the inner, which is a proof of its own.
    "wildcard-dynamic": _of(PROVEN, "100", NOTHING, "195", "", "101 187"),
    "double-tls": _of(PROVEN, "100 198", NOTHING, "195", "", "101 187"),
    "long-lived": TLS,
    "grpc-ok": HTTP,
    "grpc-failed": HTTP,  # the host answered: a gRPC failure is HTTP 200
    "websocket": HTTP,
    "same-request-repeated": HTTP,
    "two-clients-at-once": HTTP,
    "sidecar-retries": HTTP,
    "outside-closes-halfway": HTTP,
    "client-aborts-halfway": HTTP,
    "spoofed-host-to-other-address": HTTP,
    "before-kill": HTTP,
    # Meant for the gateway, and did not get through.
    "sni-unknown-at-gateway": _of(FAILED, "152", NOTHING, "195", "", "154 187"),
    "host-unknown-at-gateway": _of(FAILED, "150", FAILED, "150 188"),
    "stranger-at-gateway": _of(FAILED, "150", FAILED, "150"),
    "cluster-missing": _of(FAILED, "140", FAILED, "140"),
    "gateway-without-endpoints": _of(FAILED, "143", FAILED, "166"),
    "gateway-down": _of(FAILED, "141", FAILED, "148"),  # the lab's dead gateway has an outside address
    "gateway-down-tls": _of(FAILED, "141", NOTHING, "195", "", "148"),
    "outside-refuses": _of(FAILED, "157", FAILED, "165 188"),
    "outside-refuses-tls": _of(FAILED, "157", NOTHING, "195", "", "165 187"),
    "outside-without-endpoint": _of(FAILED, "159", FAILED, "159 188"),
    "outside-unresolvable": _of(FAILED, "159", FAILED, "159 188"),
    "outside-distrusted": _of(FAILED, "162", FAILED, "165 188"),
    "outside-closes": _of(FAILED, "161", FAILED, "161 188"),
    "gateway-times-out": _of(FAILED, "163", FAILED, "163 188"),
    "origination-missing": _of(FAILED, "160", FAILED, "161 188"),
    "plain-to-mtls": _of(FAILED, "145", UNCONFIRMED, "187"),
    "mtls-to-plain": _of(FAILED, "144", FAILED, "146", "", "155"),
    "mtls-to-passthrough": _of(FAILED, "153", NOTHING, "195", "", "146 154"),
    "app-tls-to-mtls": _of(FAILED, "156", NOTHING, "195", "", "156 187"),
    "plain-to-tls-listener": _of(NOTHING, "195", NOTHING, "195", "154", "154 187"),
    "authority-with-port": _of(FAILED, "151", FAILED, "151 188"),
    "connect": _of(FAILED, "147", FAILED, "147"),
    "loop": _of(MISROUTED, "130", MISROUTED, "130 188"),
    # Past the gateway.
    "direct-http": _of(BYPASSED, "110", BYPASSED, "121"),
    "direct-tls": _of(BYPASSED, "110", NOTHING, "195", "", "121"),
    "direct-originated": _of(BYPASSED, "115", BYPASSED, "121"),
    "dynamic-dns": _of(BYPASSED, "119", BYPASSED, "121"),
    "passthrough-http": _of(BYPASSED, "116", BYPASSED, "121"),
    "passthrough-tls": _of(BYPASSED, "116", NOTHING, "195", "", "121"),
    "passthrough-tcp": _of(NOTHING, "195", NOTHING, "195", "118", "121"),
    "spoofed-host-to-known-address": _of(BYPASSED, "116", BYPASSED, "121"),
    # Refused.
    "blocked-http": _of(BLOCKED, "171", FAILED, "166"),
    "blocked-tls": _of(BLOCKED, "170", NOTHING, "195", "", "170"),
    "blocked-tcp": _of(NOTHING, "195", NOTHING, "195", "170", "170"),
    "refused-by-rbac": _of(BLOCKED, "172", FAILED, "165 188"),
    "passthrough-refused": _of(BLOCKED, "173", NOTHING, "195", "", "148"),
    # What cannot be told.
    "client-aborts": _of(UNCONFIRMED, "184", UNCONFIRMED, "184 188"),
    "gateway-killed": _of(NOTHING, "195", NOTHING, "195", "183", "187"),  # opaque TCP: only the gateway names the host
    "uncaptured": _of(NOTHING, "195", NOTHING, "195"),
    "bad-first-line": _of(NOTHING, "195", NOTHING, "195", "166", "166"),
    "bad-control-byte": _of(NOTHING, "195", NOTHING, "195", "166", "166"),
    "bad-no-host": _of(NOTHING, "195", NOTHING, "195", "166", "166"),
    "bad-http-1.0": _of(NOTHING, "195", NOTHING, "195", "166", "166"),
    # Text that clients choose.
    **dict.fromkeys(AMBIGUOUS, FORGED),
    **dict.fromkeys(
        [
            "agent-tab",
            "agent-utf8",
            "agent-byte-ff",
            "agent-latin1",
            "agent-empty",
            "agent-absent",
            "agent-dash",
            "forwarded-for-two",
            "request-id-given",
            "path-long",
            "path-very-long",
            "path-symbols",
            "path-quotes",
            "path-normalised",
        ],
        HTTP,
    ),
}

# What no line names can be asked for by its address.
BY_ADDRESS = {
    "passthrough-tcp": _answer(BYPASSED, "116"),
    "blocked-tcp": _answer(BLOCKED, "170"),
    "gateway-killed": _answer(UNCONFIRMED, "183"),
    "plain-to-tls-listener": _answer(FAILED, "154"),
    "tcp-opaque": _answer(PROVEN, "100"),
    "direct-tls": _answer(BYPASSED, "110"),
}
