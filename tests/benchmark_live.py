"""Lines per second that are followed without loss, against `kubectl logs -f` on the same server in the same run.

The server is a process of its own (`python -m tests.kubeapi`), so on two cores it takes one of them.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import egresslog
from egresslog.records.chunk import Chunk
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.follower import Follower
from egresslog.sources.cluster.pods import gateway_targets

LINES = 1_000_000
_POD = "istio-egressgateway-0"


@contextmanager
def served(pods: int, lines: int, rate: int = 0) -> Iterator[str]:
    """The kubeconfig of a server whose pods have so many lines each, at once or at a rate per second."""
    with tempfile.TemporaryDirectory() as folder:
        config = f"{folder}/config"
        command = [
            sys.executable,
            "-m",
            "tests.kubeapi",
            "--pods",
            str(pods),
            "--lines",
            str(lines),
            "--rate",
            str(rate),
        ]
        with subprocess.Popen([*command, "--kubeconfig", config], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            try:
                yield config
            finally:
                server.terminate()


def by_kubectl(config: str, total: int) -> int:
    """kubectl follows one pod."""
    command = ["kubectl", "--kubeconfig", config, "-n", "istio-system", "logs", "-f", "--timestamps", _POD]
    seen = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        while seen < total:
            seen += process.stdout.read1(1 << 20).count(b"\n")
        process.terminate()
    return seen


def by_follower(config: str, total: int) -> int:
    """egresslog follows all pods; lines are taken and not parsed."""
    follower = Follower(Cluster.connect(kubeconfig=config), gateway_targets(()))
    follower.start()
    seen = 0
    for item in follower.items():
        seen += item.data.count(b"\n") if isinstance(item, Chunk) else 0
        if seen >= total:
            break
    follower.close()
    assert not any(covered.gaps for covered in follower.coverage)
    return seen


def by_follow(config: str, total: int) -> int:
    """egresslog.follow: records."""
    with egresslog.follow(kubeconfig=config) as following:
        for _ in following:
            if following.scan.counts.total >= total:
                break
        assert not any(covered.gaps for covered in following.coverage)
        return following.scan.counts.total


def measured(function: Callable[[str, int], int], config: str, total: int) -> tuple[float, int]:
    """Seconds and peak memory (MiB) of a call in a process of its own."""
    code = f"from tests.benchmark_live import *\nmain_one({function.__name__}, {config!r}, {total})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


def main_one(function: Callable[[str, int], int], config: str, total: int) -> None:
    """Runs one and prints what ``measured`` reads."""
    start = time.perf_counter()
    assert function(config, total) == total
    seconds = time.perf_counter() - start
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)  # noqa: T201


def main() -> None:
    """Prints one row per way of following."""
    base = 0.0
    for pods, functions in ((1, (by_kubectl, by_follower, by_follow)), (10, (by_follower, by_follow))):
        for function in functions:
            if function is by_kubectl and not shutil.which("kubectl"):
                continue
            with served(pods, LINES // pods) as config:
                seconds, memory = measured(function, config, LINES)
            base = base or seconds
            speed = f"{pods:3} pods {LINES:9,} lines {seconds:6.1f} s {LINES / seconds:9,.0f} lines/s {memory:6} MiB"
            print(f"{function.__name__:14} {speed}  {seconds / base:.2f} x the time")  # noqa: T201


if __name__ == "__main__":
    main()
