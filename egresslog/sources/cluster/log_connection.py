"""The connection over which a container's log arrives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from egresslog.sources.cluster.answers import AnswerTooLargeError
from egresslog.sources.cluster.client import Cluster, Query
from egresslog.sources.cluster.deadline import answer_deadline
from egresslog.sources.cluster.log_timestamps import whole_lines
from egresslog.sources.cluster.pods import Container

if TYPE_CHECKING:
    import urllib3

_NO_TIMEOUT = 3600.0  # seconds
# Of a log that is read to its end. The kubelet serves one file (containerLogMaxSize, 10 MiB by default).
LONGEST = 3600.0  # seconds
LARGEST = 4 * 1024**3  # bytes


class LogConnection:
    """Requests a log, and knows for how long nothing has arrived.

    Attributes:
        response: the latest answer, None before the first.
    """

    def __init__(self, cluster: Cluster, *, follow: bool, timeout: float) -> None:
        """``timeout``: seconds to wait for an answer and, unless the log is followed, for its next bytes."""
        self._cluster, self._follow, self._timeout = cluster, follow, timeout
        self._last_activity = time.monotonic()
        self.response: urllib3.BaseHTTPResponse | None = None

    def open(self, container: Container, query: Query) -> int | None:
        """Requests the log of a container; returns the server's time (ns since 1970), None if it is not known.

        Raises:
            ClusterError: there is no answer, or it is an error.
        """
        response = self._cluster.open(f"{container.path}/log", query, read_timeout=self._timeout)
        if self._follow:  # whether silence means anything is for the watchdog to find out
            self._cluster.set_read_timeout(response, _NO_TIMEOUT)
        self.response = response
        self.mark_checked()
        return self._cluster.server_time(response)

    def blocks(self) -> Iterator[bytes]:
        """The log as blocks of whole lines; the last may lack its newline.

        Raises:
            ClusterError: the connection broke, nothing arrived in time, or a log that is not followed does not end.
            LineError: a line is longer than any log line.
        """
        assert self.response is not None
        size = 0
        with nullcontext() if self._follow else answer_deadline(LONGEST, self.response, self._cluster.name):
            for block in whole_lines(self._cluster.read_body(self.response)):
                self.mark_checked()
                yield block
                size += len(block)
                if size > LARGEST and not self._follow:
                    raise AnswerTooLargeError(self._cluster.name, f"the log is larger than {LARGEST} bytes")

    def silent_for(self) -> float:
        """Seconds since the last line, the last answer or the last check."""
        return time.monotonic() - self._last_activity

    def mark_checked(self) -> None:
        """Starts counting silence anew."""
        self._last_activity = time.monotonic()

    def abort(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        """Interrupts the thread that reads ``response``, or else the latest answer; from any thread."""
        with suppress(Exception):  # it may end at this moment by itself
            if response := response or self.response:
                self._cluster.abort(response)
