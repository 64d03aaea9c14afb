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


def write_log(path: Path, lines: int) -> None:
    """Half HTTP, half TLS passthrough, 200 hosts."""
    chance = random.Random(1)
    with path.open("w") as out:
        for number in range(lines):
            host = f"h{chance.randrange(200)}.example.com"
            seconds, milliseconds = divmod(number, 1000)
            stamp = f"2024-05-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}Z"
            pod = f"10.244.{chance.randrange(4)}.{chance.randrange(250)}"
            ends = (
                f"10.244.2.20:{chance.randrange(30000, 60000)} 10.244.2.20:8443 {pod}:{chance.randrange(30000, 60000)}"
            )
            sent, took = chance.randrange(99999), chance.randrange(900)
            outside = f"151.101.{chance.randrange(250)}.67"
            if number % 2:
                out.write(
                    f'[{stamp}] "- - -" 0 - - - "-" 839 {sent} {took} - "-" "-" "-" "-" "{outside}:443" '
                    f"outbound|443||{host} {ends} {host} -\n"
                )
            else:
                out.write(
                    f'[{stamp}] "GET /path/{number} HTTP/2" 200 - via_upstream - "-" 0 {sent} {took} {took} "{pod}" '
                    f'"curl/8.4.0" "{chance.getrandbits(128):032x}" "{host}" "{outside}:80" outbound|80||{host} {ends} - -\n'
                )


def by_regex(path: Path) -> int:
    """The peer."""
    with path.open() as lines:
        return sum(1 for found in map(PEER.match, lines) if found and found.groups())


def by_egresslog(path: Path) -> int:
    """All columns of all records, as Arrow batches."""
    return sum(len(batch) for batch in egresslog.read(path).batches())


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
        write_log(path, LINES)
        base = None
        for function in (by_regex, by_egresslog):
            seconds, lines, memory = min(measured(function, path) for _ in range(3))
            base = base or seconds
            assert lines == LINES
            text = f"{function.__name__:14} {lines / seconds:10,.0f} lines/s  {memory:5} MiB  {seconds / base:.2f} x the time"
            print(text)  # noqa: T201


if __name__ == "__main__":
    main()
