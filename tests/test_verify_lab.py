"""Verdicts about what real Envoys did: every scenario of the lab, in three formats, as expected.py says by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import pytest

import egresslog
from egresslog import Verification

from .lab import readme
from .lab.access_log import FORMATS
from .lab.expected import AMBIGUOUS, BY_ADDRESS, EVERY_SCENARIO, EXITS, EXPECTED, NO_ADDRESSES, Answer
from .lab.lab import LabLogs
from .lab.mesh import GATEWAY, GATEWAY_ADDRESS, OTHER_ADDRESS, addresses
from .lab.scenarios import BEFORE_KILL, GATEWAY_KILLED, SCENARIOS, Scenario
from .packing import write_log

OUTSIDE = "127.0.3.0/24"
ANSWERS = {0: True, 1: False, 3: None}
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ALL = {scenario.name: scenario for scenario in (*SCENARIOS, BEFORE_KILL, GATEWAY_KILLED)}

ORDINARY = "tls-originated-by-gateway"  # goes through the gateway, to a host of its own: both hops' logs begin with it

Logs = tuple[LabLogs, LabLogs]
Group = tuple[str, ...]


@pytest.fixture(scope="module")
def logs(lab_logs: LabLogs, killed_gateway_logs: LabLogs) -> Logs:
    return lab_logs, killed_gateway_logs


def expected(name: str, fmt: str) -> Answer:
    if fmt == "default":
        return EXPECTED[name].short
    return EXPECTED[name].text or EXPECTED[name].istio if fmt == "istio" else EXPECTED[name].istio


def nameless(name: str) -> bool:
    """Whether a format has lines of the scenario that name no host."""
    return any(expected(name, fmt).beside for fmt in FORMATS)


def grouped(names: Iterable[str], fmt: str) -> list[Group]:
    """Scenarios that one verification can tell apart, so that not each needs one of its own.

    Those of a group go to different hosts, by different addresses. At most one leaves findings about no host: all such
    findings of the group are its own. The answers for the group's hosts are the same, so each is the group's.
    """
    groups: list[list[str]] = []
    for name in names:
        for group in groups:
            if all(_apart(name, other, fmt) for other in group):
                group.append(name)
                break
        else:
            groups.append([name])
    return [tuple(group) for group in groups]


def _apart(one: str, other: str, fmt: str) -> bool:
    ends = [
        {ALL[name].address or ALL[name].host, *addresses(ALL[name].host)} - {OTHER_ADDRESS} for name in (one, other)
    ]
    exits = {EXITS[expected(name, fmt).verdict] for name in (one, other)}
    findings = [bool(expected(name, fmt).beside) for name in (one, other)]
    return ends[0].isdisjoint(ends[1]) and len(exits) == 1 and not all(findings) and ORDINARY not in (one, other)


def files(logs: Logs, group: Group, fmt: str, folder: Path) -> dict[str, Path]:
    """The scenarios' own lines, among those about other hosts.

    The others tell who the gateway is; all of them name their host. One more line of the gateway, in a later year, tells
    that its log goes on.
    """
    lab, killed = logs
    hosts = {ALL[name].host for name in group}
    others = [
        one for one in SCENARIOS if one.host not in hosts and not nameless(one.name) and one.name not in AMBIGUOUS
    ]
    ordinary = ALL[ORDINARY] if group != (ORDINARY,) else ALL["http-200"]
    gateway = [line for one in others for line in lab.lines(one.name, GATEWAY, fmt)]
    sidecar = lab.lines(ordinary.name, "sidecar", fmt)
    for name in group:
        own = killed if ALL[name] in (BEFORE_KILL, GATEWAY_KILLED) else lab
        gateway += own.lines(name, GATEWAY, fmt)
        sidecar = sidecar + [line for pod in own.proxies if pod != GATEWAY for line in own.lines(name, pod, fmt)]
    gateway.append(_STAMP.sub(b"2199-01-01T00:00:00.000Z", lab.lines(ordinary.name, GATEWAY, fmt)[0]))
    return {
        "gateway": write_log(folder / "gateway.log", gateway),
        "sidecars": write_log(folder / "sidecar.log", sidecar),
    }


def verify(logs: Logs, group: Group, hosts: Iterable[str], fmt: str, folder: Path) -> Verification:
    return egresslog.verify(
        hosts,
        **{hop: egresslog.read(path) for hop, path in files(logs, group, fmt, folder).items()},
        gateway_ip=[GATEWAY_ADDRESS] if fmt == "default" else (),
        external=[OUTSIDE],
    )


def host(scenario: Scenario) -> str:
    return scenario.host.partition(":")[0]


@pytest.fixture(scope="module")
def verified(logs: Logs, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Group, str], Verification]:
    """The verification of a group, which the tests of its scenarios share: they come one after the other."""

    @lru_cache(maxsize=1)
    def verified(group: Group, fmt: str) -> Verification:
        return verify(logs, group, [host(ALL[name]) for name in group], fmt, tmp_path_factory.mktemp("group"))

    return verified


def test_every_scenario_has_its_expectation() -> None:
    """None is left out, none is made up."""
    assert set(EXPECTED) == set(ALL)


@pytest.mark.parametrize(
    ("group", "name", "fmt"),
    [
        pytest.param(group, name, fmt, id=f"{name}-{fmt}")
        for fmt in FORMATS
        for group in grouped(EXPECTED, fmt)
        for name in group
    ],
)
def test_verdict_and_findings(
    verified: Callable[[Group, str], Verification], group: Group, name: str, fmt: str
) -> None:
    """The verdict and the codes, about the host and about none, are those of the decision table, and no others."""
    found = verified(group, fmt)
    (about_host,) = [one for one in found if one.host == host(ALL[name])]
    wanted = expected(name, fmt)
    assert (about_host.verdict, {finding.code for finding in about_host.findings}) == (wanted.verdict, wanted.findings)
    others = frozenset[str]().union(*(expected(one, fmt).beside for one in group))
    evidence = NO_ADDRESSES if fmt == "default" else EVERY_SCENARIO
    assert {finding.code for finding in found.findings} == others | evidence
    assert found.answer() == ANSWERS[EXITS[wanted.verdict]]


@pytest.mark.parametrize("name", BY_ADDRESS)
def test_asked_by_address(logs: Logs, name: str, tmp_path: Path) -> None:
    """Connections that no line names are found by the address they went to, or wanted to go to."""
    (about_address,) = verify(logs, (name,), [addresses(ALL[name].host)[0]], "istio", tmp_path)
    assert (about_address.verdict, {finding.code for finding in about_address.findings}) == BY_ADDRESS[name][:2]


def test_readme_is_current() -> None:
    """The table of tests/lab/README.md is that of expected.py: `make docs` writes it."""
    assert readme.PATH.read_text(encoding="utf-8") == readme.document()
