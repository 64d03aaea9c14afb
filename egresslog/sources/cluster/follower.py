"""All containers of some targets, followed: those that are there, and those that will be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty
from threading import Event, Lock, Thread

from egresslog.errors import ClusterError, DatabaseError, SourceError
from egresslog.records.chunk import Chunk
from egresslog.sources.cluster.buffer import Spool
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.discovery import watch
from egresslog.sources.cluster.log_stream import SILENCE, Stream
from egresslog.sources.cluster.pods import Container, Target
from egresslog.sources.cluster.watchdog import watch_over
from egresslog.sources.coverage import Coverage, Notice

STREAMS = 50  # at a time: each holds a watch of the node's kernel (inotify), of which there are 128 and less
_PATIENCE = 2.0  # seconds to wait for threads in the end
_MIB = 1024 * 1024
_GATHERED = 1024 * 1024  # bytes of one stream that are worth to be parsed at once


class Follower:
    """Follows containers in threads of its own; ``items`` gives what they read.

    Lines wait in memory and then on disk if they are not taken fast enough; beyond that they are dropped, and a gap
    says which.
    """

    def __init__(
        self,
        cluster: Cluster,
        targets: Sequence[Target],
        *,
        since: int | None = None,
        tail: int | None = None,
        streams: int = STREAMS,
        silence: float = SILENCE,
        spool: Spool[Chunk | Notice] | None = None,
    ) -> None:
        """See ``Stream`` for ``since``, ``tail`` and ``silence``; ``streams``: how many at a time."""
        self.spool = spool or Spool()
        self._cluster, self._targets = cluster, targets
        self._since, self._most, self._silence = since, streams, silence
        self.tail = tail
        self._lost: list[SourceError] = []
        self._problems: dict[str, ClusterError] = {}  # by target or pod
        self._threads: list[Thread] = []
        self._stop = Event()
        self._lock = Lock()
        self._streams: dict[tuple[str, str], Stream] = {}
        self._running: set[tuple[str, str]] = set()
        self._refused: dict[tuple[str, str], tuple[Container, bool]] = {}
        self._numbers: dict[str, int] = {}  # of each origin's next line
        self._taken = 0  # lines

    def start(self) -> None:
        """Begins to look for containers and to read."""
        self._start(watch_over, self._cluster, self._followed, self._silence, self._stop)
        for target in self._targets:
            self._start(watch, self._cluster, target, self._found, self._trouble, self._stop)

    def close(self) -> None:
        """Ends all threads, and waits a little until they have said what they read."""
        self._stop.set()
        self._cluster.close()
        for stream in list(self._streams.values()):
            stream.close()
        deadline = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for stream in self._followed():
            stream.coverage.add_gap(stream.coverage.last, None, "its reader did not end in time")
        self.spool.close()

    @property
    def errors(self) -> list[SourceError]:
        """What could not be found or read until now, as far as no coverage tells."""
        return [*self._problems.values(), *self._lost]

    @property
    def coverage(self) -> list[Coverage]:
        """What was read of each container until now, and those not followed for want of streams."""
        with self._lock:
            read = [stream.coverage for stream in self._streams.values()]
            why = self._reason()
            unread = [
                Coverage(container, error=ClusterError(container.origin, why))
                for container, _ in self._refused.values()
            ]
        return sorted(read + unread, key=lambda covered: covered.origin)

    def notes(self) -> list[str]:
        """What became of lines that were not taken at once."""
        made = []
        if most := self.spool.most_on_disk:
            made.append(
                f"up to {most / _MIB:,.1f} MiB of lines waited on disk, since they came faster than they were used"
            )
        if left := self._read - self._taken:
            made.append(f"{left:,} lines were read and not used any more")
        return made

    def items(self, timeout: float | None = None) -> Iterator[Chunk | Notice | None]:
        """Lines and notices as they came; None when nothing came for ``timeout`` seconds.

        Ends after ``close``, when all was taken.

        What waits of one stream is given out as one: parsing a hundred lines takes little more than parsing one.
        """
        try:
            while True:
                item = self._next(timeout)
                waiting: dict[str, list[Chunk]] = {}
                size = 0
                while isinstance(item, Chunk):
                    waiting.setdefault(item.origin, []).append(item)
                    size += len(item.data)
                    item = self._next(0) if size < _GATHERED and not self.spool.closed else None
                for chunks in waiting.values():
                    data = b"".join(chunk.data for chunk in chunks)
                    self._taken += data.count(b"\n")
                    yield chunks[0]._replace(data=data)
                if item or not waiting:
                    yield item
        except EOFError:
            return

    def _next(self, timeout: float | None) -> Chunk | Notice | None:
        """What waits first; None if nothing comes in time."""
        try:
            return self.spool.get(timeout)
        except Empty:
            return None
        except DatabaseError as error:  # what comes after can still be read
            self._lost.append(SourceError("lines that waited on disk", str(error)))
            return Notice("error", "lines that waited on disk", str(error))

    def lines(self, origin: str, data: bytes) -> bool:
        """Takes the lines of a stream; False if there is no room for them."""
        first = self._numbers.get(origin, 1)
        if not self.spool.put(Chunk(data, origin, first), len(data)):
            return False
        self._numbers[origin] = first + data.count(b"\n")
        return True

    def tell(self, notice: Notice) -> None:
        """Passes a notice on, behind the lines before it."""
        self.spool.put(notice)

    def _followed(self) -> list[Stream]:
        with self._lock:
            return [self._streams[key] for key in self._running]

    @property
    def _read(self) -> int:
        return sum(number - 1 for number in self._numbers.values())

    def _found(self, container: Container, new: bool) -> None:
        """Begins to follow a container that has started and is not followed yet."""
        if (container.done and not new) or self._stop.is_set():  # what ended before is history
            return
        if not container.instance:
            if container.reason not in {"", "ContainerCreating", "PodInitializing", "Pending"}:
                why = f"waiting to start: {container.reason} {container.message}".strip()
                self._trouble(container.origin, ClusterError(container.origin, why))
            return
        self._trouble(container.origin, None)
        with self._lock:
            if container.key in self._streams or container.key in self._refused:
                return
            if len(self._running) >= self._most:
                self._refused[container.key] = container, new
                notice = Notice("refused", container.origin, self._reason())
            else:
                self._run(container, new)
                notice = Notice("begun", container.origin, "")
        self.tell(notice)

    def _run(self, container: Container, new: bool) -> None:
        tail = None if new else self.tail  # what comes later is read from its beginning
        stream = Stream(
            self._cluster, container, self, follow=True, since=self._since, tail=tail,
            silence=self._silence, stop=self._stop,
        )  # fmt: skip
        self._streams[container.key] = stream
        self._running.add(container.key)
        self._start(self._follow, stream)

    def _follow(self, stream: Stream) -> None:
        stream.run()
        with self._lock:
            self._running.discard(stream.container.key)
            if self._refused and not self._stop.is_set():
                self._run(*self._refused.pop(next(iter(self._refused))))

    def _trouble(self, origin: str, error: ClusterError | None) -> None:
        """Tells of what keeps containers from being followed, once, and forgets it when it is over."""
        with self._lock:
            before = self._problems.pop(origin, None)
            if error is not None:
                self._problems[origin] = error
        if error is not None and (before is None or before.reason != error.reason):
            self.tell(Notice("error", origin, error.reason))

    def _reason(self) -> str:
        return f"not followed: {self._most} logs are followed already; --max-log-requests raises the limit"

    def _start(self, work: Callable[..., object], *arguments: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(target=work, args=arguments, name="egresslog", daemon=True)
        if work == self._follow:  # the others may wait for the server, and have nothing to say in the end
            self._threads.append(thread)
        thread.start()
