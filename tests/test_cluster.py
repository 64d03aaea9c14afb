"""Which cluster, as whom, and the messages when it cannot be reached: kubeconfigs, plugins, proxies, certificates."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from kubernetes.config import incluster_config
from typer.testing import CliRunner, Result

import egresslog
from egresslog.cli.app import app
from egresslog.cli.logs import split
from egresslog.errors import ClusterError, UsageError
from egresslog.sources.cluster import credential_plugin
from egresslog.sources.cluster.client import Cluster as Api
from egresslog.sources.cluster.pods import Target, is_target

from .following import INTERRUPTIBLE
from .kubeapi.cluster import Cluster
from .kubeapi.faults import Fault
from .kubeapi.server import Server
from .test_parser import TEXT

PODS = "/api/v1/namespaces/istio-system/pods"


pytestmark = pytest.mark.usefixtures("fast_clock")


@pytest.fixture
def server() -> Iterator[Server]:
    cluster = Cluster()
    cluster.add_pod("gateway").log().write(TEXT.encode())
    with Server(cluster) as server:
        yield server


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def changed(server: Server, /, *, user: dict[str, object] | None = None, **cluster: object) -> Path:
    """A kubeconfig with another user or cluster entry."""
    path = server.kubeconfig()
    config = json.loads(path.read_text())
    if user is not None:
        config["users"][0]["user"] = user
    config["clusters"][0]["cluster"].update({key.replace("_", "-"): value for key, value in cluster.items()})
    path.write_text(json.dumps(config))
    return path


def plugin(path: Path, body: str) -> dict[str, object]:
    """An exec plugin for credentials."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path), "interactiveMode": "Never"}}


def test_an_exec_plugin_gives_the_token(server: Server, tmp_path: Path) -> None:
    """As cloud providers do it; the token is in no output."""
    token = server.tokens["admin"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token},
    }  # fmt: skip
    user = plugin(tmp_path / "login", f"echo '{json.dumps(credential)}'")
    result = run("parse", "--kubeconfig", str(changed(server, user=user)))
    assert result.exit_code == 0
    assert {request.user for request in server.requests} == {"admin"}
    assert token not in result.output


def test_a_failing_plugin_is_reported(server: Server, tmp_path: Path) -> None:
    """The client only logs it, and would go on without credentials."""
    user = plugin(tmp_path / "login", "echo 'your session has expired' >&2; exit 3")
    result = run("parse", "--kubeconfig", str(changed(server, user=user)))
    assert result.exit_code == 3
    assert "your session has expired" in result.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("exec sleep 600", "did not end within 0.5 s"),
        ("exec >&- 2>&-; exec sleep 600", "did not end within 0.5 s"),
        ("sleep 3 & echo x", "did not end within 0.5 s"),
        ("exec yes", "is longer than 1048576 characters"),
        ("exec yes >&2", "is longer than 1048576 characters"),
        (r"printf '\377'", "failed to decode process output"),
        ("printf '[%.0s' $(seq 100000)", "recursion"),
        ("echo '[]'", "malformed response"),
    ],
)
def test_plugins_have_limits(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_hang: None, body: str, said: str
) -> None:
    """One that does not end, or whose output does not, is ended; what is no credential is said."""
    monkeypatch.setattr(credential_plugin, "SECONDS", 5 if "longer" in said else 0.5)
    result = run("parse", "--kubeconfig", str(changed(server, user=plugin(tmp_path / "login", body))))
    assert result.exit_code == 3
    assert "error: context test: no credentials: " in result.stderr
    assert said in result.stderr
    assert server.requests == []


def test_refused_credentials(server: Server) -> None:
    """401: log in again."""
    result = run("parse", "--kubeconfig", str(changed(server, user={"token": "wrong-token"})))
    assert result.exit_code == 3
    assert "the credentials were refused" in result.stderr
    assert "wrong-token" not in result.output


def test_certificates_are_verified(server: Server, tmp_path: Path) -> None:
    """A server of another authority is not asked; the message says what to look at."""
    with Server(Cluster()) as other:
        config = changed(server, certificate_authority=str(other.ca_file))
        result = run("parse", "--kubeconfig", str(config))
    assert result.exit_code == 3
    assert "certificate" in result.stderr.lower()
    assert "certificate-authority does not vouch for it" in result.stderr
    assert server.requests == []


