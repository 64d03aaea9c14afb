"""What was read of each container's log, from when to when, and what was not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from egresslog.errors import ClusterError
from egresslog.sources.cluster.pods import Container, nanoseconds

_SAID = 20  # diagnostics kept per stream


@dataclass
class Gap:
    """A piece of a log that was not read, or may not have been. ``start``, ``stop`` in ns since 1970, None: unknown."""

    start: int | None
    stop: int | None
    why: str
    lines: int = field(default=0, compare=False)  # that had been given out before


@dataclass
class Coverage:
    """What was read of one container's log.

    Attributes:
        container: as it was seen last.
        lines: that were given out, with the proxy's own messages.
        first, last: the runtime's stamps of the first and the last of them (ns since 1970).
        until: the log was read to its end at this time, by our clock (ns), None if never.
        parts: first and last stamp of each instance's lines.
        gaps: what is missing between.
        restarts: of the container while it was read.
        diagnostics: what the kubelet wrote into the body, the first of it; ``said`` counts all.
        error: why reading ended too early, None if it did not.
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
    said: int = 0
    error: ClusterError | None = None

    @property
    def origin(self) -> str:
        """``namespace/pod/container``."""
        return self.container.origin

    @property
    def whole(self) -> bool:
        """Nothing is known to be missing."""
        return not self.gaps and self.error is None

    def add(self, first: int | None, last: int | None, *, new: bool) -> None:
        """Counts in lines of the instance that is being read, or of a new one."""
        if first is None or last is None:
            return
        self.first = first if self.first is None else self.first
        self.last = last
        if new or not self.parts:
            self.parts.append((first, last))
        else:
            self.parts[-1] = (self.parts[-1][0], max(last, self.parts[-1][1]))

    def add_gap(self, start: int | None, stop: int | None, why: str) -> bool:
        """Keeps a gap; False if it is the last one, grown longer."""
        if self.gaps and self.gaps[-1].why == why and self.gaps[-1].lines == self.lines:
            self.gaps[-1].stop = stop
            return False
        self.gaps.append(Gap(start, stop, why, self.lines))
        return True

    def add_diagnostics(self, texts: list[bytes]) -> None:
        """Keeps the first, counts all."""
        self.said += len(texts)
        room = max(0, _SAID - len(self.diagnostics))
        self.diagnostics += [text.decode("utf-8", "backslashreplace") for text in texts[:room]]


What = Literal["begun", "ended", "waiting", "restarted", "gap", "diagnostic", "error", "refused"]


@dataclass(frozen=True)
class Notice:
    """Something that happened while following, for who watches."""

    what: What
    origin: str
    text: str


class Sink(Protocol):
    """Who takes what a stream gives; called by the stream's thread, and must not keep it waiting."""

    def lines(self, origin: str, data: bytes) -> bool:
        """Whole lines with stamps; False if there is no room for them."""

    def tell(self, notice: Notice) -> None:
        """Something happened."""


def by_ip(coverage: Iterable[Coverage]) -> list[tuple[str, Coverage]]:
    """Each address of each pod, and what was read of it."""
    return [(ip, covered) for covered in coverage for ip in covered.container.ips]


def lives(coverage: Iterable[Coverage]) -> list[tuple[str, str, int | None, int | None]]:
    """Each address of each pod: IP, ``namespace/name``, and from when to when (ns) the pod lived."""
    return [
        (ip, f"{one.container.namespace}/{one.container.pod}", nanoseconds(one.container.created),
         nanoseconds(one.container.deleted))
        for ip, one in by_ip(coverage)
    ]  # fmt: skip
