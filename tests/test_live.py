"""Commands and library on a cluster: the test server speaks the recorded protocol, the lines are the formats' samples."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import egresslog
from egresslog.cli.app import app
from egresslog.errors import ClusterError, UsageError
from egresslog.sources.cluster.clock import Clock
from egresslog.verification.verdict import Verdict

from .following import INTERRUPTIBLE, SECOND, T0, FastClock
from .kubeapi.cluster import Cluster
from .kubeapi.exec import ExecRequest, ExecResult
from .kubeapi.faults import Fault
from .kubeapi.server import Server
from .lab.lab import LabLogs
from .lab.mesh import GATEWAY as LAB_GATEWAY
from .lab.mesh import GATEWAY_ADDRESS
from .lab.scenarios import SCENARIOS
from .test_parser import AGENT, JSON, SEED, TEXT

GATEWAY = "istio-egressgateway-7d9f-abcde"
SLEEP = "sleep-6b8f9-xyz12"
OUTSIDE = "127.0.3.0/24"  # of the lab
SERVICE = "istio-egressgateway.istio-system.svc.cluster.local"
# T0 is 2026-11-18T11:06:40Z. The pair: the sidecar's own address there is the gateway's peer here.
AT_GATEWAY = (
    '[2026-11-18T11:06:40.010Z] "GET /politics HTTP/1.1" 200 - via_upstream - "-" 0 1000 8 7 "10.244.1.15" "curl/8.4"'
    ' "fca94cae-0c1f-4a9b-8a0a-5a4d5b0a7f11" "edition.cnn.com" "151.101.193.67:80" outbound|80||edition.cnn.com'
    " 10.244.2.20:39456 10.244.2.20:8080 10.244.1.15:56962 - -"
)
AT_SIDECAR = (
    '[2026-11-18T11:06:40.000Z] "GET /politics HTTP/1.1" 200 - via_upstream - "-" 0 1000 18 17 "-" "curl/8.4"'
    ' "fca94cae-0c1f-4a9b-8a0a-5a4d5b0a7f11" "edition.cnn.com" "10.244.2.20:8080"'
    f" outbound|80|cnn|{SERVICE} 10.244.1.15:56962 151.101.193.67:80 10.244.1.15:41000 - -"
)
PAST = (
    '[2026-11-18T11:06:41.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 64 6 5 "-" "curl/8.4"'
    ' "fca94cae-0c1f-4a9b-8a0a-5a4d5b0a7f12" "edition.cnn.com" "151.101.193.67:80" outbound|80||edition.cnn.com'
    " 10.244.1.15:56964 151.101.193.67:80 10.244.1.15:41002 - -"
)


@pytest.fixture(autouse=True)
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run in this process wait less between attempts."""
    monkeypatch.setattr(Clock, "wait", FastClock.wait)
    monkeypatch.setattr(Clock, "sleep", FastClock.sleep)


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.clock = lambda: T0 - 60 * SECOND  # pods came before their lines
    cluster.add_pod(GATEWAY, ip="10.244.2.20", owner=("Deployment", "istio-egressgateway"))
    cluster.add_pod(
        SLEEP, "default", labels={"app": "sleep"}, containers=("sleep", "istio-proxy"), ip="10.244.1.15",
        owner=("Deployment", "sleep"),
    )  # fmt: skip
    return cluster


def write(cluster: Cluster, *lines: str, namespace: str = "istio-system", pod: str = GATEWAY, at: int = T0) -> None:
    for place, line in enumerate(lines):
        cluster.pod(namespace, pod).log("istio-proxy").write(line.encode(), at=at + place * SECOND // 100)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), terminal_width=80)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def hosts(result: Result) -> list[str]:
    return [json.loads(line)["host"] for line in result.stdout.splitlines()]


def test_without_files_it_is_the_gateway_of_the_cluster(server: Server, cluster: Cluster) -> None:
    """Every replica of istio=egressgateway in istio-system; what was read of each is reported."""
    cluster.add_pod("istio-egressgateway-7d9f-fghij", ip="10.244.2.21")
    cluster.add_pod("istio-ingressgateway-1", labels={"istio": "ingressgateway"})
    write(cluster, AGENT, TEXT, SEED)
    write(cluster, JSON, pod="istio-egressgateway-7d9f-fghij")
    write(cluster, TEXT, pod="istio-ingressgateway-1")
    result = run("parse", "-o", "ndjson")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(record["origin"], record["line_number"]) for record in records] == [
        (f"istio-system/{GATEWAY}/istio-proxy", 2),
        (f"istio-system/{GATEWAY}/istio-proxy", 3),
        ("istio-system/istio-egressgateway-7d9f-fghij/istio-proxy", 1),
    ]
    assert result.exit_code == 0
    assert result.stderr.splitlines()[:3] == [
        "2 containers: 4 lines = 3 records + 1 other + 0 rejected; 2018-06-14T11:46:23.596Z to 2024-05-01T10:17:14.118Z",
        f"  istio-system/{GATEWAY}/istio-proxy: 3 lines, 2026-11-18T11:06:40.000Z to 2026-11-18T11:06:40.020Z",
        "  istio-system/istio-egressgateway-7d9f-fghij/istio-proxy: 1 line, 2026-11-18T11:06:40.000Z to"
        " 2026-11-18T11:06:40.000Z",
    ]


