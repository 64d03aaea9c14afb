"""Verdicts on lines written by hand: published ones, and each row of the decision table (docs/egress-evidence.md, 1.2 and 1.6)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import egresslog
from egresslog import UsageError, Verdict, Verification
from egresslog.verification.findings import FINDINGS
from egresslog.verification.pairing import SKEW, Event, match

from .lines import (
    AGENT,
    ARTICLE,
    GATEWAY,
    GATEWAY_SERVICE,
    OUTSIDE,
    POD,
    at,
    from_gateway,
    http,
    line,
    past,
    to_gateway,
)
from .packing import write_log

OTHER = from_gateway(0, 39999, host="other.example.com", upstream="198.51.100.9:443")  # shows who the gateway is
LATER = from_gateway(600, 39998, host="other.example.com", upstream="198.51.100.9:443")  # shows that its log goes on


class Desk:
    """Writes logs and asks for the verdict."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(
        self, *hosts: str, gateway: Iterable[str] | None = None, sidecar: Iterable[str] | None = None, **more: object
    ) -> Verification:
        logs = {
            name: None if lines is None else egresslog.read(write_log(self.folder / f"{name}.log", lines))
            for name, lines in (("gateway", gateway), ("sidecars", sidecar))
        }
        return egresslog.verify(hosts, **logs, **more)  # type: ignore[arg-type]

    def one(self, host: str, **more: object) -> tuple[str, set[str]]:
        (verdict,) = self.ask(host, **more)  # type: ignore[arg-type]
        return verdict.verdict.value, {finding.code for finding in verdict.findings}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# Lines that others published (docs/egress-evidence.md, 1.2).
SNI_SIDECAR = '[2023-11-24T13:21:52.793Z] "- - -" 0 - - - "-" 813 111152 61 - "-" "-" "-" "-" "172.17.5.170:8443" outbound|443|wildcard|egressgateway.istio-egress.svc.cluster.local 172.17.34.35:55102 208.80.153.224:443 172.17.34.35:37020 en.wikipedia.org -'
SNI_OUTER = '[2023-11-24T13:21:52.798Z] "- - -" 0 - - - "-" 1531 111950 55 - "-" "-" "-" "-" "envoy://sni_listener/" sni_cluster envoy://internal_client_address/ 172.17.5.170:8443 172.17.34.35:55102 outbound_.443_.wildcard_.egressgateway.istio-egress.svc.cluster.local -'
SNI_INNER = '[2023-11-24T13:21:52.798Z] "- - -" 0 - - - "-" 813 111152 55 - "-" "-" "-" "-" "185.15.59.224:443" dynamic_forward_proxy_cluster 172.17.5.170:48262 envoy://sni_listener/ envoy://internal_client_address/ en.wikipedia.org -'
IBM = '[2023-11-24T13:21:53.000Z] "- - -" 0 - - - "-" 813 111152 61 - "-" "-" "-" "-" "104.102.54.251:443" PassthroughCluster 172.17.34.35:45584 104.102.54.251:443 172.17.34.35:45582 cloud.ibm.com -'
ISTIO_1_3 = '[2019-09-03T20:57:49.103Z] "GET /politics HTTP/2" 301 - "-" "-" 0 0 90 89 "10.244.2.10" "curl/7.64.0" "ea379962-9b5c-4431-ab66-f01994f5a5a5" "edition.cnn.com" "151.101.65.67:80" outbound|80||edition.cnn.com - 10.244.1.5:80 10.244.2.10:50482 edition.cnn.com -'
GATEWAY_API = '[2024-01-11T21:09:42.835Z] "- - -" 0 - - - "-" 839 2504306 231 - "-" "-" "-" "-" "151.101.195.5:443" outbound|443||edition.cnn.com 172.30.239.8:34470 172.30.239.8:443 172.30.239.15:43956 edition.cnn.com -'
TUNNEL = '[2024-01-11T21:09:42.835Z] "- - -" 0 - - - "-" 839 2504306 231 - "-" "-" "-" "-" "192.168.56.20:3080" outbound|3080|external-app-443|external-forward-proxy.corp.net 10.244.0.9:40082 10.244.0.9:8443 10.244.0.11:38718 external-app.corp.net -'
WAYPOINT = '[2024-10-24T15:36:26.008Z] "HEAD /get HTTP/1.1" 200 - via_upstream - "-" 0 0 160 160 "-" "curl/8.10.1" "5257e961-7a1c-4c1f-a8cf-bb40ff23be17" "httpbin.org" "44.196.139.143:80" inbound-vip|80|http|httpbin.org 10.42.0.16:40144 240.240.0.4:80 10.42.0.13:42172 - default'
BLACKHOLE_SNI = '[2023-04-24T15:57:17.434Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 142.250.217.115:443 10.52.97.65:58576 sqa.ory.sh -'
BLACKHOLE = '[2022-04-15T00:25:20.722Z] "- - -" 0 UH - - "-" 0 0 8 - "-" "-" "-" "-" "-" BlackHoleCluster - 209.85.200.95:443 10.100.14.30:36098 - -'
BLACKHOLE_OLD = '[2019-09-03T20:57:49.103Z] "- - -" 0 UH "-" "-" 0 0 0 - "-" "-" "-" "-" "-" - - 35.170.216.115:443 10.28.1.90:59692 -'
PASSTHROUGH = '[2026-10-08T22:53:14.535Z] "- - -" 0 - - - "-" 901 4875 618 - "-" "-" "-" "-" "18.233.182.23:443" PassthroughCluster 10.244.0.6:59668 18.233.182.23:443 10.244.0.6:59652 - -'
DIRECT_2019 = '[2019-09-03T20:57:49.103Z] "GET /status/418 HTTP/1.1" 418 - "-" "-" 0 135 187 186 "-" "curl/7.64.0" "35e1d5ea-6f83-4ae0-96b6-d2fcc4b0ba2d" "httpbin.org" "35.173.6.94:80" outbound|80||httpbin.org - 35.173.6.94:80 172.30.109.82:55314 -'


def test_seed_line_proves_the_hop(desk: Desk) -> None:
    """The article's line: the gateway sent the request to the outside; who sent it stands in X-Forwarded-For."""
    (one,) = desk.ask("edition.cnn.com", gateway=[ARTICLE])
    assert one.verdict == Verdict.PROVEN
    assert {finding.code for finding in one.findings} == {"EGL101"}
    assert one.paths().to_pylist() == [
        {
            "source_ip": "172.30.146.87",
            "gateway": None,
            "source_pod": None,
            "gateway_pod": None,
            "upstream_host": "151.101.193.67:80",
            "verdict": "PROVEN",
            "requests": 1,
        }
    ]


def test_the_era_without_addresses_says_what_could_not_be_checked(desk: Desk) -> None:
    """Istio 1.0: no pair can be proven; equal lines, or an equal request id but for digit 14, are a hint."""
    sidecar = ARTICLE.replace("151.101.193.67:80", f"{GATEWAY}:80").replace("172.30.146.87", "-")
    (one,) = found = desk.ask("edition.cnn.com", gateway=[ARTICLE], sidecar=[sidecar], gateway_ip=[GATEWAY])
    assert {finding.code for finding in found.findings} == {"EGL103"}
    assert one.counts == {Verdict.PROVEN: 1, Verdict.SENT_UNCONFIRMED: 1}
    assert {finding.code for finding in one.findings} == {"EGL101", "EGL188"}
    traced = sidecar.replace("0 0 3 1", "0 9 3 1").replace("-94c5-", "-a4c5-")
    assert "EGL188" in desk.one("edition.cnn.com", gateway=[ARTICLE], sidecar=[traced], gateway_ip=[GATEWAY])[1]
    other = sidecar.replace("0 0 3 1", "0 9 3 1").replace("ab7be694", "cb7be694")
    assert "EGL187" in desk.one("edition.cnn.com", gateway=[ARTICLE], sidecar=[other], gateway_ip=[GATEWAY])[1]
    assert "EGL197" in desk.one("edition.cnn.com", gateway=[ARTICLE], sidecar=[sidecar])[1]


def test_official_pair_of_the_sni_proxy(desk: Desk) -> None:
    """Three lines are one connection: the outer gateway line joins the sidecar's, the inner one is the proof."""
    found = desk.ask("en.wikipedia.org", "cloud.ibm.com", gateway=[SNI_OUTER, SNI_INNER], sidecar=[SNI_SIDECAR, IBM])
    wikipedia, ibm = found
    assert (wikipedia.verdict, wikipedia.counts) == (Verdict.PROVEN, {Verdict.PROVEN: 1})
    (finding,) = wikipedia.findings
    assert finding.code == "EGL100"
    assert [item.line for item in finding.evidence] == [SNI_SIDECAR, SNI_OUTER, SNI_INNER]
    assert (ibm.verdict, [item.code for item in ibm.findings]) == (Verdict.BYPASSED, ["EGL116"])
    assert ibm.findings[0].evidence[0].line == IBM
    assert found.answer() is False


@pytest.mark.parametrize(
    ("host", "gateway", "sidecar", "verdict", "codes"),
    [
        ("edition.cnn.com", [ISTIO_1_3], None, "PROVEN", {"EGL101"}),
        ("edition.cnn.com", [GATEWAY_API], None, "PROVEN", {"EGL101"}),
        ("external-app.corp.net", [TUNNEL], None, "MISROUTED", {"EGL131"}),
        ("httpbin.org", [WAYPOINT], None, "PROVEN", {"EGL101"}),
        ("sqa.ory.sh", None, [BLACKHOLE_SNI], "BLOCKED", {"EGL170"}),
        ("sqa.ory.sh", None, [BLACKHOLE_SNI.replace("BlackHoleCluster", "BlackHoleCluster;")], "BLOCKED", {"EGL170"}),
        ("209.85.200.0/24", None, [BLACKHOLE], "BLOCKED", {"EGL170"}),
        ("35.170.216.115", None, [BLACKHOLE_OLD], "BLOCKED", {"EGL170"}),
        ("18.233.182.23", None, [PASSTHROUGH], "BYPASSED", {"EGL116"}),
        ("httpbin.org", None, [DIRECT_2019], "BYPASSED", {"EGL110"}),
        ("*.org", None, [DIRECT_2019], "BYPASSED", {"EGL110"}),
        ("org", None, [DIRECT_2019], "NO_EVIDENCE", {"EGL195"}),
    ],
)  # fmt: skip
def test_published_lines(
    desk: Desk, host: str, gateway: list[str] | None, sidecar: list[str] | None, verdict: str, codes: set[str]
) -> None:
    """Each has the verdict that its publisher gave it."""
    assert desk.one(host, gateway=gateway, sidecar=sidecar) == (verdict, codes)


