"""One command in a container, over the API's WebSocket: no standard input, no terminal.

The official client's Configuration says where the server is and how to trust it; its ``stream`` package does the rest
badly for us: it waits without end for a server that does not answer, takes the token along when it is redirected,
keeps all output, and its ``returncode`` crashes where the command could not be started (kubernetes 37.0.2).
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
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from egresslog.errors import ClusterError
from egresslog.sources.cluster.client import Cluster, refused, unreachable
from egresslog.sources.cluster.pods import Container

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client import Configuration
    from websocket import WebSocket

LIMIT = 1024 * 1024  # bytes kept of each stream
_CONNECT = 10.0  # seconds
_LINGER = 1.0  # seconds for what is still on its way after the server has told how the command ended
_LEAST = 0.001  # seconds: zero would mean not to wait at all
_STDOUT, _STDERR, _ERROR = 1, 2, 3  # channels
_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]  # the fifth can close standard input, which we do not have
_WORDS = 500  # characters of somebody else's message
# Exit codes of exec where the runtime tells on the command's own output what the others tell on the error channel:
# dockershim's and CRI-O's.
_RUNTIME = (126, 127, 255)


@dataclass(frozen=True)
class Executed:
    """What became of a command.

    Attributes:
        command: it and its arguments.
        stdout, stderr: at most LIMIT bytes of each; the rest was dropped.
        code: its exit code, None if it is not known.
        problem: in one line, what went wrong around it; "" for nothing.
        ended: whether the server told how it ended. If not, it may have run, and may be running.
    """

    command: tuple[str, ...]
    stdout: bytes
    stderr: bytes
    code: int | None
    problem: str
    ended: bool

    @property
    def missing(self) -> bool:
        """Whether the container has no such program. Each runtime says it in its own words."""
        said = ""
        if self.ended and self.code is None:
            said = self.problem
        elif self.code in _RUNTIME:
            said = one_line(self.stderr[:_WORDS] + b" " + self.stdout[:_WORDS])
        name = re.escape(self.command[0])
        wanting = "not found|no such file|cannot find the file"
        return bool(re.search(rf"(?<!\w){name}(?!\w).{{0,300}}?({wanting})", said, re.IGNORECASE))


def execute(cluster: Cluster, container: Container, command: Sequence[str], *, timeout: float = 30) -> Executed:
    """Runs a command once; it is never tried again, since it may have done its work.

    Args:
        cluster: where.
        container: in which container.
        command: a program and its arguments; no shell reads them.
        timeout: seconds until it is given up. The command goes on then: Kubernetes does not end it.

    Raises:
        ClusterError: the server cannot be reached, or refuses: no right to ``pods/exec``, no such pod or container.
    """
    deadline = time.monotonic() + timeout
    query = [("container", container.name), ("stdout", "true"), ("stderr", "true")]
    path = f"{container.path}/exec?{urlencode([*query, *(('command', part) for part in command)])}"
    with _connected(cluster, container, path, min(timeout, _CONNECT)) as connection:
        return _read(connection, tuple(command), deadline, f"no end after {timeout:g} s")


def one_line(said: str | bytes, most: int = _WORDS) -> str:
    """Somebody else's words, fit for a terminal: one line, no control characters, not too long."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    text = " ".join(text[: most * 4].split())
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


@contextmanager
def _connected(cluster: Cluster, container: Container, path: str, timeout: float) -> Iterator[WebSocket]:
    from websocket import WebSocket, WebSocketBadStatusException, WebSocketException  # noqa: PLC0415

    scheme, _, rest = cluster.configuration.host.partition("://")
    headers = cluster.headers()
    proxy = _proxy(cluster)
    try:
        connection = WebSocket(sslopt=_trust(cluster.configuration), skip_utf8_validation=True)
        connection.connect(  # type: ignore[no-untyped-call]
            f"{'ws' if scheme == 'http' else 'wss'}://{rest}{path}", header=headers, subprotocols=_PROTOCOLS,
            suppress_origin=True, redirect_limit=0, timeout=timeout, **proxy,
        )  # fmt: skip
    except WebSocketBadStatusException as error:
        answer, told = error.resp_body or b"", error.resp_headers or {}
        refusal = refused(container.origin, error.status_code, answer, told.get("retry-after"))
        if not answer.lstrip().startswith(b"{"):
            reason = f"{refusal.reason}; what answered is no API server: does a proxy stop WebSockets?"
            refusal = ClusterError(refusal.origin, reason, refusal.status)
        raise refusal from None
    except (WebSocketException, OSError, ValueError, CookieError) as error:
        name = f"{cluster.name} ({cluster.configuration.host})"
        raise ClusterError(name, one_line(unreachable(error))) from None
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
    """The proxy of the client's other requests, if it is one that can be used."""
    from kubernetes.stream.ws_client import websocket_proxycare  # noqa: PLC0415

    configuration = cluster.configuration
    if not configuration.proxy:
        return {}
    if configuration.proxy.lower().startswith("socks"):
        reason = "commands in containers do not go through a SOCKS proxy: set an HTTP proxy-url in the kubeconfig"
        raise ClusterError(cluster.name, reason)
    options: dict[str, Any] = websocket_proxycare({}, configuration, None, None)  # type: ignore[no-untyped-call]
    return options


def _read(connection: WebSocket, command: tuple[str, ...], deadline: float, late: str) -> Executed:
    """Reads to the end. What is above the limit is read as well, and dropped: the exit code comes last."""
    from websocket import ABNF, WebSocketException, WebSocketTimeoutException  # noqa: PLC0415

    kept = {channel: bytearray() for channel in (_STDOUT, _STDERR, _ERROR)}
    cut = False
    broken = ""
    while not broken:
        try:
            connection.settimeout(max(deadline - time.monotonic(), _LEAST))
            opcode, data = connection.recv_data(control_frame=True)
        except WebSocketTimeoutException:
            broken = late
        except (WebSocketException, OSError, ValueError) as error:
            broken = f"the connection broke off: {one_line(str(error))}"
        else:
            if opcode == ABNF.OPCODE_CLOSE:
                broken = f"the server ended the connection without a result {one_line(data[2:])}".rstrip()
            elif opcode in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and data[:1] and data[0] in kept:
                part = kept[data[0]]
                room = LIMIT - len(part)
                part += data[1 : 1 + room]
                cut |= len(data) - 1 > room
                if data[0] == _ERROR:
                    deadline = min(deadline, time.monotonic() + _LINGER)
            if time.monotonic() > deadline:  # something comes all the time
                broken = broken or late
    ended = bool(kept[_ERROR])
    code, problem = _outcome(bytes(kept[_ERROR])) if ended else (None, broken)
    if cut and not problem:
        problem = f"the output is longer than {LIMIT} bytes; the rest was dropped"
    return Executed(command, bytes(kept[_STDOUT]), bytes(kept[_STDERR]), code, problem, ended)


def _outcome(said: bytes) -> tuple[int | None, str]:
    """Exit code and problem of the Status that ends a command. An InternalError's causes hold no code."""
    try:
        status = json.loads(said)
        if status["status"] == "Success":
            return 0, ""
        causes = (status.get("details") or {}).get("causes") or ()
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        if codes:
            return int(codes[0]), ""
        message = str(status["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, one_line(said) or "the server did not say what went wrong"
    while message.startswith("Internal error occurred: "):  # each server on the way puts it in front
        message = message.removeprefix("Internal error occurred: ")
    return None, one_line(message)
