"""The command line: arguments -> one call -> show -> exit code. It decides nothing else.

Heavy modules are imported inside the commands, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

import egresslog
from egresslog.exits import Exit, exit_code, run
from egresslog.options import (
    By,
    Color,
    Columns,
    Files,
    Flags,
    FormatOption,
    Host,
    KeepGoing,
    Name,
    Output,
    OutputFile,
    RejectsFile,
    Since,
    Sort,
    Source,
    Status,
    Top,
    Until,
    Upstream,
)  # fmt: skip

if TYPE_CHECKING:
    from egresslog.log import Log
    from egresslog.show.terminal import Colour


app = typer.Typer(
    name="egresslog",
    help="Who talks to which outside host through Istio's egress gateway, read from Envoy access logs.",
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
    color: Color = "auto",
) -> None:
    """Turn log lines into records.

    Output (-o): table, wide, ndjson, json, csv, parquet. In a pipe the default is ndjson.
    Exit code: 0 read, 2 usage, 3 a file could not be read or no line was a record.
    """

    def work() -> Exit:
        from egresslog.errors import UsageError
        from egresslog.show import output as out
        from egresslog.show import records

        form = out.choose(output, output_file, piped="ndjson", known=records.FORMS)
        wanted = None if columns is None else [name.strip() for name in columns.split(",")]
        if wanted and len(set(wanted)) < len(wanted):
            raise UsageError(f"a column twice in {columns!r}")
        log = _log(
            files, format, wanted, _where(host, status, flags, upstream, source, since, until), (output_file, rejects)
        )

        def write() -> None:
            with out.opened(output_file) as stream:
                records.write(stream, log, form, _terminal(output_file, color), chosen=wanted is not None)

        return _read(log, write, rejects, color, keep_going=keep_going, with_heading=True)

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
    color: Color = "auto",
) -> None:
    """Summarize who talks to whom.

    Requests, bytes, errors and durations per host, status, upstream IP, or what --by names.

    Output (-o): table, wide, json, ndjson, yaml, csv, markdown, html, parquet. In a pipe the default is json.
    Errors are codes from 400, failure flags, and HTTP without a response; a TCP connection (code 0) is none.
    Exit code: 0 read, 2 usage, 3 a file could not be read or no line was a record.
    """

    def work() -> Exit:
        from egresslog.report.keys import DEFAULT
        from egresslog.show import output as out
        from egresslog.show import reports

        form = out.choose(output, output_file, piped="json", known=reports.FORMS)
        for_people = form in {"table", "wide"}
        limit = _ROWS if top is None and for_people else top
        log = _log(
            files, format, None, _where(host, status, flags, upstream, source, since, until), (output_file, rejects)
        )

        def write() -> None:
            tables = log.tables(by or DEFAULT, top=limit, sort=sort)
            with out.opened(output_file) as stream:
                reports.write(stream, form, log.reading, tables, _terminal(output_file, color))

        return _read(
            log, write, rejects, color, keep_going=keep_going, with_heading=not for_people or output_file is not None
        )

    run(work, color)


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
                show.write_listing(stream, catalogue.formats(), form, _terminal(None, color))
            else:
                show.write_details(stream, catalogue.resolve(name).all[0], form, _terminal(None, color))
        return Exit.EXPECTED

    run(work, color)


_ROWS = 20


def _where(
    host: list[str] | None,
    status: list[str] | None,
    flags: list[str] | None,
    upstream: list[str] | None,
    source: list[str] | None,
    since: str | None,
    until: str | None,
) -> dict[str, object]:
    return {
        "host": host or (),
        "status": status or (),
        "flags": flags or (),
        "upstream": upstream or (),
        "source": source or (),
        "since": since,
        "until": until,
    }


def _log(
    files: list[str] | None,
    format: str | None,  # noqa: A002
    columns: list[str] | None,
    where: dict[str, object],
    outputs: tuple[str | None, ...],
) -> Log:
    """The Log that a command is about; what cannot be read is told at the end."""
    from egresslog.errors import UsageError
    from egresslog.log import read
    from egresslog.report.filters import Filter
    from egresslog.show.output import check

    if not files:
        raise UsageError(
            "name files, directories or globs, or - for standard input (kubectl logs ... | egresslog ... -)"
        )
    log = read(files, format, columns, where=Filter.parse(**where), keep_going=True)  # type: ignore[arg-type]
    for path in outputs:
        check(path, log.origins)
    return log


def _terminal(output_file: str | None, color: str) -> Colour:
    """Colours for the output: none in a file, whatever was asked for. ``exits.run`` has checked the word."""
    return "never" if output_file is not None else color  # type: ignore[return-value]


def _read(
    log: Log, write: Callable[[], None], rejects: str | None, color: str, *, keep_going: bool, with_heading: bool
) -> Exit:
    """Reads and writes, then says on standard error what was read."""
    from egresslog.show import notes, output, records
    from egresslog.show.terminal import progress

    form = output.choose(None, rejects, piped="ndjson", known=records.REJECT_FORMS) if rejects else ""
    with progress(log.size, color) as advance:  # type: ignore[arg-type]
        log.progress = advance
        write()
    if rejects:
        with output.opened(rejects) as stream:
            records.write_rejects(stream, log, form)
    notes.write_notes(color, log, rejects_path=rejects, with_heading=with_heading)
    return exit_code(log.reading, keep_going=keep_going)


def main() -> None:
    """The `egresslog` command."""
    app()
