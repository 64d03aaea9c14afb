"""Commands in containers: what is asked, and what a test's table answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExecRequest:
    """A command to run."""

    namespace: str
    pod: str
    container: str
    command: list[str]


@dataclass(frozen=True)
class ExecResult:
    """What came of it; `error` if it could not be started at all."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0
    error: str = ""