def test_contexts(server: Server) -> None:
    """--context; one that is not there."""
    config = str(server.kubeconfig())
    assert run("parse", "--kubeconfig", config, "--context", "test").exit_code == 0
    result = run("parse", "--kubeconfig", config, "--context", "production")
    assert result.exit_code == 3
    assert "production" in result.stderr


def test_several_kubeconfigs(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$KUBECONFIG names several files; one that is not there is passed over."""
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{server.kubeconfig()}")
    assert run("parse").exit_code == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "a: b", "contexts: 7", "\0\1\2"])
def test_a_broken_kubeconfig_is_reported(tmp_path: Path, content: str) -> None:
    """Never a traceback."""
    path = tmp_path / "config"
    path.write_text(content)
    result = run("parse", "--kubeconfig", str(path))
    assert result.exit_code == 3
    assert "kubeconfig" in result.stderr


def test_in_a_pod_it_is_the_service_account(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kubeconfig, but a pod's environment and token file."""
    token = tmp_path / "token"
    token.write_text(server.tokens["admin"])
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(server.ca_file))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
    assert len(egresslog.read_cluster().to_arrow()) == 1


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy for CONNECT, and what it was asked for."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=tunnel, args=(client,), daemon=True).start()

    def tunnel(client: socket.socket) -> None:
        with client:
            request = client.recv(65536).split(b"\r\n")[0].decode()
            asked.append(request)
            host, _, port = request.split()[1].partition(":")
            with socket.create_connection((host, int(port))) as upstream:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=copy, args=(upstream, client), daemon=True)
                back.start()
                copy(client, upstream)
                back.join()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_proxy_of_the_kubeconfig_is_used(server: Server) -> None:
    """`proxy-url`, for lists and logs alike."""
    with proxy() as (url, asked):
        assert run("parse", "--kubeconfig", str(changed(server, proxy_url=url))).exit_code == 0
        assert asked
        assert all(request.startswith(f"CONNECT {server.url.removeprefix('https://')}") for request in asked)


def test_a_server_that_is_not_there(server: Server) -> None:
    """Refused: its address, and no traceback. It was tried a few times."""
    config = str(server.kubeconfig())
    server.stop()
    result = run("parse", "--kubeconfig", config)
    assert result.exit_code == 3
    assert f"error: context test ({server.url}): cannot be reached: " in result.stderr
    assert "object at 0x" not in result.stderr


def test_what_answers_is_no_cluster(tmp_path: Path) -> None:
    """A web page where the API should be."""
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>\x1b[31mlogin</html>"
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(body[: body.index(b"\r\n\r\n") + 4 + 20])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "web", "users": [{"name": "a", "user": {"token": "t"}}],
        "clusters": [{"name": "web", "cluster": {"server": f"http://127.0.0.1:{listener.getsockname()[1]}"}}],
        "contexts": [{"name": "web", "context": {"cluster": "web", "user": "a"}}],
    }  # fmt: skip
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    result = run("report", "--kubeconfig", str(path))
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    assert result.exit_code == 3
    assert "not a Kubernetes API" in result.stderr
    assert "\x1b[31m" not in result.stderr


