"""Temporary folders and unfinished files: removed when they are closed, by a signal, or after SIGKILL by the next run.

A lock tells whether the owner of a leftover is alive: the kernel releases it with the process. A process ID would not
tell: in a container it is always 1.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from egresslog.errors import DatabaseError

_FOLDER = re.compile(r"egresslog-[0-9a-f]{16}\.tmp")
_LOCK = "lock"  # the file in a folder
_TRIES = 100  # threads of the engine may still create files in a folder that is being removed

_owned: dict[Path, int | None] = {}  # what this process has not removed yet -> its lock


class TemporaryFolder:
    """A folder that is removed by ``close``, or when nobody holds it any more.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        """Creates it where TMPDIR says, and removes what killed runs left there.

        Raises:
            DatabaseError: there is no place for it.
        """
        import tempfile  # noqa: PLC0415  (--help must not wait for it)

        try:
            parent = Path(tempfile.gettempdir())
            _remove_abandoned(parent, _FOLDER)
            self.path = _create_folder(parent)
        except OSError as error:
            reason = error.strerror or str(error)
            raise DatabaseError(f"no temporary folder can be created: {reason}: set TMPDIR to another place") from None
        self.close = weakref.finalize(self, _discard, self.path)


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete. However the block ends otherwise, nothing of it is left.

    What a link stands for is written, and the link stays. A file that was there keeps its mode and its owner.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(os.path.realpath(target))
    before = target.stat() if target.exists() else None
    _remove_abandoned(target.parent, re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.part"))
    part = target.with_name(f".{target.name}.{_random()}.part")
    _owned[part] = None  # before it exists: a signal may come in between
    try:
        while not _take(part, part):
            pass
        with part.open("wb") as out:
            yield out
        _replace_content(part, target, before)  # the lock is still held
    finally:
        _discard(part)


def _replace_content(part: Path, target: Path, before: os.stat_result | None) -> None:
    """Makes a complete file the content of the target, which keeps its mode, its owner and its other names.

    It replaces the target at once. A target with other names (hard links), or of an owner that cannot be given away, is
    written over instead.
    """
    if before is not None and not (before.st_nlink == 1 and _inherits(part, before)):
        import shutil  # noqa: PLC0415

        with part.open("rb") as complete, target.open("wb") as out:
            shutil.copyfileobj(complete, out)
        return
    part.replace(target)


def _inherits(part: Path, before: os.stat_result) -> bool:
    """Gives a file the owner and the mode of another; False: that is not permitted."""
    try:
        if sys.platform != "win32":
            own = part.stat()
            if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
                os.chown(part, before.st_uid, before.st_gid)
        part.chmod(stat.S_IMODE(before.st_mode))
    except PermissionError:
        return False
    return True


def remove_abandoned() -> None:
    """Removes the temporary folders that killed runs left behind. Those of processes that are alive stay."""
    import tempfile  # noqa: PLC0415

    with suppress(OSError):
        _remove_abandoned(Path(tempfile.gettempdir()), _FOLDER)


def discard_all() -> None:
    """Removes all that this process has, because it ends at once. Safe in a signal handler."""
    for path in list(_owned):
        _discard(path)


def _random() -> str:
    return os.urandom(8).hex()


def _create_folder(parent: Path) -> Path:
    while True:
        path = parent / f"egresslog-{_random()}.tmp"
        _owned[path] = None
        try:
            path.mkdir(mode=0o700)
            with suppress(FileNotFoundError):  # without lock it looked abandoned, and another process removed it
                if _take(path, path / _LOCK):
                    return path
        except BaseException:
            _discard(path)
            raise
        _discard(path)


def _take(path: Path, lock: Path) -> bool:
    """Marks a path as that of a living process. False: another one took it for abandoned, as it was not marked yet."""
    if sys.platform == "win32":  # there are no such locks, and files that are open cannot be removed
        return True
    try:
        _owned[path] = descriptor = _locked(lock)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or not lock.exists():
            raise
        return True  # a file system without locks: nothing on it is ever taken for abandoned
    return descriptor is not None


def _locked(path: Path) -> int | None:
    """Creates a file and locks it; None if another process holds or has removed it.

    Raises:
        OSError: it cannot be created; or its file system has no locks.
    """
    assert sys.platform != "win32"
    import fcntl  # noqa: PLC0415

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove_abandoned(parent: Path, names: re.Pattern[str]) -> None:
    """Removes entries of these names that are ours, and whose owner has ended."""
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if not names.fullmatch(entry.name) or entry.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            path = Path(entry.path)
            with suppress(OSError):
                descriptor = _locked(path / _LOCK if entry.is_dir(follow_symlinks=False) else path)
                if descriptor is not None:
                    _remove(path)
                    os.close(descriptor)


def _discard(path: Path) -> None:
    """Removes what this process has; only then its lock is released."""
    if path in _owned:
        _remove(path)
        descriptor = _owned.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


def _remove(path: Path) -> None:
    import shutil  # noqa: PLC0415

    for _ in range(_TRIES):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
        if not os.path.lexists(path):
            return
