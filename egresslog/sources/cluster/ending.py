"""How a body of a log ended, and what an error means for its stream."""

from __future__ import annotations

from enum import Enum, auto

from egresslog.errors import ClusterError
from egresslog.sources.cluster.client import AGAIN, BAD, GONE, PASSING


class Ended(Enum):
    """How it ended."""

    WHOLE = auto()  # cleanly: the container ended, or the server closed
    BROKEN = auto()
    SILENT = auto()
    NOT_YET = auto()  # the container has not started
    OTHER = auto()  # the body is of another instance


def meaning(error: ClusterError, *, follow: bool, previous: bool) -> Ended:
    """What an error of the log API means.

    Raises:
        ClusterError: nothing that trying again could change.
    """
    if error.status == BAD and (previous or "waiting to start" in error.reason):
        return Ended.NOT_YET  # or the runtime has thrown the instance before away
    if error.status in (GONE, *(PASSING if follow else (None, *AGAIN))):
        return Ended.BROKEN  # what is gone, the pod tells
    raise error
