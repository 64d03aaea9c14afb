"""Files that grow, and pipes -> chunks of whole lines as they are written, like ``tail -F``."""

from __future__ import annotations

import functools
import os
import queue
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import IO

from egresslog.errors import SourceError
from egresslog.records.chunk import Chunk
from egresslog.sources.content import detect_encoding, opener, utf16_encoding
from egresslog.sources.files import BLOCK, LineCutter, standard_input, stored_size
from egresslog.sources.messages import os_reason
from egresslog.sources.paths import STDIN

_PEEK = 512  # bytes that show what a file is
_STEP = 64 * 1024  # bytes
_MAX_EMPTY = 8  # files that replaced another and are still empty
_MAX_BLOCKS = 16  # read from a pipe and not processed yet


def tail_files(
    paths: Sequence[str], *, lines: int | None = 10, stop: Event, poll: float = 0.25, report_idle: bool = False
) -> Iterator[Chunk | SourceError | None]:
    """Yields the last ``lines`` whole lines of each file (None: all), then what is appended.

    A file is followed by name. One that was renamed is read until the file in its place is not empty, which is then
    read from its beginning; so is a file that was truncated. Of two rotations within ``poll`` seconds only the second
    is noticed. A file that is missing at the start is an error; one that goes missing later is waited for. Pipes and
    ``-`` are read to their end, whatever ``lines`` says, and no faster than the chunks are taken. A file that cannot be
    followed yields an error, and the others are followed all the same.

    Lines are numbered from the beginning of a file or pipe that is read from there, as are the lines of a file that
    replaces another; else 1 is the first line yielded. A line is yielded when its newline has been written; without it
    at the end of a pipe, and as ``broken`` where its file was replaced or truncated, or if it is longer than MAX_LINE.

    Args:
        paths: files, named pipes, and ``-`` for standard input.
        lines: whole lines of each file to begin with.
        stop: ends it when set; it also ends when nothing is left to follow.
        poll: seconds between two looks at files.
        report_idle: also yield None after each look that found nothing.
    """
    followed: list[_Followed] = []
    arrived = Event()  # a block from a pipe
    try:
        for path in dict.fromkeys(paths):
            try:
                followed.append(_FollowedPipe(path, arrived) if _is_pipe(path) else _FollowedFile(path, lines))
            except OSError as error:
                yield _source_error(path, error)
        while followed and not stop.is_set():
            arrived.clear()
            for file in list(followed):
                yield from file.read()
                if file.done:
                    followed.remove(file)
                    file.close()
            if followed and all(file.idle for file in followed):
                (arrived if any(isinstance(file, _FollowedPipe) for file in followed) else stop).wait(poll)
                if report_idle:
                    yield None
    finally:
        for file in followed:
            file.close()


def _source_error(path: str, error: Exception) -> SourceError:
    return error if isinstance(error, SourceError) else SourceError(path, os_reason(error))


def _open(path: str) -> IO[bytes]:
    return Path(path).open("rb", buffering=0)


def _is_pipe(path: str) -> bool:
    mode = stat.S_IFIFO if path == STDIN else Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        raise SourceError(path, "is a directory: name the files in it")
    return not stat.S_ISREG(mode)


class _LineReader:
    """Blocks of one file or pipe -> chunks of whole lines."""

    def __init__(self, path: str, *, endless: bool = False) -> None:
        self._path = path
        self._cutter = LineCutter(path, endless=endless)
        self._decode: Callable[[bytes], bytes] | None = None
        self._started = False
        self.finish = self._cutter.finish

    def feed(self, block: bytes) -> Iterator[Chunk]:
        """The chunk of the lines that a block completes, if there are any."""
        if not self._started:
            block = self.start(block)
        yield from self._cutter.feed(self._decode(block) if self._decode else block)

    def start(self, block: bytes) -> bytes:
        """Detects from the first block how to read the text; returns the block without its byte order mark."""
        if opener(block, self._path):
            raise SourceError(self._path, "is compressed, and cannot be followed")
        self._decode, block = detect_encoding(block, self._path)
        self._started = True
        return block


