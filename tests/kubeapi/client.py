"""A client that shows what came over the wire."""

from __future__ import annotations

import http.client
import json
import ssl
from types import TracebackType
from typing import Any, NamedTuple, Self

from .server import Server

_REQUEST_SPECIFIC = ("Audit-Id", "Date")


class Answer(NamedTuple):
    """A whole answer: status line, headers as they came without those that differ each time, body."""

    status: str
    headers: list[list[str]]
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


class Client:
    """One keep-alive connection of a user."""

    def __init__(self, server: Server, user: str = "admin", *, timeout: float = 10) -> None:
        context = ssl.create_default_context(cafile=server.ca_file)
        address = server.url.removeprefix("https://")
        self._connection = http.client.HTTPSConnection(address, context=context, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {server.tokens[user]}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, request: str, value: object = None) -> Answer:
        """A whole exchange; `request` is `GET /path?query`."""
        with self.begin(request, value) as stream:
            return Answer(stream.status, stream.headers, stream.rest())

    def begin(self, request: str, value: object = None) -> Stream:
        """An answer whose body is still to be read."""
        method, path = request.split(" ", 1)
        body = None if value is None else json.dumps(value)
        self._connection.request(method, path, body, self._headers)
        return Stream(self._connection, self._connection.getresponse())


class Stream:
    """An answer that is being read."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection, self._response = connection, response
        self.status = f"HTTP/1.1 {response.status} {response.reason}"
        self.headers = [[name, value] for name, value in response.getheaders() if name not in _REQUEST_SPECIFIC]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._response.isclosed():
            # The server is still talking: the next request needs another connection.
            self._response.close()
            self._connection.close()

    def line(self) -> bytes:
        """The next line; nothing at the end."""
        return self._response.readline()

    def rest(self) -> bytes:
        """Everything up to the end."""
        return self._response.read()
