"""A buffer between the threads that read from the network and the one that processes what they read."""

from __future__ import annotations

import queue
import time
from collections import deque
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Generic, Literal, TypeVar

from egresslog.errors import DatabaseError
from egresslog.sources.cluster.disk_store import DiskStore, Place
from egresslog.sources.messages import os_reason

T = TypeVar("T")

_MIB = 1024 * 1024


class BufferClosed(EOFError):  # noqa: N818  (named like queue.Empty; it is the normal end)
    """The buffer is closed, and everything was taken."""


class Buffer(Generic[T]):
    """A first-in-first-out buffer in memory and on disk: ``put`` never waits for ``get``.

    The log of a Kubernetes container must be read as it is written: a client that pauses for half a minute loses lines
    without any sign.

    Items are held in memory, then pickled into temporary files without names; they are taken in the order in which they
    were put. In memory are at most ``memory`` bytes, one page (a quarter of that, 1 MiB at most) and one item. Each
    file has a sixteenth of ``disk`` and is deleted when all in it was taken, so that about one file holds what was
    taken already, and all files together never hold more than ``disk`` bytes.

    Attributes:
        waiting: number of items put and not taken yet.
        in_memory: bytes of those in memory, as given to ``put``.
        refused: number of items that ``put`` refused.
        problem: why the last of them was refused.
        closed: whether ``close`` was called.
    """

    def __init__(self, memory: int = 32 * _MIB, disk: int = 4096 * _MIB) -> None:
        self.waiting = self.in_memory = self.refused = 0
        self.problem = ""
        self.closed = False
        self._memory = memory
        self._full = max(1, min(_MIB, memory // 4))  # bytes that are written to the disk, and read back, at once
        self._disk = DiskStore(disk)
        self._head: deque[tuple[T, int]] = deque()  # the oldest items, which are being taken
        self._pages: deque[_Page[T]] = deque()  # each in memory or on disk, whatever its neighbors are
        self._newest: _Page[T] = _Page()
        self._loading = False
        self._writing = 0
        self._lock = Lock()  # never held while the disk works
        self._filled, self._written = Condition(self._lock), Condition(self._lock)

    @property
    def on_disk(self) -> int:
        """Bytes in the files."""
        return self._disk.used

    @property
    def peak_on_disk(self) -> int:
        """The most bytes that were in the files at any time."""
        return self._disk.peak

    def put(self, item: T, size: int = 0) -> bool:
        """Appends an item of ``size`` bytes, or refuses it and returns False.

        It is refused when memory and disk are full, the disk cannot be written, or the buffer is closed; ``problem``
        says which. Items of size 0 (notices) stay in memory, need not be picklable, and are refused only by a closed
        buffer.
        """
        problem = ""
        while not problem:
            with self._lock:
                page = self._page_to_write(size)
                if page is None and not self.closed:
                    self._newest.items.append((item, size))
                    self._newest.size += size
                    self.in_memory += size
                    self.waiting += 1
                    if self._newest.size >= self._full:
                        self._finish_page()
                    self._filled.notify()
                    return True
            problem = self._write(page) if page else "closed"
        with self._lock:
            self.refused += 1
            self.problem = problem
        return False

    def get(self, timeout: float | None = None) -> T:
        """Takes the oldest item; waits for it ``timeout`` seconds, or without limit.

        Raises:
            queue.Empty: there was none in time.
            BufferClosed: the buffer is closed, and everything was taken.
            DatabaseError: items cannot be read back from the disk and are lost; those after them can be taken.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                remaining = None if deadline is None else deadline - time.monotonic()
                if not self._filled.wait_for(self._is_ready, remaining):
                    raise queue.Empty
                page = None if self._head else self._advance()
                if not page:
                    if not self._head:
                        raise BufferClosed
                    item, size = self._head.popleft()
                    self.in_memory -= size
                    self.waiting -= 1
                    if self.closed and not self.waiting:
                        self._filled.notify_all()  # another consumer may wait for more
                    return item
            self._load(page)

    def close(self) -> None:
        """Ends ``put``. What waits can still be taken; the files are deleted with the last of it."""
        with self._lock:
            self.closed = True
            self._filled.notify_all()
            self._written.notify_all()

    def _finish_page(self) -> None:
        self._pages.append(self._newest)
        self._newest = _Page()

    def _page_to_write(self, size: int) -> _Page[T] | None:
        """The page to write out before an item of this size fits: the newest, needed last. Holds the lock."""
        while size and self.in_memory + size > self._memory and not self.closed:
            for page in reversed(self._pages):
                if page.state == "memory":
                    page.state = "writing"
                    self._writing += 1
                    return page
            if self._newest.size:
                self._finish_page()
            elif self._writing:
                self._written.wait()
            else:
                break  # everything else is being taken
        return None

    def _write(self, page: _Page[T]) -> str:
        """Writes a page to the disk; returns why it could not. The consumer may take the page meanwhile."""
        place: Place | None = None
        problem = ""
        try:
            place = self._disk.write([entry for entry in page.items if entry[1]], page.size)
        except OSError as error:
            problem = os_reason(error)
        finally:
            with self._lock:
                taken = page.state == "taken"
                if place and not taken:
                    page.move_to(place)
                    self.in_memory -= page.size
                elif not taken:
                    page.state = "memory"
                self._writing -= 1
                self._written.notify_all()
        if taken and place:
            self._disk.free(place)
        return "" if taken else problem

    def _is_ready(self) -> bool:
        """Whether there is something to take or load, or nothing will be put any more. Holds the lock."""
        more = bool(self._pages or self._newest.items) and not self._loading
        return bool(self._head) or more or (self.closed and not self.waiting)

    def _advance(self) -> _Page[T] | None:
        """Makes the oldest page the head; returns it instead if it must be loaded first. Holds the lock."""
        if not self._pages:
            self._finish_page()
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
            problem = os_reason(error)
        finally:
            with self._lock:
                self._loading = False
                if entries or problem:  # else interrupted: the page stays where it is
                    self.in_memory += page.size if entries else 0
                    self.waiting -= 0 if entries else page.stored
                    for index, notice in page.notices:
                        entries.insert(index, notice)
                    self._head.extend(entries)
                    self._pages.popleft()
                self._filled.notify_all()
        self._disk.free(page.place)
        if problem:
            raise DatabaseError(f"{page.stored} waiting items cannot be read back from the disk: {problem}")


@dataclass(eq=False)
class _Page(Generic[T]):
    """Items with their sizes, written to the disk together; ``stored`` of them are there, ``notices`` are not."""

    items: list[tuple[T, int]] = field(default_factory=list)
    size: int = 0
    state: Literal["memory", "writing", "disk", "taken"] = "memory"
    place: Place | None = None
    stored: int = 0
    notices: list[tuple[int, tuple[T, int]]] = field(default_factory=list)

    def move_to(self, place: Place) -> None:
        """Releases the items that are on disk now."""
        self.notices = [(index, entry) for index, entry in enumerate(self.items) if not entry[1]]
        self.stored, self.items = len(self.items) - len(self.notices), []
        self.place, self.state = place, "disk"