class _Followed(ABC):
    """A file or pipe that is followed.

    Attributes:
        idle: the last ``read`` returned nothing.
        done: nothing will be written any more.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.idle = self.done = False
        self._reader = _LineReader(path)

    def read(self) -> Iterator[Chunk | SourceError]:
        """What was written since, a block at most."""
        try:
            yield from self._read()
        except OSError as error:
            self.done = True
            yield _source_error(self.path, error)

    @abstractmethod
    def _read(self) -> Iterator[Chunk | SourceError]: ...

    @abstractmethod
    def close(self) -> None: ...


class _FollowedFile(_Followed):
    """A regular file, and those that replace it."""

    def __init__(self, path: str, lines: int | None) -> None:
        super().__init__(path)
        self._file = _open(path)
        self._successors: list[IO[bytes]] = []
        self._is_complete = False
        self._position = 0
        self._problem = ""
        try:
            if lines is not None:
                self._skip(lines)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        for file in (self._file, *self._successors):
            file.close()

    def _read(self) -> Iterator[Chunk | SourceError]:
        block = self._file.read(BLOCK)
        self.idle = False
        if block:
            self._position += len(block)
            yield from self._reader.feed(block)
        elif os.fstat(self._file.fileno()).st_size < self._position:
            yield from self._reader.finish("the file was truncated within this line,")
            self._file.seek(0)
            self._position, self._reader = 0, _LineReader(self.path)
        elif self._is_complete:
            yield from self._reader.finish("the file was replaced within this line,")
            self._file.close()
            self._file, self._is_complete = self._successors.pop(0), False
            self._position, self._reader = 0, _LineReader(self.path)
        else:
            yield from self._find_successor()
            # Envoy keeps writing to the renamed file until it gets SIGUSR1: it is complete when another is not empty.
            self._is_complete = any(os.fstat(file.fileno()).st_size for file in self._successors)
            self.idle = not self._is_complete

    def _find_successor(self) -> Iterator[SourceError]:
        """Opens another file of this name. What keeps it from being opened may be temporary, and is reported once."""
        problem = ""
        try:
            status = Path(self.path).stat()
            known = [os.fstat(file.fileno()) for file in (self._file, *self._successors)]
            if stat.S_ISREG(status.st_mode) and not any(os.path.samestat(status, other) for other in known):
                self._successors.append(_open(self.path))
            if len(self._successors) > _MAX_EMPTY:
                self._successors.pop(0).close()
        except FileNotFoundError:
            pass  # not created yet
        except OSError as error:
            problem = os_reason(error)
        if problem and problem != self._problem:
            yield SourceError(self.path, problem)
        self._problem = problem

    def _skip(self, lines: int) -> None:
        """Moves to where the last whole lines begin."""
        start = self._file.read(_PEEK)
        newline = "\n".encode(utf16_encoding(start) or "ascii")
        self._position = _offset_of_last(self._file, lines, newline)
        self._file.seek(self._position)
        if self._position:  # else the first block has the byte order mark
            self._reader.start(start)


def _offset_of_last(file: IO[bytes], lines: int, newline: bytes) -> int:
    """Where the last whole lines begin; 0 if there are not more."""
    end = file.seek(0, os.SEEK_END)
    end -= end % len(newline)
    while end:
        start = max(0, end - _STEP)
        file.seek(start)
        block = file.read(end - start)
        cut = len(block)
        while (cut := block.rfind(newline, 0, cut)) >= 0:
            if cut % len(newline):  # halves of two UTF-16 characters
                cut += 1
            elif lines:
                lines -= 1
            else:
                return start + cut + len(newline)
        end = start
    return 0


class _FollowedPipe(_Followed):
    """Standard input or a named pipe. A thread reads it, because Windows cannot wait for a pipe with a time limit."""

    def __init__(self, path: str, arrived: Event) -> None:
        super().__init__(path)
        self._reader = _LineReader(path, endless=True)
        self._arrived = arrived
        self._blocks: queue.Queue[bytes | SourceError] = queue.Queue(_MAX_BLOCKS)
        self._stdin = _stdin() if path == STDIN else None
        Thread(target=self._run, name=f"egresslog {path}", daemon=True).start()

    def close(self) -> None:
        """Lets the thread end when its read returns."""
        self.done = True
        while not self._blocks.empty():  # so that the thread can put what it holds, and the end
            self._blocks.get_nowait()

    def _read(self) -> Iterator[Chunk | SourceError]:
        self.idle = self._blocks.empty()
        if self.idle:
            return
        block = self._blocks.get_nowait()
        if isinstance(block, SourceError):
            yield from self._reader.finish("the pipe breaks off in this line,")
            raise block
        if block:
            yield from self._reader.feed(block)
        else:
            self.done = True
            yield from self._reader.finish("")

    def _run(self) -> None:
        try:
            if self._stdin:
                stored_size(standard_input(), self.path)  # refuses devices
                self._pump(self._stdin)
            else:
                with _open(self.path) as pipe:  # waits for a writer
                    stored_size(pipe, self.path)
                    self._pump(pipe.read)
        except (OSError, ValueError) as error:  # ValueError: closed
            self._put(_source_error(self.path, error))

    def _pump(self, read: Callable[[int], bytes]) -> None:
        while not self.done:
            block = read(_STEP)
            self._put(block)
            if not block:
                break

    def _put(self, block: bytes | SourceError) -> None:
        self._blocks.put(block)
        self._arrived.set()


def _stdin() -> Callable[[int], bytes]:
    """How to read what is available on standard input."""
    stdin = standard_input()
    try:
        return functools.partial(os.read, stdin.fileno())
    except OSError:  # not a file of the operating system, as in a notebook
        return stdin.read
    except ValueError as error:
        raise SourceError(STDIN, str(error)) from None
