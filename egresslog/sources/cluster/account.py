"""What a stream has to say about itself: coverage, gaps, troubles."""

from __future__ import annotations

import time

from egresslog.errors import ClusterError
from egresslog.sources.cluster.pods import Container
from egresslog.sources.coverage import Coverage, Notice, Sink, What


class Account:
    """Keeps the coverage of one container, and tells a sink what happens."""

    def __init__(self, container: Container, sink: Sink) -> None:
        self.coverage = Coverage(container)
        self._sink = sink
        self._said = ""  # told last: the same trouble again and again is told once

    @property
    def container(self) -> Container:
        """As it was seen last."""
        return self.coverage.container

    def _fail(self, reason: str, status: int | None) -> None:
        self.coverage.error = ClusterError(self.coverage.origin, reason, status)
        self._tell("error", reason)

    def _add_diagnostics(self, said: list[bytes]) -> None:
        if said:
            self.coverage.add_diagnostics(said)
            self._tell("diagnostic", said[0].decode("utf-8", "backslashreplace"))

    def _missing(self, start: int | None, why: str, *, stop: int | None = None) -> None:
        """A gap; without ``stop`` until now, as far as our clock can tell where the node's is ahead."""
        now = time.time_ns()
        end = stop if stop is not None else now if start is None or start <= now else None
        if self.coverage.add_gap(start, end, why):
            self._tell("gap", why)

    def _say(self, reason: str, what: What) -> None:
        if reason != self._said:
            self._said = reason
            self._tell(what, reason)

    def _tell(self, what: What, text: str) -> None:
        self._sink.tell(Notice(what, self.coverage.origin, text))
