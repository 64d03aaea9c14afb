"""The decision table (shared facts, egress-verification.md, 1.6) as data: for each hop an ordered list of conditions.

Conditions are SQL over the columns of ``evidence.prepare`` and those of the views in ``VIEWS``; the first that holds
gives the finding's code. A code without verdict in ``findings.KINDS`` leaves the record out.
"""

from __future__ import annotations

from typing import NamedTuple

#: Codes of records that are no matter of egress: traffic inside the cluster, and what only looks like evidence.
INSIDE = "inside"
#: The outer of the two lines that a gateway writes for a connection through its SNI dynamic forward proxy.
TRANSIT = "transit"


class Rule(NamedTuple):
    """``code`` if ``condition`` holds and no rule before it did."""

    code: str
    condition: str


_SVC = "is_service(cluster_host)"
_RBAC = "starts_with(details, 'rbac_access_denied') OR starts_with(termination, 'rbac_access_denied')"
#: SQL macros that the conditions use.
MACROS = (
    "CREATE MACRO has(flags, names) AS list_has_any(string_split(coalesce(flags, ''), ','), names)",
    "CREATE MACRO no_other(flags, names) AS flags IS NULL OR list_has_all(names, string_split(flags, ','))",
    # A failure text: the details' `upstream_reset_...{...}` in HTTP, the transport failure reason in TCP.
    (
        "CREATE MACRO told(details, transport, pattern) AS"
        " regexp_matches(lower(coalesce(details, '') || ' ' || coalesce(transport, '')), pattern)"
    ),
    "CREATE MACRO is_service(name) AS regexp_matches(name, '[.]svc([.]|$)')",
    # `reviews`, `reviews.default` and the whole name are one service; an outside host is none of its names.
    "CREATE MACRO names_service(name, service) AS coalesce(name = service OR starts_with(service, name || '.'), false)",
)

_REFUSED, _TIMEOUT, _TLS = "connection.refused", "connection.time|connect.timeout", "tls.error|ssl"
# No connection was made. URX ends a row of attempts: for TCP of connections, for HTTP of answers as well.
_FAILED = "has(flags, ['UF', 'UH', 'NR', 'NC', 'UO', 'DF'])"
_UNCONNECTED = (
    f"(CASE WHEN http THEN {_FAILED} AND coalesce(details, '') <> 'via_upstream'"
    f" ELSE {_FAILED} OR has(flags, ['URX']) END)"
)

# The response began at the upstream: what Envoy answers itself has other details. Formats before Istio 1.8 have none.
_ANSWERED_HTTP = (
    "code >= 100 AND (details = 'via_upstream' OR starts_with(details, 'upstream_reset_after_response_started')"
    " OR (details IS NULL AND (code < 400 OR no_other(flags, ['DC', 'DR', 'DI', 'URX'])))"
    " OR (regexp_matches(details, '^(downstream_remote_disconnect|http[23].remote_(reset|refuse))$')"
    " AND no_other(flags, ['DC', 'DR'])))"
)
_ANSWERED = f"(CASE WHEN http THEN {_ANSWERED_HTTP} ELSE received > 0 AND sent > 0 AND NOT {_UNCONNECTED} END)"

#: Booleans that the rules share, per hop; `gateways` and `services` are tables of what is known of the gateway.
_COMMON = f"coalesce({_UNCONNECTED}, false) AS unconnected, coalesce({_ANSWERED}, false) AS answered"
_TO_GATEWAY = (
    "coalesce(upstream_ip IN (SELECT ip FROM gateways), false) OR "
    "coalesce(kind = 'outbound' AND cluster_host IN (SELECT name FROM services), false)"
)
# In a gateway's line the proxy has one address on both sides and the peer another; in a sidecar's line the application
# and the proxy share the pod's. With X-Forwarded-For the sidecar prints the client's choice and port 0 as the peer.
_BY_GATEWAY = "coalesce(near_ip = local_ip AND remote_ip <> near_ip AND NOT ends_with(remote, ':0'), false)"
# The address it was asked for is an outside one, or one that DNS proxying made up; only a waypoint has such of its own.
_VIP = "(starts_with({0}, '240.') OR starts_with({0}, '2001:2:'))"
_BY_SIDECAR = (
    "coalesce(kind <> 'inbound-vip', true) AND local_ip NOT IN (SELECT ip FROM gateways)"
    " AND near_ip IS DISTINCT FROM local_ip"
    f" AND (near_ip = remote_ip OR local_external OR {_VIP.format('local_ip')})"
)
VIEWS = {
    "sidecar": f"SELECT rowid AS id, *, {_COMMON}, {_TO_GATEWAY} AS to_gateway, {_BY_GATEWAY} AS misplaced,"
    " coalesce(kind IN ('passthrough', 'dynamic-dns'), false) AS undeclared FROM sidecar_lines",
    "gateway": f"SELECT rowid AS id, *, {_COMMON}, coalesce(starts_with(upstream, 'envoy://'), false) AS inner_hop,"
    " coalesce(upstream_ip IN (SELECT ip FROM gateways), false) AS to_itself,"
    f" (coalesce({_BY_SIDECAR}, false)"
    " OR coalesce(kind IN ('passthrough', 'dynamic-dns', 'blackhole', 'inbound-passthrough'), false))"
    " AS misplaced FROM gateway_lines",
}

