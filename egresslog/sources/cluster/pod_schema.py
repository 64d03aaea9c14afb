"""The form that pods must have, as far as it is relied upon, and what is wrong with those that have another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from egresslog.errors import ClusterError
from egresslog.sources.messages import one_line
from egresslog.timespec import is_storable, parse_rfc3339

Pod = Mapping[str, Any]  # the API's JSON object, checked

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)  # of objects; it goes into paths of requests
_QUOTED = 60  # characters of a value in a message
_COUNT = 2**31  # counts in the API are int32

#: Yields what is wrong with a value; its name is the second argument.
_Check = Callable[[Any, str], Iterator[str]]


def checked_pod(value: Any, where: str) -> Pod:
    """A pod that has the form of one. Anything in it may be null or absent, but for names.

    Args:
        value: JSON of the API.
        where: the cluster and the request, for messages.

    Raises:
        ClusterError: it is no pod, or cannot be one that Kubernetes made.
    """
    for problem in _POD(value, ""):
        raise ClusterError(where, f"{_described(value)} cannot be used: {problem}")
    found: Pod = value
    return found


def _described(value: Any) -> str:
    meta = value.get("metadata") if isinstance(value, dict) else None
    names = [meta.get(key) for key in ("namespace", "name")] if isinstance(meta, dict) else []
    name = "/".join(str(name) for name in names if name)
    return f"pod {one_line(name, _QUOTED)}" if name else "a pod without a name"


def _text(value: Any, field: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{field} is not text"


def _name(value: Any, field: str) -> Iterator[str]:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        yield f"{field} is not a name: '{one_line(str(value), _QUOTED)}'"


def _time(value: Any, field: str) -> Iterator[str]:
    try:
        if is_storable(parse_rfc3339(value)):
            return
    except (TypeError, ValueError, OverflowError):
        pass
    yield f"{field} is not a time that a pod can have: '{one_line(str(value), _QUOTED)}'"


def _address(value: Any, field: str) -> Iterator[str]:
    try:
        ip_address(value if isinstance(value, str) else "")
    except ValueError:
        yield f"{field} is not an address: '{one_line(str(value), _QUOTED)}'"


def _count(value: Any, field: str) -> Iterator[str]:
    if not isinstance(value, int) or not 0 <= value < _COUNT:
        yield f"{field} is not a count"


def _flag(value: Any, field: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{field} is not true or false"


def _list(check: _Check) -> _Check:
    def test(value: Any, field: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{field} is not a list"
            return
        for number, entry in enumerate(value):
            yield from check(entry, f"{field}[{number}]")

    return test


def _texts(value: Any, field: str) -> Iterator[str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        yield f"{field} is not a map of texts"


def _object(required: Mapping[str, _Check], optional: Mapping[str, _Check]) -> _Check:
    def test(value: Any, field: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{field or 'it'} is not an object"
            return
        prefix = f"{field}." if field else ""
        for name, check in required.items():
            yield from check(value.get(name), prefix + name)
        for name, check in optional.items():
            if value.get(name) is not None:
                yield from check(value[name], prefix + name)

    return test


_STATE = _object({}, {"startedAt": _time, "reason": _text, "message": _text, "containerID": _text})
_STATES = _object({}, {"running": _STATE, "waiting": _STATE, "terminated": _STATE})
_STATUS = _list(
    _object({"name": _text}, {"containerID": _text, "restartCount": _count, "state": _STATES, "lastState": _STATES})
)
_CONTAINERS = _list(_object({"name": _text}, {"restartPolicy": _text}))
_POD = _object(
    {
        "metadata": _object(
            {"name": _name, "namespace": _name},
            {
                "uid": _text,
                "labels": _texts,
                "annotations": _texts,
                "creationTimestamp": _time,
                "deletionTimestamp": _time,
                "ownerReferences": _list(_object({"kind": _text, "name": _text}, {})),
            },
        )
    },
    {
        "spec": _object({}, {"hostNetwork": _flag, "containers": _CONTAINERS, "initContainers": _CONTAINERS}),
        "status": _object(
            {},
            {
                "phase": _text,
                "reason": _text,
                "podIP": _address,
                "podIPs": _list(_object({}, {"ip": _address})),
                "containerStatuses": _STATUS,
                "initContainerStatuses": _STATUS,
            },
        ),
    },
)
