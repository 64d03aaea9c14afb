"""A small mesh to try commands on: the sample logs of a real Envoy behind the test API server (README and docs/).

`python -m tests.demo` serves it until it is interrupted, and prints the kubeconfig to use.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from .kubeapi.cluster import Cluster
from .kubeapi.exec import ExecRequest, ExecResult
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
    made.clock = lambda: _START - 60 * _SECOND
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
    made.commands.append(lambda asked: _curl(made, asked))
    config = {"name": "istio", "namespace": "istio-system"}
    made.add(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": {"mesh": "accessLogFile: /dev/stdout\n"}}
    )
    return made


def _curl(mesh: Cluster, asked: ExecRequest) -> ExecResult | None:
    """What the workload's curl and the proxies write of a request: only edition.cnn.com is declared in the mesh."""
    if asked.command[0] != "curl":
        return None
    agent = asked.command[asked.command.index("-A") + 1]
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    url = urlsplit(asked.command[-1])
    request = f'[{began}Z] "GET {url.path or "/"} HTTP/1.1"'
    names = f'"{agent}" "0b5a7f11-9c1f-4a9b-8a0a-fca94cae5d4b" "{url.hostname}"'
    sidecar, gateway = mesh.pod("default", SLEEP), mesh.pod("istio-system", GATEWAY)
    ends = "151.101.193.67:80 10.244.1.15:41000"
    if url.hostname == "edition.cnn.com":
        code, details = "301", '301 - via_upstream - "-" 0 0'
        service = "istio-egressgateway.istio-system.svc.cluster.local"
        lines = {
            sidecar: f'5 4 "-" {names} "10.244.2.20:8080" outbound|80|cnn|{service} 10.244.1.15:39900 {ends} - -',
            gateway: f'3 2 "10.244.1.15" {names} "151.101.193.67:80" outbound|80||edition.cnn.com 10.244.2.20:39456'
            " 10.244.2.20:8080 10.244.1.15:39900 - -",
        }
    else:
        code, details = "502", '502 - direct_response - "-" 0 0'
        lines = {sidecar: f'0 - "-" {names} "-" - - {ends} - block_all'}
    for pod, line in lines.items():
        pod.log("istio-proxy").write(f"{request} {details} {line}".encode())
    report = {"http_code": code, "local_ip": "10.244.1.15", "local_port": "41000", "remote_ip": "151.101.193.67",
              "remote_port": "80"}  # fmt: skip
    template = asked.command[asked.command.index("-w") + 1]
    answer = re.sub(r"%\{(\w+)\}", lambda name: report.get(name[1], ""), template).replace("\\n", "\n")
    return ExecResult(stdout=answer.encode())


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
