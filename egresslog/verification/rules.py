"""The decision table (docs/egress-evidence.md, 1.6) as data: for each hop an ordered list of conditions.

Conditions are SQL over the columns of ``evidence.prepare`` and those of the views in ``VIEWS``; the first that holds
gives the finding. A record whose finding is INSIDE is left out.
"""

from __future__ import annotations

from typing import NamedTuple

#: What records get that are no matter of egress: traffic inside the cluster, and what only looks like evidence.
INSIDE = "inside"
#: What the outer of the two lines gets that a gateway writes for a connection through its SNI dynamic forward proxy.
TRANSIT = "transit"


class DecisionRule(NamedTuple):
    """``finding`` if ``condition`` holds and no rule before it did."""

    finding: str
    condition: str


_IS_SERVICE = "is_service(cluster_host)"
_RBAC = (
    "starts_with(response_code_details, 'rbac_access_denied')"
    " OR starts_with(connection_termination_details, 'rbac_access_denied')"
)
#: SQL macros that the conditions and statements use.
MACROS = (
    "CREATE MACRO has_flag(flags, names) AS list_has_any(string_split(coalesce(flags, ''), ','), names)",
    "CREATE MACRO no_flag_but(flags, names) AS flags IS NULL OR list_has_all(names, string_split(flags, ','))",
    # A failure text: the details' `upstream_reset_...{...}` in HTTP, the transport failure reason in TCP.
    (
        "CREATE MACRO failure_matches(details, reason, pattern) AS"
        " regexp_matches(lower(coalesce(details, '') || ' ' || coalesce(reason, '')), pattern)"
    ),
    "CREATE MACRO is_service(name) AS regexp_matches(name, '[.]svc([.]|$)')",
    # `reviews`, `reviews.default` and the whole name are one service; an outside host is none of its names.
    "CREATE MACRO names_service(name, service) AS coalesce(name = service OR starts_with(service, name || '.'), false)",
    # Names that only the cluster has: `reviews`, `reviews.default.svc.cluster.local`.
    ("CREATE MACRO is_cluster_name(name) AS is_service(name) OR NOT contains(name, '.') AND NOT contains(name, ':')"),
    # The outer line of a connection whose inner line was not found: without addresses nothing joins the two.
    (
        "CREATE MACRO transit_alone(local_address) AS"
        " CASE WHEN local_address IS NULL THEN 'format-lacks-fields' ELSE 'gateway-not-forwarded' END"
    ),
    # What a cluster stands for: one concrete host, any host, or what cannot be told by its name.
    (
        "CREATE MACRO cluster_serves(kind, host, cluster) AS CASE"
        " WHEN kind IN ('outbound', 'inbound-vip') AND NOT starts_with(host, '*') THEN 'concrete'"
        " WHEN kind = 'other' AND NOT contains(cluster, 'dynamic_forward_proxy') THEN 'unknown' ELSE 'any' END"
    ),
)

_REFUSED, _TIMEOUT, _TLS = "connection.refused", "connection.time|connect.timeout", "tls.error|ssl"


def _failure(pattern: str) -> str:
    return f"failure_matches(response_code_details, upstream_transport_failure_reason, '{pattern}')"


