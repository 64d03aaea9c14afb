"""Files and standard input -> chunks of whole lines.

Compression is told by content, because rotated logs are renamed at will.
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
from egresslog.sources.paths import STDIN, Source, why

BLOCK = 1024 * 1024
_PEEK = 512
_PIECE = 512

Opener = Callable[[IO[bytes]], Any]


def _arrow(codec: str) -> Opener:
    return lambda raw: pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)


# How a file begins -> how to read it.
COMPRESSED: dict[bytes, Opener] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"\x28\xb5\x2f\xfd": _arrow("zstd"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x04\x22\x4d\x18": _arrow("lz4"),
}
NOT_LOGS = {
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it first",
    b"PAR1": "is a Parquet file, not a log",
    b"SQLite format 3": "is a database, not a log",
    b"\x7fELF": "is a program, not a log",
}
_TAR_MARK = slice(257, 262)
# Windows PowerShell writes `kubectl logs > file` as UTF-16.
UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def chunks(source: Source, progress: Callable[[int], None] | None = None) -> Iterator[Chunk]:
    """The lines of a source, in chunks of about a MiB; ``progress`` is told how many stored bytes were read.

    A line longer than MAX_LINE, and the last line of a file that breaks off, come as a chunk marked ``broken``.

    Raises:
        SourceError: the file cannot be read, or not to its end; what came before has been given out.
    """
    try:
        if source.origin == STDIN:
            yield from _read(sys.stdin.buffer, source.origin, progress)
        else:
            with Path(source.path or source.origin).open("rb", buffering=0) as raw:
                yield from _read(raw, source.origin, progress)
    except OSError as error:
        raise error if isinstance(error, SourceError) else SourceError(source.origin, why(error)) from None


class _Counted(io.RawIOBase):
    """Counts what is read from the disk, however it is packed."""

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
    for mark, what in NOT_LOGS.items():
        if start.startswith(mark):
            raise SourceError(origin, what)
    opener = next((opener for mark, opener in COMPRESSED.items() if start.startswith(mark)), None)
    yield from _lines(opener(buffered).read1 if opener else buffered.read1, origin, packed=opener is not None)


def _lines(read: Callable[[int], bytes], origin: str, *, packed: bool) -> Iterator[Chunk]:
    cutter = Cutter(origin)
    problem: SourceError | None = None
    decode: Callable[[bytes], bytes] | None = None
    begun = False
    blocks = _gathered(read) if packed else iter(lambda: read(BLOCK), b"")
    while True:
        try:
            block = next(blocks, b"")
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            what = "the compressed data is damaged or ends early" if packed else why(error)
            problem = SourceError(origin, f"{what}; {cutter.number - 1} whole lines were read before ({error})")
            break
        if not block:
            break
        if not begun:
            begun = True
            decode, block = begin(block, origin)
        yield from cutter.feed(decode(block) if decode else block)
    yield from cutter.finish("the file breaks off in this line," if problem else "")
    if problem:
        raise problem


def _gathered(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Blocks out of small pieces: a decompressor that fails inside a read gives out nothing of what it had."""
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


class Cutter:
    """Cuts blocks into chunks of whole lines."""

    def __init__(self, origin: str) -> None:
        self.number = 1  # of the first line not given out yet
        self._origin = origin
        self._tail: list[bytes] = []
        self._size = 0
        self._skipping = False  # to the end of a line that is too long

    def feed(self, block: bytes) -> Iterator[Chunk]:
        """The chunk that a block completes, if it does."""
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
        """The last line; ``broken`` says why its end is missing."""
        if self._tail:
            yield Chunk(b"".join(self._tail)[:MAX_LINE], self._origin, self.number, broken)
            self.number += 1
        self._tail, self._size = [], 0


def begin(block: bytes, origin: str) -> tuple[Callable[[bytes], bytes] | None, bytes]:
    """How to decode a text that begins with ``block``, and the block without its byte order mark."""
    if block[_TAR_MARK] == b"ustar":
        raise SourceError(origin, "is a tar archive: unpack it first")
    for mark, name in UTF16.items():
        if block.startswith(mark):
            return _recoder(name), block.removeprefix(mark)
    return None, block.removeprefix(codecs.BOM_UTF8)


def _recoder(name: str) -> Callable[[bytes], bytes]:
    decoder = codecs.getincrementaldecoder(name)("replace")
    return lambda block: decoder.decode(block).encode("utf-8", "replace")
