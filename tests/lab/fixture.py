"""The pytest fixtures: one run of the lab each for the whole session."""

from __future__ import annotations

import pytest

from .lab import Lab, LabLogs
from .mesh import GATEWAY
from .scenarios import BEFORE_KILL, GATEWAY_KILLED, SCENARIOS


@pytest.fixture(scope="session")
def lab_logs(tmp_path_factory: pytest.TempPathFactory) -> LabLogs:
    """The logs of every scenario, in three formats, written by real Envoys that have ended."""
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        return lab.run_all(SCENARIOS)


@pytest.fixture(scope="session")
def killed_gateway_logs(tmp_path_factory: pytest.TempPathFactory) -> LabLogs:
    """The logs of `BEFORE_KILL` and of `GATEWAY_KILLED`, during which the gateway gets SIGKILL."""
    with Lab(tmp_path_factory.mktemp("killed")) as lab:
        lines = {
            BEFORE_KILL.name: lab.run(BEFORE_KILL),
            GATEWAY_KILLED.name: lab.run(GATEWAY_KILLED, meanwhile=lambda: lab.kill(GATEWAY)),
        }
        return LabLogs(lab.directory, lab.proxies, lines)
