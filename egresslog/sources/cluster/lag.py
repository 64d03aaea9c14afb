"""How far reading is behind what is written: a reader that was suspended may have missed files rotated meanwhile."""

from __future__ import annotations

import time

from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.log_timestamps import nanoseconds
from egresslog.sources.cluster.pods import Container

_PLENTY = 256  # bytes that hold a stamp
_BEHIND = 10 * 10**9  # ns more than usual


class Lag:
    """Compares stamps with our clock. The node's may differ: what was least until now is what is usual."""

    def __init__(self) -> None:
        self._least: int | None = None
        self._again = 0

    def is_behind(self, stamp: int) -> bool:
        """Whether a line stamped then is read much too late; said once in ten seconds."""
        now = time.time_ns()
        lag = now - stamp
        self._least = lag if self._least is None else min(lag, self._least)
        if lag - self._least < _BEHIND or now < self._again:
            return False
        self._again = now + _BEHIND
        return True

    def gap(self, stamp: int, cluster: Cluster, container: Container) -> int | None:
        """If reading is behind, and the log was rotated since: the stamp (ns) that the file begins with now.

        Raises:
            ClusterError: the log cannot be asked for.
        """
        if not self.is_behind(stamp):
            return None
        query: dict[str, str | int] = {"container": container.name, "timestamps": "true", "limitBytes": _PLENTY}
        first = nanoseconds(b"".join(cluster.body(cluster.open(f"{container.path}/log", query))))
        return first if first is not None and first > stamp else None
