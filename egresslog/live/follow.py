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
from egresslog.live.cluster_logs import names
from egresslog.records.catalogue import resolve
from egresslog.records.chunk import Chunk
from egresslog.records.format import Format
from egresslog.records.parser import Parser
from egresslog.records.schema import PRECISION
from egresslog.scan import RejectBuffer, Scan
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.discovery import find
from egresslog.sources.cluster.follower import STREAMS, Follower
from egresslog.sources.cluster.pods import gateway_targets
from egresslog.sources.coverage import Coverage, Notice
from egresslog.sources.paths import STDIN
from egresslog.sources.tail import follow as follow_files
from egresslog.timespec import moment

_REJECTS_HELD = 3


class Lines(Protocol):
    """Where the lines come from."""

    tail: int | None

    @property
    def coverage(self) -> Sequence[Coverage]:
        """Of containers, if it is containers."""

    @property
    def errors(self) -> list[SourceError]:
        """What could not be read until now."""

    def notes(self) -> list[str]:
        """What else there is to say in the end."""

    def items(self, timeout: float | None = None) -> Iterator[Chunk | Notice | None]:
        """Lines and notices; None after ``timeout`` seconds without."""

    def close(self) -> None:
        """Ends it."""


class Following:
    """Records as they are written. Iterate over it for batches, or over ``items`` for notices as well; then close it.

    Attributes:
        scan: what was read until now; of the rejected lines it keeps the last three.
    """

    def __init__(
        self,
        lines: Lines,
        format: str | Mapping[str, Any] | Format | None,  # noqa: A002
        where: Filter | None,
        explain: Callable[[SourceError], SourceError] = lambda error: error,
    ) -> None:
        """See ``follow``; ``explain`` says more about an error."""
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
        """Batches with all columns, PRECISION and ``line``; notices; None when ``timeout`` seconds brought neither."""
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
        return [name for name in self.schema.names if name != PRECISION]

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
        errors = [*self._lines.errors, *(covered.error for covered in coverage if covered.error)]
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
    max_log_requests: int = STREAMS,
) -> Following:
    """Follows the logs of a cluster's egress gateway: all its pods, those to come, through restarts and broken streams.

    Args:
        *targets: as ``read_cluster``, like the next seven.
        namespace: one or several.
        all_namespaces: look everywhere.
        selector: a label query.
        gateway_name: of a Gateway.
        container: its name.
        context: of the kubeconfig.
        kubeconfig: a file.
        since: only lines written from then on.
        tail: begin with so many lines of each container; None with all there are.
        format: as ``egresslog.read``.
        where: as ``egresslog.read``.
        max_log_requests: logs to follow at a time; more are refused, with a notice.

    Returns:
        An iterable of batches that ends when it is closed. Reading goes on in threads, whatever is done with the
        batches: what waits is kept in memory and then on disk.

    Raises:
        UsageError, ClusterError: as ``read_cluster``; no pods are no error here, they may come.
    """
    wanted = gateway_targets(None if all_namespaces else names(namespace), targets, selector, gateway_name, container)
    begin = None if since is None else moment(since, datetime.now(UTC))
    cluster = Cluster.connect(context=context, kubeconfig=kubeconfig)
    now = [Coverage(one) for one in find(cluster, wanted).found]  # what cannot be asked for yet, the follower tells
    format, notes, advice = diagnosis.about(cluster, now, format)  # noqa: A001
    follower = Follower(cluster, wanted, since=begin, tail=tail, streams=max_log_requests)
    made = Following(follower, format, where, lambda error: diagnosis.explained(error, wanted))
    made.scan.notes, made.scan.advice = tuple(notes), tuple(advice)
    follower.start()
    return made


def follow_paths(
    paths: Sequence[str],
    *,
    tail: int | None = None,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    where: Filter | None = None,
) -> Following:
    """Follows files as `tail -F` does, or standard input (``-``) to its end. ``tail``: lines of each to begin with."""
    return Following(_Files(paths, tail), format, where)


class _Files:
    """Files and pipes as ``Lines``."""

    coverage: Sequence[Coverage] = ()

    def __init__(self, paths: Sequence[str], tail: int | None) -> None:
        self._paths = paths
        self.tail = None if set(paths) == {STDIN} else tail
        self._stop = Event()
        self.errors: list[SourceError] = []

    def notes(self) -> list[str]:
        """Nothing: what is not taken is not read."""
        return []

    def items(self, timeout: float | None = None) -> Iterator[Chunk | Notice | None]:
        """As ``Lines``; files are looked at often enough without a ``timeout``."""
        del timeout
        for item in follow_files(self._paths, lines=self.tail, stop=self._stop):
            if isinstance(item, SourceError):
                self.errors.append(item)
                yield Notice("error", item.origin, item.reason)
            else:
                yield item

    def close(self) -> None:
        """Ends it."""
        self._stop.set()