def test_tunnel_through_a_corporate_proxy(desk: Desk) -> None:
    """The proxy has a private address; said to be outside, the SNI and not the cluster names the host (1.2)."""
    assert desk.one("external-app.corp.net", gateway=[TUNNEL], external=["192.168.56.0/24"]) == ("PROVEN", {"EGL102"})


def test_without_a_question_every_outside_host_gets_a_verdict(desk: Desk) -> None:
    """What has no name goes by its address."""
    found = desk.ask(gateway=[SNI_OUTER, SNI_INNER], sidecar=[SNI_SIDECAR, IBM, PASSTHROUGH, BLACKHOLE])
    assert [(one.host, one.verdict.value) for one in found] == [
        ("18.233.182.23", "BYPASSED"),
        ("cloud.ibm.com", "BYPASSED"),
        ("en.wikipedia.org", "PROVEN"),
        ("209.85.200.95", "BLOCKED"),
    ]
    assert {finding.code for finding in found[0].findings} == {"EGL118"}


INBOUND = line(
    **http(),
    upstream="10.244.1.15:8080",
    cluster="inbound|8080||",
    upstream_local="127.0.0.6:1",
    downstream_local=f"{POD}:8080",
    downstream_remote="10.244.3.3:1",
)  # type: ignore[arg-type]
REVIEWS = line(
    **http(authority="reviews:9080"), upstream="10.244.3.3:9080", cluster="outbound|9080||reviews.default.svc.cluster.local",
    upstream_local=f"{POD}:1", downstream_local="10.96.1.1:9080", downstream_remote=f"{POD}:2",
)  # type: ignore[arg-type]  # fmt: skip


def test_traffic_inside_the_cluster_is_no_matter(desk: Desk) -> None:
    """Neither what a pod is sent, nor what it sends to other services."""
    found = desk.ask(gateway=[OTHER], sidecar=[INBOUND, REVIEWS])
    assert [one.host for one in found] == ["other.example.com"]
    assert desk.one("reviews", gateway=[OTHER], sidecar=[INBOUND, REVIEWS]) == ("NO_EVIDENCE", {"EGL195"})


BYPASSES = {
    "EGL110": ([past(cluster="outbound|443||edition.cnn.com", sni="edition.cnn.com")], []),
    "EGL111": (
        [
            past(cluster="outbound|443||edition.cnn.com", sni="edition.cnn.com"),
            to_gateway(downstream_local=f"{OUTSIDE}:80"),
        ],
        [from_gateway()],
    ),
    "EGL112": ([past(pod="10.244.1.16", cluster="outbound|443||edition.cnn.com"), to_gateway()], [from_gateway()]),
    "EGL113": ([past(cluster="outbound|443||edition.cnn.com"), to_gateway(5)], [from_gateway(5)]),
    "EGL114": ([to_gateway(), past(5, cluster="outbound|443||edition.cnn.com")], [from_gateway()]),
    "EGL115": ([past(**http(), cluster="outbound|443||edition.cnn.com")], []),  # type: ignore[arg-type]
    "EGL116": ([past(sni="edition.cnn.com")], []),
    "EGL117": ([past(), to_gateway()], [from_gateway()]),
    "EGL119": (
        [past(**http(), cluster="AllowAnyDynamicDNSCluster", to=f"{OUTSIDE}:80", route="allow_any_dynamic_dns")],
        [],
    ),  # type: ignore[arg-type]
    "EGL120": ([past(cluster="InboundPassthroughCluster", sni="edition.cnn.com")], []),
    "EGL121": ([ARTICLE.replace("172.30.146.87", "-")], []),
}


@pytest.mark.parametrize(
    ("address", "named"), [("240.240.9.9:9443", "240.0.0.0/4"), ("[2001:2::f0f0:909]:9443", "2001:2::/48")]
)
def test_port_not_declared_names_the_range_of_the_address(desk: Desk, address: str, named: str) -> None:
    """Istio makes up addresses of IPv4 and of IPv6."""
    sidecar = [past(to=address, flags="UF,URX", sni="edition.cnn.com", upstream_local="-")]
    result = desk.ask("edition.cnn.com", sidecar=sidecar)
    (found,) = [finding for finding in result[0].findings if finding.code == "EGL149"]
    assert found.message.endswith(f"the port is not declared. The address is in {named}.")


@pytest.mark.parametrize("code", BYPASSES)
def test_bypass_and_its_likely_cause(desk: Desk, code: str) -> None:
    """Rows 5, 6 and 16; F5 to F7 and F28 to F30."""
    sidecar, gateway = BYPASSES[code]
    through = {"EGL100"} if gateway else set()
    assert desk.one("edition.cnn.com", gateway=[OTHER, *gateway], sidecar=sidecar) == ("BYPASSED", {code} | through)


FAILURES = {
    # Before the gateway: the sidecar's own word.
    "EGL140": (to_gateway(code=503, flags="NC", details="cluster_not_found", upstream="-", cluster="-", upstream_local="-"), None),
    "EGL141": (to_gateway(flags="UF,URX", reason="delayed_connect_error:_Connection_refused", upstream_local="-"), None),
    "EGL142": (to_gateway(flags="UF,URX", reason="connection_timeout", upstream_local="-"), None),
    "EGL143": (to_gateway(flags="UH", upstream="-", upstream_local="-"), None),
    "EGL144": (to_gateway(flags="UF,URX", reason="TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end", upstream_local="-"), None),
    "EGL146": (to_gateway(flags="UF,URX", upstream_local="-"), None),
    "EGL147": (line(**http(code=404, details="route_not_found"), flags="NR", downstream_local=f"{OUTSIDE}:80", downstream_remote=f"{POD}:5"), None),  # type: ignore[arg-type]
    "EGL148": (past(cluster="outbound|443||edition.cnn.com", flags="UF,URX", upstream_local="-"), None),
    "EGL149": (past(to="240.240.9.9:9443", flags="UF,URX", sni="edition.cnn.com", upstream_local="-"), None),
    "EGL166": (line(**http(code=400, details="direct_response"), downstream_local=f"{OUTSIDE}:80", downstream_remote=f"{POD}:5"), None),  # type: ignore[arg-type]
    "EGL145": (to_gateway(**http(code=503, details="upstream_reset_before_response_started{connection_termination}"), flags="UC"), None),
    # At the gateway.
    "EGL150": (to_gateway(**http(code=404)), from_gateway(**http(code=404, details="route_not_found"), flags="NR", upstream="-", cluster="-", upstream_local="-")),
    "EGL151": (None, from_gateway(**http(code=404, details="route_not_found", authority="edition.cnn.com:30923"), flags="NR", upstream="-", cluster="-", upstream_local="-")),
    "EGL152": (to_gateway(), from_gateway(flags="NR", details="filter_chain_not_found", upstream="-", cluster="-", upstream_local="-")),
    "EGL153": (to_gateway(), from_gateway(flags="NR", details="filter_chain_not_found", upstream="-", cluster="-", upstream_local="-", sni=f"outbound_.443_.cnn_.{GATEWAY_SERVICE}")),
    "EGL154": (to_gateway(), from_gateway(flags="NR", details="filter_chain_not_found", upstream="-", cluster="-", upstream_local="-", sni="-")),
    "EGL155": (to_gateway(), from_gateway(request="- - HTTP/1.1", code=400, flags="DPE", details="http1.codec_error", upstream="-", cluster="-", upstream_local="-", sni="-")),
    "EGL156": (to_gateway(), from_gateway(received=0, sent=0)),
    "EGL157": (to_gateway(), from_gateway(flags="UF,URX", reason="delayed_connect_error:_Connection_refused", upstream_local="-")),
    "EGL158": (to_gateway(), from_gateway(flags="UF,URX", details="upstream_reset_before_response_started{connection_timeout}", upstream_local="-")),
    "EGL159": (to_gateway(), from_gateway(flags="UH", upstream="-", upstream_local="-")),
    "EGL160": (to_gateway(**http(code=503)), from_gateway(**http(code=503, details="upstream_reset_before_response_started{connection_termination}"), flags="UC")),
    "EGL161": (to_gateway(**http(code=503)), from_gateway(**http(code=503, details="upstream_reset_before_response_started{connection_termination}"), flags="UC", cluster="outbound|80||edition.cnn.com")),
    "EGL162": (to_gateway(), from_gateway(flags="UF,URX", reason="TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end", upstream_local="-")),
    "EGL163": (to_gateway(**http(code=504)), from_gateway(**http(code=504, details="response_timeout"), flags="UT")),
    "EGL164": (to_gateway(**http(code=503)), from_gateway(**http(code=503, details="cluster_not_found"), flags="NC", upstream="-", cluster="-", upstream_local="-")),
    "EGL165": (to_gateway(**http(code=503)), from_gateway(**http(code=503, details="upstream_reset_before_response_started{overflow}"), flags="UO")),
}  # fmt: skip


@pytest.mark.parametrize("code", FAILURES)
def test_failure_and_its_cause(desk: Desk, code: str) -> None:
    """Rows 3 and 9 to 11, and the failures that lines can tell."""
    sidecar, gateway = FAILURES[code]
    found = desk.ask(
        gateway=[OTHER, *([gateway] if gateway else []), LATER],
        sidecar=[to_gateway(0, 39999, host="other.example.com"), *([sidecar] if sidecar else [])],
    )
    named = {one.host: one for one in found}
    assert "edition.cnn.com" in named, [one.host for one in found]
    one = named["edition.cnn.com"]
    assert (one.verdict, [finding.code for finding in one.findings]) == (Verdict.FAILED, [code])
    assert found.answer() is False


def reset(code: int, flags: str, details: str, sent: int = 240) -> dict[str, object]:
    """What makes a line one of an HTTP exchange that did not end as usual."""
    return {**http(code=code, details=details), "flags": flags, "sent": sent, "cluster": "outbound|80||edition.cnn.com"}


# Flags of what the upstream had begun to answer (a real Envoy 1.40 wrote all but the last two).
ANSWERED = {
    "tcp-retried": {"flags": "UF", "reason": "delayed_connect_error:_Connection_refused"},
    "tcp-attempts-used-up": {"flags": "UF,URX"},
    "http-retried-then-reset": reset(200, "UF,UPE", "upstream_reset_after_response_started{protocol_error}"),
    "reset": reset(200, "UPE", "upstream_reset_after_response_started{protocol_error}", 0),
    "idle": reset(200, "SI", "stream_idle_timeout"),
    "route-timeout": reset(200, "UT", "response_timeout"),
    "duration": reset(500, "DT", "max_duration_timeout"),
    "websocket": reset(404, "-", "websocket_handshake_unsuccessful", 10),
}


