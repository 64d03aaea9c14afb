"""What the probe's tests stand on: commands that really run, a web server that notes, and a raw WebSocket server."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from egresslog.sources.cluster.client import Cluster as Api

from .kubeapi.cluster import ExecRequest, ExecResult

STDOUT, STDERR, ERROR = 1, 2, 3
SUCCESS = b'{"metadata":{},"status":"Success"}'


def really(request: ExecRequest) -> ExecResult:
    """Runs the very arguments here."""
    done = subprocess.run(request.command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    return ExecResult(done.stdout, done.stderr, done.returncode)


def lacking(*programs: str) -> Callable[[ExecRequest], ExecResult | None]:
    """An image without these programs; others really run."""
    return lambda request: None if request.command[0] in programs else really(request)


@dataclass
class Web:
    """A web server's address, and who asked it for what: address, request line, User-Agent."""

    port: int
    seen: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web() -> Iterator[Web]:
    """Answers /CODE with that status; 3xx with a redirect to /200, and /nothing not at all."""
    silent = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host, port = self.client_address[:2]
            made.seen.append((f"{host}:{port}", self.requestline, self.headers["User-Agent"]))
            if self.path == "/nothing":
                silent.wait()
                return
            if self.path == "/closed":
                return
            code = int(self.path[1:4] or 200)
            self.send_response(code)
            if 300 <= code < 400:
                self.send_header("Location", "/200")
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"abc")

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made = Web(server.server_address[1])
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            silent.set()
            server.shutdown()
            thread.join()


def frame(channel: int | None, data: bytes, *, opcode: int = 0x2, final: bool = True) -> bytes:
    """A WebSocket frame as a server sends it; without channel, `data` is all of it."""
    payload = data if channel is None else bytes([channel]) + data
    size = len(payload)
    length = (
        bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x7f" + size.to_bytes(8)
    )
    return bytes([0x80 * final | opcode]) + length + payload


CLOSE = frame(None, (1000).to_bytes(2), opcode=0x8)


@contextmanager
def answering(directory: Path, talk: Callable[[socket.socket, bytes], None]) -> Iterator[tuple[Api, list[bytes]]]:
    """A cluster behind a server of which `talk` says all, and the heads of the requests it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError):
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += client.recv(1)
                heads.append(head)
                talk(client, head)

    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "raw", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "raw", "context": {"cluster": "raw", "user": "me"}}],
        "current-context": "raw",
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    thread = Thread(target=serve)
    thread.start()
    try:
        yield Api.connect(kubeconfig=str(path)), heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def upgraded(*frames: bytes, protocol: str = "v5.channel.k8s.io") -> Callable[[socket.socket, bytes], None]:
    """Accepts the WebSocket, sends the frames, and reads until the client has left."""

    def talk(client: socket.socket, head: bytes) -> None:
        accept(client, head, protocol)
        client.sendall(b"".join(frames))
        while client.recv(65536):
            pass

    return talk


def accept(client: socket.socket, head: bytes, protocol: str = "v5.channel.k8s.io") -> None:
    """The server's side of the handshake (RFC 6455)."""
    key = next(
        line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")
    )
    digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\nSec-WebSocket-Protocol: " + protocol.encode() + b"\r\n\r\n"
    )


def pipe(one: socket.socket, other: socket.socket) -> None:
    """Passes bytes both ways until either side has ended."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)
