"""The command `verify`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from egresslog.exits import Exit, exit_code, run, until_closed
from egresslog.inputs import Place, open_logs, output_colour, shown_progress, tell
from egresslog.options import (
    AllNamespaces,
    Color,
    Container,
    Context,
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
    RejectsFile,
    Selector,
    SidecarFiles,
    Since,
    Source,
    Until,
)  # fmt: skip


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
        from egresslog.errors import UsageError  # noqa: PLC0415
        from egresslog.show import output as out  # noqa: PLC0415
        from egresslog.show import verdicts as show  # noqa: PLC0415
        from egresslog.verdicts import Judgement  # noqa: PLC0415
        from egresslog.verdicts import verify as judge  # noqa: PLC0415

        form = out.choose(output, output_file, piped="json", known=show.FORMS)
        if expect.upper() not in Judgement.__members__:
            raise UsageError(f"no verdict {expect!r}; there are {', '.join(Judgement)}")
        place = Place(
            namespace, all_namespaces, selector, gateway_name, container, context, kubeconfig, max_log_requests
        )
        logs = open_logs(
            gateway, sidecar, workloads, from_all, format, place=place, color=color, output_file=output_file,
            rejects=rejects,
        )  # fmt: skip
        with shown_progress(list(logs.values()), color):
            found = judge(
                hosts or (),
                gateway=logs.get("gateway"),
                sidecars=logs.get("sidecar"),
                gateway_service=gateway_service or (),
                gateway_ip=gateway_ip or (),
                external=external or (),
                source=source or (),
                since=since,
                until=until,
            )
        with until_closed(), out.opened(output_file) as stream:
            show.write(stream, form, found, output_colour(output_file, color))
        reliable = tell(logs, color, rejects=rejects, keep_going=keep_going)
        return exit_code(found.answer(Judgement[expect.upper()], reliable=reliable))

    run(work, color)
