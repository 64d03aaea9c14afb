"""How a command ends: one function maps outcomes to exit codes, one turns errors into messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from egresslog.errors import EgresslogError, UsageError


class Exit(IntEnum):
    """What exit codes mean; never dependent on ``-o``."""

    EXPECTED = 0
    FINDING = 1
    USAGE = 2
    UNKNOWN = 3
    INTERRUPTED = 130


def exit_code(outcome: BaseException | bool | None) -> Exit:
    """The exit code of an error, or of an answer: True as expected, False not so, None if it could not be told."""
    if isinstance(outcome, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(outcome, OSError):  # a SourceError, or a disk that is full
        return Exit.UNKNOWN
    if isinstance(outcome, BaseException):
        return Exit.USAGE
    return {True: Exit.EXPECTED, False: Exit.FINDING, None: Exit.UNKNOWN}[outcome]


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
        from egresslog.show import notes

        if not isinstance(error, EgresslogError):
            _drop_output()
        notes.write_error(color, str(error) if isinstance(error, EgresslogError) else f"cannot write: {error.strerror}")
        code = exit_code(error)
    raise typer.Exit(code)


@contextmanager
def until_closed() -> Iterator[None]:
    """Writes as long as somebody reads: what the reader of a pipe does must not change the exit code."""
    try:
        yield
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    """Python would fail once more when it flushes standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
