"""The pytest fixture: one run of all scenarios for the whole session."""

from __future__ import annotations

import pytest

from .lab import Lab, LabLogs
from .scenarios import SCENARIOS


@pytest.fixture(scope="session")
def lab_logs(tmp_path_factory: pytest.TempPathFactory) -> LabLogs:
    """The logs of every scenario, in three formats, written by real Envoys that have ended."""
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        return lab.run_all(SCENARIOS)
