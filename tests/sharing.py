"""What is expensive is made once for a test run, whether one process runs the tests or several (pytest-xdist)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def shared_folder(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """The folder ``name`` of this test run, filled by whichever worker needs it first; the others wait for it.

    This is the recipe of pytest-xdist's documentation: workers have a base folder each, in a common one.

    Args:
        factory: pytest's.
        name: one for each thing to share.
        fill: writes into the empty folder it is given. It is moved when all is written, so files must not hold its path.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with FileLock(base / f"{name}.lock"):
        if not folder.exists():
            unfinished = base / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)  # of a worker that failed
            unfinished.mkdir()
            fill(unfinished)
            unfinished.rename(folder)
    return folder
