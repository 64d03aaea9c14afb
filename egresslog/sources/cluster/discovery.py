"""Targets -> containers: once, or continuously as pods come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event

from egresslog.errors import ClusterError
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.clock import backoff
from egresslog.sources.cluster.pods import Container, Pod, Target, choose_container, uncaptured

_SHORT_WATCH = 5.0  # seconds: a watch normally lasts minutes
_POLL = 5.0  # seconds between two lists where there is no right to watch

#: Called with a container, and whether its pod was created after the watch began.
OnContainer = Callable[[Container, bool], None]
#: Called with the name of a target or pod, and what is wrong with it; None: nothing any more.
OnProblem = Callable[[str, ClusterError | None], None]


@dataclass
class Containers:
    """Containers in the order of their names, why others cannot be read, and pods whose traffic no sidecar logs."""

    containers: list[Container] = field(default_factory=list)
    errors: list[ClusterError] = field(default_factory=list)
    uncaptured: list[str] = field(default_factory=list)


def find_containers(cluster: Cluster, targets: Iterable[Target]) -> Containers:
    """The containers of all targets, each once. A target that cannot be looked up is an error beside the others."""
    result = Containers()
    seen: set[tuple[str, str]] = set()
    empty = []
    for target in targets:
        try:
            listed, _ = _list_scope(cluster, target)
        except ClusterError as error:
            result.errors.append(error)
            continue
        pods = [pod for pod in listed if target.matches(pod)]
        if target.sidecars:
            scope = pods if target.name else listed
            result.uncaptured += [reason for pod in scope if (reason := uncaptured(pod))]
        if not pods:
            empty.append(ClusterError(cluster.name, f"found no {target}"))
        for pod in pods:
            container = choose_container(pod, target.container)
            if isinstance(container, str):
                result.errors.append(ClusterError(cluster.name, container))
            elif container.key not in seen:
                seen.add(container.key)
                result.containers.append(container)
    if result.containers:  # else the caller reports it
        result.errors += empty
    result.containers.sort(key=lambda container: container.origin)
    return result


def list_pods(cluster: Cluster, target: Target) -> list[Pod]:
    """The pods of a target, as the API's JSON objects.

    Raises:
        ClusterError: they cannot be listed.
    """
    return _list(cluster, target)[0]


def watch_containers(
    cluster: Cluster,
    target: Target,
    on_container: OnContainer,
    on_problem: OnProblem,
    stop: Event,
    *,
    poll: float = _POLL,
) -> None:
    """Calls back for each container of a target that is there or changes, until ``stop`` is set.

    Args:
        cluster: where.
        target: what to watch.
        on_container: see ``OnContainer``.
        on_problem: see ``OnProblem``.
        stop: ends it.
        poll: seconds between two lists, which replace the watch where there is no right to watch.
    """
    is_new, name = False, str(target)
    attempt, short_watches = 0, 0
    may_watch = target.kind != "Pod"  # a single pod needs no other right than `get`
    while not stop.is_set():
        try:
            pods, version = _list(cluster, target)
            on_problem(name, None if pods else ClusterError(name, "there are none yet; waiting for some"))
            for pod in pods:
                _report(pod, target, on_container, on_problem, is_new=is_new)
            attempt, is_new = 0, True
            if not may_watch:
                cluster.clock.wait(stop, poll)
                continue
            started = time.monotonic()
            may_watch = _watch(
                cluster, target, version, lambda pod: _report(pod, target, on_container, on_problem, is_new=True), stop
            )
            short_watches = short_watches + 1 if time.monotonic() - started < _SHORT_WATCH else 0
            if short_watches:  # a proxy that ends watches at once must not be flooded with requests
                cluster.clock.wait(stop, backoff(short_watches))
        except ClusterError as error:
            on_problem(name, error)
            attempt += 1
            cluster.clock.wait(stop, error.retry_after or backoff(attempt))


def _watch(cluster: Cluster, target: Target, version: str, on_pod: Callable[[Pod], None], stop: Event) -> bool:
    """Calls back for pods that come or change until the watch ends; returns whether to watch again."""
    path, query = _location(target)
    try:
        for event, pod in cluster.watch_events(path, query, version):
            if stop.is_set():
                break
            if event in {"ADDED", "MODIFIED"} and target.matches(pod):
                on_pod(pod)
    except ClusterError as error:
        if error.status not in (None, HTTPStatus.GONE, HTTPStatus.FORBIDDEN):
            raise
        cluster.clock.wait(stop, backoff(0))
        return error.status != HTTPStatus.FORBIDDEN
    return True


def _location(target: Target) -> tuple[str, dict[str, str | int]]:
    """The API's path of the pods among which the target's are, and the query."""
    path = f"/api/v1/namespaces/{target.namespace}/pods" if target.namespace else "/api/v1/pods"
    return path, {"labelSelector": target.selector} if target.selector else {}


def _list(cluster: Cluster, target: Target) -> tuple[list[Pod], str]:
    """The pods of a target, and the version of the list."""
    pods, version = _list_scope(cluster, target)
    return [pod for pod in pods if target.matches(pod)], version


def _list_scope(cluster: Cluster, target: Target) -> tuple[list[Pod], str]:
    """All pods where a target's may be, and the version of the list."""
    path, query = _location(target)
    if target.kind == "Pod":
        try:
            return [cluster.get(f"{path}/{target.name}")], ""
        except ClusterError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return [], ""
            raise
    pods, version = cluster.list_objects(path, query)
    return [*pods], version


def _report(pod: Pod, target: Target, on_container: OnContainer, on_problem: OnProblem, *, is_new: bool) -> None:
    container = choose_container(pod, target.container)
    if isinstance(container, str):
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        on_problem(name, ClusterError(str(target), container))
    else:
        on_problem(str(target), None)
        on_container(container, is_new)
