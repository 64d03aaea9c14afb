"""How a command ends: one function maps outcomes to exit codes, one turns errors into messages."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import typer

from egresslog.errors import EgresslogError


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
    if isinstance(outcome, OSError):  # a SourceError, or a disk that is full
        return Exit.UNKNOWN
    if isinstance(outcome, BaseException):
        return Exit.USAGE
    return {True: Exit.EXPECTED, False: Exit.FINDING, None: Exit.UNKNOWN}[outcome]


def exits(command: Callable[..., Exit]) -> Callable[..., NoReturn]:
    """Ends the process with the exit code that a command returns: errors become messages, never tracebacks.

    The command has an option ``color``.
    """

    @functools.wraps(command)
    def wrapper(**options: Any) -> NoReturn:
        try:
            code = command(**options)
        except BrokenPipeError:  # `| head` has seen enough
            _discard_output()
            code = Exit.EXPECTED
        except KeyboardInterrupt as interrupt:
            code = exit_code(interrupt)
        except (EgresslogError, OSError) as error:
            from egresslog.show import notes

            if not isinstance(error, EgresslogError):
                _discard_output()
            message = str(error) if isinstance(error, EgresslogError) else f"cannot write: {error.strerror}"
            notes.write_error(options["color"], message)
            code = exit_code(error)
        raise typer.Exit(code)

    return wrapper


@contextmanager
def until_closed() -> Iterator[None]:
    """Writes until the reader of a pipe closes it: that must not change the exit code."""
    try:
        yield
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    """Python would fail once more when it flushes standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
