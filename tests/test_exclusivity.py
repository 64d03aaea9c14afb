"""Exclusivity: what a PROVEN verdict says, and does not say, about traffic that bypassed the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import Configuration

import egresslog
from egresslog import HostVerdict, Verification
from egresslog.sources.cluster.kubeconfig import unauthenticated_server
from egresslog.verification.exclusivity import ExclusivityState

from .following import SECOND
from .kubeapi.cluster import Cluster
from .kubeapi.server import Server
from .lines import AGENT, GATEWAY_SERVICE, from_gateway, line, past, to_gateway
from .packing import write_log
from .running import invoke

CONFIRMED, PARTIAL, NOT_CHECKED = ExclusivityState
SECOND_POD, THIRD_POD = "10.244.1.16", "10.244.1.17"
HOST = "edition.cnn.com"


def verify(folder: Path, gateway: Iterable[str], *sidecars: Iterable[str]) -> Verification:
    """The verdict on HOST, from a log of the gateway and of each sidecar."""
    paths = [write_log(folder / f"sidecar-{number}.log", lines) for number, lines in enumerate(sidecars)]
    return egresslog.verify(
        HOST,
        gateway=egresslog.read(write_log(folder / "gateway.log", gateway)),
        sidecars=egresslog.read(paths) if paths else None,
    )


def only(verification: Verification) -> HostVerdict:
    (host,) = verification
    assert host.verdict == "PROVEN"
    return host


def three_senders() -> list[str]:
    return [
        from_gateway(0, 40000), from_gateway(1, 40001, pod=SECOND_POD), from_gateway(2, 40002, pod=THIRD_POD),
    ]  # fmt: skip


def test_confirmed(tmp_path: Path) -> None:
    """Every sender's sidecar log is there, and nothing is left over."""
    found = verify(
        tmp_path, three_senders(),
        [to_gateway(0, 40000), to_gateway(1, 40001, pod=SECOND_POD)], [to_gateway(2, 40002, pod=THIRD_POD)],
    )  # fmt: skip
    assert only(found).exclusivity == (CONFIRMED, 3, 3, (), ())
    assert found.answer(exclusive=True) is True


@pytest.mark.parametrize("sidecars", [[], [[AGENT]], [["127.0.0.1 - - nginx"]]], ids=["none", "agent", "nginx"])
def test_not_checked(tmp_path: Path, sidecars: list[list[str]]) -> None:
    """Without a usable sidecar line: the gateway's log alone, a wrong file, a sidecar that logs nothing."""
    found = verify(tmp_path, three_senders(), *sidecars)
    assert only(found).exclusivity.state is NOT_CHECKED
    assert only(found).exclusivity.read == 0
    assert only(found).exclusivity.senders >= 3
    assert "EGL194" in only(found).exclusivity.reasons
    assert found.answer(exclusive=True) is None


def test_one_of_three_senders(tmp_path: Path) -> None:
    """The others are named, by the address that the gateway saw."""
    found = verify(tmp_path, three_senders(), [to_gateway(0, 40000)])
    assert only(found).exclusivity == (PARTIAL, 1, 3, (SECOND_POD, THIRD_POD), ("EGL106",))
    assert (found.answer(), found.answer(exclusive=True)) == (True, None)


def test_a_sidecar_log_that_begins_too_late(tmp_path: Path) -> None:
    """The gateway has a line of the sender that the sender's own log lacks."""
    found = verify(
        tmp_path, [from_gateway(0, 40000), from_gateway(60, 40001), from_gateway(61, 1, host="x.example.com")],
        [to_gateway(60, 40001), to_gateway(61, 1, host="x.example.com")],
    )  # fmt: skip
    assert only(found).exclusivity == (PARTIAL, 0, 1, ("10.244.1.15",), ("EGL106",))


def test_one_sidecar_log_of_two_without_access_lines(tmp_path: Path) -> None:
    """It is judged per log, not by the sum; the log is named, and there is a warning."""
    found = verify(tmp_path, [from_gateway()], [to_gateway()], [AGENT])
    empty = str(tmp_path / "sidecar-1.log")
    assert only(found).exclusivity == (PARTIAL, 1, 2, (empty,), ("EGL107",))
    assert [(finding.code, finding.level) for finding in found.findings] == [("EGL107", "warning")]


def test_a_log_given_twice_is_no_other_sender(tmp_path: Path) -> None:
    """A copy of the gateway's log has no lines of its own."""
    lines = [from_gateway(0, 40000), from_gateway(1, 40001)]
    found = verify(tmp_path, [*lines, *lines], [to_gateway(0, 40000), to_gateway(1, 40001)])
    assert only(found).exclusivity.state is CONFIRMED


