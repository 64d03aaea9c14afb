"""Envoy's response flags (``%RESPONSE_FLAGS%``; envoyproxy/envoy `access_log/usage`; docs/access-log-formats.md, 5)."""

from __future__ import annotations

from typing import NamedTuple


class Flag(NamedTuple):
    """A flag; ``failure``: the request or connection did not do what the client wanted."""

    short: str
    long: str
    meaning: str
    failure: bool = True


_TABLE = (
    Flag("UH", "NoHealthyUpstream", "no healthy host, or the mesh's BlackHoleCluster"),
    Flag("UF", "UpstreamConnectionFailure", "connecting to the upstream failed"),
    Flag("UO", "UpstreamOverflow", "circuit breaker"),
    Flag("NR", "NoRouteFound", "no route, or no filter chain"),
    Flag("URX", "UpstreamRetryLimitExceeded", "retries or connect attempts used up"),
    Flag("NC", "NoClusterFound", "cluster unknown"),
    Flag("DT", "DurationTimeout", "maximum connection duration reached"),
    Flag("DC", "DownstreamConnectionTermination", "the client went away"),
    Flag("LH", "FailedLocalHealthCheck", "local health check failed"),
    Flag("UT", "UpstreamRequestTimeout", "the upstream took too long"),
    Flag("LR", "LocalReset", "reset by this proxy"),
    Flag("UR", "UpstreamRemoteReset", "reset by the upstream"),
    Flag("UC", "UpstreamConnectionTermination", "the upstream closed the connection"),
    Flag("DI", "DelayInjected", "fault injection: delay", failure=False),
    Flag("FI", "FaultInjected", "fault injection: abort"),
    Flag("RL", "RateLimited", "rate limited"),
    Flag("UAEX", "UnauthorizedExternalService", "refused by ext_authz"),
    Flag("RLSE", "RateLimitServiceError", "the rate limit service failed"),
    Flag("IH", "InvalidEnvoyRequestHeaders", "a strictly checked x-envoy header was invalid"),
    Flag("SI", "StreamIdleTimeout", "stream idle timeout"),
    Flag("DPE", "DownstreamProtocolError", "the client's request broke the protocol"),
    Flag("UPE", "UpstreamProtocolError", "the upstream's response broke the protocol"),
    Flag("UMSDR", "UpstreamMaxStreamDurationReached", "maximum stream duration reached"),
    Flag("RFCF", "ResponseFromCacheFilter", "answered from the cache", failure=False),
    Flag("NFCF", "NoFilterConfigFound", "no filter configuration came in time"),
    Flag("OM", "OverloadManagerTerminated", "the overload manager ended it"),
    Flag("DF", "DnsResolutionFailed", "the host's name could not be resolved"),
    Flag("DO", "DropOverload", "dropped by the upstream's drop_overload"),
    Flag("DR", "DownstreamRemoteReset", "reset by the client"),
    Flag("UDO", "UnconditionalDropOverload", "dropped unconditionally"),
)
FLAGS = {flag.short: flag for flag in _TABLE} | {flag.long: flag for flag in _TABLE}


def is_failure(flags: str) -> bool:
    """Whether one of the comma-joined flags tells of a failure. Extensions add flags: an unknown one counts."""
    return any(flag not in FLAGS or FLAGS[flag].failure for flag in flags.split(","))
