"""GET, list and watch of objects."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from .kinds import Kind
from .logs import NANOSECONDS
from .selectors import Selector, selector
from .status import ApiError, Json, bad_request, encode, expired, not_found
from .store import Event, Place
from .tables import as_table, wants_table

if TYPE_CHECKING:
    from .cluster import Cluster
    from .exchange import Exchange

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


def serve_object(cluster: Cluster, exchange: Exchange, kind: Kind, version: str, namespace: str, name: str) -> None:
    """One object."""
    with cluster.changed:
        found = cluster.store.get(Place((kind.group, kind.plural), namespace, name))
    if found is None:
        raise not_found(kind, name)
    shown = _in_version(kind, version, found)
    exchange.json(200, as_table(kind, [shown]) if wants_table(exchange.request) else shown)


def serve_list(cluster: Cluster, exchange: Exchange, kind: Kind, version: str, namespace: str) -> None:
    """All objects that the query selects, or one page of them."""
    query = exchange.request.query
    wanted = selector(kind, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    limit = exchange.request.number("limit")
    with cluster.changed:
        at, start = _continued(cluster, query.get("continue", ""))
        found = [one for one in cluster.store.all(kind, at) if wanted.matches(one) and _key(one) >= start]
        metadata: Json = {"resourceVersion": str(at or cluster.store.version)}
    if limit and len(found) > limit:
        rest = len(found) - limit
        found = found[:limit]
        metadata["continue"] = _token(int(metadata["resourceVersion"]), _key(found[-1]) + "\0")
        if not wanted.tests:
            metadata["remainingItemCount"] = rest
    shown = [_in_version(kind, version, one) for one in found]
    if wants_table(exchange.request):
        exchange.json(200, as_table(kind, shown, metadata))
    else:
        exchange.json(200, _list(kind, version, shown, metadata))


def serve_watch(cluster: Cluster, exchange: Exchange, kind: Kind, version: str, namespace: str) -> None:
    """Every change from a version on."""
    query = exchange.request.query
    wanted = selector(kind, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    asked = query.get("resourceVersion", "")
    if not asked.isdigit() and asked:
        raise bad_request(f'invalid resource version "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax')
    seconds = exchange.request.number("timeoutSeconds")
    deadline = cluster.now() + seconds * NANOSECONDS if seconds else None
    show = _Show(kind, version, wanted, exchange)
    # What a client does after it has read the headers is seen, so this is before them.
    with cluster.changed:
        old = asked not in ("", "0") and int(asked) < cluster.oldest_version
        data, index = _first(cluster, show, asked, initial=exchange.request.flag("sendInitialEvents"))
    body = exchange.open(200, "application/json")
    if old:
        error = expired(f"too old resource version: {asked} ({cluster.oldest_version})")
        body.send(encode({"type": "ERROR", "object": error.status()}))
        body.end()
        return
    while True:
        if data:
            body.send(data)
        else:
            body.check()
        if deadline and cluster.now() >= deadline:
            body.end()
            return
        with cluster.changed:
            if index == len(cluster.store.events):
                body.idle()
            events = cluster.store.events[index:]
            index += len(events)
        data = b"".join(filter(None, map(show.event, events)))


def _first(cluster: Cluster, show: _Show, asked: str, *, initial: bool) -> tuple[bytes, int]:
    """What a watch begins with, and the index of the event at which it goes on."""
    if asked not in ("", "0") and not initial:
        return b"", cluster.store.after(int(asked))
    found = cluster.store.all(show.kind)
    data = b"".join(show.encoded("ADDED", one) for one in found if show.wanted.matches(one))
    if initial:
        data += show.bookmark(cluster.store.version, {"k8s.io/initial-events-end": "true"})
    return data, len(cluster.store.events)


class _Show:
    """How one watch shows events."""

    def __init__(self, kind: Kind, version: str, wanted: Selector, exchange: Exchange) -> None:
        self.kind, self.version, self.wanted = kind, version, wanted
        self._table = wants_table(exchange.request)
        self._bookmarks = exchange.request.flag("allowWatchBookmarks")
        self._first = True

    def event(self, event: Event) -> bytes:
        """One line, or nothing. What enters the selection is added, what leaves it is deleted."""
        if event.type == "BOOKMARK":
            return self.bookmark(event.version) if self._bookmarks else b""
        if event.place.kind != (self.kind.group, self.kind.plural):
            return b""
        now = event.type != "DELETED" and self.wanted.matches(event.object)
        before = event.before is not None and self.wanted.matches(event.before)
        if now:
            return self.encoded("MODIFIED" if before else "ADDED", event.object, event)
        if not before:
            return b""
        # Of an object that is still there, the state that the watch knew.
        if event.type != "DELETED" and event.before is not None:
            metadata = event.before["metadata"] | {"resourceVersion": str(event.version)}
            return self.encoded("DELETED", event.before | {"metadata": metadata})
        return self.encoded("DELETED", event.object, event)

    def encoded(self, what: str, found: Json, event: Event | None = None) -> bytes:
        """An event with an object."""
        shown = _in_version(self.kind, self.version, found)
        if self._table:
            table = as_table(self.kind, [shown], columns=self._first)
            self._first = False
            return encode({"type": what, "object": table})
        if event and shown is event.object:
            return b'{"type":"%b","object":%b}\n' % (what.encode(), event.encoded)
        return encode({"type": what, "object": shown})

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """An event that tells only how far the watch is."""
        metadata: Json = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = annotations
        found: Json = {"kind": self.kind.name, "apiVersion": self.kind.api_version(self.version), "metadata": metadata}
        if self.kind.name == "Pod":
            found |= {"spec": {"containers": None}, "status": {}}
        return encode({"type": "BOOKMARK", "object": found})


def _continued(cluster: Cluster, token: str) -> tuple[int | None, str]:
    """The version and the key at which a list goes on."""
    if not token:
        return None, ""
    try:
        found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        at, start = int(found["rv"]), str(found["start"])
    except (ValueError, KeyError) as error:
        raise _bad_token(error) from error
    if at == -1:
        return None, start
    if at < cluster.oldest_version:
        raise expired(_TOO_OLD, _token(-1, start))
    return at, start


def _bad_token(error: Exception) -> ApiError:
    return bad_request(f"continue key is not valid: {error}")


def _token(version: int, start: str) -> str:
    found = {"v": "meta.k8s.io/v1", "rv": version, "start": start}
    return base64.urlsafe_b64encode(json.dumps(found, separators=(",", ":")).encode()).decode().rstrip("=")


def _key(found: Json) -> str:
    metadata = found["metadata"]
    return f"/{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else f"/{metadata['name']}"


def _in_version(kind: Kind, version: str, found: Json) -> Json:
    """The object as a client of this version sees it; custom ones have sorted keys."""
    if kind.builtin:
        return found
    return dict(sorted((found | {"apiVersion": kind.api_version(version)}).items()))


def _list(kind: Kind, version: str, found: list[Json], metadata: Json) -> Json:
    head = {"kind": f"{kind.name}List", "apiVersion": kind.api_version(version), "metadata": metadata}
    if not kind.builtin:
        return dict(sorted((head | {"items": found, "metadata": {"continue": ""} | metadata}).items()))
    typed = ("kind", "apiVersion")
    return head | {"items": [{key: value for key, value in one.items() if key not in typed} for one in found]}
