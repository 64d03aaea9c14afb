"""Access-log lines: published ones, and lines put together of what a test is about."""

from __future__ import annotations

#: The line of the article that the project grew from: an Istio 1.0 gateway, Envoy's default format.
ARTICLE = '[2018-06-14T11:46:23.596Z] "GET /politics HTTP/2" 301 - 0 0 3 1 "172.30.146.87" "curl/7.35.0" "ab7be694-e367-94c5-83d1-086eca996dae" "edition.cnn.com" "151.101.193.67:80"'
#: One request at a gateway of Istio 1.9 or newer, in its default text format, and the same in its JSON format.
TEXT = '[2024-05-01T10:17:14.118Z] "GET /politics HTTP/2" 301 - via_upstream - "-" 0 240 8 7 "10.244.1.15" "curl/8.4" "fca94cae-0c1f-4a9b-8a0a-5a4d5b0a7f11" "edition.cnn.com" "151.101.193.67:80" outbound|80||edition.cnn.com 10.244.2.20:39456 10.244.2.20:8080 10.244.1.15:56962 - -'
JSON = '{"authority":"edition.cnn.com","bytes_received":0,"bytes_sent":240,"connection_termination_details":null,"downstream_local_address":"10.244.2.20:8080","downstream_remote_address":"10.244.1.15:56962","duration":8,"method":"GET","path":"/politics","protocol":"HTTP/2","request_id":"fca94cae-0c1f-4a9b-8a0a-5a4d5b0a7f11","requested_server_name":null,"response_code":301,"response_code_details":"via_upstream","response_flags":"-","route_name":null,"start_time":"2024-05-01T10:17:14.118Z","upstream_cluster":"outbound|80||edition.cnn.com","upstream_host":"151.101.193.67:80","upstream_local_address":"10.244.2.20:39456","upstream_service_time":"7","upstream_transport_failure_reason":null,"user_agent":"curl/8.4","x_forwarded_for":"10.244.1.15"}'
#: A message of the proxy itself between access-log lines.
AGENT = "2022-12-05T07:17:36.434377Z\tinfo\tEnvoy proxy is ready"

GATEWAY_SERVICE = "istio-egressgateway.istio-system.svc.cluster.local"
POD, GATEWAY, OUTSIDE = "10.244.1.15", "10.244.2.20", "151.101.1.67"


def at(seconds: float) -> str:
    """A start time, so many seconds after noon."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"2026-11-01T12:{whole // 60:02}:{whole % 60:02}.{thousandths:03}Z"


def line(
    when: float = 0,
    *,
    request: str = "- - -",
    code: int = 0,
    flags: str = "-",
    details: str = "-",
    reason: str = "-",
    received: int = 700,
    sent: int = 5000,
    duration: int = 100,
    forwarded: str = "-",
    agent: str = "-",
    authority: str = "-",
    upstream: str = "-",
    cluster: str = "-",
    upstream_local: str = "-",
    downstream_local: str = "-",
    downstream_remote: str = "-",
    sni: str = "-",
    route: str = "-",
) -> str:
    """A line of Istio's default text format since 1.9."""
    return (
        f'[{at(when)}] "{request}" {code} {flags} {details} - "{reason}" {received} {sent} {duration} - "{forwarded}" "{agent}" '
        f'"-" "{authority}" "{upstream}" {cluster} {upstream_local} {downstream_local} {downstream_remote} {sni} {route}'
    )


def to_gateway(
    when: float = 0,
    port: int = 40000,
    *,
    host: str = "edition.cnn.com",
    pod: str = POD,
    gateway: str = GATEWAY,
    **more: object,
) -> str:
    """A sidecar's line of TLS that goes to the gateway."""
    values: dict[str, object] = {
        "upstream": f"{gateway}:8443", "cluster": f"outbound|443|cnn|{GATEWAY_SERVICE}", "upstream_local": f"{pod}:{port}",
        "downstream_local": f"{OUTSIDE}:443", "downstream_remote": f"{pod}:50000", "sni": host,
    }  # fmt: skip
    return line(when, **{**values, **more})  # type: ignore[arg-type]


def from_gateway(
    when: float = 0,
    port: int = 40000,
    *,
    host: str = "edition.cnn.com",
    pod: str = POD,
    gateway: str = GATEWAY,
    **more: object,
) -> str:
    """The gateway's line of the same connection."""
    values: dict[str, object] = {
        "upstream": f"{OUTSIDE}:443", "cluster": f"outbound|443||{host}", "upstream_local": f"{gateway}:60000",
        "downstream_local": f"{gateway}:8443", "downstream_remote": f"{pod}:{port}", "sni": host,
    }  # fmt: skip
    return line(when, **{**values, **more})  # type: ignore[arg-type]


def past(
    when: float = 0, *, to: str = f"{OUTSIDE}:443", cluster: str = "PassthroughCluster", pod: str = POD, **more: object
) -> str:
    """A sidecar's line of a connection past the gateway."""
    values: dict[str, object] = {
        "upstream": to,
        "cluster": cluster,
        "upstream_local": f"{pod}:41000",
        "downstream_local": to,
        "downstream_remote": f"{pod}:51000",
    }
    return line(when, **{**values, **more})  # type: ignore[arg-type]


def http(path: str = "/", code: int = 200, **more: object) -> dict[str, object]:
    """What makes a line one of HTTP."""
    return {
        "request": f"GET {path} HTTP/1.1",
        "code": code,
        "details": "via_upstream",
        "received": 0,
        "authority": "edition.cnn.com",
        "sni": "-",
        **more,
    }
