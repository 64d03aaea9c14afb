"""A WebSocket whose messages have limits of time and size; those of websocket-client have none."""

from __future__ import annotations

import time
from typing import Any

from websocket import ABNF, WebSocket, WebSocketException, WebSocketTimeoutException

from egresslog.sources.cluster.deadline import shut_down

LARGEST = 1024 * 1024  # bytes of a message, with its frames' headers; API servers send some ten thousand


class LimitedWebSocket(WebSocket):
    """A connection over which a server can neither fill the memory nor hold its reader."""

    def __init__(self, until: float, **options: Any) -> None:
        """``until``: when reading ends (``time.monotonic``); ``options``: those of ``WebSocket``."""
        super().__init__(**options)
        self.until = until
        self._size = 0  # bytes of the message that is being read

    def abort(self) -> None:
        """Ends reading, from another thread.

        Closes the socket as well: headers are read byte by byte, and what waits in a socket that is shut down is read
        to its end.
        """
        sock = self.sock  # the other thread may be forgetting it
        if sock is not None:
            shut_down(sock)
            sock.close()

    def recv_data(self, control_frame: bool = False) -> tuple[int, bytes]:
        """Opcode and data of the next message, or of a control frame between its parts.

        Raises:
            WebSocketTimeoutException: the time is over.
            WebSocketException: the message is too large, or the connection broke.
        """
        opcode, data = super().recv_data(control_frame)
        if opcode in (ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY):
            self._size = 0
        return opcode, data

    def _recv(self, bufsize: int) -> bytes:
        """The next bytes: what all reading of frames goes through (websocket-client 1.9.2)."""
        if time.monotonic() > self.until:
            raise WebSocketTimeoutException("the time is over")
        data: bytes = super()._recv(bufsize)  # type: ignore[no-untyped-call]
        self._size += len(data)
        if self._size > LARGEST:
            raise WebSocketException(f"a message is larger than {LARGEST} bytes")
        return data
