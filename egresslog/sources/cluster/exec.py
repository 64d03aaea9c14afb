"""One command in a container, over the API's WebSocket: no standard input, no terminal.

The official client's Configuration provides address and TLS settings. Its ``stream`` package is not used: it waits
without limit for a server that does not answer, sends the token along when it is redirected, keeps all output in
memory, and its ``returncode`` crashes if the command could not be started (kubernetes 37.0.2).
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import CookieError
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from egresslog.errors import ClusterError
from egresslog.sources.cluster.answers import connection_failure, error_of
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.deadline import deadline
from egresslog.sources.cluster.pods import Container
from egresslog.sources.messages import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client import Configuration

    from egresslog.sources.cluster.web_socket import LimitedWebSocket

LIMIT = 1024 * 1024  # bytes kept of each stream
_CONNECT = 10.0  # seconds
_LINGER = 1.0  # seconds for output that is still on its way after the server has sent the result
_LEAST = 0.001  # seconds: zero would make the socket non-blocking
_STDOUT, _STDERR, _ERROR = 1, 2, 3  # channels
_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]  # v5 adds closing standard input, which is not used here
_RUNTIME_MESSAGE = 500  # bytes
# Exit codes with which dockershim and CRI-O report on the command's own output what others report on the error channel.
_RUNTIME_CODES = (126, 127, 255)


@dataclass(frozen=True)
class CommandResult:
    """The result of a command.

    Attributes:
        command: the program and its arguments.
        stdout, stderr: at most LIMIT bytes of each; the rest was dropped.
        code: the exit code, None if it is not known.
        problem: in one line, what went wrong other than in the command itself; "" for nothing.
        ended: whether the server reported the end. If not, the command may have run, or may still be running.
    """

    command: tuple[str, ...]
    stdout: bytes
    stderr: bytes
    code: int | None
    problem: str
    ended: bool

    @property
    def missing(self) -> bool:
        """Whether the container has no such program.

        The API reports it as any other InternalError (tests/kubeapi/recordings/exec-not-found.json): only the message
        tells, and each container runtime has its own.
        """
        message = ""
        if self.ended and self.code is None:
            message = self.problem
        elif self.code in _RUNTIME_CODES:
            message = one_line(self.stderr[:_RUNTIME_MESSAGE] + b" " + self.stdout[:_RUNTIME_MESSAGE])
        name = re.escape(self.command[0])
        not_found = "not found|no such file|cannot find the file"
        return bool(re.search(rf"(?<!\w){name}(?!\w).{{0,300}}?({not_found})", message, re.IGNORECASE))


def execute(cluster: Cluster, container: Container, command: Sequence[str], *, timeout: float = 30) -> CommandResult:
    """Runs a command once. It is never tried again, since it may have taken effect.

    Args:
        cluster: where.
        container: in which container.
        command: a program and its arguments; no shell interprets them.
        timeout: seconds to wait for the end. After that the command goes on: Kubernetes does not end it.

    Raises:
        ClusterError: the server cannot be reached, or refuses: no right to ``pods/exec``, no such pod or container.
    """
    until = time.monotonic() + timeout
    query = [("container", container.name), ("stdout", "true"), ("stderr", "true")]
    path = f"{container.path}/exec?{urlencode([*query, *(('command', part) for part in command)])}"
    with _connected(cluster, container, path, until, min(timeout, _CONNECT)) as connection:
        return _read(connection, tuple(command), f"no end after {timeout:g} s")


@contextmanager
def _connected(
    cluster: Cluster, container: Container, path: str, until: float, timeout: float
) -> Iterator[LimitedWebSocket]:
    from websocket import WebSocketBadStatusException, WebSocketException  # noqa: PLC0415

    from egresslog.sources.cluster.web_socket import LimitedWebSocket  # noqa: PLC0415

    is_over = Event()
    scheme, _, rest = cluster.configuration.host.partition("://")
    headers = cluster.request_headers()
    proxy = _proxy(cluster)
    try:
        connection = LimitedWebSocket(until, sslopt=_trust(cluster.configuration), skip_utf8_validation=True)
        with deadline(timeout, connection.abort) as is_over:
            connection.connect(  # type: ignore[no-untyped-call]
                f"{'ws' if scheme == 'http' else 'wss'}://{rest}{path}", header=headers, subprotocols=_PROTOCOLS,
                suppress_origin=True, redirect_limit=0, timeout=timeout, **proxy,
            )  # fmt: skip
    except WebSocketBadStatusException as error:
        body, answer_headers = error.resp_body or b"", error.resp_headers or {}
        refusal = error_of(container.origin, error.status_code, body, answer_headers.get("retry-after"))
        if not body.lstrip().startswith(b"{"):
            reason = f"{refusal.reason}; not the answer of an API server: does a proxy block WebSockets?"
            refusal = ClusterError(refusal.origin, reason, refusal.status)
        raise refusal from None
    except (WebSocketException, OSError, ValueError, CookieError, OverflowError, MemoryError) as error:
        # The last two: it allocates as much as the Content-Length of an error says.
        name = f"{cluster.name} ({cluster.configuration.host})"
        reason = "cannot be reached: timed out" if is_over.is_set() else connection_failure(error)
        raise ClusterError(name, reason) from None
    try:
        yield connection
    finally:
        connection.shutdown()  # type: ignore[no-untyped-call]


def _trust(configuration: Configuration) -> dict[str, Any]:
    """The TLS settings of the client's other requests (``kubernetes.client.rest``)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.check_hostname = configuration.assert_hostname is not False
        if configuration.ssl_ca_cert or configuration.ca_cert_data:
            context.load_verify_locations(configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
        else:
            context.load_default_certs()
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return {"context": context, "server_hostname": configuration.tls_server_name}


def _proxy(cluster: Cluster) -> dict[str, Any]:
    """The proxy settings of the client's other requests.

    Raises:
        ClusterError: a SOCKS proxy, which websocket-client cannot use without another package.
    """
    from kubernetes.stream.ws_client import websocket_proxycare  # noqa: PLC0415

    configuration = cluster.configuration
    if not configuration.proxy:
        return {}
    if configuration.proxy.lower().startswith("socks"):
        reason = "commands in containers do not go through a SOCKS proxy: set an HTTP proxy-url in the kubeconfig"
        raise ClusterError(cluster.name, reason)
    options: dict[str, Any] = websocket_proxycare({}, configuration, None, None)  # type: ignore[no-untyped-call]
    return options


def _read(connection: LimitedWebSocket, command: tuple[str, ...], timed_out: str) -> CommandResult:
    """Reads to the end. Output above the limit is read as well, and dropped: the exit code comes last."""
    from websocket import ABNF, WebSocketException, WebSocketTimeoutException  # noqa: PLC0415

    kept = {channel: bytearray() for channel in (_STDOUT, _STDERR, _ERROR)}
    truncated = False
    problem = ""
    while not problem:
        try:
            connection.settimeout(max(connection.until - time.monotonic(), _LEAST))
            opcode, data = connection.recv_data(control_frame=True)
        except WebSocketTimeoutException:
            problem = timed_out
        except (WebSocketException, OSError, ValueError) as error:
            problem = f"the connection broke: {one_line(str(error))}"
        else:
            if opcode == ABNF.OPCODE_CLOSE:
                problem = f"the server ended the connection without a result {one_line(data[2:])}".rstrip()
            elif opcode in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and data[:1] and data[0] in kept:
                part = kept[data[0]]
                room = LIMIT - len(part)
                part += data[1 : 1 + room]
                truncated |= len(data) - 1 > room
                if data[0] == _ERROR:
                    connection.until = min(connection.until, time.monotonic() + _LINGER)
            if time.monotonic() > connection.until:  # there is data all the time
                problem = problem or timed_out
    ended = bool(kept[_ERROR])
    code, problem = _outcome(bytes(kept[_ERROR])) if ended else (None, problem)
    if truncated and not problem:
        problem = f"the output is longer than {LIMIT} bytes; the rest was dropped"
    return CommandResult(command, bytes(kept[_STDOUT]), bytes(kept[_STDERR]), code, problem, ended)


def _outcome(data: bytes) -> tuple[int | None, str]:
    """Exit code and problem of the Status that ends a command. An InternalError's causes hold no code."""
    try:
        status = json.loads(data)
        if status["status"] == "Success":
            return 0, ""
        causes = (status.get("details") or {}).get("causes") or ()
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        if codes:
            return int(codes[0]), ""
        message = str(status["message"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, one_line(data) or "the server gave no reason"
    while message.startswith("Internal error occurred: "):  # each server on the way prepends it
        message = message.removeprefix("Internal error occurred: ")
    return None, one_line(message)
