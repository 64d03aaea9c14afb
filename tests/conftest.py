"""Shared fixtures. Expected values in the tests are written by hand, from formats and from input."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from egresslog.sources.cluster.clock import Clock

from .following import FastClock
from .installed import ROOT, installed, wheel
from .kubeapi.cluster import Cluster
from .kubeapi.server import Server
from .lab_logs import killed_gateway_logs, lab_logs
from .programs import require

__all__ = ["ROOT", "installed", "killed_gateway_logs", "lab_logs", "wheel"]

# No deadline: other work on the machine must not fail a property. The same examples on every run.
settings.register_profile("egresslog", deadline=None, derandomize=True)
settings.load_profile("egresslog")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Looks for the programs that a test ``needs``."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            require(program)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a cluster but its own."""
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def server(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The API server of a test module's ``cluster``, which commands in this process ask."""
    with Server(cluster) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig()))
        yield server


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands wait less between attempts."""
    monkeypatch.setattr(Clock, "wait", FastClock.wait)


@pytest.fixture
def no_hang() -> Iterator[None]:
    """Fails a test that hangs: quadratic work on megabytes would take hours, linear work takes seconds."""

    def hang(*_: object) -> None:
        raise AssertionError("still running after two minutes")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
