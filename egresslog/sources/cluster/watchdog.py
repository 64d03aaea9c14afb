"""Streams that say nothing: is there nothing to say, or does nobody speak any more?

A kubelet before 1.29 lets a follower go at rotation without a word; a load balancer that restarts leaves half a
connection. So the log is read beside the stream, without following (shared facts, egress-verification 4.5, rule 4).
To end the stream instead would lose what it alone can still bring: the end of a file that was rotated away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event

from egresslog.errors import ClusterError, LineError
from egresslog.sources.cluster.client import GONE, Cluster, Query
from egresslog.sources.cluster.log_stream import Stream
from egresslog.sources.cluster.log_timestamps import separate, whole_lines

_LATE = 2.0  # seconds that a line may be on its way


def watch_over(cluster: Cluster, streams: Callable[[], Sequence[Stream]], silence: float, stop: Event) -> None:
    """Wakes up streams that missed lines or whose pod is gone, until ``stop`` is set.

    Args:
        cluster: where.
        streams: those that are read now.
        silence: seconds without a line until a stream is looked after.
        stop: ends it.
    """
    while not stop.wait(silence / 2):
        for stream in streams():
            if stop.is_set():
                return
            if stream.response is not None and time.monotonic() - stream.heard >= silence:
                _look_after(cluster, stream, silence, stop)


def _look_after(cluster: Cluster, stream: Stream, silence: float, stop: Event) -> None:
    before = stream.coverage.lines
    response, stream.heard = stream.response, time.monotonic()
    overlap = stream.recent.overlap()
    query: Query = {"container": stream.container.name, "timestamps": "true"}
    if since := stream.recent.since:
        query = {**query, "sinceTime": since}
    try:
        body = cluster.body(cluster.open(f"{stream.container.path}/log", query, silence=silence))
        missed = any(overlap.feed(separate(lines)[0])[0] for lines in whole_lines(body) if lines.endswith(b"\n"))
    except LineError:
        return
    except ClusterError as error:
        missed = error.status == GONE
    # The line may have come here a moment before it comes there.
    if missed and not stop.wait(min(_LATE, silence)) and stream.coverage.lines == before and response is not None:
        cluster.wake(response)
