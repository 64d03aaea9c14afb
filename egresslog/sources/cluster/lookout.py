"""What has become of a container, as the API server tells."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from egresslog.errors import ClusterError
from egresslog.sources.cluster.client import GONE, PASSING, Cluster, pause
from egresslog.sources.cluster.pods import Container, choose

_SETTLE = 6  # looks: a pod's status comes a second later than its log


class Lookout:
    """Asks for pods again and again. With ``patience`` a server that is away is waited for."""

    def __init__(self, cluster: Cluster, stop: Event, trouble: Callable[[str], None], *, patience: bool) -> None:
        """``trouble`` is told why there is no answer; ``stop`` ends the waiting."""
        self._cluster, self._stop, self._trouble, self._patience = cluster, stop, trouble, patience

    def look(self, container: Container) -> Container | None:
        """The container as it is now; None if it is gone, or another pod has its name.

        Raises:
            ClusterError: no answer, or none that waiting could change.
        """
        while True:
            try:
                found = choose(self._cluster.get(container.path), container.name)
            except ClusterError as error:
                if error.status == GONE:
                    return None
                if error.status not in PASSING or not self._patience:
                    raise
                self._trouble(error.reason)
                if self._stop.wait(error.retry_after or pause(4)):
                    return container
                continue
            return None if isinstance(found, str) or found.uid != container.uid else found

    def is_same(self, container: Container) -> bool:
        """Whether the same instance runs, also a little later.

        The kubelet gives out a new instance's log before the API server knows of it.
        """
        for attempt in range(_SETTLE):
            now = self.look(container)
            if now is None or now.instance != container.instance:
                return False
            if self._stop.wait(pause(min(attempt, 1))):
                break
        return True
