"""The command `parse`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from typing import Annotated

from egresslog.cli.completion import complete_columns
from egresslog.cli.exit_codes import Exit, exit_code, exits
from egresslog.cli.logs import check_outputs, open_log, progress_bar, write_read_summary
from egresslog.cli.option_groups import expand_options
from egresslog.cli.options import ClusterOptions, Files, FilterOptions, InputOptions, OutputOptions, output_option

Columns = Annotated[
    str | None,
    output_option(
        "--columns",
        metavar="NAMES",
        help="Comma-separated list of the columns to write.",
        autocompletion=complete_columns,
    ),
]


@exits
@expand_options
def parse(
    *,
    files: Files = None,
    inputs: InputOptions,
    filters: FilterOptions,
    cluster: ClusterOptions,
    columns: Columns = None,
    output: OutputOptions,
) -> Exit:
    """Parse access log lines into records.

    Output formats (-o): table, wide, ndjson, json, csv, parquet. Default in a pipe: ndjson.
    """
    from egresslog.errors import UsageError
    from egresslog.show import output as out
    from egresslog.show import records

    output_format = output.format(records.FORMS, piped="ndjson")
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    if names and len(set(names)) < len(names):
        raise UsageError(f"--columns names a column twice: {columns!r}")
    check_outputs(output, files or (), inputs=inputs, cluster=cluster)
    log = open_log(files, inputs=inputs, filters=filters, cluster=cluster, output=output, columns=names)
    with progress_bar([log], output.color) as progress, out.opened(output.output_file) as stream:
        scan = log.scan(progress=progress)
        records.write(stream, log, scan, output_format, output.output_color, chosen=names is not None)
    if not scan.finished:  # the reader of a pipe has seen enough
        return exit_code(not scan.errors or None)
    return exit_code(write_read_summary({"": scan}, log.where, inputs=inputs, output=output) or None)