def test_where_to_look(server: Server, cluster: Cluster) -> None:
    """-n, -A, -l, --gateway-name, deploy/NAME, pod/NAME, several namespaces, and containers of older releases."""
    named = {"gateway.networking.k8s.io/gateway-name": "cnn-egress-gateway"}
    cluster.add_pod("cnn-1", "default", labels=named, containers=("istio-proxy",))
    cluster.add_pod("old", "legacy", containers=("egressgateway",))
    cluster.add_pod("only", "legacy", labels={"app": "envoy"}, containers=("envoy",))
    cluster.add_pod("two", "two", containers=("one", "other"))
    cluster.add_pod("native", "native", containers=("app",), init_containers=("istio-proxy",))
    for namespace, pod, container, host in (
        ("istio-system", GATEWAY, "istio-proxy", "a.example"),
        ("default", "cnn-1", "istio-proxy", "b.example"),
        ("legacy", "old", "egressgateway", "c.example"),
        ("legacy", "only", "envoy", "d.example"),
        ("two", "two", "other", "e.example"),
        ("native", "native", "istio-proxy", "f.example"),
    ):
        line = SEED.replace("edition.cnn.com", host).encode()
        cluster.pod(namespace, pod).log(container).write(line, at=T0)
    assert hosts(run("parse")) == ["a.example"]
    assert hosts(run("parse", "-n", "default", "--gateway-name", "cnn-egress-gateway")) == ["b.example"]
    assert hosts(run("parse", "-n", "legacy")) == ["c.example"]
    assert hosts(run("parse", "-n", "legacy", "-l", "app=envoy")) == ["d.example"]
    assert hosts(run("parse", "-n", "two", "-c", "other")) == ["e.example"]
    assert hosts(run("parse", "-n", "native")) == ["f.example"]
    assert hosts(run("parse", "-n", "legacy,native", "-n", "istio-system")) == ["a.example", "c.example", "f.example"]
    assert hosts(run("parse", "-A")) == ["a.example", "c.example", "f.example"]  # two/two has no such container: a note
    assert hosts(run("parse", "deploy/istio-egressgateway")) == ["a.example"]
    assert hosts(run("parse", "-n", "legacy", "pod/old", "po/only")) == ["c.example", "d.example"]
    result = run("parse", "-n", "two")
    assert result.exit_code == 3
    assert "pod two/two has no container istio-proxy; name one with --container: one, other" in result.stderr


def test_the_instance_before_a_restart_is_read(server: Server, cluster: Cluster) -> None:
    """Evidence of before the restart counts, and comes first."""
    write(cluster, SEED.replace("edition.cnn.com", "before.example"))
    cluster.pod("istio-system", GATEWAY).restart()
    write(cluster, SEED.replace("edition.cnn.com", "after.example"), at=T0 + 9 * SECOND)
    result = run("parse")
    assert hosts(result) == ["before.example", "after.example"]


