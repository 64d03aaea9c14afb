"""One HTTP request and its answer, with the faults that befall it."""

from __future__ import annotations

import http
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from threading import Condition
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from .connection import Connection, GoneError
from .faults import Fault, Faults
from .status import ApiError, Json, bad_request, encode

# Go's server tells the length of what fits into its buffer, and cuts the rest into chunks.
_BUFFER = 2048
_CHUNK = 64 * 1024
_PAUSE = 0.05

NEVER_ANSWERED = 0


@dataclass
class Request:
    """What was asked, and the status that was answered (0: nothing, on purpose)."""

    method: str
    path: str
    query: dict[str, str]
    user: str
    status: int = NEVER_ANSWERED
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    values: list[tuple[str, str]] = field(default_factory=list, repr=False)
    body: bytes = field(default=b"", repr=False)

    def flag(self, name: str) -> bool:
        """A boolean of the query, which is true when it only stands there."""
        return name in self.query and self.query[name].lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        """A whole number of the query."""
        text = self.query.get(name, "")
        if not text:
            return None
        if not re.fullmatch(r"[+-]?\d+", text):
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)


class Host(Protocol):
    """What an exchange needs of its server."""

    changed: Condition
    faults: Faults
    requests: list[Request]


class EndedError(Exception):
    """A fault ended the body; the connection can go on."""


def read_request(connection: Connection, tokens: Mapping[str, str]) -> Request:
    """The next request, by the user whose token it has; nobody's if the token is none of `tokens`."""
    head = connection.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {}
    for line in filter(None, head[1:]):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    parts = urlsplit(target)
    values = parse_qsl(parts.query, keep_blank_values=True)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    users = {token: user for user, token in tokens.items()}
    user = users.get(token.strip(), "") if scheme == "Bearer" else "system:anonymous"
    body = connection.read(int(headers.get("content-length", 0)))
    return Request(method, parts.path, dict(reversed(values)), user, headers=headers, values=values, body=body)


