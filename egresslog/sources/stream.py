"""One container's log, read to its end or followed: through broken connections, rotation, restarts and silence.

Nothing is lost without a gap being recorded, nothing comes twice (shared facts, egress-verification 4.5). The reader
never waits for who uses the lines: a follower that stops reading loses lines without any sign (real-stack).
"""

from __future__ import annotations

import time
from contextlib import suppress
from enum import Enum, auto
from threading import Event
from typing import TYPE_CHECKING

from egresslog.errors import ClusterError, LineError
from egresslog.sources.cluster import AGAIN, GONE, PASSING, Cluster, Query, SilenceError, pause
from egresslog.sources.coverage import Coverage, Notice, Sink, What
from egresslog.sources.lag import Lag
from egresslog.sources.lookout import Lookout
from egresslog.sources.pods import Container
from egresslog.sources.pods import nanoseconds as time_of
from egresslog.sources.stamps import Overlap, Recent, nanoseconds, separate, whole_lines, whole_second

if TYPE_CHECKING:
    import urllib3

SILENCE = 30.0  # seconds without a line until a stream is asked for anew: kubelets before 1.29 lose it at rotation
_TRIES = 6  # of a log that is read to its end
_UNREAD = "the log of the instance before cannot be read"
_ROTATED = "the log was rotated before it could be read again"
_BEHIND = "reading fell behind, and the log was rotated meanwhile; lines may be missing"
_FULL = "read, and dropped: memory and disk for waiting lines are full"
_BAD = 400
_PLENTY = 256  # bytes that hold a stamp


class _Ended(Enum):
    WHOLE = auto()  # cleanly: the container ended, or the server closed
    BROKEN = auto()
    SILENT = auto()
    NOT_YET = auto()  # the container has not started
    OTHER = auto()  # the body is of another instance


