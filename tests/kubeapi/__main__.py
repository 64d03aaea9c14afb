"""A server for benchmarks: gateway pods with numbered access-log lines, as many and as fast as wanted."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from .cluster import Cluster
from .server import Server

_TIME = b"2026-01-01T00:00:00.000Z"
_LINE = (
    b"[" + _TIME + b'] "GET /n/%d HTTP/1.1" 200 - via_upstream - "-" 0 335 2 1 "127.0.1.11" "curl/8.10.1"'
    b' "909bde41-4424-4d43-a866-%012x" "edition.cnn.com" "127.0.3.80:9080" outbound|80||edition.cnn.com'
    b" 127.0.2.21:48452 127.0.2.21:8080 127.0.1.11:56644 - -\n"
)
_AT_ONCE = 200
_PER_SECOND = 50


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tests.kubeapi", description=__doc__)
    parser.add_argument("--pods", type=int, default=1, help="gateway pods, all with the same lines")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of each pod, numbered in the path: /n/123")
    parser.add_argument("--rate", type=float, default=0, help="lines per second and pod; 0: all are there at once")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="file to write")
    options = parser.parse_args()
    ended = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    cluster = Cluster()
    for number in range(options.pods):
        cluster.add_pod(f"istio-egressgateway-{number}", ip=f"10.244.0.{5 + number}")
    step = max(1, round(options.rate / _PER_SECOND)) if options.rate else _AT_ONCE
    # Formatting would be what a reader waits for, so it is done before.
    blocks = list(_blocks(options.lines, step))
    if not options.rate:
        for block in blocks:
            _write(cluster, block)
    with Server(cluster) as server:
        options.kubeconfig.unlink(missing_ok=True)
        options.kubeconfig.touch(mode=0o600)
        options.kubeconfig.write_bytes(server.kubeconfig().read_bytes())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if options.rate:
            _write_at_rate(cluster, blocks, step / options.rate, ended)
        # A signal that comes just before a wait without end is not noticed until the next one.
        while not ended.wait(0.5):
            pass


def _blocks(lines: int, step: int) -> Iterator[tuple[bytes, int]]:
    for start in range(0, lines, step):
        numbers = range(start, min(start + step, lines))
        yield b"".join([_LINE % (number, number) for number in numbers]), len(numbers)


def _write(cluster: Cluster, block: tuple[bytes, int]) -> None:
    data, lines = block
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
    data = data.replace(_TIME, now)
    for pod in cluster.pods.values():
        pod.log().write_block(data, lines)


def _write_at_rate(cluster: Cluster, blocks: list[tuple[bytes, int]], period: float, ended: Event) -> None:
    """A block each period; what was late is caught up."""
    start = time.monotonic()
    for number, block in enumerate(blocks):
        if ended.wait(max(0, start + number * period - time.monotonic())):
            return
        _write(cluster, block)


if __name__ == "__main__":
    main()
