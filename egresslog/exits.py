"""How a command ends: one function maps outcomes to exit codes, one turns errors into messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

import typer

from egresslog.errors import EgresslogError, UsageError

if TYPE_CHECKING:
    from egresslog.reading import Reading


class Exit(IntEnum):
    """What exit codes mean; never dependent on ``-o``."""

    EXPECTED = 0
    FINDING = 1
    USAGE = 2
    UNKNOWN = 3
    INTERRUPTED = 130


def exit_code(outcome: BaseException | Reading, *, keep_going: bool = False) -> Exit:
    """The exit code of an error, or of a reading: an empty log never passes, nor one that was not read whole."""
    if isinstance(outcome, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(outcome, OSError):  # a SourceError, or a disk that is full
        return Exit.UNKNOWN
    if isinstance(outcome, BaseException):
        return Exit.USAGE
    if outcome.errors and not keep_going:
        return Exit.UNKNOWN
    return Exit.EXPECTED if outcome.counts.records else Exit.UNKNOWN


def run(work: Callable[[], Exit], color: str) -> None:
    """Runs a command: errors become messages and exit codes, never tracebacks."""
    try:
        if color not in {"auto", "always", "never"}:
            raise UsageError(f"--color takes auto, always or never, not {color!r}")
        code = work()
    except BrokenPipeError:  # `| head` has seen enough
        _drop_output()
        code = Exit.EXPECTED
    except KeyboardInterrupt as interrupt:
        code = exit_code(interrupt)
    except (EgresslogError, OSError) as error:
        from egresslog.show import notes  # noqa: PLC0415  (rich, for --help to do without)

        if not isinstance(error, EgresslogError):
            _drop_output()
        notes.write_error(color, str(error) if isinstance(error, EgresslogError) else f"cannot write: {error.strerror}")
        code = exit_code(error)
    raise typer.Exit(code)


def _drop_output() -> None:
    """Python would fail once more when it flushes standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
