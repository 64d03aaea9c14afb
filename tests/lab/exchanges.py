"""What a client sends and waits for: exact bytes, and the end of each exchange."""

from __future__ import annotations

import http.client
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from socket import MSG_WAITALL, socket
from typing import TYPE_CHECKING, Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded, StreamReset

from .outside import INSTRUCTIONS, Event

if TYPE_CHECKING:
    from collections.abc import Callable

UPGRADE = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: ZWdyZXNzbG9nLXNhbXBsZQ==",
)


@dataclass(frozen=True)
class Talk:
    """A connection to `host`, and what an exchange may do in its midst.

    That is to open another connection, to wait for an event at the outside servers, and whatever
    `meanwhile` is.
    """

    connection: socket
    host: str
    connect: Callable[[], socket]
    wait: Callable[[Event], None]
    meanwhile: Callable[[], None]


class Exchange(Protocol):
    """What happens on a connection."""

    def carry_out(self, talk: Talk) -> None:
        """Send, and wait for what comes back."""


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
    """Requests on one connection, over TLS if `sni` is given.

    A `patient` client goes on after its first TLS message only when an outside server was reached.
    """

    requests: tuple[Request, ...]
    sni: str = ""
    patient: bool = False

    def carry_out(self, talk: Talk) -> None:
        """One request after the other."""
        if not self.sni:
            self._converse(talk.connection, talk.host)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(talk.connection, do_handshake_on_connect=False, server_hostname=self.sni) as tls:
            if self.patient:
                _say_hello(tls)
                talk.wait("accepted")
            tls.do_handshake()
            self._converse(tls, talk.host)
            tls.unwrap()

    def _converse(self, connection: socket, host: str) -> None:
        for request in self.requests:
            connection.sendall(request.encode(host))
            _read_answer(connection, request.method)


@dataclass(frozen=True)
class Together:
    """Pairs of requests: one on the connection, at the same time the other on another one."""

    pairs: tuple[tuple[Request, Request], ...]

    def carry_out(self, talk: Talk) -> None:
        """Both are sent before either answer is read."""
        with talk.connect() as other:
            connections = (talk.connection, other)
            for pair in self.pairs:
                for connection, request in zip(connections, pair, strict=True):
                    connection.sendall(request.encode(talk.host))
                for connection, request in zip(connections, pair, strict=True):
                    _read_answer(connection, request.method)


@dataclass(frozen=True)
class Abort:
    """A request held by the outside server; the client goes away, if `started` in the midst of the answer."""

    request: Request
    started: bool = False

    def carry_out(self, talk: Talk) -> None:
        """Send, wait until the server holds the request."""
        talk.connection.sendall(self.request.encode(talk.host))
        talk.wait("held")
        if self.started:
            talk.connection.recv(1)


@dataclass(frozen=True)
class Raw:
    """Bytes; then reading until the other side ends the connection."""

    data: bytes

    def carry_out(self, talk: Talk) -> None:
        """Send, read to the end."""
        talk.connection.sendall(self.data)
        _read_to_end(talk.connection)


@dataclass(frozen=True)
class Echo:
    """Bytes; then reading until as many have come back; once more if the connection stays `open_for` seconds."""

    data: bytes
    open_for: float = 0

    def carry_out(self, talk: Talk) -> None:
        """Send and read, perhaps twice."""
        _echo(talk.connection, self.data)
        if self.open_for:
            time.sleep(self.open_for)
            _echo(talk.connection, self.data)


@dataclass(frozen=True)
class Cut:
    """Bytes that come back; then the other side ends the connection because of what happens meanwhile."""

    data: bytes

    def carry_out(self, talk: Talk) -> None:
        """Send and read, let it happen, read to the end."""
        _echo(talk.connection, self.data)
        talk.meanwhile()
        _read_to_end(talk.connection)


@dataclass(frozen=True)
class WebSocket:
    """An upgraded connection; bytes that come back."""

    data: bytes
    path: str = "/"

    def carry_out(self, talk: Talk) -> None:
        """Upgrade, then send and read."""
        talk.connection.sendall(Request(self.path, headers=UPGRADE).encode(talk.host))
        _read_answer(talk.connection, "GET")
        _echo(talk.connection, self.data)


@dataclass(frozen=True)
class Call:
    """One gRPC call over HTTP/2 without negotiation; `answer` as in `Request`."""

    path: str
    answer: str
    message: bytes = b"\0\0\0\0\0"

    def carry_out(self, talk: Talk) -> None:
        """Send one stream, read it to its end."""
        http2 = H2Connection(H2Configuration(header_encoding=None))
        http2.initiate_connection()
        pseudo = {":method": "POST", ":scheme": "http", ":authority": talk.host, ":path": self.path}
        headers = {
            "content-type": "application/grpc",
            "content-length": str(len(self.message)),
            "te": "trailers",
            "user-agent": "grpc-go/1.70.0",
            INSTRUCTIONS: self.answer,
        }
        http2.send_headers(1, [*pseudo.items(), *headers.items()])
        http2.send_data(1, self.message, end_stream=True)
        talk.connection.sendall(http2.data_to_send())
        ended = False
        while not ended and (data := talk.connection.recv(65536)):
            ended = any(isinstance(event, StreamEnded | StreamReset) for event in http2.receive_data(data))
            talk.connection.sendall(http2.data_to_send())


def _say_hello(tls: ssl.SSLSocket) -> None:
    timeout = tls.gettimeout()
    tls.setblocking(False)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    tls.settimeout(timeout)


def _read_answer(connection: socket, method: str) -> None:
    response = http.client.HTTPResponse(connection, method=method)
    with suppress(http.client.IncompleteRead):
        response.begin()
        response.read()


def _echo(connection: socket, data: bytes) -> None:
    connection.sendall(data)
    connection.recv(len(data), MSG_WAITALL)


def _read_to_end(connection: socket) -> None:
    while connection.recv(65536):
        pass
