"""The application in the pod: sends exact bytes, waits for the end of each exchange."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .outside import INSTRUCTIONS, WAIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from .mesh import Endpoint


@dataclass(frozen=True)
class Request:
    """One HTTP/1.1 request; `answer` is what the outside server shall do (see `outside.INSTRUCTIONS`)."""

    path: str = "/"
    method: str = "GET"
    agent: bytes | None = b"curl/8.10.1"
    headers: tuple[bytes, ...] = ()
    body: bytes = b""
    answer: str = ""

    def encode(self, host: str) -> bytes:
        """The bytes on the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1".encode(), f"Host: {host}".encode()]
        if self.agent is not None:
            lines.append(b"User-Agent: " + self.agent)
        if self.body:
            lines.append(b"Content-Length: %d" % len(self.body))
        if self.answer:
            lines.append(f"{INSTRUCTIONS}: {self.answer}".encode())
        return b"\r\n".join([*lines, *self.headers, b"", self.body])


@dataclass(frozen=True)
class Http:
    """Requests on one connection, over TLS if `sni` is given."""

    requests: tuple[Request, ...]
    sni: str = ""


@dataclass(frozen=True)
class Abort:
    """A request held by the outside server; the client goes away, if `started` in the midst of the answer."""

    request: Request
    started: bool = False


@dataclass(frozen=True)
class Raw:
    """Bytes; then reading until the other side ends the connection."""

    data: bytes


@dataclass(frozen=True)
class Echo:
    """Bytes; then reading until as many have come back."""

    data: bytes


Exchange = Http | Abort | Raw | Echo


@dataclass(frozen=True)
class Way:
    """Where the client's connection starts and goes, and the address it believes to be talking to."""

    source: str
    entry: Endpoint
    wanted: Endpoint | None = None


def send(exchange: Exchange, host: str, way: Way, wait_held: Callable[[], None]) -> None:
    """Carry out `exchange` with `host`. How the proxies end the connection is theirs to decide."""
    with _connect(way) as connection, suppress(ConnectionError, ssl.SSLError):
        match exchange:
            case Http(requests, ""):
                _converse(connection, requests, host)
            case Http(requests, sni):
                with _client_tls().wrap_socket(connection, server_hostname=sni) as tls:
                    _converse(tls, requests, host)
                    tls.unwrap()
            case Abort(request, started):
                connection.sendall(request.encode(host))
                wait_held()
                if started:
                    connection.recv(1)
            case Raw(data):
                connection.sendall(data)
                while connection.recv(65536):
                    pass
            case Echo(data):
                connection.sendall(data)
                connection.recv(len(data), socket.MSG_WAITALL)


def _connect(way: Way) -> socket.socket:
    connection = socket.create_connection(way.entry, WAIT, (way.source, 0))
    if way.wanted:
        address, port = connection.getsockname()
        start = f"PROXY TCP4 {address} {way.wanted.address} {port} {way.wanted.port}\r\n"
        # Envoy drops a connection silently if it ends while the PROXY header is still being read, so no
        # exchange closes its sending half before something came back.
        connection.sendall(start.encode())
    return connection


def _client_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _converse(connection: socket.socket, requests: tuple[Request, ...], host: str) -> None:
    for request in requests:
        connection.sendall(request.encode(host))
        response = http.client.HTTPResponse(connection, method=request.method)
        with suppress(http.client.IncompleteRead):
            response.begin()
            response.read()
