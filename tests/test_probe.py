"""Commands in containers and the probe: the recorded wire protocol, real curl and wget, and what others may send."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import egresslog
from egresslog.errors import ClusterError, UsageError
from egresslog.live.probe.locate import ProbeLines, locate
from egresslog.live.probe.request import Probe, application, send_request, url_of
from egresslog.live.probe.tools import commands
from egresslog.sources.cluster import exec as exec_module
from egresslog.sources.cluster.client import Cluster as Api
from egresslog.sources.cluster.exec import LIMIT, CommandResult, execute
from egresslog.sources.cluster.pods import Container, choose_container
from egresslog.sources.messages import one_line

from .kubeapi import exec_api
from .kubeapi.cluster import Cluster, ExecRequest, ExecResult
from .kubeapi.faults import Fault
from .kubeapi.server import Server
from .lines import GATEWAY, GATEWAY_SERVICE, OUTSIDE, line
from .packing import write_log
from .probing import (
    CLOSE,
    STDERR,
    STDOUT,
    SUCCESS,
    Web,
    accept,
    answering,
    frame,
    lacking,
    pipe,
    really,
    upgraded,
    web,
)

POD_IP = "10.244.1.15"
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.add_pod("sleep-1", "default", labels={"app": "sleep"}, containers=("sleep", "istio-proxy"), ip=POD_IP)
    return made


@pytest.fixture
def server(cluster: Cluster) -> Iterator[Server]:
    with Server(cluster) as made:
        yield made


@pytest.fixture
def api(server: Server) -> Api:
    return Api.connect(kubeconfig=str(server.kubeconfig()))


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture(params=[V5, V4])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The only one that the server speaks."""
    monkeypatch.setattr(exec_api, "_PROTOCOLS", (request.param,))
    return str(request.param)


def sleep(cluster: Cluster, name: str = "sleep") -> Container:
    found = choose_container(cluster.pod("default", "sleep-1").object, name)
    assert isinstance(found, Container)
    return found


SLEEP = Container("default", "sleep-1", "uid", "sleep", state="running", ips=(POD_IP,))


# Commands in containers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 137, 255])
def test_what_a_command_printed_and_its_exit_code(cluster: Cluster, api: Api, protocol: str, code: int) -> None:
    cluster.commands.append(lambda _: ExecResult(b"out\n", b"err\n", code))
    done = execute(api, sleep(cluster), ["echo", "out"])
    assert done == CommandResult(("echo", "out"), b"out\n", b"err\n", code, "", ended=True)
    assert not done.missing


def test_arguments_arrive_as_they_are(cluster: Cluster, api: Api, server: Server) -> None:
    """No shell, no splitting: blanks, quotes, newlines, what is no ASCII, and what looks like the query's own syntax."""
    asked: list[ExecRequest] = []

    def note(request: ExecRequest) -> ExecResult:
        asked.append(request)
        return ExecResult()

    cluster.commands.append(note)
    arguments = ["tool", "", "a b", "$(id); `id`", "--", "-x", "&command=evil", "a+b%20", "ü\n\t'\"", "\u2028"]
    execute(api, sleep(cluster), arguments)
    assert asked == [ExecRequest("default", "sleep-1", "sleep", arguments)]
    (request,) = server.requests
    assert (request.method, request.status) == ("GET", 101)
    assert "stdin" not in request.query
    assert "tty" not in request.query
    assert "origin" not in request.headers
    assert request.headers["user-agent"].startswith("egresslog/")


HOSTILE = {
    "nothing": b"",
    "no newline": b"abc",
    "binary": bytes(range(256)) * 300,
    "escape codes": b"\x1b[2J\x1b]0;title\x07\r\n",
    "a frame, inside one": b"\x82\x7e\xff\xff\x03{}",
    "a status": b'\x03{"status":"Success"}',
}


@pytest.mark.parametrize("output", HOSTILE.values(), ids=HOSTILE)
def test_any_bytes_come_back(cluster: Cluster, api: Api, protocol: str, output: bytes) -> None:
    cluster.commands.append(lambda _: ExecResult(output, output[::-1], 3))
    done = execute(api, sleep(cluster), ["cat"])
    assert (done.stdout, done.stderr, done.code) == (output, output[::-1], 3)


def test_much_output_is_cut_and_the_exit_code_is_known(cluster: Cluster, api: Api, protocol: str) -> None:
    """10 MiB: the first is kept, the rest read and dropped, because the code comes last."""
    cluster.commands.append(lambda _: ExecResult(b"x" * (10 * LIMIT), b"y" * LIMIT, 9))
    done = execute(api, sleep(cluster), ["yes"])
    assert (done.stdout, done.stderr, done.code, done.ended) == (b"x" * LIMIT, b"y" * LIMIT, 9, True)
    assert done.problem == "the output is longer than 1048576 bytes; the rest was dropped"


def test_no_such_program(cluster: Cluster, api: Api, protocol: str) -> None:
    """Words of containerd and runc (tests/kubeapi/recordings/exec-not-found.json)."""
    cluster.make_container_id = lambda: "d668"
    done = execute(api, sleep(cluster), ["curl", "-s"])
    assert (done.code, done.ended, done.missing) == (None, True, True)
    assert done.problem == (
        'error executing command in container: failed to exec in container: failed to start exec "d668": OCI runtime '
        'exec failed: exec failed: unable to start container process: exec: "curl": executable file not found in $PATH'
    )
    assert execute(api, sleep(cluster), ["/bin/curl"]).missing


RUNTIMES = {
    "crun": (None, "", "executable file `curl` not found in $PATH: No such file or directory"),
    "runc 1.0": (None, "", 'starting container process caused "exec: \\"curl\\": executable file not found in $PATH"'),
    "kata": (None, "", 'rpc status: code: INTERNAL message: "the file curl was not found"'),
    "gvisor": (None, "", 'error finding executable "curl" in PATH [/usr/local/sbin /bin]: no such file or directory'),
    "dockershim": (126, 'OCI runtime exec failed: exec: "curl": executable file not found in $PATH: unknown', ""),
    "cri-o": (255, 'level=error msg="exec failed: exec: \\"curl\\": executable file not found in $PATH"', ""),
    "a shell's": (127, "sh: curl: not found", ""),
}


@pytest.mark.parametrize("told", RUNTIMES.values(), ids=RUNTIMES)
def test_every_runtime_says_it_in_its_own_words(told: tuple[int | None, str, str]) -> None:
    code, stderr, problem = told
    assert CommandResult(("curl",), b"", stderr.encode(), code, problem, ended=True).missing