class Exchange:
    """Answers `request` on `connection`. `sort` and `pod` are what faults look at."""

    def __init__(self, request: Request, connection: Connection, host: Host) -> None:
        self.request, self.connection, self._host = request, connection, host
        self.sort, self.pod = "", ""
        self.begun = False

    def about(self, sort: str, pod: str = "") -> None:
        """Say what kind of request it is. Faults that leave no answer happen here."""
        self.sort, self.pod = sort, pod
        for fault in self._host.faults.find(sort, pod, self.request.path):
            if fault.what == "hang" and self._host.faults.claim(fault):
                self.note(NEVER_ANSWERED)
                self.connection.wait_gone()
            if fault.what == "raw" and self._host.faults.claim(fault):
                assert fault.answer is not None
                self.note(NEVER_ANSWERED)
                for piece in fault.answer():
                    self.connection.send(piece)
                self.connection.close()
                raise GoneError
            if fault.what == "status" and fault.immediate and self._host.faults.claim(fault):
                raise error_of(fault)

    def note(self, status: int) -> None:
        """Let the test see the request."""
        with self._host.changed:
            self.request.status = int(status)
            self._host.requests.append(self.request)
            self._host.changed.notify_all()

    def json(self, code: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        self.whole(code, encode(value), "application/json", headers)

    def error(self, error: ApiError) -> None:
        """Answer with a Status object."""
        self.json(error.code, error.status(), error.headers)

    def whole(self, code: int, data: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a whole body."""
        length = len(data) if len(data) <= _BUFFER else None
        body = self.open(code, content_type, headers, length=length)
        body.send(data)
        body.end()

    def upgrade(self, headers: Mapping[str, str]) -> Body:
        """Leave HTTP: the body is whatever the other protocol says."""
        self.begun = True
        lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in headers.items())]
        self.connection.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self.note(101)
        return Body(self, self._host.faults, self._host.changed, chunked=False)

    def open(
        self,
        code: int,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> Body:
        """Begin to answer; chunked if no `length` is known."""
        sorted_headers = {"Audit-Id": secrets.token_hex(16), "Cache-Control": "no-cache, private"}
        sorted_headers |= {"Content-Type": content_type, **(headers or {})}
        lines = [f"HTTP/1.1 {code} {http.HTTPStatus(code).phrase}"]
        lines += [f"{name}: {value}" for name, value in sorted(sorted_headers.items())]
        lines.append(f"Date: {formatdate(time.time(), usegmt=True)}")
        lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
        self.begun = True
        self.connection.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self.note(code)
        return Body(self, self._host.faults, self._host.changed, chunked=length is None)


class Body:
    """The body of an answer."""

    def __init__(self, exchange: Exchange, faults: Faults, changed: Condition, *, chunked: bool) -> None:
        self._exchange, self._faults, self._changed, self._chunked = exchange, faults, changed, chunked
        self._sent, self._lines = 0, 0

    def send(self, data: bytes) -> None:
        """Send it, up to the next fault; then let that happen, and go on if it allows."""
        rest = memoryview(data)
        while rest:
            fault, room = self._next_fault(rest)
            while room:
                piece = rest[: min(room, _CHUNK)]
                self._write(piece)
                rest, room = rest[len(piece) :], room - len(piece)
            if fault:
                self._happen(fault)
        self._check_faults()

    def idle(self) -> None:
        """Wait for a change, with the lock held; raises when the client has left."""
        self._changed.wait(_PAUSE)

    def check(self) -> None:
        """What may happen while there is nothing to send."""
        self._exchange.connection.check()
        self._check_faults()

    def end(self) -> None:
        """The end, in order."""
        if self._chunked:
            self._exchange.connection.send(b"0\r\n\r\n")

    def _check_faults(self) -> None:
        while True:
            fault, room = self._next_fault(memoryview(b""))
            if not fault or room:
                return
            self._happen(fault)

    def _next_fault(self, data: memoryview) -> tuple[Fault | None, int]:
        nearest, room = None, len(data)
        for fault in self._faults.find(self._exchange.sort, self._exchange.pod, self._exchange.request.path):
            if fault.what == "raw" or (fault.what in ("hang", "status") and fault.immediate):
                continue
            distance = fault.distance(data, self._sent, self._lines)
            if distance is not None and (nearest is None or distance < room):
                nearest, room = fault, distance
        return nearest, room

    def _write(self, data: memoryview | bytes) -> None:
        head, tail = (b"%x\r\n" % len(data), b"\r\n") if self._chunked else (b"", b"")
        framed = b"".join((head, data, tail))
        self._exchange.connection.send(framed)
        self._sent += len(data)
        self._lines += framed.count(b"\n") - (head + tail).count(b"\n")

    def _happen(self, fault: Fault) -> None:
        if not self._faults.claim(fault):
            return
        connection = self._exchange.connection
        match fault.what:
            case "reset":
                connection.reset()
                raise GoneError
            case "cut":
                connection.close()
                raise GoneError
            case "silence" | "hang":
                connection.wait_gone()
            case "stall":
                assert fault.until is not None
                while not fault.until.wait(_PAUSE):
                    connection.check()
            case "status" | "end":
                self._end_with(fault)

    def _end_with(self, fault: Fault) -> None:
        if fault.what == "status":
            event: Json = {"type": "ERROR", "object": error_of(fault).status()}
            self._write(encode(event))
        elif fault.message:
            self._write(fault.message.encode())
        if not self._chunked:
            # A length was promised.
            self._exchange.connection.close()
            raise GoneError
        self.end()
        raise EndedError


def error_of(fault: Fault) -> ApiError:
    """The answer of a fault."""
    error = ApiError(fault.code, fault.reason, fault.message)
    if fault.retry_after is not None:
        error.headers["Retry-After"] = str(fault.retry_after)
        error.details = {"retryAfterSeconds": fault.retry_after}
    return error
