"""Logs as they are written: of a cluster's containers, of files or of a pipe -> Arrow batches, notices and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Any, Protocol, Self

import pyarrow as pa

from egresslog.errors import SourceError
from egresslog.filters import Filter
from egresslog.live import diagnosis
from egresslog.live.cluster_logs import split_names
from egresslog.records.catalogue import resolve
from egresslog.records.chunk import Chunk
from egresslog.records.format import Format
from egresslog.records.parser import Parser
from egresslog.records.schema import INTERNAL
from egresslog.scan import RejectBuffer, Scan
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.discovery import find_containers
from egresslog.sources.cluster.follower import MAX_LOG_REQUESTS, Follower
from egresslog.sources.cluster.kubeconfig import unauthenticated_server
from egresslog.sources.cluster.pods import gateway_targets
from egresslog.sources.coverage import Coverage, Notice
from egresslog.sources.paths import STDIN
from egresslog.sources.tail import tail_files
from egresslog.timespec import moment

_REJECTS_HELD = 3


class LineSource(Protocol):
    """Where lines come from.

    Attributes:
        tail: lines of each log to begin with; None: all.
    """

    tail: int | None

    @property
    def coverage(self) -> Sequence[Coverage]:
        """What was read of each container; empty for files."""

    @property
    def errors(self) -> list[SourceError]:
        """What could not be read until now."""

    def notes(self) -> list[str]:
        """What else to tell the user in the end."""

    def items(self, timeout: float | None = None) -> Iterator[Chunk | Notice | None]:
        """Lines and notices; None when there was nothing for ``timeout`` seconds."""

    def close(self) -> None:
        """Stops following."""


class Following:
    """Records as they are written. Iterate over it for batches, or over ``items`` for notices as well; then close it.

    Attributes:
        scan: what was read until now; of the rejected lines it keeps the last three.
    """

    def __init__(
        self,
        lines: LineSource,
        format: str | Mapping[str, Any] | Format | None,  # noqa: A002
        where: Filter | None,
        explain: Callable[[SourceError], SourceError] = lambda error: error,
    ) -> None:
        """See ``follow``. ``explain``: returns an error with more explanation."""
        self._explain = explain
        self._lines = lines
        self._formats = resolve(format)
        self._parsers: dict[str, Parser] = {}
        self.where = where or Filter()
        self.schema = Parser(self._formats).schema
        self.scan = Scan(reject_buffer=RejectBuffer(_REJECTS_HELD))
        #: How many lines of each log it begins with; None: with all there are, or with those of a time.
        self.tail = lines.tail

    @property
    def coverage(self) -> Sequence[Coverage]:
        """What was read of each container until now; empty for files."""
        return self._lines.coverage

    def items(self, timeout: float | None = None) -> Iterator[pa.RecordBatch | Notice | None]:
        """Batches with all columns, INTERNAL and ``line``; notices; None when ``timeout`` seconds brought neither."""
        for item in self._lines.items(timeout):
            if isinstance(item, Chunk):
                if item.origin not in self._parsers:
                    self._parsers[item.origin] = Parser(self._formats)
                    self.scan.begin_source(item.origin)
                yield from self._parse(item)
            else:
                yield item

    @property
    def columns(self) -> list[str]:
        """Names of the records' columns."""
        return [name for name in self.schema.names if name not in INTERNAL]

    def _parse(self, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        parsed = self._parsers[chunk.origin].feed(chunk)
        batch = self.scan.add(parsed, self.where, lines=True)
        if len(batch):
            yield batch

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for item in self.items():
            if isinstance(item, pa.RecordBatch):
                yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops reading; what was read and not taken is dropped."""
        self._lines.close()
        self.scan.coverage = coverage = self._lines.coverage
        errors = [*self._lines.errors, *(log_coverage.error for log_coverage in coverage if log_coverage.error)]
        self.scan.errors = [self._explain(error) for error in errors]
        self.scan.notes += tuple(self._lines.notes())
        self.scan.finished = True


def follow(
    *targets: str,
    namespace: str | Iterable[str] = (),
    all_namespaces: bool = False,
    selector: str | None = None,
    gateway_name: str | None = None,
    container: str | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    since: str | None = None,
    tail: int | None = None,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    where: Filter | None = None,
    max_log_requests: int = MAX_LOG_REQUESTS,
) -> Following:
    """Follows the logs of a cluster's egress gateway: all its pods, through restarts and broken connections.

    Args:
        *targets: as ``read_cluster``, like the next seven.
        namespace: one or several.
        all_namespaces: look in all namespaces.
        selector: a label query.
        gateway_name: the name of a Gateway.
        container: its name.
        context: of the kubeconfig.
        kubeconfig: a file.
        since: only lines written from then on.
        tail: lines of each container to begin with; None: all.
        format: as ``egresslog.read``.
        where: as ``egresslog.read``.
        max_log_requests: logs to follow at a time; others are not followed, and a notice says so.

    Returns:
        An iterable of batches that ends when it is closed. Threads go on reading whatever happens to the batches: lines
        that wait are kept in memory and then on disk.

    Raises:
        UsageError, ClusterError: as ``read_cluster``; but it is no error that there are no pods yet.
    """
    namespaces = None if all_namespaces else split_names(namespace)
    wanted = gateway_targets(namespaces, targets, selector, gateway_name, container)
    start = None if since is None else moment(since, datetime.now(UTC))
    cluster = Cluster.connect(context=context, kubeconfig=kubeconfig)
    # Errors are left to the follower, which reports them as they occur.
    present = [Coverage(container) for container in find_containers(cluster, wanted).containers]
    format, notes, advice = diagnosis.diagnose(cluster, present, format)  # noqa: A001
    follower = Follower(cluster, wanted, since=start, tail=tail, max_log_requests=max_log_requests)
    following = Following(follower, format, where, lambda error: diagnosis.with_missing_rights(error, wanted))
    following.scan.notes, following.scan.advice = tuple(notes), tuple(advice)
    following.scan.unauthenticated = unauthenticated_server(cluster.configuration)
    follower.start()
    return following


def follow_paths(
    paths: Sequence[str],
    *,
    tail: int | None = None,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    where: Filter | None = None,
) -> Following:
    """Follows files as ``tail -F`` does, and pipes to their end.

    Args:
        paths: files; ``-``: standard input.
        tail: lines of each file to begin with; None: all.
        format: as ``egresslog.read``.
        where: as ``egresslog.read``.
    """
    return Following(_Files(paths, tail), format, where)


class _Files:
    """Files and pipes as a ``LineSource``."""

    coverage: Sequence[Coverage] = ()

    def __init__(self, paths: Sequence[str], tail: int | None) -> None:
        self._paths = paths
        self.tail = None if set(paths) == {STDIN} else tail
        self._stop = Event()
        self.errors: list[SourceError] = []

    def notes(self) -> list[str]:
        """None: lines that are not used are not read."""
        return []

    def items(self, timeout: float | None = None) -> Iterator[Chunk | Notice | None]:
        """See ``LineSource``; files are checked often enough whatever ``timeout`` says."""
        for item in tail_files(self._paths, lines=self.tail, stop=self._stop, report_idle=timeout is not None):
            if isinstance(item, SourceError):
                self.errors.append(item)
                yield Notice("error", item.origin, item.reason)
            else:
                yield item

    def close(self) -> None:
        """Stops following."""
        self._stop.set()
