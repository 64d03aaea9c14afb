"""Lines with the runtime's timestamps: parsing them, separating diagnostics from log, and resuming after a break.

With `timestamps=true` the kubelet prefixes each line with the time at which the runtime read it. Lines without one are
messages of the kubelet itself (`failed to watch file ...`; docs/egress-evidence.md, 4.1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from egresslog.errors import LineError
from egresslog.records.chunk import MAX_LINE
from egresslog.timespec import is_storable, parse_rfc3339, rfc3339

# RFC 3339; nine digits since the CRI client, fewer before; some runtimes write the node's own offset.
_TIMESTAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) "
_STARTS_WITH_ONE = re.compile(_TIMESTAMP)
_LINE_WITHOUT = re.compile(rb"\n(?!" + _TIMESTAMP + rb"|\Z)")  # seven times as fast as `^` with MULTILINE
_AT_LINE_START = re.compile(rb"^" + _TIMESTAMP, re.MULTILINE)  # of bytes: lines end with \n only
# Standard output and standard error are stamped by two threads of the runtime: a line may be out of order by a little.
_SECOND = 10**9  # ns
_LONG = 16 * 1024  # bytes: the runtime stores longer lines in parts, each with a timestamp of its own


def timestamp_of(line: bytes) -> int | None:
    """The timestamp at the beginning of a line, in ns since 1970; None if there is none."""
    match = _STARTS_WITH_ONE.match(line)
    try:
        timestamp = parse_rfc3339(match[0][:-1].decode("ascii")) if match else None
    except ValueError:  # the 31st of February
        return None
    return timestamp if timestamp is not None and is_storable(timestamp) else None


def whole_lines(pieces: Iterable[bytes], limit: int = MAX_LINE) -> Iterator[bytes]:
    """Pieces that end anywhere -> blocks of whole lines; the last block may lack its newline.

    Raises:
        LineError: a line is longer than ``limit`` bytes, by default longer than any log line.
    """
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join([*parts, piece[:cut]])
            parts, size = [], 0
        parts.append(piece[cut:])
        size += len(piece) - cut
        if size > limit:
            raise LineError(f"longer than {limit} bytes", size)
    if rest := b"".join(parts):
        yield rest


def strip_timestamps(lines: bytes) -> bytes:
    """Whole lines without their timestamps."""
    return _AT_LINE_START.sub(b"", lines)


def split_diagnostics(lines: bytes) -> tuple[bytes, list[bytes]]:
    """Whole lines -> those with a timestamp, and the kubelet's messages between them."""
    if _STARTS_WITH_ONE.match(lines) and not _LINE_WITHOUT.search(lines):
        return lines, []
    kept: list[bytes] = []
    diagnostics: list[bytes] = []
    for line in lines.split(b"\n")[:-1]:
        (kept if _STARTS_WITH_ONE.match(line) else diagnostics).append(line)
    return b"".join(line + b"\n" for line in kept), diagnostics


def last_line(lines: bytes) -> bytes:
    """The last of whole lines, with its newline."""
    return lines[lines.rfind(b"\n", 0, -1) + 1 :]


class RecentLines:
    """The lines read last. `sinceTime` has whole seconds, so some of them come again after a break.

    Attributes:
        last: the last line, with its newline; empty if there was none.
        not_before: lines with an older timestamp (ns) are not wanted; None: all are.
    """

    def __init__(self, not_before: int | None = None) -> None:
        self.last = b""
        self.not_before = not_before
        self._second = 0  # since 1970
        self._older: list[bytes] = []
        self._newer: list[bytes] = []

    def start_at(self, timestamp: int) -> None:
        """From now on, lines with an older timestamp (ns) are not wanted."""
        self.not_before = timestamp

    def add(self, lines: bytes) -> None:
        """Keeps whole lines. Those of the latest second that has lines are kept, and those of the one before."""
        self.last = last_line(lines)
        timestamp = self.timestamp or 0
        if timestamp // _SECOND > self._second or timestamp < (self._second - 1) * _SECOND:  # a clock that was set back
            self._second, self._older, self._newer = timestamp // _SECOND, self._newer, []
        self._newer.append(lines)

    @property
    def timestamp(self) -> int | None:
        """The timestamp of the last line (ns)."""
        return timestamp_of(self.last)

    @property
    def since(self) -> str | None:
        """From when on to request the log again (`sinceTime`)."""
        return None if self.timestamp is None else rfc3339((self._second - 1) * _SECOND, digits=0)

    def overlap(self) -> Overlap:
        """What removes the repeated lines from a log that was requested from ``since`` on."""
        return Overlap(self.last, self.not_before, b"".join([*self._older, *self._newer]))


class Overlap:
    """Removes the lines that were read before the break, and looks for the last of them.

    Attributes:
        is_contiguous: the last line was there again, so nothing is missing.
        is_over: no more repeated lines can follow.
    """

    def __init__(self, last: bytes, not_before: int | None, known: bytes) -> None:
        self.is_contiguous = self.is_over = not last
        self._last, self._not_before = last, not_before
        self._last_timestamp = timestamp_of(last) or 0
        lines = known.split(b"\n")[:-1]
        self._known = Counter(lines)
        self._long = [line for line in lines if len(line) > _LONG]

    def remove_from(self, lines: bytes) -> tuple[bytes, bytes | None]:
        """The lines that are new, and the first of them that is newer than all that were read before the break.

        If there is such a line and ``is_contiguous`` is False, lines are missing. Lines are compared by timestamp and
        content, and counted: what was written twice is there twice.
        """
        kept: list[bytes] = []
        first_newer: bytes | None = None
        rest = lines.split(b"\n")[:-1]
        for index, line in enumerate(rest):
            if self._known[line] > 0:
                self._known[line] -= 1
                self.is_contiguous |= line + b"\n" == self._last
                continue
            timestamp = timestamp_of(line) or 0
            if timestamp > self._last_timestamp:
                first_newer = first_newer or line
                if timestamp > self._last_timestamp + _SECOND:
                    self.is_over = True
                    kept += rest[index:]
                    break
            elif (self._not_before is not None and timestamp < self._not_before) or self._is_end_of_long_line(line):
                continue
            kept.append(line)
        return b"".join(line + b"\n" for line in kept), first_newer

    def accept_gap(self) -> None:
        """The missing lines were taken note of."""
        self.is_contiguous = True

    def _is_end_of_long_line(self, line: bytes) -> bool:
        """Whether it is the end of a known line: a log may be served from between the parts of a long line."""
        text = strip_timestamps(line)
        return any(whole.endswith(text) for whole in self._long)