SIDECAR = (
    Rule("EGL193", "misplaced"),
    Rule("EGL120", "kind = 'inbound-passthrough' AND coalesce(external, local_external) AND NOT unconnected"),
    Rule(INSIDE, "kind = 'inbound-passthrough'"),
    Rule("EGL170", "kind = 'blackhole'"),
    Rule("EGL170", "NOT http AND cluster IS NULL AND upstream IS NULL AND has(flags, ['UH'])"),  # before Istio 1.6
    Rule("EGL171", "route = 'block_all' OR (details = 'direct_response' AND code = 502 AND cluster IS NULL)"),
    Rule("EGL172", _RBAC),
    Rule("EGL149", "undeclared AND unconnected AND " + _VIP.format("coalesce(upstream_ip, local_ip)")),
    Rule("EGL173", "undeclared AND unconnected AND coalesce(external, local_external)"),
    # A format without addresses leaves the cluster's word: it let the traffic out.
    Rule("EGL119", "kind = 'dynamic-dns' AND coalesce(external, local_external, true)"),
    Rule("EGL116", "undeclared AND coalesce(external, local_external, true)"),
    Rule("EGL189", "undeclared AND coalesce(authority_host, sni_host) IS NOT NULL"),
    Rule(INSIDE, "undeclared"),
    Rule("EGL140", "has(flags, ['NC']) OR details = 'cluster_not_found'"),
    Rule("EGL144", f"to_gateway AND unconnected AND told(details, transport, '{_TLS}')"),
    Rule("EGL141", f"to_gateway AND unconnected AND told(details, transport, '{_REFUSED}')"),
    Rule("EGL142", f"to_gateway AND unconnected AND told(details, transport, '{_TIMEOUT}')"),
    Rule("EGL143", "to_gateway AND has(flags, ['UH'])"),
    Rule("EGL146", "to_gateway AND unconnected"),
    # The rest of what went to the gateway is for the pairs to tell.
    Rule("EGL187", "to_gateway AND near IS NULL"),
    Rule("EGL184", "to_gateway AND has(flags, ['DC', 'DR']) AND coalesce(code, 0) = 0"),
    Rule("EGL145", "to_gateway AND http AND has(flags, ['UC', 'UPE'])"),
    Rule("EGL183", "to_gateway"),
    Rule("EGL148", "unconnected AND external"),
    # The gateway of another network of the mesh has a public address and one of these ports.
    Rule(INSIDE, f"external AND {_SVC} AND regexp_matches(upstream, ':(15443|15008)$')"),
    Rule("EGL121", "external AND cluster IS NULL"),
    Rule("EGL115", "external AND http AND cluster_port = 443"),
    Rule("EGL110", "external"),
    Rule("EGL110", "kind = 'outbound' AND upstream IS NULL AND answered AND NOT " + _SVC),
    Rule("EGL147", "has(flags, ['NR']) OR details = 'route_not_found'"),
    Rule("EGL189", "kind = 'outbound' AND upstream IS NOT NULL AND NOT " + _SVC),
    # An outside name, and a service that nothing shows to be the gateway's.
    Rule(
        "EGL197",
        f"coalesce(authority_host, sni_host) IS NOT NULL AND ({_SVC} OR cluster IS NULL AND upstream IS NOT NULL)"
        " AND NOT names_service(coalesce(authority_host, sni_host), cluster_host)",
    ),
    Rule(INSIDE, "upstream IS NOT NULL OR kind = 'outbound'"),
    Rule("EGL166", "http"),
    Rule(INSIDE, "true"),
)

GATEWAY = (
    Rule("EGL192", "misplaced"),
    Rule(TRANSIT, "inner_hop"),
    Rule("EGL172", _RBAC),
    Rule("EGL151", "http AND has(flags, ['NR']) AND regexp_matches(authority, ':[0-9]+$')"),
    Rule("EGL150", "http AND (has(flags, ['NR']) OR details = 'route_not_found')"),
    Rule("EGL153", "has(flags, ['NR']) AND starts_with(sni, 'outbound_.')"),
    Rule("EGL152", "has(flags, ['NR']) AND sni IS NOT NULL"),
    Rule("EGL154", "has(flags, ['NR'])"),
    Rule("EGL155", "has(flags, ['DPE']) AND method IS NULL"),
    Rule("EGL130", "to_itself"),
    Rule("EGL162", f"unconnected AND told(details, transport, '{_TLS}')"),
    Rule("EGL157", f"unconnected AND told(details, transport, '{_REFUSED}')"),
    Rule("EGL158", f"unconnected AND told(details, transport, '{_TIMEOUT}')"),
    Rule("EGL159", "has(flags, ['UH', 'DF'])"),
    Rule("EGL164", "has(flags, ['NC'])"),
    Rule("EGL165", "unconnected"),
    Rule(INSIDE, "NOT external AND regexp_matches(cluster_host, '[.]svc([.]cluster[.]local)?$') AND"
         " (remote_external OR names_service(coalesce(authority_host, sni_host, cluster_host), cluster_host))"),
    Rule("EGL131", "NOT external"),
    Rule("EGL100", "external AND answered"),
    Rule("EGL187", "flags = '?' AND http AND code >= 400"),
    Rule("EGL163", "has(flags, ['UT'])"),
    Rule("EGL160", "http AND cluster_port = 443 AND has(flags, ['UC', 'UPE', 'UR'])"),
    Rule("EGL161", "http AND has(flags, ['UC', 'UPE', 'UR'])"),
    Rule("EGL156", "NOT http AND received = 0 AND sent = 0"),
    Rule("EGL185", "NOT http AND upstream IS NOT NULL"),
    Rule("EGL184", "has(flags, ['DC', 'DR'])"),
    Rule("EGL165", "true"),
)  # fmt: skip


def first_of(rules: tuple[Rule, ...]) -> str:
    """The rules as one SQL expression; a condition that is null does not hold."""
    return "CASE " + " ".join(f"WHEN {rule.condition} THEN '{rule.code}'" for rule in rules) + " END"
