"""Files and standard input -> chunks of whole lines.

Compression is detected by content, because rotated logs are renamed at will.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from egresslog.errors import SourceError
from egresslog.records.chunk import MAX_LINE, Chunk
from egresslog.sources.messages import os_reason
from egresslog.sources.paths import STDIN, Source

BLOCK = 1024 * 1024
_PEEK = 512
_PIECE = 512

Opener = Callable[[IO[bytes]], Any]


def _arrow(codec: str) -> Opener:
    return lambda raw: pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)


# The first bytes of a file -> how to decompress it.
COMPRESSED: dict[bytes, Opener] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"\x28\xb5\x2f\xfd": _arrow("zstd"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x04\x22\x4d\x18": _arrow("lz4"),
}
#: The first bytes of files that hold no lines -> what to tell the user.
NOT_LOGS = {
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it first",
    b"PAR1": "is a Parquet file, not a log",
    b"SQLite format 3": "is a database, not a log",
    b"\x7fELF": "is a program, not a log",
}
_TAR_MARK = slice(257, 262)
#: Byte order mark -> encoding: Windows PowerShell writes `kubectl logs > file` as UTF-16.
UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def chunks(source: Source, progress: Callable[[int], None] | None = None) -> Iterator[Chunk]:
    """Reads the lines of a source, in chunks of about a MiB.

    A line longer than MAX_LINE, and the last line of a file that is cut off, come as a chunk marked ``broken``.

    Args:
        source: the file, or standard input.
        progress: called with the number of stored bytes just read.

    Raises:
        SourceError: the file cannot be read, or not to its end. All lines before have been yielded.
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
        self._raw, self._progress = raw, progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer)) or b""
        buffer[: len(data)] = data
        if self._progress:
            self._progress(len(data))
        return len(data)


def _read(raw: IO[bytes], origin: str, progress: Callable[[int], None] | None) -> Iterator[Chunk]:
    buffered = io.BufferedReader(_Counted(raw, progress), BLOCK)
    start = buffered.peek(_PEEK)[:_PEEK]
    for mark, reason in NOT_LOGS.items():
        if start.startswith(mark):
            raise SourceError(origin, reason)
    opener = next((opener for mark, opener in COMPRESSED.items() if start.startswith(mark)), None)
    yield from _lines(opener(buffered).read1 if opener else buffered.read1, origin, compressed=opener is not None)


def _lines(read: Callable[[int], bytes], origin: str, *, compressed: bool) -> Iterator[Chunk]:
    cutter = LineCutter(origin)
    problem: SourceError | None = None
    decode: Callable[[bytes], bytes] | None = None
    started = False
    blocks = _gathered(read) if compressed else iter(lambda: read(BLOCK), b"")
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
    """Cuts blocks into chunks of whole lines."""

    def __init__(self, origin: str) -> None:
        self.number = 1  # of the first line that was not returned yet
        self._origin = origin
        self._tail: list[bytes] = []
        self._size = 0
        self._skipping = False  # the rest of a line that is too long

    def feed(self, block: bytes) -> Iterator[Chunk]:
        """The chunk of the lines that a block completes, if there are any."""
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
            yield from self.finish(f"longer than {MAX_LINE} bytes, not read further,")
            self._skipping = True

    def finish(self, broken: str) -> Iterator[Chunk]:
        """The last line. ``broken``: why its end is missing, empty if it is not."""
        if self._tail:
            yield Chunk(b"".join(self._tail)[:MAX_LINE], self._origin, self.number, broken)
            self.number += 1
        self._tail, self._size = [], 0


def detect_encoding(block: bytes, origin: str) -> tuple[Callable[[bytes], bytes] | None, bytes]:
    """How to turn text that begins with ``block`` into UTF-8 (None: it is), and the block without byte order mark.

    Raises:
        SourceError: it is an archive.
    """
    if block[_TAR_MARK] == b"ustar":
        raise SourceError(origin, "is a tar archive: unpack it first")
    for mark, encoding in UTF16.items():
        if block.startswith(mark):
            return _recoder(encoding), block.removeprefix(mark)
    return None, block.removeprefix(codecs.BOM_UTF8)


def _recoder(encoding: str) -> Callable[[bytes], bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    return lambda block: decoder.decode(block).encode("utf-8", "replace")
