"""How far reading is behind: a reader that was suspended may have missed files that were rotated meanwhile."""

from __future__ import annotations

import time

from egresslog.sources.cluster.client import Cluster, Query
from egresslog.sources.cluster.log_timestamps import timestamp_of
from egresslog.sources.cluster.pods import Container

_FIRST_BYTES = 256  # enough for a timestamp
_BEHIND = 10 * 10**9  # ns more than usual


class Lag:
    """Compares timestamps with our clock. The node's clock may differ: the least difference yet is the usual one."""

    def __init__(self) -> None:
        self._least: int | None = None
        self._next_check = 0

    def is_behind(self, timestamp: int) -> bool:
        """Whether a line with this timestamp (ns) is read much later than usual; True once in ten seconds at most."""
        now = time.time_ns()
        lag = now - timestamp
        self._least = lag if self._least is None else min(lag, self._least)
        if lag - self._least < _BEHIND or now < self._next_check:
            return False
        self._next_check = now + _BEHIND
        return True

    def rotated_to(self, timestamp: int, cluster: Cluster, container: Container) -> int | None:
        """The timestamp (ns) with which the log's file begins now, if reading is behind and the log was rotated since.

        Raises:
            ClusterError: the log cannot be read.
        """
        if not self.is_behind(timestamp):
            return None
        query: Query = {"container": container.name, "timestamps": "true", "limitBytes": _FIRST_BYTES}
        first = timestamp_of(b"".join(cluster.read_body(cluster.open(f"{container.path}/log", query))))
        return first if first is not None and first > timestamp else None