# The response began at the upstream: what Envoy answers itself has other details. Formats before Istio 1.8 have none.
# What ends a stream by time sends 408 or 504 while no response has begun, and to gRPC clients 200 without a body.
_TIMED_OUT = (
    "response_code_details IN ('stream_idle_timeout', 'response_timeout', 'duration_timeout', 'max_duration_timeout',"
    " 'upstream_max_stream_duration_reached', 'upstream_per_try_timeout', 'upstream_per_try_idle_timeout')"
)
_ANSWERED_HTTP = (
    "response_code >= 100 AND (response_code_details IN ('via_upstream', 'websocket_handshake_unsuccessful')"
    " OR starts_with(response_code_details, 'upstream_reset_after_response_started')"
    f" OR ({_TIMED_OUT} AND response_code NOT IN (408, 504) AND bytes_sent > 0)"
    " OR (response_code_details IS NULL"
    " AND (no_flag_but(response_flags, ['DC', 'DR', 'DI', 'URX'])"
    " OR (response_code < 400 AND (bytes_sent > 0 OR response_flags = '?'))))"
    " OR (regexp_matches(response_code_details, '^(downstream_remote_disconnect|http[23].remote_(reset|refuse))$')"
    " AND no_flag_but(response_flags, ['DC', 'DR'])))"
)
# No connection was made. URX ends a row of attempts: for TCP of connections, for HTTP of answers as well. Envoy keeps
# the flags of failed attempts after one that succeeded: then its own address is printed, if the format prints any, and
# over TCP only the upstream sends bytes.
_CONNECT_FAILED = "has_flag(response_flags, ['UF', 'UH', 'NR', 'NC', 'UO', 'DF'])"
_CONNECTED_TCP = (
    "coalesce(bytes_sent > 0 AND (upstream_local_address IS NOT NULL OR downstream_local_address IS NULL), false)"
)
_UNCONNECTED = (
    f"(CASE WHEN is_http THEN {_CONNECT_FAILED}"
    f" AND NOT coalesce(response_code_details IS NOT NULL AND {_ANSWERED_HTTP}, false)"
    f" ELSE ({_CONNECT_FAILED} OR has_flag(response_flags, ['URX'])) AND NOT {_CONNECTED_TCP} END)"
)
# Without a code, a line with such flags may be an HTTP request that Envoy itself answered with a few bytes.
_TCP_KNOWN = f"(response_code = 0 OR NOT ({_CONNECT_FAILED} OR has_flag(response_flags, ['URX'])))"
_ANSWERED_TCP = f"bytes_received > 0 AND bytes_sent > 0 AND NOT {_UNCONNECTED} AND {_TCP_KNOWN}"
_ANSWERED = f"(CASE WHEN is_http THEN {_ANSWERED_HTTP} ELSE {_ANSWERED_TCP} END)"

_COMMON = f"coalesce({_UNCONNECTED}, false) AS unconnected, coalesce({_ANSWERED}, false) AS answered"
# Anybody can give a Service the gateway's name, or an outside endpoint beside the gateway's: what went to an outside
# address did not go to the gateway, whatever the cluster's name.
_TO_GATEWAY = (
    "(coalesce(upstream_ip IN (SELECT ip FROM gateways), false)"
    " OR coalesce(cluster_kind = 'outbound' AND cluster_host IN (SELECT name FROM services), false)"
    f" AND (NOT coalesce(upstream_is_external, false) OR coalesce({_UNCONNECTED}, false)))"
)
# In a gateway's line the proxy has one address on both sides and the peer another; in a sidecar's line the application
# and the proxy share the pod's. With X-Forwarded-For the sidecar prints the client's choice as the peer
# (`source_is_forwarded`), where a gateway that trusts nobody's prints the peer.
_BY_GATEWAY = (
    "coalesce(upstream_local_ip = downstream_local_ip AND source_ip <> upstream_local_ip AND NOT source_is_forwarded,"
    " false)"
)
# The address the client wanted is an outside one, or one that DNS proxying made up; only a waypoint has its own such.
_VIP = "(starts_with({0}, '240.') OR starts_with({0}, '2001:2:'))"
_BY_SIDECAR = (
    "coalesce(cluster_kind <> 'inbound-vip', true) AND downstream_local_ip NOT IN (SELECT ip FROM gateways)"
    " AND upstream_local_ip IS DISTINCT FROM downstream_local_ip"
    " AND (upstream_local_ip = source_ip OR source_is_forwarded OR downstream_local_is_external"
    f" OR {_VIP.format('downstream_local_ip')})"
)
#: The lines of each hop with the booleans that the rules share; ``gateways`` and ``services`` are what is known of the
#: gateway.
VIEWS = {
    "sidecar": f"SELECT rowid AS id, *, {_COMMON}, {_TO_GATEWAY} AS to_gateway, {_BY_GATEWAY} AS misplaced,"
    " coalesce(cluster_kind IN ('passthrough', 'dynamic-dns'), false) AS undeclared FROM sidecar_lines",
    "gateway": f"SELECT rowid AS id, *, {_COMMON},"
    " coalesce(starts_with(upstream_host, 'envoy://'), false) AS inner_hop,"
    " coalesce(upstream_ip IN (SELECT ip FROM gateways), false) AS to_itself,"
    f" (coalesce({_BY_SIDECAR}, false) OR coalesce(cluster_kind IN"
    " ('passthrough', 'dynamic-dns', 'blackhole', 'inbound-passthrough'), false)) AS misplaced FROM gateway_lines",
}

_OUTSIDE = "coalesce(upstream_is_external, downstream_local_is_external)"
_CLIENTS_NAME = "coalesce(authority_host, sni_host)"  # what the client called it

