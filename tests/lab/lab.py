"""The lab: outside servers, an egress gateway and a sidecar for each pod, and what they logged."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from . import config
from .access_log import FORMATS, log_path
from .client import Way, send
from .mesh import GATEWAY, GATEWAY_ADDRESS, PODS, Endpoint, Pod, addresses
from .outside import WAIT, Outside
from .proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

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
        self._entries: dict[str, dict[str, int]] = {}
        self._read = {(proxy, fmt): 0 for proxy in self.proxies for fmt in FORMATS}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.outside = outside = stack.enter_context(Outside(self.directory))
            gateway = config.gateway(self.directory, outside.ports, outside.refused, outside.certificate)
            self._entries[GATEWAY] = self._start(stack, GATEWAY, gateway).ready()
            sidecars = {}
            for name, pod in self.pods.items():
                bootstrap = config.sidecar(
                    name,
                    pod,
                    self.directory,
                    outside=outside.ports,
                    gateway=self.gateway_ports,
                    refused=outside.refused,
                )
                sidecars[name] = self._start(stack, name, bootstrap)
            for name, sidecar in sidecars.items():
                self._entries[name] = sidecar.ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def gateway_ports(self) -> dict[int, int]:
        """The gateway's real ports by service port."""
        return {int(name): port for name, port in self._entries[GATEWAY].items()}

    def run(self, scenario: Scenario) -> Lines:
        """Carry out `scenario` and wait for exactly the lines it announces."""
        held = self.outside.held + 1
        send(scenario.send, scenario.host, self._way(scenario), lambda: self.outside.wait_held(held))
        return self._collect(scenario)

    def run_all(self, scenarios: Iterable[Scenario]) -> LabLogs:
        """Carry out `scenarios` one after the other."""
        return LabLogs(self.directory, self.proxies, {one.name: self.run(one) for one in scenarios})

    def _start(self, stack: ExitStack, name: str, bootstrap: config.Json) -> Proxy:
        proxy = Proxy(name, bootstrap, self.directory)
        stack.callback(proxy.stop)
        return proxy

    def _way(self, scenario: Scenario) -> Way:
        if scenario.via == GATEWAY:
            stranger = "127.0.1.99"
            return Way(stranger, Endpoint(GATEWAY_ADDRESS, self.gateway_ports[scenario.port]))
        pod = self.pods[scenario.via].address
        entry = Endpoint(pod, self._entries[scenario.via]["virtualOutbound"])
        wanted = Endpoint(addresses(scenario.host)[0], self.outside.ports[scenario.port])
        return Way(pod, entry, wanted)

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
