"""Tables on a terminal: one layout, for a table that is complete and for one that comes page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.text import Text

from egresslog.show.terminal import Terminal, code_style
from egresslog.show.values import safe, safe_host

_WIDEST = 60  # columns of one cell in a table whose rows are not all known: a path may have kilobytes
_PAGE = 500  # rows


class TableColumn(NamedTuple):
    """A column: its title, whether it holds numbers, is never cut, its first width, and whether it holds hosts."""

    title: str
    is_number: bool = False
    is_fixed: bool = False
    width: int = 0
    is_host: bool = False


class AlignedTable:
    """Prints rows under one header, as kubectl does: the first page decides the widths, later they only grow."""

    def __init__(self, terminal: Terminal, columns: Sequence[TableColumn], *, widest: int | None = _WIDEST) -> None:
        self._terminal = terminal
        self._columns = columns
        self._widths = [column.width or len(column.title) for column in columns]
        self._widest = widest
        self._page: list[Sequence[Text]] = []
        self._has_header = False

    def write(self, rows: Sequence[Sequence[Any]], codes: Sequence[int]) -> None:
        """Adds rows of values, page by page; the response code is a row's color."""
        for row, code in zip(rows, codes, strict=True):
            style = code_style(code)
            self.add(
                [
                    Text("-" if value is None else (safe_host if column.is_host else safe)(str(value)), style)
                    for column, value in zip(self._columns, row, strict=True)
                ]
            )
        if len(self._page) >= _PAGE:
            self.flush()

    def add(self, cells: Sequence[Text]) -> None:
        """Holds a row back until ``flush``; its text must be safe already."""
        self._page.append(cells)

    def flush(self, *, with_header: bool = False) -> None:
        """Prints what is held back; the header only before the first row, or ``with_header`` without one."""
        for row in self._page:
            for at, cell in enumerate(row):
                width = cell.cell_len if self._widest is None else min(cell.cell_len, self._widest)
                self._widths[at] = max(self._widths[at], width)
        widths = self._terminal.fitted(self._widths, [column.is_fixed for column in self._columns])
        numbers = [column.is_number for column in self._columns]
        if (self._page or with_header) and not self._has_header:
            self._terminal.print_line([Text(column.title, style="bold") for column in self._columns], widths, numbers)
            self._has_header = True
        for row in self._page:
            self._terminal.print_line(row, widths, numbers)
        self._page = []


def print_table(
    terminal: Terminal,
    columns: Sequence[TableColumn],
    rows: Sequence[Sequence[Text | str]],
    *,
    expendable: Sequence[str] = (),
) -> None:
    """Prints a table whose rows are all known.

    Args:
        terminal: where.
        columns: numbers are never cut.
        rows: the cells; their text must be safe already.
        expendable: titles of columns to leave out, in this order, on a terminal that is too narrow.
    """
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max([len(column.title), *(row[at].cell_len for row in cells)]) for at, column in enumerate(columns)]
    kept = list(range(len(columns)))
    for title in expendable:
        if terminal.excess([widths[at] for at in kept]) > 0:
            kept = [at for at in kept if columns[at].title != title]
    fixed = [columns[at]._replace(is_fixed=columns[at].is_number) for at in kept]
    table = AlignedTable(terminal, fixed, widest=None)
    for row in cells:
        table.add([row[at] for at in kept])
    table.flush(with_header=True)