@pytest.mark.parametrize("kind", ANSWERED)
def test_flags_do_not_undo_what_the_upstream_answered(desk: Desk, kind: str) -> None:
    """Bytes both ways, or a response that began: it left, past the gateway or through it."""
    values = ANSWERED[kind]
    healthy = {"gateway": [OTHER, from_gateway(9, 40009)], "sidecar": [to_gateway(9, 40009)]}
    left = past(**{"sni": "edition.cnn.com", **values, "cluster": "PassthroughCluster"})
    assert desk.one("edition.cnn.com", **{**healthy, "sidecar": [*healthy["sidecar"], left]})[0] == "BYPASSED"
    assert desk.one("edition.cnn.com", gateway=[from_gateway(**values)]) == ("PROVEN", {"EGL101"})


# What Envoy itself answers: by time without a response, and to gRPC with code 200 and no body.
NOT_ANSWERED = {
    "tcp-nothing-came-back": {"flags": "UF", "sent": 0},
    "idle-408": reset(408, "SI", "stream_idle_timeout", 14),
    "route-timeout-504": reset(504, "UT", "response_timeout", 24),
    "grpc-local-reply": reset(200, "UT", "response_timeout", 0),
    "grpc-local-reply-of-old-formats": reset(200, "UT", "-", 0),
    "http-retried-and-refused": reset(503, "URX,UF", "upstream_reset_before_response_started{remote_connection_failure}"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOT_ANSWERED)
def test_what_envoy_answers_is_no_proof(desk: Desk, kind: str) -> None:
    """The same flags without an answer of the upstream."""
    (one,) = desk.ask("edition.cnn.com", gateway=[from_gateway(**NOT_ANSWERED[kind])])
    assert one.verdict == Verdict.FAILED


def test_a_connection_without_a_code_may_be_an_answer_of_envoy(desk: Desk) -> None:
    """A format without codes and methods: bytes both ways beside UF are a bypass at a sidecar, and no proof."""
    form = "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_HOST% %UPSTREAM_CLUSTER%"
    text = f"UF 10 95 {OUTSIDE}:80 outbound|80||edition.cnn.com"
    log = egresslog.read(write_log(desk.folder / "custom.log", [text]), format=form)
    assert egresslog.verify("edition.cnn.com", gateway=log)[0].verdict == Verdict.SENT_UNCONFIRMED
    assert egresslog.verify("edition.cnn.com", sidecars=log)[0].verdict == Verdict.BYPASSED


def test_a_reset_after_the_gateway_answered_is_not_its_refusal(desk: Desk) -> None:
    """EGL145 is about connections that the gateway closed without an answer."""
    late = to_gateway(5, **{**reset(200, "UPE", "upstream_reset_after_response_started{protocol_error}"), "cluster": f"outbound|80|cnn|{GATEWAY_SERVICE}"})  # fmt: skip
    assert desk.one("edition.cnn.com", gateway=[OTHER, LATER], sidecar=[late]) == ("SENT_UNCONFIRMED", {"EGL183"})


REFUSALS = {
    "EGL170": past(
        cluster="BlackHoleCluster",
        flags="UH",
        sni="edition.cnn.com",
        to="-",
        upstream_local="-",
        downstream_local=f"{OUTSIDE}:443",
    ),
    "EGL171": line(
        **http(code=502, details="direct_response"),
        downstream_local=f"{OUTSIDE}:80",
        downstream_remote=f"{POD}:5",
        route="block_all",
    ),  # type: ignore[arg-type]
    "EGL172": to_gateway(
        **http(code=403, details="rbac_access_denied_matched_policy[none]"), upstream="-", upstream_local="-"
    ),
    "EGL173": past(flags="UF,URX", sni="edition.cnn.com", upstream_local="-", reason="connection_timeout"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_refusals(desk: Desk, code: str) -> None:
    """Rows 8 and 12; RBAC anywhere is somebody's decision."""
    other = to_gateway(0, 39999, host="other.example.com")
    found = desk.ask("edition.cnn.com", gateway=[OTHER], sidecar=[other, REFUSALS[code]])
    assert (found[0].verdict, [finding.code for finding in found[0].findings]) == (Verdict.BLOCKED, [code])
    assert found.answer() is False
    assert found.answer(Verdict.BLOCKED) is True


def test_loop_and_inside_addresses_are_misrouted(desk: Desk) -> None:
    """Row 15: the gateway's upstream is itself, or an address of the cluster."""
    itself = from_gateway(upstream=f"{GATEWAY}:8443")
    inside = from_gateway(upstream="10.244.7.7:443")
    assert desk.one("edition.cnn.com", gateway=[itself], sidecar=[to_gateway()]) == ("MISROUTED", {"EGL130"})
    assert desk.one("edition.cnn.com", gateway=[inside], sidecar=[to_gateway()]) == ("MISROUTED", {"EGL131"})
    assert (
        desk.one("edition.cnn.com", gateway=[inside], sidecar=[to_gateway()], external=["10.244.7.0/24"])[0] == "PROVEN"
    )


UNCONFIRMED = {
    "EGL180": ([to_gateway()], None),
    "EGL181": ([to_gateway(700)], [OTHER, LATER]),
    "EGL182": ([to_gateway(5, gateway="10.244.2.21")], [OTHER, LATER]),
    "EGL183": ([to_gateway(5)], [OTHER, LATER]),
    "EGL184": ([to_gateway(**http(code=0, details="downstream_remote_disconnect"), flags="DC")], [OTHER, LATER]),
    "EGL185": ([to_gateway()], [from_gateway(sent=0)]),
    "EGL186": ([to_gateway(**http())], [from_gateway(**http(), cluster="outbound|80||somebody.example.com")]),
    "EGL187": ([to_gateway(**http(), upstream_local="-")], [OTHER, LATER]),
    "EGL188": ([to_gateway(5)], [OTHER, from_gateway(5, pod="10.0.0.7"), LATER]),
    "EGL189": ([past(cluster="outbound|443||edition.cnn.com", to="10.1.2.3:443")], [OTHER]),
    "EGL190": ([to_gateway(agent='x" "y')], [OTHER]),
    "EGL197": ([to_gateway(cluster="outbound|443|cnn|way-out.infra.svc.cluster.local")], None),
}


@pytest.mark.parametrize("code", UNCONFIRMED)
def test_what_cannot_be_told_says_why(desk: Desk, code: str) -> None:
    """Row 4 and 1.5: neither a failure nor a pass."""
    sidecar, gateway = UNCONFIRMED[code]
    named = [to_gateway(0, 39999, host="other.example.com")] if gateway else []
    found = desk.ask("edition.cnn.com", gateway=gateway, sidecar=[*named, *sidecar])
    (one,) = found
    assert one.counts[Verdict.SENT_UNCONFIRMED] == 1
    also = {"EGL101"} if code == "EGL188" else set()
    assert {finding.code for finding in one.findings} == {code} | also
    if code != "EGL188":  # the gateway's line alone is a proof of its own
        assert one.verdict == Verdict.SENT_UNCONFIRMED
        assert found.answer() is None
        assert found.answer(Verdict.BLOCKED) is None


def test_service_named_in_full_or_short(desk: Desk) -> None:
    """--gateway-service takes the first labels of the name; a part of a label is none."""
    for name, code in (
        (GATEWAY_SERVICE, "EGL180"),
        ("istio-egressgateway.istio-system", "EGL180"),
        ("istio-egress", "EGL197"),
    ):
        _, codes = desk.one("edition.cnn.com", sidecar=[to_gateway()], gateway_service=[name])
        assert code in codes
    assert desk.one("edition.cnn.com", sidecar=[to_gateway()], gateway_ip=[GATEWAY])[1] == {"EGL180"}


def test_a_gateway_that_lets_traffic_in_as_well(desk: Desk) -> None:
    """Requests from outside to a service of the cluster are no outside host's; asked for by name, they are told."""
    ingress = from_gateway(
        **http(authority="shop.example.com"),
        pod="203.0.113.50",
        upstream="10.244.3.3:8080",
        cluster="outbound|80||shop.default.svc.cluster.local",
    )
    found = desk.ask(gateway=[from_gateway(), ingress])
    assert [one.host for one in found] == ["edition.cnn.com"]
    assert {finding.code for finding in found.findings} == {"EGL194"}
    assert desk.one("*", gateway=[from_gateway(), ingress])[0] == "PROVEN"
    hairpin = ingress.replace(
        "203.0.113.50", POD
    )  # from a pod: a way back into the cluster, or a NAT before the gateway
    assert desk.one("shop.example.com", gateway=[hairpin]) == ("MISROUTED", {"EGL131"})
    assert {finding.code for finding in desk.ask(gateway=[from_gateway(), hairpin]).findings} == {"EGL131", "EGL194"}


def test_requests_that_share_a_connection_are_judged_one_by_one(desk: Desk) -> None:
    """The sidecar logs the connection, the gateway its requests: a loop among them is not hidden by a proof."""
    shared = {"sni": "-", "cluster": "outbound|80||a.example.com"}
    requests = [
        from_gateway(0, **{**http(authority="a.example.com"), **shared}),
        from_gateway(
            1,
            **{**http(authority="b.example.com"), **shared, "cluster": "outbound|80||b.example.com"},
            upstream=f"{GATEWAY}:8443",
        ),
    ]
    found = desk.ask(gateway=requests, sidecar=[to_gateway(0, host="-", duration=60_000)])
    assert [(one.host, one.verdict.value) for one in found] == [
        ("b.example.com", "MISROUTED"),
        ("a.example.com", "PROVEN"),
    ]


def test_another_gateway_without_a_log_is_told(desk: Desk) -> None:
    """Without a question: what went to a service that may be a gateway counts for no host, and is not hidden."""
    other = to_gateway(
        5, gateway="10.3.3.3", host="bank.com", cluster="outbound|443|b|egress-b.istio-b.svc.cluster.local"
    )
    found = desk.ask(gateway=[from_gateway()], sidecar=[to_gateway(), other])
    assert [one.host for one in found] == ["edition.cnn.com"]
    assert {finding.code for finding in found.findings} == {"EGL197"}


OUTSIDE_ENDPOINTS = {
    "east-west-port": "outbound|443||cnn.tenant.svc.cluster.local",
    "gateway-name-in-another-namespace": "outbound|443||istio-egressgateway.tenant.svc.cluster.local",
    "gateway-service-itself": f"outbound|443|cnn|{GATEWAY_SERVICE}",
}


@pytest.mark.parametrize("kind", OUTSIDE_ENDPOINTS)
def test_a_services_name_excuses_no_outside_address(desk: Desk, kind: str) -> None:
    """A tenant may name a Service as the gateway's, and give it outside endpoints, on the mesh's own ports as well."""
    logs = {"gateway": [from_gateway()], "sidecar": [to_gateway()]}
    for port in (443, 15443, 15008):
        direct = past(2, to=f"203.0.113.9:{port}", cluster=OUTSIDE_ENDPOINTS[kind], sni="edition.cnn.com")
        direct = direct.replace(f" 203.0.113.9:{port} ", " 10.96.5.5:443 ")
        (one,) = desk.ask("edition.cnn.com", **{**logs, "sidecar": [to_gateway(), direct]})
        assert one.verdict == Verdict.BYPASSED
        unanswered = direct.replace('"- - -" 0 - -', '"- - -" 0 UF,URX -').replace("700 5000", "0 0")
        (one,) = desk.ask("edition.cnn.com", **{**logs, "sidecar": [to_gateway(), unanswered]})
        assert one.verdict == Verdict.PROVEN


def test_a_service_with_the_gateway_and_an_outside_endpoint(desk: Desk) -> None:
    """One of its connections shows the gateway's address; the other one's address decides about itself."""
    relay = "outbound|443||relay.tenant.svc.cluster.local"
    sidecar = [to_gateway(cluster=relay), past(2, to="203.0.113.9:443", cluster=relay, sni="edition.cnn.com")]
    assert desk.one("edition.cnn.com", gateway=[from_gateway()], sidecar=sidecar)[0] == "BYPASSED"
    assert desk.one("edition.cnn.com", gateway=[from_gateway()], sidecar=sidecar[:1]) == ("PROVEN", {"EGL100"})


def test_many_names_take_linear_time(desk: Desk, no_hang: None) -> None:
    """A scanner's 30,000 hosts, and a wildcard that takes all of them."""
    names = [past(sni=f"h{number}.example.com") for number in range(30_000)]
    (one,) = desk.ask("*.example.com", sidecar=names)
    assert one.counts == {Verdict.BYPASSED: 30_000}


def test_many_hosts_and_many_names_take_linear_time(desk: Desk, no_hang: None) -> None:
    """10,000 hosts and addresses are asked about, and a scanner called 20,000 others."""
    names = [past(sni=f"h{number}.example.com") for number in range(20_000)]
    asked = [*(f"h{number}.example.com" for number in range(19_999, 29_000)), "151.101.0.1", "::ffff:151.101.0.2/128"]
    found = desk.ask(*asked, sidecar=[*names, past(to="151.101.0.2:443")])
    assert {one.host for one in found if one.verdict == Verdict.BYPASSED} == {
        "h19999.example.com", "::ffff:151.101.0.2/128",
    }  # fmt: skip


# Forged evidence.
FORGED = from_gateway(
    **http(code=503, details="upstream_reset_before_response_started{remote_connection_failure}"), flags="UF", upstream_local="-", upstream="10.9.9.9:1", cluster="outbound|80||harmless.example.com",
    agent=f'x" "id" "edition.cnn.com" "{OUTSIDE}:443" outbound|443||edition.cnn.com {GATEWAY}:1 {GATEWAY}:8443 {POD}:40000 edition.cnn.com - "',
)  # fmt: skip


def test_forged_lines_prove_nothing(desk: Desk) -> None:
    """A user agent with a whole tail of a line in it: neither proven nor paired, and reported."""
    found = desk.ask("edition.cnn.com", gateway=[FORGED], sidecar=[to_gateway()])
    assert found[0].verdict != Verdict.PROVEN
    assert Verdict.PROVEN not in found[0].counts
    assert found.answer() is None


def test_ambiguous_lines_accuse_all_the_same(desk: Desk) -> None:
    """A client cannot hide a bypass behind a quote in its user agent: what Envoy wrote at the line's end counts."""
    hidden = past(**http(authority="-"), agent='x" "y', cluster="outbound|80||edition.cnn.com", to=f"{OUTSIDE}:80")  # type: ignore[arg-type]
    assert desk.one("edition.cnn.com", sidecar=[hidden])[0] == "BYPASSED"


def test_a_sidecars_log_is_no_gateways(desk: Desk) -> None:
    """Given as the wrong hop, lines are left out and named; a direct line must not become a proof."""
    direct = past(cluster="outbound|443||edition.cnn.com", sni="edition.cnn.com")
    found = desk.ask("edition.cnn.com", gateway=[direct, DIRECT_2019, to_gateway()])
    assert found[0].verdict == Verdict.NO_EVIDENCE
    assert {finding.code for finding in found.findings} >= {"EGL192", "EGL194"}
    found = desk.ask("edition.cnn.com", sidecar=[from_gateway()])
    assert found[0].verdict == Verdict.NO_EVIDENCE
    assert [(finding.code, finding.evidence[0].line) for finding in found.findings] == [("EGL193", from_gateway())]


def test_authority_alone_neither_clears_nor_hides(desk: Desk) -> None:
    """1.6: the Host header is the client's. Sent to a known address under another name, it is a bypass by address."""
    spoofed = past(2, **http(authority="harmless.example.com"), to=f"{OUTSIDE}:80")  # type: ignore[arg-type]
    found = desk.ask(
        "edition.cnn.com", "harmless.example.com", gateway=[from_gateway()], sidecar=[to_gateway(), spoofed]
    )
    assert [(one.verdict.value, {finding.code for finding in one.findings}) for one in found] == [
        ("BYPASSED", {"EGL100", "EGL117"}),
        ("BYPASSED", {"EGL116"}),
    ]


def test_another_declared_host_on_the_same_address_is_a_warning(desk: Desk) -> None:
    """Shared addresses are normal: no verdict hangs on them where the mesh knows the other host."""
    neighbour = past(cluster="outbound|443||neighbour.example.com", sni="neighbour.example.com")
    assert desk.one("edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway(), neighbour]) == (
        "PROVEN",
        {"EGL100", "EGL199"},
    )


def test_nameless_bypass_is_counted_apart_and_always_reported(desk: Desk) -> None:
    """Row 7: no name, an address nobody knows."""
    found = desk.ask("edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway(), PASSTHROUGH])
    assert found[0].verdict == Verdict.PROVEN
    (beside,) = found.findings
    assert (beside.code, beside.count, beside.evidence[0].line) == ("EGL118", 1, PASSTHROUGH)


def test_a_nameless_bypass_names_the_likely_host(desk: Desk) -> None:
    """The same pod reached the address by a name in another connection; no other pod's, and nothing that is no name."""
    nameless = past(3, to="203.0.113.7:443")
    named = past(2, to="203.0.113.7:443", sni="cdn.example.com")
    for others, likely in (
        ([named], True),
        ([named.replace(POD, "10.244.1.16")], False),
        ([past(2, to="203.0.113.8:443", sni="cdn.example.com")], False),
        ([past(2, to="203.0.113.7:443", sni="\x1b[31mcdn.example.com")], False),
    ):
        found = desk.ask("edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway(), nameless, *others])
        (beside,) = [finding for finding in found.findings if finding.code == "EGL118"]
        assert ("Likely cdn.example.com:" in beside.message) is likely
        assert ("\x1b" in beside.message) is False


# Pairing.
def test_repeated_requests_on_one_connection_pair_one_to_one(desk: Desk) -> None:
    """Keep-alive: the tuple names the connection; equal requests pair in the order of time."""
    sidecar = [to_gateway(number, **http()) for number in range(5)]
    gateway = [from_gateway(number + 0.001, **http()) for number in range(5)]
    (one,) = desk.ask("edition.cnn.com", gateway=gateway, sidecar=sidecar)
    frame = one.to_pandas()
    assert list(frame["paired_by"]) == ["tuple"] * 5
    assert [(row.sidecar_line_number, row.gateway_line_number) for row in frame.itertuples()] == [
        (n, n) for n in range(1, 6)
    ]


def test_log_that_begins_in_the_midst_of_equal_requests(desk: Desk) -> None:
    """The gateway's log covers the last two of five requests: those pair, the others lie outside its window."""
    sidecar = [to_gateway(10 * number, **http()) for number in range(5)]
    gateway = [from_gateway(10 * number + 0.002, **http()) for number in (3, 4)]
    (one,) = desk.ask("edition.cnn.com", gateway=gateway, sidecar=sidecar)
    assert one.counts == {Verdict.PROVEN: 2, Verdict.SENT_UNCONFIRMED: 3}
    assert {finding.code for finding in one.findings} == {"EGL100", "EGL181"}


def test_a_port_used_again_is_another_connection(desk: Desk) -> None:
    """The tuple alone would join a connection with one that came much later."""
    (one,) = desk.ask("edition.cnn.com", gateway=[OTHER, from_gateway(60), LATER], sidecar=[to_gateway(0)])
    assert one.counts == {Verdict.PROVEN: 1, Verdict.SENT_UNCONFIRMED: 1}


def test_clocks_may_differ_by_seconds(desk: Desk) -> None:
    """The gateway's node is three seconds behind."""
    assert desk.one("edition.cnn.com", gateway=[from_gateway(0)], sidecar=[to_gateway(3)]) == ("PROVEN", {"EGL100"})


def test_retries_are_one_case(desk: Desk) -> None:
    """The sidecar's address is that of its last attempt; earlier ones came by another connection of the pod."""
    gateway = [
        from_gateway(
            0.01,
            40001,
            **http(code=503, details="upstream_reset_before_response_started{connection_termination}"),
            flags="UC",
        ),
        from_gateway(0.05, 40002, **http()),
    ]
    (one,) = desk.ask("edition.cnn.com", gateway=gateway, sidecar=[to_gateway(0, 40002, **http())])
    assert one.counts == {Verdict.PROVEN: 1}


def test_request_ids_are_no_key(desk: Desk) -> None:
    """From Istio 1.25 the gateway writes new ones: equal ids of other tuples do not pair, different ids of one do."""
    request = '"8f994aee-0000-4000-8000-000000000000"'
    sidecar = to_gateway(**http()).replace('"-" "edition', f'{request} "edition')
    same_id = from_gateway(0, 47777, pod="10.9.9.9", **http()).replace('"-" "edition', f'{request} "edition')
    (one,) = desk.ask("edition.cnn.com", gateway=[from_gateway(0.001, **http()), same_id], sidecar=[sidecar])
    assert one.counts == {Verdict.PROVEN: 2}
    assert {finding.code: finding.count for finding in one.findings} == {"EGL100": 1, "EGL101": 1}


@pytest.mark.parametrize(("sidecar", "gateway", "cases"), [
    ([to_gateway(0, duration=60_000)], [from_gateway(n, **http(f"/{n}")) for n in range(3)], 3),
    ([to_gateway(n, **http(f"/{n}")) for n in range(3)], [from_gateway(0, duration=60_000)], 3),
])  # fmt: skip
def test_one_hop_reads_http_and_the_other_a_connection(
    desk: Desk, sidecar: list[str], gateway: list[str], cases: int
) -> None:
    """TLS that the gateway ends, or that the sidecar begins: requests belong to the connection they came by."""
    (one,) = desk.ask("edition.cnn.com", gateway=gateway, sidecar=sidecar)
    assert one.counts == {Verdict.PROVEN: cases}
    assert {finding.code for finding in one.findings} == {"EGL100"}


def test_replicas_and_many_sidecars(desk: Desk) -> None:
    """300 pods, 3 gateways, the same ports everywhere: each connection finds its own other end."""
    sidecar, gateway = [], []
    for pod in range(300):
        for replica in range(3):
            where = {
                "pod": f"10.244.{pod // 200}.{pod % 200 + 1}",
                "gateway": f"10.244.2.2{replica}",
                "sent": 5000 + pod,
            }
            sidecar.append(to_gateway(1, 40000, **where))
            gateway.append(from_gateway(1.001, 40000, **where))
    (one,) = desk.ask("edition.cnn.com", gateway=gateway[::-1], sidecar=sidecar)
    assert one.counts == {Verdict.PROVEN: 900}
    frame = one.to_pandas()
    own = frame["sidecar_line"].str.extract(r" 700 (\d+) ")[0]
    assert (own == frame["gateway_line"].str.extract(r" 700 (\d+) ")[0]).all()


EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 30), st.integers(0, 3)), max_size=60
).map(lambda rows: [
    Event(group, sidecar, number, start * 10**9, (start + lasts) * 10**9)
    for number, (group, sidecar, start, lasts) in enumerate(sorted(rows, key=lambda row: (row[0], row[2], not row[1])))
])  # fmt: skip


@given(EVENTS)
def test_matches_are_one_to_one_and_in_time(events: list[Event]) -> None:
    """No record is used twice, both are of one key, and the gateway's begins within the sidecar's."""
    pairs = list(match([events[:7], events[7:]]))
    by_id = {event.id: event for event in events}
    assert len({sid for sid, _ in pairs}) == len({gid for _, gid in pairs}) == len(pairs)
    for sid, gid in pairs:
        sidecar, gateway = by_id[sid], by_id[gid]
        assert sidecar.is_sidecar
        assert not gateway.is_sidecar
        assert sidecar.group == gateway.group
        assert sidecar.start_ns - SKEW <= gateway.start_ns <= sidecar.end_ns + SKEW


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30, unique=True), st.integers(-900, 900))
def test_complete_logs_match_completely(starts: list[int], skew: int) -> None:
    """Whatever the rate, and with clocks that differ by less than a second, nothing is left over."""
    made = [
        Event(
            0,
            sidecar,
            2 * start + (not sidecar),
            start * 10**9 + (0 if sidecar else skew * 10**6),
            start * 10**9 + 10**8,
        )
        for start in starts
        for sidecar in (True, False)
    ]
    assert len(list(match([sorted(made, key=lambda event: (event.start_ns, not event.is_sidecar))]))) == len(starts)


