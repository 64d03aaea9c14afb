"""All containers of some targets, followed: those that are there, and those that will be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import Empty
from threading import Event, Lock, Thread

from egresslog.errors import ClusterError, SourceError, StoreError
from egresslog.records.lines import Chunk
from egresslog.sources.cluster import Cluster
from egresslog.sources.coverage import Coverage, Notice
from egresslog.sources.finding import watch
from egresslog.sources.pods import Container, Target
from egresslog.sources.spool import Spool
from egresslog.sources.stream import SILENCE, Stream

STREAMS = 50  # at a time: each holds a watch of the node's kernel (inotify), of which there are 128 and less
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
        self.errors: list[SourceError] = []
        self._stop = Event()
        self._lock = Lock()
        self._streams: dict[tuple[str, str], Stream] = {}
        self._running: set[tuple[str, str]] = set()
        self._refused: dict[tuple[str, str], tuple[Container, bool]] = {}
        self._told: set[tuple[str, str]] = set()
        self._numbers: dict[str, int] = {}  # of each origin's next line
        self._taken = 0  # lines

    def start(self) -> None:
        """Begins to look for containers and to read."""
        for target in self._targets:
            self._start(watch, self._cluster, target, self._found, self._trouble, self._stop)

    def close(self) -> None:
        """Ends all threads, as soon as they wake up."""
        self._stop.set()
        for stream in list(self._streams.values()):
            stream.close()
        self.spool.close()
        self._cluster.close()

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
        except StoreError as error:  # what comes after can still be read
            self.errors.append(SourceError("lines that waited on disk", str(error)))
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

    @property
    def _read(self) -> int:
        return sum(number - 1 for number in self._numbers.values())

    def _found(self, container: Container, new: bool) -> None:
        """Begins to follow a container that has started and is not followed yet."""
        if container.done or self._stop.is_set():
            return
        if not container.instance:
            if container.reason not in {"", "ContainerCreating", "PodInitializing", "Pending"}:
                self._trouble(container.origin, f"waiting to start: {container.reason} {container.message}".strip())
            return
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

    def _trouble(self, origin: str, text: str) -> None:
        """Tells of what keeps a container from being followed, once."""
        with self._lock:
            known = (origin, text) in self._told
            self._told.add((origin, text))
        if not known:
            self.tell(Notice("error", origin, text))

    def _reason(self) -> str:
        return f"not followed: {self._most} logs are followed already; --max-log-requests raises the limit"

    @staticmethod
    def _start(work: Callable[..., object], *arguments: object) -> None:
        Thread(target=work, args=arguments, name="egresslog", daemon=True).start()
