"""Standard input, output and error as they may be: closed, full, or a pipe that nobody reads any more."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from egresslog.show.output import STANDARD_OUTPUT, discard

_STDERR = 2


class _Output(io.FileIO):
    """Names itself in the errors of writing."""

    def write(self, data: Any) -> int:
        """Writes some of the data."""
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


class _Messages(io.FileIO):
    """Drops what cannot be written: that nobody reads the messages changes nothing about the result."""

    def write(self, data: Any) -> int:
        """Writes some of the data, or pretends to."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def open_streams() -> None:
    """Makes standard output and standard error fit for what follows.

    A closed stream's number is taken, or the next file that is opened would get it, and with it what libraries print.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(number)
    if sys.stdout is not None:  # else the command decides whether it needs one
        sys.stdout = _reopened(sys.stdout, _Output)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (until the end)
    sys.stderr = _reopened(sys.stderr, _Messages)


def _reopened(stream: TextIO, raw: type[io.FileIO]) -> TextIO:
    try:
        file = raw(stream.fileno(), "wb", closefd=False)
    except (OSError, ValueError):  # no file of the operating system
        return stream
    line_buffering = stream.isatty() or raw is _Messages
    return io.TextIOWrapper(io.BufferedWriter(file), stream.encoding, stream.errors, line_buffering=line_buffering)


def close_output() -> None:
    """Writes what is held back.

    Raises:
        OSError: it cannot be written. That the reader of a pipe has closed it is no error.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError:
        discard(sys.stdout)
        raise
