"""GET .../pods/NAME/log."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from .logs import NANOSECONDS, LogOptions, Scan
from .status import ApiError, Cause, bad_request, invalid

if TYPE_CHECKING:
    from .cluster import Cluster
    from .exchange import Exchange, Request

_READ = 64 * 1024
_TIME = "2006-01-02T15:04:05Z07:00"
# Go's layout, element by element, with what each accepts.
_ELEMENTS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d{2}"),
    ("-", "-"),
    ("02", r"\d{2}"),
    ("T", "T"),
    ("15", r"\d{2}"),
    (":", ":"),
    ("04", r"\d{2}"),
    (":", ":"),
    ("05", r"\d{2}(?:[.,]\d+)?"),
    ("Z07:00", r"Z|[+-]\d{2}:\d{2}"),
)


def serve_log(cluster: Cluster, exchange: Exchange, namespace: str, name: str) -> None:
    """Answer with the log, for as long as it is followed."""
    options = log_options(exchange.request, name, cluster)
    with cluster.changed:
        pod = cluster.pod(namespace, name)
        instance = pod.served(pod.choose(options.container), previous=options.previous)
        reading = Scan(instance.log, options, zone=cluster.zone, old_kubelet=cluster.old_kubelet)
    body = exchange.open(200, "text/plain")
    while True:
        with cluster.changed:
            data = reading.read(_READ)
            if data == b"":
                body.idle()
        if data is None:
            body.end()
            return
        if data:
            body.send(data)
        else:
            body.check()


def log_options(request: Request, name: str, cluster: Cluster) -> LogOptions:
    """The query, as the API server reads it; raises its answers to nonsense."""
    query = request.query
    numbers = {key: request.number(key) for key in ("sinceSeconds", "tailLines", "limitBytes")}
    since_time = _time(query["sinceTime"]) if "sinceTime" in query else None
    causes = []
    if "stream" in query and not cluster.split_streams:
        causes.append(Cause("FieldValueForbidden", "Forbidden: may not be specified", "stream"))
    for key, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        number = numbers[key]
        if number is not None and number < least:
            bound = "greater than or equal to 0" if least == 0 else "greater than 0"
            causes.append(Cause("FieldValueInvalid", f"Invalid value: {number}: must be {bound}", key))
    if since_time is not None and numbers["sinceSeconds"] is not None:
        message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("FieldValueForbidden", message, "[]"))
    if causes:
        raise invalid("PodLogOptions", name, causes)
    since = since_time
    if numbers["sinceSeconds"] is not None:
        since = cluster.now() - numbers["sinceSeconds"] * NANOSECONDS
    return LogOptions(
        container=query.get("container", ""),
        follow=request.flag("follow"),
        previous=request.flag("previous"),
        timestamps=request.flag("timestamps"),
        since=since,
        tail=numbers["tailLines"],
        limit=numbers["limitBytes"],
        stream=query.get("stream", "All"),
    )


def _time(text: str) -> int:
    """RFC 3339 in whole seconds, because the API server hands the kubelet no more."""
    rest = text
    for layout, pattern in _ELEMENTS:
        match = re.match(pattern, rest)
        if not match:
            raise _bad_time(
                text, f': cannot parse "{rest}" as "{layout}"' if rest else f': cannot parse "" as "{layout}"'
            )
        rest = rest[match.end() :]
    if rest:
        raise _bad_time(text, f': extra text: "{rest}"')
    try:
        moment = datetime.fromisoformat(re.sub(r"[.,]\d+", "", text))
    except ValueError as error:
        field = str(error).split(" ", 1)[0]
        raise _bad_time(text, f": {field} out of range", layout=False) from error
    return int(moment.timestamp()) * NANOSECONDS


def _bad_time(text: str, problem: str, *, layout: bool = True) -> ApiError:
    return bad_request(f'parsing time "{text}"' + (f' as "{_TIME}"' if layout else "") + problem)
