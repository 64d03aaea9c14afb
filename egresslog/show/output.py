"""Where output goes, and in which format: standard output or a file, by `-o` or the file's suffix."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from egresslog.errors import UsageError

_SUFFIXES = {
    ".csv": "csv", ".htm": "html", ".html": "html", ".json": "json", ".jsonl": "ndjson", ".md": "markdown",
    ".ndjson": "ndjson", ".parquet": "parquet", ".txt": "table", ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip


def choose(output: str | None, path: str | None, *, piped: str, known: Sequence[str]) -> str:
    """The format: what ``-o`` says, else the file's suffix, else a table on a terminal and ``piped`` in a pipe.

    Raises:
        UsageError: a format this command does not have; a suffix that names none; Parquet to a terminal.
    """
    if output is None and path is not None:
        suffix = Path(path).suffix.lower()
        if suffix not in _SUFFIXES:
            raise UsageError(f"{path}: unknown suffix; it must name one of these formats: {', '.join(known)}")
        output = _SUFFIXES[suffix]
    if output is None:
        output = "table" if _on_terminal() else piped
    if output not in known:
        raise UsageError(f"unknown output format {output!r}; use one of {', '.join(known)}")
    if output == "parquet" and path is None and _on_terminal():
        raise UsageError("Parquet is binary: give a file with --output-file")
    return output


def _on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def check(path: str | None, inputs: Sequence[str] = ()) -> None:
    """Finds out before a long read whether a file can be written after it.

    Args:
        path: of the output; None: standard output.
        inputs: files that must not be written, ``-`` for standard input: logs, and files that options name.

    Raises:
        UsageError: the file is one of the ``inputs``, a directory, or in a directory that is missing or not writable.
    """
    identity = _identity(path)
    if identity and any(identity == _identity(name, standard_input=True) for name in inputs):
        raise UsageError(f"{path or 'standard output'}: is one of the input files, and would be overwritten")
    if path is None:
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UsageError(f"{path}: cannot be written: is a directory")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise UsageError(f"{path}: cannot be written: no such directory, or no permission")


def check_different(rejects: str | None, output: str | None) -> None:
    """Checks that the rejects go elsewhere than the output.

    Raises:
        UsageError: both go to one file, whatever links lead to it.
    """
    identity = _identity(rejects) if rejects is not None else None
    if identity and identity == _identity(output):
        where = "standard output" if output is None else f"--output-file {output}"
        raise UsageError(f"--rejects {rejects}: is the same file as {where}: give another one")


def _identity(path: str | None, *, standard_input: bool = False) -> tuple[object, ...] | None:
    """What is equal for two names of one file; None where nothing could be lost, such as in /dev/null or a terminal.

    Args:
        path: None: standard output.
        standard_input: ``-`` is standard input, and no file of this name.
    """
    try:
        if path is None or (standard_input and path == "-"):
            stream = sys.stdout if path is None else sys.stdin
            status = os.fstat(stream.fileno())
        else:
            status = Path(path).stat()
    except FileNotFoundError:
        return (os.path.realpath(path),) if path is not None else None
    except (AttributeError, OSError, ValueError):  # a stream that is closed, or no file of the operating system
        return None
    if stat.S_ISCHR(status.st_mode):
        null = status.st_rdev == Path(os.devnull).stat().st_rdev
        return None if null or standard_input else (status.st_rdev,)
    return status.st_dev, status.st_ino


@contextmanager
def opened(path: str | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that appears under its name when it is complete.

    Raises:
        UsageError: standard output is closed.
        OSError: writing failed (a full disk); nothing half-written is left.
    """
    if path is None:
        if sys.stdout is None:
            raise UsageError("standard output is closed: give a file with --output-file")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    if target.exists() and not target.is_file():  # /dev/null, a named pipe
        with target.open("wb") as out:
            yield out
        return
    target = Path(os.path.realpath(path))  # what a link stands for is written, and the link stays
    before = target.stat() if target.exists() else None
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with part.open("xb") as out:
            yield out
        replace_content(part, target, before)
    finally:
        part.unlink(missing_ok=True)


def replace_content(part: Path, target: Path, before: os.stat_result | None) -> None:
    """Makes a complete file the content of the target, which keeps its mode, its owner and its other names.

    It replaces the target at once. A target with other names (hard links), or of an owner that cannot be given away, is
    written over instead.

    Args:
        part: the complete file, in the target's directory.
        target: what to replace.
        before: what the target was when ``part`` was opened; None: there was none.
    """
    if before is not None and not (before.st_nlink == 1 and _inherits(part, before)):
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


SCHEMA = {"schema": 1}  # of every JSON object; docs/output.md has the rule for changing it


def write_document(out: IO[bytes], form: str, document: Any) -> None:
    """A result as JSON or YAML; everything beyond ASCII is escaped.

    Iterators in it become arrays. In JSON they are written as they come, an item per line: hosts may be very many.
    """
    if form == "yaml":
        import yaml  # noqa: PLC0415

        out.write(yaml.safe_dump(_materialized(document), sort_keys=False, allow_unicode=False).encode("ascii"))
        return
    for text in _json(document, 0):
        out.write(text.encode("ascii"))
    out.write(b"\n")


def _materialized(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _materialized(item) for key, item in value.items()}
    return [_materialized(item) for item in value] if isinstance(value, Iterator | list) else value


def _json(value: Any, depth: int) -> Iterator[str]:
    """A value in pieces: the outermost and what holds an iterator in several lines, all else in one."""
    if isinstance(value, Iterator) or (isinstance(value, list) and not depth):
        yield from _json_lines("[]", (("", item) for item in value), depth)
    elif isinstance(value, dict) and (not depth or any(isinstance(item, Iterator) for item in value.values())):
        yield from _json_lines("{}", ((f"{json.dumps(key)}: ", item) for key, item in value.items()), depth)
    else:
        yield json.dumps(value)


def _json_lines(brackets: str, items: Iterator[tuple[str, Any]], depth: int) -> Iterator[str]:
    indent, empty = "\n" + "  " * (depth + 1), True
    yield brackets[0]
    for label, item in items:
        yield ("" if empty else ",") + indent + label
        yield from _json(item, depth + 1)
        empty = False
    yield brackets[1] if empty else indent[:-2] + brackets[1]
