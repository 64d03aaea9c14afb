"""Deadlines of requests, which no trickle of bytes can put off: a socket's own timeout starts anew with each."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.poolmanager import pool_classes_by_scheme

from egresslog.errors import ClusterError
from egresslog.sources.cluster.answers import LimitError


def shut_down(sock: socket.socket | None) -> None:
    """Closes the connection of a socket that another thread is reading.

    Not with the TLS socket's own ``shutdown``: that removes TLS from it, and the thread would read ciphertext.
    """
    with suppress(OSError):  # already closed
        if sock is not None:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


@contextmanager
def deadline(seconds: float, close: Callable[[], None]) -> Iterator[threading.Event]:
    """Closes the connection when the time is over, so that reading from it ends; the event is set then."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        close()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


@contextmanager
def answer_deadline(seconds: float, response: urllib3.BaseHTTPResponse, where: str) -> Iterator[None]:
    """Limits the time to read an answer's body.

    Raises:
        LimitError: it was not there in time.
    """
    late = LimitError(where, f"the answer did not end within {seconds:g} s")
    with deadline(seconds, lambda: shut_down(socket_of(response))) as is_over:
        try:
            yield
        except ClusterError:
            if is_over.is_set():
                raise late from None
            raise
    if is_over.is_set():
        raise late


def socket_of(response: urllib3.BaseHTTPResponse) -> socket.socket | None:
    """The socket from which an answer is read. A connection that the server will close has let go of it."""
    found: socket.socket | None = getattr(response, "egresslog_socket", None)
    return found


def limit_headers(manager: urllib3.PoolManager) -> None:
    """Makes the read timeout of a request the time in which all headers of the answer must be there.

    They include any number of interim answers (100 Continue), for which http.client has no limit.
    """
    if manager.pool_classes_by_scheme is pool_classes_by_scheme:  # else those of SOCKS
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


class _Limited(HTTPConnection):
    """A connection on which an answer's headers have a deadline."""

    def getresponse(self) -> Any:
        """The answer, of which the body is still to be read."""
        sock = self.sock
        seconds = self.timeout if isinstance(self.timeout, int | float) else None
        if sock is None or seconds is None:
            return super().getresponse()
        with deadline(seconds, lambda: shut_down(sock)) as is_over:
            try:
                response = super().getresponse()
            except Exception:
                if is_over.is_set():
                    raise TimeoutError("timed out") from None
                raise
        response.egresslog_socket = sock  # type: ignore[attr-defined]
        return response


class _LimitedTLS(_Limited, HTTPSConnection):
    """The same over TLS."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Limited


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _LimitedTLS
