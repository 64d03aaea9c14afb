"""A probe's request in the evidence: its rows in ``Verification.to_arrow()``, and by what they are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.live.probe.request import Probe
from egresslog.records.batch import ip_of, port_of
from egresslog.records.catalogue import resolve
from egresslog.records.chunk import Chunk
from egresslog.records.format import Format
from egresslog.records.parser import Parser

FoundBy = Literal["address", "marker", "time"]

_SECOND = 10**9  # ns
# How far a line's time may lie outside the probe's, by our clock, which is not the node's. A marker is unique; a port
# comes back after a while; and where nothing but the time tells, it must tell.
_WITHIN: Mapping[FoundBy, int] = {"address": 60 * _SECOND, "marker": 600 * _SECOND, "time": 5 * _SECOND}
_COLUMNS = ["downstream_remote_address", "user_agent", "method"]


@dataclass(frozen=True)
class ProbeLines:
    """The rows of a probe's request.

    Attributes:
        found_by: ``address``: the sidecar saw this very connection; ``marker``: the request's User-Agent, in the pod's
            own log or from its IP; ``time``: the pod, the host and the time, so it may be another request of the pod;
            None: not found.
        rows: of the table, in its order.
        note: why it is uncertain, or not found.
    """

    found_by: FoundBy | None
    rows: pa.Table
    note: str = ""


def locate(probe: Probe, rows: pa.Table, format: str | Mapping[str, Any] | Format | None = None) -> ProbeLines:  # noqa: A002
    """Finds a probe's request or connection.

    Nobody else's lines are taken for it: they must come from the log of the pod's own sidecar or, where only the
    gateway's line is there, from the pod's IP. What a line says of its client must not contradict the probe.

    Args:
        probe: what was asked.
        rows: of ``Verification.to_arrow()``; of one case there may be several.
        format: of the logs, as ``egresslog.read`` takes it.
    """
    starts = rows["start_time"].cast(pa.int64())
    near = _between(starts, probe, max(_WITHIN.values()))
    places = pc.indices_nonzero(near)
    reader = _LineReader(format)
    own_rows = [
        _Row(
            place, starts[place].as_py(), row, reader.columns(row["sidecar_line"]), reader.columns(row["gateway_line"])
        )
        for place, row in zip(places.to_pylist(), rows.take(places).to_pylist(), strict=True)
        if _from_pod(probe, row)
    ]
    pod = f"{probe.pod.namespace}/{probe.pod.pod}"
    tests: Mapping[FoundBy, Callable[[Probe, _Row], bool]] = {
        "address": _same_address,
        "marker": _marked,
        "time": _similar,
    }
    for criterion, test in tests.items():
        matches = [row for row in own_rows if row.distance(probe) <= _WITHIN[criterion] and test(probe, row)]
        if criterion == "address":  # had the port been used again, it would be one of them
            nearest = min((row.distance(probe) for row in matches), default=0)
            matches = [row for row in matches if row.distance(probe) == nearest]
        if matches:
            note = f"it may be another request of {pod}" if criterion == "time" else ""
            return ProbeLines(criterion, rows.take([row.place for row in matches]), note)
    others = any(row.distance(probe) <= _WITHIN["time"] for row in own_rows)
    state = f"the lines of {pod} at that time belong to other requests" if others else f"no line of {pod} at that time"
    return ProbeLines(None, rows.slice(0, 0), f"{state}; a line is written when its request or connection has ended")


class _Row(NamedTuple):
    """A row of the pod's: its place in the table, and the columns of its two lines."""

    place: int
    start: int
    columns: Mapping[str, Any]
    sidecar: Mapping[str, Any]
    gateway: Mapping[str, Any]

    def distance(self, probe: Probe) -> int:
        """How far (ns) it began from the probe's time."""
        return max(probe.at_ns - self.start, self.start - probe.until_ns, 0)


class _LineReader:
    """Reads single lines."""

    def __init__(self, format: str | Mapping[str, Any] | Format | None) -> None:  # noqa: A002
        self._formats = resolve(format)

    def columns(self, line: str | None) -> Mapping[str, Any]:
        """What a line says of its client. Columns that its format does not print are left out."""
        if line is None:
            return {}
        parsed = Parser(self._formats).feed(Chunk(f"{line}\n".encode("utf-8", "surrogateescape"), ""))
        printed = {column.name for made in self._formats.all if made.name in parsed.formats for column in made.columns}
        found = parsed.batch.select([*_COLUMNS, "ambiguous"]).to_pylist()
        return {name: value for row in found[:1] for name, value in row.items() if name in {*printed, "ambiguous"}}


def _between(starts: pa.ChunkedArray, probe: Probe, slack: int) -> pa.ChunkedArray:
    after = pc.greater_equal(starts, probe.at_ns - slack)
    return pc.fill_null(pc.and_(after, pc.less_equal(starts, probe.until_ns + slack)), False)


def _from_pod(probe: Probe, row: Mapping[str, Any]) -> bool:
    """Whose log it is, nobody can forge; without the sidecar's line it is the address that the gateway saw."""
    if row["sidecar_origin"] is not None:
        return bool(row["sidecar_origin"].startswith(f"{probe.pod.namespace}/{probe.pod.pod}/"))
    return row["source_ip"] in probe.pod.ips


def _same_address(probe: Probe, row: _Row) -> bool:
    """The sidecar's peer was the tool's own socket."""
    seen, own = row.sidecar.get("downstream_remote_address"), probe.client_address
    same = seen and own and (ip_of(seen), port_of(seen)) == (ip_of(own), port_of(own))
    return bool(same) and not _contradicts(probe, row)


def _marked(probe: Probe, row: _Row) -> bool:
    return any(line.get("user_agent") == probe.marker and not line["ambiguous"] for line in (row.sidecar, row.gateway))


def _similar(probe: Probe, row: _Row) -> bool:
    """The same host at the time, and nothing that speaks against it."""
    if probe.client_address and row.sidecar.get("downstream_remote_address"):
        return False  # they are known, and differ
    names = [row.columns[name] for name in ("host", "sni_name", "authority_name", "cluster_name")]
    return probe.host in names and not _contradicts(probe, row)


def _contradicts(probe: Probe, row: _Row) -> bool:
    """Whether a line is of another request: without the marker, or by TLS to another host."""
    for line in (row.sidecar, row.gateway):
        if line.get("method") and "user_agent" in line and (line["ambiguous"] or line["user_agent"] != probe.marker):
            return True
    return not row.columns["http"] and row.columns["sni_name"] not in (None, probe.host)
