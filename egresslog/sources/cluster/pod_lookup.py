"""The present state of a container, from the API server."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from threading import Event

from egresslog.errors import ClusterError
from egresslog.sources.cluster.client import TRANSIENT, Cluster
from egresslog.sources.cluster.clock import backoff
from egresslog.sources.cluster.pod_schema import checked_pod
from egresslog.sources.cluster.pods import Container, choose_container

_LOOKS = 6  # a pod's status reaches the API server about a second later than its log
_RETRY = 4  # attempt number of the back-off: 2 to 4 seconds


class PodLookup:
    """Looks up pods."""

    def __init__(self, cluster: Cluster, stop: Event, on_problem: Callable[[str], None], *, patient: bool) -> None:
        """A lookup.

        Args:
            cluster: where.
            stop: ends waiting.
            on_problem: called with the reason why there is no answer.
            patient: wait for a server that is away.
        """
        self._cluster, self._stop, self._on_problem, self._patient = cluster, stop, on_problem, patient

    def current(self, container: Container) -> Container | None:
        """The container's present state; None if its pod is gone, or is another one of that name.

        Raises:
            ClusterError: no answer, or an error that waiting cannot change.
        """
        while True:
            try:
                path = container.path
                pod = checked_pod(self._cluster.get(path), self._cluster.request(path))
                now = choose_container(pod, container.name)
            except ClusterError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return None
                if error.status not in TRANSIENT or not self._patient:
                    raise
                self._on_problem(error.reason)
                if self._cluster.clock.wait(self._stop, error.retry_after or backoff(_RETRY)):
                    return container
                continue
            return None if isinstance(now, str) or now.uid != container.uid else now

    def is_same_instance(self, container: Container) -> bool:
        """Whether the same instance of the container runs, also a little later.

        The kubelet serves the log of a new instance before the API server knows of the instance.
        """
        for attempt in range(_LOOKS):
            now = self.current(container)
            if now is None or now.instance != container.instance:
                return False
            if self._cluster.clock.wait(self._stop, backoff(min(attempt, 1))):
                break
        return True
