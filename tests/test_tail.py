"""Following files and pipes as they grow, are rotated and truncated."""

from __future__ import annotations

import functools
import io
import itertools
import os
import queue
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from egresslog import SourceError
from egresslog.records.chunk import Chunk
from egresslog.sources import files, tail
from egresslog.sources.tail import tail_files

from .test_files import PACKERS, someone_else

pytestmark = pytest.mark.usefixtures("no_hang")

TRUNCATED = "the file was truncated within this line,"
REPLACED = "the file was replaced within this line,"


class Script(threading.Event):
    """What happens to the files: one step each time all is read, then the end."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__()
        self._steps = iter(steps)

    def wait(self, _timeout: float | None = None) -> bool:  # of one who has nothing to do
        next(self._steps, self.set)()
        return self.is_set()


def followed(paths: Sequence[Path], *steps: Callable[[], object], lines: int | None = None) -> list[Any]:
    """Chunks without their origin and errors as text, while the steps happen."""
    return [
        f"{item.origin}: {item.reason}" if isinstance(item, SourceError) else (item.data, item.first, item.broken)
        for item in tail_files([str(path) for path in paths], lines=lines, stop=Script(*steps))
    ]


def append(path: Path, data: bytes) -> Callable[[], None]:
    def step() -> None:
        with path.open("ab") as file:
            file.write(data)

    return step


@pytest.mark.parametrize("end", [b"", b"unfin"])
@pytest.mark.parametrize(("lines", "begins"), [(None, 1), (100, 1), (5, 1), (4, 2), (1, 5), (0, 6)], ids=str)
def test_begins_with_the_last_lines(end: bytes, lines: int | None, begins: int, tmp_path: Path) -> None:
    """Whole lines count; an unfinished one is given out when its end has come. Numbers are the file's from its start."""
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(1, 6)) + end)
    got = followed([path], append(path, b"ished\nnext"), append(path, b"\nlast\n"), lines=lines)
    if begins < 6:
        data, first, broken = got.pop(0)
        assert data == b"".join(b"line %d\n" % number for number in range(begins, 6))
        assert (first, broken) == (1, "")
    given = 6 - begins
    assert got == [(end + b"ished\n", given + 1, ""), (b"next\nlast\n", given + 2, "")]


# Two of these have the bytes of a newline across their middle, in UTF-16.
TEXTS = st.sampled_from(["", "a", "\u0a41\u0100", "\u0100\u0a41", "long " * 9])


@given(st.lists(TEXTS, max_size=40), st.integers(0, 30))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_last_lines_of_any_text(encoding: str, texts: list[str], lines: int) -> None:
    """The end is read in steps backwards; what looks like a newline between two characters is none."""
    mark = "" if encoding == "utf-8" else "\ufeff"
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "_STEP", 16)
        path = Path(folder) / "x.log"
        path.write_bytes((mark + "".join(text + "\n" for text in texts)).encode(encoding))
        got = b"".join(data for data, _, _ in followed([path], lines=lines))
    assert got.decode().split("\n") == [*texts[max(0, len(texts) - lines) :], ""]


def test_rotation_by_rename(tmp_path: Path) -> None:
    """Envoy writes into the renamed file until it is told to reopen: nothing of that is lost, nor is it torn apart."""
    path, old = tmp_path / "x.log", tmp_path / "x.log.1"
    path.write_bytes(b"1\n2\n")

    def reopened() -> None:
        append(old, b"5\nunfinished")()
        append(path, b"6\n7\n")()

    got = followed(
        [path],
        lambda: path.rename(old),
        append(old, b"3\n"),
        path.touch,
        append(old, b"4\n"),
        reopened,
        append(old, b"too late\n"),
        append(path, b"8\n"),
    )
    assert got == [
        (b"1\n2\n", 1, ""),
        (b"3\n", 3, ""),
        (b"4\n", 4, ""),
        (b"5\n", 5, ""),
        (b"unfinished", 6, REPLACED),
        (b"6\n7\n", 1, ""),
        (b"8\n", 3, ""),
    ]


def test_files_that_stay_empty(tmp_path: Path) -> None:
    """They do not pile up; and a file that gets its name back goes on."""
    path, old = tmp_path / "x.log", tmp_path / "old"
    path.write_bytes(b"1\n")
    others = [tmp_path / str(number) for number in range(30)]
    for other in others:
        other.touch()
    held: list[int] = []

    def back() -> None:
        held.append(len(list(Path("/dev/fd").iterdir())))
        old.rename(path)
        append(path, b"2\n")()

    held.append(len(list(Path("/dev/fd").iterdir())))
    got = followed([path], lambda: path.rename(old), *(functools.partial(other.rename, path) for other in others), back)
    assert got == [(b"1\n", 1, ""), (b"2\n", 2, "")]
    assert held[1] - held[0] < 15


