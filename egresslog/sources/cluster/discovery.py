"""Targets -> containers: once, or again and again as pods come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event

from egresslog.errors import ClusterError
from egresslog.sources.cluster.client import EXPIRED, FORBIDDEN, GONE, Cluster, pause
from egresslog.sources.cluster.pods import Container, Pod, Target, choose

_SHORT = 5.0  # seconds: a watch lasts minutes
_POLL = 5.0  # seconds between looks where nothing tells of changes


Found = Callable[[Container, bool], None]
Trouble = Callable[[str, ClusterError | None], None]


@dataclass
class Containers:
    """What was found: containers in order of their names, and why others cannot be read."""

    found: list[Container] = field(default_factory=list)
    errors: list[ClusterError] = field(default_factory=list)


def find(cluster: Cluster, targets: Iterable[Target]) -> Containers:
    """The containers of all targets, each once; a target that cannot be asked about is an error beside the others."""
    made = Containers()
    seen: set[tuple[str, str]] = set()
    empty = []
    for target in targets:
        try:
            pods, _ = _list(cluster, target)
        except ClusterError as error:
            made.errors.append(error)
            continue
        if not pods:
            empty.append(ClusterError(cluster.name, f"found no {target}"))
        for pod in pods:
            chosen = choose(pod, target.container)
            if isinstance(chosen, str):
                made.errors.append(ClusterError(cluster.name, chosen))
            elif chosen.key not in seen:
                seen.add(chosen.key)
                made.found.append(chosen)
    if made.found:  # else the caller says so
        made.errors += empty
    made.found.sort(key=lambda container: container.origin)
    return made


def pods_of(cluster: Cluster, target: Target) -> list[Pod]:
    """The pods of a target as the API gives them.

    Raises:
        ClusterError: they cannot be asked for.
    """
    return _list(cluster, target)[0]


def watch(
    cluster: Cluster,
    target: Target,
    found: Found,
    trouble: Trouble,
    stop: Event,
    *,
    poll: float = _POLL,
) -> None:
    """Tells of each container of a target when it is there and whenever it changes, until ``stop`` is set.

    ``found`` is told whether the pod came after the beginning; ``trouble`` what is wrong with the target or a pod, and
    None when it is no more. Without the right to watch, the list is asked for every ``poll`` seconds.
    """
    new, name = False, str(target)
    attempt, short, may_watch = 0, 0, target.kind != "Pod"  # one pod takes no more than `get`
    while not stop.is_set():
        try:
            pods, version = _list(cluster, target)
            trouble(name, None if pods else ClusterError(name, "there are none yet; waiting for some"))
            for pod in pods:
                _tell(pod, target, found, trouble, new=new)
            attempt, new = 0, True
            if not may_watch:
                stop.wait(poll)
                continue
            began = time.monotonic()
            may_watch = _follow(
                cluster, target, version, lambda pod: _tell(pod, target, found, trouble, new=True), stop
            )
            short = short + 1 if time.monotonic() - began < _SHORT else 0
            if short:  # a proxy that ends watches at once must not be asked without end
                stop.wait(pause(short))
        except ClusterError as error:
            trouble(name, error)
            attempt += 1
            stop.wait(error.retry_after or pause(attempt))


def _follow(cluster: Cluster, target: Target, version: str, tell: Callable[[Pod], None], stop: Event) -> bool:
    """Tells of pods that come or change until the watch ends; whether it is worth to watch again."""
    path, query = _place(target)
    try:
        for kind, pod in cluster.events(path, query, version):
            if stop.is_set():
                break
            if kind in {"ADDED", "MODIFIED"} and target.matches(pod):
                tell(pod)
    except ClusterError as error:
        if error.status not in (None, EXPIRED, FORBIDDEN):
            raise
        stop.wait(pause(0))
        return error.status != FORBIDDEN
    return True


def _place(target: Target) -> tuple[str, dict[str, str | int]]:
    """Where the API has the pods that may be meant, and the query for them."""
    path = f"/api/v1/namespaces/{target.namespace}/pods" if target.namespace else "/api/v1/pods"
    return path, {"labelSelector": target.selector} if target.selector else {}


def _list(cluster: Cluster, target: Target) -> tuple[list[Pod], str]:
    path, query = _place(target)
    if target.kind == "Pod":
        try:
            return [cluster.get(f"{path}/{target.name}")], ""
        except ClusterError as error:
            if error.status == GONE:
                return [], ""
            raise
    pods, version = cluster.items(path, query)
    return [pod for pod in pods if target.matches(pod)], version


def _tell(pod: Pod, target: Target, found: Found, trouble: Trouble, *, new: bool) -> None:
    chosen = choose(pod, target.container)
    if isinstance(chosen, str):
        trouble(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}", ClusterError(str(target), chosen))
    else:
        trouble(str(target), None)
        found(chosen, new)
