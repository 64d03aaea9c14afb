"""Terminals: width, colours, aligned lines, a progress bar. Nothing else knows whether there is one."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Literal

from rich.cells import cell_len, set_cell_size
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
from rich.table import Table
from rich.text import Text

from egresslog.show.values import safe

Colour = Literal["auto", "always", "never"]

_WIDEST = 60  # a path may have kilobytes
_PAGE = 500  # rows
_PIPE = 10_000  # columns
_BAR_FROM = 32 * 1024 * 1024  # bytes; less is read before a bar is seen


def console(stream: IO[str], colour: Colour = "auto") -> Console:
    """A rich console without markup or highlighting. ``auto`` obeys NO_COLOR and TERM, and colours no pipe."""
    forced = True if colour == "always" else None
    made = Console(
        file=stream,
        force_terminal=forced,
        no_color={"auto": None, "always": False, "never": True}[colour],
        color_system=None if colour == "never" else "auto",
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
    )
    if not made.is_terminal:
        made.width = _PIPE  # a pipe has no width: nothing is cut
    return made


def errors(colour: str) -> Console:
    """The console on standard error."""
    return console(sys.stderr, colour if colour in {"always", "never"} else "auto")  # type: ignore[arg-type]


class Terminal:
    """Where a table for people goes: standard output or a file."""

    def __init__(self, out: IO[bytes], colour: Colour) -> None:
        stream = sys.stdout if out is sys.stdout.buffer else io.TextIOWrapper(out, "utf-8", write_through=True)
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # LANG=C must not end in a traceback
        self.console = console(stream, colour)
        self.width = self.console.width if self.console.is_terminal else None

    def aligned(self, columns: Sequence[str]) -> Aligned:
        """Lines in columns, as kubectl prints them."""
        return Aligned(self, columns)

    def print_table(self, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Text | str]]) -> None:
        """A table without a frame; columns are (name, is a number). Text must be safe already."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name, number in columns:
            table.add_column(name, justify="right" if number else "left", no_wrap=True, header_style="dim")
        for row in rows:
            table.add_row(*row)
        self.console.print(table, soft_wrap=False, crop=self.width is not None)

    def close(self) -> None:
        """Leaves the file to who opened it."""
        if self._stream is sys.stdout:
            self._stream.flush()
        else:
            self._stream.detach()  # type: ignore[union-attr]


class Aligned:
    """Prints rows under one header, whose widths the first page of rows decides; later they only grow."""

    def __init__(self, terminal: Terminal, columns: Sequence[str]) -> None:
        self._terminal, self._columns = terminal, columns
        self._widths = [len(name) for name in columns]
        self._numbers: set[str] = set()
        self._page: list[tuple[list[str], int]] = []
        self._begun = False

    def write(self, rows: Sequence[Sequence[Any]], numbers: set[str], codes: Sequence[int]) -> None:
        """Prints rows; ``numbers`` names the columns to align on the right, ``codes`` gives each row's colour."""
        self._numbers = numbers
        for row, code in zip(rows, codes, strict=True):
            self._page.append((["-" if value is None else safe(str(value)) for value in row], code))
        if len(self._page) >= _PAGE:
            self.flush()

    def flush(self) -> None:
        """Prints what is held back."""
        for cells, _ in self._page:
            for index, cell in enumerate(cells):
                self._widths[index] = min(max(self._widths[index], cell_len(cell)), _WIDEST)
        if self._page and not self._begun:
            self._print([name.upper() for name in self._columns], Style(bold=True))
            self._begun = True
        for cells, code in self._page:
            self._print(cells, code_style(code))
        self._page = []

    def _print(self, cells: Sequence[str], style: Style) -> None:
        line = ""
        for name, cell, width in zip(self._columns, cells, self._widths, strict=True):
            text = cell if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"
            blank = " " * (width - cell_len(text))
            line += (blank + text if name in self._numbers else text + blank) + "  "
        line = line.rstrip()
        if self._terminal.width and cell_len(line) > self._terminal.width:
            line = set_cell_size(line, self._terminal.width - 1) + "…"
        self._terminal.console.print(Text(line, style=style), no_wrap=True, overflow="ignore", crop=False)


def code_style(code: int | None) -> Style:
    """Red for server errors, yellow for client errors."""
    if code is None or code < 400:  # noqa: PLR2004
        return Style()
    return Style(color="red" if code >= 500 else "yellow")  # noqa: PLR2004


@contextmanager
def progress(total: int | None, colour: Colour) -> Iterator[Callable[[int], None] | None]:
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
        console=console(sys.stderr, colour),
        transient=True,
    )
    with bar:
        task = bar.add_task("reading", total=total)
        yield lambda count: bar.advance(task, count)