def test_rotation_of_a_link(tmp_path: Path) -> None:
    """/var/log/containers links to the file of the running container; a restart makes another file, and moves the link."""
    link = tmp_path / "link.log"
    (tmp_path / "0.log").write_bytes(b"0\n")
    (tmp_path / "1.log").write_bytes(b"1\n")
    link.symlink_to("0.log")

    def restart() -> None:
        link.unlink()
        link.symlink_to("1.log")

    assert followed([link], restart) == [(b"0\n", 1, ""), (b"1\n", 1, "")]


def test_truncation(tmp_path: Path) -> None:
    """logrotate's copytruncate: what follows is the beginning of the file, whose old last line has no end."""
    path = tmp_path / "x.log"
    path.write_bytes(b"old 1\nold 2\nold")
    assert followed(
        [path], lambda: path.write_bytes(b""), append(path, b"1\n"), lambda: path.write_bytes(b"2\n"), append(path, b"3\n"),
        lambda: path.write_bytes(b"4\n"),
    ) == [
        (b"old 1\nold 2\n", 1, ""), (b"old", 3, TRUNCATED), (b"1\n", 1, ""), (b"3\n", 2, ""), (b"4\n", 1, ""),
    ]  # fmt: skip


STEPS = st.sampled_from(["rename", "remove", "reopen", "truncate"]) | st.sampled_from(
    [b"a\n", b"b", b"\n", b"cc\ncc", b"d" * 30 + b"\n"]
)


class Writer:
    """Writes a log as Envoy does, and knows what of it a follower should have given out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete = self._current = b""
        self._files: list[Any] = []
        self._open()

    def _open(self) -> None:
        self._files.append(self.path.open("ab", buffering=0))
        self._fresh = True  # nothing is in it yet

    def do(self, step: bytes | str) -> None:
        if isinstance(step, bytes):
            if self._fresh:
                self._leave()
            self._files[-1].write(step)
            self._current += step
        elif step == "truncate":
            self._files[-1].truncate(0)
            if not self._fresh:
                self._leave()
        elif step == "reopen" and not self.path.exists():
            self._open()
        elif step == "rename" and self.path.exists():
            self.path.rename(self.path.with_suffix(f".{len(self._files)}"))
        elif step == "remove":
            self.path.unlink(missing_ok=True)

    def _leave(self) -> None:
        self.complete += self._current
        self._current = b""
        self._fresh = False

    def close(self) -> bytes:
        for file in self._files:
            file.close()
        return self.complete + self._current[: self._current.rfind(b"\n") + 1]


@given(st.lists(STEPS, max_size=40))
@example([b"b", "rename", b"\n", "reopen", b"a\n", "truncate", "truncate", b"b", "remove", "reopen", b"a\n"])
@example([b"a\n", "rename", "reopen", "rename", "reopen", "remove", b"a\n", b"b", "reopen", b"c"])
def test_nothing_is_lost_and_nothing_comes_twice(steps: list[bytes | str]) -> None:
    """Whatever happens to a file between two looks at it, all that was written comes once, in order."""
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder) / "x.log")
        got = followed([writer.path], *(functools.partial(writer.do, step) for step in steps))
        assert b"".join(data for data, _, _ in got) == writer.close()
    number = 1
    for data, first, broken in got:
        assert first in {number, 1}
        assert data.endswith(b"\n") != bool(broken)
        number = first + data.count(b"\n") + bool(broken)


def test_missing_files(tmp_path: Path) -> None:
    """Missing at the start is an error, and the others are followed; later it is a matter of waiting."""
    path = tmp_path / "x.log"
    path.write_bytes(b"1\n")
    assert followed([tmp_path / "none.log", path], path.unlink, append(path, b"2\n")) == [
        f"{tmp_path}/none.log: no such file", (b"1\n", 1, ""), (b"2\n", 1, ""),
    ]  # fmt: skip
    assert followed([tmp_path / "none.log"]) == [f"{tmp_path}/none.log: no such file"]
    assert followed([tmp_path]) == [f"{tmp_path}: is a directory: name the files in it"]


def test_a_new_file_that_may_not_be_read_yet() -> None:
    """logrotate creates the file, then gives it to its owner: reported once, and followed when it can be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(b"1\n")
        Path(folder).chmod(0o777)

        def replaced() -> None:
            path.unlink()
            path.write_bytes(b"2\n")
            path.chmod(0)

        with someone_else():
            got = followed([path], replaced, lambda: None, lambda: path.chmod(0o644), append(path, b"3\n"))
    assert got == [(b"1\n", 1, ""), f"{path}: permission denied", (b"2\n", 1, ""), (b"3\n", 2, "")]


