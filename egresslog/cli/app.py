"""The command line: arguments -> one call -> show -> exit code. It decides nothing else.

Heavy modules are imported inside the commands, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import egresslog
from egresslog.cli.exit_codes import Exit, exit_code, run
from egresslog.cli.logs import Place, filters, open_log, output_color, shown_progress, tell
from egresslog.cli.options import (
    AllNamespaces,
    By,
    Color,
    Columns,
    Container,
    Context,
    Files,
    Flags,
    FormatOption,
    GatewayName,
    Host,
    KeepGoing,
    Kubeconfig,
    MaxLogRequests,
    Name,
    Namespace,
    Output,
    OutputFile,
    RejectsFile,
    Selector,
    Since,
    Sort,
    Source,
    Status,
    Top,
    Until,
    Upstream,
)  # fmt: skip
from egresslog.cli.tail import tail
from egresslog.cli.verify import VerifyCommand, verify

app = typer.Typer(
    name="egresslog",
    help="Who talks to which outside host through Istio's egress gateway, and does all of it go that way?",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"egresslog {egresslog.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Options of all commands; ``version`` is answered by its callback."""


@app.command()
def parse(
    files: Files = None,
    format: FormatOption = None,  # noqa: A002
    output: Output = None,
    output_file: OutputFile = None,
    columns: Columns = None,
    rejects: RejectsFile = None,
    keep_going: KeepGoing = False,
    host: Host = None,
    status: Status = None,
    flags: Flags = None,
    upstream: Upstream = None,
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
    color: Color = "auto",
) -> None:
    """Turn log lines into records.

    Output (-o): table, wide, ndjson, json, csv, parquet. In a pipe the default is ndjson.
    Exit code: 0 read, 2 usage, 3 a file or cluster could not be read or no line was a record.
    """

    def work() -> Exit:
        from egresslog.errors import UsageError
        from egresslog.show import output as out
        from egresslog.show import records

        form = out.choose(output, output_file, piped="ndjson", known=records.FORMS)
        wanted = None if columns is None else [name.strip() for name in columns.split(",")]
        if wanted and len(set(wanted)) < len(wanted):
            raise UsageError(f"a column twice in {columns!r}")
        where = filters(host, status, flags, upstream, source, since, until)
        place = Place(
            namespace, all_namespaces, selector, gateway_name, container, context, kubeconfig, max_log_requests
        )
        log = open_log(
            files, format, place=place, color=color, output_file=output_file, rejects=rejects, columns=wanted,
            where=where,
        )  # fmt: skip
        with shown_progress([log], color) as progress, out.opened(output_file) as stream:
            scan = log.scan(progress=progress)
            records.write(stream, log, scan, form, output_color(output_file, color), chosen=wanted is not None)
        return exit_code(tell({"": scan}, log.where, color, rejects=rejects, keep_going=keep_going) or None)

    run(work, color)


@app.command()
def report(
    files: Files = None,
    by: By = None,
    top: Top = None,
    sort: Sort = None,
    format: FormatOption = None,  # noqa: A002
    output: Output = None,
    output_file: OutputFile = None,
    rejects: RejectsFile = None,
    keep_going: KeepGoing = False,
    host: Host = None,
    status: Status = None,
    flags: Flags = None,
    upstream: Upstream = None,
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
    color: Color = "auto",
) -> None:
    """Summarize who talks to whom.

    Requests, bytes, errors and durations per host, status, upstream IP, or what --by names.

    Output (-o): table, wide, json, ndjson, yaml, csv, markdown, html, parquet. In a pipe the default is json.
    Errors are codes from 400, failure flags, and HTTP without a response; a TCP connection (code 0) is none.
    Exit code: 0 read, 2 usage, 3 a file or cluster could not be read or no line was a record.
    """

    def work() -> Exit:
        from egresslog.report.grouping import DEFAULT
        from egresslog.show import output as out
        from egresslog.show import reports
        from egresslog.show.terminal import ROWS

        form = out.choose(output, output_file, piped="json", known=reports.FORMS)
        for_people = form in {"table", "wide"}
        limit = ROWS if top is None and for_people else top
        where = filters(host, status, flags, upstream, source, since, until)
        place = Place(
            namespace, all_namespaces, selector, gateway_name, container, context, kubeconfig, max_log_requests
        )
        log = open_log(files, format, place=place, color=color, output_file=output_file, rejects=rejects, where=where)
        with shown_progress([log], color) as progress:
            summary = log.report(by or DEFAULT, top=limit, sort=sort, progress=progress)
        with out.opened(output_file) as stream:
            reports.write(stream, form, summary, output_color(output_file, color))
        shown = for_people and output_file is None
        return exit_code(
            tell({"": summary.scan}, log.where, color, rejects=rejects, with_heading=not shown, keep_going=keep_going)
            or None
        )

    run(work, color)


app.command(cls=VerifyCommand)(verify)
app.command()(tail)


@app.command()
def formats(
    name: Name = None,
    output: Output = None,
    color: Color = "auto",
) -> None:
    """List the known log formats, or show one.

    Output (-o): table, json, yaml.
    """

    def work() -> Exit:
        from egresslog.records import catalogue
        from egresslog.show import catalogue as show
        from egresslog.show import output as out

        form = out.choose(output or "table", None, piped="table", known=show.FORMS)
        with out.opened(None) as stream:
            if name is None:
                show.write_listing(stream, catalogue.formats(), form, output_color(None, color))
            else:
                show.write_details(stream, catalogue.resolve(name).all[0], form, output_color(None, color))
        return Exit.EXPECTED

    run(work, color)


def main() -> None:
    """The `egresslog` command."""
    app()
