"""What `verify` does on a running mesh: it sends probes, or checks again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from egresslog.cli.exit_codes import Exit
from egresslog.cli.options import ClusterOptions, Color, FilterOptions, OutputOptions
from egresslog.cli.signals import interrupt_ends_with

if TYPE_CHECKING:
    from egresslog.live.probe.request import Probe
    from egresslog.live.probe.session import Check, ProbeResult
    from egresslog.verification.result import Verification


def check_watch(output: OutputOptions, output_format: str, *, has_files: bool, probe: str | None) -> None:
    """Checks whether ``--watch`` goes together with other options.

    Raises:
        UsageError: it does not.
    """
    from egresslog.errors import UsageError

    if has_files:
        raise UsageError("--watch reads the cluster: it cannot be used with --gateway or --sidecar")
    if output.output_file or output_format not in {"table", "ndjson"}:
        raise UsageError("--watch runs until it is interrupted: use -o table or -o ndjson, without --output-file")
    if probe is not None:
        raise UsageError("--probe and --watch cannot be used together")


def check_probe(hosts: Sequence[str], workloads: Sequence[str], url: str, filters: FilterOptions) -> None:
    """Checks whether ``--probe`` has a workload to send from and hosts to send to, and no other scope than its own.

    Raises:
        UsageError: it has not.
    """
    from egresslog.errors import UsageError

    if len(workloads) != 1:
        raise UsageError("--probe needs exactly one workload to send the request from: --from NS/WORKLOAD")
    if filters.since or filters.source:
        option = "--since" if filters.since else "--source"
        raise UsageError(f"--probe asks about the request that it sends: it cannot be used with {option}")
    if not hosts or (url and len(hosts) > 1):
        raise UsageError("--probe needs a HOST, and only one with a URL: verify HOST --from NS/WORKLOAD --probe [URL]")


def send_probes(hosts: Sequence[str], workload: str, url: str, cluster: ClusterOptions) -> list[Probe]:
    """Sends one request to each host from a pod of the workload; ``url`` is empty for the default.

    Raises:
        UsageError, ClusterError: see ``session.send_probes``.
    """
    from egresslog.live.probe.session import send_probes as send

    return send(hosts, workload, url or None, context=cluster.context, kubeconfig=cluster.kubeconfig)


def probe_filters(probes: Sequence[Probe]) -> dict[str, Any]:
    """Values of ``FilterOptions`` that select what the pods of the probes sent since then."""
    from egresslog.live.probe.session import probe_scope

    scope = probe_scope(probes)
    return {"source": list(scope.source), "since": scope.since}


def await_lines(probes: Sequence[Probe], check: Check, color: Color) -> tuple[Verification, Sequence[ProbeResult]]:
    """Checks until the logs show what became of the probes, or have had the time to.

    Raises:
        ClusterError: see ``session.await_lines``.
    """
    from egresslog.live.probe.session import await_lines as wait_for_lines
    from egresslog.show.terminal import waiting

    with waiting("waiting for the log lines of the request", color):
        return wait_for_lines(probes, check)


def watch(
    check: Check,
    conclude: Callable[[Verification], Exit],
    every: str,
    output_format: str,
    color: Color,
) -> Exit:
    """Prints the verdicts and then what changes, until it is interrupted; the exit code is that of the last check.

    Raises:
        UsageError: ``every`` is no duration.
        ClusterError: see ``read_cluster``.
    """
    from egresslog.live.watch import watch as checks
    from egresslog.show import output as out
    from egresslog.show import watch as show
    from egresslog.timespec import duration

    code = Exit.UNKNOWN
    with out.opened(None, required=False) as stream, interrupt_ends_with(lambda: code):
        for verification, changes in checks(check, duration(every) / 10**9):
            # First, since an interrupt may come as soon as something is seen.
            code = conclude(verification) if changes is None or changes else code
            show.write(stream, output_format, verification, changes, color)
    return code