@pytest.mark.parametrize("lines", [None, 0, 10])
@pytest.mark.parametrize("name", ["gzip", "zstd", "bz2", "xz"])
def test_compressed_files(name: str, lines: int | None, tmp_path: Path) -> None:
    """They do not grow by lines; also where a log was followed before."""
    packed, path = tmp_path / "x.log.gz", tmp_path / "x.log"
    packed.write_bytes(PACKERS[name](os.urandom(5000)))
    path.write_bytes(b"1\n")
    assert followed([packed, path], lambda: packed.replace(path), lines=lines) == (
        [f"{packed}: is compressed, and cannot be followed"]
        + [(b"1\n", 1, "")] * (lines != 0)
        + [f"{path}: is compressed, and cannot be followed"]
    )


def test_what_is_no_log(tmp_path: Path) -> None:
    """It is named as what it is, as when it is read."""
    path = tmp_path / "x"
    path.write_bytes(b"PAR1\x15\x00\x15\x10")
    assert followed([path], lines=10) == [f"{path}: is a Parquet file, not a log"]


@pytest.mark.parametrize("name", ["utf-8 with BOM", "utf-16 of PowerShell", "utf-16 big-endian"])
def test_byte_order_marks(name: str, tmp_path: Path) -> None:
    """`kubectl logs --follow > x.log` in PowerShell grows in UTF-16."""
    path = tmp_path / "x.log"
    path.write_bytes(PACKERS[name](b"1\n2\n3\n"))
    mark = 3 if "8" in name else 2
    grows = append(path, PACKERS[name](b"4 \xc3\xa9\n")[mark:])
    newline = b"\r\n" if "PowerShell" in name else b"\n"
    for lines, begins in ((None, 1), (2, 2)):
        path.write_bytes(PACKERS[name](b"1\n2\n3\n"))
        assert followed([path], grows, lines=lines) == [
            (b"".join(b"%d" % number + newline for number in range(begins, 4)), 1, ""),
            (b"4 \xc3\xa9" + newline, 5 - begins, ""),
        ]


def test_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a line is cut and marked, and the next one is read."""
    monkeypatch.setattr(files, "MAX_LINE", 5000)
    path = tmp_path / "x.log"
    path.write_bytes(b"")
    got = followed([path], *[append(path, b"x" * 2000)] * 4, append(path, b"x\nnext\n"))
    assert got == [(b"x" * 5000, 1, "longer than 5000 bytes, not read further,"), (b"next\n", 2, "")]


class Followed:
    """Follows in a thread, as a program does."""

    def __init__(self, *paths: object, lines: int | None = None, poll: float = 0.01) -> None:
        self._stop = threading.Event()
        self._items: queue.Queue[Chunk | SourceError | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, args=([str(path) for path in paths], lines, poll))

    def _run(self, paths: list[str], lines: int | None, poll: float) -> None:
        for item in tail_files(paths, lines=lines, stop=self._stop, poll=poll):
            self._items.put(item)
        self._items.put(None)

    def next(self) -> Any:
        """What comes next, waiting for it; None is the end."""
        item = self._items.get(timeout=60)
        return item.data if isinstance(item, Chunk) else item

    def end(self) -> None:
        self._stop.set()
        assert self.next() is None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_lines_come_while_they_are_written(tmp_path: Path) -> None:
    """Each one as soon as it is there, of several files; stopping does not wait for the next look."""
    paths = [tmp_path / "a.log", tmp_path / "b.log"]
    for path in paths:
        path.write_bytes(b"old\n")
    with Followed(*paths, tmp_path / "none.log", lines=0) as followed:
        assert isinstance(followed.next(), SourceError)  # by now the others are open
        for number in range(20):
            append(paths[number % 2], b"%d\n" % number)()
            assert followed.next() == b"%d\n" % number
        followed.end()
    with Followed(*paths, lines=1, poll=3600) as followed:
        assert {followed.next(), followed.next()} == {b"18\n", b"19\n"}
        followed.end()


def test_named_pipes(tmp_path: Path) -> None:
    """They are read to their end, beside files; a line at a time if that is what is written."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        os.mkfifo(path)
    log = tmp_path / "x.log"
    log.write_bytes(b"file\n")
    with Followed(*paths, log, lines=0) as followed:
        for path in paths:
            with path.open("wb", buffering=0) as pipe:
                pipe.write(b"1\n")
                assert followed.next() == b"1\n"
                append(log, b"more\n")()
                assert followed.next() == b"more\n"
                pipe.write(b"2\nunfin")
                assert followed.next() == b"2\n"
            assert followed.next() == b"unfin"
        followed.end()


