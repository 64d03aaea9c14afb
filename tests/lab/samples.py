"""Make the shipped sample logs: `python -m tests.lab.samples OUTDIR` from the repository's root."""

from __future__ import annotations

import gzip
import random
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lines import ARTICLE

from .exchanges import Echo, Exchange, Http, Request
from .lab import Lab
from .mesh import GATEWAY, GATEWAY_ADDRESS, HTTP, PODS, REFUSED_ADDRESS, TCP, TLS, Pod
from .scenarios import CNN, WIKIPEDIA, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIDECAR = "sidecar"
SAMPLE_PODS = PODS | {"batch": Pod("127.0.1.13")}

REALISTIC = {
    "127.0.1.11": "10.244.1.15",
    "127.0.1.12": "10.244.1.16",
    "127.0.1.13": "10.244.1.17",
    GATEWAY_ADDRESS: "10.244.2.20",
    "127.0.3.80": "151.101.193.67",
    "127.0.3.81": "151.101.65.67",
    "127.0.3.82": "198.51.100.82",
    "127.0.3.83": "198.51.100.83",
    "127.0.3.84": "198.51.100.84",
    "127.0.3.90": "203.0.113.90",
    "127.0.3.100": "192.0.2.100",
    "127.0.3.101": "192.0.2.101",
    "127.0.3.102": "192.0.2.102",
    REFUSED_ADDRESS: "192.0.2.199",
}
"""The lab's addresses and those the samples show instead."""

TARGET_PORTS = {HTTP: 8080, TLS: 8443, TCP: 1521}
"""The ports of the gateway's pod in the samples."""

AGENTS = (
    b"curl/8.10.1",
    b"python-requests/2.32.3",
    b"Go-http-client/1.1",
    b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
)

TURNS = ("istio", "istio", "json", "default")
"""Which format's file an event goes to: each is in one, as if replicas logged differently."""

OWN_MESSAGES = (
    'info\tFLAG: --concurrency="0"',
    "info\txdsproxy\tconnecting to upstream XDS server: istiod-latest.istio-system.svc:15012",
    "info\tReadiness succeeded in 914.286436ms",
    "info\tEnvoy proxy is ready",
)
"""Messages of Istio's agent, which the lab does not have; from published logs."""


@dataclass(frozen=True)
class Visit:
    """`times` visits of pods `by` to a host, cycling through `paths` (path: what the server answers)."""

    host: str
    times: int
    paths: dict[str, str]
    port: int = HTTP
    by: tuple[str, ...] = (SIDECAR, SIDECAR, "batch", "strict")
    through_gateway: bool = True


VISITS = (
    Visit(
        CNN,
        15,
        {
            "/politics": "status=301 ms=2",
            "/": "bytes=31200 ms=24",
            "/health": "bytes=8841 ms=11",
            "/search?q=istio&size=10": "bytes=1960 ms=48",
        },
    ),
    Visit(CNN, 2, {"/": "bytes=52000 ms=30"}, TLS),
    Visit(
        WIKIPEDIA,
        9,
        {
            "/wiki/Envoy": "bytes=18230 ms=9",
            "/wiki/Nothing": "status=404 bytes=310 ms=6",
            "/w/api.php?action=query&titles=Egress|Ingress": "bytes=740 ms=37",
        },
    ),
    Visit(WIKIPEDIA, 3, {"/": "bytes=24010 ms=15"}, TLS),
    Visit(
        "api.github.com",
        7,
        {
            "/repos/istio/istio/releases": "bytes=9400 ms=95",
            "/rate_limit": "bytes=512 ms=18",
            "/user": "status=401 bytes=98 ms=14",
        },
    ),
    Visit("pypi.org", 8, {"/simple/pyarrow/": "bytes=41000 ms=20", "/simple/rich/": "bytes=9000 ms=8"}, TLS),
    Visit("pypi.org", 2, {"/simple/": "status=301 ms=4"}),
    Visit("my.oracle.instance.com", 4, {"select sysdate from dual": ""}, TCP, ("batch",)),
    Visit(WIKIPEDIA, 1, {"/w/index.php": "status=500 bytes=120 ms=60"}),
    Visit("refused.example.com", 2, {"/": ""}),
    Visit("unknown.example.com", 1, {"/": ""}),
    Visit("unknown.example.com", 1, {"/": ""}, TLS),
    Visit("slow.example.com", 1, {"/report": "act=hold"}),
    Visit("direct.example.com", 2, {"/status": "bytes=64 ms=5"}, HTTP, (SIDECAR,), False),
    Visit("unlisted.example.com", 2, {"/collect": "bytes=20 ms=7"}, HTTP, (SIDECAR,), False),
    Visit("unlisted.example.com", 1, {"/": "bytes=3000 ms=7"}, TLS, (SIDECAR,), False),
)


