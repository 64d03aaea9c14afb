"""The command `verify`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egresslog.cli import live_verify
from egresslog.cli.exit_codes import Exit, exit_code, exits
from egresslog.cli.help import Command
from egresslog.cli.logs import (
    check_export_options,
    check_outputs,
    open_files,
    open_log,
    progress_bar,
    split,
    write_read_summary,
)
from egresslog.cli.option_groups import Without, expand_options
from egresslog.cli.options import ClusterOptions, FilterOptions, InputOptions, OutputOptions, input_option
from egresslog.verification.verdict import Verdict

if TYPE_CHECKING:
    from egresslog.live.probe.session import ProbeResult
    from egresslog.log import Log
    from egresslog.verification.result import Verification


class VerifyCommand(Command):
    """``--probe`` takes a URL or nothing, which typer cannot express: the next argument is its value if it is a URL."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Gives ``--probe`` without URL an empty one."""
        is_bare = [
            argument == "--probe" and "://" not in following
            for argument, following in zip(args, [*args[1:], ""], strict=False)
        ]
        return super().parse_args(
            ctx, ["--probe=" if bare else argument for argument, bare in zip(args, is_bare, strict=True)]
        )


@dataclass(frozen=True)
class HopOptions:
    """Which logs belong to which hop."""

    gateway: Annotated[
        list[str] | None,
        input_option(
            "--gateway", metavar="FILE",
            help="Log of the egress gateway; give those of all its pods. Can be repeated. "
            "Default: the gateway's pods in the cluster, unless --sidecar is given.",
        ),
    ] = None  # fmt: skip
    sidecar: Annotated[
        list[str] | None, input_option("--sidecar", metavar="FILE", help="Log of client sidecars. Can be repeated.")
    ] = None
    workloads: Annotated[
        list[str] | None,
        input_option(
            "--from", metavar="NS/WORKLOAD",
            help="Also read the sidecars of this workload from the cluster. Can be repeated.",
        ),
    ] = None  # fmt: skip
    from_all: Annotated[bool, input_option("--from-all", help="Also read every sidecar in the cluster.")] = False


Hosts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="HOST",
        help="Host names, wildcards such as '*.wikipedia.org', IP addresses, or CIDRs. "
        "Default: every external host in the logs.",
        show_default=False,
    ),
]
Expect = Annotated[
    Verdict,
    typer.Option(
        "--expect", metavar="VERDICT", case_sensitive=False, help="Verdict that every host must have. Default: PROVEN.",
        show_default=False,
    ),
]  # fmt: skip
Exclusive = Annotated[
    bool,
    typer.Option(
        "--exclusive",
        help="Also require that no traffic can have bypassed the gateway unseen: the sidecar logs of all senders must "
        "have been read. Implied by --from-all.",
    ),
]
GatewayService = Annotated[
    list[str] | None,
    typer.Option(
        "--gateway-service",
        metavar="NAME",
        help="Service of the gateway, as NAME.NAMESPACE, if its log does not show it. Can be repeated.",
    ),
]
GatewayIp = Annotated[
    list[str] | None,
    typer.Option(
        "--gateway-ip", metavar="IP", help="IP address of a gateway pod, if its log does not show it. Can be repeated."
    ),
]
External = Annotated[
    list[str] | None,
    typer.Option(
        "--external", metavar="CIDR", help="Treat this private address range as external. Can be repeated."
    ),
]  # fmt: skip
Internal = Annotated[
    list[str] | None,
    typer.Option(
        "--internal",
        metavar="CIDR",
        help="Treat this public address range as part of the cluster, such as that of pods with public addresses. "
        "Can be repeated.",
    ),
]
Probe = Annotated[
    str | None,
    typer.Option(
        "--probe", metavar="[URL]",
        help="Send one request from the workload given with --from, using curl or wget in its container, and show its "
        "log lines. Default URL: http://HOST/.",
    ),
]  # fmt: skip
Watch = Annotated[bool, typer.Option("--watch", help="Verify repeatedly, and print what changes.")]
Every = Annotated[
    str,
    typer.Option(
        "--every", metavar="DURATION", help="Interval between --watch checks. Default: 10s.", show_default=False
    ),
]