# What is left over beside a proof: the sidecar's lines, and the code.
LEFT = {
    "a nameless bypass to another address": ([past(2, to="203.0.113.7:443")], "EGL118"),
    "an alias at the host's address": ([past(2, cluster="outbound|443||alias.example.com")], "EGL199"),
    "another gateway": (
        [to_gateway(2, 40009, upstream="10.9.9.9:8443", cluster="outbound|443||egress-b.other.svc.cluster.local")],
        "EGL197",
    ),
    "an unconfirmed connection": ([to_gateway(0.5, 40009)], "EGL183"),
    "an unreadable line": (["[2026-11-01T12:00:02.000Z] broken"], "EGL191"),
}


@pytest.mark.parametrize("what", LEFT)
def test_left_over(tmp_path: Path, what: str) -> None:
    """PROVEN all the same, and never confirmed."""
    lines, code = LEFT[what]
    gateway = [from_gateway(), line(60, upstream="151.101.1.67:443", cluster=f"outbound|443||{HOST}",
               upstream_local="10.244.2.20:60001", downstream_local="10.244.2.20:8443", downstream_remote="10.244.1.15:40008", sni=HOST)]  # fmt: skip
    found = verify(tmp_path, gateway, [to_gateway(), to_gateway(60, 40008), *lines])
    assert only(found).exclusivity.state is PARTIAL
    assert code in only(found).exclusivity.reasons
    assert (found.answer(exclusive=True), GATEWAY_SERVICE in found.services) == (None, True)


def test_a_bypass_is_an_answer(tmp_path: Path) -> None:
    """With --exclusive as without."""
    found = verify(tmp_path, [from_gateway()], [to_gateway(), past(2, sni=HOST)])
    assert (found[0].verdict, found[0].exclusivity.state) == ("BYPASSED", PARTIAL)
    assert found[0].exclusivity.reasons == ("EGL116",)
    assert found.answer(exclusive=True) is False


def test_command_line(tmp_path: Path) -> None:
    """The line under the verdict, the keys in JSON, and the exit codes."""
    gateway = str(write_log(tmp_path / "g.log", three_senders()))
    sidecar = str(write_log(tmp_path / "s.log", [to_gateway(0, 40000)]))
    logs = ["verify", HOST, "--gateway", gateway, "--sidecar", sidecar]
    assert invoke(*logs).exit_code == 0
    assert invoke(*logs, "--exclusive").exit_code == 3
    assert invoke(*logs, "-o", "table").stdout.splitlines()[1] == (
        f"  Bypass checked for 1 of 3 senders; not for {SECOND_POD}, {THIRD_POD} (EGL106)."
    )
    (host,) = json.loads(invoke(*logs, "-o", "json").stdout)["hosts"]
    assert host["exclusivity"] == {
        "state": "PARTIAL", "read": 1, "senders": 3, "missing": [SECOND_POD, THIRD_POD], "reasons": ["EGL106"],
    }  # fmt: skip
    alone = invoke("verify", HOST, "--gateway", gateway, "-o", "table")
    assert (alone.exit_code, alone.stdout.splitlines()[1]) == (0, "  Bypass not checked: no sidecar log was read.")


# In a cluster --------------------------------------------------------------------------------------------------------

GATEWAY_POD, SLEEP = "istio-egressgateway-7d9f-abcde", "sleep-6b8f9-xyz12"
NOON = 1_793_534_400 * SECOND  # 2026-11-01T12:00:00Z, as in the lines
HOUR = 3600 * SECOND


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.clock = lambda: NOON - 60 * SECOND
    cluster.add_pod(GATEWAY_POD, ip="10.244.2.20")
    cluster.add_pod(SLEEP, "default", labels={"app": "sleep"}, containers=("sleep", "istio-proxy"), ip="10.244.1.15")
    cluster.pod("istio-system", GATEWAY_POD).log("istio-proxy").write(from_gateway().encode(), at=NOON)
    cluster.pod("default", SLEEP).log("istio-proxy").write(to_gateway().encode(), at=NOON)
    return cluster


def asked(*options: str) -> tuple[int, dict[str, object], list[str]]:
    """Exit code, the host's exclusivity, and the codes of the other findings."""
    result = invoke("verify", HOST, *options, "-o", "json")
    document = json.loads(result.stdout)
    return result.exit_code, document["hosts"][0]["exclusivity"], [finding["code"] for finding in document["findings"]]


def test_every_sidecar_of_a_cluster(server: Server) -> None:
    """--from-all asks the whole question; pods are named as pods."""
    code, exclusivity, findings = asked("--from-all")
    assert (code, findings) == (0, [])
    assert exclusivity == {"state": "CONFIRMED", "read": 1, "senders": 1, "missing": [], "reasons": []}


