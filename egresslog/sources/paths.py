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
from egresslog.networks import Network
from egresslog.sources.coverage import Coverage
from egresslog.sources.messages import os_reason

STDIN = "-"
_NO_FILES = (
    (stat.S_ISFIFO, "a named pipe, not read; name it to read it"),
    (stat.S_ISSOCK, "a socket, not read"),
    (stat.S_ISCHR, "a device, not read"),
    (stat.S_ISBLK, "a device, not read"),
)


@dataclass(frozen=True)
class Source:
    """One file to read, or standard input.

    Attributes:
        origin: its name in records and messages.
        size: in bytes as stored, None where it cannot be known.
        path: where the file is, if not at its origin.
    """

    origin: str
    size: int | None = None
    path: str | None = None


@dataclass
class Sources:
    """What there is to read.

    Attributes:
        sources: in the order in which they are read.
        errors: for what cannot be read.
        notes: on what was left out on purpose.
        coverage: of each container, if the sources are logs of containers.
        advice: why there may be no access log in them.
        uncaptured: pods in scope of which some or all traffic leaves no line, and why.
        unauthenticated: the API server, if the logs came from one that did not prove to be the cluster's; else "".
        ranges: those of pods and Services, as the cluster says.
        api_server: the addresses of the cluster's API server, as the cluster says.
    """

    sources: list[Source] = field(default_factory=list)
    errors: list[SourceError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    uncaptured: list[str] = field(default_factory=list)
    unauthenticated: str = ""
    ranges: tuple[Network, ...] = ()
    api_server: tuple[Network, ...] = ()


def expand_paths(paths: Iterable[str | os.PathLike[str]]) -> Sources:
    """Expands paths: a directory stands for all files below it, a glob for what it matches, ``-`` for standard input.

    A file that is named twice, also through a link as in /var/log/containers, is read once. Hidden files, pipes,
    sockets and devices in directories are skipped, also those behind a link.
    """
    sources = Sources()
    seen: dict[tuple[int, int] | str, str] = {}
    for path in paths:
        for entry in _expand(os.fspath(path)):
            if isinstance(entry, SourceError):
                sources.errors.append(entry)
            elif isinstance(entry, _Skipped):
                sources.notes.append(f"{entry.path}: {entry.reason}")
            else:
                _add(sources, entry, seen)
    return sources


def _add(sources: Sources, name: str, seen: dict[tuple[int, int] | str, str]) -> None:
    try:
        status = None if name == STDIN else Path(name).stat()
    except OSError as error:
        sources.errors.append(SourceError(name, os_reason(error)))
        return
    identity = (status.st_dev, status.st_ino) if status else STDIN
    if identity in seen:
        sources.notes.append(f"{name}: the same as {seen[identity]}, read once")
        return
    seen[identity] = name
    sources.sources.append(Source(name, status.st_size if status and stat.S_ISREG(status.st_mode) else None))


@dataclass(frozen=True)
class _Skipped:
    """What is not read on purpose."""

    path: str
    reason: str


def _expand(text: str) -> Iterator[str | SourceError | _Skipped]:
    """The files that one path stands for, and what keeps others from being read."""
    names = [text]
    if text != STDIN and glob.has_magic(text) and not os.path.lexists(text):
        names = sorted(glob.glob(text, recursive=True), key=_natural)  # noqa: PTH207  (keeps paths as they are typed)
        if "**" in text:  # which matches what is in directories, too
            names = [name for name in names if not Path(name).is_dir()]
        if not names:
            yield SourceError(text, "no file matches")
        yield from _expand_names(names)
        return
    if text == STDIN or not Path(text).is_dir():
        yield text
        return
    yield from _expand_directory(text)


def _expand_names(names: Iterable[str]) -> Iterator[str | SourceError | _Skipped]:
    """What a glob matched."""
    for name in names:
        if Path(name).is_dir():
            yield from _expand_directory(name)
        else:
            yield _file(name)


def _expand_directory(name: str) -> Iterator[str | SourceError | _Skipped]:
    entries = list(_walk(Path(name)))
    yield from entries
    if all(isinstance(entry, _Skipped) for entry in entries):
        yield SourceError(name, "no file in this directory")


def _file(name: str) -> str | _Skipped:
    """A file that was found and not named: only a regular one is read, also behind a link. A pipe might never end."""
    try:
        mode = Path(name).stat().st_mode
    except OSError:
        return name  # told when it is read
    reason = next((reason for test, reason in _NO_FILES if test(mode)), None)
    return _Skipped(name, reason) if reason else name


def _walk(directory: Path) -> Iterator[str | SourceError | _Skipped]:
    """All files below, in natural order. An unreadable directory is an error, a link to a directory is not followed."""
    try:
        entries = sorted(directory.iterdir(), key=lambda entry: _natural(entry.name))
    except OSError as error:
        yield SourceError(str(directory), os_reason(error))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield _file(str(entry))
        elif entry.is_symlink():
            yield _Skipped(str(entry), "a link to a directory, not followed; name it to read it")
        else:
            yield from _walk(entry)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]
