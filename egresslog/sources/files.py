"""Files, directories, globs and standard input -> chunks of whole lines.

Compression is told by content, because rotated logs are renamed at will.
"""

from __future__ import annotations

import bz2
import codecs
import glob
import gzip
import io
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from egresslog.errors import SourceError
from egresslog.records.lines import MAX_LINE, Chunk

BLOCK = 1024 * 1024
STDIN = "-"
_PEEK = 512

Opener = Callable[[IO[bytes]], Any]


def _arrow(codec: str) -> Opener:
    return lambda raw: pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)


# How a file begins -> how to read it.
_COMPRESSED: dict[bytes, Opener] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"\x28\xb5\x2f\xfd": _arrow("zstd"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x04\x22\x4d\x18": _arrow("lz4"),
}
_NOT_LOGS = {
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it first",
    b"PAR1": "is a Parquet file, not a log",
    b"SQLite format 3": "is a database, not a log",
    b"\x7fELF": "is a program, not a log",
}
_TAR_MARK = slice(257, 262)
# Windows PowerShell writes `kubectl logs > file` as UTF-16.
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True)
class Source:
    """One file to read, or standard input; ``size`` in bytes as stored, None where it cannot be known."""

    origin: str
    size: int | None = None


@dataclass(frozen=True)
class Found:
    """What paths stand for: sources in order, errors for those that stand for nothing, and what was left out."""

    sources: tuple[Source, ...]
    errors: tuple[SourceError, ...]
    notes: tuple[str, ...]


def find(paths: Iterable[str | os.PathLike[str]]) -> Found:
    """Expands paths: a directory stands for all files below it, a glob for what it matches, ``-`` for stdin.

    A file that is named twice, also by a link as in /var/log/containers, is read once.
    """
    sources: list[Source] = []
    errors: list[SourceError] = []
    notes: list[str] = []
    seen: dict[tuple[int, int] | str, str] = {}
    for path in paths:
        text = os.fspath(path)
        try:
            for name in _expand(text):
                status = None if name == STDIN else Path(name).stat()
                identity = (status.st_dev, status.st_ino) if status else STDIN
                if identity in seen:
                    notes.append(f"{name}: the same as {seen[identity]}, read once")
                    continue
                seen[identity] = name
                size = status.st_size if status and stat.S_ISREG(status.st_mode) else None
                sources.append(Source(name, size))
        except SourceError as error:
            errors.append(error)
        except OSError as error:
            errors.append(SourceError(error.filename or text, _why(error)))
    return Found(tuple(sources), tuple(errors), tuple(notes))


def _expand(text: str) -> list[str]:
    if text == STDIN or not glob.has_magic(text) or os.path.lexists(text):
        names = [text]
    else:
        names = sorted(glob.glob(text, recursive=True), key=_natural)  # noqa: PTH207  (keeps paths as they are typed)
        if not names:
            raise SourceError(text, "no file matches")
    found = []
    for name in names:
        if name == STDIN or not Path(name).is_dir():
            found.append(name)
            continue
        inside = [str(entry) for entry in _walk(Path(name))]
        if not inside:
            raise SourceError(name, "no file in this directory")
        found += inside
    return found


def _walk(directory: Path) -> Iterator[Path]:
    """All files below, in natural order, without hidden ones. An unreadable directory is an error."""
    for entry in sorted(directory.iterdir(), key=lambda entry: _natural(entry.name)):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry)
        elif entry.is_file() or entry.is_symlink():
            yield entry


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]


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
            with Path(source.origin).open("rb", buffering=0) as raw:
                yield from _read(raw, source.origin, progress)
    except OSError as error:
        raise error if isinstance(error, SourceError) else SourceError(source.origin, _why(error)) from None


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
    for mark, what in _NOT_LOGS.items():
        if start.startswith(mark):
            raise SourceError(origin, what)
    opener = next((opener for mark, opener in _COMPRESSED.items() if start.startswith(mark)), None)
    yield from _lines(opener(buffered).read if opener else buffered.read1, origin, packed=opener is not None)


def _lines(read: Callable[[int], bytes], origin: str, *, packed: bool) -> Iterator[Chunk]:
    cutter = _Cutter(origin)
    problem: SourceError | None = None
    decode: Callable[[bytes], bytes] | None = None
    begun = False
    while True:
        try:
            block = read(BLOCK)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            what = "the compressed data is damaged or ends early" if packed else _why(error)
            problem = SourceError(origin, f"{what}; {cutter.number - 1} whole lines were read before ({error})")
            break
        if not block:
            break
        if not begun:
            begun = True
            decode, block = _begin(block, origin)
        yield from cutter.feed(decode(block) if decode else block)
    yield from cutter.finish("the file breaks off in this line," if problem else "")
    if problem:
        raise problem


class _Cutter:
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


def _begin(block: bytes, origin: str) -> tuple[Callable[[bytes], bytes] | None, bytes]:
    """How to decode a text that begins with ``block``, and the block without its byte order mark."""
    if block[_TAR_MARK] == b"ustar":
        raise SourceError(origin, "is a tar archive: unpack it first")
    for mark, name in _UTF16.items():
        if block.startswith(mark):
            return _recoder(name), block.removeprefix(mark)
    return None, block.removeprefix(codecs.BOM_UTF8)


def _recoder(name: str) -> Callable[[bytes], bytes]:
    decoder = codecs.getincrementaldecoder(name)("replace")
    return lambda block: decoder.decode(block).encode("utf-8", "replace")


def _why(error: BaseException) -> str:
    """What the system says, with the way out where there is a usual one."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
