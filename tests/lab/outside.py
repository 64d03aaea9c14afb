"""The outside world: HTTP, TLS and opaque TCP servers on loopback addresses."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Literal, Self

from .mesh import ADDRESSES, OTHER_ADDRESS, PORTS, REFUSED_ADDRESS, TCP, TLS, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .certificates import Identity

WAIT = 5.0
"""Seconds after which anything in the lab that has not happened is an error."""

INSTRUCTIONS = "x-lab"
"""Request header that tells the server what to answer: `status=404 bytes=12 ms=3 act=hold`.

`act` is `hold` (never answer) or `close` (hang up without an answer); with `half-` in front, after half the
body. `grpc` is the status of a gRPC answer. No access log shows this header, so the path stays free.
"""

Event = Literal["accepted", "held"]
"""What clients may wait for: a connection was accepted, a request was put on hold."""

_TLS_HANDSHAKE = b"\x16"


class Outside:
    """Servers on every outside address: HTTP on the ports HTTP and UNLISTED, HTTPS on TLS, echo on TCP.

    `ports` maps those service ports to the real ones, `refused` is an endpoint nobody listens on. All TLS
    servers have the same `identity`.
    """

    def __init__(self, identity: Identity) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(identity.certificate, identity.key)
        self._refused = socket.socket()
        self._refused.bind((REFUSED_ADDRESS, 0))
        self.refused = Endpoint(*self._refused.getsockname())
        self.ports: dict[int, int] = {}
        self._seen: Counter[Event] = Counter()
        self._change = Condition()
        self._selector = selectors.DefaultSelector()
        serve = {TLS: self._serve_tls, TCP: _echo}
        for service_port in PORTS:
            sockets = _listen({*sum(ADDRESSES.values(), ()), OTHER_ADDRESS})
            self.ports[service_port] = sockets[0].getsockname()[1]
            for listener in sockets:
                self._selector.register(listener, selectors.EVENT_READ, serve.get(service_port, self._serve_http))
        self._wake, waker = socket.socketpair()
        self._selector.register(waker, selectors.EVENT_READ, None)
        self._thread = Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.close()
        self._thread.join(WAIT)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        self._refused.close()

    @property
    def seen(self) -> Counter[Event]:
        """How often each event happened so far."""
        with self._change:
            return self._seen.copy()

    def wait(self, event: Event, count: int) -> None:
        """Wait until `event` has happened `count` times."""
        with self._change:
            if not self._change.wait_for(lambda: self._seen[event] >= count, WAIT):
                raise TimeoutError(f"{event} {self._seen[event]} instead of {count} times at the outside servers")

    def hold(self, connection: socket.socket) -> None:
        """Count a request as held, then wait for its connection to end."""
        self._notice("held")
        with suppress(OSError):
            while connection.recv(4096):
                pass

    def _notice(self, event: Event) -> None:
        with self._change:
            self._seen[event] += 1
            self._change.notify_all()

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                assert isinstance(key.fileobj, socket.socket)
                if key.data is None:
                    return
                connection, _ = key.fileobj.accept()
                self._notice("accepted")
                Thread(target=_serve, args=(key.data, connection), daemon=True).start()

    def _serve_http(self, connection: socket.socket) -> None:
        _Handler(connection, self)

    def _serve_tls(self, connection: socket.socket) -> None:
        with self._tls.wrap_socket(connection, server_side=True) as tls:
            _Handler(tls, self)
            with suppress(OSError):
                tls.unwrap()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    outside: Outside

    def __init__(self, connection: socket.socket, outside: Outside) -> None:
        self.outside = outside
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]

    def handle(self) -> None:
        if self.rfile.peek(1)[:1] == _TLS_HANDSHAKE:  # type: ignore[attr-defined]
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            self.wfile.flush()
        else:
            super().handle()

    def answer(self) -> None:
        if self.headers.get("upgrade") == "websocket":
            self._upgrade()
            return
        self.rfile.read(int(self.headers.get("content-length", 0)))
        wanted: dict[str, str] = dict(pair.split("=", 1) for pair in self.headers.get(INSTRUCTIONS, "").split())
        size, act = int(wanted.get("bytes", 0)), wanted.get("act", "")
        time.sleep(int(wanted.get("ms", 0)) / 1000)
        if act in ("hold", "close"):
            self._hang(act)
            return
        self.send_response(int(wanted.get("status", 200)))
        self.send_header("content-length", str(size))
        if "grpc" in wanted:
            self.send_header("content-type", "application/grpc")
            self.send_header("grpc-status", wanted["grpc"])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"x" * (size // 2 if act else size))
        self.wfile.flush()
        if act:
            self._hang(act.removeprefix("half-"))

    def _upgrade(self) -> None:
        self.close_connection = True
        self.send_response(101)
        self.send_header("connection", "Upgrade")
        self.send_header("upgrade", "websocket")
        self.end_headers()
        self.wfile.flush()
        _echo(self.connection)

    def _hang(self, act: str) -> None:
        self.close_connection = True
        if act == "hold":
            self.outside.hold(self.connection)

    do_GET = do_HEAD = do_POST = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """The servers keep no log of their own."""


def _serve(handle: Callable[[socket.socket], None], connection: socket.socket) -> None:
    # A client that hangs up, or does not finish its handshake, is part of the scenarios.
    with connection, suppress(OSError):
        handle(connection)


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def _listen(addresses: set[str]) -> list[socket.socket]:
    """Listen on all `addresses` at one and the same free port."""
    for _ in range(20):
        sockets: list[socket.socket] = []
        port = 0
        try:
            for address in sorted(addresses):
                sockets.append(socket.create_server((address, port)))
                port = sockets[0].getsockname()[1]
        except OSError:
            for listener in sockets:
                listener.close()
        else:
            return sockets
    raise OSError("no port is free on all outside addresses")
