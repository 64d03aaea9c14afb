"""Probes with their lines: a request from a workload, then the logs read until they show what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from egresslog.errors import ClusterError
from egresslog.live.probe.locate import ProbeLines, locate
from egresslog.live.probe.request import Probe, application, send_request, url_of
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.clock import Clock
from egresslog.sources.cluster.discovery import list_pods
from egresslog.sources.cluster.pods import Container, Target
from egresslog.timespec import rfc3339
from egresslog.verification.result import Verification
from egresslog.verification.verdict import Verdict

Check = Callable[[], Verification]  # reads the logs as they are now, and gives the verdicts

_FLUSH_SECONDS = 1.0  # between Envoy's writes (Istio: --file-flush-interval-msec 1000)
_CHECKS = 10
_SKEW = 5 * 10**9  # ns that clocks may differ
_FINAL = {Verdict.PROVEN, Verdict.BYPASSED, Verdict.MISROUTED, Verdict.BLOCKED}  # no later line can change these


@dataclass(frozen=True)
class ProbeResult:
    """A request that was sent, and where the logs show it."""

    probe: Probe
    lines: ProbeLines

    @property
    def is_final(self) -> bool:
        """Whether later lines cannot change the result."""
        return self.lines.found_by is not None and set(self.lines.rows["verdict"].to_pylist()) <= _FINAL


@dataclass(frozen=True)
class ProbeScope:
    """What the verdict is about, as ``egresslog.verify`` takes it: requests of these clients since then."""

    source: tuple[str, ...]
    since: str


def send_probes(
    hosts: Sequence[str],
    workload: str,
    url: str | None,
    *,
    context: str | None = None,
    kubeconfig: str | None = None,
    timeout: float = 10.0,
) -> list[Probe]:
    """Sends one request to each host from a pod of a workload.

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
        return [send_request(cluster, container, url, timeout=timeout) for url in urls]


def await_lines(
    probes: Sequence[Probe], check: Check, *, wait: Callable[[float], None] | None = None
) -> tuple[Verification, list[ProbeResult]]:
    """Checks until every probe's lines show what became of it, or ten times.

    Args:
        probes: the requests that were sent.
        check: reads the logs as they are now, and gives the verdicts.
        wait: waits so many seconds; None: in real time.

    Raises:
        ClusterError: as ``read_cluster``.
    """
    wait = wait or Clock().sleep
    for number in range(1, _CHECKS + 1):
        wait(_FLUSH_SECONDS)
        verification = check()
        rows = verification.to_arrow()
        log_format = verification.logs["gateway"].format
        results = [ProbeResult(probe, locate(probe, rows, log_format)) for probe in probes]
        if number == _CHECKS or all(result.is_final for result in results):
            return verification, results
        verification.close()
    raise AssertionError


def probe_scope(probes: Sequence[Probe]) -> ProbeScope:
    """What to ask of the logs: what these pods sent since then."""
    ips = tuple(dict.fromkeys(ip for probe in probes for ip in probe.pod.ips))
    begin = min(probe.at_ns for probe in probes) - _SKEW
    return ProbeScope(ips, rfc3339(begin, digits=0))


def _container(cluster: Cluster, workload: str) -> Container:
    """The application's container of the first pod that runs."""
    target = Target.workload(workload)
    reasons = []
    for pod in list_pods(cluster, target):
        container = application(pod)
        if isinstance(container, Container):
            return container
        reasons.append(container)
    raise ClusterError(cluster.name, "; ".join(reasons) or f"found no {target}")
