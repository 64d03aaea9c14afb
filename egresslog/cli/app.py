"""The command `egresslog` and its subcommands.

Heavy modules are imported inside the commands, so that `--help` and completion answer at once.
"""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

import egresslog
from egresslog.cli.formats import formats
from egresslog.cli.help import Command
from egresslog.cli.parse import parse
from egresslog.cli.process import run
from egresslog.cli.report import report
from egresslog.cli.tail import tail
from egresslog.cli.verify import VerifyCommand, verify

app = typer.Typer(
    name="egresslog",
    help="Report on the egress traffic of an Istio mesh from Envoy access logs, and verify that it leaves through the "
    "egress gateway.",
    no_args_is_help=True,
    rich_markup_mode=None,  # see cli/help.py
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"egresslog {egresslog.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Print the traceback of an internal error. Also with EGRESSLOG_DEBUG=1."),
    ] = False,
) -> None:
    """Options of all commands; the callback of ``version`` does its work, and so does ``process.run`` for ``debug``."""


# The first line, \b, keeps the lines as they are.
_READ = """\
\b
Exit codes:
  0    success
  2    usage error
  3    something could not be read or written, or no line is a record
  130  interrupted
"""
_VERIFY = """\
\b
Exit codes:
  0    every host has the expected verdict
  1    a host has another verdict
  2    usage error
  3    undecided: no or incomplete evidence, or a read or write error
  130  interrupted
"""
_TAIL = """\
\b
Exit codes:
  0    all logs were read without gaps
  2    usage error
  3    something could not be read or written
"""
_FORMATS = """\
\b
Exit codes:
  0    success
  2    usage error
  3    the output could not be written
"""

app.command(cls=Command, epilog=_READ)(parse)
app.command(cls=Command, epilog=_READ)(report)
app.command(cls=VerifyCommand, epilog=_VERIFY)(verify)
app.command(cls=Command, epilog=_TAIL)(tail)
app.command(cls=Command, epilog=_FORMATS)(formats)


def main() -> NoReturn:
    """The `egresslog` command."""
    raise SystemExit(run(app))
