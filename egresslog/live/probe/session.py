"""Probes with their lines: a request from a workload, then the logs read until they tell what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from egresslog.errors import ClusterError
from egresslog.live.probe.locate import Sighting, find
from egresslog.live.probe.request import Probe, application, probe, url_of
from egresslog.log import Log
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.clock import Clock
from egresslog.sources.cluster.discovery import list_pods
from egresslog.sources.cluster.pods import Container, Target
from egresslog.timespec import rfc3339
from egresslog.verification.findings import Verdict
from egresslog.verification.result import Verification

Look = Callable[[], tuple[Verification, Mapping[str, Log]]]

_FLUSH = 1.0  # seconds between Envoy's writes (Istio: --file-flush-interval-msec 1000)
_LOOKS = 10
_SLACK = 5 * 10**9  # ns that clocks may differ
# What no line of a gateway can follow.
_FINAL = {Verdict.PROVEN, Verdict.BYPASSED, Verdict.MISROUTED, Verdict.BLOCKED}


@dataclass(frozen=True)
class Trial:
    """A request that was made, and where the logs show it."""

    probe: Probe
    sighting: Sighting

    @property
    def settled(self) -> bool:
        """Whether looking again can tell no more."""
        return self.sighting.how is not None and set(self.sighting.rows["verdict"].to_pylist()) <= _FINAL


@dataclass(frozen=True)
class Question:
    """What the verdict is about, as ``egresslog.verify`` takes it: requests of these clients since then."""

    source: tuple[str, ...]
    since: str


def attempt(
    hosts: Sequence[str],
    workload: str,
    url: str | None,
    *,
    context: str | None = None,
    kubeconfig: str | None = None,
    timeout: float = 10.0,
) -> list[Probe]:
    """Makes one request to each host from a pod of a workload.

    Args:
        hosts: names; with ``url`` one only.
        workload: as ``read_sidecars`` takes it.
        url: of the request; None for ``http://HOST/``.
        context: as ``read_cluster``.
        kubeconfig: as ``read_cluster``.
        timeout: seconds that a request may take.

    Raises:
        UsageError: hosts or a URL that cannot be asked for.
        ClusterError: no such pods, no right to run a command there, or no tool in the image.
    """
    urls = [url_of(host, url) for host in hosts]
    with closing(Cluster.connect(context=context, kubeconfig=kubeconfig)) as cluster:
        container = _container(cluster, workload)
        return [probe(cluster, container, one, timeout=timeout) for one in urls]


def settle(
    probes: Sequence[Probe], look: Look, *, wait: Callable[[float], None] | None = None
) -> tuple[Verification, Mapping[str, Log], list[Trial]]:
    """Looks until every probe's lines tell what became of it, or ten times.

    Args:
        probes: that were made.
        look: reads the logs as they are now, and gives verdicts and logs by hop.
        wait: waits so many seconds; None: in real time.

    Raises:
        ClusterError: as ``read_cluster``.
    """
    wait = wait or Clock().sleep
    for place in range(_LOOKS):
        wait(_FLUSH)
        found, logs = look()
        rows = found.to_arrow()
        trials = [Trial(one, find(one, rows, logs["gateway"].format)) for one in probes]
        if place == _LOOKS - 1 or all(trial.settled for trial in trials):
            return found, logs, trials
        found.close()
    raise AssertionError


def question(probes: Sequence[Probe]) -> Question:
    """What to ask about the logs: what these pods sent since then."""
    ips = tuple(dict.fromkeys(ip for one in probes for ip in one.pod.ips))
    begin = min(one.at_ns for one in probes) - _SLACK
    return Question(ips, rfc3339(begin, digits=0))


def _container(cluster: Cluster, workload: str) -> Container:
    """The application's container of the first pod that runs."""
    target = Target.workload(workload)
    said = []
    for pod in list_pods(cluster, target):
        found = application(pod)
        if isinstance(found, Container):
            return found
        said.append(found)
    raise ClusterError(cluster.name, "; ".join(said) or f"found no {target}")
