"""The options that commands share: names are kubectl's, Envoy's and Istio's."""

from __future__ import annotations

from typing import Annotated

import typer


def complete_format(incomplete: str) -> list[str]:
    """Names of the catalogue."""
    from egresslog.records.catalogue import formats

    return [made.name for made in formats() if made.name.startswith(incomplete)]


def complete_columns(incomplete: str) -> list[str]:
    """Columns, also behind a comma."""
    from egresslog.records.schema import BASE

    done, comma, last = incomplete.rpartition(",")
    return [done + comma + column.name for column in BASE if column.name.startswith(last)]


def complete_verdict(incomplete: str) -> list[str]:
    """The verdicts."""
    from egresslog.verification.verdict import Verdict

    return [verdict for verdict in Verdict if verdict.startswith(incomplete.upper())]


def complete_context(incomplete: str) -> list[str]:
    """Contexts of the kubeconfig."""
    from egresslog.sources.cluster.kubeconfig import contexts

    return [name for name in contexts() if name.startswith(incomplete)]


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILES",
        help="Files, directories, globs, - for standard input; deploy/NAME or pod/NAME of the cluster. Without: "
        "the gateway's pods in the cluster.",
        show_default=False,
    ),
]
Followed = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILES",
        help="Files, - for standard input; deploy/NAME or pod/NAME of the cluster. Without: the gateway's pods in the "
        "cluster.",
        show_default=False,
    ),
]
Hosts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="HOST",
        help="Names, wildcards such as '*.wikipedia.org', IPs or CIDRs. Without: every outside host in the logs.",
        show_default=False,
    ),
]
GatewayFiles = Annotated[
    list[str] | None,
    typer.Option("--gateway", metavar="FILE", help="Log of the egress gateway: all its pods. Repeat for more."),
]
SidecarFiles = Annotated[
    list[str] | None,
    typer.Option("--sidecar", metavar="FILE", help="Log of the clients' sidecars. Repeat for more."),
]
GatewayService = Annotated[
    list[str] | None,
    typer.Option(
        "--gateway-service",
        metavar="NAME",
        help="The gateway's Service, where its log does not show it: istio-egressgateway.istio-system",
    ),
]
GatewayIp = Annotated[
    list[str] | None,
    typer.Option("--gateway-ip", metavar="IP", help="A gateway pod's address, where its log does not show it."),
]
External = Annotated[
    list[str] | None,
    typer.Option("--external", metavar="CIDR", help="Outside, although the range is private. Repeat for more."),
]
Expect = Annotated[
    str,
    typer.Option(
        "--expect", metavar="VERDICT", help="The verdict every host should have.", autocompletion=complete_verdict
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME|STRING|FILE.toml",
        help="The log's format: a name of `egresslog formats`, an Envoy format string, or a TOML file. "
        "Without it, each line's format is found.",
        autocompletion=complete_format,
    ),
]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FORM", help="Form of the output. Default: table on a terminal."),
]
OutputFile = Annotated[
    str | None, typer.Option("--output-file", metavar="PATH", help="Write there; the suffix tells the form.")
]
RejectsFile = Annotated[
    str | None,
    typer.Option("--rejects", metavar="PATH", help="Write the lines that could not be read (.ndjson, .csv, .parquet)."),
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="A file that cannot be read does not make the command fail.")
]
Color = Annotated[str, typer.Option("--color", metavar="WHEN", help="Colours: auto, always or never.")]
Host = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="GLOB", help="Only these hosts, such as '*.wikipedia.org'."),
]
Status = Annotated[
    list[str] | None,
    typer.Option("--status", metavar="CODES", help="Only these response codes: 404, 5xx, 500-503."),
]
Flags = Annotated[
    list[str] | None,
    typer.Option("--flags", metavar="FLAGS", help="Only with one of these response flags: UF,NR; - for none."),
]
Upstream = Annotated[
    list[str] | None, typer.Option("--upstream", metavar="CIDR", help="Only to these upstream addresses.")
]
Source = Annotated[list[str] | None, typer.Option("--source", metavar="CIDR", help="Only from these addresses.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only from then on: RFC 3339, or 5m, 1h30m ago.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only before then.")]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="COLUMNS",
        help="Group by: host, status, time:5m,host, any column. Repeat for more "
        "tables. Default: host, status, upstream_ip.",
        autocompletion=complete_columns,
    ),
]
Top = Annotated[
    int | None,
    typer.Option("--top", metavar="N", help="At most N rows per table, 0 for all. Default: 20 in a table."),
]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="Sort by a column of the report; :asc or :desc may follow."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAMES",
        help="Only these columns, joined by commas.",
        autocompletion=complete_columns,
    ),
]
Namespace = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace", "-n", metavar="NS", help="Of the gateway. Repeat for more. Default: istio-system."
    ),
]  # fmt: skip
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look everywhere.")]
Selector = Annotated[
    str | None,
    typer.Option(
        "--selector", "-l", metavar="QUERY", help="The pods' labels. Default: istio=egressgateway."
    ),
]  # fmt: skip
GatewayName = Annotated[
    str | None,
    typer.Option(
        "--gateway-name", metavar="NAME", help="A Gateway of the Gateway API."
    ),
]  # fmt: skip
Container = Annotated[
    str | None,
    typer.Option(
        "--container", "-c", metavar="NAME", help="Default: istio-proxy, else egressgateway, else the only one."
    ),
]  # fmt: skip
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="The kubeconfig's context.", autocompletion=complete_context),
]
Kubeconfig = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, ~/.kube/config."),
]
MaxLogRequests = Annotated[
    int | None,
    typer.Option(
        "--max-log-requests", metavar="N", min=1, help="Logs at a time. Default: 5, or 50 to follow."
    ),
]  # fmt: skip
Tail = Annotated[
    int | None,
    typer.Option(
        "--tail", metavar="N", min=-1,
        help="Lines of each log to begin with; -1 for all there are. Default: 10, or all --since a time.",
    ),
]  # fmt: skip
Raw = Annotated[bool, typer.Option("--raw", help="The lines as the proxy wrote them, instead of columns.")]
From = Annotated[
    list[str] | None,
    typer.Option(
        "--from", metavar="NS/WORKLOAD", help="Read the sidecars of this workload, too. Repeat for more."
    ),
]  # fmt: skip
FromAll = Annotated[bool, typer.Option("--from-all", help="Read every sidecar of the cluster.")]
Probe = Annotated[
    str | None,
    typer.Option(
        "--probe", metavar="[URL]",
        help="Send one request from the workload of --from (curl or wget in its container) and tell what became of it. "
        "Without URL: http://HOST/."
    ),
]  # fmt: skip
Watch = Annotated[bool, typer.Option("--watch", help="Look again and again, and tell what changes.")]
Every = Annotated[
    str,
    typer.Option("--every", metavar="DURATION", help="How often --watch looks."),
]
Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="A format's name or TOML file.",
        autocompletion=complete_format,
        show_default=False,
    ),
]
