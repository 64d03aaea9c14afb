"""Speed and memory: `make bench`. Ratios against a plain regular expression over the same lines, in the same run.

The peer is what people write by hand: one expression with a group per field, applied to each line, and nothing else: no
types, no columns, no accounting, no check that the split is unique.
"""

from __future__ import annotations

import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import egresslog

LINES = 1_000_000
PEER = re.compile(
    r'\[([^\]]*)\] "(\S+) (\S+) (\S+)" (\d+) (\S+) (\S+) (\S+) "([^"]*)" (\d+) (\d+) (\d+) (\S+) "([^"]*)" "([^"]*)" '
    r'"([^"]*)" "([^"]*)" "([^"]*)" (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)$'
)


def write_logs(path: Path, lines: int) -> None:
    """Half HTTP, half TLS passthrough, 200 hosts; the sidecars' log has the other end of each connection.

    One in a thousand of the sidecars' connections goes past the gateway instead, and half of the requests are equal to
    others of their connection but for the time.
    """
    service = "istio-egressgateway.istio-system.svc.cluster.local"
    chance = random.Random(1)
    with path.open("w") as out, _sidecar(path).open("w") as sidecar:
        for number in range(lines):
            host = f"h{chance.randrange(200)}.example.com"
            seconds, milliseconds = divmod(number, 1000)
            stamp = f"2024-05-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}Z"
            pod = f"10.244.{chance.randrange(4)}.{chance.randrange(250)}"
            http = number % 2 == 0
            # A sidecar keeps some HTTP connections open; each TLS connection has a port of its own.
            near = f"{pod}:{40000 + chance.randrange(4) if http else chance.randrange(30000, 60000)}"
            ends = f"10.244.2.20:{chance.randrange(30000, 60000)} 10.244.2.20:8443 {near}"
            sent, took = chance.choice((chance.randrange(99999), 512)), chance.randrange(900)
            outside = f"151.101.{chance.randrange(250)}.67"
            path_of = f"/path/{number if number % 4 else 0}"
            request = f'"GET {path_of} HTTP/2" 200 - via_upstream' if http else '"- - -" 0 - -'
            port = 80 if http else 443
            client = f'"curl/8.4.0" "{chance.getrandbits(128):032x}" "{host}"' if http else '"-" "-" "-"'
            sni = "-" if http else host
            received = 0 if http else 839
            numbers = f'- "-" {received} {sent} {took} {took if http else "-"}'
            out.write(
                f'[{stamp}] {request} {numbers} "{pod if http else "-"}" {client} "{outside}:{port}" '
                f"outbound|{port}||{host} {ends} {sni} -\n"
            )
            past = number % 1000 == 999
            to = f"{outside}:443" if past else "10.244.2.20:8443"
            cluster = "PassthroughCluster" if past else f"outbound|{port}|h|{service}"
            sidecar.write(
                f'[{stamp}] {request} {numbers} "-" {client} "{to}" {cluster} '
                f"{near} {outside}:{port} {pod}:{chance.randrange(30000, 60000)} {sni} -\n"
            )


def _sidecar(path: Path) -> Path:
    return path.with_name("sidecar.log")


def by_regex(path: Path) -> int:
    """The peer."""
    with path.open() as lines:
        return sum(1 for found in map(PEER.match, lines) if found and found.groups())


def by_egresslog(path: Path) -> int:
    """All columns of all records, as Arrow batches."""
    return sum(len(batch) for batch in egresslog.read(path).batches())


def by_regex_twice(path: Path) -> int:
    """The peer over both logs: the least that any comparison of the two has to do."""
    return by_regex(path) + by_regex(_sidecar(path))


def by_verify(path: Path) -> int:
    """Both logs read, paired and judged; the lines of both."""
    found = egresslog.verify(gateway=egresslog.read(path), sidecars=egresslog.read(_sidecar(path)))
    assert sum(one.counts.get(egresslog.Verdict.BYPASSED, 0) for one in found) == LINES // 1000
    return found.counts.records


def measured(function: Callable[[Path], int], path: Path) -> tuple[float, int, int]:
    """Seconds, lines and peak memory (MiB) of a call in a process of its own."""
    code = f"from tests.benchmark import *\nmain_one({function.__name__}, Path({str(path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, lines, memory = done.stdout.split()
    return float(seconds), int(lines), int(memory)


def main_one(function: Callable[[Path], int], path: Path) -> None:
    """Runs one and prints what ``measured`` reads."""
    start = time.perf_counter()
    lines = function(path)
    seconds = time.perf_counter() - start
    print(seconds, lines, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)  # noqa: T201


def main() -> None:
    """Prints one row per way of reading."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.log"
        write_logs(path, LINES)
        for peer, own, times in ((by_regex, by_egresslog, 3), (by_regex_twice, by_verify, 2)):
            base = None
            for function in (peer, own):
                seconds, lines, memory = min(measured(function, path) for _ in range(times))
                base = base or seconds
                speed = f"{lines:9,} lines {seconds:6.1f} s {lines / seconds:9,.0f} lines/s {memory:6} MiB"
                print(f"{function.__name__:14} {speed}  {seconds / base:.2f} x the time")  # noqa: T201


if __name__ == "__main__":
    main()
