"""The command line, run in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from egresslog.cli.app import app

COMMAND = [sys.executable, "-m", "egresslog"]


def invoke(*arguments: str, data: bytes | str | None = None) -> Result:
    """``egresslog ARGUMENTS`` in this process, on a terminal of 80 columns; ``data`` is its standard input.

    What no user should ever see, an exception other than an exit, fails the test.
    """
    result = CliRunner().invoke(app, list(arguments), input=data, terminal_width=80)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def python(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Standard output of ``python ARGUMENTS`` in a process of its own; it must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
