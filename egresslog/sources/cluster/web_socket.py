"""A WebSocket whose messages end: websocket-client reads a message of any size, and for as long as bytes come."""

from __future__ import annotations

import socket
import time
from typing import Any

from websocket import ABNF, WebSocket, WebSocketException, WebSocketTimeoutException

# Bytes that wait in the socket. A connection that is shut down is read to the end of them, and headers byte by byte.
_RECEIVED = 64 * 1024
LARGEST = 1024 * 1024  # bytes of a message, with its frames' headers; API servers send some ten thousand


class LimitedWebSocket(WebSocket):
    """A connection over which a server can neither fill the memory nor hold its reader."""

    def __init__(self, until: float, **options: Any) -> None:
        """``until``: when reading ends (``time.monotonic``); ``options``: those of ``WebSocket``."""
        super().__init__(sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)], **options)
        self.until = until
        self._size = 0  # bytes of the message that is being read

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