@pytest.mark.parametrize(
    ("code", "stderr", "problem"),
    [
        (6, "curl: (6) Could not resolve host: nosuch: not found", ""),  # curl's own failure
        (None, "", "open /run/containerd/io.containerd.runtime.v1.linux/x-internal.pid: no such file or directory"),
        (None, "", "container is not created or running"),
        (0, "curl: not found", ""),
    ],
)
def test_what_is_no_missing_program(code: int | None, stderr: str, problem: str) -> None:
    assert not CommandResult(("curl",), b"", stderr.encode(), code, problem, ended=True).missing
    assert not CommandResult(("curl",), b"", b"", None, "curl: not found", ended=False).missing


def test_a_server_that_refuses(cluster: Cluster, server: Server, api: Api) -> None:
    """The API server's own words, and its status."""
    with pytest.raises(ClusterError) as refused:
        execute(api, Container("default", "gone", "", "sleep"), ["id"])
    assert refused.value.status == 404
    assert str(refused.value) == 'default/gone/sleep: pods "gone" not found (HTTP 404)'
    with pytest.raises(ClusterError) as refused:
        execute(api, Container("default", "sleep-1", "", "nope"), ["id"])
    assert str(refused.value) == "default/sleep-1/nope: container nope is not valid for pod sleep-1 (HTTP 400)"
    cluster.pod("default", "sleep-1").terminate("sleep")
    with pytest.raises(ClusterError) as refused:
        execute(api, sleep(cluster), ["id"])
    assert "unable to upgrade connection: container not found" in refused.value.reason
    server.tokens["admin"] = "another"
    with pytest.raises(ClusterError) as refused:
        execute(api, sleep(cluster), ["id"])
    assert refused.value.status == 401
    assert "log in again" in refused.value.reason


FAULTS = {
    "reset": (Fault("reset", "exec", after_bytes=40), "the connection broke: "),
    "reset at once": (Fault("reset", "exec"), "the connection broke: "),
    "cut": (Fault("cut", "exec", after_bytes=40), "the connection broke: "),
    "half-open": (Fault("silence", "exec", after_bytes=40), "no end after 0.5 s"),
    "half-open at once": (Fault("silence", "exec", after_bytes=0), "no end after 0.5 s"),
}


@pytest.mark.parametrize(("fault", "problem"), FAULTS.values(), ids=FAULTS)
def test_a_connection_that_breaks(cluster: Cluster, server: Server, api: Api, fault: Fault, problem: str) -> None:
    """What came is kept; that it may have run is said; it is not run again."""
    fault.happened = 0
    server.faults.append(fault)
    cluster.commands.append(lambda _: ExecResult(b"0123456789" * 100))
    done = execute(api, sleep(cluster), ["id"], timeout=0.5 if "0.5" in problem else 30)
    assert (done.code, done.ended, done.missing) == (None, False, False)
    assert done.problem.startswith(problem)
    assert len(server.requests) == 1


def test_a_server_that_never_answers(cluster: Cluster, server: Server, api: Api) -> None:
    server.faults.append(Fault("hang", "exec"))
    with pytest.raises(ClusterError, match=r"cannot be reached: .*timed out"):
        execute(api, sleep(cluster), ["id"], timeout=0.3)


def test_a_failing_server_is_asked_once(cluster: Cluster, server: Server, api: Api) -> None:
    """What may have had its effect is never tried again."""
    server.faults.append(Fault("status", "exec", code=503, reason="ServiceUnavailable", message="later", times=9))
    with pytest.raises(ClusterError, match="later") as refused:
        execute(api, sleep(cluster), ["id"])
    assert refused.value.status == 503
    assert len(server.requests) == 1


def test_no_server_and_one_that_is_not_trusted(cluster: Cluster, server: Server, tmp_path: Path) -> None:
    config = json.loads(server.kubeconfig().read_text())
    with Server(Cluster()) as other:
        config["clusters"][0]["cluster"]["certificate-authority"] = str(other.ca_file)
        path = tmp_path / "config"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        with pytest.raises(ClusterError, match=r"CERTIFICATE_VERIFY_FAILED.*does not vouch for it"):
            execute(Api.connect(kubeconfig=str(path)), SLEEP, ["id"])
    assert server.requests == []
    api = Api.connect(kubeconfig=str(server.kubeconfig()))
    server.stop()
    with pytest.raises(ClusterError, match="Connection refused"):
        execute(api, SLEEP, ["id"])


def test_tls_settings_of_the_kubeconfig(cluster: Cluster, server: Server) -> None:
    """A name for the certificate, and no verification where the kubeconfig says so."""
    cluster.commands.append(lambda _: ExecResult(b"ok"))
    named = server.kubeconfig(tls_server_name="kubernetes.default.svc")
    assert execute(Api.connect(kubeconfig=str(named)), SLEEP, ["id"]).stdout == b"ok"
    misnamed = Api.connect(kubeconfig=str(server.kubeconfig(tls_server_name="elsewhere.example.com")))
    with pytest.raises(ClusterError, match="CERTIFICATE_VERIFY_FAILED"):
        execute(misnamed, SLEEP, ["id"])
    open_to_all = server.kubeconfig()
    config = json.loads(open_to_all.read_text())
    config["clusters"][0]["cluster"] = {"server": server.url, "insecure-skip-tls-verify": True}
    open_to_all.write_text(json.dumps(config))
    assert execute(Api.connect(kubeconfig=str(open_to_all)), SLEEP, ["id"]).stdout == b"ok"


