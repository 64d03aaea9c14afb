"""Verdicts, and the table of all findings: code, level, verdict, cause, what to do, and the rule's source.

Sources: ``row n`` is the decision table, ``Fn`` the failure table of shared facts (egress-verification.md, 1.6 and
2.2), ``#n`` an issue of istio/istio.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

Level = Literal["error", "warning", "info"]


class Judgement(StrEnum):
    """What the evidence says about a request, a connection or a host; of a host's, the first that applies counts."""

    BYPASSED = "BYPASSED"
    MISROUTED = "MISROUTED"
    PROVEN = "PROVEN"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    SENT_UNCONFIRMED = "SENT_UNCONFIRMED"
    NO_EVIDENCE = "NO_EVIDENCE"


MEANINGS = {
    Judgement.BYPASSED: "a connection left to an outside address without the gateway",
    Judgement.MISROUTED: "the gateway sent it to itself or back into the cluster",
    Judgement.PROVEN: "the gateway forwarded it to an outside address, and that address answered",
    Judgement.FAILED: "meant for the gateway, and did not get through",
    Judgement.BLOCKED: "refused by the mesh, or below it, on purpose",
    Judgement.SENT_UNCONFIRMED: "sent towards the gateway; what became of it cannot be told",
    Judgement.NO_EVIDENCE: "no line speaks of it; this is no all-clear",
}


class Kind(NamedTuple):
    """A kind of finding. ``verdict``: what a record with it is; None for findings about the evidence itself."""

    code: str
    level: Level
    verdict: Judgement | None
    cause: str
    advice: str
    source: str


def _kinds(verdict: Judgement | None, *rows: tuple[str, Level, str, str, str]) -> tuple[Kind, ...]:
    return tuple(Kind(code, level, verdict, cause, advice, source) for code, level, source, cause, advice in rows)


