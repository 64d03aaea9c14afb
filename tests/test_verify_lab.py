"""Verdicts about what real Envoys did: every scenario of the lab, in three formats, as expected.py says by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import egresslog

from .lab.access_log import FORMATS
from .lab.expected import BY_ADDRESS, EXITS, EXPECTED, Answer
from .lab.lab import LabLogs
from .lab.mesh import GATEWAY, GATEWAY_ADDRESS, addresses
from .lab.scenarios import BEFORE_KILL, GATEWAY_KILLED, SCENARIOS, Scenario

OUTSIDE = "127.0.3.0/24"
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ALL = {one.name: one for one in (*SCENARIOS, BEFORE_KILL, GATEWAY_KILLED)}


@pytest.fixture
def logs(lab_logs: LabLogs, killed_gateway_logs: LabLogs) -> tuple[LabLogs, LabLogs]:
    return lab_logs, killed_gateway_logs


def files(logs: tuple[LabLogs, LabLogs], scenario: Scenario, fmt: str, folder: Path) -> tuple[Path, Path]:
    """The scenario's own lines, among those about other hosts.

    The others tell who the gateway is. One more line of the gateway, a minute later, tells that its log goes on.
    """
    lab, killed = logs
    own = killed if scenario in (BEFORE_KILL, GATEWAY_KILLED) else lab
    gateway = [line for one in SCENARIOS if one.host != scenario.host for line in lab.lines(one.name, GATEWAY, fmt)]
    other = "http-200" if scenario.host != "edition.cnn.com" else "http-plain-hop"
    gateway += own.lines(scenario.name, GATEWAY, fmt)
    gateway.append(_STAMP.sub(b"2199-01-01T00:00:00.000Z", lab.lines(other, GATEWAY, fmt)[0]))
    sidecar = lab.lines(other, "sidecar", fmt)
    sidecar = sidecar + [line for pod in own.proxies if pod != GATEWAY for line in own.lines(scenario.name, pod, fmt)]
    paths = folder / "gateway.log", folder / "sidecar.log"
    for path, lines in zip(paths, (gateway, sidecar), strict=True):
        path.write_bytes(b"".join(line + b"\n" for line in lines))
    return paths


def wanted(name: str, fmt: str) -> Answer:
    expected = EXPECTED[name]
    if fmt == "default":
        return expected.short
    return expected.text or expected.istio if fmt == "istio" else expected.istio


def test_every_scenario_has_its_expectation() -> None:
    """None is left out, none is made up."""
    assert set(EXPECTED) == set(ALL)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", ALL)
def test_verdict_and_findings(logs: tuple[LabLogs, LabLogs], name: str, fmt: str, tmp_path: Path) -> None:
    """The verdict and the codes, about the host and beside it, are those of the decision table."""
    gateway, sidecar = files(logs, ALL[name], fmt, tmp_path)
    found = egresslog.verify(
        ALL[name].host.partition(":")[0],
        gateway=egresslog.read(gateway),
        sidecars=egresslog.read(sidecar),
        gateway_ip=[GATEWAY_ADDRESS] if fmt == "default" else (),
        external=[OUTSIDE],
    )
    (one,) = found
    beside = {finding.code for finding in found.findings}
    codes = {finding.code for finding in one.findings}
    assert (one.verdict, codes) == wanted(name, fmt)[:2]
    assert wanted(name, fmt).beside <= beside
    assert found.answer() == {0: True, 1: False, 3: None}[EXITS[one.verdict]]


@pytest.mark.parametrize("name", BY_ADDRESS)
def test_asked_by_address(logs: tuple[LabLogs, LabLogs], name: str, tmp_path: Path) -> None:
    """Connections that no line names are found by the address they went to, or wanted to go to."""
    gateway, sidecar = files(logs, ALL[name], "istio", tmp_path)
    found = egresslog.verify(
        addresses(ALL[name].host)[0],
        gateway=egresslog.read(gateway),
        sidecars=egresslog.read(sidecar),
        external=[OUTSIDE],
    )
    (one,) = found
    assert (one.verdict, {finding.code for finding in one.findings}) == BY_ADDRESS[name][:2]
