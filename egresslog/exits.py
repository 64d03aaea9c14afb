"""How a command ends: one function maps outcomes to exit codes, one turns errors into messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

import typer

from egresslog.errors import EgresslogError, SourceError

if TYPE_CHECKING:
    from egresslog.reading import Reading


class Exit(IntEnum):
    """What exit codes mean; never dependent on ``-o``."""

    EXPECTED = 0
    FINDING = 1
    USAGE = 2
    UNKNOWN = 3
    INTERRUPTED = 130


def exit_code(outcome: BaseException | Reading) -> Exit:
    """The exit code of an error, or of a reading: an empty log never passes."""
    if isinstance(outcome, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(outcome, SourceError):
        return Exit.UNKNOWN
    if isinstance(outcome, BaseException):
        return Exit.USAGE
    return Exit.EXPECTED if outcome.counts.records else Exit.UNKNOWN


def run(work: Callable[[], Exit], color: str) -> None:
    """Runs a command: errors become messages and exit codes, never tracebacks."""
    try:
        code = work()
    except BrokenPipeError:
        # `| head` has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.EXPECTED
    except KeyboardInterrupt as interrupt:
        code = exit_code(interrupt)
    except EgresslogError as error:
        from egresslog.show import notes  # noqa: PLC0415  (rich, for --help to do without)

        notes.write_error(color, str(error))
        code = exit_code(error)
    raise typer.Exit(code)