def assert_nobody_reads(pipe: Any) -> None:
    with pytest.raises(BrokenPipeError):
        pipe.writelines(itertools.repeat(b"x" * 65_536))


def assert_no_thread(path: Path) -> None:
    for thread in threading.enumerate():
        if thread.name == f"egresslog {path}":
            thread.join(60)
            assert not thread.is_alive()


def test_packed_pipe_is_left(tmp_path: Path) -> None:
    """It is an error, and its thread does not hold up whoever writes."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Followed(path) as followed, path.open("wb", buffering=0) as pipe:
        pipe.write(PACKERS["gzip"](b"x"))
        assert str(followed.next()) == f"{path}: is compressed, and cannot be followed"
        assert followed.next() is None
        assert_nobody_reads(pipe)
    assert_no_thread(path)


def test_who_writes_a_pipe_waits(tmp_path: Path) -> None:
    """What is not taken does not fill the memory, and when it is not wanted any more the thread ends."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    chunks = tail_files([str(path)], stop=threading.Event())
    first: queue.Queue[Any] = queue.Queue()
    reader = threading.Thread(target=lambda: first.put(next(chunks)))
    reader.start()
    with path.open("wb", buffering=0) as pipe:
        os.set_blocking(pipe.fileno(), False)
        pipe.write(b"1\n")
        assert first.get(timeout=60).data == b"1\n"
        reader.join(60)
        written = 0
        selector = selectors.DefaultSelector()
        selector.register(pipe, selectors.EVENT_WRITE)
        while selector.select(0.5):  # as long as there is room
            written += pipe.write(b"x" * 65_536) or 0
        selector.close()
        assert 0 < written <= 20 * 65_536
        chunks.close()  # type: ignore[attr-defined]
        os.set_blocking(pipe.fileno(), True)
        assert_nobody_reads(pipe)
    assert_no_thread(path)


PROGRAM = """
import sys, threading
from egresslog.sources.tail import tail_files
poll = 3600 if sys.argv[1:] == ["-"] else 0.01  # a pipe is not looked at from time to time
for item in tail_files(sys.argv[1:], stop=threading.Event(), poll=poll):
    print(item if isinstance(item, OSError) else (item.origin, item.data, item.first, item.broken), flush=True)
print("END")
"""


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, **{"stdin": pipe, "stdout": pipe, "bufsize": 0, **options}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        with process:
            pass


def test_standard_input(program: Callable[..., subprocess.Popen[bytes]]) -> None:
    """Lines are given out as they come through the pipe; the last needs no end; then it is over."""
    process = program("-")
    assert process.stdin
    assert process.stdout
    for number in range(1, 4):
        process.stdin.write(b"%d\nhalf " % number)
        half = b"half " if number > 1 else b""
        assert process.stdout.readline() == b"('-', b'%s%d\\n', %d, '')\n" % (half, number, number)
    process.stdin.close()
    assert process.stdout.read() == b"('-', b'half ', 4, '')\nEND\n"
    assert process.wait(60) == 0


def test_standard_input_beside_a_file(program: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """When the pipe is at its end, the file goes on."""
    path = tmp_path / "x.log"
    path.write_bytes(b"1\n")
    process = program("-", path, "-")
    assert process.stdin
    assert process.stdout
    line = process.stdout.readline
    assert line() == b"('%s', b'1\\n', 1, '')\n" % bytes(path)
    process.stdin.write(b"2\n")
    assert line() == b"('-', b'2\\n', 1, '')\n"
    process.stdin.close()
    append(path, b"3\n")()
    assert line() == b"('%s', b'3\\n', 2, '')\n" % bytes(path)


def test_standard_input_that_is_a_file_or_closed(
    program: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """A file is read to its end; none is an error."""
    path = tmp_path / "x.log"
    path.write_bytes(b"1\n" * 100_000 + b"2")
    with path.open("rb") as file:
        out, _ = program("-", stdin=file).communicate(timeout=60)
    assert out.count(b"1\\n") == 100_000
    assert out.endswith(b"('-', b'2', 100001, '')\nEND\n")
    out, _ = program("-", stdin=None, preexec_fn=functools.partial(os.close, 0)).communicate(timeout=60)
    assert out == b"-: there is no standard input\nEND\n"


def test_standard_input_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is none of the system's, it is read all the same."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n")))
    assert followed([Path("-")]) == [(b"1\n2\n", 1, "")]
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    monkeypatch.setattr("sys.stdin", closed)
    assert followed([Path("-")]) == ["-: I/O operation on closed file."]
