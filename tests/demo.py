"""A small mesh to show things on: the sample logs of a real Envoy behind the test API server (README's sessions).

`python -m tests.demo` serves it until it is interrupted, and prints the kubeconfig to use.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .kubeapi.cluster import Cluster
from .kubeapi.server import Server

_LOGS = Path(__file__).parents[1] / "notebooks" / "logs"
_SECOND = 10**9
_START = 1_795_390_000 * _SECOND  # 2026-11-22T23:26:40Z, after the last of the lines
_STAMP = re.compile(rb"^\d{4}-\S+Z (?=[\[\d])")  # kubectl's, in the samples

GATEWAY = "istio-egressgateway-7d9f8c6b5-abcde"
SLEEP = "sleep-6b8f9d7c4-xyz12"


def mesh() -> Cluster:
    """A gateway of two pods that log in two formats, and a workload with its sidecar."""
    made = Cluster()
    made.clock = lambda: _START - 3600 * _SECOND
    gateways = {
        GATEWAY: ("10.244.2.20", "egressgateway-istio.log"),
        f"{GATEWAY[:-5]}fghij": ("10.244.2.21", "egressgateway-json.log"),
    }
    for name, (ip, log) in gateways.items():
        pod = made.add_pod(name, ip=ip, owner=("Deployment", "istio-egressgateway"))
        _write(pod.log(), log)
    sleep = made.add_pod(
        SLEEP, "default", labels={"app": "sleep"}, containers=("sleep", "istio-proxy"), ip="10.244.1.15",
        owner=("Deployment", "sleep"),
    )  # fmt: skip
    _write(sleep.log("istio-proxy"), "sidecar-istio.log")
    config = {"name": "istio", "namespace": "istio-system"}
    made.add(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": {"mesh": "accessLogFile: /dev/stdout\n"}}
    )
    return made


def _write(log: object, name: str) -> None:
    """The samples' lines, one in ten milliseconds."""
    for place, line in enumerate((_LOGS / name).read_bytes().split(b"\n")[:-1]):
        log.write(_STAMP.sub(b"", line), at=_START + place * _SECOND // 100)  # type: ignore[attr-defined]


@contextmanager
def served() -> Iterator[Path]:
    """The kubeconfig of the mesh, while it is served."""
    with Server(mesh()) as server:
        yield server.kubeconfig()


if __name__ == "__main__":
    with served() as path:
        sys.stdout.write(f"export KUBECONFIG={path}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
