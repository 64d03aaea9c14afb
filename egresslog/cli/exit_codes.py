"""How a command ends: one function maps outcomes to exit codes, one turns errors into messages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NoReturn

import typer

from egresslog.errors import EgresslogError
from egresslog.sources.messages import one_line, os_reason
from egresslog.temporary import remove_abandoned

_LONGEST = 300  # characters of an error's own text


class Exit(IntEnum):
    """What exit codes mean; never dependent on ``-o``."""

    EXPECTED = 0
    FINDING = 1
    USAGE = 2
    UNKNOWN = 3
    INTERRUPTED = 130


def exit_code(outcome: BaseException | bool | None) -> Exit:
    """The exit code of an error, or of an answer: True as expected, False not as expected, None undecided."""
    if isinstance(outcome, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(outcome, EgresslogError) and not isinstance(outcome, OSError):  # else a SourceError or DatabaseError
        return Exit.USAGE
    if isinstance(outcome, BaseException):
        return Exit.UNKNOWN
    return {True: Exit.EXPECTED, False: Exit.FINDING, None: Exit.UNKNOWN}[outcome]


def exits(command: Callable[..., Exit]) -> Callable[..., NoReturn]:
    """Ends the process with the exit code that a command returns: errors become messages.

    The command has an option ``color``.

    Raises:
        Exception: an error that nobody foresaw; see ``process.run``.
    """

    @functools.wraps(command)
    def wrapper(**options: Any) -> NoReturn:
        remove_abandoned()
        try:
            code = command(**options)
        except (EgresslogError, OSError) as error:
            from egresslog.show import notes

            notes.write_error(options["color"], describe(error))
            code = exit_code(error)
        except EOFError as error:  # typer would exit with 1
            raise RuntimeError(f"EOFError: {error}") from error
        raise typer.Exit(code)

    return wrapper


def describe(error: BaseException) -> str:
    """What happened, and what to do. An error that nobody foresaw is told on one line."""
    if isinstance(error, EgresslogError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory: give the process more, or read fewer logs at a time"
    if isinstance(error, ImportError):
        return (
            f"a library cannot be loaded, for lack of memory or because it is damaged: {one_line(str(error), _LONGEST)}"
        )
    if isinstance(error, OSError):
        return f"{one_line(str(error.filename))}: {os_reason(error)}" if error.filename else os_reason(error)
    return (
        f"internal error: {one_line(f'{type(error).__name__}: {error}', _LONGEST)}{_place(error)}. "
        "This is a bug in egresslog: please report it, with what the same command prints with --debug"
    )


def _place(error: BaseException) -> str:
    """Where it happened: the innermost line of ours."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] == "egresslog":
            place = f" in {name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
