"""What `verify` does on a running mesh: probes, and looking again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from egresslog.cli.exit_codes import Exit, until_closed
from egresslog.cli.logs import Place

if TYPE_CHECKING:
    from egresslog.live.probe.request import Probe
    from egresslog.live.probe.session import Look, Trial
    from egresslog.show.terminal import ColorMode
    from egresslog.verification.result import Verification


def check_live(
    hosts: Sequence[str] | None,
    gateway: Sequence[str] | None,
    sidecar: Sequence[str] | None,
    workloads: Sequence[str] | None,
    probe: str | None,
    *,
    watch: bool,
    form: str,
    output_file: str | None,
) -> None:
    """Finds out before anything is done whether the options go together.

    Raises:
        UsageError: they do not.
    """
    from egresslog.errors import UsageError

    if watch and (gateway or sidecar):
        raise UsageError("--watch looks at the cluster: files do not change (leave --gateway and --sidecar out)")
    if watch and (output_file or form not in {"table", "ndjson"}):
        raise UsageError("--watch goes on for ever: its output is a table or ndjson, and no file")
    if probe is None:
        return
    if watch:
        raise UsageError("give --probe or --watch, not both")
    if not workloads or len(workloads) > 1:
        raise UsageError("--probe needs one workload to send from: --from NS/WORKLOAD")
    if not hosts or (probe and len(hosts) > 1):
        raise UsageError(
            "--probe needs the host to ask about, one if a URL is given: verify HOST --from ... --probe [URL]"
        )


def probed(hosts: Sequence[str], workloads: Sequence[str], url: str, *, place: Place) -> list[Probe]:
    """Makes the requests.

    Raises:
        UsageError, ClusterError: see ``trial.attempt``.
    """
    from egresslog.live.probe.session import attempt

    return attempt(hosts, workloads[0], url or None, context=place.context, kubeconfig=place.kubeconfig)


def narrowed(probes: Sequence[Probe]) -> dict[str, object]:
    """What to ask about the logs: the requests of these pods since then."""
    from egresslog.live.probe.session import question

    return vars(question(probes))


def settled(probes: Sequence[Probe], look: Look, color: str) -> tuple[Verification, Sequence[Trial]]:
    """Looks until the lines of the probes are there."""
    from egresslog.live.probe.session import settle
    from egresslog.show.terminal import waiting

    with waiting("waiting for the lines of the request", color):
        return settle(probes, look)


def watched(
    look: Look,
    answer: Callable[[Verification], Exit],
    *,
    every: str,
    form: str,
    color: ColorMode,
) -> Exit:
    """Shows the verdicts and then what changes, until it is interrupted; the exit code is that of the last look."""
    from egresslog.live.watch import watch
    from egresslog.show import output as out
    from egresslog.show import watch as rounds
    from egresslog.timespec import duration

    code = Exit.UNKNOWN
    with out.opened(None) as stream, until_closed():
        try:
            for found, changes in watch(look, duration(every) / 10**9):
                # First, since an interruption may come as soon as something is seen.
                code = answer(found) if changes is None or changes else code
                rounds.write(stream, form, found, changes, color)
        except KeyboardInterrupt:
            pass  # how it is meant to end
    return code
