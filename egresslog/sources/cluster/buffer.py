"""A buffer between threads that read the network and one that works through what they read."""

from __future__ import annotations

import pickle
import queue
import tempfile
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Any, Generic, Literal, TypeVar

from egresslog.errors import DatabaseError
from egresslog.sources.paths import why

T = TypeVar("T")

_MIB = 1024 * 1024
_SEGMENTS = 16  # files that the disk's share is cut into


class Closed(EOFError):  # noqa: N818  (named like queue.Empty; it is the normal end)
    """Nothing will come any more."""


class Spool(Generic[T]):
    """A first-in-first-out buffer: putting never waits for taking.

    The log of a Kubernetes container must be read as it comes: who stops for half a minute loses lines and is not told.

    Items are held in memory, then pickled in temporary files without names; they come out in the order of putting.
    In memory are at most ``memory`` bytes, one page (a quarter of that, 1 MiB at most) and one item. The files are
    segments of a sixteenth of ``disk``. Each goes when all in it was taken, so what was taken and still fills the disk
    is about one segment, and the whole never more than ``disk``.

    Attributes:
        waiting: items put and not taken yet.
        in_memory: bytes of those held in memory, as told to ``put``.
        refused: items that ``put`` refused.
        problem: why the last of them was.
        closed: whether ``close`` was called.
    """

    def __init__(self, memory: int = 32 * _MIB, disk: int = 4096 * _MIB) -> None:
        self.waiting = self.in_memory = self.refused = 0
        self.problem = ""
        self.closed = False
        self._memory = memory
        self._full = max(1, min(_MIB, memory // 4))  # bytes that go to the disk, and come back, at once
        self._disk = _Disk(disk)
        self._head: deque[tuple[T, int]] = deque()  # the oldest, which are being taken
        self._pages: deque[_Page[T]] = deque()  # each in memory or on disk, whichever its neighbours are
        self._newest: _Page[T] = _Page()
        self._loading = False
        self._writing = 0
        self._lock = Lock()  # never held while the disk works
        self._filled, self._written = Condition(self._lock), Condition(self._lock)

    @property
    def on_disk(self) -> int:
        """Bytes of the files."""
        return self._disk.used

    @property
    def most_on_disk(self) -> int:
        """The most of them that ever were."""
        return self._disk.most

    def put(self, item: T, size: int = 0) -> bool:
        """Appends an item of so many bytes, or refuses it.

        Refused is what finds memory and disk full, a disk that cannot be written, or a closed spool; ``problem`` says
        which. Items of size 0 (notices) stay in memory, need not be picklable, and are refused only by a closed spool.
        """
        problem = ""
        while not problem:
            with self._lock:
                page = self._in_the_way(size)
                if page is None and not self.closed:
                    self._newest.items.append((item, size))
                    self._newest.size += size
                    self.in_memory += size
                    self.waiting += 1
                    if self._newest.size >= self._full:
                        self._turn_over()
                    self._filled.notify()
                    return True
            problem = self._spill(page) if page else "closed"
        with self._lock:
            self.refused += 1
            self.problem = problem
        return False

    def get(self, timeout: float | None = None) -> T:
        """Takes the oldest item, waiting for it ``timeout`` seconds, or as long as it takes.

        Raises:
            queue.Empty: none came in time.
            Closed: the spool is closed, and everything was taken.
            DatabaseError: items cannot be read back from the disk and are lost; those after them can be taken.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                left = None if deadline is None else deadline - time.monotonic()
                if not self._filled.wait_for(self._ready, left):
                    raise queue.Empty
                page = None if self._head else self._turn()
                if not page:
                    if not self._head:
                        raise Closed
                    item, size = self._head.popleft()
                    self.in_memory -= size
                    self.waiting -= 1
                    if self.closed and not self.waiting:
                        self._filled.notify_all()  # another consumer may wait for more
                    return item
            self._load(page)

    def close(self) -> None:
        """Ends the putting. What waits can still be taken; the file goes with the last of it."""
        with self._lock:
            self.closed = True
            self._filled.notify_all()
            self._written.notify_all()

    def _turn_over(self) -> None:
        self._pages.append(self._newest)
        self._newest = _Page()

    def _in_the_way(self, size: int) -> _Page[T] | None:
        """The page to write out before an item of this size fits; the newest, as it is needed last. Holds the lock."""
        while size and self.in_memory + size > self._memory and not self.closed:
            for page in reversed(self._pages):
                if page.state == "memory":
                    page.state = "writing"
                    self._writing += 1
                    return page
            if self._newest.size:
                self._turn_over()
            elif self._writing:
                self._written.wait()
            else:
                break  # all the rest is being taken
        return None

    def _spill(self, page: _Page[T]) -> str:
        """Writes a page to the disk; says why it could not. The consumer may take it meanwhile."""
        place: _Place | None = None
        problem = ""
        try:
            place = self._disk.write([entry for entry in page.items if entry[1]], page.size)
        except OSError as error:
            problem = why(error)
        finally:
            with self._lock:
                taken = page.state == "taken"
                if place and not taken:
                    page.leave(place)
                    self.in_memory -= page.size
                elif not taken:
                    page.state = "memory"
                self._writing -= 1
                self._written.notify_all()
        if taken and place:
            self._disk.free(place[0])
        return "" if taken else problem

    def _ready(self) -> bool:
        """Whether there is something to take or load, or nothing will be any more. Holds the lock."""
        more = bool(self._pages or self._newest.items) and not self._loading
        return bool(self._head) or more or (self.closed and not self.waiting)

    def _turn(self) -> _Page[T] | None:
        """Makes the oldest page the head, or returns it, if it must be loaded first. Holds the lock."""
        if not self._pages:
            self._turn_over()
        page = self._pages[0]
        if page.state == "disk":
            self._loading = True
            return page
        page.state = "taken"
        self._head.extend(self._pages.popleft().items)
        return None

    def _load(self, page: _Page[T]) -> None:
        """Makes a page on disk the head."""
        assert page.place
        entries: list[tuple[T, int]] = []
        problem = ""
        try:
            entries = self._disk.read(page.place)
        except OSError as error:
            problem = why(error)
        finally:
            with self._lock:
                self._loading = False
                if entries or problem:  # else interrupted: it stays where it is
                    self.in_memory += page.size if entries else 0
                    self.waiting -= 0 if entries else page.stored
                    for index, notice in page.notices:
                        entries.insert(index, notice)
                    self._head.extend(entries)
                    self._pages.popleft()
                self._filled.notify_all()
        self._disk.free(page.place[0])
        if problem:
            raise DatabaseError(f"{page.stored} waiting items cannot be read back from the disk: {problem}")


@dataclass(eq=False)
class _Page(Generic[T]):
    """Items, with their sizes, that go to the disk together; ``stored`` of them are there, without ``notices``."""

    items: list[tuple[T, int]] = field(default_factory=list)
    size: int = 0
    state: Literal["memory", "writing", "disk", "taken"] = "memory"
    place: _Place | None = None
    stored: int = 0
    notices: list[tuple[int, tuple[T, int]]] = field(default_factory=list)

    def leave(self, place: _Place) -> None:
        """Drops what is on disk now."""
        self.notices = [(index, entry) for index, entry in enumerate(self.items) if not entry[1]]
        self.stored, self.items = len(self.items) - len(self.notices), []
        self.place, self.state = place, "disk"


class _Segment:
    """One of the files; it goes when all in it was taken."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(prefix="egresslog-", buffering=0)  # noqa: SIM115  (lives as long as this)
        self.close = weakref.finalize(self, self.file.close)
        self.end = self.pages = 0

    def append(self, data: memoryview) -> _Place:
        """Writes all or nothing."""
        written = 0
        try:
            self.file.seek(self.end)
            while written < len(data):  # a disk that gets full writes a part first
                written += self.file.write(data[written:])
        except OSError:
            self.file.truncate(self.end)
            raise
        self.end += written
        self.pages += 1
        return self, self.end - written, written


_Place = tuple[_Segment, int, int]  # where it begins, how long it is


class _Disk:
    """Pickled values in temporary files."""

    def __init__(self, limit: int) -> None:
        self.used = self.most = 0
        self._limit = limit
        self._last: _Segment | None = None
        self._lock = Lock()  # a file has one position (Windows has no pwrite)

    def write(self, value: object, size: int) -> _Place:
        """Keeps a value of about so many bytes. Raises OSError where the disk, or the share in it, is full."""
        self._check(size)  # before the work of pickling: what is refused is refused quickly
        data = memoryview(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        with self._lock:
            self._check(len(data))
            if not self._last or self._last.end >= self._limit // _SEGMENTS:
                self._last = _Segment()
            place = self._last.append(data)
            self.used += len(data)
            self.most = max(self.most, self.used)
        return place

    def read(self, place: _Place) -> Any:
        """The value that was kept there."""
        segment, start, length = place
        with self._lock:
            segment.file.seek(start)
            data = segment.file.read(length)
        if len(data) < length:
            raise OSError("the temporary file ends early")
        return pickle.loads(data)  # noqa: S301  (written by this process, in a file without a name)

    def free(self, segment: _Segment) -> None:
        """Forgets a value of this segment."""
        with self._lock:
            segment.pages -= 1
            if not segment.pages:
                self.used -= segment.end
                segment.close()
                self._last = None if self._last is segment else self._last

    def _check(self, size: int) -> None:
        if self.used + size > self._limit:
            raise OSError(f"the limit of {self._limit} bytes on disk is reached")
