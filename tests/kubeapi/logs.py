"""Container logs as the kubelet keeps them: files that are rotated, of which only the current one is served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from threading import Condition
from typing import Literal

Stream = Literal["stdout", "stderr"]

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Block:
    """Whole lines that the runtime read at once, hence with one stamp; or raw bytes without one."""

    data: bytes
    lines: int
    stamp: int | None
    stream: Stream = "stdout"

    def render(self, zone: tzinfo | None, skip: int = 0) -> bytes:
        """The bytes without the first `skip` lines; with stamps in `zone`, unless it is None."""
        data = self.data
        if skip:
            start = 0
            for _ in range(skip):
                start = data.index(b"\n", start) + 1
            data = data[start:]
        if zone is None or self.stamp is None or not data:
            return data
        prefix = format_stamp(self.stamp, zone).encode() + b" "
        return prefix + data[:-1].replace(b"\n", b"\n" + prefix) + b"\n"


def format_stamp(stamp: int, zone: tzinfo = UTC) -> str:
    """Nine digits always, and the node's own time zone, as the kubelet prints it."""
    seconds, nanoseconds = divmod(stamp, NANOSECONDS)
    moment = datetime.fromtimestamp(seconds, zone)
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}" + (
        "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    )


@dataclass
class File:
    """A log file; who reads it keeps it open when it is `rotated` away."""

    blocks: list[Block] = field(default_factory=list)
    rotated: bool = False


class Log:
    """What one instance of a container wrote."""

    def __init__(self, changed: Condition, clock: Callable[[], int]) -> None:
        self._changed, self._clock = changed, clock
        self._last = 0
        self.file = File()
        self.ended = False

    def write(self, *lines: bytes, at: int | None = None, stream: Stream = "stdout") -> None:
        """Append whole lines, all with the stamp `at` (ns); default is now, and later than what is there."""
        if lines:
            self.write_block(b"\n".join(lines) + b"\n", len(lines), at=at, stream=stream)

    def write_block(self, data: bytes, lines: int, *, at: int | None = None, stream: Stream = "stdout") -> None:
        """As `write`, of prepared bytes that end with a line end."""
        if data.count(b"\n") != lines:
            raise ValueError("a line of a log holds no line end")
        with self._changed:
            self._last = stamp = max(self._clock(), self._last + 1) if at is None else at
            self._append(Block(data, lines, stamp, stream))

    def write_raw(self, data: bytes) -> None:
        """What the kubelet itself says amid the stream: no stamp, and no line end but those in `data`."""
        self._append(Block(data, data.count(b"\n"), None))

    def rotate(self) -> None:
        """Begin a new file. The old one is served only to those who have it open."""
        with self._changed:
            self.file.rotated = True
            self.file = File()
            self._changed.notify_all()

    def end(self) -> None:
        """The container exited: follow streams end after what is there."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _append(self, block: Block) -> None:
        with self._changed:
            if self.ended:
                raise ValueError("this instance of the container has ended")
            self.file.blocks.append(block)
            self._changed.notify_all()


@dataclass(frozen=True)
class LogOptions:
    """The query of a log request; times in nanoseconds."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: int | None = None
    tail: int | None = None
    limit: int | None = None
    stream: str = "All"


class Scan:
    """One reader of a log, from file to file."""

    def __init__(self, log: Log, options: LogOptions, *, zone: tzinfo, old_kubelet: bool) -> None:
        self._log, self._options, self._old_kubelet = log, options, old_kubelet
        self._zone = zone if options.timestamps else None
        self._file = log.file
        self._index, self._skip = self._start()
        self._left = options.limit

    def _start(self) -> tuple[int, int]:
        """Index of the first block to read, and the lines to skip in it."""
        if self._options.tail is None:
            return 0, 0
        missing = self._options.tail
        for index in reversed(range(len(self._file.blocks))):
            if not missing:
                return index + 1, 0
            lines = self._file.blocks[index].lines
            if lines >= missing:
                return index, lines - missing
            missing -= lines
        return (len(self._file.blocks), 0) if not missing else (0, 0)

    def read(self, size: int) -> bytes | None:
        """What can be read now, `size` bytes or a block more; nothing when it is to wait, None at the end.

        To be called with the cluster's lock held.
        """
        if self._left == 0:
            return None
        pieces, length = [], 0
        while length < size and (block := self._next()):
            piece = self._render(block)
            pieces.append(piece)
            length += len(piece)
        data = b"".join(pieces)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data if data or not self._finished() else None

    def _next(self) -> Block | None:
        while self._index == len(self._file.blocks):
            # Whoever was slow finds the newest file: those that came and went meanwhile are lost.
            if not self._options.follow or not self._file.rotated or self._old_kubelet:
                return None
            self._file, self._index = self._log.file, 0
        self._index += 1
        return self._file.blocks[self._index - 1]

    def _render(self, block: Block) -> bytes:
        skip, self._skip = self._skip, 0
        since, wanted = self._options.since, self._options.stream.lower()
        if block.stamp is not None and since is not None and block.stamp < since:
            return b""
        if block.stamp is not None and wanted not in ("all", block.stream):
            return b""
        return block.render(self._zone, skip)

    def _finished(self) -> bool:
        if self._index < len(self._file.blocks):
            return False
        if not self._options.follow:
            return True
        return self._log.ended and not (self._file.rotated and self._old_kubelet)
