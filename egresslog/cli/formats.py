"""The command `formats`: arguments -> one call -> show -> exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from egresslog.cli.completion import complete_format
from egresslog.cli.exit_codes import Exit, exits
from egresslog.cli.option_groups import Without, expand_options
from egresslog.cli.options import OutputOptions

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Name of a format, or a TOML file.",
        autocompletion=complete_format,
        show_default=False,
    ),
]


@exits
@expand_options
def formats(*, name: Name = None, output: Annotated[OutputOptions, Without("output_file", "rejects")]) -> Exit:
    """List the known log formats, or show one in detail.

    Output formats (-o): table, json, yaml. Default: table.
    """
    from egresslog.records import catalogue
    from egresslog.show import catalogue as show
    from egresslog.show import output as out

    output_format = out.choose(output.output or "table", None, piped="table", known=show.FORMS)
    with out.opened(None) as stream:
        if name is None:
            show.write_listing(stream, catalogue.formats(), output_format, output.output_color)
        else:
            show.write_details(stream, catalogue.resolve(name).all[0], output_format, output.output_color)
    return Exit.EXPECTED
