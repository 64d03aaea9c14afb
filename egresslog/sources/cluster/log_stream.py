"""One container's log, read to its end or followed: through broken connections, rotation, restarts and silence.

Nothing is lost without a gap being recorded, nothing comes twice (shared facts, egress-verification 4.5). The reader
never waits for who uses the lines: a follower that stops reading loses lines without any sign (real-stack).
"""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

from egresslog.errors import ClusterError, LineError
from egresslog.sources.cluster.account import Account
from egresslog.sources.cluster.client import BAD, GONE, Cluster, Query, SilenceError, pause
from egresslog.sources.cluster.ending import Ended, meaning
from egresslog.sources.cluster.lag import Lag
from egresslog.sources.cluster.log_timestamps import Overlap, Recent, nanoseconds, separate, whole_lines, whole_second
from egresslog.sources.cluster.lookout import Lookout
from egresslog.sources.cluster.pods import Container
from egresslog.sources.cluster.pods import nanoseconds as time_of
from egresslog.sources.coverage import Sink

if TYPE_CHECKING:
    import urllib3

SILENCE = 30.0  # seconds without a line until a stream is looked after
_FOREVER = 3600.0  # seconds
_TRIES = 6  # of a log that is read to its end
_UNREAD = "the log of the instance before cannot be read"
_ROTATED = "the log was rotated before it could be read again"
_BEHIND = "reading fell behind, and the log was rotated meanwhile; lines may be missing"
_FULL = "read, and dropped: memory and disk for waiting lines are full"
_FINISHING = 3  # looks at a line that is not whole yet


