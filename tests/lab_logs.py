"""The pytest fixtures: one run of the lab each for a whole test run, whatever the number of its processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .lab.lab import Lab, LabLogs
from .lab.mesh import GATEWAY
from .lab.scenarios import BEFORE_KILL, GATEWAY_KILLED, SCENARIOS
from .programs import require
from .sharing import shared_folder

_PICKLE = "logs.pickle"


@pytest.fixture(scope="session")
def lab_logs(tmp_path_factory: pytest.TempPathFactory) -> LabLogs:
    """The logs of every scenario, in three formats, written by real Envoys that have ended."""
    return _shared(tmp_path_factory, "lab", lambda lab: lab.run_all(SCENARIOS))


@pytest.fixture(scope="session")
def killed_gateway_logs(tmp_path_factory: pytest.TempPathFactory) -> LabLogs:
    """The logs of `BEFORE_KILL` and of `GATEWAY_KILLED`, during which the gateway gets SIGKILL."""
    return _shared(tmp_path_factory, "killed", _kill_the_gateway)


def _kill_the_gateway(lab: Lab) -> LabLogs:
    lines = {
        BEFORE_KILL.name: lab.run(BEFORE_KILL),
        GATEWAY_KILLED.name: lab.run(GATEWAY_KILLED, meanwhile=lambda: lab.kill(GATEWAY)),
    }
    return LabLogs(lab.directory, lab.proxies, lines)


def _shared(factory: pytest.TempPathFactory, name: str, run: Callable[[Lab], LabLogs]) -> LabLogs:
    def fill(folder: Path) -> None:
        require("openssl")  # makes the lab's certificates
        with Lab(folder) as lab:
            logs = run(lab)
        (folder / _PICKLE).write_bytes(pickle.dumps(logs))

    folder = shared_folder(factory, name, fill)
    logs: LabLogs = pickle.loads((folder / _PICKLE).read_bytes())
    return replace(logs, directory=folder)
