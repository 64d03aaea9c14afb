"""What goes wrong between a client and the API server, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Condition, Event
from typing import Literal

What = Literal["reset", "cut", "end", "silence", "status", "stall", "hang", "raw"]
On = Literal["log", "watch", "list", "get", "exec"]


@dataclass(eq=False)
class Fault:
    """Something that happens `times` times to requests of one sort, of all pods or of one.

    `reset`: RST. `cut`: the connection is closed without the ending chunk. `end`: the body ends cleanly, after
    `message`, which is how a kubelet reports what went wrong amid a stream. `silence`: nothing more comes, the
    connection stays. `stall`: the same `until` an event is set. `hang`: the request is never answered.
    `status`: a Status object instead of the answer, or as ERROR event amid a watch. `raw`: the bytes of `answer`
    instead of all of the server's own, headers as well; then the connection is closed. `path`: only such requests.

    Within a body it happens after so many lines or bytes of that body, also when it is already past them; at
    once if neither is given. All before is sent, whole lines or not.
    """

    what: What
    on: On = "log"
    pod: str | None = None
    after_lines: int | None = None
    after_bytes: int | None = None
    times: int = 1
    code: int = 500
    reason: str = "InternalError"
    message: str = ""
    retry_after: int | None = None
    until: Event | None = None
    answer: Callable[[], Iterable[bytes]] | None = None
    path: str | None = None
    happened: int = 0

    @property
    def immediate(self) -> bool:
        """Whether it waits for nothing."""
        return self.after_lines is None and self.after_bytes is None

    def applies(self, on: str, pod: str, path: str) -> bool:
        """Whether it is still to happen to such a request."""
        return self.happened < self.times and self.on == on and self.pod in (None, pod) and self.path in (None, path)

    def distance(self, data: memoryview | bytes, sent: int, lines: int) -> int | None:
        """How much of `data` goes before it, when `sent` bytes with `lines` lines went; None: all of it."""
        if self.after_bytes is not None:
            missing = max(0, self.after_bytes - sent)
            return missing if missing <= len(data) else None
        missing = max(0, (self.after_lines or 0) - lines)
        data = bytes(data)
        if data.count(b"\n") < missing:
            return None
        position = 0
        for _ in range(missing):
            position = data.index(b"\n", position) + 1
        return position


class Faults(list[Fault]):
    """The faults of a server; those who wait hear of new ones."""

    def __init__(self, changed: Condition) -> None:
        super().__init__()
        self._changed = changed

    def append(self, fault: Fault) -> None:
        self.extend([fault])

    def extend(self, faults: Iterable[Fault]) -> None:
        with self._changed:
            super().extend(faults)
            self._changed.notify_all()

    def find(self, on: str, pod: str, path: str) -> list[Fault]:
        """Those that may happen to such a request."""
        with self._changed:
            return [fault for fault in self if fault.applies(on, pod, path)]

    def claim(self, fault: Fault) -> bool:
        """Let it happen once, unless others had it all."""
        with self._changed:
            if fault.happened >= fault.times:
                return False
            fault.happened += 1
            self._changed.notify_all()
            return True
