"""Envoy's command operators, how their values look in a line, and the columns they fill.

The operators are those of Envoy's ``configuration/advanced/substitution_formatter`` (as of August 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from egresslog.records.schema import COLUMNS, INTERNAL, Column, Type


class ValueKind(Enum):
    """What an operator's value looks like in a text line."""

    TIME = "time stamp"
    NUMBER = "number"
    LENIENT = "number; null if the header holds anything else"
    PROTOCOL = "protocol"
    METHOD = "HTTP method"
    FLAGS = "response flags"
    TOKEN = "text without blanks or quotes"  # noqa: S105
    DETAIL = "text without blanks"
    QUOTED = "text in quotes that the client does not write"
    TEXT = "any text"


_N, _TOK, _TXT = ValueKind.NUMBER, ValueKind.TOKEN, ValueKind.TEXT


@dataclass(frozen=True)
class Operator:
    """One of Envoy's command operators.

    ``column`` is the column it fills; empty: named after operator and argument. ``always``: it has a value on every
    line, so a JSON log has its key even with `omitEmptyValues`.
    """

    name: str
    kind: ValueKind
    column: str = ""
    unit: str = ""
    always: bool = False


def _each(names: str, kind: ValueKind, unit: str = "") -> tuple[Operator, ...]:
    return tuple(Operator(name, kind, "", unit) for name in names.split())


