"""Pickled values in temporary files without names, within a limit."""

from __future__ import annotations

import pickle
import tempfile
import weakref
from threading import Lock
from typing import Any

_SEGMENTS = 16  # files that share the limit


class _Segment:
    """One of the files; it is deleted when all in it was taken."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(prefix="egresslog-", buffering=0)  # noqa: SIM115  (lives as long as this)
        self.close = weakref.finalize(self, self.file.close)
        self.end = self.pages = 0

    def append(self, data: memoryview) -> Place:
        """Writes all or nothing."""
        written = 0
        try:
            self.file.seek(self.end)
            while written < len(data):  # a disk that becomes full writes a part first
                written += self.file.write(data[written:])
        except OSError:
            self.file.truncate(self.end)
            raise
        self.end += written
        self.pages += 1
        return self, self.end - written, written


Place = tuple[_Segment, int, int]  # file, offset, length


class DiskStore:
    """Values in temporary files, each of which is deleted when all its values were released.

    Attributes:
        used: bytes in the files.
        peak: the most bytes that were in the files at any time.
    """

    def __init__(self, limit: int) -> None:
        """``limit``: bytes that all files together may hold."""
        self.used = self.peak = 0
        self._limit = limit
        self._last: _Segment | None = None
        self._lock = Lock()  # a file has one position (Windows has no pwrite)

    def write(self, value: object, size: int) -> Place:
        """Stores a value of about ``size`` bytes.

        Raises:
            OSError: the disk is full, or the limit is reached.
        """
        self._check(size)  # before pickling, so that refusing is quick
        data = memoryview(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        with self._lock:
            self._check(len(data))
            if not self._last or self._last.end >= self._limit // _SEGMENTS:
                self._last = _Segment()
            place = self._last.append(data)
            self.used += len(data)
            self.peak = max(self.peak, self.used)
        return place

    def read(self, place: Place) -> Any:
        """The value that was stored there."""
        segment, start, length = place
        with self._lock:
            segment.file.seek(start)
            data = segment.file.read(length)
        if len(data) < length:
            raise OSError("the temporary file ends early")
        return pickle.loads(data)  # noqa: S301  (written by this process, in a file without a name)

    def free(self, place: Place) -> None:
        """Releases the value that was stored there."""
        segment, _, _ = place
        with self._lock:
            segment.pages -= 1
            if not segment.pages:
                self.used -= segment.end
                segment.close()
                self._last = None if self._last is segment else self._last

    def _check(self, size: int) -> None:
        if self.used + size > self._limit:
            raise OSError(f"the limit of {self._limit} bytes on disk is reached")
