"""One client's TLS connection: reading and writing that end when the server stops."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from contextlib import suppress

# Small, so that a client which does not read is felt soon: a fixed size also turns off its automatic growth.
SEND_BUFFER = 256 * 1024

_READ, _WRITE = select.POLLIN, select.POLLOUT


class GoneError(Exception):
    """The connection is over, or is to be: the client left, the server stops, or a fault wants it."""


class Connection:
    """Used by one thread. `stop` is a socket that becomes readable when the server stops."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, stop: socket.socket) -> None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(False)
        self._socket = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        self._stop = stop.fileno()
        self._buffer = bytearray()
        self._ended = False

    def handshake(self) -> None:
        """Agree on TLS."""
        while True:
            try:
                self._socket.do_handshake()
            except ssl.SSLWantReadError:
                self._poll(_READ)
            except ssl.SSLWantWriteError:
                self._poll(_WRITE)
            except OSError as error:
                raise GoneError from error
            else:
                return

    def read_until(self, end: bytes) -> bytes:
        """Everything up to and with `end`."""
        while (position := self._buffer.find(end)) < 0:
            self._fill()
        return self._take(position + len(end))

    def read(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < size:
            self._fill()
        return self._take(size)

    def send(self, data: bytes) -> None:
        """All of it; waits for as long as the client does not read."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except ssl.SSLWantWriteError:
                self._poll(_WRITE)
            except ssl.SSLWantReadError:
                self._poll(_READ)
            except OSError as error:
                raise GoneError from error

    def check(self) -> None:
        """Raises when the client has left."""
        self._poll(0, timeout=0)
        try:
            data = self._socket.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise GoneError from error
        if not data:
            raise GoneError
        self._buffer += data

    def wait_gone(self) -> None:
        """Say nothing until the client has left; raises then."""
        while True:
            self.check()
            self._poll(_READ)

    def reset(self) -> None:
        """RST: the client's next read or write is an error (which Python before 3.13 calls an end of TLS)."""
        if self._ended:
            return
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._close()

    def close(self) -> None:
        """End of TLS and of TCP, in order."""
        with suppress(OSError, ValueError):
            # Without blocking this says goodbye and does not wait for an answer.
            self._socket.unwrap()
        self._close()

    def _close(self) -> None:
        self._ended = True
        self._socket.close()

    def _fill(self) -> None:
        try:
            data = self._socket.recv(65536)
        except ssl.SSLWantReadError:
            self._poll(_READ)
            return
        except ssl.SSLWantWriteError:
            self._poll(_WRITE)
            return
        except OSError as error:
            raise GoneError from error
        if not data:
            raise GoneError
        self._buffer += data

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _poll(self, events: int, timeout: int | None = None) -> None:
        if self._ended:
            raise GoneError
        poll = select.poll()
        poll.register(self._socket, events)
        poll.register(self._stop, _READ)
        if any(descriptor == self._stop for descriptor, _ in poll.poll(timeout)):
            raise GoneError