SIDECAR = (
    DecisionRule("gateway-lines-in-sidecar-log", "misplaced"),
    DecisionRule("inbound-passthrough", f"cluster_kind = 'inbound-passthrough' AND {_OUTSIDE} AND NOT unconnected"),
    DecisionRule(INSIDE, "cluster_kind = 'inbound-passthrough'"),
    DecisionRule("blackhole", "cluster_kind = 'blackhole'"),
    DecisionRule(  # Istio 1.6 to about 1.9 (#17850, #33281)
        "blackhole",
        "NOT is_http AND upstream_cluster IS NULL AND upstream_host IS NULL AND has_flag(response_flags, ['UH'])",
    ),
    DecisionRule(
        "block-all",
        # Nothing that was refused has an upstream; a line of Istio 1.1 or 1.2 with a blank in its SNI may show a route.
        "(route_name = 'block_all' AND upstream_host IS NULL)"
        " OR (response_code_details = 'direct_response' AND response_code = 502 AND upstream_cluster IS NULL)",
    ),
    DecisionRule("rbac-denied", _RBAC),
    DecisionRule(
        "port-not-declared",
        "undeclared AND unconnected AND " + _VIP.format("coalesce(upstream_ip, downstream_local_ip)"),
    ),
    DecisionRule("passthrough-failed", f"undeclared AND unconnected AND {_OUTSIDE}"),
    # A format without addresses leaves the cluster's word: it let the traffic out.
    DecisionRule(
        "dynamic-dns",
        "cluster_kind = 'dynamic-dns' AND coalesce(upstream_is_external, downstream_local_is_external, true)",
    ),
    DecisionRule("passthrough", "undeclared AND coalesce(upstream_is_external, downstream_local_is_external, true)"),
    DecisionRule("address-inside", f"undeclared AND {_CLIENTS_NAME} IS NOT NULL"),
    DecisionRule(INSIDE, "undeclared"),
    DecisionRule(
        "sidecar-no-cluster", "has_flag(response_flags, ['NC']) OR response_code_details = 'cluster_not_found'"
    ),
    DecisionRule("hop-mtls-to-plaintext", f"to_gateway AND unconnected AND {_failure(_TLS)}"),
    DecisionRule("gateway-refused", f"to_gateway AND unconnected AND {_failure(_REFUSED)}"),
    DecisionRule("gateway-timeout", f"to_gateway AND unconnected AND {_failure(_TIMEOUT)}"),
    DecisionRule("gateway-no-endpoints", "to_gateway AND has_flag(response_flags, ['UH'])"),
    DecisionRule("gateway-unreachable", "to_gateway AND unconnected"),
    # The rest of what went to the gateway is for the pairs to decide.
    DecisionRule("format-lacks-fields", "to_gateway AND upstream_local_address IS NULL"),
    DecisionRule(
        "client-disconnected",
        "to_gateway AND has_flag(response_flags, ['DC', 'DR']) AND coalesce(response_code, 0) = 0",
    ),
    DecisionRule(
        "hop-plaintext-to-mtls", "to_gateway AND is_http AND NOT answered AND has_flag(response_flags, ['UC', 'UPE'])"
    ),
    DecisionRule("no-gateway-line", "to_gateway"),
    DecisionRule("direct-failed", "unconnected AND upstream_is_external"),
    DecisionRule("direct", "upstream_is_external AND upstream_cluster IS NULL"),
    DecisionRule("direct-tls-origination", "upstream_is_external AND is_http AND cluster_port = 443"),
    DecisionRule("direct-serviceentry", "upstream_is_external"),
    DecisionRule(
        "direct-serviceentry",
        f"cluster_kind = 'outbound' AND upstream_host IS NULL AND answered AND NOT {_IS_SERVICE}",
    ),
    DecisionRule("sidecar-no-route", "has_flag(response_flags, ['NR']) OR response_code_details = 'route_not_found'"),
    DecisionRule("address-inside", f"cluster_kind = 'outbound' AND upstream_host IS NOT NULL AND NOT {_IS_SERVICE}"),
    # An outside name, and a service that nothing shows to be the gateway's.
    DecisionRule(
        "unknown-service",
        f"{_CLIENTS_NAME} IS NOT NULL"
        f" AND ({_IS_SERVICE} OR upstream_cluster IS NULL AND upstream_host IS NOT NULL)"
        f" AND NOT names_service({_CLIENTS_NAME}, cluster_host)",
    ),
    DecisionRule(INSIDE, "upstream_host IS NOT NULL OR cluster_kind = 'outbound'"),
    DecisionRule("sidecar-refused", "is_http"),
    DecisionRule(INSIDE, "true"),
)

