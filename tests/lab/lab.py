"""The lab: outside servers, an egress gateway and a sidecar for each pod, and what they logged."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from . import config
from .access_log import FORMATS, log_path
from .certificates import make_certificates
from .client import Way
from .dns import NameServer
from .exchanges import Talk
from .mesh import GATES, GATEWAY, GATEWAY_ADDRESS, PODS, UNCAPTURED, Endpoint, Gate, Pod, addresses
from .outside import WAIT, Outside
from .proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from .blocks import Json
    from .scenarios import Scenario

Lines = dict[tuple[str, str], list[bytes]]
"""Access-log lines, without their newline, by proxy and format."""


@dataclass(frozen=True)
class LabLogs:
    """The logs of a finished run: whole files, and the lines of each scenario."""

    directory: Path
    proxies: tuple[str, ...]
    scenarios: Mapping[str, Lines]

    def path(self, proxy: str, fmt: str) -> Path:
        """The file `proxy` wrote in the format `fmt` (one of `FORMATS`)."""
        return log_path(self.directory, proxy, fmt)

    def lines(self, scenario: str, proxy: str, fmt: str) -> list[bytes]:
        """The lines `proxy` wrote about `scenario`."""
        return self.scenarios[scenario][proxy, fmt]


class Lab:
    """Context manager; `run` carries out one scenario and returns the lines it left."""

    def __init__(self, directory: Path, pods: Mapping[str, Pod] = PODS) -> None:
        self.directory = directory
        self.pods = pods
        self.proxies = (GATEWAY, *pods)
        self.outside: Outside
        self.gateway_ports: dict[Gate, int] = {}
        self._running: dict[str, Proxy] = {}
        self._entries: dict[str, dict[str, int]] = {}
        self._read = {(proxy, fmt): 0 for proxy in self.proxies for fmt in FORMATS}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            certificates = make_certificates(self.directory)
            self.outside = outside = stack.enter_context(Outside(certificates.outside))
            names = stack.enter_context(NameServer())
            self.gateway_ports = _reserve(stack)
            world = config.World(
                self.directory, certificates, outside.ports, self.gateway_ports, outside.refused, names.endpoint
            )
            bootstraps = {GATEWAY: config.gateway(world)}
            bootstraps |= {name: config.sidecar(name, pod, world) for name, pod in self.pods.items()}
            self._running = {name: self._start(stack, name, made) for name, made in bootstraps.items()}
            self._entries = {name: proxy.ready() for name, proxy in self._running.items()}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, scenario: Scenario, meanwhile: Callable[[], None] = lambda: None) -> Lines:
        """Carry out `scenario` and wait for exactly the lines it announces; `Cut` calls `meanwhile`.

        How the proxies end the connection is theirs to decide.
        """
        seen = self.outside.seen
        connect = self._way(scenario).connect
        with connect() as connection, suppress(ConnectionError, ssl.SSLError):
            scenario.send.carry_out(
                Talk(
                    connection,
                    scenario.host,
                    connect,
                    wait=lambda event: self.outside.wait(event, seen[event] + 1),
                    meanwhile=meanwhile,
                )
            )
        return self._collect(scenario)

    def kill(self, name: str) -> None:
        """SIGKILL for one proxy."""
        self._running[name].kill()

    def run_all(self, scenarios: Iterable[Scenario]) -> LabLogs:
        """Carry out `scenarios` one after the other."""
        return LabLogs(self.directory, self.proxies, {one.name: self.run(one) for one in scenarios})

    def _start(self, stack: ExitStack, name: str, bootstrap: Json) -> Proxy:
        proxy = Proxy(name, bootstrap, self.directory)
        stack.callback(proxy.stop)
        return proxy

    def _way(self, scenario: Scenario) -> Way:
        stranger = "127.0.1.99"
        if scenario.via == GATEWAY:
            return Way(stranger, Endpoint(GATEWAY_ADDRESS, self.gateway_ports[Gate(scenario.port)]))
        address = scenario.address or addresses(scenario.host)[0]
        wanted = Endpoint(address, self.outside.ports[scenario.port])
        if scenario.via == UNCAPTURED:
            return Way(stranger, wanted)
        pod = self.pods[scenario.via].address
        return Way(pod, Endpoint(pod, self._entries[scenario.via]["virtualOutbound"]), wanted)

    def _collect(self, scenario: Scenario) -> Lines:
        deadline = time.monotonic() + WAIT
        while True:
            lines = {key: self._unread(key) for key in self._read}
            missing = [key for key, found in lines.items() if len(found) < scenario.rows.get(key[0], 0)]
            if not missing or time.monotonic() > deadline:
                break
            time.sleep(0.005)
        for key, found in lines.items():
            if len(found) != scenario.rows.get(key[0], 0):
                raise AssertionError(f"{scenario.name}: {key} has {len(found)} lines: {found}")
            self._read[key] += sum(len(line) + 1 for line in found)
        return lines

    def _unread(self, key: tuple[str, str]) -> list[bytes]:
        with log_path(self.directory, *key).open("rb") as log:
            log.seek(self._read[key])
            return log.read().split(b"\n")[:-1]


def _reserve(stack: ExitStack) -> dict[Gate, int]:
    """Free ports for the gateway's listeners, kept by sockets that do not listen: Envoy reuses the port."""
    ports = {}
    for gate in GATES:
        kept = stack.enter_context(socket.socket())
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind((GATEWAY_ADDRESS, 0))
        ports[gate] = kept.getsockname()[1]
    return ports
