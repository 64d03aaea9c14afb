"""The options that commands share, in groups; names and meanings are kubectl's, Envoy's and Istio's.

An option that one command alone has is declared beside that command.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from egresslog.cli.completion import complete_context, complete_format

if TYPE_CHECKING:
    from egresslog.filters import Filter

Color = Literal["auto", "always", "never"]

# One per panel of the help.
input_option = partial(typer.Option, rich_help_panel="Input")
cluster_option = partial(typer.Option, rich_help_panel="Cluster")
filter_option = partial(typer.Option, rich_help_panel="Filter")
output_option = partial(typer.Option, rich_help_panel="Output")

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILES",
        help="Files, directories, globs, or - for standard input; or pods of the cluster, as deploy/NAME or pod/NAME. "
        "Default: the egress gateway's pods in the cluster.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class InputOptions:
    """How lines are read, wherever they come from."""

    format: Annotated[
        str | None,
        input_option(
            "--format",
            metavar="NAME|STRING|FILE.toml",
            help="Log format: a name listed by `egresslog formats`, an Envoy format string, or a TOML file. "
            "Default: detected per line.",
            autocompletion=complete_format,
        ),
    ] = None
    field: Annotated[
        str,
        input_option(
            "--field", metavar="NAME",
            help="Key of the value that holds the line, in exported JSON objects of a shape that egresslog does not "
            "know: log, kubernetes.message.",
            show_default=False,
        ),
    ] = ""  # fmt: skip
    prefix: Annotated[
        str,
        input_option(
            "--prefix", metavar="REGEX",
            help="Regular expression (RE2) of what stands before each line of a file.", show_default=False,
        ),
    ] = ""  # fmt: skip
    strip_prefix: Annotated[
        bool,
        input_option(
            "--strip-prefix",
            help="Treat lines behind a prefix that egresslog does not know as any other line. Without it they can show "
            "a bypass, but prove nothing.",
        ),
    ] = False  # fmt: skip
    keep_going: Annotated[bool, input_option("--keep-going", help="Do not fail on unreadable files.")] = False


@dataclass(frozen=True)
class ClusterOptions:
    """Which pods of which cluster."""

    namespace: Annotated[
        list[str] | None,
        cluster_option(
            "--namespace", "-n", metavar="NS",
            help="Namespace of the egress gateway. Can be repeated. Default: istio-system.",
        ),
    ] = None  # fmt: skip
    all_namespaces: Annotated[
        bool, cluster_option("--all-namespaces", "-A", help="Read pods in all namespaces.")
    ] = False  # fmt: skip
    selector: Annotated[
        str | None,
        cluster_option(
            "--selector", "-l", metavar="QUERY",
            help="Label selector of the gateway's pods. Default: istio=egressgateway.",
        ),
    ] = None  # fmt: skip
    gateway_name: Annotated[
        str | None,
        cluster_option(
            "--gateway-name", metavar="NAME", help="Read the pods of this Gateway (Gateway API) instead of --selector."
        ),
    ] = None
    container: Annotated[
        str | None,
        cluster_option(
            "--container", "-c", metavar="NAME",
            help="Container name. Default: istio-proxy, else egressgateway, else the pod's only container.",
        ),
    ] = None  # fmt: skip
    context: Annotated[
        str | None,
        cluster_option(
            "--context", metavar="NAME", help="Name of the kubeconfig context to use.", autocompletion=complete_context
        ),
    ] = None
    kubeconfig: Annotated[
        str | None,
        cluster_option(
            "--kubeconfig", metavar="FILE", help="Path to the kubeconfig file. Default: $KUBECONFIG, or ~/.kube/config."
        ),
    ] = None
    max_log_requests: Annotated[
        int | None,
        cluster_option(
            "--max-log-requests", metavar="N", min=1,
            help="Maximum number of logs to read concurrently. Default: 5, or 50 for tail.",
        ),
    ] = None  # fmt: skip

    def connection(self) -> dict[str, Any]:
        """The arguments that all functions have which read from a cluster."""
        limit = {"max_log_requests": self.max_log_requests} if self.max_log_requests else {}
        return {"context": self.context, "kubeconfig": self.kubeconfig, **limit}

    def gateway(self) -> dict[str, Any]:
        """The arguments of ``read_cluster`` and ``follow``."""
        return {
            "namespace": self.namespace or (),
            "all_namespaces": self.all_namespaces,
            "selector": self.selector,
            "gateway_name": self.gateway_name,
            "container": self.container,
            **self.connection(),
        }

    def first_given(self) -> str | None:
        """The first of these options on the command line, None if there is none of them."""
        return next((f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value), None)


@dataclass(frozen=True)
class FilterOptions:
    """Which records a command is about."""

    host: Annotated[
        list[str] | None,
        filter_option("--host", metavar="GLOB", help="Only records of these hosts, such as '*.wikipedia.org'."),
    ] = None
    status: Annotated[
        list[str] | None,
        filter_option(
            "--status", metavar="CODES", help="Only records with these response codes, such as 404, 5xx, or 500-503."
        ),
    ] = None
    flags: Annotated[
        list[str] | None,
        filter_option(
            "--flags",
            metavar="FLAGS",
            help="Only records with one of these response flags, such as UF,NR; - means no flag.",
        ),
    ] = None
    upstream: Annotated[
        list[str] | None,
        filter_option("--upstream", metavar="CIDR", help="Only records sent to these upstream addresses."),
    ] = None
    source: Annotated[
        list[str] | None,
        filter_option("--source", metavar="CIDR", help="Only records sent from these client addresses."),
    ] = None
    since: Annotated[
        str | None,
        filter_option(
            "--since",
            metavar="TIME",
            help="Only records at or after TIME: RFC 3339, or a duration before now, such as 5m or 1h30m.",
        ),
    ] = None
    until: Annotated[
        str | None, filter_option("--until", metavar="TIME", help="Only records before TIME.")
    ] = None  # fmt: skip

    def parse(self) -> Filter:
        """The filter that these options describe.

        Raises:
            UsageError: see ``Filter.parse``.
        """
        from egresslog.filters import Filter

        return Filter.parse(
            host=self.host or (), status=self.status or (), flags=self.flags or (), upstream=self.upstream or (),
            source=self.source or (), since=self.since, until=self.until,
        )  # fmt: skip


@dataclass(frozen=True)
class OutputOptions:
    """Where the output goes, in which format, with or without colors."""

    output: Annotated[
        str | None,
        output_option("--output", "-o", metavar="FORMAT", help="Output format. Default: table on a terminal."),
    ] = None
    output_file: Annotated[
        str | None,
        output_option(
            "--output-file",
            metavar="PATH",
            help="Write the output to PATH. Without -o, the suffix selects the format.",
        ),
    ] = None
    rejects: Annotated[
        str | None,
        output_option(
            "--rejects",
            metavar="PATH",
            help="Write the lines that could not be parsed to PATH (.ndjson, .json, .csv, .parquet).",
        ),
    ] = None
    color: Annotated[
        Color,
        output_option(
            "--color",
            metavar="WHEN",
            help="Colorize the output: auto, always, or never. Default: auto.",
            show_default=False,
        ),
    ] = "auto"
    debug: Annotated[bool, output_option("--debug", hidden=True)] = False  # listed by `egresslog --help`

    def format(self, known: tuple[str, ...], *, piped: str) -> str:
        """The output format, one of ``known``; ``piped`` is the default where standard output is not a terminal.

        Raises:
            UsageError: see ``show.output.choose``.
        """
        from egresslog.show.output import choose

        return choose(self.output, self.output_file, piped=piped, known=known)

    @property
    def output_color(self) -> Color:
        """Colors of the output itself: a file gets none, whatever ``--color`` says."""
        return "never" if self.output_file is not None else self.color