_TABLE = (
    *_kinds(
        Judgement.PROVEN,
        ("EGL100", "info", "row 1",
         "Left through the gateway: the sidecar's line and the gateway's name one connection.",
         ""),
        ("EGL101", "info", "row 2",
         "Left through the gateway by the gateway's line alone; the sender's sidecar was not cross-checked.",
         "Add the sidecars' logs with --sidecar to see who sent it."),
        ("EGL102", "info", "row 1, 1.3.8",
         "Left through the gateway by SNI; the gateway's cluster has another name, as with one server for a wildcard.",
         "Check in the VirtualService that this cluster is meant to serve the host."),
    ),
    *_kinds(
        Judgement.BYPASSED,
        ("EGL110", "error", "row 5; F5, F6, #39885, #36745",
         "The sidecar sends it straight to the outside address: the host is declared, but not led to the gateway.",
         "Name `mesh` in the VirtualService's gateways, use the section of the port's protocol, check exportTo."),
        ("EGL111", "error", "row 5; F6, F29",
         "This port goes straight outside, while another port of the host goes through the gateway.",
         "Cover every port of the ServiceEntry in the VirtualService; a redirect from 80 to 443 leaves by 443."),
        ("EGL112", "error", "row 5; F28, #60367",
         "This pod goes straight outside, while others go through the gateway on the same port.",
         "Look at sourceLabels, exportTo and Sidecar resources that apply to this pod."),
        ("EGL113", "error", "row 5; F30",
         "The pod's first requests went straight outside, later ones through the gateway.",
         "The configuration may not have reached the sidecar yet: repeat with --since after it was applied."),
        ("EGL114", "error", "row 5; C3",
         "The pod sends some requests straight outside and others through the gateway, on the same port.",
         "Look for weighted routes, several matches in the VirtualService, or configuration that was taken back."),
        ("EGL115", "error", "1.3.6; #23740",
         "The sidecar itself starts TLS and sends it straight to the outside address.",
         "Start TLS at the gateway: the host's DestinationRule must hold there, not at the clients."),
        ("EGL116", "error", "row 6; F7, #39080, #37124",
         "The mesh does not know the host on this port, and lets unknown traffic out (PassthroughCluster).",
         "Add host and port to a ServiceEntry and lead it to the gateway; REGISTRY_ONLY refuses what is not declared."),
        ("EGL117", "error", "row 6; #37124, #23176",
         "Unknown traffic went out to an address that the host has been reached at (PassthroughCluster).",
         "Other hosts may share the address; if the client meant this host, it did not say so in SNI or authority."),
        ("EGL118", "error", "row 7; #37124, #51178",
         "Unknown traffic went out to an address whose host cannot be told: no SNI, no authority.",
         "Compare the address with those of your hosts, and declare what is right; REGISTRY_ONLY refuses the rest."),
        ("EGL119", "error", "row 6; 1.3.11",
         "The mesh does not know the host, and lets it out by its name (AllowAnyDynamicDNSCluster).",
         "Add a ServiceEntry and lead it to the gateway; REGISTRY_ONLY refuses what is not declared."),
        ("EGL120", "error", "row 16; #56356",
         "The sidecar took outgoing traffic for incoming and let it out (InboundPassthroughCluster).",
         "Traffic capture of the pod is misconfigured: look at its iptables and annotations."),
    ),
    *_kinds(
        Judgement.MISROUTED,
        ("EGL130", "error", "row 15; F23",
         "The gateway sent it to itself: a loop.",
         "With resolution NONE it sends to where the client connected, at the gateway to itself: use DNS."),
        ("EGL131", "error", "row 15",
         "The gateway sent it to an address inside the cluster's ranges.",
         "If it is outside (a corporate proxy, on-premises), say --external CIDR; else look at the gateway's route."),
    ),
    *_kinds(
        Judgement.FAILED,
        ("EGL140", "error", "row 9; F8, F9, #30730, #11124, #12237",
         "The sidecar does not know the cluster it should send to (NC).",
         "Is the subset's DestinationRule visible to the client, and does its Sidecar import the gateway's namespace?"),
        ("EGL141", "error", "row 10; F10, F13, F24, #34357, #45854",
         "The gateway refused the connection: nobody listens on the port.",
         "Gateway: does its selector match the pods, and has the port a server with a host and a route?"),
        ("EGL142", "error", "row 10; F12",
         "The connection from the sidecar to the gateway timed out.",
         "A NetworkPolicy between the client's namespace and the gateway's is the usual reason."),
        ("EGL143", "error", "row 11; F11, #10515",
         "The gateway's Service has no endpoints (UH).",
         "Are the gateway's pods running and ready, and does the Service select them?"),
        ("EGL144", "error", "F17; #37348, #16453",
         "The sidecar speaks mTLS to the gateway, whose port does not.",
         "Set the Gateway server's tls.mode to ISTIO_MUTUAL, or the DestinationRule's to DISABLE."),
        ("EGL145", "error", "F16; #23910",
         "The gateway closed the connection without an answer, as it does when it expects mTLS and gets plain text.",
         "DestinationRule for the gateway: tls.mode ISTIO_MUTUAL for this port and subset."),
        ("EGL146", "error", "row 10",
         "The sidecar could not connect to the gateway.",
         "Read the line's transport failure reason."),
        ("EGL147", "error", "row 9",
         "The sidecar has no route for it (NR).",
         "Look at the client's routes: istioctl proxy-config routes POD."),
        ("EGL148", "error", "row 5",
         "The sidecar tried to send it straight to the outside address and could not connect.",
         "Lead the host to the gateway; nothing left, but only because the connection failed."),
        ("EGL149", "error", "F26; #39080, #51178",
         "The sidecar passed it on to an address made up by DNS proxying (240.0.0.0/4): the port is not declared.",
         "Add the port to the ServiceEntry."),
        ("EGL150", "error", "row 3; F13, F14, #35772",
         "The gateway has no route for the host (404 NR).",
         "The VirtualService needs a route for this Gateway, and the Gateway a server that lists the host."),
        ("EGL151", "error", "row 3; F15, #9502, #34324",
         "The gateway has no route for host:port; the client named a port in Host.",
         "Add the port to the hosts, or let the client leave it out."),
        ("EGL152", "error", "row 3; F13, F14",
         "The gateway has no filter chain for this SNI (NR).",
         "Gateway servers[].hosts, VirtualService hosts and sniHosts must all name the host."),
        ("EGL153", "error", "row 3; F18, F32",
         "The gateway has no filter chain for the SNI of the mesh's own mTLS (NR).",
         "ISTIO_MUTUAL meets a PASSTHROUGH server or one with named hosts: set tls.sni to the host, or match modes."),
        ("EGL154", "error", "row 3; F16",
         "The gateway expects TLS on this port and got a connection without SNI (NR).",
         "Plain traffic, or a client without SNI, meets a TLS server: let protocols agree."),
        ("EGL155", "error", "row 3; F17",
         "The gateway speaks HTTP on this port and got something else (DPE), as when it is sent TLS.",
         "Let the Gateway server's protocol agree with what the sidecar sends."),
        ("EGL156", "error", "row 3; F19",
         "A connection reached the gateway and carried nothing: the TLS handshake on the hop failed.",
         "The application's TLS meets an ISTIO_MUTUAL server: use PASSTHROUGH, or mTLS on the hop as well."),
        ("EGL157", "error", "row 3; F12",
         "The outside host refused the gateway's connection.",
         "Is the host up, and the port right?"),
        ("EGL158", "error", "row 3; F12",
         "The gateway's connection to the outside timed out.",
         "A NetworkPolicy or firewall behind the gateway is the usual reason."),
        ("EGL159", "error", "row 3; F22",
         "The gateway knows no address of the outside host (UH).",
         "Can the gateway resolve the name? Look at the ServiceEntry's resolution and at egress to DNS."),
        ("EGL160", "error", "row 3; F21, #48300",
         "The gateway spoke plain HTTP to port 443, and the outside host closed.",
         "TLS origination: the DestinationRule for host and port must be visible to the gateway's namespace."),
        ("EGL161", "error", "row 3",
         "The outside host closed or broke the connection before it answered.",
         "Try the host without the mesh."),
        ("EGL162", "error", "row 3; C12",
         "TLS from the gateway to the outside host failed.",
         "The line's transport failure reason says more; check the DestinationRule's names and caCertificates."),
        ("EGL163", "error", "row 3",
         "The outside host did not answer the gateway in time.",
         "Look at the route's timeout and at the host."),
        ("EGL164", "error", "row 3; F8",
         "The gateway does not know the cluster it should send to (NC).",
         "ServiceEntry and DestinationRule must be visible to the gateway's namespace."),
        ("EGL165", "error", "row 3",
         "The gateway did not forward it.",
         "The line's flags and details say why."),
        ("EGL166", "error", "row 9",
         "The sidecar refused the request itself.",
         "The line's flags and details say why."),
    ),
    *_kinds(
        Judgement.BLOCKED,
        ("EGL170", "info", "row 8; F7, #38397, #17850",
         "The mesh does not know the host and refused it (BlackHoleCluster).",
         ""),
        ("EGL171", "info", "row 8; F7",
         "The mesh does not know the host and refused it (502, route block_all).",
         ""),
        ("EGL172", "info", "0.1",
         "An AuthorizationPolicy refused it (RBAC).",
         ""),
        ("EGL173", "info", "row 12",
         "Unknown traffic was let out by the mesh, and the connection failed below it, as a NetworkPolicy does.",
         ""),
    ),
    *_kinds(
        Judgement.SENT_UNCONFIRMED,
        ("EGL180", "warning", "row 4",
         "Sent to the gateway; no log of a gateway was read.",
         "Add the gateway's logs with --gateway."),
        ("EGL181", "warning", "row 4",
         "Sent to the gateway outside the time that its log covers.",
         "Read more of the gateway's log: kubectl logs --tail=-1, older files, or wait for open connections."),
        ("EGL182", "warning", "row 4; F4",
         "Sent to a gateway address of which no log was read.",
         "Read the logs of every replica: kubectl logs -l ... reads them one by one, deploy/NAME only one."),
        ("EGL183", "warning", "row 4; F2",
         "Sent to the gateway, whose log covers the time and has no line of it.",
         "A Telemetry may filter the log, SIGKILL may have lost open lines, or a file was rotated away."),
        ("EGL184", "warning", "1.6",
         "The client went away before an answer came.",
         "Look at the client's timeouts."),
        ("EGL185", "warning", "row 1",
         "The gateway connected to the outside, and bytes went one way only.",
         "Normal for one-way protocols such as syslog; else the outside host does not answer."),
        ("EGL186", "warning", "1.6",
         "Left through the gateway to another host's cluster; only the authority (clients write it) names this one.",
         "If the VirtualService maps the host there, ask for the cluster's host."),
        ("EGL187", "warning", "1.5",
         "Sent to the gateway in a format without addresses: it cannot be matched with a line of the gateway.",
         "Use the default format of Istio 1.9 or newer in both."),
        ("EGL188", "warning", "1.5",
         "Sent to the gateway; lines of the gateway are alike, but their addresses differ (SNAT, a load balancer).",
         "Addresses are lost on the hop, so the pair cannot be proven."),
        ("EGL189", "warning", "design",
         "It went to an address inside the cluster's ranges, past the gateway.",
         "If that address is outside (on-premises), say so with --external CIDR."),
        ("EGL190", "warning", "design",
         "The split of the line is not unique: a quote in a header, maybe forged. It proves nothing.",
         "JSON logs have no such gap: accessLogEncoding JSON."),
    ),
    *_kinds(
        None,
        ("EGL191", "warning", "design",
         "Lines could not be read; any of them could tell of a bypass or of a proof.",
         "See them with egresslog parse --rejects PATH."),
        ("EGL192", "warning", "1.1",
         "The gateway's log holds lines that a sidecar wrote; they were left out.",
         "Give them with --sidecar."),
        ("EGL193", "warning", "1.1",
         "The sidecars' log holds lines that a gateway wrote; they were left out.",
         "Give them with --gateway."),
        ("EGL194", "info", "row 2",
         "No sidecar's log was read: traffic past the gateway would not be seen.",
         "Add them with --sidecar."),
        ("EGL195", "warning", "rows 13, 14; 1.3.12",
         "No line speaks of the host: no traffic, connections still open, or a pod whose traffic is not captured.",
         "Send a request and look again; uncaptured traffic leaves no line anywhere."),
        ("EGL196", "error", "F1, F3; #11938, #12323",
         "A log has no access-log line at all.",
         "It is off by default: set meshConfig.accessLogFile or a Telemetry; name a custom format with --format."),
        ("EGL197", "warning", "1.6",
         "The logs do not show which service the egress gateway is.",
         "Name it with --gateway-service or --gateway-ip, or give its log with --gateway."),
        ("EGL198", "warning", "F20; #28858",
         "Every TLS connection to the host was too short for a handshake, as with TLS inside TLS.",
         "Has the DestinationRule tls.mode SIMPLE on a port that clients speak TLS to? Look at the client's error."),
        ("EGL199", "warning", "1.6",
         "Another declared host goes straight to an address of this host.",
         "Shared addresses are normal with CDNs; the other host's ServiceEntry must not use resolution NONE."),
    ),
)  # fmt: skip
KINDS = {kind.code: kind for kind in _TABLE}
