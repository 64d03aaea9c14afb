"""The logs of a cluster's gateway and sidecars as they are now -> Log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from egresslog.errors import UsageError
from egresslog.filters import Filter
from egresslog.live import diagnosis
from egresslog.live.cluster_networks import ClusterNetworks, learn_networks
from egresslog.log import Log
from egresslog.records.format import Format
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.pods import PROXY, Target, gateway_targets
from egresslog.sources.cluster.snapshot import MAX_LOG_REQUESTS, Snapshot, take_snapshot
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
    max_log_requests: int = MAX_LOG_REQUESTS,
    networks: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Log:
    """Reads the logs of a cluster's egress gateway: all its pods, and the instance before a container's last restart.

    They are read immediately, into temporary files that are deleted with the Log. Kubernetes keeps little of a log
    (10 MiB by default, of which it serves the newest file): ``log.coverage`` has from when to when each was read.

    Args:
        *targets: ``deploy/NAME``, ``pod/NAME`` and the like; none: the pods with ``selector``.
        namespace: one or several; none: ``istio-system``.
        all_namespaces: look in all namespaces.
        selector: a label query; ``istio=egressgateway`` if nothing else is given.
        gateway_name: the name of a Gateway of the Gateway API, instead of a selector.
        container: its name; None: ``istio-proxy``, else ``egressgateway``, else the only one.
        context: of the kubeconfig; None: its current one.
        kubeconfig: a file; None: as kubectl finds it, or else the service account of the pod this runs in.
        since: only lines written from then on: RFC 3339, or ``5m`` ago.
        format: as ``egresslog.read``; with None, the format of the mesh's configuration is tried as well.
        columns: as ``egresslog.read``.
        where: as ``egresslog.read``.
        keep_going: as ``egresslog.read``.
        max_log_requests: logs to read at a time.
        networks: ask the cluster also which addresses are its own, for ``verify``.
        progress: called with how many of how many logs were read.

    Raises:
        UsageError: targets or options are invalid.
        ClusterError: no cluster, no rights (the message has the Role that is needed), or no such pods.
    """
    namespaces = None if all_namespaces else split_names(namespace)
    wanted = gateway_targets(namespaces, targets, selector, gateway_name, container)
    with closing(Cluster.connect(context=context, kubeconfig=kubeconfig)) as cluster:
        snapshot = _snapshot(cluster, wanted, since, max_log_requests, progress)
        if networks:
            _add_networks(snapshot, learn_networks(cluster))
        return _log(cluster, snapshot, wanted, format, columns, where=where, keep_going=keep_going)


def read_sidecars(
    *workloads: str,
    but: Log | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    since: str | None = None,
    format: str | Mapping[str, Any] | Format | None = None,  # noqa: A002
    where: Filter | None = None,
    keep_going: bool = False,
    max_log_requests: int = MAX_LOG_REQUESTS,
    progress: Callable[[int, int], None] | None = None,
) -> Log:
    """Reads the logs of sidecars, as ``read_cluster`` reads the gateway's.

    Args:
        *workloads: ``NAMESPACE/NAME`` of a Deployment or another owner of pods, or of a pod; none: every sidecar.
        but: the gateway's log, whose pods are left out: they are not clients.
        context: as ``read_cluster``, like all that follow.
        kubeconfig: a file.
        since: a time.
        format: of the lines.
        where: a filter.
        keep_going: leave out what cannot be read.
        max_log_requests: at a time.
        progress: called with how many of how many logs were read.

    Raises:
        UsageError, ClusterError: as ``read_cluster``.
    """
    wanted = [Target.workload(text) for text in workloads] or [Target(None, container=PROXY, sidecars=True)]
    exclude = [entry.container.key for entry in but.coverage] if but else []
    with closing(Cluster.connect(context=context, kubeconfig=kubeconfig)) as cluster:
        snapshot = _snapshot(cluster, wanted, since, max_log_requests, progress, exclude)
        if not exclude:  # else the gateway's log has them
            _add_networks(snapshot, learn_networks(cluster))
        return _log(cluster, snapshot, wanted, format, None, where=where, keep_going=keep_going)


def split_names(namespaces: str | Iterable[str]) -> list[str]:
    """The names of namespaces, of which several may be joined by commas.

    Raises:
        UsageError: a name is empty.
    """
    texts = [namespaces] if isinstance(namespaces, str) else namespaces
    names = [name.strip() for text in texts for name in text.split(",")]
    if not all(names):
        raise UsageError("an empty namespace: omit --namespace for istio-system, or give -A for all namespaces")
    return names


def _snapshot(
    cluster: Cluster,
    targets: Sequence[Target],
    since: str | None,
    max_log_requests: int,
    progress: Callable[[int, int], None] | None,
    exclude: Sequence[tuple[str, str]] = (),
) -> Snapshot:
    start = None if since is None else moment(since, datetime.now(UTC))
    snapshot = take_snapshot(
        cluster, targets, since=start, max_log_requests=max_log_requests, exclude=exclude, progress=progress
    )
    if not snapshot.sources:
        raise diagnosis.nothing_found(cluster, targets, snapshot)
    return snapshot


def _add_networks(snapshot: Snapshot, networks: ClusterNetworks) -> None:
    snapshot.ranges, snapshot.api_server = networks.ranges, networks.api_server
    snapshot.notes += networks.notes


def _log(
    cluster: Cluster,
    snapshot: Snapshot,
    targets: Sequence[Target],
    format: str | Mapping[str, Any] | Format | None,  # noqa: A002
    columns: Sequence[str] | None,
    *,
    where: Filter | None,
    keep_going: bool,
) -> Log:
    format, notes, advice = diagnosis.diagnose(cluster, snapshot.coverage, format)  # noqa: A001
    errors = [diagnosis.with_missing_rights(error, targets) for error in snapshot.errors]
    snapshot.describe(errors, notes, advice)
    return Log(snapshot, format, columns, where=where, keep_going=keep_going)
