"""Envoy's printer, as its documentation has it: a format string and values -> a line. The tests' own, on purpose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from hypothesis import strategies as st

# Operator as it stands in Istio's and Envoy's default formats -> column.
OPERATORS = {
    "START_TIME": "start_time",
    "REQ(:METHOD)": "method",
    "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "path",
    "PROTOCOL": "protocol",
    "RESPONSE_CODE": "response_code",
    "RESPONSE_FLAGS": "response_flags",
    "RESPONSE_CODE_DETAILS": "response_code_details",
    "CONNECTION_TERMINATION_DETAILS": "connection_termination_details",
    "DYNAMIC_METADATA(istio.mixer:status)": "istio_policy_status",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": "upstream_transport_failure_reason",
    "BYTES_RECEIVED": "bytes_received",
    "BYTES_SENT": "bytes_sent",
    "DURATION": "duration",
    "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)": "upstream_service_time",
    "REQ(X-FORWARDED-FOR)": "x_forwarded_for",
    "REQ(USER-AGENT)": "user_agent",
    "REQ(X-REQUEST-ID)": "request_id",
    "REQ(:AUTHORITY)": "authority",
    "UPSTREAM_HOST": "upstream_host",
    "UPSTREAM_CLUSTER": "upstream_cluster",
    "UPSTREAM_CLUSTER_RAW": "upstream_cluster",
    "UPSTREAM_LOCAL_ADDRESS": "upstream_local_address",
    "DOWNSTREAM_LOCAL_ADDRESS": "downstream_local_address",
    "DOWNSTREAM_REMOTE_ADDRESS": "downstream_remote_address",
    "REQUESTED_SERVER_NAME": "requested_server_name",
    "ROUTE_NAME": "route_name",
}
CLIENT = ("path", "x_forwarded_for", "user_agent", "request_id", "authority")
TAIL = (
    "upstream_host",
    "upstream_cluster",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
)


def render(text: str, record: Mapping[str, object]) -> str:
    """The line that Envoy prints for a record: nothing is quoted, an absent value is `-`."""
    return re.sub(r"%([A-Z_]+(?:\([^)]*\))?)%", lambda found: shown(record.get(OPERATORS[found[1]])), text.strip("\n"))


def shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    return str(value)


def _absent_or(values: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | values.filter(lambda value: value != "-")


# What Envoy lets into a header (nghttp2_check_header_value): tab, 0x20 to 0x7e, and from 0x80 on.
HEADER = st.text(
    st.characters(codec="utf-8", categories=None, exclude_categories=["Cs", "Cc"]) | st.just("\t"), max_size=30
)
YEARS = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001  (hypothesis wants them naive)
_TOKEN = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), min_size=1, max_size=30)
_PORT = st.integers(0, 65535)
ADDRESS = st.builds("{}:{}".format, st.ip_addresses(v=4), _PORT) | st.builds(
    "[{}]:{}".format, st.ip_addresses(v=6), _PORT
)
COUNT = st.integers(0, 10**18 - 1)


def records(header: st.SearchStrategy[str] = HEADER) -> st.SearchStrategy[dict[str, object]]:
    """Records as a gateway has them, with client-written values from ``header``."""
    quiet = st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"'), min_size=1, max_size=20
    )
    return st.fixed_dictionaries(
        {
            "start_time": st.datetimes(*YEARS, timezones=st.just(UTC)).map(
                lambda when: when.replace(microsecond=when.microsecond // 1000 * 1000)
            ),
            "method": st.none() | st.sampled_from(["GET", "POST", "CONNECT", "M-SEARCH", "PROPFIND"]),
            "protocol": st.none() | st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"]),
            "response_code": st.integers(0, 599),
            "response_flags": st.none() | st.sampled_from(["UH", "UF,URX", "NR", "NEW_FLAG"]),
            "response_code_details": _absent_or(_TOKEN),
            "connection_termination_details": _absent_or(_TOKEN),
            "istio_policy_status": _absent_or(quiet),
            "upstream_transport_failure_reason": _absent_or(quiet),
            "bytes_received": COUNT,
            "bytes_sent": COUNT,
            "duration": COUNT,
            "upstream_service_time": st.none() | COUNT,
            **{name: _absent_or(header) for name in CLIENT},
            "upstream_host": st.none() | ADDRESS,
            "upstream_cluster": _absent_or(_TOKEN.map(lambda text: text.rstrip(";"))).filter(lambda text: text != ""),
            "upstream_local_address": st.none() | ADDRESS,
            "downstream_local_address": st.none() | ADDRESS,
            "downstream_remote_address": st.none() | ADDRESS,
            "requested_server_name": _absent_or(_TOKEN),
            "route_name": _absent_or(_TOKEN),
        }
    )