def scenarios() -> list[Scenario]:
    """All visits, in a random order that is always the same."""
    found = [scenario for visit in VISITS for scenario in _scenarios(visit)]
    random.Random(2018).shuffle(found)
    return found


def write_samples(directory: Path) -> None:
    """Run the lab and write the sample files into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as logs, Lab(Path(logs), SAMPLE_PODS) as lab:
        sidecar = [_own_message(message) for message in OWN_MESSAGES]
        gateway: dict[str, list[bytes]] = {"istio": [], "json": [], "default": []}
        for number, scenario in enumerate(scenarios()):
            lines = lab.run(scenario)
            sidecar += [_stamp().encode() + b" " + line + b"\n" for line in lines[SIDECAR, "istio"]]
            fmt = TURNS[number % len(TURNS)]
            gateway[fmt] += [line + b"\n" for line in lines[GATEWAY, fmt]]
        rename = renamer(lab)
    found = {fmt: rename(b"".join(part)) for fmt, part in gateway.items()}
    (directory / "egressgateway-istio.log").write_bytes(found["istio"])
    (directory / "egressgateway-json.log").write_bytes(found["json"])
    (directory / "egressgateway-default.log.gz").write_bytes(gzip.compress(found["default"], mtime=0))
    (directory / "sidecar-istio.log").write_bytes(rename(b"".join(sidecar)))
    (directory / "egressgateway-2018.log").write_text(f"{ARTICLE}\n")


def renamer(lab: Lab) -> Callable[[bytes], bytes]:
    """A 1:1 substitution: `REALISTIC` addresses, and the service's port for each port the lab chose."""
    ports = {f"{address}:{real}": service for address in REALISTIC for service, real in lab.outside.ports.items()}
    ports |= {f"{GATEWAY_ADDRESS}:{real}": TARGET_PORTS[gate.port] for gate, real in lab.gateway_ports.items()}
    ports[f"{REFUSED_ADDRESS}:{lab.outside.refused.port}"] = HTTP
    taken: dict[str, str] = {}

    def replace(match: re.Match[bytes]) -> bytes:
        old = match[0].decode()
        address, colon, port = old.partition(":")
        new = f"{REALISTIC[address]}{colon}{ports.get(old, port)}"
        if taken.setdefault(new, old) != old:
            raise ValueError(f"{new} would stand for {taken[new]} and for {old}")
        return new.encode()

    return lambda text: re.sub(rb"\b127\.0\.\d+\.\d+(:\d+)?\b", replace, text)


def _scenarios(visit: Visit) -> Iterator[Scenario]:
    paths = list(visit.paths.items())
    for number in range(visit.times):
        path, answer = paths[number % len(paths)]
        via = visit.by[number % len(visit.by)]
        request = Request(path, agent=AGENTS[number % len(AGENTS)], answer=answer)
        send: Exchange = Http((request,), sni=visit.host if visit.port == TLS else "")
        if visit.port == TCP:
            send = Echo(path.encode() * (number + 1))
        rows = {via: 1, GATEWAY: 1} if visit.through_gateway else {via: 1}
        yield Scenario(f"{visit.host}-{number}", visit.host, send, visit.port, via, rows)


def _stamp() -> str:
    """Now, as the kubelet writes it."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09}Z"


def _own_message(message: str) -> bytes:
    """A line of Istio's agent, which counts in microseconds, behind the kubelet's stamp."""
    own_time = _stamp()[:-4] + "Z"
    return f"{_stamp()} {own_time}\t{message}\n".encode()


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]))
