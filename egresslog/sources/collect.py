"""The logs of containers as they are now -> files. Reading is never slowed down by who uses the lines."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from egresslog.sources.cluster import Cluster
from egresslog.sources.coverage import Coverage, Notice
from egresslog.sources.finding import find
from egresslog.sources.paths import Found, Source
from egresslog.sources.pods import Container, Target
from egresslog.sources.stream import Stream

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
    made.errors, made.notes = list(containers.errors), containers.notes
    wanted = [container for container in containers.found if container.key not in left_out]
    stop = Event()
    with ThreadPoolExecutor(max(1, streams), "egresslog-log") as pool:
        readings = [
            pool.submit(_read, cluster, container, made.place(number), since, stop)
            for number, container in enumerate(wanted)
        ]
        try:
            for number, reading in enumerate(readings):
                covered = reading.result()
                _add(made, covered, made.place(number))
                if progress:
                    progress(number + 1, len(readings))
        except BaseException:  # Ctrl-C: what has not begun never will
            stop.set()
            for reading in readings:
                reading.cancel()
            raise
    return made


class _File:
    """Takes the lines of one stream into a file."""

    def __init__(self, path: Path) -> None:
        self._out = path.open("wb")

    def lines(self, origin: str, data: bytes) -> bool:
        """Writes them."""
        del origin  # a file has one
        self._out.write(data)
        return True

    def tell(self, notice: Notice) -> None:
        """Coverage says it all in the end."""

    def close(self) -> None:
        """Ends the file."""
        self._out.close()


def _read(cluster: Cluster, container: Container, path: Path, since: int | None, stop: Event) -> Coverage:
    sink = _File(path)
    try:
        stream = Stream(cluster, container, sink, since=since, stop=stop)
        stream.run()
    finally:
        sink.close()
    return stream.coverage


def _add(made: Collected, covered: Coverage, path: Path) -> None:
    container = covered.container
    made.coverage.append(covered)
    if covered.error and container.done:
        state = container.reason or container.state
        made.notes.append(f"{covered.origin}: the pod has ended ({state}): {covered.error.reason}")
        covered.error = None
    elif covered.error:
        made.errors.append(covered.error)
    made.sources.append(Source(covered.origin, path.stat().st_size, str(path)))
