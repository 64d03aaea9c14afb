"""Files that grow, and pipes -> chunks of whole lines as they come, like ``tail -F``."""

from __future__ import annotations

import functools
import os
import queue
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import IO

from egresslog.errors import SourceError
from egresslog.records.chunk import Chunk
from egresslog.sources.files import BLOCK, COMPRESSED, NOT_LOGS, UTF16, Cutter, begin
from egresslog.sources.paths import STDIN, why

_PEEK = 512
_STEP = 64 * 1024
_WAITING = 8  # files that took the place of another and are empty still
_ROOM = 16  # blocks read from a pipe and not taken yet


def follow(
    paths: Sequence[str], *, lines: int | None = 10, stop: Event, poll: float = 0.25
) -> Iterator[Chunk | SourceError]:
    """The last ``lines`` whole lines of each file (None: all), then what is appended, until ``stop`` is set.

    A file is followed by name. One that was renamed is read until the file in its place holds something, which is then
    read from its beginning; so is a file that was truncated. Of two rotations within ``poll`` seconds only the second
    is seen. A file that is missing at the start is an error; one that goes missing is waited for. Pipes and ``-`` are
    read to their end, whatever ``lines`` says; who writes there must wait for who takes the lines. An error is given
    out for each file that cannot be followed, and the others are. With nothing left to follow it ends, too.

    Lines are counted from the beginning of a file or pipe that is read from there, as is all that takes a file's place;
    else 1 is the first line given out. A line is given out when its newline has come; without it at the end of a pipe,
    and as ``broken`` where its file was replaced or truncated, or when it is longer than MAX_LINE.
    """
    sources: list[_Source] = []
    arrived = Event()  # something from a pipe
    try:
        for path in dict.fromkeys(paths):
            try:
                sources.append(_Pipe(path, arrived) if _is_pipe(path) else _File(path, lines))
            except OSError as error:
                yield _told(path, error)
        while sources and not stop.is_set():
            arrived.clear()
            for source in list(sources):
                yield from source.read()
                if source.done:
                    sources.remove(source)
                    source.close()
            if sources and all(source.idle for source in sources):
                (arrived if any(isinstance(source, _Pipe) for source in sources) else stop).wait(poll)
    finally:
        for source in sources:
            source.close()


def _told(path: str, error: Exception) -> SourceError:
    return error if isinstance(error, SourceError) else SourceError(path, why(error))


def _opened(path: str) -> IO[bytes]:
    return Path(path).open("rb", buffering=0)


def _is_pipe(path: str) -> bool:
    mode = stat.S_IFIFO if path == STDIN else Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        raise SourceError(path, "is a directory: name the files in it")
    return not stat.S_ISREG(mode)


class _Text:
    """Blocks of one file or pipe -> lines."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._cutter = Cutter(path)
        self._decode: Callable[[bytes], bytes] | None = None
        self._begun = False
        self.finish = self._cutter.finish

    def feed(self, block: bytes) -> Iterator[Chunk]:
        """The lines that a block completes."""
        if not self._begun:
            block = self.begin(block)
        yield from self._cutter.feed(self._decode(block) if self._decode else block)

    def begin(self, start: bytes) -> bytes:
        """Learns from its beginning how to read a text; gives it back without its byte order mark."""
        for mark, what in NOT_LOGS.items():
            if start.startswith(mark):
                raise SourceError(self._path, what)
        if start.startswith(tuple(COMPRESSED)):
            raise SourceError(self._path, "is compressed, and cannot be followed")
        self._decode, start = begin(start, self._path)
        self._begun = True
        return start


class _Source(ABC):
    """What is followed.

    Attributes:
        idle: the last ``read`` found nothing.
        done: nothing will come any more.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.idle = self.done = False
        self._text = _Text(path)

    def read(self) -> Iterator[Chunk | SourceError]:
        """What has come, at most a block of it."""
        try:
            yield from self._read()
        except OSError as error:
            self.done = True
            yield _told(self.path, error)

    @abstractmethod
    def _read(self) -> Iterator[Chunk | SourceError]: ...

    @abstractmethod
    def close(self) -> None: ...


