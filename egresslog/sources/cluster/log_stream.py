"""One container's log, read to its end or followed: through broken connections, rotation, restarts and silence.

Nothing is lost without a gap being recorded, and nothing is read twice. The reader never waits for whoever uses the
lines: a follower that stops reading loses lines without any sign (docs/egress-evidence.md, 4.5).
"""

from __future__ import annotations

import time
from http import HTTPStatus
from threading import Event

from egresslog.errors import ClusterError, LineError
from egresslog.sources.cluster.answers import ReadTimeoutError
from egresslog.sources.cluster.body_end import BodyEnd, end_of
from egresslog.sources.cluster.client import Cluster, Query
from egresslog.sources.cluster.clock import backoff
from egresslog.sources.cluster.lag import Lag
from egresslog.sources.cluster.log_connection import LogConnection
from egresslog.sources.cluster.log_timestamps import Overlap, RecentLines, split_diagnostics, timestamp_of
from egresslog.sources.cluster.pod_lookup import PodLookup
from egresslog.sources.cluster.pods import Container
from egresslog.sources.cluster.stream_report import StreamReport
from egresslog.sources.coverage import Sink
from egresslog.timespec import rfc3339

SILENCE = 30.0  # seconds without a line until the watchdog checks a stream
_TRIES = 6  # of a log that is read to its end
_PARTIAL_TRIES = 3  # of a log whose last line lacks its newline
_UNREAD = "the log of the instance before cannot be read"
_ROTATED = "the log was rotated before it could be read again"
_BEHIND = "reading fell behind, and the log was rotated meanwhile; lines may be missing"
_FULL = "read, and dropped: memory and disk for waiting lines are full"