# What an independent review tried, and must not work again.
NAMELESS = past(2, to="203.0.113.7:443")


@pytest.mark.parametrize("name", ["x", "a.svc.cluster.local", "reviews", "eu-mediap.svc.ms"])
def test_no_name_hides_a_bypass(desk: Desk, name: str) -> None:
    """A client can call itself like a service of the cluster; the address is outside all the same."""
    found = desk.ask(gateway=[from_gateway()], sidecar=[to_gateway(), past(2, to="203.0.113.7:443", sni=name)])
    assert [(one.host, one.verdict.value) for one in found] == [(name, "BYPASSED"), ("edition.cnn.com", "PROVEN")]


def test_ambiguous_lines_are_not_lost_as_inbound(desk: Desk) -> None:
    """An SNI with a whole tail in it (old proxies hand on any): the line is nobody's inbound traffic."""
    tail = f'edition.cnn.com" "{OUTSIDE}:443" inbound|80|| 127.0.0.1:1 10.1.1.1:80 10.1.1.9:3 edition.cnn.com'
    assert (
        desk.one("edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway(), past(2, sni=tail)])[0]
        == "BYPASSED"
    )


def test_ambiguous_bypass_is_about_every_host_it_names(desk: Desk) -> None:
    """The authority cannot be told from the forgery; the host that is asked for stands in the line."""
    hidden = past(**http(), to="203.0.113.7:80", agent='x" "r" "y" "z')  # type: ignore[arg-type]
    assert desk.one("edition.cnn.com", sidecar=[hidden])[0] == "BYPASSED"
    assert desk.one("*.cnn.com", sidecar=[hidden])[0] == "BYPASSED"
    assert desk.one("other.example.com", sidecar=[hidden])[0] == "NO_EVIDENCE"


def test_a_window_does_not_forget_the_hosts_addresses(desk: Desk) -> None:
    """The gateway used the address before --since; a nameless bypass after it is still one of this host."""
    logs = {
        "gateway": [from_gateway(0), from_gateway(60, 40001, upstream="151.101.129.67:443")],
        "sidecar": [to_gateway(0), to_gateway(60, 40001), past(61)],
    }
    assert desk.one("edition.cnn.com", **logs, since=at(30))[0] == "BYPASSED"
    assert desk.one("edition.cnn.com", **logs, source=[POD])[0] == "BYPASSED"


def test_a_service_entry_with_the_gateway_as_endpoint_is_no_gateway_service(desk: Desk) -> None:
    """Its name is the host's own: the direct line to an outside address stays a bypass."""
    through = to_gateway(cluster="outbound|443||edition.cnn.com")
    direct = past(2, cluster="outbound|443||edition.cnn.com", sni="edition.cnn.com", pod="10.244.1.16")
    assert desk.one("edition.cnn.com", gateway=[from_gateway()], sidecar=[through, direct])[0] == "BYPASSED"


@pytest.mark.parametrize(("change", "code"), [
    ({"flags": "UF,URX", "reason": "delayed_connect_error:_Connection_refused", "upstream_local": "-"}, "EGL141"),
    ({"flags": "UH", "upstream": "-", "upstream_local": "-"}, "EGL143"),
    ({"sent": 4000}, "EGL182"),
])  # fmt: skip
def test_a_replica_whose_log_is_missing_does_not_hide_its_failures(
    desk: Desk, change: dict[str, object], code: str
) -> None:
    """Only the other replica's log was read, and no line of a sidecar shows its service."""
    found = desk.ask(
        "edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway(2, gateway="10.244.2.21", **change)]
    )
    assert code in {finding.code for finding in found[0].findings}
    unknown = {**change, "cluster": "outbound|443|cnn|way-out.infra.svc.cluster.local"}
    found = desk.ask(
        "edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway(2, gateway="10.244.2.21", **unknown)]
    )
    assert "EGL197" in {finding.code for finding in found[0].findings}


def test_a_sidecars_line_with_a_made_up_address_is_no_gateways(desk: Desk) -> None:
    """DNS proxying and an X-Forwarded-For of the application hide the pod's address; the VIP tells."""
    posing = past(
        **http(),
        cluster="outbound|80||edition.cnn.com",
        to=f"{OUTSIDE}:80",
        downstream_local="240.240.0.5:80",
        downstream_remote="1.2.3.4:0",
        forwarded="1.2.3.4",
    )  # type: ignore[arg-type]
    assert desk.one("edition.cnn.com", gateway=[posing]) == ("NO_EVIDENCE", {"EGL195"})


@pytest.mark.parametrize(("form", "text", "verdict"), [
    ("%REQ(:METHOD)% %REQ(:AUTHORITY)% %RESPONSE_CODE% %UPSTREAM_HOST%", f"GET edition.cnn.com 503 {OUTSIDE}:443", "SENT_UNCONFIRMED"),
    ("%REQ(:METHOD)% %REQ(:AUTHORITY)% %RESPONSE_CODE% %UPSTREAM_HOST%", f"GET edition.cnn.com 200 {OUTSIDE}:443", "PROVEN"),
    ("%REQ(:AUTHORITY)% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_HOST%", f"edition.cnn.com 503 UC 10 95 {OUTSIDE}:443", "FAILED"),
    ("%REQ(:AUTHORITY)% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_HOST%", f"edition.cnn.com 504 UT,DC 10 95 {OUTSIDE}:443", "FAILED"),
])  # fmt: skip
def test_custom_formats_prove_only_what_they_print(desk: Desk, form: str, text: str, verdict: str) -> None:
    """HTTP without a method is no TCP; a code from 400 without flags and details may be Envoy's own."""
    log = egresslog.read(write_log(desk.folder / "gateway.log", [text]), format=form)
    assert egresslog.verify("edition.cnn.com", gateway=log)[0].verdict == verdict


@pytest.mark.parametrize(("form", "text"), [
    ("%REQ(:AUTHORITY)% %RESPONSE_CODE% %UPSTREAM_CLUSTER%", "edition.cnn.com 200 PassthroughCluster"),
    ("%REQ(:AUTHORITY)% %RESPONSE_CODE% %UPSTREAM_CLUSTER%", "edition.cnn.com 200 outbound|80||edition.cnn.com"),
])  # fmt: skip
def test_a_bypass_in_a_format_without_addresses(desk: Desk, form: str, text: str) -> None:
    """The cluster alone says that it went past the gateway."""
    log = egresslog.read(write_log(desk.folder / "sidecar.log", [text]), format=form)
    assert egresslog.verify("edition.cnn.com", sidecars=log)[0].verdict == Verdict.BYPASSED


def test_names_that_clients_write_prove_no_other_host(desk: Desk) -> None:
    """The SNI of opaque TCP, the hop's SNI of an HTTP request, a cluster by another name: none clears bank.com."""
    opaque = to_gateway(cluster=f"outbound|1521|ora|{GATEWAY_SERVICE}", host="bank.com")
    oracle = from_gateway(cluster="outbound|1521||my.oracle.instance.com", sni="-")
    assert desk.one("bank.com", gateway=[oracle], sidecar=[opaque]) == ("SENT_UNCONFIRMED", {"EGL186"})
    for cluster, authority in (("outbound|80||*.com", "evil.com"), ("other.com_80", "bank.com")):
        line_of = from_gateway(**{**http(authority=authority), "sni": "bank.com"}, cluster=cluster)
        assert desk.one("bank.com", gateway=[line_of])[0] == "SENT_UNCONFIRMED"


def test_any_host_is_every_host(desk: Desk) -> None:
    """`*` takes what has no name, too."""
    assert desk.one("*", gateway=[from_gateway()], sidecar=[to_gateway(), NAMELESS])[0] == "BYPASSED"


def test_silence_where_nothing_was_read_is_no_answer(desk: Desk) -> None:
    """--expect NO_EVIDENCE needs lines of the time that is asked about; a log of rejects is none."""
    assert desk.ask("nobody.test", gateway=[OTHER], since="2030-01-01T00:00:00Z").answer(Verdict.NO_EVIDENCE) is None
    assert desk.ask("nobody.test", gateway=[OTHER]).answer(Verdict.NO_EVIDENCE) is True
    broken = ["[2026-11-01T12:00:00.000Z] edition.cnn.com PassthroughCluster"] * 3
    assert desk.ask("edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway(), *broken]).answer() is None


def test_numbers_and_times_at_the_edge(desk: Desk) -> None:
    """Durations of centuries and years at the end of time neither overflow nor crash."""
    for duration in (7_456_144_835_854, 10**17):
        assert (
            desk.one(
                "edition.cnn.com", gateway=[from_gateway(duration=duration)], sidecar=[to_gateway(duration=duration)]
            )[0]
            == "PROVEN"
        )
    late = [text.replace("2026-11-01", "2261-11-01") for text in (from_gateway(), to_gateway())]
    assert desk.one("edition.cnn.com", gateway=late[:1], sidecar=late[1:])[0] == "PROVEN"


def test_many_connections_of_the_sni_proxy_at_once(desk: Desk, no_hang: None) -> None:
    """In one millisecond, with equal bytes and times: each outer line has an inner one, in linear time."""
    sidecar, gateway = [], []
    for number in range(5000):
        sidecar.append(SNI_SIDECAR.replace(":55102", f":{10000 + number}"))
        gateway += [SNI_OUTER.replace(":55102", f":{10000 + number}"), SNI_INNER]
    (one,) = desk.ask("en.wikipedia.org", gateway=gateway, sidecar=sidecar)
    assert one.counts == {Verdict.PROVEN: 5000}
    (alone,) = desk.ask("en.wikipedia.org", gateway=gateway)
    assert alone.counts == {Verdict.PROVEN: 5000}


def test_waypoint_with_an_outside_vip(desk: Desk) -> None:
    """An ambient waypoint is addressed by the host's VIP, which may be a public address."""
    public = WAYPOINT.replace("240.240.0.4:80", "93.184.216.34:80")
    assert desk.one("httpbin.org", gateway=[public]) == ("PROVEN", {"EGL101"})


def test_rbac_of_tcp(desk: Desk) -> None:
    """For TCP the reason stands in the connection's termination details."""
    refused = from_gateway(sent=0).replace(' 0 - - - "-"', ' 0 - - rbac_access_denied_matched_policy[none] "-"')
    assert desk.one("edition.cnn.com", gateway=[refused], sidecar=[to_gateway()]) == ("BLOCKED", {"EGL172"})


def test_passthrough_to_an_inside_address_is_told(desk: Desk) -> None:
    """It may be on-premises: --external decides."""
    intranet = past(to="10.1.2.3:443", sni="intranet.corp.example")
    assert desk.one("intranet.corp.example", sidecar=[intranet]) == ("SENT_UNCONFIRMED", {"EGL189"})
    assert desk.one("intranet.corp.example", sidecar=[intranet], external=["10.1.0.0/16"]) == ("BYPASSED", {"EGL116"})


def test_a_wildcard_cluster_may_be_the_host(desk: Desk) -> None:
    """Sent straight outside by a wildcard's cluster, without any name: it counts for each host that it covers."""
    covered = past(cluster="outbound|443||*.cnn.com")
    assert desk.one("edition.cnn.com", sidecar=[covered])[0] == "BYPASSED"
    assert (
        desk.one("edition.cnn.com", sidecar=[past(cluster="outbound|443||*.cnn.com", sni="money.cnn.com")])[0]
        == "NO_EVIDENCE"
    )


def test_mapped_addresses_and_dotted_clusters(desk: Desk) -> None:
    """One address and one name, however they are written."""
    assert desk.one(f"::ffff:{OUTSIDE}", gateway=[from_gateway()])[0] == "PROVEN"
    assert (
        desk.one("edition.cnn.com", gateway=[from_gateway(cluster="outbound|443||edition.cnn.com.", sni="-")])[0]
        == "PROVEN"
    )


# The question.
@pytest.mark.parametrize(
    "text",
    [
        "https://edition.cnn.com/politics",
        "edition.cnn.com:443",
        "",
        "a b",
        "a..b",
        "-x.org",
        "1.2.3.4/40",
        "x" * 300,
    ],
)
def test_what_is_no_host_is_refused(desk: Desk, text: str) -> None:
    """With what would do."""
    with pytest.raises(UsageError, match="not a host"):
        desk.ask(text, gateway=[OTHER])


def test_no_log_and_wrong_networks_are_refused(desk: Desk) -> None:
    """Nothing to look at is no verdict."""
    with pytest.raises(UsageError, match="--gateway FILE"):
        egresslog.verify("edition.cnn.com")
    with pytest.raises(UsageError, match="--external"):
        desk.ask("edition.cnn.com", gateway=[OTHER], external=["10.0.0.0/99"])


def test_hosts_are_asked_in_any_spelling(desk: Desk) -> None:
    """Case and a trailing dot do not matter, in the question or in the log; the same host twice is one."""
    found = desk.ask("Edition.CNN.com.", "edition.cnn.com", gateway=[from_gateway(sni="EDITION.cnn.com")])
    assert [(one.host, one.verdict.value) for one in found] == [("edition.cnn.com", "PROVEN")]


def test_time_and_sender_restrict_the_question_not_the_evidence(desk: Desk) -> None:
    """A bypass before --since is out; a pair whose gateway line lies behind --until is still a pair."""
    sidecar = [past(sni="edition.cnn.com"), to_gateway(60)]
    logs = {"gateway": [from_gateway(61)], "sidecar": sidecar}
    assert desk.one("edition.cnn.com", **logs)[0] == "BYPASSED"
    assert desk.one("edition.cnn.com", **logs, since=at(30), until=at(60.5)) == ("PROVEN", {"EGL100"})
    assert desk.one("edition.cnn.com", **logs, source=["10.9.0.0/16"]) == ("NO_EVIDENCE", {"EGL195"})


FORWARDED = {"upstream_local": "-", "downstream_remote": "9.9.9.9:0", "forwarded": "9.9.9.9"}


def test_a_client_does_not_choose_whose_line_it_is(desk: Desk) -> None:
    """With X-Forwarded-For the sidecar prints the client's choice as its peer: --source must not lose the bypass."""
    logs = {"gateway": [from_gateway()], "sidecar": [to_gateway(), past(2, **http(), **FORWARDED)]}  # type: ignore[arg-type]
    for source in (POD, "9.9.9.9", "10.9.9.9"):
        (one,) = desk.ask("edition.cnn.com", **logs, source=[source])
        assert one.verdict == Verdict.BYPASSED
    assert one.paths().column("source_ip").to_pylist() == [None]
    known = past(2, **{**http(), **FORWARDED, "upstream_local": f"{POD}:41000"})  # type: ignore[arg-type]
    logs["sidecar"] = [to_gateway(), known]
    assert desk.one("edition.cnn.com", **logs, source=[POD])[0] == "BYPASSED"
    assert desk.one("edition.cnn.com", **logs, source=["10.9.9.9"]) == ("NO_EVIDENCE", {"EGL195"})


def test_an_unknown_client_proves_nothing_about_one(desk: Desk) -> None:
    """A proof without an address of the client is not one of --source."""
    log = [ARTICLE.replace("172.30.146.87", "-")]
    assert desk.one("edition.cnn.com", gateway=log)[0] == "PROVEN"
    assert desk.one("edition.cnn.com", gateway=log, source=[POD]) == ("NO_EVIDENCE", {"EGL195"})


def test_a_forwarded_peer_tells_a_sidecars_log(desk: Desk) -> None:
    """To a ServiceEntry's own address in the cluster's range; a gateway behind a trusted proxy prints such peers, too."""
    values = {**http(), "upstream": f"{OUTSIDE}:80", "cluster": "outbound|80||edition.cnn.com"}
    posing = line(
        **values,
        upstream_local=f"{POD}:40004",
        downstream_local="10.96.9.9:80",
        downstream_remote="9.9.9.9:0",
        forwarded="9.9.9.9",
    )  # type: ignore[arg-type]
    found = desk.ask("edition.cnn.com", gateway=[posing])
    assert found[0].verdict == Verdict.NO_EVIDENCE
    assert "EGL192" in {finding.code for finding in found.findings}
    trusting = from_gateway(**values, downstream_remote="9.9.9.9:0", forwarded=f"9.9.9.9,{POD}")  # type: ignore[arg-type]
    (one,) = desk.ask("edition.cnn.com", gateway=[trusting])
    assert (one.verdict, one.paths().column("source_ip").to_pylist()) == (Verdict.PROVEN, [POD])


PRIVATE = "10.50.0.7"


@pytest.mark.parametrize(("lines", "host"), [
    ([past(2, to=f"{PRIVATE}:443", sni="edition.cnn.com")], PRIVATE),
    ([past(2, to=f"{PRIVATE}:443", cluster="outbound|443||edition.cnn.com", sni="edition.cnn.com")], PRIVATE),
    ([past(2, to=f"{GATEWAY}:443", sni="edition.cnn.com")], GATEWAY),  # an outside network with the gateway's addresses
    ([past(2, to=f"{PRIVATE}:3128", cluster="outbound|3128||proxy.corp.net")], "proxy.corp.net"),
    ([past(2, to=f"{PRIVATE}:443", sni="intranet.corp.example")], "intranet.corp.example"),
])  # fmt: skip
def test_what_went_to_a_private_address_is_an_answer(desk: Desk, lines: list[str], host: str) -> None:
    """Without a question: past the gateway to an address that may be outside. It decides the answer, as with one."""
    found = desk.ask(gateway=[from_gateway()], sidecar=[to_gateway(), *lines])
    verdicts = {one.host: (one.verdict.value, {finding.code for finding in one.findings}) for one in found}
    assert set(verdicts) == {"edition.cnn.com", host}
    assert verdicts["edition.cnn.com"][0] == "PROVEN"
    assert verdicts[host] == ("SENT_UNCONFIRMED", {"EGL189"})
    assert found.answer() is None


@pytest.mark.parametrize("name", ["10.244.3.3:15020", "reviews:9080", "a.reviews.default.svc.cluster.local"])
def test_pods_that_call_each_other_are_no_answer(desk: Desk, name: str) -> None:
    """By an address of the cluster, or by a name that only the cluster has."""
    scrape = past(2, **http(authority=name), to="10.244.3.3:15020")  # type: ignore[arg-type]
    found = desk.ask(gateway=[from_gateway()], sidecar=[to_gateway(), scrape])
    assert [one.host for one in found] == ["edition.cnn.com"]
    assert found.answer() is True


def test_a_host_header_at_a_shared_gateway_misroutes_nothing(desk: Desk) -> None:
    """A pod calls the ingress side of a gateway by another name: the host's own traffic is proven all the same."""
    forged = from_gateway(5, 40005, **{**http(), "upstream": "10.244.3.3:8080", "cluster": "outbound|80||shop.default.svc.cluster.local"})  # type: ignore[arg-type]  # fmt: skip
    logs = {"gateway": [from_gateway(), forged], "sidecar": [to_gateway()]}
    assert desk.one("edition.cnn.com", **logs) == ("PROVEN", {"EGL100", "EGL186"})
    # A sidecar that sent it to the egress gateway for this host was misrouted, and so is the host.
    sent = to_gateway(5, 40005, **http())
    assert desk.one("edition.cnn.com", **{**logs, "sidecar": [to_gateway(), sent]})[0] == "MISROUTED"


EXCUSES = {
    "failed": http(code=503, details="upstream_reset_before_response_started{remote_connection_failure}") | {"flags": "UF"},
    "no-route": http(code=404, details="route_not_found") | {"flags": "NR"},
    "denied": http(code=403, details="rbac_access_denied_matched_policy[none]"),
    "blocked": http(code=502, details="direct_response") | {"route": "block_all"},
    "no-cluster": http(code=503, details="cluster_not_found") | {"flags": "NC"},
    "client-gone": http(code=0, details="downstream_remote_disconnect") | {"flags": "DC"},
}  # fmt: skip


@pytest.mark.parametrize("kind", EXCUSES)
@pytest.mark.parametrize(
    "cluster", ["PassthroughCluster", "outbound|80||edition.cnn.com", f"outbound|80|cnn|{GATEWAY_SERVICE}"]
)
def test_an_ambiguous_line_accuses_by_its_upstream_alone(desk: Desk, kind: str, cluster: str) -> None:
    """Its flags, code and details may be forged: they excuse nothing that went to an outside address."""
    values = {**EXCUSES[kind], "agent": 'x" "y'}
    bypass = past(2, **{**values, "to": f"{OUTSIDE}:80", "cluster": cluster})  # type: ignore[arg-type]
    logs = {"gateway": [from_gateway()], "sidecar": [to_gateway(), bypass]}
    assert desk.one("edition.cnn.com", **logs)[0] == "BYPASSED"
    # With the gateway as its upstream it is unconfirmed, and does not take the proof of another.
    to_it = to_gateway(2, 40002, **values)  # type: ignore[arg-type]
    logs["sidecar"] = [to_gateway(), to_it]
    assert desk.one("edition.cnn.com", **logs) == ("PROVEN", {"EGL100", "EGL190"})


# A newline in an SNI: the line is cut there, what follows looks like a line of its own, and then comes the rest.
CUT = from_gateway(1, flags="NR", details="filter_chain_not_found", upstream="-", cluster="-", upstream_local="-", sni="x").removesuffix(" -")  # fmt: skip
SHORT = f'[{at(1)}] "- - -" 0 - 1 1 1 - "-" "-" "-" "-" "{OUTSIDE}:443"'  # Envoy's default format
FORGED_BY_NEWLINE = {
    "cut-and-rest": [CUT, from_gateway(1), " -"],
    "rest-used-up": [CUT, from_gateway(1)],
    "cut-completed": [CUT + " -", from_gateway(1), " -"],
    "two-lines": [CUT, SHORT, SHORT, " -"],
    "long": [CUT, from_gateway(1, agent="x" * 300), " -"],
    "with-a-prefix": [f"[pod/gw-1/istio-proxy] {text}" for text in (CUT, from_gateway(1), " -")],
}


@pytest.mark.parametrize("kind", FORGED_BY_NEWLINE)
def test_a_line_beside_remains_of_one_that_was_cut_proves_nothing(desk: Desk, kind: str) -> None:
    """Envoys that print an SNI as it is let any client write a gateway's line."""
    lines = FORGED_BY_NEWLINE[kind]
    host = OUTSIDE if kind == "two-lines" else "edition.cnn.com"
    (one,) = found = desk.ask(host, gateway=[OTHER, *lines, LATER.replace("198.51.100.9", "198.51.100.10")])
    assert Verdict.PROVEN not in one.counts
    assert "EGL190" in {finding.code for finding in one.findings}
    assert found.answer() is None
    # A line that is not beside them is a proof all the same.
    assert desk.one("edition.cnn.com", gateway=[OTHER, *lines, LATER, from_gateway(700)])[0] == "PROVEN"


def test_other_rejected_lines_take_no_proof(desk: Desk) -> None:
    """A line before one that begins as it should, and a long one behind it, are not the newline's."""
    broken = f"[{at(2)}] broken"
    assert desk.one("edition.cnn.com", gateway=[from_gateway(), broken, OTHER]) == ("PROVEN", {"EGL101"})
    long = from_gateway(agent="Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 " * 3)
    assert desk.one("edition.cnn.com", gateway=[OTHER, broken, long]) == ("PROVEN", {"EGL101"})


# What is inside.
V6_POD, V6_GATEWAY, V6_OUTSIDE = "[2600:1f13:abc:de00::15]", "[2600:1f13:abc:de00::20]", "[2a04:4e42::323]"
REVIEWS_CLUSTER = "outbound|9080||reviews.default.svc.cluster.local"


def v6(text: str) -> str:
    """A line of a mesh whose pods have global IPv6 addresses."""
    return text.replace(POD, V6_POD).replace(GATEWAY, V6_GATEWAY).replace(OUTSIDE, V6_OUTSIDE)


def call(to: str, **more: object) -> str:
    """A sidecar's line of a request to another service of the cluster."""
    return past(2, **http(authority="reviews:9080"), to=f"{to}:9080", cluster=REVIEWS_CLUSTER, **more)  # type: ignore[arg-type]


def test_pods_with_global_addresses(desk: Desk) -> None:
    """IPv6 pods: their subnets are known by the proxies' own addresses. What is outside of them is outside."""
    logs = {"gateway": [v6(from_gateway())], "sidecar": [v6(to_gateway()), v6(call("[2600:1f13:abc:de00::77]"))]}
    found = desk.ask(**logs)
    assert [(one.host, one.verdict.value) for one in found] == [("edition.cnn.com", "PROVEN")]
    bypass = v6(past(3, sni="edition.cnn.com"))
    assert desk.one("edition.cnn.com", **{**logs, "sidecar": [*logs["sidecar"], bypass]})[0] == "BYPASSED"
    elsewhere = v6(call("[2600:1f13:abc:de01::77]"))
    logs["sidecar"] = [v6(to_gateway()), elsewhere]
    assert desk.ask(**logs).answer() is False
    assert desk.ask(**logs, internal=["2600:1f13:abc::/48"]).answer() is True


def test_global_pods_that_leave_by_a_link_local_address(desk: Desk) -> None:
    """EKS: an IPv6 gateway reaches IPv4 hosts from 169.254.0.0/16. Its line is no sidecar's."""
    gateway = (
        from_gateway(upstream_local="169.254.172.9:60000")
        .replace(POD, V6_POD)
        .replace(GATEWAY, "[2600:1f13:abc:de77::20]")
    )
    sidecar = to_gateway().replace(POD, V6_POD).replace(GATEWAY, "[2600:1f13:abc:de77::20]")
    assert desk.one("edition.cnn.com", gateway=[gateway], sidecar=[sidecar]) == ("PROVEN", {"EGL100"})
    assert desk.one("edition.cnn.com", gateway=[gateway], internal=["2600:1f13:abc::/48"]) == ("PROVEN", {"EGL101"})


def test_pods_in_ranges_that_are_not_rfc_1918(desk: Desk) -> None:
    """198.18.0.0/15 is nobody's on the internet; public IPv4 addresses are inside if a proxy has them, or as given."""
    benchmark = [call("198.19.5.5").replace(POD, "198.19.1.15")]
    assert [one.host for one in desk.ask(gateway=[OTHER], sidecar=benchmark)] == ["other.example.com"]
    public = [text.replace(POD, "44.1.1.15") for text in (to_gateway(), call("44.1.1.16"))]
    logs = {"gateway": [from_gateway(pod="44.1.1.15")], "sidecar": public}
    assert desk.ask(**logs).answer() is False  # nothing shows that it is a pod
    assert desk.ask(**logs, internal="44.1.0.0/16").answer() is True
    logs["sidecar"] = [*public, to_gateway(5, 40005, pod="44.1.1.16")]
    assert desk.ask(**logs)[0].counts == {Verdict.PROVEN: 1, Verdict.SENT_UNCONFIRMED: 1}


def test_a_peer_of_the_gateway_is_no_pod(desk: Desk) -> None:
    """Whoever connects to a gateway that lets traffic in must not become an inside address that excuses a bypass."""
    ingress = from_gateway(3, pod="203.0.113.9", upstream="10.244.3.3:8080", cluster="outbound|80||shop.default.svc.cluster.local")  # fmt: skip
    sidecar = [to_gateway(), past(4, to="203.0.113.9:443", sni="edition.cnn.com")]
    assert desk.one("edition.cnn.com", gateway=[from_gateway(), ingress], sidecar=sidecar)[0] == "BYPASSED"


def test_an_east_west_gateway_is_inside_if_given(desk: Desk) -> None:
    """Another network of the mesh is reached by a public address, which only the operator knows."""
    remote = past(2, **http(authority="reviews:9080"), to="203.0.113.9:15443", cluster=REVIEWS_CLUSTER)  # type: ignore[arg-type]
    logs = {"gateway": [from_gateway()], "sidecar": [to_gateway(), remote]}
    assert desk.ask(**logs).answer() is False
    assert desk.ask(**logs, internal=["203.0.113.9"]).answer() is True


def test_a_gateways_line_to_a_service_is_no_proof(desk: Desk) -> None:
    """Unless the Service's endpoint is outside, or given as such."""
    for upstream, more, verdict in (
        ("10.244.3.3:443", {}, "MISROUTED"),
        ("10.244.3.3:443", {"external": ["10.244.3.0/24"]}, "PROVEN"),
        ("203.0.113.9:443", {}, "PROVEN"),
        ("203.0.113.9:443", {"internal": ["203.0.113.9"]}, "MISROUTED"),
    ):
        relayed = from_gateway(upstream=upstream, cluster="outbound|443||relay.default.svc.cluster.local")
        assert desk.one("edition.cnn.com", gateway=[relayed], sidecar=[to_gateway()], **more)[0] == verdict


@pytest.mark.parametrize(("ranges", "message"), [
    ({"external": ["10.0.0.0/8"]}, rf"--external contains addresses of pods: {POD}, {GATEWAY} \("),
    ({"external": ["10.1.0.0/16"], "internal": ["10.1.2.0/24"]}, r"--external 10.1.0.0/16 and --internal 10.1.2.0/24"),
    ({"internal": ["nonsense"]}, "--internal: 'nonsense'"),
])  # fmt: skip
def test_ranges_that_contradict_are_refused(desk: Desk, ranges: dict[str, list[str]], message: str) -> None:
    """Pods that the logs show are not outside; a range is one or the other."""
    with pytest.raises(UsageError, match=message):
        desk.ask("edition.cnn.com", gateway=[from_gateway()], sidecar=[to_gateway()], **ranges)


# What the answers add up to.
def test_expectations(desk: Desk) -> None:
    """One wrong host is a finding, one unclear host no pass; nothing seen is never the expected PROVEN."""
    logs = {"gateway": [from_gateway()], "sidecar": [to_gateway(), past(sni="bad.example.com", to="198.51.100.66:443")]}
    good, bad = desk.ask("edition.cnn.com", **logs), desk.ask("bad.example.com", **logs)
    assert good.answer() is True
    assert good.answer(Verdict.NO_EVIDENCE) is False
    assert good.answer(reliable=False) is None
    assert bad.answer(reliable=False) is False
    assert desk.ask("edition.cnn.com", "nobody.test", **logs).answer() is None
    assert desk.ask("edition.cnn.com", "nobody.test", "bad.example.com", **logs).answer() is False
    assert desk.ask("nobody.test", **logs).answer(Verdict.NO_EVIDENCE) is True
    assert desk.ask(gateway=[]).answer() is None


def test_failures_of_a_proven_host_are_warnings(desk: Desk) -> None:
    """Design: any proof and no bypass is PROVEN; what failed is told."""
    (one,) = desk.ask("edition.cnn.com", gateway=[from_gateway(), from_gateway(9, 40009, received=0, sent=0)])
    assert one.verdict == Verdict.PROVEN
    assert {finding.code: finding.level for finding in one.findings} == {"EGL101": "info", "EGL156": "warning"}


def test_logs_without_access_lines_say_so(desk: Desk) -> None:
    """F1: logging is off by default."""
    found = desk.ask("edition.cnn.com", gateway=["2026-11-01T12:00:00.000000Z\tinfo\tEnvoy proxy is ready"])
    assert {finding.code for finding in found.findings} == {"EGL194", "EGL196"}
    found = desk.ask("edition.cnn.com", gateway=[OTHER, "[2026-11-01T12:00:00.000Z] broken"], sidecar=[to_gateway()])
    assert "EGL191" in {finding.code for finding in found.findings}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("[2026-11-01T12:00:00.000Z] broken", True),
        ("[2026-11-01T12:00:00.000Z] other.example.com broken", True),
        ("[2026-11-01T12:00:00.000Z] edition.cnn.com.example.com broken", None),
        ("[2026-11-01T12:00:00.000Z] PassthroughCluster broken", None),
        ("[2026-11-01T12:00:00.000Z] EDITION.cnn.com broken", None),
        ("[2026-11-01T12:00:00.000Z] 151.101.1.67:443 broken", None),
    ],
    ids=["nothing", "other host", "longer host", "passthrough", "host", "address"],
)
@pytest.mark.parametrize("hop", ["gateway", "sidecar"])
def test_unreadable_lines_that_mention_the_host(desk: Desk, hop: str, line: str, answer: bool | None) -> None:
    """A line that cannot be read does not change the verdict; if it may be about the host, nothing is affirmed."""
    logs = {"gateway": [from_gateway()], "sidecar": [to_gateway()]}
    logs[hop].append(line)
    found = desk.ask("edition.cnn.com", **logs)
    assert found[0].verdict == Verdict.PROVEN
    assert ("EGL175" in {finding.code for finding in found[0].findings}) == (answer is None)
    assert found.answer() is answer


