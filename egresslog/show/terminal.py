"""Terminals: width, colors, lines, a progress bar. Nothing else knows whether there is one."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.style import Style
from rich.text import Text

ColorMode = Literal["auto", "always", "never"]

ROWS = 20  # of a table that nobody cut to a length

_GAP = "  "
_NARROWEST = 12
_PIPE = 10_000  # columns
_BAR_FROM = 32 * 1024 * 1024  # bytes; less is read before a bar is seen


class _Console(Console):
    """Leaves a closed pipe to the command, which has an exit code to give; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Called while the error is handled."""
        raise  # noqa: PLE0704  (rich calls this in its `except BrokenPipeError`)


def console(stream: IO[str], color: ColorMode = "auto") -> Console:
    """A rich console without markup or highlighting. ``auto`` obeys NO_COLOR and TERM, and does not color pipes."""
    forced = True if color == "always" else None
    stream_console = _Console(
        file=stream,
        force_terminal=forced,
        no_color={"auto": None, "always": False, "never": True}[color],
        color_system=None if color == "never" else "auto",
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
    )
    if not stream_console.is_terminal:
        stream_console.width = _PIPE  # a pipe has no width: nothing is cut
    return stream_console


def errors(color: str) -> Console:
    """The console on standard error."""
    return console(sys.stderr, color if color in {"always", "never"} else "auto")  # type: ignore[arg-type]


class Terminal:
    """Where a table for people goes: standard output or a file."""

    def __init__(self, out: IO[bytes], color: ColorMode) -> None:
        is_output = sys.stdout is not None and out is sys.stdout.buffer
        self._stream = stream = sys.stdout if is_output else io.TextIOWrapper(out, "utf-8", write_through=True)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # LANG=C must not end in a traceback
        self.console = console(stream, color)
        self.width = self.console.width if self.console.is_terminal else None

    def excess(self, widths: Sequence[int]) -> int:
        """By how many columns a line of such widths is too long for the terminal."""
        return sum(widths) + len(_GAP) * (len(widths) - 1) - self.width if self.width else 0

    def fitted(self, widths: Sequence[int], fixed: Sequence[bool]) -> list[int]:
        """Widths that fit the terminal, if cutting what is not ``fixed`` can achieve it."""
        fitting = list(widths)
        while (excess := self.excess(fitting)) > 0:
            texts = sorted((width, at) for at, width in enumerate(fitting) if not fixed[at])
            if not texts or texts[-1][0] <= _NARROWEST:
                break
            width, at = texts[-1]
            below = texts[-2][0] if len(texts) > 1 else _NARROWEST
            fitting[at] = max(width - excess, min(below, width - 1), _NARROWEST)
        return fitting

    def print_line(self, cells: Sequence[Text], widths: Sequence[int], numbers: Sequence[bool]) -> None:
        """One line of a table."""
        line = Text()
        for cell, width, number in zip(cells, widths, numbers, strict=True):
            text = cell.copy()
            text.truncate(width, overflow="ellipsis")
            blank = " " * (width - text.cell_len)
            line.append_text(Text(_GAP if line else ""))
            line.append_text(Text(blank) + text if number else text + Text(blank))
        line.rstrip()
        if self.width:
            line.truncate(self.width, overflow="ellipsis")
        self.console.print(line, no_wrap=True, overflow="ignore", crop=False)

    def print_sentence(self, text: Text, indent: int, hanging: int = 0) -> None:
        """Words that end before the terminal's edge; lines after the first stand ``hanging`` further in."""
        width = self.width - indent - hanging if self.width else 0
        lines = text.wrap(self.console, width) if width > _NARROWEST else [text]
        for number, line in enumerate(lines):
            line.rstrip()
            self.console.print(Text(" " * (indent + hanging * bool(number))) + line)

    def close(self) -> None:
        """Leaves the file to who opened it."""
        if self._stream is sys.stdout:
            self._stream.flush()
        else:
            self._stream.detach()  # type: ignore[union-attr]


def code_style(code: int | None) -> Style:
    """Red for server errors, yellow for client errors."""
    if code is None or code < 400:  # noqa: PLR2004
        return Style()
    return Style(color="red" if code >= 500 else "yellow")  # noqa: PLR2004


@contextmanager
def progress(total: int | None, color: ColorMode) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error while much is read from files, and only if that is a terminal."""
    if total is None or total < _BAR_FROM or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    bar = Progress(
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console(sys.stderr, color),
        transient=True,
    )
    with bar:
        task = bar.add_task("reading", total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def waiting(what: str, color: str) -> Iterator[None]:
    """Says on standard error what is waited for, while somebody watches."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    with errors(color).status(what):
        yield


@contextmanager
def counted(what: str, color: str) -> Iterator[Callable[[int, int], None]]:
    """Says on standard error how many of how many are read, while somebody watches."""
    console = errors(color)
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _done, _total: None
        return
    with console.status("looking for pods") as status:
        yield lambda done, total: status.update(f"{done} of {total} {what} read")
