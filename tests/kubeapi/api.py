"""Which request is about what, and who may make it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .discovery import discover
from .exchange import Exchange
from .exec_api import serve_exec
from .kinds import NAMESPACES, PODS, Kind
from .log_api import serve_log
from .objects_api import serve_list, serve_object, serve_watch
from .status import ApiError, not_allowed, unauthorized
from .writes_api import serve_create, serve_delete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .server import Server


class _Target:
    """What a path names."""

    def __init__(self, path: str, kinds: list[Kind]) -> None:
        words = path.strip("/").split("/")
        if words[0] == "api":
            group, version, rest = "", words[1], words[2:]
        elif words[0] == "apis":
            group, version, rest = words[1], words[2], words[3:]
        else:
            raise LookupError(path)
        self.version, self.namespace = version, ""
        if rest[0] == "namespaces" and len(rest) > 2:
            self.namespace, rest = rest[1], rest[2:]
        self.kind = next(
            kind for kind in kinds if (kind.group, kind.plural) == (group, rest[0]) and version in kind.versions
        )
        self.name = rest[1] if len(rest) > 1 else ""
        self.subresource = rest[2] if len(rest) > 2 else ""
        if len(rest) > 3 or (self.subresource and self.kind != PODS):
            raise LookupError(path)

    @property
    def scope(self) -> str:
        """The namespace as rights see it."""
        return self.name if self.kind == NAMESPACES else self.namespace


def answer(exchange: Exchange, server: Server) -> None:
    """Answer one request, whatever it is."""
    try:
        _answer(exchange, server)
    except ApiError as error:
        if exchange.begun:
            raise
        exchange.error(error)


def _answer(exchange: Exchange, server: Server) -> None:
    request, cluster = exchange.request, server.cluster
    if not request.user:
        raise unauthorized()
    if discover(cluster, exchange):
        return
    try:
        target = _Target(request.path, cluster.kinds())
    except (LookupError, StopIteration):
        # Only clients turn this into "the server could not find the requested resource".
        nosniff = {"X-Content-Type-Options": "nosniff"}
        exchange.whole(404, b"404 page not found\n", "text/plain; charset=utf-8", nosniff)
        return
    _dispatch(exchange, server, target)


def _dispatch(exchange: Exchange, server: Server, target: _Target) -> None:
    cluster, kind, namespace, name = server.cluster, target.kind, target.namespace, target.name
    verb = _verb(exchange, target)
    cluster.authorize(exchange.request.user, verb, kind, target.subresource, target.scope, name)
    match verb, target.subresource:
        case "get", "log":
            exchange.about("log", name)
            with _counted(server, exchange):
                serve_log(cluster, exchange, namespace, name)
        case "get" | "create", "exec":
            # Over a WebSocket it is a GET, and needs the right to create all the same.
            cluster.authorize(exchange.request.user, "create", kind, "exec", target.scope, name)
            exchange.about("exec", name)
            serve_exec(cluster, exchange, namespace, name)
        case "create", "":
            serve_create(cluster, exchange, kind, target.version, namespace)
        case "delete", "" if name:
            serve_delete(cluster, exchange, kind, namespace, name)
        case "get", "":
            exchange.about("get", name)
            serve_object(cluster, exchange, kind, target.version, namespace, name)
        case "list", "":
            exchange.about("list")
            serve_list(cluster, exchange, kind, target.version, namespace)
        case "watch", "":
            exchange.about("watch")
            serve_watch(cluster, exchange, kind, target.version, namespace)
        case _:
            raise not_allowed()


def _verb(exchange: Exchange, target: _Target) -> str:
    match exchange.request.method:
        case "GET" if target.name:
            return "get"
        case "GET":
            return "watch" if exchange.request.flag("watch") else "list"
        case "POST":
            return "create"
        case "DELETE":
            return "delete"
        case _:
            raise not_allowed()


@contextmanager
def _counted(server: Server, exchange: Exchange) -> Iterator[None]:
    """Count a follow stream while it is open."""
    follows = int(exchange.request.flag("follow"))
    _count(server, follows)
    try:
        yield
    finally:
        _count(server, -follows)


def _count(server: Server, change: int) -> None:
    with server.changed:
        server.open_streams += change
        server.changed.notify_all()