def test_the_gateways_refusal_of_a_mesh_sni_that_envoy_calls_invalid(desk: Desk) -> None:
    """Some releases of Envoy print invalid: before an SNI with underscores, as all of the mesh's own have."""
    plain = f"outbound_.443_.cnn_.{GATEWAY_SERVICE}"
    for sni in (plain, f"invalid:{plain}"):
        refusal = from_gateway(
            flags="NR", details="filter_chain_not_found", upstream="-", cluster="-", upstream_local="-", sni=sni
        )
        assert desk.one("edition.cnn.com", gateway=[refusal], sidecar=[to_gateway()]) == ("FAILED", {"EGL153"})


def test_short_tls_connections_are_suspicious(desk: Desk) -> None:
    """F20: TLS inside TLS is not in the flags, only in the few bytes; one longer connection clears the suspicion."""
    short = from_gateway(received=517, sent=477)
    assert desk.one("edition.cnn.com", gateway=[short])[1] == {"EGL101", "EGL198"}
    assert desk.one("edition.cnn.com", gateway=[short, from_gateway(1, 40001)])[1] == {"EGL101"}


# Lines of the gateway and of a sidecar -> all that is found about the host, and about the evidence.
SIDECAR_READ = [to_gateway()]
FOUND = {
    "EGL100": ([from_gateway()], SIDECAR_READ, {"EGL100"}, set()),
    "EGL101": ([from_gateway()], None, {"EGL101"}, {"EGL194"}),
    "EGL102": ([from_gateway(cluster="outbound|443||www.cnn.com")], SIDECAR_READ, {"EGL102"}, set()),
    "EGL103": ([ARTICLE], None, {"EGL101"}, {"EGL103", "EGL194"}),
    "EGL118": ([from_gateway()], [*SIDECAR_READ, PASSTHROUGH], {"EGL100"}, {"EGL118"}),
    "EGL130": ([from_gateway(upstream=f"{GATEWAY}:8443")], SIDECAR_READ, {"EGL130"}, set()),
    "EGL131": ([from_gateway(upstream="10.244.7.7:443")], SIDECAR_READ, {"EGL131"}, set()),
    "EGL175": ([from_gateway()], [*SIDECAR_READ, "[2026-11-01T12:00:00.000Z] edition.cnn.com"], {"EGL100", "EGL175"}, {"EGL191"}),
    "EGL191": ([from_gateway(), "[2026-11-01T12:00:00.000Z] broken"], SIDECAR_READ, {"EGL100"}, {"EGL191"}),
    "EGL192": ([from_gateway(), past(sni="other.example.com")], SIDECAR_READ, {"EGL100"}, {"EGL192"}),
    "EGL193": ([from_gateway()], [*SIDECAR_READ, from_gateway()], {"EGL100"}, {"EGL193"}),
    "EGL194": ([OTHER], None, {"EGL195"}, {"EGL194"}),
    "EGL195": ([OTHER], [to_gateway(0, 39999, host="other.example.com")], {"EGL195"}, set()),
    "EGL196": ([AGENT], [past(sni="edition.cnn.com")], {"EGL116"}, {"EGL196"}),
    "EGL198": ([from_gateway(received=517, sent=477)], SIDECAR_READ, {"EGL100", "EGL198"}, set()),
    "EGL199": ([from_gateway()], [*SIDECAR_READ, past(cluster="outbound|443||a.example.com", sni="a.example.com")], {"EGL100", "EGL199"}, set()),
}  # fmt: skip
# What only a cluster can tell: a piece of a container's log was not read.
# test_live.py has a cluster with such pieces; test_exclusivity.py is about senders that nobody looked at, and
# an API server that did not prove who it is.
OF_A_CLUSTER = {"EGL104", "EGL105", "EGL106", "EGL107", "EGL108", "EGL109", "EGL176"}


