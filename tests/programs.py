"""Programs that tests run and pip does not install: ``programs.txt`` names them, ``.ci/run`` installs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_LINES = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
#: Program -> the command that installs it.
COMMANDS: dict[str, str] = dict(line.split(maxsplit=1) for line in _LINES if not line.startswith("#"))  # type: ignore[misc]


def require(program: str) -> str:
    """The path of a program of ``COMMANDS``.

    Without it the test is skipped, and the reason is the command that helps. In CI, where ``.ci/run`` should have
    installed it, the test fails. Tests write ``@pytest.mark.needs("curl")``, fixtures call this.
    """
    command = COMMANDS[program]
    if path := shutil.which(program):
        return path
    reason = f"{program} is not installed: {command}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (.ci/run runs that)", pytrace=False)
    pytest.skip(reason)
