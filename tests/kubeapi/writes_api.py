"""POST and DELETE."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .kinds import ACCESS_REVIEWS, PODS, Kind
from .status import Json, bad_request, not_found, unsupported_media
from .store import Place

if TYPE_CHECKING:
    from .cluster import Cluster
    from .exchange import Exchange


def serve_create(cluster: Cluster, exchange: Exchange, kind: Kind, version: str, namespace: str) -> None:
    """A new object; of a pod, what it is before a kubelet has seen it."""
    found = _body(exchange)
    if kind == ACCESS_REVIEWS:
        exchange.json(201, _review(cluster, exchange.request.user, found))
        return
    with cluster.changed:
        if kind == PODS:
            shown = cluster.create_pod(found, namespace).object
        else:
            found |= {"apiVersion": kind.api_version(version), "kind": kind.name}
            if namespace:
                found["metadata"]["namespace"] = namespace
            shown = cluster.add(found)
    exchange.json(201, shown)


def serve_delete(cluster: Cluster, exchange: Exchange, kind: Kind, namespace: str, name: str) -> None:
    """The object goes. A pod's containers end as soon as the answer is sent, whatever their grace period."""
    options = _body(exchange) if exchange.request.body else {}
    if kind == PODS:
        pod = cluster.pod(namespace, name)
        exchange.json(200, pod.begin_deletion(options.get("gracePeriodSeconds")))
        pod.delete()
        return
    with cluster.changed:
        found = cluster.store.get(Place((kind.group, kind.plural), namespace, name))
        if found is None:
            raise not_found(kind, name)
        cluster.remove(kind.name, name, namespace)
    details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": found["metadata"]["uid"]}
    details = {key: value for key, value in details.items() if value}
    exchange.json(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


def _body(exchange: Exchange) -> Json:
    if "protobuf" in exchange.request.headers.get("content-type", ""):
        raise unsupported_media()
    try:
        found = json.loads(exchange.request.body)
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error
    if not isinstance(found, dict):
        raise bad_request("the object provided is unrecognized: no object")
    return found


def _review(cluster: Cluster, user: str, asked: Json) -> Json:
    wanted = asked["spec"]["resourceAttributes"]
    resource = "/".join(filter(None, [wanted["resource"], wanted.get("subresource")]))
    allowed = cluster.allowed(user, wanted["verb"], resource, wanted.get("namespace", ""))
    head = {"kind": ACCESS_REVIEWS.name, "apiVersion": ACCESS_REVIEWS.api_version(), "metadata": {}}
    return head | {"spec": asked["spec"], "status": {"allowed": allowed}}
