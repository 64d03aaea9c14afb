"""The HTTPS server in front of a cluster."""

from __future__ import annotations

import json
import secrets
import select
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

from .api import answer
from .certificates import make_context
from .cluster import Cluster
from .connection import Connection, GoneError
from .exchange import EndedError, Exchange, Request, read_request
from .faults import Faults

_ADDRESS = "127.0.0.1"
_SHOWN = 20


class Server:
    """Serves within `with`, also again after `stop` and `start`.

    `tokens` are the users' bearer tokens; more can be added. `requests` are all that were answered, or left without
    an answer on purpose; `open_streams` how many follow a log now.
    """

    def __init__(self, cluster: Cluster, *, port: int = 0) -> None:
        self.cluster = cluster
        self.changed = cluster.changed
        self.faults = Faults(cluster.changed)
        self.requests: list[Request] = []
        self.open_streams = 0
        self.tokens = {user: secrets.token_urlsafe(16) for user in ("admin", "nobody")}
        self._port = port
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._threads: list[Thread] = []
        self._waker: socket.socket | None = None

    def __enter__(self) -> Self:
        # What it is made of is on disk, because kubectl reads it there.
        self._directory = tempfile.TemporaryDirectory(prefix="kubeapi-")
        self._context = make_context(self.directory)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        assert self._directory is not None
        self._directory.cleanup()

    @property
    def directory(self) -> Path:
        """Where certificates and kubeconfigs are."""
        assert self._directory is not None
        return Path(self._directory.name)

    @property
    def url(self) -> str:
        return f"https://{_ADDRESS}:{self._port}"

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.crt"

    def kubeconfig(self, user: str = "admin", *, namespace: str = "default", **extra: Any) -> Path:
        """A file with the context `test`. `extra` are more keys of the cluster's entry, `_` for `-`."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        cluster |= {key.replace("_", "-"): value for key, value in extra.items()}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}],
            "current-context": "test",
        }
        path = self.directory / f"kubeconfig-{user}-{secrets.token_hex(4)}"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def start(self) -> None:
        """Listen; on the same port as before after a `stop`."""
        listener = socket.create_server((_ADDRESS, self._port), backlog=128)
        self._port = listener.getsockname()[1]
        stop, self._waker = socket.socketpair()
        thread = Thread(target=self._accept, args=(listener, stop), daemon=True)
        self._threads = [thread]
        thread.start()

    def stop(self) -> None:
        """The server goes away: connections are refused, open ones reset."""
        if self._waker is None:
            return
        self._waker.close()
        self._waker = None
        with self.changed:
            self.changed.notify_all()
        # Only the first thread adds others, so it has to end first.
        for thread in self._threads:
            thread.join()

    def wait(self, condition: Callable[[], object], timeout: float = 30) -> None:
        """Wait until `condition` is true; it is asked after every change, and often."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not condition():
                if time.monotonic() > deadline:
                    raise AssertionError("\n".join(["waited in vain", *map(str, self.requests[-_SHOWN:])]))
                self.changed.wait(0.02)

    def _accept(self, listener: socket.socket, stop: socket.socket) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(stop, select.POLLIN)
        with listener:
            while not any(descriptor == stop.fileno() for descriptor, _ in poll.poll()):
                client, _ = listener.accept()
                thread = Thread(target=self._serve, args=(client, stop), daemon=True)
                self._threads.append(thread)
                thread.start()
        for thread in self._threads[1:]:
            thread.join()
        stop.close()

    def _serve(self, client: socket.socket, stop: socket.socket) -> None:
        try:
            connection = Connection(client, self._context, stop)
        except OSError:
            # A client that left before it said anything.
            client.close()
            return
        try:
            connection.handshake()
            while True:
                request = read_request(connection, self.tokens)
                with suppress(EndedError):
                    answer(Exchange(request, connection, self), self)
                if request.headers.get("connection", "").lower() in ("close", "upgrade"):
                    connection.close()
                    return
        except GoneError:
            pass
        finally:
            # The server goes away, or the client is gone already.
            connection.reset()