@pytest.mark.parametrize("code", FOUND)
def test_what_else_is_found(desk: Desk, code: str) -> None:
    """Proofs, loops, and findings about the evidence: these and no others."""
    gateway, sidecar, about_host, others = FOUND[code]
    found = desk.ask("edition.cnn.com", gateway=gateway, sidecar=sidecar)
    assert {finding.code for finding in found[0].findings} == about_host
    assert {finding.code for finding in found.findings} == others
    assert code in about_host | others


def test_every_code_is_expected_of_some_lines() -> None:
    """Each kind of finding is a row of a table of lines above, which a test verifies; a new kind needs one."""
    tables = (BYPASSES, FAILURES, REFUSALS, UNCONFIRMED, FOUND)
    assert Counter(chain(OF_A_CLUSTER, *tables)) == Counter(kind.code for kind in FINDINGS.values())


def test_frames(desk: Desk) -> None:
    """What a notebook gets: a row per case, arrow types, and the coverage of each log."""
    found = desk.ask(
        gateway=[from_gateway(1), LATER],
        sidecar=[to_gateway(1), past(2, sni="bad.example.com", to="198.51.100.66:443")],
    )
    frame = found.to_pandas()
    assert list(frame["verdict"]) == ["PROVEN", "BYPASSED", "PROVEN"]
    assert frame["start_time"].dtype.pyarrow_dtype.unit == "ns"
    assert [(hop, Path(row.origin).name, row.records) for hop, row in found.coverage] == [
        ("gateway", "gateway.log", 2),
        ("sidecar", "sidecars.log", 2),
    ]
    assert found.gateways == (GATEWAY,)
    assert found.services == (GATEWAY_SERVICE,)
    assert "bad.example.com BYPASSED" in repr(found)
    assert "<table" in found._repr_html_()


