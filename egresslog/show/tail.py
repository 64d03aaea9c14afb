"""Records as they are written: one readable line each, or NDJSON, or the line itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, Protocol

import pyarrow as pa
from rich.style import Style
from rich.text import Text

from egresslog.show.records import Json
from egresslog.show.table import AlignedTable, TableColumn
from egresslog.show.terminal import ColorMode, Terminal, code_style, errors
from egresslog.show.values import plain, plural, safe, safe_value
from egresslog.sources.cluster.log_timestamps import strip_timestamps
from egresslog.sources.coverage import Notice

FORMS = ("table", "ndjson")

# A column, and the narrowest terminal to show it on.
_COLUMNS = (
    (TableColumn("TIME (UTC)", is_fixed=True, width=12), 0),
    (TableColumn("POD", is_fixed=True, width=5), 60),
    (TableColumn("HOST", width=20), 0),
    (TableColumn("REQUEST", width=24), 0),
    (TableColumn("CODE", is_fixed=True, width=6), 0),
    (TableColumn("SENT", is_number=True, is_fixed=True, width=6), 90),
    (TableColumn("MS", is_number=True, is_fixed=True, width=5), 70),
    (TableColumn("UPSTREAM", width=15), 100),
)
_READ = ("start_time", "origin", "host", "method", "path", "response_code", "response_flags", "bytes_sent", "duration",
         "upstream_ip")  # fmt: skip
_HOST = 2  # its place in _COLUMNS
_CLOCK = slice(11, 23)  # of 2026-11-22T22:28:08.827Z
_COLORS = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")
_SHORT = 20  # characters of a pod's name
_FAILED = 400
_WIDE = 160  # columns of a terminal that has room for pods' names
_ANY = 10_000
_MARKS = {"started": "+", "ended": "-", "restarted": "~", "gap": "gap", "refused": "warning", "error": "warning"}


class Tail(Protocol):
    """Takes batches with ``line`` as they come; everything is out when ``write`` returns."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the records of a batch."""

    def close(self) -> None:
        """Ends the output."""


def writer(out: IO[bytes], form: str, columns: Sequence[str], color: ColorMode, *, raw: bool) -> Tail:
    """What writes one of FORMS, or with ``raw`` the lines."""
    if raw:
        return TailLines(out, color)
    if form == "ndjson":
        return TailNdjson(out, columns)
    return TailTable(out, color)


class TailNdjson:
    """NDJSON, out at once."""

    def __init__(self, out: IO[bytes], columns: Sequence[str]) -> None:
        self._out, self._json = out, Json(out, columns)

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes an object per record."""
        self._json.write(batch)
        self._out.flush()

    def close(self) -> None:
        """Nothing is held back."""


class TailLines:
    """The lines as the proxy wrote them, without the stamp of the log API; harmless on a terminal."""

    def __init__(self, out: IO[bytes], color: ColorMode) -> None:
        self._out = out
        terminal = Terminal(out, color)
        self._make: Callable[[str], str] = safe if terminal.width else str
        terminal.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a line per record."""
        lines = "".join(f"{self._make(line)}\n" for line in batch["line"].to_pylist())
        self._out.write(strip_timestamps(lines.encode("utf-8", "surrogateescape")))
        self._out.flush()

    def close(self) -> None:
        """Nothing is held back."""


class TailTable:
    """Aligned lines for people; a column never gets narrower."""

    def __init__(self, out: IO[bytes], color: ColorMode) -> None:
        self._terminal = Terminal(out, color)
        wide = self._terminal.width or _ANY
        self._shown = [at for at, (_, narrowest) in enumerate(_COLUMNS) if wide >= narrowest]
        self._short = wide < _WIDE
        self._table = AlignedTable(self._terminal, [_COLUMNS[at][0] for at in self._shown])
        self._styles: dict[str, Style] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a line per record."""
        for time, origin, host, method, path, code, flags, sent, duration, ip in zip(*plain(batch, _READ), strict=True):
            bad = code_style(code if code is None or code >= _FAILED or not flags else 500)
            request = f"{method} {path}" if method else "-"
            values = (
                time[_CLOCK] if time else None, _pod(origin, short=self._short), host, request,
                f"{'-' if code is None else code}{f' {flags}' if flags else ''}", sent, duration, ip,
            )  # fmt: skip
            cells = [Text(safe_value("host" if at == _HOST else "", value), bad) for at, value in enumerate(values)]
            cells[1].stylize(self._style(origin))
            self._table.add([cells[at] for at in self._shown])
        self._table.flush()

    def close(self) -> None:
        """Nothing is held back."""
        self._terminal.close()

    def _style(self, origin: str) -> Style:
        return self._styles.setdefault(origin, Style(color=_COLORS[len(self._styles) % len(_COLORS)]))


def _pod(origin: str, *, short: bool) -> str:
    """A pod's name, or with ``short`` its last part, which tells it from the others; a file's name."""
    parts = origin.split("/")
    name = parts[1] if len(parts) == 3 else parts[-1]  # noqa: PLR2004
    return name.rsplit("-", 1)[-1] if short and len(name) > _SHORT else name


def write_beginning(color: str, tail: int | None) -> None:
    """Prints on standard error where it starts: nobody should take a few lines for all."""
    if tail is not None:
        start = f"the last {plural(tail, 'line')} of each log" if tail else "new lines only"
        errors(color).print(Text(f"Starting with {start} (--tail -1 for all). Press Ctrl-C to stop.", style="dim"))


def write_notice(color: str, notice: Notice) -> None:
    """Prints on standard error what happened."""
    text = f"{notice.origin}: {notice.text}" if notice.text else notice.origin
    mark = _MARKS.get(notice.kind, notice.kind)
    style = "yellow" if notice.kind in {"gap", "refused", "error"} else "dim"
    first, *rest = text.split("\n")
    errors(color).print(Text.assemble((mark, style), " ", (safe(first), "" if style == "yellow" else style)))
    for line in rest:
        errors(color).print(Text(safe(line)))
