"""The tables that kubectl asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .kinds import PODS, Kind
from .status import Json

if TYPE_CHECKING:
    from .exchange import Request

_POD = ("Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates")
_OTHER = ("Name", "Age")
_WIDE = 5


def wants_table(request: Request) -> bool:
    """Whether the client prefers a table."""
    return "as=Table" in request.headers.get("accept", "").split(",")[0]


def as_table(kind: Kind, found: list[Json], metadata: Json | None = None, *, columns: bool = True) -> Json:
    """One row for each object; a watch tells the columns once."""
    names = _POD if kind == PODS else _OTHER
    definitions: list[Json] = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": "",
            "priority": int(number >= _WIDE),
        }
        for number, name in enumerate(names)
    ]
    rows = [{"cells": _cells(kind, one), "object": _partial(one)} for one in found]
    if metadata is None:
        metadata = {"resourceVersion": found[0]["metadata"]["resourceVersion"]}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions if columns else None,
        "rows": rows,
    }


def _partial(found: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": found["metadata"]}


def _cells(kind: Kind, found: Json) -> list[Any]:
    metadata = found["metadata"]
    age = _age(metadata["creationTimestamp"])
    if kind != PODS:
        return [metadata["name"], age]
    status = found["status"]
    # Native sidecars count as what they are: containers.
    states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    count = len(found["spec"].get("initContainers", [])) + len(found["spec"]["containers"])
    ready = f"{sum(one['ready'] for one in states)}/{count}"
    restarts = str(sum(one["restartCount"] for one in states))
    ends = [one["lastState"]["terminated"]["finishedAt"] for one in states if one["lastState"]]
    if restarts != "0" and ends:
        restarts += f" ({_age(max(ends))} ago)"
    node = found["spec"].get("nodeName", "<none>")
    ip = status.get("podIP", "<none>")
    return [metadata["name"], ready, _pod_status(found), restarts, age, ip, node, "<none>", "<none>"]


def _pod_status(found: Json) -> str:
    """As `kubectl get pods` prints it: the last container that has something to say wins."""
    reason = found["status"]["phase"]
    for one in reversed(found["status"].get("containerStatuses", [])):
        state = one["state"]
        if "waiting" in state:
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = state["terminated"]["reason"]
    ended = found["status"]["phase"] in ("Succeeded", "Failed")
    return "Terminating" if "deletionTimestamp" in found["metadata"] and not ended else reason


def _age(created: str) -> str:
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
