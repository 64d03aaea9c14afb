"""Checks streams that are silent: is there nothing to read, or was the stream abandoned?

A kubelet before 1.29 abandons a follower at rotation without a sign; a load balancer that restarts leaves a half-open
connection. So the log is read a second time, without following it (docs/egress-evidence.md, 4.5 rule 4).
Simply reopening the stream would lose what only the old one can still deliver: the end of a file that was rotated away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from threading import Event

from egresslog.errors import ClusterError, LineError
from egresslog.sources.cluster.client import Cluster, Query
from egresslog.sources.cluster.log_stream import LogStream
from egresslog.sources.cluster.log_timestamps import split_diagnostics, whole_lines

_IN_FLIGHT = 2.0  # seconds that a line may take to arrive in the stream as well


def check_silent_streams(
    cluster: Cluster, streams: Callable[[], Sequence[LogStream]], silence: float, stop: Event
) -> None:
    """Interrupts streams that missed lines or whose pod is gone, until ``stop`` is set.

    Args:
        cluster: where.
        streams: returns those that are being read.
        silence: seconds without a line until a stream is checked.
        stop: ends it.
    """
    while not stop.wait(silence / 2):
        for stream in streams():
            if stop.is_set():
                return
            if stream.connection.response is not None and stream.connection.silent_for() >= silence:
                _check(cluster, stream, silence, stop)


def _check(cluster: Cluster, stream: LogStream, silence: float, stop: Event) -> None:
    connection, report = stream.connection, stream.report
    response, lines = connection.response, report.coverage.lines
    connection.mark_checked()
    overlap = stream.recent.overlap()
    query: Query = {"container": report.container.name, "timestamps": "true"}
    if since := stream.recent.since:
        query = {**query, "sinceTime": since}
    try:
        body = cluster.read_body(cluster.open(f"{report.container.path}/log", query, read_timeout=silence))
        missed = any(
            overlap.remove_from(split_diagnostics(block)[0])[0] for block in whole_lines(body) if block.endswith(b"\n")
        )
    except LineError:
        return
    except ClusterError as error:
        missed = error.status == HTTPStatus.NOT_FOUND
    # A line may arrive here a moment before it arrives in the stream.
    if missed and not stop.wait(min(_IN_FLIGHT, silence)) and report.coverage.lines == lines:
        connection.abort(response)
