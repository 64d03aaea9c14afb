"""The three access loggers every listener of the lab carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ("istio", "default", "json")
"""Names of the formats; also the middle part of the file names."""

ISTIO_TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% '
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""Istio 1.23 to 1.31, accessLogEncoding TEXT (shape unchanged since 1.9)."""

ISTIO_JSON = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}
"""Istio 1.24.2 to 1.31, accessLogEncoding JSON."""


def log_path(directory: Path, proxy: str, fmt: str) -> Path:
    """Where `proxy` writes its log in the format `fmt`."""
    return directory / f"{proxy}.{fmt}.log"


def loggers(directory: Path, proxy: str) -> list[dict[str, Any]]:
    """One file logger for each of `FORMATS`."""
    styles: dict[str, dict[str, Any]] = {
        "istio": {"log_format": {"text_format_source": {"inline_string": ISTIO_TEXT}}},
        "default": {},
        "json": {"log_format": {"json_format": ISTIO_JSON}},
    }
    return [_file_logger(log_path(directory, proxy, fmt), styles[fmt]) for fmt in FORMATS]


def unmatched_loggers(directory: Path, proxy: str) -> list[dict[str, Any]]:
    """The loggers of a listener itself: connections that no filter chain took (flag NR)."""
    only_nr = {"response_flag_filter": {"flags": ["NR"]}}
    return [logger | {"filter": only_nr} for logger in loggers(directory, proxy)]


def _file_logger(path: Path, style: dict[str, Any]) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {"@type": kind, "path": str(path), **style},
    }
