"""The logs of containers as they are now -> files. Reading is never slowed down by whoever uses the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import IO

from egresslog.errors import SourceError
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.discovery import find_containers
from egresslog.sources.cluster.kubeconfig import unauthenticated_server
from egresslog.sources.cluster.log_stream import LogStream
from egresslog.sources.cluster.pods import Container, Target
from egresslog.sources.coverage import Coverage, Notice
from egresslog.sources.messages import os_reason
from egresslog.sources.paths import Source, Sources
from egresslog.temporary import TemporaryFolder

# The answers for an ended pod whose log was deleted.
_NO_LOG = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
MAX_LOG_REQUESTS = 5  # at a time, as kubectl


class Snapshot(Sources):
    """Logs in temporary files, and what was read of each container; the files are deleted with this object."""

    def __init__(self, errors: Sequence[SourceError] = ()) -> None:
        """``errors``: for containers that are left out."""
        super().__init__(errors=list(errors))
        self._folder = TemporaryFolder()

    def path_of(self, number: int) -> Path:
        """The file for the log of a container."""
        return self._folder.path / str(number)

    def describe(self, errors: Sequence[SourceError], notes: Sequence[str], advice: Sequence[str]) -> None:
        """Replaces the errors by errors that explain more, and adds notes and advice."""
        self.errors = list(errors)
        self.notes += notes
        self.advice += advice

    def add(self, coverage: Coverage, path: Path) -> None:
        """Adds the log of a container. That the log of a pod that has ended was deleted is no error, but a note."""
        container, error = coverage.container, coverage.error
        if error and container.done and error.status in _NO_LOG:
            state = container.reason or container.state
            self.notes.append(f"{coverage.origin}: the pod has ended ({state}): {error.reason}")
            coverage = replace(coverage, error=None)
        elif error:
            self.errors.append(error)
        self.coverage.append(coverage)
        if path.exists():
            self.sources.append(Source(coverage.origin, path.stat().st_size, str(path)))


def take_snapshot(
    cluster: Cluster,
    targets: Iterable[Target],
    *,
    since: int | None = None,
    max_log_requests: int = MAX_LOG_REQUESTS,
    exclude: Iterable[tuple[str, str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Snapshot:
    """Reads the log of every container of the targets, and of the instance before its last restart.

    Args:
        cluster: where.
        targets: what.
        since: only lines with a timestamp from then on (ns since 1970).
        max_log_requests: logs to read at a time.
        exclude: keys of containers to leave out.
        progress: called with how many of how many logs were read.

    Returns:
        Files and coverage. What could not be read is among the errors; a pod that ended long ago is among the notes.
    """
    found = find_containers(cluster, targets)
    excluded = set(exclude)
    containers = [container for container in found.containers if container.key not in excluded]
    snapshot = Snapshot(found.errors)
    snapshot.uncaptured = found.uncaptured
    snapshot.unauthenticated = unauthenticated_server(cluster.configuration)
    readers = _Readers(cluster, containers, snapshot.path_of, since)
    try:
        readers.start(max_log_requests)
        for done in range(len(containers)):
            readers.wait()
            if progress:
                progress(done + 1, len(containers))
    except BaseException:  # Ctrl-C
        readers.stop()
        raise
    for number in range(len(containers)):
        snapshot.add(readers.coverage[number], snapshot.path_of(number))
    return snapshot


class _Readers:
    """Threads that read one log after another. They never keep the program from ending, whatever a server does.

    Attributes:
        coverage: what was read of each container, by its number.
    """

    def __init__(
        self, cluster: Cluster, containers: Sequence[Container], path_of: Callable[[int], Path], since: int | None
    ) -> None:
        self.coverage: dict[int, Coverage] = {}
        self._cluster, self._containers, self._path_of, self._since = cluster, containers, path_of, since
        self._stop = Event()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._running: dict[int, LogStream] = {}  # as many as there are threads: there may be many more containers
        self._next = iter(range(len(containers)))
        self._lock = Lock()

    def start(self, threads: int) -> None:
        """Starts so many threads."""
        for _ in range(max(1, threads)):
            Thread(target=self._work, name="egresslog-log", daemon=True).start()

    def wait(self) -> None:
        """Waits until one more log was read."""
        while True:
            with suppress(Empty):
                self._done.get(timeout=1)  # a wait without limit cannot be interrupted on every system
                return

    def stop(self) -> None:
        """Ends reading; logs that were not started are left out."""
        self._stop.set()
        self._cluster.close()
        with self._lock:
            streams = list(self._running.values())
        for stream in streams:
            stream.connection.abort()

    def _work(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                number = next(self._next, None)
                if number is None:
                    return
                sink = _FileSink()
                stream = LogStream(self._cluster, self._containers[number], sink, since=self._since, stop=self._stop)
                self._running[number] = stream
            try:
                with sink.opened(self._path_of(number)):
                    stream.run()
            except OSError as error:  # a full disk, seen when the file is opened or closed
                stream.report.fail(f"cannot be stored: {os_reason(error)}")
            with self._lock:
                self.coverage[number] = stream.report.coverage
                del self._running[number]
            self._done.put(None)


class _FileSink:
    """Writes the lines of one stream to a file."""

    _file: IO[bytes]

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """Opens the file for as long as the context lasts."""
        with path.open("wb") as self._file:
            yield

    def write(self, origin: str, data: bytes) -> bool:
        """Writes lines."""
        del origin  # each file has one
        self._file.write(data)
        return True

    def notify(self, notice: Notice) -> None:
        """Does nothing: the coverage has it all in the end."""
