"""A follower of the product against the test server, and what it gave out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

from egresslog.records.chunk import Chunk
from egresslog.sources.cluster.client import Cluster as Api
from egresslog.sources.cluster.clock import Clock
from egresslog.sources.cluster.follower import Follower
from egresslog.sources.cluster.pods import Target, gateway_targets
from egresslog.sources.coverage import Notice

from .kubeapi.server import Server

# What is started in the background of a script ignores Ctrl-C, and so would what it starts.
INTERRUPTIBLE = [
    sys.executable,
    "-c",
    """
import signal
from egresslog.cli.app import main
from egresslog.sources.cluster.clock import Clock

signal.signal(signal.SIGINT, signal.default_int_handler)
wait = Clock.wait
Clock.wait = lambda clock, stop, seconds: wait(clock, stop, seconds / 50)
main()
""",
]
SECOND = 10**9
T0 = 1_795_000_000 * SECOND  # 2026-11-18T11:06:40Z
GATEWAY = "istio-egressgateway-7d9f-abcde"
ORIGIN = f"istio-system/{GATEWAY}/istio-proxy"


class FastClock(Clock):
    """A second between two attempts lasts 20 ms. Everything else happens in real time: sockets, threads, processes."""

    def wait(self, stop: Event, seconds: float) -> bool:
        return stop.wait(seconds / 50)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 50)


class Received:
    """Takes what a follower returns; nothing waits longer than it must."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.data: dict[str, bytes] = {}
        self.first: dict[str, int] = {}
        self.notices: list[Notice] = []
        self._items = follower.items(0.02)

    def until(self, condition: Callable[[], object], timeout: float = 30) -> None:
        """Takes until the condition holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, (self.notices, {key: value[-300:] for key, value in self.data.items()})
            item = next(self._items)
            if isinstance(item, Notice):
                self.notices.append(item)
            elif isinstance(item, Chunk):
                have = self.data.get(item.origin, b"")
                assert item.first == have.count(b"\n") + 1  # numbers go on
                self.data[item.origin] = have + item.data

    def lines(self, origin: str = ORIGIN) -> list[bytes]:
        """The lines of one container, without stamps."""
        return [line.split(b" ", 1)[1] for line in self.data.get(origin, b"").split(b"\n")[:-1]]

    def count(self, origin: str = ORIGIN) -> int:
        """How many of them."""
        return self.data.get(origin, b"").count(b"\n")

    def notices_of(self, kind: str) -> list[Notice]:
        """Notices of one kind."""
        return [notice for notice in self.notices if notice.kind == kind]


@contextmanager
def following(
    server: Server,
    targets: Sequence[Target] | None = None,
    user: str = "admin",
    clock: Clock | None = None,
    **options: Any,
) -> Any:
    """A running follower, and what takes its items."""
    api = Api.connect(kubeconfig=str(server.kubeconfig(user)), clock=clock or FastClock())
    follower = Follower(api, targets or gateway_targets(()), **options)
    follower.start()
    try:
        yield Received(follower)
    finally:
        follower.close()


def numbered(first: int, last: int) -> list[bytes]:
    """Lines that say which they are; the last included."""
    return [b"line %d" % number for number in range(first, last + 1)]
