"""The logs of a cluster's gateway and sidecars as they are now -> Log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from egresslog.errors import UsageError
from egresslog.filters import Filter
from egresslog.live import diagnosis
from egresslog.log import Log
from egresslog.records.format import Format
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.pods import PROXY, Target, gateway_targets
from egresslog.sources.cluster.snapshot import STREAMS, Collected, collect
from egresslog.timespec import moment


def read_cluster(
    *targets: str,
    namespace: str | Iterable[str] = (),
    all_namespaces: bool = False,
    selector: str | None = None,
    gateway_name: str | None = None,
    container: str | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    since: str | None = None,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    columns: Sequence[str] | None = None,
    where: Filter | None = None,
    keep_going: bool = False,
    max_log_requests: int = STREAMS,
    progress: Callable[[int, int], None] | None = None,
) -> Log:
    """Reads the logs of a cluster's egress gateway: all its pods, and the instance before a container's last restart.

    They are read at once, into temporary files that go with the Log. Kubernetes keeps little of a log (10 MiB by
    default, of which it serves the newest file): ``log.coverage`` says from when to when each container was read.

    Args:
        *targets: ``deploy/NAME``, ``pod/NAME`` and their like; none for what has ``selector``.
        namespace: one or several; none for ``istio-system``.
        all_namespaces: look everywhere.
        selector: a label query; ``istio=egressgateway`` if nothing else is said.
        gateway_name: the name of a Gateway of the Gateway API instead.
        container: its name; without, ``istio-proxy``, else ``egressgateway``, else the only one.
        context: of the kubeconfig; its current one if not given.
        kubeconfig: a file; as kubectl finds it if not given, or else the service account of the pod this runs in.
        since: only lines written from then on: RFC 3339, or ``5m`` ago.
        format: as ``egresslog.read``; None also tries the format that the mesh's configuration names.
        columns: as ``egresslog.read``.
        where: as ``egresslog.read``.
        keep_going: as ``egresslog.read``.
        max_log_requests: logs to read at a time.
        progress: called with how many of how many containers were read.

    Raises:
        UsageError: targets or options that make no sense.
        ClusterError: no cluster, no rights (the message has the Role that is needed), or no such pods.
    """
    wanted = gateway_targets(None if all_namespaces else names(namespace), targets, selector, gateway_name, container)
    with closing(Cluster.connect(context=context, kubeconfig=kubeconfig)) as cluster:
        found = _collected(cluster, wanted, since, max_log_requests, progress)
        return _log(cluster, found, format, columns, where=where, keep_going=keep_going)


def read_sidecars(
    *workloads: str,
    but: Log | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    since: str | None = None,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    where: Filter | None = None,
    keep_going: bool = False,
    max_log_requests: int = STREAMS,
    progress: Callable[[int, int], None] | None = None,
) -> Log:
    """Reads the logs of sidecars, as ``read_cluster`` reads the gateway's.

    Args:
        *workloads: ``NAMESPACE/NAME`` of a Deployment or another owner of pods, or of a pod; none for every sidecar.
        but: the gateway's log; its pods are no clients.
        context: as ``read_cluster``, like all that follow.
        kubeconfig: a file.
        since: a time.
        format: of the lines.
        where: a filter.
        keep_going: leave out what cannot be read.
        max_log_requests: at a time.
        progress: is told.

    Raises:
        UsageError, ClusterError: as ``read_cluster``.
    """
    wanted = [Target.workload(text) for text in workloads] or [Target(None, container=PROXY, sidecars=True)]
    left_out = [covered.container.key for covered in but.coverage] if but else []
    with closing(Cluster.connect(context=context, kubeconfig=kubeconfig)) as cluster:
        found = _collected(cluster, wanted, since, max_log_requests, progress, left_out)
        return _log(cluster, found, format, None, where=where, keep_going=keep_going)


def names(given: str | Iterable[str]) -> list[str]:
    """Namespaces, also joined by commas.

    Raises:
        UsageError: an empty one.
    """
    found = [part.strip() for text in ([given] if isinstance(given, str) else given) for part in text.split(",")]
    if not all(found):
        raise UsageError("an empty namespace: leave --namespace out for istio-system, or give -A for all")
    return found


def _collected(
    cluster: Cluster,
    wanted: Sequence[Target],
    since: str | None,
    streams: int,
    progress: Callable[[int, int], None] | None,
    but: Sequence[tuple[str, str]] = (),
) -> Collected:
    begin = None if since is None else moment(since, datetime.now(UTC))
    found = collect(cluster, wanted, since=begin, streams=streams, but=but, progress=progress)
    if not found.sources:
        raise diagnosis.missing(cluster, wanted, found)
    found.errors = [diagnosis.explained(error, wanted) for error in found.errors]
    return found


def _log(
    cluster: Cluster,
    found: Collected,
    format: str | Mapping[str, Any] | Format | None,  # noqa: A002
    columns: Sequence[str] | None,
    *,
    where: Filter | None,
    keep_going: bool,
) -> Log:
    format, notes, found.advice = diagnosis.about(cluster, found.coverage, format)  # noqa: A001
    found.notes += notes
    return Log(found, format, columns, where=where, keep_going=keep_going)