class _File(_Source):
    """A regular file, and those that take its place."""

    def __init__(self, path: str, lines: int | None) -> None:
        super().__init__(path)
        self._file = _opened(path)
        self._later: list[IO[bytes]] = []
        self._leaving = False
        self._position = 0
        self._problem = ""
        try:
            if lines is not None:
                self._skip(lines)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        for file in (self._file, *self._later):
            file.close()

    def _read(self) -> Iterator[Chunk | SourceError]:
        block = self._file.read(BLOCK)
        self.idle = False
        if block:
            self._position += len(block)
            yield from self._text.feed(block)
        elif os.fstat(self._file.fileno()).st_size < self._position:
            yield from self._text.finish("the file was truncated within this line,")
            self._file.seek(0)
            self._position, self._text = 0, _Text(self.path)
        elif self._leaving:
            yield from self._text.finish("the file was replaced within this line,")
            self._file.close()
            self._file, self._leaving = self._later.pop(0), False
            self._position, self._text = 0, _Text(self.path)
        else:
            yield from self._look()
            # Envoy goes on writing the renamed file until SIGUSR1. Once another holds something, this one is complete.
            self._leaving = any(os.fstat(file.fileno()).st_size for file in self._later)
            self.idle = not self._leaving

    def _look(self) -> Iterator[SourceError]:
        """Looks for another file of this name. What keeps it from being read may pass, and is told once."""
        problem = ""
        try:
            there = Path(self.path).stat()
            known = [os.fstat(file.fileno()) for file in (self._file, *self._later)]
            if stat.S_ISREG(there.st_mode) and not any(os.path.samestat(there, one) for one in known):
                self._later.append(_opened(self.path))
            if len(self._later) > _WAITING:
                self._later.pop(0).close()
        except FileNotFoundError:
            pass  # it is yet to come
        except OSError as error:
            problem = why(error)
        if problem and problem != self._problem:
            yield SourceError(self.path, problem)
        self._problem = problem

    def _skip(self, lines: int) -> None:
        """Goes to where the last whole lines begin."""
        start = self._file.read(_PEEK)
        newline = next(("\n".encode(name) for mark, name in UTF16.items() if start.startswith(mark)), b"\n")
        self._position = _last(self._file, lines, newline)
        self._file.seek(self._position)
        if self._position:  # else the first block tells
            self._text.begin(start)


def _last(file: IO[bytes], lines: int, newline: bytes) -> int:
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


class _Pipe(_Source):
    """Standard input or a named pipe. A thread reads it, as Windows cannot wait for a pipe for a limited time."""

    def __init__(self, path: str, arrived: Event) -> None:
        super().__init__(path)
        self._arrived = arrived
        self._blocks: queue.Queue[bytes | SourceError] = queue.Queue(_ROOM)
        self._stdin = _stdin() if path == STDIN else None
        Thread(target=self._run, name=f"egresslog {path}", daemon=True).start()

    def close(self) -> None:
        """Lets the thread end when its read does."""
        self.done = True
        while not self._blocks.empty():  # makes room for what it holds, and for the end
            self._blocks.get_nowait()

    def _read(self) -> Iterator[Chunk | SourceError]:
        self.idle = self._blocks.empty()
        if self.idle:
            return
        block = self._blocks.get_nowait()
        if isinstance(block, SourceError):
            yield from self._text.finish("the pipe breaks off in this line,")
            raise block
        if block:
            yield from self._text.feed(block)
        else:
            self.done = True
            yield from self._text.finish("")

    def _run(self) -> None:
        try:
            if self._stdin:
                self._pump(self._stdin)
            else:
                with _opened(self.path) as pipe:  # waits for a writer
                    self._pump(pipe.read)
        except (OSError, ValueError) as error:  # ValueError: closed
            self._put(_told(self.path, error))

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
    """How to read what standard input has, not waiting for more."""
    if sys.stdin is None:
        raise SourceError(STDIN, "there is no standard input")
    try:
        return functools.partial(os.read, sys.stdin.fileno())
    except OSError:  # none of the system's, as in a notebook
        return sys.stdin.buffer.read
    except ValueError as error:
        raise SourceError(STDIN, str(error)) from None
