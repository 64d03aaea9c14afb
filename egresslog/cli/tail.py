"""The command `tail`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from egresslog.cli.exit_codes import Exit, exit_code, exits
from egresslog.cli.logs import check_outputs, follow_log
from egresslog.cli.option_groups import Without, expand_options
from egresslog.cli.options import (
    ClusterOptions,
    FilterOptions,
    InputOptions,
    OutputOptions,
    input_option,
    output_option,
)  # fmt: skip
from egresslog.cli.signals import interrupt_ends_with, interrupt_stops

_LOOK = 0.25  # seconds after which Ctrl-C is noticed
Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILES",
        help="Files, or - for standard input; or pods of the cluster, as deploy/NAME or pod/NAME. "
        "Default: the egress gateway's pods in the cluster.",
        show_default=False,
    ),
]
Lines = Annotated[
    int | None,
    input_option(
        "--tail", metavar="N", min=-1,
        help="Number of recent lines of each log to start with; -1 for all. Default: 10, or with --since all.",
    ),
]  # fmt: skip
Raw = Annotated[
    bool, output_option("--raw", help="Print the lines as the proxy wrote them, instead of columns.")
]  # fmt: skip


@exits
@expand_options
def tail(
    *,
    files: Files = None,
    tail: Lines = None,
    inputs: Annotated[InputOptions, Without("keep_going", "field", "prefix", "strip_prefix")],
    filters: Annotated[FilterOptions, Without("until")],
    cluster: ClusterOptions,
    raw: Raw = False,
    output: Annotated[OutputOptions, Without("output_file", "rejects")],
) -> Exit:
    """Follow access logs and print one line per record.

    Without FILES, follows all pods of the egress gateway, including pods that start later, across restarts, log
    rotation, and lost connections. Anything that could not be read is reported as a gap. Press Ctrl-C to stop and print
    a summary.

    Output formats (-o): table, ndjson. Default in a pipe: ndjson.
    """
    from egresslog.show import notes
    from egresslog.show import output as out
    from egresslog.show import tail as show
    from egresslog.sources.coverage import Notice

    output_format = output.format(show.FORMS, piped="ndjson")
    check_outputs(output, files or (), inputs=inputs, cluster=cluster)
    with interrupt_ends_with(lambda: Exit.UNKNOWN):  # nothing was read yet
        following = follow_log(files, inputs=inputs, filters=filters, cluster=cluster, tail=tail)
    with interrupt_stops() as stop, out.opened(None) as stream:
        show.write_beginning(output.color, following.tail)
        writer = show.writer(stream, output_format, following.columns, output.output_color, raw=raw)
        try:
            for item in following.items(_LOOK):
                if isinstance(item, Notice):
                    show.write_notice(output.color, item)
                elif item is not None:
                    writer.write(item)
                if stop.requested:  # the usual end
                    break
        finally:
            following.close()
            writer.close()
    scan = following.scan
    notes.write_notes(output.color, scan, following.where, rejects_path=None, with_heading=True)
    return exit_code((scan.is_complete and bool(scan.sources)) or None)