CAPTURE = "traffic.sidecar.istio.io"
WITH_SIDECAR = ("app", "istio-proxy")
UNCAPTURED: dict[str, dict[str, Any]] = {
    "no sidecar": {"containers": ("app",)},
    "host network": {"containers": WITH_SIDECAR, "host_network": True},
    "excluded port": {"containers": WITH_SIDECAR, "annotations": {f"{CAPTURE}/excludeOutboundPorts": "443"}},
    "excluded range": {"containers": WITH_SIDECAR, "annotations": {f"{CAPTURE}/excludeOutboundIPRanges": "0.0.0.0/0"}},
    "included ranges": {
        "containers": WITH_SIDECAR,
        "annotations": {f"{CAPTURE}/includeOutboundIPRanges": "10.0.0.0/8"},
    },
}


@pytest.mark.parametrize("what", UNCAPTURED)
def test_pods_whose_traffic_leaves_no_line(server: Server, cluster: Cluster, what: str) -> None:
    """While there is one in scope, nothing is confirmed; it is listed."""
    cluster.add_pod("other", "apps", labels={"app": "other"}, ip=SECOND_POD, **UNCAPTURED[what])
    if UNCAPTURED[what]["containers"] is WITH_SIDECAR:
        other = to_gateway(1, 5, pod=SECOND_POD, sni="x.org")
        cluster.pod("apps", "other").log("istio-proxy").write(other.encode(), at=NOON)
    code, exclusivity, findings = asked("--from-all")
    assert code == 3
    assert exclusivity["state"] == "PARTIAL"
    assert "EGL109" in exclusivity["reasons"]
    assert "EGL109" in findings
    assert "apps/other" in invoke("verify", HOST, "--from-all", "-o", "table").stderr


def test_a_pod_that_logs_nothing(server: Server, cluster: Cluster) -> None:
    """Its access log is off: a bypass of its would not be seen."""
    cluster.add_pod("quiet", "apps", labels={}, containers=("app", "istio-proxy"), ip=SECOND_POD)
    cluster.pod("apps", "quiet").log("istio-proxy").write(AGENT.encode(), at=NOON)
    code, exclusivity, findings = asked("--from-all")
    assert (code, findings) == (3, ["EGL107"])
    assert exclusivity == {
        "state": "PARTIAL", "read": 1, "senders": 2, "missing": ["apps/quiet"], "reasons": ["EGL107"],
    }  # fmt: skip


def test_a_log_that_was_rotated(server: Server, cluster: Cluster) -> None:
    """The container started hours before its log begins, and the gateway's log goes further back."""
    cluster.clock = lambda: NOON - 3 * HOUR
    cluster.add_pod("old", "apps", labels={}, containers=("app", "istio-proxy"), ip=SECOND_POD)
    cluster.clock = lambda: NOON + 3000 * SECOND
    late = to_gateway(3000, 41007, pod=SECOND_POD, host="later.example.com")
    cluster.pod("apps", "old").log("istio-proxy").write(late.encode(), at=NOON + 3000 * SECOND)
    answer = from_gateway(3000, 41007, pod=SECOND_POD, host="later.example.com")
    cluster.pod("istio-system", GATEWAY_POD).log("istio-proxy").write(answer.encode(), at=NOON + 3000 * SECOND)
    code, exclusivity, findings = asked("--from-all")
    assert (code, findings) == (3, ["EGL108"])
    assert exclusivity["missing"] == ["apps/old"]


def test_a_server_that_proves_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who skips TLS verification reads lines of anybody: in every answer, and never CONFIRMED."""
    config = json.loads(server.kubeconfig().read_text())
    config["clusters"][0]["cluster"] = {"server": server.url, "insecure-skip-tls-verify": True}
    path = server.directory / "insecure"
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    code, exclusivity, findings = asked("--from-all")
    assert (code, findings) == (3, ["EGL176"])
    assert exclusivity == {"state": "PARTIAL", "read": 1, "senders": 1, "missing": [], "reasons": ["EGL176"]}
    for form in ("table", "markdown", "yaml"):
        result = invoke("verify", HOST, "--from", f"default/{SLEEP}", "-o", form)
        assert result.exit_code == 0
        assert "EGL176" in result.stdout
    for command in ("parse", "report", "verify"):
        assert f"{server.url} did not prove who it is" in invoke(command).stderr


def test_a_proxy_of_this_host_is_believed() -> None:
    """kubectl proxy speaks HTTP to this host alone; any other server without TLS proves nothing."""
    configuration = Configuration()
    for url, expected in {
        "http://127.0.0.1:8001": "", "http://localhost:8001": "", "http://[::1]:8001": "", "https://api.example.com": "",
        "http://user:secret@10.0.0.1:8001": "http://10.0.0.1:8001", "http://api.example.com": "http://api.example.com",
    }.items():  # fmt: skip
        configuration.host = url
        assert unauthenticated_server(configuration) == expected
