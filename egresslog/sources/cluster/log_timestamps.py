"""Lines with the runtime's time stamps: cutting them, telling diagnostics from log, and reading on after a break.

With `timestamps=true` the kubelet puts the time at which the runtime read a line before it. Lines without are the
kubelet's own words in the middle of a body (`failed to watch file ...`; shared facts, egress-verification 4.1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from egresslog.errors import LineError
from egresslog.records.chunk import MAX_LINE

# RFC 3339; nine digits since the CRI client, fewer before; some runtimes write the node's own zone.
_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) "
_PARTS = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
_STAMPED = re.compile(_STAMP)
_UNSTAMPED = re.compile(rb"\n(?!" + _STAMP + rb"|\Z)")  # seven times as fast as `^` with MULTILINE
_BEFORE = re.compile(rb"^" + _STAMP, re.MULTILINE)  # in bytes, lines end at \n only
# Lines of standard output and error are stamped by two threads of the runtime: one may come a little late.
_LATE = timedelta(seconds=1)
_IN_NS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONG = 16 * 1024  # bytes: the runtime stores longer lines in parts, each with a stamp of its own


def nanoseconds(line: bytes) -> int | None:
    """The stamp at the beginning of a line, in ns since 1970; None if it has none."""
    found = _PARTS.match(line)
    if not found:
        return None
    second, fraction, zone = (part.decode("ascii") for part in found.groups(b"0"))
    try:
        when = datetime.fromisoformat(second + zone.replace("Z", "+00:00"))
    except ValueError:  # the 31st of February
        return None
    return (when - _EPOCH) // _LATE * _IN_NS + int(fraction.ljust(9, "0"))


def whole_second(stamp: int) -> str:
    """A time (ns) as the log API takes it: it cuts fractions off."""
    return (_EPOCH + _LATE * (stamp // _IN_NS)).strftime("%Y-%m-%dT%H:%M:%SZ")


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces cut anywhere -> blocks of whole lines; last what has no end.

    Raises:
        LineError: a line is longer than any log line.
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
        if size > MAX_LINE:
            raise LineError(f"longer than {MAX_LINE} bytes", size)
    if rest := b"".join(parts):
        yield rest


def without(lines: bytes) -> bytes:
    """Whole lines without their stamps."""
    return _BEFORE.sub(b"", lines)


def separate(lines: bytes) -> tuple[bytes, list[bytes]]:
    """Whole lines -> those with a stamp, and the diagnostics between them."""
    if _STAMPED.match(lines) and not _UNSTAMPED.search(lines):
        return lines, []
    kept: list[bytes] = []
    said: list[bytes] = []
    for line in lines.split(b"\n")[:-1]:
        (kept if _STAMPED.match(line) else said).append(line)
    return b"".join(line + b"\n" for line in kept), said


def last_line(lines: bytes) -> bytes:
    """The last of whole lines, with its newline."""
    return lines[lines.rfind(b"\n", 0, -1) + 1 :]


class Recent:
    """The lines seen last, kept in order to know them again: `sinceTime` has whole seconds, so some come twice."""

    def __init__(self) -> None:
        self.anchor = b""  # the last line
        self.begin: int | None = None  # ns: lines before were not asked for
        self._second = 0  # since 1970
        self._older: list[bytes] = []
        self._newer: list[bytes] = []

    def add(self, lines: bytes) -> None:
        """Remembers whole lines. Two generations are kept: the last second of which there are lines, and one before."""
        self.anchor = last_line(lines)
        stamp = nanoseconds(self.anchor) or 0
        if stamp // _IN_NS > self._second or stamp < (self._second - 1) * _IN_NS:  # a clock that was set back
            self._second, self._older, self._newer = stamp // _IN_NS, self._newer, []
        self._newer.append(lines)

    @property
    def since(self) -> str | None:
        """From when to ask again (`sinceTime`)."""
        return None if self.last is None else whole_second((self._second - 1) * _IN_NS)

    @property
    def last(self) -> int | None:
        """The stamp of the last line (ns)."""
        return nanoseconds(self.anchor)

    def overlap(self) -> Overlap:
        """What takes the repeats out of a body that was asked for from ``since``."""
        return Overlap(self.anchor, self.begin, b"".join([*self._older, *self._newer]))


class Overlap:
    """Takes out the lines that were seen before the break, and looks for the last of them.

    Attributes:
        found: the last line has come again: nothing is missing between.
        over: no more repeats can come.
    """

    def __init__(self, anchor: bytes, begin: int | None, seen: bytes) -> None:
        self.found = self.over = not anchor
        self._anchor, self._begin = anchor, begin
        self._last = nanoseconds(anchor) or 0
        lines = seen.split(b"\n")[:-1]
        self._seen = Counter(lines)
        self._long = [line for line in lines if len(line) > _LONG]

    def feed(self, lines: bytes) -> tuple[bytes, bytes | None]:
        """The lines not seen yet, and the first that is newer than all that were: with ``found`` unset, some are lost.

        Lines are told by stamp and content, and counted: what was written twice is there twice.
        """
        kept: list[bytes] = []
        newer: bytes | None = None
        rest = lines.split(b"\n")[:-1]
        for at, line in enumerate(rest):
            if self._seen[line] > 0:
                self._seen[line] -= 1
                self.found |= line + b"\n" == self._anchor
                continue
            stamp = nanoseconds(line) or 0
            if stamp > self._last:
                newer = newer or line
                if stamp > self._last + _IN_NS:
                    self.over = True
                    kept += rest[at:]
                    break
            elif (self._begin is not None and stamp < self._begin) or self._is_rest(line):
                continue
            kept.append(line)
        return b"".join(line + b"\n" for line in kept), newer

    def _is_rest(self, line: bytes) -> bool:
        """Whether it is the end of a line we have: asking again may begin between the parts of a long one."""
        text = without(line)
        return any(whole.endswith(text) for whole in self._long)
