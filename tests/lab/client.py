"""How a client connects: as the network of its pod makes it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .outside import WAIT

if TYPE_CHECKING:
    from .mesh import Endpoint


@dataclass(frozen=True)
class Way:
    """Where a client's connection starts and goes, and the address it believes to be talking to."""

    source: str
    entry: Endpoint
    wanted: Endpoint | None = None

    def connect(self) -> socket.socket:
        """A new connection, on which the client may begin to talk."""
        connection = socket.create_connection(self.entry, WAIT, (self.source, 0))
        if self.wanted:
            address, port = connection.getsockname()
            start = f"PROXY TCP4 {address} {self.wanted.address} {port} {self.wanted.port}\r\n"
            # Envoy drops a connection silently if it ends while the PROXY header is still being read, so no
            # exchange closes its sending half before something came back.
            connection.sendall(start.encode())
        return connection
