"""How the body of a log ended, and what an error of the log API means for its stream."""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus

from egresslog.errors import ClusterError
from egresslog.sources.cluster.answers import LimitError
from egresslog.sources.cluster.client import RETRYABLE, TRANSIENT

# The API answers every bad request for a log with the reason "BadRequest" (tests/kubeapi/recordings/log-400-*.json):
# that the container has not started is only in the kubelet's sentence. The pod's status cannot replace it, because it
# reaches the API server a second later.
_NOT_STARTED = "waiting to start"


class BodyEnd(Enum):
    """How the body of a log ended."""

    COMPLETE = auto()  # the container ended, or the server closed the stream
    BROKEN = auto()
    TIMED_OUT = auto()
    NOT_STARTED = auto()  # there was none: the container has not started
    OTHER_INSTANCE = auto()  # the lines are those of another instance


def end_of(error: ClusterError, *, follow: bool, previous: bool) -> BodyEnd:
    """How the body of a log ended for which the API gave an error.

    Args:
        error: of the log API.
        follow: wait for a server that is away.
        previous: the log of the instance before was requested.

    Raises:
        ClusterError: the error itself, if trying again cannot help.
    """
    if error.status == HTTPStatus.BAD_REQUEST and (previous or _NOT_STARTED in error.reason):
        return BodyEnd.NOT_STARTED  # with `previous`: the runtime has deleted that instance
    if isinstance(error, LimitError):
        raise error
    if error.status == HTTPStatus.NOT_FOUND or error.status in (TRANSIENT if follow else RETRYABLE | {None}):
        return BodyEnd.BROKEN  # whether the pod is gone is decided by looking at the pod
    raise error