@exits
@expand_options
def verify(
    *,
    hosts: Hosts = None,
    expect: Expect = Verdict.PROVEN,
    exclusive: Exclusive = False,
    gateway_service: GatewayService = None,
    gateway_ip: GatewayIp = None,
    external: External = None,
    internal: Internal = None,
    probe: Probe = None,
    watch: Watch = False,
    every: Every = "10s",
    hops: HopOptions,
    inputs: InputOptions,
    filters: Annotated[FilterOptions, Without("host", "status", "flags", "upstream")],
    cluster: ClusterOptions,
    output: OutputOptions,
) -> Exit:
    """Verify that traffic leaves only through the egress gateway.

    Compares the gateway's log with the logs of the client sidecars, from files (--gateway, --sidecar) or from the
    cluster (the gateway by default, sidecars with --from or --from-all). Each host gets a verdict, with findings and
    the log lines that support them: PROVEN, BYPASSED, MISROUTED, FAILED, BLOCKED, SENT_UNCONFIRMED, or NO_EVIDENCE.
    Beside it stands whether a bypass was looked for (exclusivity): CONFIRMED, PARTIAL, or NOT_CHECKED.

    Output formats (-o): table, json, ndjson, yaml, markdown. Default in a pipe: json, or ndjson with --watch.
    """
    from egresslog.show import output as out
    from egresslog.show import verification as show
    from egresslog.show.notes import write_selected
    from egresslog.verification.api import verify as verify_logs

    output_format = output.format(show.FORMS, piped="ndjson" if watch else "json")
    if watch:
        live_verify.check_watch(output, output_format, has_files=bool(hops.gateway or hops.sidecar), probe=probe)
    if probe is not None:
        live_verify.check_probe(hosts or (), hops.workloads or (), probe, filters)

    paths = [*split(hops.gateway or ())[1], *split(hops.sidecar or ())[1]]
    check_outputs(output, paths, inputs=inputs, cluster=cluster)

    def check(clients: FilterOptions) -> Verification:
        logs = _open_logs(hops, inputs, cluster, output)
        with progress_bar(list(logs.values()), output.color) as progress:
            return verify_logs(
                hosts or (), gateway=logs.get("gateway"), sidecars=logs.get("sidecar"),
                gateway_service=gateway_service or (), gateway_ip=gateway_ip or (), external=external or (),
                internal=internal or (),
                source=clients.source or (), since=clients.since, until=clients.until, progress=progress,
            )  # fmt: skip

    def conclude(verification: Verification) -> Exit:
        scans = {hop: verification.scans[hop] for hop in verification.logs}
        reliable = write_read_summary(scans, FilterOptions().parse(), inputs=inputs, output=output)
        if filters.parse():
            write_selected(output.color, verification.selected)
        return exit_code(verification.answer(expect, exclusive or hops.from_all, reliable=reliable))

    if watch:
        return live_verify.watch(lambda: check(filters), conclude, every, output_format, output.output_color)
    results: Sequence[ProbeResult] = ()
    if probe is None:
        verification = check(filters)
    else:
        probes = live_verify.send_probes(hosts or (), (hops.workloads or [])[0], probe, cluster)
        clients = replace(filters, **live_verify.probe_filters(probes))
        verification, results = live_verify.await_lines(probes, lambda: check(clients), output.color)
    with out.opened(output.output_file, required=False) as stream:
        show.write(stream, output_format, verification, output.output_color, results)
    return conclude(verification)


def _open_logs(
    hops: HopOptions, inputs: InputOptions, cluster: ClusterOptions, output: OutputOptions
) -> dict[str, Log]:
    """The logs by hop, of files or of the cluster.

    Raises:
        UsageError, ClusterError: as ``open_log``.
    """
    from egresslog.errors import UsageError
    from egresslog.sources.cluster.pods import Target

    gateway, sidecar, workloads = hops.gateway or [], hops.sidecar or [], hops.workloads or []
    if "-" in gateway and "-" in sidecar:
        raise UsageError("standard input (-) can be read only once: give a file for --gateway or --sidecar")
    if bool(sidecar) + bool(workloads) + hops.from_all > 1:
        raise UsageError("--sidecar, --from, and --from-all cannot be used together")
    targets, sidecar_files = split(sidecar)
    if targets:
        raise UsageError(f"--sidecar takes files: read {targets[0]} with --from NAMESPACE/NAME")
    for workload in workloads:
        Target.workload(workload)  # before anything is read
    from_cluster = bool(workloads or hops.from_all)
    common: dict[str, Any] = {"inputs": inputs, "filters": FilterOptions()}
    logs: dict[str, Log] = {}
    if from_cluster and split(gateway)[1]:  # options of the cluster are those of the sidecars
        logs["gateway"] = open_files(gateway, **common)
    elif gateway or from_cluster or cluster.first_given() or not sidecar:
        logs["gateway"] = open_log(gateway, cluster=cluster, output=output, networks=True, **common)
    if sidecar:
        logs["sidecar"] = open_files(sidecar_files, **common)
    elif from_cluster:
        check_export_options(inputs)
        from egresslog.live.cluster_logs import read_sidecars
        from egresslog.show.terminal import counted

        with counted("sidecar logs", output.color) as progress:
            logs["sidecar"] = read_sidecars(
                *workloads, but=logs["gateway"], format=inputs.format, keep_going=True, progress=progress,
                **cluster.connection(),
            )  # fmt: skip
    return logs