_TABLE = (
    Operator("START_TIME", ValueKind.TIME, "start_time", always=True),
    Operator("START_TIME_LOCAL", ValueKind.TIME, "start_time", always=True),
    Operator("EMIT_TIME", ValueKind.TIME),
    Operator("EMIT_TIME_LOCAL", ValueKind.TIME),
    Operator("PROTOCOL", ValueKind.PROTOCOL, "protocol"),
    Operator("UPSTREAM_PROTOCOL", ValueKind.PROTOCOL),
    Operator("RESPONSE_CODE", _N, "response_code", always=True),
    Operator("RESPONSE_CODE_DETAILS", ValueKind.DETAIL, "response_code_details"),
    Operator("CONNECTION_TERMINATION_DETAILS", ValueKind.DETAIL, "connection_termination_details"),
    Operator("RESPONSE_FLAGS", ValueKind.FLAGS, "response_flags"),
    Operator("RESPONSE_FLAGS_LONG", ValueKind.FLAGS),
    Operator("BYTES_RECEIVED", _N, "bytes_received", "bytes", always=True),
    Operator("BYTES_SENT", _N, "bytes_sent", "bytes", always=True),
    Operator("DURATION", _N, "duration", "ms", always=True),
    *_each(
        "REQUEST_HEADERS_BYTES RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES BYTES_RETRANSMITTED"
        " UPSTREAM_WIRE_BYTES_SENT UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT"
        " UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT"
        " UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT DOWNSTREAM_WIRE_BYTES_RECEIVED"
        " DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_HEADER_BYTES_RECEIVED"
        " DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
        _N,
        "bytes",
    ),
    *_each(
        "REQUEST_DURATION REQUEST_TX_DURATION RESPONSE_DURATION RESPONSE_TX_DURATION ROUNDTRIP_DURATION"
        " DOWNSTREAM_HANDSHAKE_DURATION UPSTREAM_CONNECTION_POOL_READY_DURATION",
        _N,
        "ms",
    ),
    Operator("COMMON_DURATION", _N),  # its unit is an argument
    *_each(
        "PACKETS_RETRANSMITTED UPSTREAM_REQUEST_ATTEMPT_COUNT CONNECTION_ID UPSTREAM_CONNECTION_ID"
        " UPSTREAM_REMOTE_PORT UPSTREAM_LOCAL_PORT DOWNSTREAM_REMOTE_PORT DOWNSTREAM_DIRECT_REMOTE_PORT"
        " DOWNSTREAM_LOCAL_PORT DOWNSTREAM_DIRECT_LOCAL_PORT GRPC_STATUS_NUMBER",
        _N,
    ),
    Operator("ROUTE_NAME", _TXT, "route_name"),  # a VirtualService may name a route with blanks
    Operator("UPSTREAM_HOST", _TOK, "upstream_host"),
    Operator("UPSTREAM_CLUSTER", _TOK, "upstream_cluster"),
    Operator("UPSTREAM_CLUSTER_RAW", _TOK, "upstream_cluster"),
    Operator("UPSTREAM_LOCAL_ADDRESS", _TOK, "upstream_local_address"),
    Operator("DOWNSTREAM_LOCAL_ADDRESS", _TOK, "downstream_local_address"),
    Operator("DOWNSTREAM_REMOTE_ADDRESS", _TOK, "downstream_remote_address"),
    *_each(
        "UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID"
        " UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS_ENDPOINT_ID"
        " DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_REMOTE_ADDRESS_ENDPOINT_ID"
        " DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"
        " DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID"
        " DOWNSTREAM_DIRECT_LOCAL_ADDRESS DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT"
        " UPSTREAM_HOST_NAME UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_HOSTS_ATTEMPTED UPSTREAM_HOST_NAMES_ATTEMPTED"
        " UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT UPSTREAM_CONNECTION_IDS_ATTEMPTED STREAM_ID UNIQUE_ID TRACE_ID"
        " SPAN_ID ACCESS_LOG_TYPE UPSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DETECTED_CLOSE_TYPE"
        " TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_CIPHER"
        " DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_VERSION DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_FINGERPRINT_1"
        " DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1"
        " DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_CERT UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_CIPHER"
        " UPSTREAM_TLS_GROUP UPSTREAM_TLS_VERSION UPSTREAM_PEER_FINGERPRINT_256 UPSTREAM_PEER_FINGERPRINT_1"
        " UPSTREAM_PEER_SERIAL UPSTREAM_PEER_CERT HOSTNAME GRPC_STATUS",
        _TOK,
    ),
    Operator("UPSTREAM_TRANSPORT_FAILURE_REASON", _TXT, "upstream_transport_failure_reason"),
    Operator("DOWNSTREAM_TRANSPORT_FAILURE_REASON", _TXT),
    Operator("REQUESTED_SERVER_NAME", _TXT, "requested_server_name"),  # BoringSSL hands on any byte but NUL
    *_each(
        "UPSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_CLOSE_REASON VIRTUAL_CLUSTER_NAME FILTER_CHAIN_NAME"
        " DYNAMIC_METADATA CLUSTER_METADATA UPSTREAM_METADATA METADATA FILTER_STATE UPSTREAM_FILTER_STATE"
        " DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_LOCAL_EMAIL_SAN"
        " DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_PEER_IP_SAN DOWNSTREAM_PEER_DNS_SAN"
        " DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_PEER_SUBJECT"
        " DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CERT_V_END UPSTREAM_LOCAL_IP_SAN"
        " UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_URI_SAN UPSTREAM_LOCAL_SUBJECT UPSTREAM_PEER_IP_SAN"
        " UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_URI_SAN UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_ISSUER"
        " UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_CERT_V_END UPSTREAM_SERVER_NAME ENVIRONMENT LOCAL_REPLY_BODY"
        " QUERY_PARAM QUERY_PARAMS CUSTOM_FLAGS COALESCE CEL TYPED_CEL REQ RESP TRAILER",
        _TXT,
    ),
    Operator("PATH", _TXT, "path"),
)
OPERATORS = {operator.name: operator for operator in _TABLE}

# Newer and older names of one operator.
_SYNONYMS = {
    "REQUEST_HEADER": "REQ",
    "RESPONSE_HEADER": "RESP",
    "RESPONSE_TRAILER": "TRAILER",
    "REQ_WITHOUT_QUERY": "REQ",
}