class LogStream:
    """Reads one container's log; ``run`` in a thread of its own.

    Attributes:
        report: coverage and notices.
        connection: to the log API.
        recent: the lines read last, of the instance that is being read.
    """

    def __init__(
        self,
        cluster: Cluster,
        container: Container,
        sink: Sink,
        *,
        follow: bool = False,
        since: int | None = None,
        tail: int | None = None,
        silence: float | None = None,
        stop: Event | None = None,
    ) -> None:
        """A stream.

        Args:
            cluster: where.
            container: whose log.
            sink: receives the lines.
            follow: go on when the end is reached.
            since: only lines with a timestamp from then on (ns since 1970).
            tail: so many lines to begin with; None: all, and those of the instance before the last restart.
            silence: seconds to wait for an answer; None: SILENCE.
            stop: ends ``run`` when it is set.
        """
        self.report = StreamReport(container, sink)
        self.connection = LogConnection(cluster, follow=follow, timeout=SILENCE if silence is None else silence)
        self._cluster, self._follow = cluster, follow
        self._since, self._tail = since, tail
        self._stop = stop or Event()
        self._bodies = 0  # opened for this instance
        self._is_open = False  # the last request had an answer with a body
        self._last_end = BodyEnd.NOT_STARTED
        self._start_instance()
        self._partial_line = b""  # the last line, if the body ended within it
        self._is_unconfirmed = False  # requested again, and it is not known yet whether lines are missing
        self._is_complete = False  # the last body was read to its end
        self._lookup = PodLookup(
            cluster, self._stop, lambda reason: self.report.problem("error", reason), patient=follow
        )
        self._retry_after, self._failure = 0.0, ""
        self._lag = Lag()
        self._open_gap: tuple[int | None, str] | None = None  # start and reason of a gap that ends with the next line

    def run(self) -> None:
        """Reads until the end, or until ``stop`` is set. Errors are left in the coverage."""
        container = self.report.container
        try:
            if self._tail is None and container.previous and container.previous != container.instance:
                if self._read_previous() not in {BodyEnd.COMPLETE, BodyEnd.NOT_STARTED}:
                    self.report.add_gap(self.recent.timestamp, _UNREAD, stop=container.started)
                self._start_instance()
            self._read_current()
        except (ClusterError, LineError) as error:
            self.report.fail(error.reason, getattr(error, "status", None))
        except Exception as error:  # noqa: BLE001  (a bug of ours must not look like a log that ends)
            self.report.fail(f"internal error: {error!r}")
        failed = self.report.coverage.error is not None
        if self._is_unconfirmed:
            self.report.add_gap(self.recent.timestamp, "the last line read was not served again")
        elif self._stop.is_set() and not self._is_complete and self._last_end != BodyEnd.NOT_STARTED and not failed:
            self.report.add_gap(self.recent.timestamp, "the log could not be read any more")
        self._start_instance()
        self.report.notify("ended")

    def _read_current(self) -> None:
        """Reads the running instance, and those that follow it."""
        attempt = 0
        while not self._stop.is_set():
            lines = self.report.coverage.lines
            end = self._last_end = self._read()
            now = self._container_after(end)
            if self._stop.is_set():
                return
            if now is None or (now.done and end in {BodyEnd.COMPLETE, BodyEnd.OTHER_INSTANCE}):
                self._take_partial_line()
                if not self._is_complete:
                    self._is_unconfirmed = False
                    self.report.add_gap(self.recent.timestamp, "the pod went away before its log was read to the end")
                return
            if self.report.container.instance and now.instance != self.report.container.instance:
                self._switch_instance(now)
                attempt = 0
                continue
            self.report.update(now)
            is_end = end == BodyEnd.COMPLETE and not self._follow
            if is_end and (not self._partial_line or attempt == _PARTIAL_TRIES):
                self._take_partial_line()
                return
            attempt = 0 if self.report.coverage.lines > lines else attempt + 1
            if not self._follow and (attempt >= _TRIES or end == BodyEnd.NOT_STARTED):
                reason = f"{self._failure or 'the log does not end'} (tried {attempt} times)"
                raise ClusterError(self.report.coverage.origin, reason)
            if end != BodyEnd.TIMED_OUT:
                self._pause(attempt)

    def _pause(self, attempt: int) -> bool:
        return self._cluster.clock.wait(self._stop, self._retry_after or backoff(attempt))

    def _container_after(self, end: BodyEnd) -> Container | None:
        """The container's state after a body has ended; None if it is gone."""
        try:
            return self._lookup.current(self.report.container)
        except ClusterError:
            if end == BodyEnd.COMPLETE and not self._follow:
                return self.report.container  # the log was read, whatever is wrong now
            raise

    def _read(self, *, previous: bool = False) -> BodyEnd:
        """Requests the log, and reads the answer to its end."""
        self._retry_after, self._is_open = 0.0, False
        try:
            return self._read_body(self._query(previous=previous))
        except ReadTimeoutError:
            return BodyEnd.TIMED_OUT
        except ClusterError as error:
            return self._end_after(error, previous=previous)

    def _query(self, *, previous: bool) -> Query:
        query: dict[str, str | int] = {"container": self.report.container.name, "timestamps": "true"}
        if previous:
            query["previous"] = "true"
        elif self._follow:
            query["follow"] = "true"
        # The log API ignores fractions of a second.
        since = self.recent.since or (None if self._since is None else rfc3339(self._since, digits=0))
        if since:
            query["sinceTime"] = since
        if self._tail is not None and not previous and not self._bodies:
            query["tailLines"] = self._tail
        return query

    def _end_after(self, error: ClusterError, *, previous: bool) -> BodyEnd:
        if self._stop.is_set():  # interrupted by `close`
            self._is_complete = self._is_open and not self._is_unconfirmed
            if self._is_complete:
                self.report.mark_end(time.time_ns())
            return BodyEnd.BROKEN
        self._retry_after, self._failure = error.retry_after or 0.0, error.reason
        if error.status is not None and error.status != HTTPStatus.NOT_FOUND:
            self.report.problem("waiting" if error.status == HTTPStatus.BAD_REQUEST else "error", error.reason)
        return end_of(error, follow=self._follow, previous=previous)

    def _read_body(self, query: Query) -> BodyEnd:
        overlap = self.recent.overlap()
        requested = time.time_ns()
        server_time = self.connection.open(self.report.container, query) or requested
        self._is_open = True
        if self._tail == 0 and not self._bodies:  # lines from now on, even if the stream breaks before the first one
            self._since = server_time
            self.recent.start_at(self._since)
        self._bodies += 1
        self._is_unconfirmed = not overlap.is_contiguous
        self._partial_line, self._is_complete = b"", False
        for lines in self.connection.blocks():
            if self._stop.is_set():
                break
            if not lines.endswith(b"\n"):
                self._end_within_line(lines)
            elif not self._take(lines, overlap):
                return BodyEnd.OTHER_INSTANCE
        self._is_complete = not self._is_unconfirmed or not self._stop.is_set()
        if not self._is_unconfirmed:
            self.report.mark_end(time.time_ns() if self._stop.is_set() else server_time)
        return BodyEnd.COMPLETE

    def _end_within_line(self, rest: bytes) -> None:
        """Handles a body that ends within a line of the log, or within a message of the kubelet.

        Raises:
            ClusterError: the latter, if the log is not followed: it was sent instead of the log.
        """
        if timestamp_of(rest) is not None:
            self._partial_line = rest
            return
        self.report.add_diagnostics([rest])
        if not self._follow:
            message = self.report.coverage.diagnostics[-1]
            raise ClusterError(self.report.coverage.origin, f"the kubelet reported: {message}")

    def _take(self, lines: bytes, overlap: Overlap) -> bool:
        """Passes on what is new; returns False if the lines are another instance's."""
        lines, diagnostics = split_diagnostics(lines)
        self.report.add_diagnostics(diagnostics)
        if lines and self._bodies > 1 and not self.recent.last and not self._is_same_instance():
            return False
        if not overlap.is_over:
            lines, first_newer = overlap.remove_from(lines)
            if first_newer and not overlap.is_contiguous:
                if not self._is_same_instance():
                    return False
                self.report.add_gap(self.recent.timestamp, _ROTATED, stop=timestamp_of(first_newer))
                overlap.accept_gap()
            self._is_unconfirmed = not overlap.is_contiguous
        if lines:
            self._pass_on(lines)
        return True

    def _is_same_instance(self) -> bool:
        return self._lookup.is_same_instance(self.report.container)

    def _pass_on(self, lines: bytes) -> None:
        coverage, first = self.report.coverage, timestamp_of(lines)
        new_instance = not self.recent.last
        if coverage.first is None and self._tail and first is not None:
            self.recent.start_at(first + 1)  # lines of the same timestamp that are not known came before
        if self._open_gap:
            start, reason = self._open_gap
            self._open_gap = None
            self.report.add_gap(start, reason, stop=first)
        self.recent.add(lines)
        taken = self.report.add_lines(lines, first, self.recent.timestamp, new_instance=new_instance)
        if not taken and not self._stop.is_set():
            self.report.add_gap(first, _FULL, stop=coverage.last)
        if self._follow and first is not None:
            rotated_to = self._lag.rotated_to(first, self._cluster, self.report.container)
            if rotated_to is not None:
                self.report.add_gap(first, _BEHIND, stop=rotated_to)

    def _take_partial_line(self) -> None:
        """The last line of an instance that has ended may lack its newline; a running one is served it again, whole."""
        if timestamp_of(self._partial_line):
            self._pass_on(self._partial_line + b"\n")
        self._partial_line = b""

    def _switch_instance(self, now: Container) -> None:
        """Reads what the old instance wrote last, once; the new one is read from its beginning."""
        restarts = self.report.add_restarts(now)
        if restarts > 1:  # the cluster keeps the log of one former instance
            self._open_gap = self.recent.timestamp, f"{restarts} restarts; the logs between are gone"
            self._start_instance()
        gaps, was_complete = len(self.report.coverage.gaps), self._is_complete
        # After a crash at once, `previous` may be the instance that waits now, which is read as the current one.
        end = self._read_previous() if now.previous != now.instance else BodyEnd.OTHER_INSTANCE
        unread = self._is_unconfirmed or (end != BodyEnd.COMPLETE and not was_complete)
        if (self._open_gap or unread) and gaps == len(self.report.coverage.gaps):
            start, reason = self._open_gap or (self.recent.timestamp, _UNREAD)
            self.report.add_gap(start, reason, stop=now.started)
        self._open_gap, self._is_unconfirmed = None, False
        self._start_instance()

    def _read_previous(self) -> BodyEnd:
        """Reads the log of the instance before to its end."""
        for attempt in range(_TRIES):
            end = self._read(previous=True)
            if end not in {BodyEnd.BROKEN, BodyEnd.TIMED_OUT} or self._pause(attempt):
                break
        if end == BodyEnd.COMPLETE:
            self._take_partial_line()
        return end

    def _start_instance(self) -> None:
        self.recent = RecentLines(self._since)
        self._bodies = min(self._bodies, 1) if self._tail is not None else 0
