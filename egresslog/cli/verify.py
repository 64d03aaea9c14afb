"""The command `verify`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from egresslog.cli.exit_codes import Exit, exit_code, run, until_closed
from egresslog.cli.logs import Place, open_logs, output_color, shown_progress, tell
from egresslog.cli.looks import check_live, narrowed, probed, settled, watched
from egresslog.cli.options import (
    AllNamespaces,
    Color,
    Container,
    Context,
    Every,
    Expect,
    External,
    FormatOption,
    From,
    FromAll,
    GatewayFiles,
    GatewayIp,
    GatewayName,
    GatewayService,
    Hosts,
    KeepGoing,
    Kubeconfig,
    MaxLogRequests,
    Namespace,
    Output,
    OutputFile,
    Probe,
    RejectsFile,
    Selector,
    SidecarFiles,
    Since,
    Source,
    Until,
    Watch,
)  # fmt: skip

if TYPE_CHECKING:
    from egresslog.live.probe.session import Trial
    from egresslog.verification.result import Verification


class VerifyCommand(TyperCommand):
    """``--probe`` takes a URL or none, which options of typer cannot: it is one if it begins as one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Gives ``--probe`` without URL an empty one."""
        made: list[str] = []
        for at, argument in enumerate(args):
            following = args[at + 1] if at + 1 < len(args) else ""
            bare = argument == "--probe" and "://" not in following
            made.append("--probe=" if bare else argument)
        return super().parse_args(ctx, made)


def verify(
    hosts: Hosts = None,
    gateway: GatewayFiles = None,
    sidecar: SidecarFiles = None,
    gateway_service: GatewayService = None,
    gateway_ip: GatewayIp = None,
    external: External = None,
    expect: Expect = "PROVEN",
    format: FormatOption = None,  # noqa: A002
    output: Output = None,
    output_file: OutputFile = None,
    rejects: RejectsFile = None,
    keep_going: KeepGoing = False,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    selector: Selector = None,
    gateway_name: GatewayName = None,
    container: Container = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    max_log_requests: MaxLogRequests = None,
    workloads: From = None,
    from_all: FromAll = False,
    probe: Probe = None,
    watch: Watch = False,
    every: Every = "10s",
    color: Color = "auto",
) -> None:
    """Prove that traffic to hosts leaves through the egress gateway, and nowhere else.

    Compares the gateway's lines with the sidecars', from files (--gateway, --sidecar) or from the cluster (without;
    --from names the sidecars to read). Each host gets a verdict with findings and the lines behind it:
    PROVEN, BYPASSED, MISROUTED, FAILED, BLOCKED, SENT_UNCONFIRMED or NO_EVIDENCE.

    Output (-o): table, json, ndjson, yaml, markdown. In a pipe the default is json.
    Exit code: 0 every host has the expected verdict, 1 not so, 2 usage, 3 could not tell.
    """

    def work() -> Exit:
        from egresslog.errors import UsageError
        from egresslog.filters import Filter
        from egresslog.show import output as out
        from egresslog.show import verification as show
        from egresslog.verification.api import verify as judge
        from egresslog.verification.verdict import Verdict

        form = out.choose(output, output_file, piped="ndjson" if watch else "json", known=show.FORMS)
        if expect.upper() not in Verdict.__members__:
            raise UsageError(f"no verdict {expect!r}; there are {', '.join(Verdict)}")
        check_live(hosts, gateway, sidecar, workloads, probe, watch=watch, form=form, output_file=output_file)
        place = Place(
            namespace, all_namespaces, selector, gateway_name, container, context, kubeconfig, max_log_requests
        )
        asked: dict[str, Any] = {"source": source or (), "since": since, "until": until}
        stream_color = output_color(output_file, color)

        def look() -> Verification:
            logs = open_logs(
                gateway, sidecar, workloads, from_all, format, place=place, color=color, output_file=output_file,
                rejects=rejects,
            )  # fmt: skip
            with shown_progress(list(logs.values()), color) as progress:
                return judge(
                    hosts or (), gateway=logs.get("gateway"), sidecars=logs.get("sidecar"),
                    gateway_service=gateway_service or (), gateway_ip=gateway_ip or (), external=external or (),
                    progress=progress, **asked,
                )  # fmt: skip

        def answer(found: Verification) -> Exit:
            given = {hop: found.scans[hop] for hop in found.logs}
            reliable = tell(given, Filter(), color, rejects=rejects, keep_going=keep_going)
            return exit_code(found.answer(Verdict[expect.upper()], reliable=reliable))

        if watch:
            return watched(look, answer, every=every, form=form, color=stream_color)
        trials: Sequence[Trial] = ()
        if probe is None:
            found = look()
        else:
            probes = probed(hosts or (), workloads or (), probe, place=place)
            asked |= narrowed(probes)
            found, trials = settled(probes, look, color)
        with until_closed(), out.opened(output_file) as stream:
            show.write(stream, form, found, stream_color, trials)
        return answer(found)

    run(work, color)
