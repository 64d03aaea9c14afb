"""The logs of containers as they are now -> files. Reading is never slowed down by who uses the lines."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import IO

from egresslog.sources.cluster.client import BAD, GONE, Cluster
from egresslog.sources.cluster.discovery import find
from egresslog.sources.cluster.log_stream import Stream
from egresslog.sources.cluster.pods import Container, Target
from egresslog.sources.coverage import Coverage, Notice
from egresslog.sources.paths import Found, Source

_NO_LOG = (BAD, GONE)  # what the API says of an ended pod whose log was thrown away
STREAMS = 5  # at a time, as kubectl does it


class Collected(Found):
    """What ``files.chunks`` reads, and what was read of each container; the files go when this is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(prefix="egresslog-")
        weakref.finalize(self, self._directory.cleanup)

    def place(self, number: int) -> Path:
        """Where the log of a container goes."""
        return Path(self._directory.name) / str(number)


def collect(
    cluster: Cluster,
    targets: Iterable[Target],
    *,
    since: int | None = None,
    streams: int = STREAMS,
    but: Iterable[tuple[str, str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Collected:
    """Reads the log of every container of the targets, and of the instance before its last restart.

    Args:
        cluster: where.
        targets: what.
        since: only lines that the runtime stamped from then on (ns).
        streams: how many to read at a time.
        but: keys of containers to leave out.
        progress: told how many of how many containers are read.

    Returns:
        Files and coverage. What could not be read is among the errors; a pod that has ended long ago in the notes.
    """
    made = Collected()
    left_out = set(but)
    containers = find(cluster, targets)
    made.errors = list(containers.errors)
    wanted = [container for container in containers.found if container.key not in left_out]
    readers = _Readers(cluster, [(one, made.place(number)) for number, one in enumerate(wanted)], since)
    try:
        readers.start(streams)
        for done in range(len(wanted)):
            readers.wait()
            if progress:
                progress(done + 1, len(wanted))
    except BaseException:  # Ctrl-C
        readers.stop()
        raise
    for covered, path in readers.results:
        _add(made, covered, path)
    return made


class _Readers:
    """Threads that read one log after another. They never keep the program from ending, whatever a server does."""

    def __init__(self, cluster: Cluster, work: Sequence[tuple[Container, Path]], since: int | None) -> None:
        self._cluster = cluster
        self._stop = Event()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._paths = [path for _, path in work]
        self._sinks = [_File() for _ in work]
        self._streams = [
            Stream(cluster, container, sink, since=since, stop=self._stop)
            for (container, _), sink in zip(work, self._sinks, strict=True)
        ]
        self._next = iter(range(len(work)))
        self._lock = Lock()

    @property
    def results(self) -> list[tuple[Coverage, Path]]:
        """What was read, and where it is."""
        return [(stream.coverage, path) for stream, path in zip(self._streams, self._paths, strict=True)]

    def start(self, threads: int) -> None:
        """Begins with so many at a time."""
        for _ in range(max(1, threads)):
            Thread(target=self._work, name="egresslog-log", daemon=True).start()

    def wait(self) -> None:
        """Until one more is read."""
        while True:
            with suppress(Empty):
                return self._done.get(timeout=1)  # a wait without end cannot be interrupted everywhere

    def stop(self) -> None:
        """Ends what goes on; what has not begun never will."""
        self._stop.set()
        self._cluster.close()
        for stream in self._streams:
            stream.close()

    def _work(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                at = next(self._next, None)
            if at is None:
                return
            with self._sinks[at].opened(self._paths[at]):
                self._streams[at].run()
            self._done.put(None)


class _File:
    """Takes the lines of one stream into a file."""

    _out: IO[bytes]

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """Writes there as long as it lasts."""
        with path.open("wb") as self._out:
            yield

    def lines(self, origin: str, data: bytes) -> bool:
        """Writes them."""
        del origin  # a file has one
        self._out.write(data)
        return True

    def tell(self, notice: Notice) -> None:
        """Coverage says it all in the end."""


def _add(made: Collected, covered: Coverage, path: Path) -> None:
    container = covered.container
    made.coverage.append(covered)
    if covered.error and container.done and covered.error.status in _NO_LOG:
        state = container.reason or container.state
        made.notes.append(f"{covered.origin}: the pod has ended ({state}): {covered.error.reason}")
        covered.error = None
    elif covered.error:
        made.errors.append(covered.error)
    made.sources.append(Source(covered.origin, path.stat().st_size, str(path)))
