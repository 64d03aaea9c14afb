"""A name server on loopback that knows the outside hosts."""

from __future__ import annotations

import socket
from threading import Thread
from typing import TYPE_CHECKING, Self

from .mesh import SERVICES, Endpoint, addresses

if TYPE_CHECKING:
    from types import TracebackType

DNS_ADDRESS = "127.0.3.53"
UNRESOLVABLE = {service.host for service in SERVICES if service.exit == "unresolvable"}

_HEADER = 12
_ANSWER = bytes.fromhex("8580")
_NAME_ERROR = bytes.fromhex("8583")
# A pointer to the name in the question, type A, class IN, 60 seconds, four bytes.
_RECORD = bytes.fromhex("c00c 0001 0001 0000003c 0004")


class NameServer:
    """Answers every question over UDP: the host's addresses, or that there is no such name."""

    def __init__(self) -> None:
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((DNS_ADDRESS, 0))
        self.endpoint = Endpoint(*self._socket.getsockname())
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An empty datagram is no question: it ends the thread.
        self._socket.sendto(b"", self.endpoint)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if not query:
                return
            self._socket.sendto(reply(query), client)


def reply(query: bytes) -> bytes:
    """The answer to a message with one question of type A."""
    labels, end = [], _HEADER
    while size := query[end]:
        labels.append(query[end + 1 : end + 1 + size].decode())
        end += 1 + size
    name, question = ".".join(labels).lower(), query[_HEADER : end + 5]
    found = () if name in UNRESOLVABLE else addresses(name)
    flags = _ANSWER if found else _NAME_ERROR
    counts = b"".join(count.to_bytes(2) for count in (1, len(found), 0, 0))
    return query[:2] + flags + counts + question + b"".join(_RECORD + socket.inet_aton(one) for one in found)
