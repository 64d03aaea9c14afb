"""The command `report`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from egresslog.cli.completion import complete_columns
from egresslog.cli.exit_codes import Exit, exit_code, exits
from egresslog.cli.logs import check_outputs, open_log, progress_bar, write_read_summary
from egresslog.cli.option_groups import expand_options
from egresslog.cli.options import ClusterOptions, Files, FilterOptions, InputOptions, OutputOptions

By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="COLUMNS",
        help="Columns to group by, separated by commas, such as host,status or time:5m,host. Repeat for more tables. "
        "Default: one table each by host, status, and upstream_ip.",
        autocompletion=complete_columns,
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        "--top",
        metavar="N",
        help="Maximum number of rows per table; 0 for all. Default: 20 in table and wide output, else all.",
    ),
]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="Column of the report to sort by; append :asc or :desc."),
]


@exits
@expand_options
def report(
    *,
    files: Files = None,
    by: By = None,
    top: Top = None,
    sort: Sort = None,
    inputs: InputOptions,
    filters: FilterOptions,
    cluster: ClusterOptions,
    output: OutputOptions,
) -> Exit:
    """Summarize requests by host, status, upstream IP, or any column.

    Shows requests, bytes, errors, and durations. Errors are response codes of 400 and above, response flags that mean
    failure, and HTTP requests without a response. The response code 0 of a TCP connection is not an error.

    Output formats (-o): table, wide, json, ndjson, yaml, csv, markdown, html, parquet. Default in a pipe: json.
    """
    from egresslog.report.grouping import DEFAULT
    from egresslog.show import output as out
    from egresslog.show import reports
    from egresslog.show.terminal import ROWS

    output_format = output.format(reports.FORMS, piped="json")
    for_people = output_format in {"table", "wide"}
    limit = ROWS if top is None and for_people else top
    check_outputs(output, files or (), inputs=inputs, cluster=cluster)
    log = open_log(files, inputs=inputs, filters=filters, cluster=cluster, output=output)
    with progress_bar([log], output.color) as progress:
        summary = log.report(by or DEFAULT, top=limit, sort=sort, progress=progress)
    with out.opened(output.output_file) as stream:
        reports.write(stream, output_format, summary, output.output_color)
    counts_shown = for_people and output.output_file is None
    is_complete = write_read_summary(
        {"": summary.scan}, log.where, inputs=inputs, output=output, with_counts=not counts_shown
    )
    return exit_code(is_complete or None)
