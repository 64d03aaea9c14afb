"""Credential plugins of kubeconfigs, within limits of time and size.

The official client waits for them, and reads them. It starts them with ``subprocess.Popen`` and calls
``communicate`` (kubernetes 37.0.2, ``config/exec_provider.py`` and ``config/kube_config.py``), without a limit.
"""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import IO, Any

SECONDS = 60.0  # for a plugin to end, also for one that opens a browser to log in
SIZE = 1024 * 1024  # characters of its output; a token has some thousand
_BLOCK = 64 * 1024  # characters


class PluginError(Exception):
    """A plugin does not end, or its output does not."""


class _Reader(threading.Thread):
    """Reads one stream to its end, or to the limit."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(name="egresslog-plugin", daemon=True)
        self.text = ""
        self._stream = stream
        self.start()

    def run(self) -> None:
        """Reads."""
        parts: list[str] = []
        size = 0
        with suppress(OSError, ValueError), self._stream:  # ValueError: it is no text
            while size <= SIZE and (part := self._stream.read(_BLOCK)):
                parts.append(part)
                size += len(part)
        self.text = "".join(parts)


class _Plugin(subprocess.Popen[str]):
    """A process that is ended when it is over its limits."""

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002
        """What it wrote to standard output and standard error, where those are pipes.

        Raises:
            PluginError: it was ended.
        """
        del input, timeout
        until = time.monotonic() + SECONDS
        readers = [None if stream is None else _Reader(stream) for stream in (self.stdout, self.stderr)]
        try:
            for reader in filter(None, readers):
                self._await(reader, until)
            self.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._end()
            raise PluginError(f"exec: {self._program} did not end within {SECONDS:g} s") from None
        except BaseException:  # Ctrl-C, or PluginError
            self._end()
            raise
        stdout, stderr = (None if reader is None else reader.text for reader in readers)
        return stdout, stderr

    def _await(self, reader: _Reader, until: float) -> None:
        reader.join(max(0.0, until - time.monotonic()))
        if len(reader.text) > SIZE:
            raise PluginError(f"exec: the output of {self._program} is longer than {SIZE} characters")
        if reader.is_alive():
            raise subprocess.TimeoutExpired(self.args, SECONDS)

    def _end(self) -> None:
        self.kill()
        self.wait()

    @property
    def _program(self) -> str:
        words = self.args if isinstance(self.args, list | tuple) else [self.args]
        return str(words[0])


def limit_plugins() -> None:
    """Makes the official client start plugins as ``_Plugin``; it has no other place for that."""
    from kubernetes.config import exec_provider, kube_config  # noqa: PLC0415

    for module in (exec_provider, kube_config):
        vars(module)["subprocess"] = SimpleNamespace(Popen=_Plugin, PIPE=subprocess.PIPE)