def test_equal_requests_take_linear_time(desk: Desk, no_hang: None) -> None:
    """A client that repeats one request on one connection makes neither a quadratic join nor a lost pair."""
    count = 20_000
    sidecar = [to_gateway(number / 100, **http()) for number in range(count)]
    gateway = [from_gateway(number / 100, **http()) for number in range(count)]

    (one,) = desk.ask("edition.cnn.com", gateway=gateway, sidecar=sidecar)
    assert one.counts == {Verdict.PROVEN: count}


def test_a_database_that_fails_is_no_traceback(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for temporary files with too little room is a sentence, and no verdict."""
    monkeypatch.setattr("egresslog.database._MEMORY", "2MB")
    lines = [to_gateway(number / 1000, number % 20_000 + 30_000, agent="x" * 200) for number in range(20_000)]
    with pytest.raises(egresslog.DatabaseError, match="temporary database"):
        desk.ask("edition.cnn.com", sidecar=lines)


def test_evidence_is_the_line_as_it_came(desk: Desk) -> None:
    """Escapes, markup and bytes stay what they were; only the terminal and Markdown see them made safe."""
    odd = from_gateway(agent="\x1b[31m<b>`x`|é")
    (one,) = desk.ask("edition.cnn.com", gateway=[odd])
    assert one.findings[0].evidence[0].line == odd
    assert json.loads(json.dumps(one.findings[0].evidence[0].line)) == odd