# A line that can be split in several ways accuses by its upstream alone: flags, codes and names may be the client's.
AMBIGUOUS_SIDECAR = (
    DecisionRule("ambiguous-line", "misplaced OR upstream_ip IN (SELECT ip FROM gateways)"),
    DecisionRule(
        "direct-serviceentry",
        f"cluster_kind = 'outbound' AND upstream_host IS NULL AND answered AND NOT {_IS_SERVICE}",
    ),
    DecisionRule(
        "ambiguous-line",
        "NOT coalesce(upstream_is_external, undeclared AND coalesce(downstream_local_is_external, true))",
    ),
    DecisionRule("passthrough", "cluster_kind = 'passthrough'"),
    DecisionRule("dynamic-dns", "cluster_kind = 'dynamic-dns'"),
    DecisionRule("direct", "upstream_cluster IS NULL"),
    DecisionRule("direct-serviceentry", "true"),
)

GATEWAY = (
    DecisionRule("sidecar-lines-in-gateway-log", "misplaced"),
    DecisionRule(TRANSIT, "inner_hop"),
    DecisionRule("rbac-denied", _RBAC),
    DecisionRule(
        "gateway-no-route-with-port",
        "is_http AND has_flag(response_flags, ['NR']) AND regexp_matches(authority, ':[0-9]+$')",
    ),
    DecisionRule(
        "gateway-no-route",
        "is_http AND (has_flag(response_flags, ['NR']) OR response_code_details = 'route_not_found')",
    ),
    DecisionRule(
        "gateway-no-filter-chain-mesh-sni",
        # Some releases of Envoy print invalid: before it, for its underscores (docs/access-log-formats.md, 7.3).
        "has_flag(response_flags, ['NR']) AND regexp_matches(requested_server_name, '^(invalid:)?outbound_[.]')",
    ),
    DecisionRule("gateway-no-filter-chain", "has_flag(response_flags, ['NR']) AND requested_server_name IS NOT NULL"),
    DecisionRule("gateway-expects-tls", "has_flag(response_flags, ['NR'])"),
    DecisionRule("gateway-expects-http", "has_flag(response_flags, ['DPE']) AND method IS NULL"),
    DecisionRule("gateway-loop", "to_itself"),
    DecisionRule("upstream-tls-failed", f"unconnected AND {_failure(_TLS)}"),
    DecisionRule("upstream-refused", f"unconnected AND {_failure(_REFUSED)}"),
    DecisionRule("upstream-connect-timeout", f"unconnected AND {_failure(_TIMEOUT)}"),
    DecisionRule("upstream-no-address", "has_flag(response_flags, ['UH', 'DF'])"),
    DecisionRule("gateway-no-cluster", "has_flag(response_flags, ['NC'])"),
    DecisionRule("gateway-not-forwarded", "unconnected"),
    DecisionRule(
        INSIDE,
        "NOT upstream_is_external AND regexp_matches(cluster_host, '[.]svc([.]cluster[.]local)?$')"
        " AND (source_is_external OR names_service(coalesce(authority_host, sni_host, cluster_host), cluster_host))",
    ),
    DecisionRule("gateway-to-cluster", "NOT upstream_is_external"),
    DecisionRule("paired-proof", "upstream_is_external AND answered"),
    DecisionRule("format-lacks-fields", "response_flags = '?' AND is_http AND response_code >= 400"),
    DecisionRule("upstream-timeout", "has_flag(response_flags, ['UT'])"),
    DecisionRule(
        "plaintext-to-443", "is_http AND cluster_port = 443 AND has_flag(response_flags, ['UC', 'UPE', 'UR'])"
    ),
    DecisionRule("upstream-closed", "is_http AND has_flag(response_flags, ['UC', 'UPE', 'UR'])"),
    DecisionRule("hop-handshake-failed", "NOT is_http AND bytes_received = 0 AND bytes_sent = 0"),
    DecisionRule("one-way-traffic", "NOT is_http AND upstream_host IS NOT NULL"),
    DecisionRule("client-disconnected", "has_flag(response_flags, ['DC', 'DR'])"),
    DecisionRule("gateway-not-forwarded", "true"),
)


def first_match(rules: tuple[DecisionRule, ...]) -> str:
    """The rules as one SQL expression; a condition that is null does not hold."""
    return "CASE " + " ".join(f"WHEN {rule.condition} THEN '{rule.finding}'" for rule in rules) + " END"