class Stream:
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
            silence: seconds without a line until it is asked for anew.
            stop: ends ``run`` when it is set.
        """
        self.coverage = Coverage(container)
        self._cluster, self._sink, self._follow, self._silence = cluster, sink, follow, silence
        self._since, self._tail = since, tail
        self._stop = stop or Event()
        self._begin_anew()
        self._unfinished = b""  # the last line, if the body ended within it
        self._unsettled = False  # asked again, and nothing has shown yet whether lines are missing
        self._whole = False  # the last body was read to a clean end
        self._lookout = Lookout(cluster, self._stop, lambda reason: self._say(reason, "error"), patience=follow)
        self._wait = 0.0
        self._said = ""
        self._lag = Lag()
        self._jump: tuple[int | None, str] | None = None  # a gap that ends with the next line
        self._response: urllib3.BaseHTTPResponse | None = None

    @property
    def container(self) -> Container:
        """As it was seen last."""
        return self.coverage.container

    def run(self) -> None:
        """Reads until the end, or until told to stop. Errors are left in ``coverage``."""
        try:
            if self._tail is None and self.container.previous and self.container.previous != self.container.instance:
                if self._read_previous() not in {_Ended.WHOLE, _Ended.NOT_YET}:
                    self._missing(self._recent.last, _UNREAD, stop=time_of(self.container.started))
                self._begin_anew()
            self._read_on()
        except (ClusterError, LineError) as error:
            self._fail(error.reason, getattr(error, "status", None))
        except Exception as error:  # noqa: BLE001  (a mistake of ours must not look like a log that ends)
            self._fail(f"internal error: {error!r}", None)
        if self._unsettled:
            self._missing(self._recent.last, "the last line read did not come again")
        self._begin_anew()
        self._tell("ended", "")

    def _fail(self, reason: str, status: int | None) -> None:
        self.coverage.error = ClusterError(self.coverage.origin, reason, status)
        self._tell("error", reason)

    def close(self) -> None:
        """Wakes ``run`` up after its ``stop`` is set; from any thread."""
        with suppress(Exception):  # it may end at this moment by itself
            if self._response is not None:
                self._response.shutdown()

    def _read_on(self) -> None:
        """Reads what runs, again and again."""
        attempt = 0
        while not self._stop.is_set():
            before = self.coverage.lines
            ended = self._read()
            now = self._lookout.look(self.container)
            if self._stop.is_set():
                return
            if now is None or (now.done and ended in {_Ended.WHOLE, _Ended.OTHER}):
                self._take_unfinished()
                if not self._whole:
                    self._unsettled = False
                    self._missing(self._recent.last, "the pod went away before its log was read to the end")
                return
            if now and self.container.instance and now.instance != self.container.instance:
                self._restarted(now)
                attempt = 0
                continue
            self.coverage.container = now or self.container
            if ended == _Ended.WHOLE and not self._follow:
                self._take_unfinished()
                return
            attempt = 0 if self.coverage.lines > before else attempt + 1
            if not self._follow and (attempt >= _TRIES or ended == _Ended.NOT_YET):
                raise ClusterError(self.coverage.origin, self._said or f"gave up after {attempt} tries")
            if ended != _Ended.SILENT:
                self._stop.wait(self._wait or pause(attempt))

    def _read(self, *, previous: bool = False) -> _Ended:
        """Reads one answer to its end."""
        query: dict[str, str | int] = {"container": self.container.name, "timestamps": "true"}
        if previous:
            query["previous"] = "true"
        elif self._follow:
            query["follow"] = "true"
        since = self._recent.since or (None if self._since is None else whole_second(self._since))
        if since:
            query["sinceTime"] = since
        if self._tail is not None and not previous and not self.coverage.lines:
            query["tailLines"] = self._tail
        asked, self._wait = time.time_ns(), 0.0
        try:
            return self._take_body(query, asked)
        except SilenceError:
            return _Ended.SILENT
        except ClusterError as error:
            if error.status == _BAD and (previous or "waiting to start" in error.reason):
                self._say(error.reason, "waiting")  # or the runtime has thrown the instance before away
                return _Ended.NOT_YET
            if error.status not in (GONE, *(PASSING if self._follow else (None, *AGAIN))):
                raise
            self._wait, self._said = error.retry_after or 0.0, error.reason
            return _Ended.BROKEN  # what is gone, the pod tells

    def _take_body(self, query: Query, asked: int) -> _Ended:
        overlap = self._recent.overlap()
        response = self._cluster.open(f"{self.container.path}/log", query, silence=self._silence)
        self._response = response
        self._unsettled = not overlap.found
        self._unfinished, self._whole = b"", False
        for lines in whole_lines(self._cluster.body(response)):
            if not lines.endswith(b"\n"):
                self._unfinished = lines
            elif not self._take(lines, overlap):
                return _Ended.OTHER
            if self._stop.is_set():
                break
        self._whole = True
        self.coverage.until = time.time_ns() if self._stop.is_set() and not self._unsettled else asked
        return _Ended.WHOLE

    def _take(self, lines: bytes, overlap: Overlap) -> bool:
        """Gives out what is new; False if the lines are another instance's."""
        lines, said = separate(lines)
        if said:
            self.coverage.add_diagnostics(said)
            self._tell("diagnostic", said[0].decode("utf-8", "backslashreplace"))
        if not overlap.over:
            lines, newer = overlap.feed(lines)
            if newer and not overlap.found:
                if not self._lookout.is_same(self.container):
                    return False
                self._missing(self._recent.last, _ROTATED, stop=nanoseconds(newer))
                overlap.found = True
            self._unsettled = not overlap.found
        if lines:
            self._give(lines)
        return True

    def _give(self, lines: bytes) -> None:
        covered, stamp = self.coverage, nanoseconds(lines)
        if covered.first is None:
            covered.first = stamp
            if self._tail is not None:
                self._recent.begin = covered.first
        if self._jump:
            start, why = self._jump
            self._jump = None
            self._missing(start, why, stop=stamp)
        self._recent.add(lines)
        covered.last = self._recent.last
        if self._sink.lines(covered.origin, lines):
            covered.lines += lines.count(b"\n")
        else:
            self._missing(stamp, _FULL, stop=covered.last)
        if self._follow and stamp is not None:
            self._look_behind(stamp)

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
            self._jump = self._recent.last, f"{times} restarts; the logs between are gone"
            self._begin_anew()
        gaps, whole = len(self.coverage.gaps), self._whole
        ended = self._read_previous()
        unread = self._unsettled or (ended != _Ended.WHOLE and not whole)
        if (self._jump or unread) and gaps == len(self.coverage.gaps):
            self._missing(*(self._jump or (self._recent.last, _UNREAD)), stop=time_of(now.started))
        self._jump, self._unsettled = None, False
        self._begin_anew()

    def _read_previous(self) -> _Ended:
        """The log of the instance before, to its end."""
        for attempt in range(_TRIES):
            ended = self._read(previous=True)
            if ended not in {_Ended.BROKEN, _Ended.SILENT} or self._stop.wait(self._wait or pause(attempt)):
                break
        return ended

    def _begin_anew(self) -> None:
        self._recent = Recent()
        self._recent.begin = self._since

    def _look_behind(self, stamp: int) -> None:
        """Notices that reading fell behind, as in a suspended process, and that the log was rotated meanwhile."""
        if not self._lag.is_behind(stamp):
            return
        query: Query = {"container": self.container.name, "timestamps": "true", "limitBytes": _PLENTY}
        first = nanoseconds(b"".join(self._cluster.body(self._cluster.open(f"{self.container.path}/log", query))))
        if first is not None and first > stamp:
            self._missing(stamp, _BEHIND, stop=first)

    def _missing(self, start: int | None, why: str, *, stop: int | None = None) -> None:
        """A gap; without ``stop`` until now."""
        if self.coverage.add_gap(start, time.time_ns() if stop is None else stop, why):
            self._tell("gap", why)

    def _say(self, reason: str, what: What) -> None:
        if reason != self._said:
            self._said = reason
            self._tell(what, reason)

    def _tell(self, what: What, text: str) -> None:
        self._sink.tell(Notice(what, self.coverage.origin, text))