def test_since_limits_what_is_fetched(server: Server, cluster: Cluster) -> None:
    """The server is asked for whole seconds; the filter is exact."""
    for second in range(10):
        line = SEED.replace("2018-06-14T11:46:23.596Z", f"2026-11-18T11:06:4{second}.500Z")
        write(cluster, line, at=T0 + second * SECOND + SECOND // 2)
    result = run("parse", "--since", "2026-11-18T11:06:47.500Z")
    assert len(result.stdout.splitlines()) == 3
    assert "3 lines = 3 records" in result.stderr


def test_broken_streams_are_read_again(server: Server, cluster: Cluster) -> None:
    """Also without following, nothing is lost or doubled."""
    write(cluster, *[SEED.replace("/politics", f"/{number}") for number in range(500)])
    server.faults += [Fault("reset", after_lines=100), Fault("cut", after_bytes=20_000), Fault("status", code=500)]
    result = run("parse", "--columns", "path")
    assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == [f"/{number}" for number in range(500)]
    assert result.exit_code == 0


def test_what_cannot_be_read_is_an_error_and_the_rest_is_there(server: Server, cluster: Cluster) -> None:
    """One container of two fails for good: exit code 3, with its name; --keep-going says that is fine."""
    cluster.add_pod("broken")
    write(cluster, TEXT)
    write(cluster, TEXT, pod="broken")
    server.faults.append(Fault("status", pod="broken", code=403, reason="Forbidden", message="no", times=100))
    result = run("parse")
    assert (len(result.stdout.splitlines()), result.exit_code) == (1, 3)
    assert "error: istio-system/broken/istio-proxy: no (HTTP 403)" in result.stderr
    assert 'resources": ["pods/log"]' in result.stderr
    assert run("parse", "--keep-going").exit_code == 0
    with pytest.raises(ClusterError):
        egresslog.read_cluster().to_arrow()


def test_rights_are_named_and_no_secret_is(server: Server, cluster: Cluster) -> None:
    """403: the Role, ready to apply. The token stands nowhere."""
    cluster.forbid("nobody")
    config = server.kubeconfig("nobody")
    result = run("report", "--kubeconfig", str(config))
    assert result.exit_code == 3
    assert 'User "nobody" cannot list resource "pods"' in result.stderr
    assert "kind: Role\n" in result.stderr
    assert 'resources": ["pods/log"]' in result.stderr
    assert server.tokens["nobody"] not in result.stderr
    assert "Traceback" not in result.stderr


def test_no_pods_says_where_some_are(server: Server, cluster: Cluster) -> None:
    """The selector matches elsewhere: that namespace is named."""
    result = run("report", "-n", "default")
    assert result.exit_code == 3
    assert result.stderr == (
        "error: context test: found no pods with istio=egressgateway in namespace default; there are some in istio-system:"
        " -n istio-system, or -A for all namespaces\n"
    )


def test_a_container_that_waits_is_reported(server: Server, cluster: Cluster) -> None:
    """No log, and why."""
    cluster.add_pod("waiting", "new", running=False)
    cluster.pod("new", "waiting").wait("ImagePullBackOff", message="Back-off pulling image")
    result = run("report", "-n", "new")
    assert result.exit_code == 3
    assert "new/waiting/istio-proxy" in result.stderr
    assert "ImagePullBackOff" in result.stderr


OFF = "accessLogFile: ''\n"
OTEL = (
    "extensionProviders:\n- name: otel\n  envoyOtelAls: {service: otel.example, port: 4317}\n"
    "defaultProviders: {accessLogging: [otel]}\n"
)


@pytest.mark.parametrize(("mesh", "word"), [(OFF, "accessLogFile"), (OTEL, "otel")])
def test_a_log_that_is_off_is_reported(server: Server, cluster: Cluster, mesh: str, word: str) -> None:
    """Only the proxy's own messages: the mesh's configuration says why. Never a pass."""
    config = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "istio", "namespace": "istio-system"}}
    cluster.add({**config, "data": {"mesh": mesh}})
    write(cluster, AGENT)
    result = run("report")
    assert result.exit_code == 3
    assert word in result.stderr
    result = run("verify", "edition.cnn.com", "-o", "json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["hosts"][0]["verdict"] == "NO_EVIDENCE"


def test_the_meshs_own_format_is_used(server: Server, cluster: Cluster) -> None:
    """accessLogFormat is read from the ConfigMap."""
    mesh = 'accessLogFile: /dev/stdout\naccessLogFormat: "%START_TIME% to=%REQ(:AUTHORITY)% code=%RESPONSE_CODE%\\n"\n'
    config = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "istio", "namespace": "istio-system"}}
    cluster.add({**config, "data": {"mesh": mesh}})
    write(cluster, "2026-11-18T11:06:40.010Z to=edition.cnn.com code=404")
    result = run("parse")
    assert result.exit_code == 0
    (record,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (record["host"], record["response_code"]) == ("edition.cnn.com", 404)
    assert "the format is the mesh's own: ConfigMap istio-system/istio" in result.stderr


def test_proven_from_the_cluster(server: Server, cluster: Cluster) -> None:
    """The article: sleep's sidecar and the gateway name one connection. The pods are named."""
    write(cluster, AT_GATEWAY)
    write(cluster, AT_SIDECAR, namespace="default", pod=SLEEP)
    result = run("verify", "edition.cnn.com", "--from", "default/sleep", "-o", "json")
    answer = json.loads(result.stdout)
    assert [finding["code"] for finding in answer["hosts"][0]["findings"]] == ["EGL100"]
    assert result.exit_code == 0
    assert [(one["hop"], one["origin"], one["gaps"]) for one in answer["coverage"]] == [
        ("gateway", f"istio-system/{GATEWAY}/istio-proxy", []),
        ("sidecar", f"default/{SLEEP}/istio-proxy", []),
    ]
    table = run("verify", "edition.cnn.com", "--from", "default/sleep", "-o", "table").stdout
    assert f"default/{SLEEP} -> gateway istio-system/{GATEWAY} -> 151.101.193.67:80  1 PROVEN" in table


def test_bypassed_from_the_cluster(server: Server, cluster: Cluster) -> None:
    """--from-all reads every sidecar, and not the gateway as one."""
    write(cluster, AT_GATEWAY)
    write(cluster, AT_SIDECAR, PAST, namespace="default", pod=SLEEP)
    result = run("verify", "edition.cnn.com", "--from-all", "-o", "json")
    answer = json.loads(result.stdout)
    assert (answer["hosts"][0]["verdict"], result.exit_code) == ("BYPASSED", 1)
    assert [one["hop"] for one in answer["coverage"]] == ["gateway", "sidecar"]


def test_the_clusters_knowledge_covers_a_silent_gateway(server: Server, cluster: Cluster) -> None:
    """The gateway's log was read to now and has no line of it: that is reported, not that its log was not read."""
    write(cluster, AGENT)
    write(cluster, AT_GATEWAY.replace("10.244.1.15:56962", "10.244.1.99:1"), at=T0 + SECOND)
    write(
        cluster,
        AT_SIDECAR.replace("11:06:40.000Z", "11:06:50.000Z"),
        namespace="default",
        pod=SLEEP,
        at=T0 + 11 * SECOND,
    )
    answer = json.loads(run("verify", "edition.cnn.com", "--from", "default/sleep", "-o", "json").stdout)
    assert "EGL183" in [finding["code"] for finding in answer["hosts"][0]["findings"]]


def test_a_gap_is_no_all_clear(server: Server, cluster: Cluster) -> None:
    """The gateway's log was rotated while it was read: the proof stands, and the exit code is 3 (EGL104)."""
    write(cluster, *[AT_GATEWAY] * 20)
    rotated = threading.Event()
    server.faults.append(Fault("stall", pod=GATEWAY, after_lines=10, until=rotated))
    server.faults.append(Fault("cut", pod=GATEWAY, after_lines=10))

    def rotate() -> None:
        server.wait(lambda: server.faults[0].happened)
        cluster.pod("istio-system", GATEWAY).log().rotate()
        write(cluster, AT_GATEWAY, at=T0 + 60 * SECOND)
        rotated.set()

    thread = threading.Thread(target=rotate)
    thread.start()
    result = run("verify", "edition.cnn.com", "-o", "json")
    thread.join()
    answer = json.loads(result.stdout)
    assert answer["hosts"][0]["verdict"] == "PROVEN"
    assert "EGL104" in [finding["code"] for finding in answer["findings"]]
    assert [(gap["from"], gap["to"]) for gap in answer["coverage"][0]["gaps"]] == [
        ("2026-11-18T11:06:40.090Z", "2026-11-18T11:07:40.000Z")
    ]
    assert result.exit_code == 3
    assert "gap from 2026-11-18T11:06:40.090Z to 2026-11-18T11:07:40.000Z" in result.stderr


def test_a_sidecar_without_its_log_is_no_all_clear(server: Server, cluster: Cluster) -> None:
    """A bypass could lie in what could not be read (EGL105)."""
    write(cluster, AT_GATEWAY)
    write(cluster, AT_SIDECAR, namespace="default", pod=SLEEP)
    server.faults.append(Fault("status", pod=SLEEP, code=403, reason="Forbidden", message="no", times=100))
    result = run("verify", "edition.cnn.com", "--from", "default/sleep", "-o", "json")
    assert result.exit_code == 3
    assert "EGL105" in [finding["code"] for finding in json.loads(result.stdout)["findings"]]


def test_read_cluster_is_a_log(server: Server, cluster: Cluster) -> None:
    """A snapshot: what is written later is not in it, and it can be read again and again."""
    write(cluster, TEXT, AT_GATEWAY)
    log = egresslog.read_cluster(columns=["host", "origin"])
    write(cluster, TEXT, at=T0 + 9 * SECOND)
    assert len(log.to_pandas()) == 2
    assert list(log.summary()["requests"]) == [2]
    (covered,) = log.coverage
    assert (covered.lines, covered.first, covered.last, covered.is_complete) == (2, T0, T0 + SECOND // 100, True)
    with pytest.raises(UsageError):
        egresslog.read_cluster("deploy/x", selector="a=b")
    sidecars = egresslog.read_sidecars("default/sleep")
    assert [covered.origin for covered in sidecars.coverage] == [f"default/{SLEEP}/istio-proxy"]


def test_follow_yields_batches(server: Server, cluster: Cluster) -> None:
    """From the library: batches as they come, with coverage and counts."""
    write(cluster, TEXT, AGENT, JSON)
    with egresslog.follow(where=egresslog.Filter.parse(host="edition.*")) as following:
        seen = 0
        for batch in following:
            seen += len(batch)
            if seen == 2:
                write(cluster, TEXT, at=T0 + SECOND)
            if seen == 3:
                break
        assert following.scan.counts.total == 4
        assert [covered.lines for covered in following.coverage] == [4]
    assert "line" in batch.schema.names


class Tail:
    """`egresslog tail` as a process, whose output is read line by line."""

    def __init__(self, config: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*INTERRUPTIBLE, "tail", "--kubeconfig", str(config), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )  # fmt: skip

    def lines(self, count: int) -> list[str]:
        """So many lines of its output."""
        assert self.process.stdout
        return [self.process.stdout.readline().rstrip() for _ in range(count)]

    def interrupt(self) -> tuple[list[str], str, int]:
        """Ctrl-C: the rest of the output, the messages and the exit code."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return out.splitlines(), err, self.process.returncode


def test_tail_follows_and_ends_with_a_summary(server: Server, cluster: Cluster) -> None:
    """One line per record, at once; Ctrl-C ends it cleanly."""
    write(cluster, AGENT, TEXT, AT_GATEWAY.replace(" 200 - via_upstream", " 503 UF via_upstream"))
    tail = Tail(server.kubeconfig(), "-o", "table")
    header, first, second = tail.lines(3)
    assert header.split() == ["TIME", "(UTC)", "POD", "HOST", "REQUEST", "CODE", "SENT", "MS", "UPSTREAM"]
    assert first.split() == [
        "10:17:14.118", GATEWAY, "edition.cnn.com", "GET", "/politics", "301", "240", "8", "151.101.193.67",
    ]  # fmt: skip
    assert second.split()[5:8] == ["503", "UF", "1000"]
    write(cluster, TEXT.replace("/politics", "/new"), at=T0 + SECOND)
    assert "GET /new" in tail.lines(1)[0]
    out, err, code = tail.interrupt()
    assert (out, code) == ([], 0)
    assert f"+ istio-system/{GATEWAY}/istio-proxy" in err
    assert "1 container: 4 lines = 3 records + 1 other + 0 rejected" in err
    assert f"istio-system/{GATEWAY}/istio-proxy: 4 lines, 2026-11-18T11:06:40.000Z to 2026-11-18T11:06:41.000Z" in err
    assert "Traceback" not in err


def test_tail_in_a_pipe_is_ndjson_and_raw_is_the_line(server: Server, cluster: Cluster) -> None:
    """-o ndjson for pipes; --raw gives the proxy's own line, without the stamp of the API. Filters as everywhere."""
    hostile = TEXT.replace("curl/8.4", "\x1b]0;pwned\x07")
    write(cluster, TEXT, hostile, SEED)
    tail = Tail(server.kubeconfig(), "--host", "edition.cnn.com", "--status", "301")
    assert [json.loads(line)["host"] for line in tail.lines(3)] == ["edition.cnn.com"] * 3
    assert tail.interrupt()[2] == 0
    tail = Tail(server.kubeconfig(), "--raw", "--tail", "3")
    assert tail.lines(3) == [TEXT, hostile, SEED]  # a pipe gets the bytes as they are
    assert tail.interrupt()[2] == 0


def test_tail_reports_what_is_missing(server: Server, cluster: Cluster) -> None:
    """Two restarts while the server was away: a gap, exit code 3."""
    write(cluster, TEXT)
    tail = Tail(server.kubeconfig())
    tail.lines(1)
    server.stop()
    pod = cluster.pod("istio-system", GATEWAY)
    pod.restart()
    pod.restart()
    write(cluster, TEXT, at=T0 + 60 * SECOND)
    server.start()
    tail.lines(1)
    _, err, code = tail.interrupt()
    assert code == 3
    assert "gap from 2026-11-18T11:06:40.000Z to" in err
    assert "2 restarts" in err


def test_tail_reads_a_pipe(tmp_path: Path) -> None:
    """`kubectl logs -f ... | egresslog tail -` gives a line out as soon as it is whole."""
    process = subprocess.Popen(
        [sys.executable, "-m", "egresslog", "tail", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    process.stdin.write(TEXT + "\n" + SEED)
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["path"] == "/politics"
    out, err = process.communicate("\n", timeout=30)
    assert json.loads(out)["upstream_ip"] == "151.101.193.67"
    assert "2 lines = 2 records" in err
    assert process.returncode == 0


def curl(cluster: Cluster, *, at_gateway: bool = True) -> None:
    """The sleep container has a curl whose request both proxies log, the sidecar's half a second later than curl ends."""

    def answer(asked: ExecRequest) -> ExecResult | None:
        if asked.command[0] != "curl":
            return None
        assert (asked.namespace, asked.pod, asked.container) == ("default", SLEEP, "sleep")
        agent = asked.command[asked.command.index("-A") + 1]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        sidecar = AT_SIDECAR.replace("2026-11-18T11:06:40.000Z", now).replace("curl/8.4", agent)
        gateway = AT_GATEWAY.replace("2026-11-18T11:06:40.010Z", now).replace("curl/8.4", agent)
        cluster.pod("default", SLEEP).log("istio-proxy").write(sidecar.encode())
        if at_gateway:
            cluster.pod("istio-system", GATEWAY).log().write(gateway.encode())
        form = asked.command[asked.command.index("-w") + 1]
        values = {"http_code": "200", "local_ip": "10.244.1.15", "local_port": "41000", "remote_ip": "151.101.193.67",
                "remote_port": "80"}  # fmt: skip
        text = re.sub(r"%\{(\w+)\}", lambda name: values.get(name[1], ""), form).replace("\\n", "\n")
        return ExecResult(stdout=text.encode())

    cluster.commands.append(answer)


def test_a_probe_is_reported_hop_by_hop(server: Server, cluster: Cluster) -> None:
    """One request from sleep, found by its own connection, whatever else is in the logs."""
    write(cluster, AT_GATEWAY)
    write(cluster, AT_SIDECAR, PAST, namespace="default", pod=SLEEP)  # an old bypass is not what is asked about
    curl(cluster)
    arguments = ("verify", "edition.cnn.com", "--from", "default/sleep", "--probe", "http://edition.cnn.com/politics")
    result = run(*arguments, "-o", "json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["hosts"][0]["counts"]) == (0, {"PROVEN": 1})
    (probe,) = answer["probes"]
    assert (probe["code"], probe["found_by"], probe["client_address"]) == (200, "address", "10.244.1.15:41000")
    (request,) = probe["requests"]
    assert (request["verdict"], request["finding"]) == ("PROVEN", "EGL100")
    assert [line["origin"] for line in request["lines"]] == [
        f"default/{SLEEP}/istio-proxy", f"istio-system/{GATEWAY}/istio-proxy",
    ]  # fmt: skip
    table = run(*arguments, "-o", "table").stdout
    assert table.startswith(f"probe  curl http://edition.cnn.com/politics from default/{SLEEP}: answered 200\n")
    assert "PROVEN EGL100" in table


def test_a_probe_without_url_asks_for_the_host(server: Server, cluster: Cluster) -> None:
    """`--probe` last, or before another option."""
    curl(cluster)
    for arguments in (["--probe"], ["--probe", "-o", "json"]):
        answer = json.loads(run("verify", "edition.cnn.com", "--from", "default/sleep", *arguments).stdout)
        assert answer["probes"][0]["url"] == "http://edition.cnn.com/"


def test_no_probe_without_the_flag(server: Server, cluster: Cluster) -> None:
    """Nothing is ever run in a pod unless asked for."""
    write(cluster, AT_GATEWAY)
    write(cluster, AT_SIDECAR, namespace="default", pod=SLEEP)
    run("verify", "edition.cnn.com", "--from", "default/sleep")
    assert not [request for request in server.requests if "exec" in request.path]
    assert {request.method for request in server.requests} == {"GET"}


def test_an_image_without_tools_is_reported(server: Server, cluster: Cluster) -> None:
    """Neither curl nor wget: what to do instead."""
    result = run("verify", "edition.cnn.com", "--from", "default/sleep", "--probe")
    assert result.exit_code == 3
    assert "the image has neither curl nor wget" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "edition.cnn.com", "--probe"],
        ["verify", "--from", "default/sleep", "--probe"],
        ["verify", "edition.cnn.com", "--from", "default/sleep", "--probe", "ftp://edition.cnn.com/"],
        ["verify", "edition.cnn.com", "--from", "default/sleep", "--probe", "http://pypi.org/"],
        ["verify", "*.cnn.com", "--from", "default/sleep", "--probe"],
        ["verify", "edition.cnn.com", "--from-all", "--probe"],
        ["verify", "edition.cnn.com", "--from", "default/sleep", "--probe", "--watch"],
        ["verify", "--watch", "--gateway", "x.log"],
        ["verify", "--watch", "-o", "yaml"],
        ["verify", "--watch", "--every", "soon"],
    ],
)
def test_probes_and_watches_that_make_no_sense(server: Server, arguments: list[str]) -> None:
    """Exit code 2 and a sentence, before anything is asked of the cluster's pods."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert not [request for request in server.requests if "exec" in request.path]


def test_watch_prints_what_changes(server: Server, cluster: Cluster) -> None:
    """All verdicts first, then a line per change; Ctrl-C ends it with the last answer."""
    write(cluster, AT_GATEWAY)
    process = subprocess.Popen(
        [*INTERRUPTIBLE, "verify", "edition.cnn.com", "--from", "default/sleep", "--watch", "--every",
         "200ms", "-o", "ndjson"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert json.loads(process.stdout.readline())["verdict"] == "PROVEN"
    write(cluster, PAST, namespace="default", pod=SLEEP)
    change = json.loads(process.stdout.readline())
    assert (change["host"], change["before"], change["verdict"]) == ("edition.cnn.com", "PROVEN", "BYPASSED")
    assert change["came"] == [{"code": "EGL110", "name": "direct-serviceentry"}]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Traceback" not in err


def test_tail_that_reads_nothing_does_not_pass(server: Server, cluster: Cluster) -> None:
    """No such pods, no rights, nothing at all: it is reported, and the exit code is 3."""
    cluster.forbid("nobody", "list")
    for user, arguments, words in (
        ("admin", ("-n", "typo"), "there are none yet; waiting for some"),
        ("nobody", (), 'cannot list resource "pods"'),
    ):
        tail = Tail(server.kubeconfig(user), *arguments)
        assert tail.process.stderr
        while words not in (line := tail.process.stderr.readline()):
            assert line, "it ended"
        _, err, code = tail.interrupt()
        assert code == 3
        assert "Traceback" not in err


def test_tail_reads_the_meshs_own_format(server: Server, cluster: Cluster) -> None:
    """As the other commands do."""
    mesh = 'accessLogFile: /dev/stdout\naccessLogFormat: "%START_TIME% to=%REQ(:AUTHORITY)% code=%RESPONSE_CODE%\\n"\n'
    config = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "istio", "namespace": "istio-system"}}
    cluster.add({**config, "data": {"mesh": mesh}})
    write(cluster, "2026-11-18T11:06:40.010Z to=edition.cnn.com code=404")
    tail = Tail(server.kubeconfig())
    assert json.loads(tail.lines(1)[0])["host"] == "edition.cnn.com"
    assert tail.interrupt()[2] == 0


def test_every_target_must_be_there(server: Server, cluster: Cluster) -> None:
    """One workload of two is a typo: no all-clear. A pod of the workload without sidecar is none either."""
    write(cluster, AT_GATEWAY)
    write(cluster, AT_SIDECAR, namespace="default", pod=SLEEP)
    arguments = ["verify", "edition.cnn.com", "--from", "default/sleep"]
    assert run(*arguments).exit_code == 0
    result = run(*arguments, "--from", "default/typo")
    assert (result.exit_code, "found no workload typo in namespace default" in result.stderr) == (3, True)
    assert run("parse", "-n", "istio-system,typo").exit_code == 3
    cluster.add_pod("sleep-6b8f9-naked", "default", containers=("sleep",), owner=("Deployment", "sleep"))
    result = run(*arguments)
    assert (result.exit_code, "pod default/sleep-6b8f9-naked has no container" in result.stderr) == (3, True)


def test_between_two_instances_something_may_be_missing(server: Server, cluster: Cluster) -> None:
    """Restarted, and the new instance's log rotated: a request in the hole is outside the coverage, never FAILED."""
    write(cluster, AT_GATEWAY.replace("10.244.1.15:56962", "10.244.1.99:1"))
    cluster.pod("istio-system", GATEWAY).restart()
    write(cluster, AT_GATEWAY, at=T0 + 30 * SECOND)
    cluster.pod("istio-system", GATEWAY).log().rotate()
    write(
        cluster,
        AT_GATEWAY.replace("10.244.1.15:56962", "10.244.1.99:2").replace("11:06:40", "11:07:40"),
        at=T0 + 60 * SECOND,
    )
    write(
        cluster,
        AT_SIDECAR.replace("11:06:40.000Z", "11:07:10.000Z"),
        namespace="default",
        pod=SLEEP,
        at=T0 + 30 * SECOND,
    )
    answer = json.loads(run("verify", "edition.cnn.com", "--from", "default/sleep", "-o", "json").stdout)
    codes = {finding["code"] for finding in answer["hosts"][0]["findings"]}
    assert "EGL181" in codes
    assert not codes & {"EGL145", "EGL183"}


def test_what_the_kubelet_says_instead_of_a_log_is_an_error(server: Server, cluster: Cluster) -> None:
    """A 200 with `unable to retrieve container logs`: not an empty log that was read."""
    write(cluster, TEXT)
    fault = Fault("end", after_lines=0, message="unable to retrieve container logs for containerd://1", times=100)
    server.faults.append(fault)
    result = run("report")
    assert result.exit_code == 3
    assert "the kubelet reported: unable to retrieve container logs for containerd://1" in result.stderr


def test_what_real_envoys_wrote_reads_the_same(
    server: Server, cluster: Cluster, lab_logs: LabLogs, tmp_path: Path
) -> None:
    """All scenarios of the lab, from files and through the API: the same verdict for every host."""
    began = time.time_ns() - 3600 * SECOND
    cluster.pod("istio-system", GATEWAY).delete()
    cluster.pod("default", SLEEP).delete()
    paths: dict[str, list[str]] = {"gateway": [], "sidecar": []}
    for proxy in lab_logs.proxies:
        hop = "gateway" if proxy == LAB_GATEWAY else "sidecar"
        lines = [line for one in SCENARIOS for line in lab_logs.lines(one.name, proxy, "istio")]
        path = tmp_path / f"{proxy}.log"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        paths[hop].append(str(path))
        name = f"{proxy}-1"
        if hop == "gateway":
            pod = cluster.add_pod(name, ip=GATEWAY_ADDRESS)
        else:
            pod = cluster.add_pod(name, "clients", labels={}, containers=("app", "istio-proxy"), ip="127.0.9.9")
        pod.log("istio-proxy").write(AGENT.encode(), at=began)
        pod.log("istio-proxy").write(*lines)
    files = egresslog.verify(
        gateway=egresslog.read(paths["gateway"]), sidecars=egresslog.read(paths["sidecar"]), external=[OUTSIDE]
    )
    gateway = egresslog.read_cluster()
    live = egresslog.verify(gateway=gateway, sidecars=egresslog.read_sidecars(but=gateway), external=[OUTSIDE])
    assert len(files) > 30
    # What the gateway's coverage decides about may differ: the cluster knows that its log was read until now.
    certain_verdicts = {Verdict.PROVEN, Verdict.BYPASSED, Verdict.MISROUTED, Verdict.BLOCKED}

    def certain(found: egresslog.Verification) -> dict[str, dict[Verdict, int]]:
        return {
            one.host: {verdict: count for verdict, count in one.counts.items() if verdict in certain_verdicts}
            for one in found
        }

    assert certain(live) == certain(files)
    assert {one.host for one in live if one.verdict in certain_verdicts} == {
        one.host for one in files if one.verdict in certain_verdicts
    }