def test_lists_come_in_pages(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a page's version expires (410), there are no doubles and no end is missed."""
    for number in range(7):
        server.cluster.add_pod(f"more-{number}")
    monkeypatch.setattr("egresslog.sources.cluster.client._PAGE", 3)
    api = Api.connect(kubeconfig=str(server.kubeconfig()))
    pods, version = api.list_objects(PODS)
    assert len({pod["metadata"]["name"] for pod in pods}) == len(pods) == 8
    assert version
    assert [request.query.get("limit") for request in server.requests] == ["3", "3", "3"]
    server.cluster.oldest_version = 10**9  # what a page goes on from is too old
    assert len(api.list_objects(PODS)[0]) == 8
    assert [request.status for request in server.requests][3:] == [200, 410, 200]
    api.close()


def test_errors_that_pass_are_tried_again(server: Server) -> None:
    """429 and 5xx, as long as it takes within reason; 403 at once."""
    server.faults += [Fault("status", on="list", code=code) for code in (429, 500, 503)]
    api = Api.connect(kubeconfig=str(server.kubeconfig()))
    assert api.get(PODS)["kind"] == "PodList"
    assert [request.status for request in server.requests] == [429, 500, 503, 200]
    api.close()
    server.cluster.forbid("nobody", "list")
    api = Api.connect(kubeconfig=str(server.kubeconfig("nobody")))
    with pytest.raises(ClusterError) as caught:
        api.get(PODS)
    assert caught.value.status == 403
    assert len(server.requests) == 5
    api.close()


@pytest.mark.parametrize("token", ["S3cr3t\nx", "S3cr3t\u2028\u00e9", "S3cr3t\r\nHost: x"])
def test_a_token_that_is_none_is_in_no_message(server: Server, token: str) -> None:
    """http.client would print it in its error."""
    result = run("parse", "--kubeconfig", str(changed(server, user={"token": token})))
    assert result.exit_code == 3
    assert "S3cr3t" not in result.output
    assert "Traceback" not in result.output


def test_a_kubeconfig_is_not_repeated_in_messages(server: Server) -> None:
    """A user entry that is indented wrongly, a password in the server's URL, a proxy that is none."""
    config = json.loads(server.kubeconfig().read_text())
    config["users"] = [{"name": "admin", "token": "S3cr3t"}]
    path = server.directory / "wrong"
    path.write_text(json.dumps(config))
    for one in (
        path,
        changed(server, server="https://user:S3cr3t@127.0.0.1:1"),
        changed(server, proxy_url="not S3cr3t"),
    ):
        result = run("parse", "--kubeconfig", str(one))
        assert result.exit_code == 3
        assert "S3cr3t" not in result.output


TARGETS = {
    "deploy/x": "Deployment", "Deploy/x": "Deployment", "DEPLOYMENT/x": "Deployment", "deployment.apps/x": "Deployment",
    "deployments.apps/x": "Deployment", "deployments.v1.apps/x": "Deployment", "po/x": "Pod", "Pods/x": "Pod",
    "sts/x": "StatefulSet", "statefulset.apps/x": "StatefulSet", "ds/x": "DaemonSet", "rs/x": "ReplicaSet",
    "job/x": "Job", "jobs.batch/x": "Job",
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), TARGETS.items(), ids=TARGETS)
def test_targets_are_spelled_as_for_kubectl(text: str, kind: str) -> None:
    """The command line and the library accept the same: in any case, with the API group or without."""
    assert is_target(text)
    assert split([text]) == ([text], [])
    target = Target.parse(text, "default")
    assert (target.kind, target.name) == (kind, "x")


@pytest.mark.parametrize(
    "text", ["x", "deploy", "deploy/", "/x", "service/x", "pods.apps/x", "deploy/x/y", "logs/x.log"]
)
def test_what_is_no_target(text: str) -> None:
    """It is a file, and as a target it is refused."""
    assert not is_target(text)
    assert split([text]) == ([], [text])
    with pytest.raises(UsageError, match="not a target"):
        Target.parse(text, "default")


def test_kubectl_accepts_the_same_spellings(server: Server) -> None:
    """The real one. Only short names must be lower case there."""
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl here")
    labels = {"istio": "egressgateway"}
    metadata = {"name": "x", "namespace": "istio-system"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {}}}
    server.cluster.add({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    for text in ("deploy/x", "DEPLOYMENT/x", "Deployment.apps/x", "deployments.apps/x", "deployments.v1.apps/x"):
        command = ["kubectl", "--kubeconfig", str(server.kubeconfig()), "-n", "istio-system", "logs", text]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == (f"{TEXT}\n", "")


@pytest.mark.parametrize("namespace", ["../../../api/v1/namespaces/istio-system", "x?limit=1", "a/b", "Upper"])
def test_a_namespace_is_a_name(server: Server, namespace: str) -> None:
    """It becomes part of a path."""
    result = run("parse", "--kubeconfig", str(server.kubeconfig()), "-n", namespace)
    assert result.exit_code == 2
    assert server.requests == []


def test_an_interruption_is_not_kept_waiting(server: Server) -> None:
    """Ctrl-C while a log is never answered ends the command at once."""
    server.faults.append(Fault("hang"))
    process = subprocess.Popen(
        [*INTERRUPTIBLE, "report", "--kubeconfig", str(server.kubeconfig())],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    server.wait(lambda: server.faults[0].happened)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