class Stream(Account):
    """Reads one container's log; ``run`` in a thread of its own."""

    def __init__(
        self,
        cluster: Cluster,
        container: Container,
        sink: Sink,
        *,
        follow: bool = False,
        since: int | None = None,
        tail: int | None = None,
        silence: float = SILENCE,
        stop: Event | None = None,
    ) -> None:
        """A stream.

        Args:
            cluster: where.
            container: what.
            sink: who takes the lines.
            follow: go on when the end is reached.
            since: only lines that the runtime stamped from then on (ns).
            tail: only so many lines to begin with; None also reads the instance before the last restart.
            silence: seconds to wait for an answer.
            stop: ends ``run`` when it is set.
        """
        super().__init__(container, sink)
        self._cluster, self._follow, self._silence = cluster, follow, silence
        self._since, self._tail = since, tail
        self._stop = stop or Event()
        self._opened, self._open = 0, False  # bodies of this instance; whether there is one now
        self._last = Ended.NOT_YET
        self._begin_anew()
        self._unfinished = b""  # the last line, if the body ended within it
        self._unsettled = False  # asked again, and nothing has shown yet whether lines are missing
        self._whole = False  # the last body was read to a clean end
        self._lookout = Lookout(cluster, self._stop, lambda reason: self._say(reason, "error"), patience=follow)
        self._wait, self._why = 0.0, ""
        self._lag = Lag()
        self._jump: tuple[int | None, str] | None = None  # a gap that ends with the next line
        self.response: urllib3.BaseHTTPResponse | None = None  # the last
        self.heard = time.monotonic()  # when there was a line

    def run(self) -> None:
        """Reads until the end, or until told to stop. Errors are left in ``coverage``."""
        try:
            if self._tail is None and self.container.previous and self.container.previous != self.container.instance:
                if self._read_previous() not in {Ended.WHOLE, Ended.NOT_YET}:
                    self._missing(self.recent.last, _UNREAD, stop=time_of(self.container.started))
                self._begin_anew()
            self._read_on()
        except (ClusterError, LineError) as error:
            self._fail(error.reason, getattr(error, "status", None))
        except Exception as error:  # noqa: BLE001  (a mistake of ours must not look like a log that ends)
            self._fail(f"internal error: {error!r}", None)
        if self._unsettled:
            self._missing(self.recent.last, "the last line read did not come again")
        elif self._stop.is_set() and not self._whole and self._last != Ended.NOT_YET and not self.coverage.error:
            self._missing(self.recent.last, "it could not be read any more")
        self._begin_anew()
        self._tell("ended", "")

    def close(self) -> None:
        """Wakes ``run`` up after its ``stop`` is set; from any thread."""
        with suppress(Exception):  # it may end at this moment by itself
            if self.response is not None:
                self._cluster.wake(self.response)

    def _read_on(self) -> None:
        """Reads what runs, again and again."""
        attempt = 0
        while not self._stop.is_set():
            before = self.coverage.lines
            ended = self._last = self._read()
            now = self._after(ended)
            if self._stop.is_set():
                return
            if now is None or (now.done and ended in {Ended.WHOLE, Ended.OTHER}):
                self._take_unfinished()
                if not self._whole:
                    self._unsettled = False
                    self._missing(self.recent.last, "the pod went away before its log was read to the end")
                return
            if now and self.container.instance and now.instance != self.container.instance:
                self._restarted(now)
                attempt = 0
                continue
            self.coverage.container = now or self.container
            if ended == Ended.WHOLE and not self._follow and (not self._unfinished or attempt == _FINISHING):
                self._take_unfinished()
                return
            attempt = 0 if self.coverage.lines > before else attempt + 1
            if not self._follow and (attempt >= _TRIES or ended == Ended.NOT_YET):
                raise ClusterError(self.coverage.origin, f"{self._why or 'it does not end'} (tried {attempt} times)")
            if ended != Ended.SILENT:
                self._stop.wait(self._wait or pause(attempt))

    def _after(self, ended: Ended) -> Container | None:
        """The container after a body has ended."""
        try:
            return self._lookout.look(self.container)
        except ClusterError:
            if ended == Ended.WHOLE and not self._follow:
                return self.container  # the log is there, whatever is wrong now
            raise

    def _read(self, *, previous: bool = False) -> Ended:
        """Reads one answer to its end."""
        self._wait, self._open = 0.0, False
        try:
            return self._take_body(self._query(previous=previous))
        except SilenceError:
            return Ended.SILENT
        except ClusterError as error:
            return self._ended_by(error, previous=previous)

    def _query(self, *, previous: bool) -> Query:
        """What to ask for."""
        query: dict[str, str | int] = {"container": self.container.name, "timestamps": "true"}
        if previous:
            query["previous"] = "true"
        elif self._follow:
            query["follow"] = "true"
        since = self.recent.since or (None if self._since is None else whole_second(self._since))
        if since:
            query["sinceTime"] = since
        if self._tail is not None and not previous and not self._opened:
            query["tailLines"] = self._tail
        return query

    def _ended_by(self, error: ClusterError, *, previous: bool) -> Ended:
        if self._stop.is_set():  # woken
            self._whole = self._open and not self._unsettled
            self._mark_time(time.time_ns() if self._whole else None)
            return Ended.BROKEN
        self._wait, self._why = error.retry_after or 0.0, error.reason
        if error.status is not None and error.status != GONE:
            self._say(error.reason, "waiting" if error.status == BAD else "error")
        return meaning(error, follow=self._follow, previous=previous)

    def _take_body(self, query: Query) -> Ended:
        overlap = self.recent.overlap()
        asked = time.time_ns()
        response = self._cluster.open(f"{self.container.path}/log", query, silence=self._silence)
        if self._follow:  # whether silence means anything, the watchdog finds out
            self._cluster.bear(response, _FOREVER)
        self.response, self._open, self.heard = response, True, time.monotonic()
        if self._tail == 0 and not self._opened:  # what comes from now on, also when it breaks before the first line
            self._since = self.recent.begin = self._cluster.time_of(response) or asked
        self._opened += 1
        self._unsettled = not overlap.found
        self._unfinished, self._whole = b"", False
        for lines in whole_lines(self._cluster.body(response)):
            if self._stop.is_set():
                break
            self.heard = time.monotonic()
            if not lines.endswith(b"\n"):
                self._end_within(lines)
            elif not self._take(lines, overlap):
                return Ended.OTHER
        self._whole = not self._unsettled or not self._stop.is_set()
        self._mark_time(time.time_ns() if self._stop.is_set() else self._cluster.time_of(response) or asked)
        return Ended.WHOLE

    def _mark_time(self, now: int | None) -> None:
        """Until when the log was read."""
        if now is not None and not self._unsettled:
            self.coverage.until = now

    def _end_within(self, rest: bytes) -> None:
        """A body that ends within a line: of the log, or in what the kubelet has to say about it.

        Raises:
            ClusterError: the latter, if the log is not followed: nothing came instead.
        """
        if nanoseconds(rest) is not None:
            self._unfinished = rest
            return
        self._add_diagnostics([rest])
        if not self._follow:
            raise ClusterError(self.coverage.origin, f"the kubelet says: {self.coverage.diagnostics[-1]}")

    def _take(self, lines: bytes, overlap: Overlap) -> bool:
        """Gives out what is new; False if the lines are another instance's."""
        lines, said = separate(lines)
        self._add_diagnostics(said)
        if lines and self._opened > 1 and not self.recent.anchor and not self._lookout.is_same(self.container):
            return False
        if not overlap.over:
            lines, newer = overlap.feed(lines)
            if newer and not overlap.found:
                if not self._lookout.is_same(self.container):
                    return False
                self._missing(self.recent.last, _ROTATED, stop=nanoseconds(newer))
                overlap.found = True
            self._unsettled = not overlap.found
        if lines:
            self._give(lines)
        return True

    def _give(self, lines: bytes) -> None:
        covered, stamp = self.coverage, nanoseconds(lines)
        new = not self.recent.anchor
        if covered.first is None and self._tail and stamp is not None:
            self.recent.begin = stamp + 1  # lines of the same stamp that do not come again were before it
        if self._jump:
            start, why = self._jump
            self._jump = None
            self._missing(start, why, stop=stamp)
        self.recent.add(lines)
        self._said = ""
        covered.add(stamp, self.recent.last, new=new)
        if self._sink.lines(covered.origin, lines):
            covered.lines += lines.count(b"\n")
        elif not self._stop.is_set():
            self._missing(stamp, _FULL, stop=covered.last)
        if self._follow and stamp is not None and (gap := self._lag.gap(stamp, self._cluster, self.container)):
            self._missing(stamp, _BEHIND, stop=gap)

    def _take_unfinished(self) -> None:
        """The last line of a container that has ended may lack its newline; while it runs, it comes again whole."""
        if self._unfinished and nanoseconds(self._unfinished):
            self._give(self._unfinished + b"\n")
        self._unfinished = b""

    def _restarted(self, now: Container) -> None:
        """What the old instance wrote last, once; then the new one is read from its beginning."""
        times = max(1, now.restarts - self.container.restarts)
        self.coverage.restarts += times
        self.coverage.container = now
        self._tell("restarted", "")
        if times > 1:  # the cluster keeps one instance's log
            self._jump = self.recent.last, f"{times} restarts; the logs between are gone"
            self._begin_anew()
        gaps, whole = len(self.coverage.gaps), self._whole
        # Of one that crashed at once, `previous` may be the instance that waits now, which is read as itself.
        ended = self._read_previous() if now.previous != now.instance else Ended.OTHER
        unread = self._unsettled or (ended != Ended.WHOLE and not whole)
        if (self._jump or unread) and gaps == len(self.coverage.gaps):
            self._missing(*(self._jump or (self.recent.last, _UNREAD)), stop=time_of(now.started))
        self._jump, self._unsettled = None, False
        self._begin_anew()

    def _read_previous(self) -> Ended:
        """The log of the instance before, to its end."""
        for attempt in range(_TRIES):
            ended = self._read(previous=True)
            if ended not in {Ended.BROKEN, Ended.SILENT} or self._stop.wait(self._wait or pause(attempt)):
                break
        if ended == Ended.WHOLE:
            self._take_unfinished()
        return ended

    def _begin_anew(self) -> None:
        self.recent = Recent()
        self.recent.begin = self._since
        self._opened = min(self._opened, 1) if self._tail is not None else 0
