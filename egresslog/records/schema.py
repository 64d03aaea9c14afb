"""The one record schema. Column names are the keys of Istio's own JSON log (istio ``EnvoyJSONLogFormatIstio``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pyarrow as pa

Type = Literal["string", "int", "time", "bool"]

ARROW: dict[Type, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int64(),
    "time": pa.timestamp("ns", tz="UTC"),
    "bool": pa.bool_(),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, type, unit (empty if it has none) and meaning."""

    name: str
    type: Type = "string"
    unit: str = ""
    meaning: str = ""


class TimeConverter(Protocol):
    """How a format prints times."""

    def convert(self, texts: Sequence[str | None]) -> tuple[pa.Array, pa.Array]:
        """Times (timestamp[ns, UTC]) and how many digits of a second each printed (int8). Raises ValueError."""


class RowFormat(Protocol):
    """What it takes to make a batch of rows of text: which columns they fill, and how their times print."""

    @property
    def name(self) -> str:
        """The format's name."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a row, in order."""

    def time_format(self, column: str) -> TimeConverter | None:
        """How a time column prints."""


# The columns every record has, in this order. A column a format does not fill is null.
RECORD = (
    Column("start_time", "time", "UTC", "when the request or connection began"),
    Column("method", meaning="HTTP method; null for TCP and TLS passthrough"),
    Column("path", meaning="path with query, as the client sent it (before Envoy's rewrites)"),
    Column("protocol", meaning="HTTP version between client and this proxy; null for TCP"),
    Column("response_code", "int", "", "HTTP status; 0 for TCP, or if no response was started"),
    Column("response_flags", meaning="Envoy's short flags, joined by commas; null when none"),
    Column("response_code_details", meaning="who set the response code, and why"),
    Column("connection_termination_details", meaning="why Envoy closed the connection, for L4 reasons"),
    Column("upstream_transport_failure_reason", meaning="transport (TLS) error of the upstream connection"),
    Column("bytes_received", "int", "bytes", "body (HTTP) or connection bytes from the client"),
    Column("bytes_sent", "int", "bytes", "body (HTTP) or connection bytes to the client"),
    Column("duration", "int", "ms", "from the start to the last byte out; TCP: life of the connection"),
    Column("upstream_service_time", "int", "ms", "time the upstream took: x-envoy-upstream-service-time"),
    Column("x_forwarded_for", meaning="X-Forwarded-For, as received"),
    Column("user_agent", meaning="User-Agent; set by the client"),
    Column("request_id", meaning="X-Request-Id; from Istio 1.25 the gateway writes a new one"),
    Column("authority", meaning=":authority or Host; set by the client"),
    Column("upstream_host", meaning="address of the upstream connection"),
    Column("upstream_cluster", meaning="Envoy cluster; a trailing `;` (Istio 1.23, 1.24) is cut"),
    Column("upstream_local_address", meaning="this proxy's end of the upstream connection"),
    Column("downstream_local_address", meaning="address the client connected to"),
    Column("downstream_remote_address", meaning="the client's address"),
    Column("requested_server_name", meaning="SNI"),
    Column("route_name", meaning="Envoy route"),
)

DERIVED = (
    Column("host", meaning="authority without port; else the SNI, if not the mesh's own; else the cluster's host"),
    Column("upstream_ip", meaning="IP address of upstream_host"),
    Column("upstream_port", "int", "", "port of upstream_host"),
    Column("source_ip", meaning="IP address of downstream_remote_address"),
)

PROVENANCE = (
    Column("origin", meaning="the file, or namespace/pod/container"),
    Column("line_number", "int", "", "number of the line in its origin, from 1"),
    Column("ambiguous", "bool", "", "true: the split into fields is not unique (a quote forged in a header)"),
)

# Keys of Istio's JSON log that only Istio 1.1 to 1.7 had. Kept after the other columns where a line has them.
ERA = (Column("istio_policy_status", meaning="Mixer's answer (Istio 1.1 to 1.7)"),)

BASE = (*RECORD, *DERIVED, *PROVENANCE)
#: Names of the columns that every record has.
BASE_NAMES = frozenset(column.name for column in BASE)
COLUMNS = {column.name: column for column in (*BASE, *ERA)}

# Internal: how many digits of a second the line printed, so that output prints as many. Dropped by Log.batches().
PRECISION = "start_time_digits"
# Internal: the values of an upstream_host that came several times, in text that only looks like JSON.
UPSTREAMS = "upstream_hosts"
INTERNAL = (PRECISION, UPSTREAMS)


def is_known(name: str) -> bool:
    """Whether ``name`` is a known column: one of every record, or of Istio 1.1 to 1.7."""
    return name in COLUMNS


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of ``columns``."""
    return pa.schema([pa.field(column.name, ARROW[column.type]) for column in columns])
