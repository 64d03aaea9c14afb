"""All containers of some targets, followed: those that exist, and those that are created later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty
from threading import Event, Lock, Thread

from egresslog.errors import ClusterError, DatabaseError, SourceError
from egresslog.records.chunk import Chunk
from egresslog.sources.cluster.buffer import Buffer, BufferClosed
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.discovery import watch_containers
from egresslog.sources.cluster.log_stream import SILENCE, LogStream
from egresslog.sources.cluster.pods import Container, Target
from egresslog.sources.cluster.watchdog import check_silent_streams
from egresslog.sources.coverage import Coverage, Notice

MAX_LOG_REQUESTS = 50  # at a time: each uses an inotify watch of the node's kernel, of which there are 128 or fewer
_CLOSE_TIMEOUT = 2.0  # seconds to wait for threads
_MIB = 1024 * 1024
_BATCH = 1024 * 1024  # bytes of lines that are returned together
_STARTING = {"", "ContainerCreating", "PodInitializing", "Pending"}  # reasons to wait that are no problem
_DISK = "lines that waited on disk"


class Follower:
    """Follows containers in threads of its own; ``items`` returns what they read.

    Lines that are not taken fast enough wait in memory and then on disk. Lines for which there is no room are dropped,
    and a gap is recorded.

    Attributes:
        buffer: lines and notices that were not taken yet.
        tail: lines of each log to begin with; None: all.
    """

    def __init__(
        self,
        cluster: Cluster,
        targets: Sequence[Target],
        *,
        since: int | None = None,
        tail: int | None = None,
        max_log_requests: int = MAX_LOG_REQUESTS,
        silence: float = SILENCE,
        buffer: Buffer[Chunk | Notice] | None = None,
    ) -> None:
        """See ``LogStream`` for ``since``, ``tail`` and ``silence``. ``max_log_requests``: logs to follow at a time."""
        self.buffer = buffer or Buffer()
        self._cluster, self._targets = cluster, targets
        self._since, self._max_log_requests, self._silence = since, max_log_requests, silence
        self.tail = tail
        self._lost: list[SourceError] = []
        self._problems: dict[str, ClusterError] = {}  # by target or pod
        self._threads: list[Thread] = []
        self._stop = Event()
        self._lock = Lock()
        self._streams: dict[tuple[str, str], LogStream] = {}
        self._running: set[tuple[str, str]] = set()
        self._refused: dict[tuple[str, str], tuple[Container, bool]] = {}
        self._next_number: dict[str, int] = {}  # line numbers by origin
        self._lines_taken = 0

    def start(self) -> None:
        """Starts to look for containers and to read their logs."""
        self._start(check_silent_streams, self._cluster, self._running_streams, self._silence, self._stop)
        for target in self._targets:
            self._start(watch_containers, self._cluster, target, self._on_container, self._on_problem, self._stop)

    def close(self) -> None:
        """Ends all threads, and waits a little until they have reported what they read."""
        self._stop.set()
        self._cluster.close()
        for stream in list(self._streams.values()):
            stream.connection.abort()
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for stream in self._running_streams():
            stream.report.add_gap(stream.report.coverage.last, "its reader did not end in time")
        self.buffer.close()

    @property
    def errors(self) -> list[SourceError]:
        """What could not be found or read until now, without the errors that are in ``coverage``."""
        return [*self._problems.values(), *self._lost]

    @property
    def coverage(self) -> list[Coverage]:
        """What was read of each container until now, including those that are not followed because of the limit."""
        with self._lock:
            followed = [stream.report.coverage for stream in self._streams.values()]
            refused = [
                Coverage(container, error=ClusterError(container.origin, self._refusal))
                for container, _ in self._refused.values()
            ]
        return sorted(followed + refused, key=lambda entry: entry.origin)

    def notes(self) -> list[str]:
        """What happened to lines that were not taken at once."""
        notes = []
        if peak := self.buffer.peak_on_disk:
            notes.append(
                f"up to {peak / _MIB:,.1f} MiB of lines waited on disk: they arrived faster than they were used"
            )
        if remaining := self._lines_read - self._lines_taken:
            notes.append(f"{remaining:,} lines were read but not used")
        return notes

    def items(self, timeout: float | None = None) -> Iterator[Chunk | Notice | None]:
        """Lines and notices in the order in which they arrived; None when there was nothing for ``timeout`` seconds.

        Ends after ``close``, when all were taken. Chunks of one log that wait are joined: parsing a hundred lines takes
        little longer than parsing one.
        """
        try:
            while True:
                item = self._next(timeout)
                waiting: dict[str, list[Chunk]] = {}
                size = 0
                while isinstance(item, Chunk):
                    waiting.setdefault(item.origin, []).append(item)
                    size += len(item.data)
                    item = self._next(0) if size < _BATCH and not self.buffer.closed else None
                for chunks in waiting.values():
                    data = b"".join(chunk.data for chunk in chunks)
                    self._lines_taken += data.count(b"\n")
                    yield chunks[0]._replace(data=data)
                if item or not waiting:
                    yield item
        except BufferClosed:
            return

    def _next(self, timeout: float | None) -> Chunk | Notice | None:
        """What waits first; None if there is nothing in time."""
        try:
            return self.buffer.get(timeout)
        except Empty:
            return None
        except DatabaseError as error:  # what follows can still be read
            self._lost.append(SourceError(_DISK, str(error)))
            return Notice("error", _DISK, str(error))

    def write(self, origin: str, data: bytes) -> bool:
        """Takes the lines of a stream; returns False if there is no room for them."""
        first = self._next_number.get(origin, 1)
        if not self.buffer.put(Chunk(data, origin, first), len(data)):
            return False
        self._next_number[origin] = first + data.count(b"\n")
        return True

    def notify(self, notice: Notice) -> None:
        """Passes a notice on, behind the lines before it."""
        self.buffer.put(notice)

    def _running_streams(self) -> list[LogStream]:
        with self._lock:
            return [self._streams[key] for key in self._running]

    @property
    def _lines_read(self) -> int:
        return sum(number - 1 for number in self._next_number.values())

    def _on_container(self, container: Container, is_new: bool) -> None:
        """Starts to follow a container that has started and is not followed yet."""
        if (container.done and not is_new) or self._stop.is_set():  # what ended before is not followed
            return
        if not container.instance:
            if container.reason not in _STARTING:
                reason = f"waiting to start: {container.reason} {container.message}".strip()
                self._on_problem(container.origin, ClusterError(container.origin, reason))
            return
        self._on_problem(container.origin, None)
        with self._lock:
            if container.key in self._streams or container.key in self._refused:
                return
            if len(self._running) >= self._max_log_requests:
                self._refused[container.key] = container, is_new
                notice = Notice("refused", container.origin, self._refusal)
            else:
                self._run(container, is_new=is_new)
                notice = Notice("started", container.origin, "")
        self.notify(notice)

    def _run(self, container: Container, *, is_new: bool) -> None:
        tail = None if is_new else self.tail  # logs of new pods are read from their beginning
        stream = LogStream(
            self._cluster, container, self, follow=True, since=self._since, tail=tail,
            silence=self._silence, stop=self._stop,
        )  # fmt: skip
        self._streams[container.key] = stream
        self._running.add(container.key)
        self._start(self._follow, stream)

    def _follow(self, stream: LogStream) -> None:
        stream.run()
        with self._lock:
            self._running.discard(stream.report.container.key)
            if self._refused and not self._stop.is_set():
                container, is_new = self._refused.pop(next(iter(self._refused)))
                self._run(container, is_new=is_new)

    def _on_problem(self, origin: str, error: ClusterError | None) -> None:
        """Reports once what keeps containers from being followed, until it is over."""
        with self._lock:
            before = self._problems.pop(origin, None)
            if error is not None:
                self._problems[origin] = error
        if error is not None and (before is None or before.reason != error.reason):
            self.notify(Notice("error", origin, error.reason))

    @property
    def _refusal(self) -> str:
        limit = self._max_log_requests
        return f"not followed: {limit} logs are followed already; --max-log-requests raises the limit"

    def _start(self, work: Callable[..., object], *arguments: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(target=work, args=arguments, name="egresslog", daemon=True)
        if work == self._follow:  # the others may be waiting for the server, and have nothing more to report
            self._threads.append(thread)
        thread.start()