def test_through_an_http_proxy(
    cluster: Cluster, server: Server, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    cluster.commands.append(lambda _: ExecResult(b"ok"))
    host = server.url.removeprefix("https://")

    def relay(client: socket.socket, head: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(tuple(host.split(":"))) as behind:
            pipe(client, behind)

    with answering(tmp_path, relay) as (proxy, heads):
        api.configuration.proxy = proxy.configuration.host
        api.configuration.no_proxy = None
        assert execute(api, sleep(cluster), ["id"]).stdout == b"ok"
    assert heads == [f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()]


def test_a_socks_proxy_is_named(api: Api) -> None:
    api.configuration.proxy = "socks5://user:secret@localhost:1080"
    with pytest.raises(ClusterError, match="do not go through a SOCKS proxy") as refused:
        execute(api, SLEEP, ["id"])
    assert "secret" not in str(refused.value)


TALKS: dict[str, tuple[list[bytes], bytes, int | None, str]] = {
    "as recorded": ([frame(1, b""), frame(1, b"out\n"), frame(3, SUCCESS), CLOSE], b"out\n", 0, ""),
    "the channels are closed (v5)": (
        [frame(1, b"out"), frame(None, b"\xff\x01"), frame(None, b"\xff\x02"), frame(3, SUCCESS), CLOSE], b"out", 0, "",
    ),
    "a message in pieces, a ping between": (
        [frame(1, b"o", final=False), frame(None, b"", opcode=9), frame(None, b"ut", opcode=0), frame(3, SUCCESS)],
        b"out", 0, "",
    ),
    "as text, and no text": ([frame(1, b"\xff\xfe", opcode=1), frame(3, SUCCESS), CLOSE], b"\xff\xfe", 0, ""),
    "output after the status": ([frame(3, SUCCESS), frame(1, b"late"), CLOSE], b"late", 0, ""),
    "unknown channels, empty messages": (
        [frame(9, b"x"), frame(4, b"x"), frame(None, b""), frame(3, SUCCESS), CLOSE], b"", 0, "",
    ),
    "a status in two messages": ([frame(3, SUCCESS[:9]), frame(3, SUCCESS[9:]), CLOSE], b"", 0, ""),
    "no status": ([frame(1, b"out"), CLOSE], b"out", None, "the server ended the connection without a result"),
    "a reason to close": (
        [frame(None, (1011).to_bytes(2) + b"no kubelet", opcode=8)], b"", None,
        "the server ended the connection without a result no kubelet",
    ),
    "no JSON": ([frame(3, b"command \x1b[1mterminated"), CLOSE], b"", None, "command \\x1b[1mterminated"),
    "JSON, and no status": ([frame(3, b"[1]"), CLOSE], b"", None, "[1]"),
    "an exit code that is none": (
        [frame(3, b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"x"}]}}'), CLOSE], b"",
        None, '{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"x"}]}}',
    ),
    "an InternalError, whose cause has no code": (
        [frame(3, b'{"status":"Failure","message":"Internal error occurred: Internal error occurred: no\\nway",'
                  b'"reason":"InternalError","details":{"causes":[{"message":"no way"}]},"code":500}'), CLOSE],
        b"", None, "no way",
    ),
    "a frame that is none": ([b"\xf2\x00"], b"", None, "the connection broke: rsv is not implemented, yet"),
    "nested": ([frame(3, b'{"status":' * 100_000), CLOSE], b"", None, ('{"status":' * 100_000)[:497] + "..."),
    "a frame of eight exabytes": (
        [frame(1, b"out"), b"\x82\x7f\x7f" + b"\xff" * 7 + b"\x01" + b"x" * 2_000_000], b"out", None,
        "the connection broke: a message is larger than 1048576 bytes",
    ),
    "a message in endless pieces": (
        [frame(1, b"x" * 1000, final=False), *[frame(None, b"y" * 1000, opcode=0, final=False)] * 2000], b"", None,
        "the connection broke: a message is larger than 1048576 bytes",
    ),
    "pieces with pings between": (
        [frame(1, b"x", final=False),
         *[frame(None, b"y" * 1000, opcode=0, final=False), frame(None, b"", opcode=9)] * 2000], b"", None,
        "the connection broke: a message is larger than 1048576 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("frames", "stdout", "code", "problem"), TALKS.values(), ids=TALKS)
def test_what_a_server_may_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: list[bytes], stdout: bytes, code: int | None, problem: str
) -> None:
    monkeypatch.setattr(exec_module, "_LINGER", 0.1)
    with answering(tmp_path, upgraded(*frames)) as (api, heads):
        done = execute(api, SLEEP, ["id"])
    assert (done.stdout, done.code, done.problem) == (stdout, code, problem)
    assert (
        b"GET /api/v1/namespaces/default/pods/sleep-1/exec?container=sleep&stdout=true&stderr=true&command=id "
        in heads[0]
    )
    assert b"Sec-WebSocket-Protocol: v5.channel.k8s.io,v4.channel.k8s.io\r\n" in heads[0]
    assert b"authorization: Bearer secret-token\r\n" in heads[0]


def test_output_without_end_does_not_keep_it_waiting(tmp_path: Path, no_hang: None) -> None:
    def talk(client: socket.socket, head: bytes) -> None:
        accept(client, head)
        while True:
            client.sendall(frame(STDOUT, b"y\n" * 8000) + frame(STDERR, b"n") + frame(None, b"", opcode=9))

    begun = time.monotonic()
    with answering(tmp_path, talk) as (api, _):
        done = execute(api, SLEEP, ["yes"], timeout=0.5)
    assert time.monotonic() - begun < 20
    assert (done.code, done.ended, done.problem) == (None, False, "no end after 0.5 s")
    assert 0 < len(done.stdout) <= LIMIT


@pytest.mark.parametrize("piece", [b"X-Header: x\r\n", b"x"])
def test_headers_without_end_do_not_keep_it_waiting(tmp_path: Path, no_hang: None, piece: bytes) -> None:
    def talk(client: socket.socket, _: bytes) -> None:
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            client.sendall(piece * 10_000)

    with answering(tmp_path, talk) as (api, _), pytest.raises(ClusterError, match="cannot be reached: timed out"):
        execute(api, SLEEP, ["id"], timeout=0.5)


def answer(text: bytes) -> Any:
    return lambda client, _: client.sendall(text)


BETWEEN = {
    "a redirect": (b"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n", "Redirect limit exhausted", None),
    "no WebSocket": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello (HTTP 200); not the answer of an API", 200),
    "a login page": (b"HTTP/1.1 403 No\r\n\r\n", "no reason given (HTTP 403); not the answer of an API server", 403),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "Invalid status line", None),
    "nothing": (b"", "cannot be reached: Connection to remote host was lost", None),
    "half a head": (b"HTTP/1.1 101 Switching", "cannot be reached: Connection to remote host was lost", None),
    "no subprotocol": (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Invalid WebSocket", None),
    "bad bytes": (b"HTTP/1.1 400 \xff\xfe\r\n\r\n", "cannot be reached: Invalid header line", None),
    "a bad length": (b"HTTP/1.1 400 X\r\nContent-Length: x\r\n\r\n", "Invalid content-length", None),
    "an absurd length": (b"HTTP/1.1 400 X\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\nx", "cannot be reached", None),
    "an exabyte": (b"HTTP/1.1 400 X\r\nContent-Length: 1000000000000000000\r\n\r\nx", "cannot be reached", None),
    "a nested error": (
        b"HTTP/1.1 403 X\r\nContent-Length: 99000\r\n\r\n" + b'{"message":' * 9000, '{"message":', 403,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said", "status"), BETWEEN.values(), ids=BETWEEN)
def test_what_stands_between(tmp_path: Path, text: bytes, said: str, status: int | None) -> None:
    """Errors, never tracebacks; the token goes to nobody else, and stands in no message."""
    with web() as elsewhere:
        text = text.replace(b"{url}", f"{elsewhere.url}/200".encode())
        with answering(tmp_path, answer(text)) as (api, heads), pytest.raises(ClusterError) as refused:
            execute(api, SLEEP, ["id"])
        assert elsewhere.seen == []
    assert said in refused.value.reason
    assert refused.value.status == status
    assert len(heads) == 1
    assert "secret-token" not in f"{refused.value!r} {refused.value}"


def test_messages_fit_a_terminal() -> None:
    assert one_line(b"a\x1b[31m\r\nb\xff \x07") == "a\\x1b[31m b\ufffd \\x07"
    assert one_line("x" * 600) == "x" * 497 + "..."
    assert one_line("\u202eevil\u2028x") == "\\u202eevil x"


# One request ----------------------------------------------------------------------------------------------------------


@pytest.mark.needs("curl")
@pytest.mark.parametrize("code", [200, 302, 404, 503])
def test_real_curl_makes_one_request(cluster: Cluster, api: Api, site: Web, protocol: str, code: int) -> None:
    """Any status is an answer; no redirect is followed; the address is the one that the server saw."""
    cluster.commands.append(really)
    before = time.time_ns()
    made = send_request(api, sleep(cluster), f"{site.url}/{code}")
    ((address, request, agent),) = site.seen
    assert request == f"GET /{code} HTTP/1.1"
    assert (made.client_address, made.server_address) == (address, f"127.0.0.1:{site.port}")
    assert (made.tool, made.code, made.error, made.marker) == ("curl", code, "", agent)
    assert (made.host, made.port, made.pod) == ("127.0.0.1", site.port, sleep(cluster))
    assert before <= made.at_ns < made.until_ns <= time.time_ns()
    assert agent.startswith("egresslog-probe/")
    assert len(agent) == len("egresslog-probe/") + 16


@pytest.mark.needs("curl")
def test_real_curl_fails_in_words(cluster: Cluster, api: Api, server: Server, site: Web) -> None:
    cluster.commands.append(really)

    def error(url: str, timeout: float = 10) -> tuple[str, bool]:
        made = send_request(api, sleep(cluster), url, timeout=timeout)
        assert made.code is None
        return made.error, made.client_address is not None

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening
        said, connected = error(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert said.startswith("the connection is refused, or there is no route (curl: (7)")
    assert not connected
    said, connected = error(f"{site.url}/nothing", timeout=1)
    assert said.startswith("the request timed out (curl: (28)")
    assert connected
    assert error(f"{site.url}/closed")[0].startswith("the connection was closed without a response (curl: (52)")
    # A connection was made: the sidecar has a line for it.
    said, connected = error(server.url)
    assert said.startswith("the server's certificate is not trusted in this image (curl: (60)")
    assert connected
    said, connected = error(site.url.replace("http:", "https:"))
    assert said.startswith("the TLS handshake failed (curl: (35)")
    assert connected


@pytest.mark.needs("wget")
@pytest.mark.parametrize("code", [200, 302, 404, 503])
def test_real_wget_makes_one_request(cluster: Cluster, api: Api, site: Web, code: int) -> None:
    """Where there is no curl. wget tells no addresses."""
    cluster.commands.append(lacking("curl"))
    made = send_request(api, sleep(cluster), f"{site.url}/{code}")
    ((_, request, agent),) = site.seen
    assert request.startswith(f"GET /{code} ")
    assert (made.tool, made.code, made.error, made.marker) == ("wget", code, "", agent)
    assert (made.client_address, made.server_address) == (None, None)


@pytest.mark.needs("wget")
def test_real_wget_fails_in_words(cluster: Cluster, api: Api, server: Server, site: Web) -> None:
    cluster.commands.append(lacking("curl"))

    def error(url: str, timeout: float = 10) -> str:
        made = send_request(api, sleep(cluster), url, timeout=timeout)
        assert made.code is None
        return made.error

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        said = error(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert said.startswith("the connection is refused, or there is no route (")
    assert error(server.url).startswith("the server's certificate is not trusted in this image (")
    assert error(site.url.replace("http:", "https:")).startswith("the TLS handshake failed (")
    assert len(site.seen) == 0
    # One try: without -t 1 it would be twenty.
    assert error(f"{site.url}/nothing", timeout=1) != ""
    assert len(site.seen) == 1


BUSYBOX = "wget: unrecognized option '--no-config'\nBusyBox v1.36.1 (2024-06-10) multi-call binary.\n\nUsage: wget ..."
# What busybox prints (networking/wget.c), with its exit code -> status and error.
SAID: dict[str, tuple[str, int, int | None, str]] = {
    "an answer": ("  HTTP/1.1 200 OK\n  content-length: 3\n", 0, 200, ""),
    "a redirect that it followed": ("  HTTP/1.1 302 Found\n  location: /x\n  HTTP/1.1 200 OK\n", 0, 302, ""),
    "an error": ("  HTTP/1.1 404 Not Found\nwget: server returned error: HTTP/1.1 404 Not Found\n", 1, 404, ""),
    "an error, without -S": ("wget: server returned error: HTTP/1.1 503 Service Unavailable\n", 1, 503, ""),
    "nothing to say": ("", 0, None, ""),
    "no name": (
        "wget: bad address 'nosuch.example'\n", 1, None,
        "the name cannot be resolved (wget: bad address 'nosuch.example')",
    ),
    "refused": (
        "wget: can't connect to remote host (127.0.0.1): Connection refused\n", 1, None,
        "the connection is refused, or there is no route (wget: can't connect to remote host (127.0.0.1): Connection "
        "refused)",
    ),
    "late": ("wget: download timed out\n", 1, None, "the request timed out (wget: download timed out)"),
    "closed": (
        "wget: note: TLS certificate validation not implemented\nwget: error getting response\n", 1, None,
        "the connection was closed without a response (wget: error getting response)",
    ),
    "no https": (
        "wget: not an http or ftp url: https://x/\n", 1, None,
        "this curl does not support the protocol (wget: not an http or ftp url: https://x/)",
    ),
    "killed": ("", 139, None, "terminated by signal 11 (wget printed nothing)"),
    "something else": ("wget: \x1b[31mout of luck\n", 1, None, "exit code 1 (wget: \\x1b[31mout of luck)"),
}  # fmt: skip


@pytest.mark.parametrize(("stderr", "exit_code", "code", "error"), SAID.values(), ids=SAID)
def test_busybox(cluster: Cluster, api: Api, stderr: str, exit_code: int, code: int | None, error: str) -> None:
    """It refuses GNU's options before it does anything; then its own are given, and -S if it knows that."""
    asked: list[list[str]] = []
    knows_s = "without -S" not in stderr

    def busybox(request: ExecRequest) -> ExecResult | None:
        if request.command[0] != "wget":
            return None
        asked.append(request.command)
        if any(word.startswith("--") and word != "--" for word in request.command):
            return ExecResult(b"", BUSYBOX.encode(), 1)
        if "-S" in request.command and not knows_s:
            return ExecResult(b"", b"wget: invalid option -- 'S'\n", 1)
        return ExecResult(b"", stderr.encode(), exit_code)

    cluster.commands.append(busybox)
    made = send_request(api, sleep(cluster), "http://edition.cnn.com/politics")
    assert (made.tool, made.code, made.error) == ("wget", code, error)
    assert [command[-2:] for command in asked] == [["--", "http://edition.cnn.com/politics"]] * len(asked)
    assert all(made.marker in command for command in asked)


def test_neither_curl_nor_wget(cluster: Cluster, api: Api, server: Server) -> None:
    """It says so, and how to go on; each is looked for once."""
    with pytest.raises(ClusterError) as refused:
        send_request(api, sleep(cluster), "https://edition.cnn.com/?a=1&b=2")
    assert refused.value.origin == "default/sleep-1/sleep"
    assert "the image has neither curl nor wget" in refused.value.reason
    assert "--from default/curl after kubectl apply -n default -f samples/curl/curl.yaml" in refused.value.reason
    assert refused.value.reason.endswith(
        "kubectl debug -n default sleep-1 -it --image=curlimages/curl -- curl -sS 'https://edition.cnn.com/?a=1&b=2'"
    )
    assert [dict(reversed(request.values))["command"] for request in server.requests] == ["curl", "wget"]


def test_a_command_that_cannot_be_run(cluster: Cluster, api: Api) -> None:
    cluster.commands.append(lambda _: ExecResult(error="cannot join the namespace of a container that is gone"))
    with pytest.raises(ClusterError, match=r"curl could not be run: .*namespace of a container that is gone"):
        send_request(api, sleep(cluster), "http://edition.cnn.com/")


def test_without_the_right_the_role_is_shown(cluster: Cluster, server: Server) -> None:
    """The verb `create` alone is missing, as from Kubernetes 1.35 for old Roles."""
    server.cluster.forbid("nobody", "create", "pods/exec")
    cluster.commands.append(really)
    with pytest.raises(ClusterError) as refused:
        send_request(Api.connect(kubeconfig=str(server.kubeconfig("nobody"))), SLEEP, "http://edition.cnn.com/")
    assert refused.value.status == 403
    first, rest = refused.value.reason.split("\n", 1)
    assert first.startswith('pods "sleep-1" is forbidden: User "nobody" cannot create resource "pods/exec"')
    assert '{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}' in rest
    assert server.tokens["nobody"] not in str(refused.value)


def test_a_connection_lost_on_the_way(
    cluster: Cluster, server: Server, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request may have been made: a probe with an error, and no second request by another tool."""
    monkeypatch.setattr("egresslog.live.probe.request._START", 0.2)
    cluster.commands.append(lambda _: ExecResult(b"never comes"))
    server.faults.append(Fault("silence", "exec", after_bytes=0))
    made = send_request(api, sleep(cluster), "http://edition.cnn.com/", timeout=0.3)
    assert (made.tool, made.code, made.client_address) == ("curl", None, None)
    assert made.error == "curl did not report the result: no end after 0.5 s"
    assert len(server.requests) == 1


CURL_SAYS: dict[str, tuple[bytes, int, tuple[str | None, str | None, int | None, str]]] = {
    "IPv6": (
        b"\n%b|301|2001:db8::15|45848|2606:2800:220:1::1|443|\n", 0,
        ("[2001:db8::15]:45848", "[2606:2800:220:1::1]:443", 301, ""),
    ),
    "IPv4 as IPv6": (
        b"\n%b|200|::ffff:10.244.1.15|45848|::ffff:151.101.1.67|80|\n", 0,
        ("10.244.1.15:45848", "151.101.1.67:80", 200, ""),
    ),
    "no connection": (b"\n%b|000||0||0|\n", 7, (None, None, None, "the connection is refused, or there is no route (E)")),
    "an old curl without local_ip": (b"\n%b|200|||||\n", 0, (None, None, 200, "")),
    "an answer that ended early": (
        b"\n%b|200|10.244.1.15|1|1.2.3.4|80|\n", 18, ("10.244.1.15:1", "1.2.3.4:80", 200, "the response ended early (E)"),
    ),
    "junk before and after": (
        b"\x1b[2J\xff" * 9000 + b"\n%b|204|10.244.1.15|99|1.2.3.4|80|\n\x00\x1b]0;x\x07", 0,
        ("10.244.1.15:99", "1.2.3.4:80", 204, ""),
    ),
    "addresses that are none": (b"\n%b|200|;rm -rf|99999|<b>|-1|\n", 0, (None, None, None, "X")),
    "a port that is none": (b"\n%b|200|10.0.0.1|99999|1.2.3.4|0|\n", 0, (None, None, 200, "")),
    "another's line": (b"\negresslog-probe/0000000000000000|200|6.6.6.6|66|6.6.6.6|66|\n", 0, (None, None, None, "X")),
    "nothing": (b"", 0, (None, None, None, "X")),
    "a signal": (b"", 137, (None, None, None, "X")),
    "an exit code nobody knows": (b"\n%b|000||0||0|\n", 89, (None, None, None, "exit code 89 (E)")),
}  # fmt: skip


@pytest.mark.parametrize(("stdout", "exit_code", "told"), CURL_SAYS.values(), ids=CURL_SAYS)
def test_what_curl_may_print(
    cluster: Cluster, api: Api, stdout: bytes, exit_code: int, told: tuple[str | None, str | None, int | None, str]
) -> None:
    def curl(request: ExecRequest) -> ExecResult:
        marker = request.command[request.command.index("-A") + 1].encode()
        return ExecResult(stdout.replace(b"%b", marker), b"E", exit_code)

    cluster.commands.append(curl)
    made = send_request(api, sleep(cluster), "http://edition.cnn.com/")
    error = "curl did not report the result: E" if told[3] == "X" else told[3]
    assert (made.client_address, made.server_address, made.code, made.error) == (*told[:3], error)


def test_a_flood_instead_of_an_answer(cluster: Cluster, api: Api) -> None:
    cluster.commands.append(lambda _: ExecResult(b"\x1b[31m|" * (2 * LIMIT), b"\x1b[2J" * LIMIT, 0))
    made = send_request(api, sleep(cluster), "http://edition.cnn.com/")
    assert (made.code, made.client_address) == (None, None)
    assert made.error == (
        "curl did not report the result: the output is longer than 1048576 bytes; the rest was dropped"
    )


def test_a_url_never_becomes_an_option() -> None:
    """Nor a pattern, a second request, or something that a configuration file in the image decides."""
    curl, gnu, *busybox = commands("-K/etc/passwd", "mark", 2.5)
    assert curl[:3] == ("curl", "-q", "-g")
    assert curl[-2:] == ("--url", "-K/etc/passwd")
    assert curl[curl.index("--max-time") + 1] == "3"
    assert not {"-L", "--location", "-k", "--insecure"} & set(curl)
    assert {"--no-config", "--no-hsts", "--max-redirect=0"} < set(gnu)
    for wget in (gnu, *busybox):
        assert wget[-2:] == ("--", "-K/etc/passwd")
        assert wget[wget.index("-t") : wget.index("-t") + 2] == ("-t", "1")


# Which container, and which URL ---------------------------------------------------------------------------------------


def pod(*containers: str, default: str = "", running: bool = True, initial: tuple[str, ...] = ()) -> dict[str, Any]:
    state = {"running": {"startedAt": "2026-11-01T12:00:00Z"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
    annotations = {"kubectl.kubernetes.io/default-container": default} if default else {}
    return {
        "metadata": {"namespace": "default", "name": "sleep-1", "annotations": annotations},
        "spec": {
            "containers": [{"name": name} for name in containers],
            "initContainers": [{"name": name, "restartPolicy": "Always"} for name in initial],
        },
        "status": {
            "podIP": POD_IP,
            "containerStatuses": [{"name": name, "state": state if running else waiting} for name in containers],
            "initContainerStatuses": [{"name": name, "state": state} for name in initial],
        },
    }


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (pod("sleep", "istio-proxy"), "sleep"),
        (pod("istio-proxy", "sleep"), "sleep"),
        (pod("app", "helper", "istio-proxy"), "app"),
        (pod("app", "helper", "istio-proxy", default="helper"), "helper"),
        (pod("app", "istio-proxy", default="istio-proxy"), "app"),
        (pod("app", "istio-proxy", default="gone"), "app"),
        (pod("app", initial=("istio-proxy", "logger")), "app"),
        (pod("app", initial=("istio-proxy", "logger"), default="logger"), "app"),
    ],
)
def test_the_application_is_no_sidecar(given: dict[str, Any], name: str) -> None:
    found = application(given)
    assert isinstance(found, Container)
    assert (found.name, found.origin, found.ips) == (name, f"default/sleep-1/{name}", (POD_IP,))


def test_why_there_is_no_application() -> None:
    said = "pod default/sleep-1 has no container but istio-proxy: there is nothing to send a request from"
    assert application(pod("istio-proxy")) == said
    said = "pod default/sleep-1: container app is waiting (CrashLoopBackOff back-off 5m0s)"
    assert application(pod("app", "istio-proxy", running=False)) == said


@pytest.mark.parametrize(
    ("host", "given", "url"),
    [
        ("edition.cnn.com", None, "http://edition.cnn.com/"),
        ("Edition.CNN.com.", None, "http://edition.cnn.com/"),
        ("151.101.1.67", None, "http://151.101.1.67/"),
        ("2606:2800:220:1::1", None, "http://[2606:2800:220:1::1]/"),
        ("edition.cnn.com", "http://edition.cnn.com/politics", "http://edition.cnn.com/politics"),
        ("edition.cnn.com", "HTTPS://Edition.cnn.com:8443", "https://edition.cnn.com:8443/"),
        ("edition.cnn.com", "https://edition.cnn.com./a?b=[1]&c=%20#part", "https://edition.cnn.com/a?b=[1]&c=%20"),
        ("*.wikipedia.org", "https://en.wikipedia.org/", "https://en.wikipedia.org/"),
        ("*", "https://en.wikipedia.org/", "https://en.wikipedia.org/"),
        ("151.101.0.0/16", "http://151.101.1.67/", "http://151.101.1.67/"),
        ("151.101.0.0/16", "http://edition.cnn.com/", "http://edition.cnn.com/"),
        ("::1", "http://[0:0:0::1]:8080/", "http://[::1]:8080/"),
    ],
)
def test_urls(host: str, given: str | None, url: str) -> None:
    assert url_of(host, given) == url


@pytest.mark.parametrize(
    ("host", "given", "said"),
    [
        ("*.wikipedia.org", None, "no single host to probe: give a URL, such as --probe https://www.wikipedia.org/"),
        ("*", None, "no single host to probe"),
        ("10.0.0.0/8", None, "no single host to probe: give a URL"),
        ("a b", None, "not a host to probe: 'a b'"),
        ("-K/etc/passwd", None, "no single host"),
        ("-K", None, "not a host to probe"),
        ("", None, "not a host to probe"),
        ("1.2.3", None, "not a host to probe"),
        ("0x7f.1", None, "not a host to probe"),
        ("a..b", None, "not a host to probe"),
        ("edition.cnn.com:80", None, "a port goes into a URL"),
        ("münchen.example", None, "not a host to probe"),
        ("edition.cnn.com", "edition.cnn.com/politics", "give http://... or https://..."),
        ("edition.cnn.com", "-K/etc/passwd", "give http://... or https://..."),
        ("edition.cnn.com", "file:///etc/passwd", "give http://... or https://..."),
        ("edition.cnn.com", "ftp://edition.cnn.com/", "give http://... or https://..."),
        ("edition.cnn.com", "", "give http://... or https://..."),
        ("edition.cnn.com", "http://", "not a host to probe"),
        ("edition.cnn.com", "http:///x", "not a host to probe"),
        ("edition.cnn.com", "http://edition.cnn.com:0/", "port 0"),
        ("edition.cnn.com", "http://edition.cnn.com:99999/", "not a URL to probe"),
        ("edition.cnn.com", "http://edition.cnn.com:x/", "not a URL to probe"),
        ("edition.cnn.com", "http://[::1/", "not a URL to probe"),
        ("edition.cnn.com", "http://edition.cnn.com/a b", "percent-encode"),
        ("edition.cnn.com", "http://edition.cnn.com/\r\nX: y", "percent-encode"),
        ("edition.cnn.com", "http://edition.cnn.com/\n", "percent-encode"),
        ("edition.cnn.com", 'http://edition.cnn.com/" "', "percent-encode"),
        ("edition.cnn.com", "http://edition.cnn.com/ü", "percent-encode"),
        ("edition.cnn.com", "http://evil.example\\.edition.cnn.com/", "percent-encode"),
        (
            "edition.cnn.com",
            "http://evil.example/",
            "is not about edition.cnn.com: give a URL of that host, or ask about",
        ),
        ("*.wikipedia.org", "http://wikipedia.org/", "is not about *.wikipedia.org"),
        ("10.0.0.0/8", "http://11.0.0.1/", "is not about 10.0.0.0/8"),
        ("*.wikipedia.org", "http://*.wikipedia.org/", "not a host to probe"),
        ("10.0.0.0/8", "http://10.0.0.0/8", ""),
    ],
)
def test_what_is_no_url_to_probe(host: str, given: str | None, said: str) -> None:
    if not said:  # a path, not a range
        assert url_of(host, given) == "http://10.0.0.0/8"
        return
    with pytest.raises(UsageError) as refused:
        url_of(host, given)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://u:hunter2@h/", "ftp://u:hunter2@h/", "http://u:hunter2ü@h:x/", "//u:hunter2@h"]
)
def test_credentials_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match="it holds credentials") as refused:
        url_of("h", url)
    assert "hunter2" not in str(refused.value)


# Its lines ------------------------------------------------------------------------------------------------------------

NOON = 1_793_534_400 * 10**9  # 2026-11-01T12:00:00Z, which lines.at counts from
MARK = "egresslog-probe/0123456789abcdef"


def request(
    *, client: str | None = f"{POD_IP}:45848", host: str = "edition.cnn.com", at: float = 10, marker: str = MARK
) -> Probe:
    begun = NOON + int(at * 10**9)
    return Probe(f"http://{host}/", host, 80, SLEEP, "curl", begun, begun + 10**9, client, None, 200, "", marker)


def sidecar_line(
    when: float = 10.3, *, pod: str = POD_IP, client: int = 45848, local_port: int = 50001, host: str = "edition.cnn.com",
    agent: str | None = None, downstream_remote: str | None = None, **more: object,
) -> str:  # fmt: skip
    """A sidecar's line towards the gateway: of HTTP with a user agent, else of TLS."""
    values: dict[str, object] = {
        "upstream": f"{GATEWAY}:8443", "cluster": f"outbound|443|cnn|{GATEWAY_SERVICE}", "upstream_local": f"{pod}:{local_port}",
        "downstream_local": f"{OUTSIDE}:443", "downstream_remote": downstream_remote or f"{pod}:{client}", "sni": host,
    }  # fmt: skip
    if agent is not None:
        values |= {
            "request": "GET / HTTP/1.1", "code": 200, "details": "via_upstream", "received": 0, "agent": agent,
            "authority": host, "sni": "-", "downstream_local": f"{OUTSIDE}:80",
        }  # fmt: skip
    return line(when, **{**values, **more})  # type: ignore[arg-type]


def gateway_line(
    when: float = 10.3,
    *,
    pod: str = POD_IP,
    local_port: int = 50001,
    host: str = "edition.cnn.com",
    agent: str | None = None,
) -> str:
    values: dict[str, object] = {
        "upstream": f"{OUTSIDE}:443", "cluster": f"outbound|443||{host}", "upstream_local": f"{GATEWAY}:60000",
        "downstream_local": f"{GATEWAY}:8443", "downstream_remote": f"{pod}:{local_port}", "sni": host,
    }  # fmt: skip
    if agent is not None:
        values |= {
            "request": "GET / HTTP/2", "code": 200, "details": "via_upstream", "received": 0, "agent": agent,
            "authority": host, "sni": "-", "forwarded": pod,
        }  # fmt: skip
    return line(when, **values)  # type: ignore[arg-type]


class Evidence:
    """Logs as the cluster's have their names, and what is found in their evidence."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._numbers = directory, itertools.count()
        self._logs: dict[str, list[str]] = {"istio-system/gw-1/istio-proxy": []}

    def sidecar(self, *lines: str, of: str = "default/sleep-1") -> None:
        self._logs.setdefault(f"{of}/istio-proxy", []).extend(lines)

    def gateway(self, *lines: str) -> None:
        self._logs["istio-system/gw-1/istio-proxy"].extend(lines)

    def find(self, probe: Probe, hosts: tuple[str, ...] = ("edition.cnn.com",), form: Any = None) -> ProbeLines:
        for origin, lines in self._logs.items():
            write_log(self._directory / origin, lines)
        gateway, *sidecars = self._logs
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self._directory)  # so that paths look like the cluster's origins
            logs = {"gateway": egresslog.read(gateway, form), "sidecars": egresslog.read(sidecars, form)}
            found = egresslog.verify(hosts, **(logs if sidecars else {"gateway": logs["gateway"]}))
            return locate(probe, found.to_arrow(), form)


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path)


def numbers(found: ProbeLines) -> list[tuple[str, int]]:
    """Whose lines they are."""
    rows = found.rows.select(["sidecar_origin", "sidecar_line_number", "gateway_line_number"]).to_pylist()
    return [
        (f"{row['sidecar_origin'] or 'gateway'}".split("/")[1 if row["sidecar_origin"] else 0],
         row["sidecar_line_number"] or row["gateway_line_number"]) for row in rows
    ]  # fmt: skip


def test_a_tls_connection_is_known_by_its_address(evidence: Evidence) -> None:
    """Not by the host, not by the time: others of the same pod and second are there, and other pods' same port."""
    evidence.sidecar(
        sidecar_line(client=45847, local_port=50000), sidecar_line(), sidecar_line(client=5848, local_port=50002),
        sidecar_line(client=40000, local_port=45848),  # Envoy's own port is the same number
        sidecar_line(70, local_port=50003), sidecar_line(10.3, host="other.example.com", local_port=50004, client=45849),
    )  # fmt: skip
    evidence.sidecar(sidecar_line(pod="10.244.1.16"), of="default/sleep-2")
    evidence.sidecar(
        sidecar_line(downstream_remote=f"{POD_IP}:45848", local_port=50009), of="default/sleep-11"
    )  # another log
    evidence.gateway(gateway_line())
    found = evidence.find(request())
    assert (found.found_by, found.note, numbers(found)) == ("address", "", [("sleep-1", 2)])
    assert found.rows["verdict"].to_pylist() == ["PROVEN"]
    assert found.rows["gateway_line_number"].to_pylist() == [1]


def test_a_port_that_came_back(evidence: Evidence) -> None:
    """Seven minutes before, or now to another host."""
    evidence.sidecar(sidecar_line(10.3, client=45848, host="other.example.com"), sidecar_line(430))
    found = evidence.find(request(), ("edition.cnn.com", "other.example.com"))
    assert (found.found_by, len(found.rows)) == (None, 0)
    assert found.note.startswith(
        "the lines of default/sleep-1 at that time belong to other requests; a line is written"
    )


def test_an_http_request_is_known_by_its_address(evidence: Evidence) -> None:
    evidence.sidecar(
        sidecar_line(agent="curl/8", local_port=50000, client=45847), sidecar_line(agent=MARK),
        sidecar_line(agent=MARK, client=45849, local_port=50002),  # the pod itself says the same
    )  # fmt: skip
    evidence.gateway(gateway_line(agent=MARK))
    found = evidence.find(request())
    assert (found.found_by, numbers(found)) == ("address", [("sleep-1", 2)])
    # The same port, and another user agent: what had the port before.
    other = evidence.find(request(client=f"{POD_IP}:45847"))
    assert other.found_by == "marker"


def test_ipv6_is_one_address_in_any_spelling(evidence: Evidence) -> None:
    evidence.sidecar(sidecar_line(pod="[2001:db8:0::15]"), sidecar_line(pod="[2001:db8::15]", client=1))
    assert numbers(evidence.find(request(client="[2001:db8::15]:45848"))) == [("sleep-1", 1)]


def test_another_clients_marker_is_not_ours(evidence: Evidence) -> None:
    """In another pod's log, and at the gateway from another address, whatever the client writes into its request."""
    evidence.sidecar(
        sidecar_line(pod="10.244.1.16", agent=MARK),
        sidecar_line(pod="10.244.1.16", agent=MARK, client=45848, local_port=50005, downstream_remote=f"{POD_IP}:0"),  # by X-Forwarded-For
        of="evil/evil-1",
    )  # fmt: skip
    evidence.gateway(gateway_line(pod="10.244.1.17", agent=MARK, local_port=4))
    for asked in (request(), request(client=None)):
        found = evidence.find(asked)
        assert (found.found_by, len(found.rows)) == (None, 0)
        assert found.note.startswith("no line of default/sleep-1 at that time; ")


def test_wget_is_known_by_its_marker(evidence: Evidence) -> None:
    evidence.sidecar(
        sidecar_line(agent="Wget"), sidecar_line(agent=MARK, local_port=50002), sidecar_line(local_port=50003)
    )
    evidence.sidecar(sidecar_line(pod="10.244.1.16", agent=MARK), of="evil/evil-1")
    found = evidence.find(request(client=None))
    assert (found.found_by, found.note, numbers(found)) == ("marker", "", [("sleep-1", 2)])


def test_a_clock_minutes_ahead(evidence: Evidence) -> None:
    """The marker is still known; a port or a time are not trusted that far."""
    evidence.sidecar(sidecar_line(310, agent=MARK), sidecar_line(310, local_port=50002))
    assert evidence.find(request()).found_by == "marker"
    assert evidence.find(request(marker="egresslog-probe/ffffffffffffffff")).found_by is None


def test_wget_and_tls_leave_the_time(evidence: Evidence) -> None:
    """No address and no user agent: what there is, and that it is not certain."""
    evidence.sidecar(
        sidecar_line(), sidecar_line(11.5, client=2, local_port=50002), sidecar_line(host="other.example.com", local_port=50003),
        sidecar_line(agent="app/1", local_port=50004), sidecar_line(18, local_port=50005), sidecar_line(3, local_port=50006),
    )  # fmt: skip
    found = evidence.find(request(client=None))
    assert (found.found_by, numbers(found)) == ("time", [("sleep-1", 1), ("sleep-1", 2)])
    assert found.note == "it may be another request of default/sleep-1"


def test_a_known_address_that_is_not_there_leaves_nothing_to_guess(evidence: Evidence) -> None:
    evidence.sidecar(sidecar_line(client=2))
    assert evidence.find(request()).found_by is None
    assert evidence.find(request(client=None)).found_by == "time"


def test_only_the_gateways_line(evidence: Evidence) -> None:
    """The sidecar's log is not there, or its line not yet: the marker counts from the pod's own IP."""
    evidence.gateway(gateway_line(agent=MARK), gateway_line(pod="10.244.1.16", agent=MARK, local_port=7))
    found = evidence.find(request())
    assert (found.found_by, numbers(found)) == ("marker", [("gateway", 1)])


def test_a_forged_user_agent_is_no_marker(evidence: Evidence) -> None:
    """An application that writes fields into its user agent makes the line ambiguous."""
    forged = f'x" "{MARK}" "a" "edition.cnn.com'
    evidence.sidecar(sidecar_line(agent=forged, client=3), sidecar_line(agent=f"{MARK} ", client=4, local_port=50002))
    assert evidence.find(request(client=None)).found_by is None


def test_json_logs_and_own_formats(evidence: Evidence) -> None:
    """Columns are read by the log's own format; a format without them leaves the time."""
    short = '[%START_TIME%] %REQ(:METHOD)% %REQ(:AUTHORITY)% "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER%'
    text = '[2026-11-01T12:00:10.300Z] GET edition.cnn.com "10.244.2.20:8443" outbound|80|cnn|' + GATEWAY_SERVICE
    evidence.sidecar(text, text.replace("12:00:10", "12:01:10"))
    found = evidence.find(request(), form=short)
    assert (found.found_by, numbers(found)) == ("time", [("sleep-1", 1)])


def test_json(evidence: Evidence) -> None:
    value = {
        "start_time": "2026-11-01T12:00:10.300Z", "method": "GET", "path": "/", "protocol": "HTTP/1.1",
        "response_code": 200, "response_flags": "-", "response_code_details": "via_upstream",
        "connection_termination_details": None, "upstream_transport_failure_reason": None, "bytes_received": 0,
        "bytes_sent": 5000, "duration": 100, "upstream_service_time": "90", "x_forwarded_for": None,
        "user_agent": MARK, "request_id": "00000000-0000-4000-8000-000000000001", "authority": "edition.cnn.com",
        "upstream_host": f"{GATEWAY}:8080", "upstream_cluster": f"outbound|80|cnn|{GATEWAY_SERVICE}",
        "upstream_local_address": f"{POD_IP}:50001", "downstream_local_address": f"{OUTSIDE}:80",
        "downstream_remote_address": f"{POD_IP}:45848", "requested_server_name": None, "route_name": "default",
    }  # fmt: skip
    other = value | {"downstream_remote_address": f"{POD_IP}:45847", "user_agent": "app"}
    evidence.sidecar(json.dumps(other), json.dumps(value))
    assert numbers(evidence.find(request())) == [("sleep-1", 2)]
    assert evidence.find(request(client=None)).found_by == "marker"


def test_no_evidence_at_all(evidence: Evidence) -> None:
    evidence.sidecar()
    found = evidence.find(request())
    assert (found.found_by, len(found.rows)) == (None, 0)
    assert found.note == (
        "no line of default/sleep-1 at that time; a line is written when its request or connection has ended"
    )
