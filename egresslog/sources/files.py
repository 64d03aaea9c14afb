"""Files and standard input -> chunks of whole lines.

Compression is detected by content, because rotated logs are renamed at will.
"""

from __future__ import annotations

import io
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from egresslog.errors import SourceError
from egresslog.records.chunk import MAX_LINE, Chunk
from egresslog.sources.content import PEEK, detect_encoding, opener
from egresslog.sources.messages import os_reason
from egresslog.sources.paths import STDIN, Source

BLOCK = 1024 * 1024
_PIECE = 512


def chunks(source: Source, progress: Callable[[int], None] | None = None) -> Iterator[Chunk]:
    """Reads the lines of a source, in chunks of about a MiB.

    A line longer than MAX_LINE, and the last line of a file that is cut off, come as a chunk marked ``broken``.

    Args:
        source: the file, or standard input.
        progress: called with the number of stored bytes just read.

    A file is read as far as it goes when it is opened, and to the end of the line that it ends within.

    Raises:
        SourceError: the file cannot be read, or not to its end. All lines before have been yielded. Or it is a device,
            or a pipe whose first line is longer than MAX_LINE.
    """
    try:
        if source.origin == STDIN:
            yield from _read(standard_input(), source.origin, progress)
        else:
            with Path(source.path or source.origin).open("rb", buffering=0) as raw:
                yield from _read(raw, source.origin, progress)
    except OSError as error:
        raise error if isinstance(error, SourceError) else SourceError(source.origin, os_reason(error)) from None


def standard_input() -> IO[bytes]:
    """The bytes of standard input.

    Raises:
        SourceError: it is closed (``<&-``).
    """
    if sys.stdin is None:
        raise SourceError(STDIN, "there is no standard input")
    return sys.stdin.buffer


class _Counted(io.RawIOBase):
    """Counts the bytes that are read from the disk, compressed or not."""

    def __init__(self, raw: IO[bytes], progress: Callable[[int], None] | None) -> None:
        # Standard input is buffered: its `read` would wait until the buffer is full, and a pipe may take long.
        self._read, self._progress = getattr(raw, "read1", raw.read), progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer)) or b""
        buffer[: len(data)] = data
        if self._progress:
            self._progress(len(data))
        return len(data)


def _read(raw: IO[bytes], origin: str, progress: Callable[[int], None] | None) -> Iterator[Chunk]:
    size = stored_size(raw, origin)
    buffered = io.BufferedReader(_Counted(raw, progress), BLOCK)
    unpack = opener(buffered.peek(PEEK)[:PEEK], origin)
    cutter = LineCutter(origin, endless=size is None)
    if unpack:
        yield from _lines(_gathered(unpack(buffered).read1), cutter, origin, compressed=True)
    else:
        yield from _lines(_blocks(buffered.read1, size), cutter, origin, compressed=False)


def stored_size(file: IO[bytes], origin: str) -> int | None:
    """The size of an open file in bytes; None where it is not known, and may be endless: pipes, and files of /proc.

    Raises:
        SourceError: it is a device, such as /dev/zero. A terminal is none, nor is /dev/null.
    """
    try:
        descriptor = file.fileno()
    except OSError:  # no file of the operating system, as in a notebook
        return None
    status = os.fstat(descriptor)
    is_device = stat.S_ISBLK(status.st_mode) or (stat.S_ISCHR(status.st_mode) and not os.isatty(descriptor))
    if is_device and status.st_rdev != Path(os.devnull).stat().st_rdev:
        raise SourceError(origin, "is a device, not a log")
    return status.st_size or None if stat.S_ISREG(status.st_mode) else None


def _blocks(read: Callable[[int], bytes], size: int | None) -> Iterator[bytes]:
    """The blocks of a file; a file that grows faster than it is read would have no end."""
    position = 0
    while block := read(BLOCK):
        position += len(block)
        if size is not None and position >= size:
            kept = max(0, len(block) - (position - size))
            cut = kept if block[:kept].endswith(b"\n") else block.find(b"\n", kept) + 1
            if cut:
                yield block[:cut]
                return
        yield block


def _lines(blocks: Iterator[bytes], cutter: LineCutter, origin: str, *, compressed: bool) -> Iterator[Chunk]:
    problem: SourceError | None = None
    decode: Callable[[bytes], bytes] | None = None
    started = False
    while True:
        try:
            block = next(blocks, b"")
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            reason = "the compressed data is damaged or ends early" if compressed else os_reason(error)
            problem = SourceError(origin, f"{reason}; {cutter.number - 1} whole lines were read before ({error})")
            break
        if not block:
            break
        if not started:
            started = True
            decode, block = detect_encoding(block, origin)
        yield from cutter.feed(decode(block) if decode else block)
    yield from cutter.finish("the file breaks off in this line," if problem else "")
    if problem:
        raise problem


def _gathered(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Blocks made of small reads: a decompressor that fails within a read returns nothing of what it had decoded."""
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            piece = read(_PIECE)
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            if parts:
                yield b"".join(parts)
            raise
        parts.append(piece)
        size += len(piece)
        if not piece or size >= BLOCK:
            if size:
                yield b"".join(parts)
            parts, size = [], 0
        if not piece:
            return


class LineCutter:
    """Cuts blocks into chunks of whole lines.

    ``endless``: what is read may have no end, and a first line longer than MAX_LINE is an error.
    """

    def __init__(self, origin: str, *, endless: bool = False) -> None:
        self._endless = endless
        self.number = 1  # of the first line that was not returned yet
        self._origin = origin
        self._tail: list[bytes] = []
        self._size = 0
        self._skipping = False  # the rest of a line that is too long

    def feed(self, block: bytes) -> Iterator[Chunk]:
        """The chunk of the lines that a block completes, if there are any.

        Raises:
            SourceError: the first line does not end.
        """
        if self._skipping:
            _, newline, block = block.partition(b"\n")
            self._skipping = not newline
        cut = block.rfind(b"\n") + 1
        if cut:
            data = b"".join([*self._tail, block[:cut]])
            yield Chunk(data, self._origin, self.number)
            self.number += data.count(b"\n")
            self._tail, self._size = [], 0
        if len(block) > cut:
            self._tail.append(block[cut:])
            self._size += len(block) - cut
        if self._size > MAX_LINE:
            if self._endless and self.number == 1:
                raise SourceError(self._origin, f"the first line is longer than {MAX_LINE} bytes: this is no log")
            yield from self.finish(f"longer than {MAX_LINE} bytes, not read further,")
            self._skipping = True

    def finish(self, broken: str) -> Iterator[Chunk]:
        """The last line. ``broken``: why its end is missing, empty if it is not."""
        if self._tail:
            yield Chunk(b"".join(self._tail)[:MAX_LINE], self._origin, self.number, broken)
            self.number += 1
        self._tail, self._size = [], 0
