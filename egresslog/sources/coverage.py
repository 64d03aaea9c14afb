"""What was read of each container's log, from when to when, and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from egresslog.errors import ClusterError
from egresslog.sources.cluster.pods import Container

_DIAGNOSTICS_KEPT = 20  # per container


@dataclass(slots=True)
class Gap:
    """A piece of a log that was not read, or may not have been read.

    Attributes:
        start, stop: in ns since 1970; None: not known.
        reason: why it was not read.
        lines: how many lines had been read before it.
    """

    start: int | None
    stop: int | None
    reason: str
    lines: int = field(default=0, compare=False)


@dataclass(slots=True)
class Coverage:
    """What was read of one container's log.

    Attributes:
        container: its latest known state.
        lines: number of lines read, including the proxy's own messages.
        first, last: the runtime's timestamps of the first and the last of them (ns since 1970).
        until: when the end of the log was reached, by our clock (ns since 1970); None: never.
        parts: first and last timestamp (ns since 1970) of the lines of each instance of the container.
        gaps: what is missing in between.
        restarts: of the container while its log was read.
        diagnostics: the first messages of the kubelet that stood between the lines.
        diagnostic_count: how many there were in all.
        error: why reading ended too early; None if it did not.
    """

    container: Container
    lines: int = 0
    first: int | None = None
    last: int | None = None
    until: int | None = None
    parts: list[tuple[int, int]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    restarts: int = 0
    diagnostics: list[str] = field(default_factory=list)
    diagnostic_count: int = 0
    error: ClusterError | None = None

    @property
    def origin(self) -> str:
        """``namespace/pod/container``."""
        return self.container.origin

    @property
    def is_complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.gaps and self.error is None

    def add_span(self, first: int | None, last: int | None, *, new_instance: bool) -> None:
        """Extends the time that is covered by the timestamps of lines just read (ns since 1970)."""
        if first is None or last is None:
            return
        self.first = first if self.first is None else self.first
        self.last = last
        if new_instance or not self.parts:
            self.parts.append((first, last))
        else:
            self.parts[-1] = (self.parts[-1][0], max(last, self.parts[-1][1]))

    def add_gap(self, start: int | None, stop: int | None, reason: str) -> bool:
        """Adds a gap; returns False if the last one was extended instead."""
        if self.gaps and self.gaps[-1].reason == reason and self.gaps[-1].lines == self.lines:
            self.gaps[-1].stop = stop
            return False
        self.gaps.append(Gap(start, stop, reason, self.lines))
        return True

    def add_diagnostics(self, messages: Sequence[str]) -> None:
        """Counts messages of the kubelet, and keeps the first ones."""
        self.diagnostic_count += len(messages)
        self.diagnostics += messages[: max(0, _DIAGNOSTICS_KEPT - len(self.diagnostics))]


NoticeKind = Literal["started", "ended", "waiting", "restarted", "gap", "diagnostic", "error", "refused"]


@dataclass(frozen=True)
class Notice:
    """An event while logs are followed, to be shown to the user."""

    kind: NoticeKind
    origin: str
    text: str


class Sink(Protocol):
    """Receives what a log stream reads. It is called from the stream's thread, and must not block it."""

    def write(self, origin: str, data: bytes) -> bool:
        """Takes whole lines with timestamps; returns False if there is no room for them."""

    def notify(self, notice: Notice) -> None:
        """Takes an event."""


def by_ip(coverage: Iterable[Coverage]) -> list[tuple[str, Coverage]]:
    """The coverage of each IP address of each pod."""
    return [(ip, entry) for entry in coverage for ip in entry.container.ips]


def pod_lifetimes(coverage: Iterable[Coverage]) -> list[tuple[str, str, int | None, int | None]]:
    """Each IP address of each pod: IP, ``namespace/name``, and from when to when (ns since 1970) the pod existed."""
    return [
        (ip, f"{entry.container.namespace}/{entry.container.pod}", entry.container.created, entry.container.deleted)
        for ip, entry in by_ip(coverage)
    ]
