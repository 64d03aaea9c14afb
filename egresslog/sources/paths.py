"""What paths stand for: files, directories, globs and standard input."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from egresslog.errors import SourceError
from egresslog.sources.coverage import Coverage

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One file to read, or standard input.

    Attributes:
        origin: what it is called.
        size: in bytes as stored, None where it cannot be known.
        path: where it is, if not at its origin.
    """

    origin: str
    size: int | None = None
    path: str | None = None


@dataclass
class Found:
    """Sources in order, errors for what cannot be read, notes on what was left out; of containers the coverage.

    ``advice``: why there may be no access log in it.
    """

    sources: list[Source] = field(default_factory=list)
    errors: list[SourceError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)


def find(paths: Iterable[str | os.PathLike[str]]) -> Found:
    """Expands paths: a directory stands for all files below it, a glob for what it matches, ``-`` for stdin.

    A file that is named twice, also by a link as in /var/log/containers, is read once. Hidden files and what is no
    regular file (pipes, sockets) are not looked for in directories.
    """
    found = Found()
    seen: dict[tuple[int, int] | str, str] = {}
    for path in paths:
        for name in _expand(os.fspath(path), found):
            try:
                status = None if name == STDIN else Path(name).stat()
            except OSError as error:
                found.errors.append(SourceError(name, why(error)))
                continue
            identity = (status.st_dev, status.st_ino) if status else STDIN
            if identity in seen:
                found.notes.append(f"{name}: the same as {seen[identity]}, read once")
                continue
            seen[identity] = name
            found.sources.append(Source(name, status.st_size if status and stat.S_ISREG(status.st_mode) else None))
    return found


def _expand(text: str, found: Found) -> Iterator[str]:
    """The files that one path stands for."""
    names = [text]
    if text != STDIN and glob.has_magic(text) and not os.path.lexists(text):
        names = sorted(glob.glob(text, recursive=True), key=_natural)  # noqa: PTH207  (keeps paths as they are typed)
        if "**" in text:  # names what is in directories itself
            names = [name for name in names if not Path(name).is_dir()]
        if not names:
            found.errors.append(SourceError(text, "no file matches"))
    for name in names:
        if name == STDIN or not Path(name).is_dir():
            yield name
            continue
        errors = len(found.errors)
        inside = [str(entry) for entry in _walk(Path(name), found)]
        if not inside and len(found.errors) == errors:
            found.errors.append(SourceError(name, "no file in this directory"))
        yield from inside


def _walk(directory: Path, found: Found) -> Iterator[Path]:
    """All files below, in natural order. An unreadable directory is an error, a link to a directory is not followed."""
    try:
        entries = sorted(directory.iterdir(), key=lambda entry: _natural(entry.name))
    except OSError as error:
        found.errors.append(SourceError(str(directory), why(error)))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            if entry.is_file() or entry.is_symlink():
                yield entry
        elif entry.is_symlink():
            found.notes.append(f"{entry}: a link to a directory, not followed; name it to read it")
        else:
            yield from _walk(entry, found)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]


def why(error: BaseException) -> str:
    """What the system says, with the way out where there is a usual one."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
