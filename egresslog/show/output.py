"""Where output goes, and in which format: standard output or a file, by `-o` or the file's suffix."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from egresslog.errors import EgresslogError, UsageError
from egresslog.temporary import replacing

STANDARD_OUTPUT = "standard output"  # its name in messages
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
def opened(path: str | None, *, required: bool = True) -> Iterator[IO[bytes]]:
    """Standard output, or a file that appears under its name when it is complete.

    A reader of a pipe that has seen enough (``| head``) ends the block, and what follows decides how the command ends.

    Args:
        path: of the file; None: standard output.
        required: there must be a standard output. Else what is written to one that is closed is dropped.

    Raises:
        UsageError: standard output is closed (``>&-``).
        OSError: writing failed (a full disk); nothing half-written is left.
    """
    try:
        with _target(path, required=required) as out:
            yield out
            out.flush()
    except BrokenPipeError:
        if path is None:
            discard(sys.stdout)
    except OSError as error:
        if error.filename is None and not isinstance(error, EgresslogError):
            error.filename = path or STANDARD_OUTPUT
        raise


@contextmanager
def _target(path: str | None, *, required: bool) -> Iterator[IO[bytes]]:
    if path is not None:
        target = Path(path)
        special = target.exists() and not target.is_file()  # /dev/null, a named pipe
        with target.open("wb") if special else replacing(target) as out:
            yield out
    elif sys.stdout is not None:
        yield sys.stdout.buffer
    elif required:
        raise UsageError("standard output is closed: give a file with --output-file")
    else:
        with Path(os.devnull).open("wb") as out:
            yield out


def discard(stream: IO[str]) -> None:
    """Drops what was not written yet, and all that follows: Python would fail once more when it flushes at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


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