# Free text that Envoy or the mesh's configuration writes. All other free text is the client's or the outside server's:
# headers, what filters copy from them, names in certificates.
_BY_ENVOY = {
    "ROUTE_NAME", "VIRTUAL_CLUSTER_NAME", "FILTER_CHAIN_NAME", "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON", "UPSTREAM_LOCAL_CLOSE_REASON", "DOWNSTREAM_LOCAL_CLOSE_REASON",
    "CLUSTER_METADATA", "UPSTREAM_METADATA", "ENVIRONMENT",
}  # fmt: skip

# Arguments that make an operator fill a column of Istio's log.
_ARGUMENTS = {
    ("REQ", ":METHOD"): ("method", ValueKind.METHOD),
    ("REQ", ":PATH"): ("path", _TXT),
    ("REQ", "X-ENVOY-ORIGINAL-PATH"): ("path", _TXT),
    ("REQ", "X-FORWARDED-FOR"): ("x_forwarded_for", _TXT),
    ("REQ", "USER-AGENT"): ("user_agent", _TXT),
    ("REQ", "X-REQUEST-ID"): ("request_id", _TXT),
    ("REQ", ":AUTHORITY"): ("authority", _TXT),
    ("REQ", "HOST"): ("authority", _TXT),
    # Envoy's router writes it; with suppress_envoy_headers the outside server may, and it must not make a reject.
    ("RESP", "X-ENVOY-UPSTREAM-SERVICE-TIME"): ("upstream_service_time", ValueKind.LENIENT),
    ("DYNAMIC_METADATA", "ISTIO.MIXER:STATUS"): ("istio_policy_status", _TXT),
}


@dataclass(frozen=True)
class FormatField:
    """One operator as it stands in a format: ``%REQ(X?Y):10%``."""

    operator: str
    argument: str
    kind: ValueKind
    column: Column
    always: bool
    client: bool  # a header, or other text that the client or the outside server writes; the SNI is apart (`is_sni`)
    named: bool  # fills a column of Istio's own log

    @property
    def is_sni(self) -> bool:
        """Whether it is the SNI, which the client writes (docs/access-log-formats.md, 7.3)."""
        return self.operator == "REQUESTED_SERVER_NAME"


@cache
def format_field(name: str, argument: str = "") -> FormatField:
    """The field of operator ``name`` with ``argument``; an unknown operator is a string column of its own."""
    plain = _SYNONYMS.get(name, name)
    operator = OPERATORS.get(plain) or Operator(plain, _TXT)
    kind, target = operator.kind, operator.column
    meanings = {_ARGUMENTS.get((plain, part.strip().upper())) for part in argument.split("?")}
    if len(meanings) == 1 and (meaning := meanings.pop()):
        target, kind = meaning
    if plain == "RESPONSE_CODE_DETAILS" and argument.upper() == "ALLOW_WHITESPACES":
        kind = _TXT
    if plain == "GRPC_STATUS" and argument.upper() == "NUMBER":
        kind = _N
    headers = plain in {"REQ", "RESP", "TRAILER", "PATH"}
    free = kind is _TXT and plain not in _BY_ENVOY and target not in {"istio_policy_status", "requested_server_name"}
    return FormatField(
        plain,
        argument,
        kind,
        COLUMNS[target] if target else custom_column(column_name(plain, argument), kind, operator.unit),
        operator.always,
        headers or free,
        bool(target),
    )


def column_name(operator: str, argument: str) -> str:
    """A column name made from an operator: ``REQ``, ``X-TEAM`` -> ``req_x_team``."""
    return re.sub(r"[^a-z0-9]+", "_", f"{operator}_{argument}".lower()).strip("_")


_TAKEN = {"", "line", *INTERNAL, *COLUMNS}  # `line` is the line itself, where it is asked for


def custom_column(name: str, kind: ValueKind, unit: str = "") -> Column:
    """The column of a value that Istio's own log does not have.

    A name that means something else gets a ``_``, in any case of letters (DuckDB's are the same); so does no name.
    """
    types: dict[ValueKind, Type] = {ValueKind.NUMBER: "int", ValueKind.LENIENT: "int", ValueKind.TIME: "time"}
    return Column(f"{name}_" if name.lower() in _TAKEN else name, types.get(kind, "string"), unit)
