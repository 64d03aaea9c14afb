"""Targets -> containers: once, or continuously as pods come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from threading import Event
from typing import Any, NamedTuple

from egresslog.errors import ClusterError
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.clock import backoff
from egresslog.sources.cluster.pod_schema import Pod, checked_pod
from egresslog.sources.cluster.pods import Container, Target, choose_container, uncaptured

_SHORT_WATCH = 5.0  # seconds: a watch normally lasts minutes
_NAMED = 20  # pods of the wrong form, each with its error
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


class _Found(NamedTuple):
    """What is kept of a pod: a cluster may have a hundred thousand, of some ten kilobytes each.

    Attributes:
        is_wanted: it is one of the target's.
        container: of a wanted pod; or why there is none to read.
        uncaptured: see ``pods.uncaptured``.
    """

    is_wanted: bool
    container: Container | str
    uncaptured: str | None


def find_containers(cluster: Cluster, targets: Iterable[Target]) -> Containers:
    """The containers of all targets, each once. What cannot be looked up or used is an error beside the others."""
    result = Containers()
    seen: set[tuple[str, str]] = set()
    empty = []
    for target in targets:
        try:
            listed = _list_scope(cluster, target, partial(_look, target))[0]
        except ClusterError as error:
            result.errors.append(error)
            continue
        unusable = [entry for entry in listed if isinstance(entry, ClusterError)]
        result.errors += unusable[:_NAMED]
        if unusable[_NAMED:]:
            result.errors.append(ClusterError(cluster.name, f"{len(unusable) - _NAMED} more pods cannot be used"))
        pods = [entry for entry in listed if isinstance(entry, _Found)]
        wanted = [pod for pod in pods if pod.is_wanted]
        if target.sidecars:
            result.uncaptured += [pod.uncaptured for pod in (wanted if target.name else pods) if pod.uncaptured]
        if not wanted:
            empty.append(ClusterError(cluster.name, f"found no {target}"))
        for container in (pod.container for pod in wanted):
            if isinstance(container, str):
                result.errors.append(ClusterError(cluster.name, container))
            elif container.key not in seen:
                seen.add(container.key)
                result.containers.append(container)
    if result.containers:  # else the caller reports it
        result.errors += empty
    result.containers.sort(key=lambda container: container.origin)
    return result


def _look(target: Target, pod: Pod) -> _Found:
    is_wanted = target.matches(pod)
    return _Found(
        is_wanted,
        choose_container(pod, target.container) if is_wanted else "",
        uncaptured(pod) if target.sidecars else None,
    )


def list_pods(cluster: Cluster, target: Target) -> list[Pod]:
    """The pods of a target, as the API's JSON objects.

    Raises:
        ClusterError: they cannot be listed, or not one of them can be used.
    """
    found = _list_scope(cluster, target, lambda pod: pod)[0]
    pods = [pod for pod in found if not isinstance(pod, ClusterError)]
    if found and not pods:
        raise found[0]
    return [pod for pod in pods if target.matches(pod)]


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
            found, version = _list_scope(cluster, target, lambda pod: pod if target.matches(pod) else None)
            on_problem(name, None if any(found) else ClusterError(name, "there are none yet; waiting for some"))
            for pod in found:
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


def _watch(
    cluster: Cluster, target: Target, version: str, on_pod: Callable[[Pod | ClusterError], None], stop: Event
) -> bool:
    """Calls back for pods that come or change until the watch ends; returns whether to watch again."""
    path, query = _location(target)
    try:
        for event, pod in cluster.watch_events(path, query, version):
            if stop.is_set():
                break
            if event in {"ADDED", "MODIFIED"}:
                found = _checked(cluster, path, pod)
                if isinstance(found, ClusterError) or target.matches(found):
                    on_pod(found)
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


def _list_scope(cluster: Cluster, target: Target, reduce: Callable[[Pod], Any]) -> tuple[list[Any], str]:
    """What is kept of all pods where a target's may be, or the error of one that is none, and the list's version."""
    path, query = _location(target)

    def keep(item: Any) -> Any:
        pod = _checked(cluster, path, item)
        return pod if isinstance(pod, ClusterError) else reduce(pod)

    if target.kind == "Pod":
        path = f"{path}/{target.name}"
        try:
            return [keep(cluster.get(path))], ""
        except ClusterError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return [], ""
            raise
    return cluster.list_objects(path, query, keep)


def _checked(cluster: Cluster, path: str, item: Any) -> Pod | ClusterError:
    try:
        return checked_pod(item, cluster.request(path))
    except ClusterError as error:
        return error


def _report(
    pod: Pod | ClusterError | None, target: Target, on_container: OnContainer, on_problem: OnProblem, *, is_new: bool
) -> None:
    """Calls back for a pod; None is none of the target's."""
    if pod is None:
        return
    if isinstance(pod, ClusterError):
        on_problem(pod.reason, pod)
        return
    container = choose_container(pod, target.container)
    if isinstance(container, str):
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        on_problem(name, ClusterError(str(target), container))
    else:
        on_problem(str(target), None)
        on_container(container, is_new)
