"""The command `tail`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from egresslog.cli.exit_codes import Exit, exit_code, run, until_closed
from egresslog.cli.logs import Place, filters, follow_log, output_color
from egresslog.cli.options import (
    AllNamespaces,
    Color,
    Container,
    Context,
    Flags,
    Followed,
    FormatOption,
    GatewayName,
    Host,
    Kubeconfig,
    MaxLogRequests,
    Namespace,
    Output,
    Raw,
    Selector,
    Since,
    Source,
    Status,
    Tail,
    Upstream,
)  # fmt: skip


def tail(
    files: Followed = None,
    tail: Tail = None,
    raw: Raw = False,
    format: FormatOption = None,  # noqa: A002
    output: Output = None,
    host: Host = None,
    status: Status = None,
    flags: Flags = None,
    upstream: Upstream = None,
    source: Source = None,
    since: Since = None,
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
    """Follow logs, one readable line per record.

    Without FILES: all the gateway's pods, those to come, through restarts, rotation and broken connections. What could
    not be read is told as a gap. Ctrl-C ends it with a summary.

    Output (-o): table, ndjson. In a pipe the default is ndjson.
    Exit code: 0 nothing is missing, 2 usage, 3 something could not be read.
    """

    def work() -> Exit:
        from egresslog.show import notes
        from egresslog.show import output as out
        from egresslog.show import tail as show
        from egresslog.sources.coverage import Notice

        form = out.choose(output, None, piped="ndjson", known=show.FORMS)
        where = filters(host, status, flags, upstream, source, since, None)
        place = Place(
            namespace, all_namespaces, selector, gateway_name, container, context, kubeconfig, max_log_requests
        )
        following = follow_log(files, format, place=place, tail=tail, where=where)
        show.write_beginning(color, following.tail)
        with out.opened(None) as stream, until_closed():
            writer = show.writer(stream, form, following.columns, output_color(None, color), raw=raw)
            try:
                for item in following.items():
                    if isinstance(item, Notice):
                        show.write_notice(color, item)
                    elif item is not None:
                        writer.write(item)
            except KeyboardInterrupt:
                pass  # how it is meant to end
            finally:
                following.close()
                writer.close()
        notes.write_notes(color, following.scan, following.where, rejects_path=None, with_heading=True)
        return exit_code((following.scan.is_complete and bool(following.scan.sources)) or None)

    run(work, color)
