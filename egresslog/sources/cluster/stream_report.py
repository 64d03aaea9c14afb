"""What one log stream reports: the coverage of its container, and notices for the user."""

from __future__ import annotations

import time

from egresslog.errors import ClusterError
from egresslog.sources.cluster.pods import Container
from egresslog.sources.coverage import Coverage, Notice, NoticeKind, Sink


class StreamReport:
    """Keeps the coverage of one container up to date, and passes lines and notices to a sink.

    Attributes:
        coverage: what was read until now.
    """

    def __init__(self, container: Container, sink: Sink) -> None:
        self.coverage = Coverage(container)
        self._sink = sink
        self._last_problem = ""  # reported once, however often it occurs in a row

    @property
    def container(self) -> Container:
        """Its latest known state."""
        return self.coverage.container

    def update(self, container: Container) -> None:
        """Takes note of the container's state."""
        self.coverage.container = container

    def add_restarts(self, container: Container) -> int:
        """Takes note that another instance of the container runs; returns how many restarts there were."""
        restarts = max(1, container.restarts - self.container.restarts)
        self.coverage.restarts += restarts
        self.update(container)
        self.notify("restarted")
        return restarts

    def add_lines(self, data: bytes, first: int | None, last: int | None, *, new_instance: bool) -> bool:
        """Passes on whole lines with timestamps from ``first`` to ``last`` (ns); False if the sink has no room."""
        self._last_problem = ""
        self.coverage.add_span(first, last, new_instance=new_instance)
        taken = self._sink.write(self.coverage.origin, data)
        if taken:
            self.coverage.lines += data.count(b"\n")
        return taken

    def add_diagnostics(self, messages: list[bytes]) -> None:
        """Takes note of what the kubelet wrote between the lines."""
        if messages:
            texts = [message.decode("utf-8", "backslashreplace") for message in messages]
            self.coverage.add_diagnostics(texts)
            self.notify("diagnostic", texts[0])

    def add_gap(self, start: int | None, reason: str, *, stop: int | None = None) -> None:
        """Takes note of a gap (ns); without ``stop`` until now, unless the node's clock is ahead of ours."""
        now = time.time_ns()
        end = stop if stop is not None else now if start is None or start <= now else None
        if self.coverage.add_gap(start, end, reason):
            self.notify("gap", reason)

    def mark_end(self, now: int) -> None:
        """Takes note that the log was read to its end at this time (ns)."""
        self.coverage.until = now

    def fail(self, reason: str, status: int | None = None) -> None:
        """Takes note of what ended reading too early."""
        self.coverage.error = ClusterError(self.coverage.origin, reason, status)
        self.notify("error", reason)

    def problem(self, kind: NoticeKind, reason: str) -> None:
        """Reports what keeps the log from being read for now."""
        if reason != self._last_problem:
            self._last_problem = reason
            self.notify(kind, reason)

    def notify(self, kind: NoticeKind, text: str = "") -> None:
        """Passes a notice on."""
        self._sink.notify(Notice(kind, self.coverage.origin, text))
