"""The buffer: order, limits and counts, in memory and on disk."""

from __future__ import annotations

import gc
import itertools
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from egresslog import SourceError
from egresslog.errors import DatabaseError
from egresslog.sources.cluster.buffer import Buffer, BufferClosed

pytestmark = pytest.mark.usefixtures("no_hang")


temporary_file = tempfile.TemporaryFile


class Files:
    """Watches the temporary files."""

    def __init__(self) -> None:
        self.created: list[Any] = []

    def make(self, **options: Any) -> Any:
        self.created.append(temporary_file(**options))
        return self.created[-1]

    @property
    def open(self) -> int:
        return sum(not file.closed for file in self.created)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    watched = Files()
    monkeypatch.setattr(tempfile, "TemporaryFile", watched.make)
    return watched


def drained(buffer: Buffer[Any]) -> Iterator[Any]:
    """What is left, after closing."""
    buffer.close()
    while True:
        try:
            yield buffer.get(0)
        except BufferClosed:
            return


PUT = st.tuples(st.just("put"), st.integers(0, 700))
TAKE = st.tuples(st.just("take"), st.integers(1, 20))


@given(
    st.lists(PUT | TAKE, max_size=300),
    st.integers(0, 3000),
    st.sampled_from([0, 1, 500, 3000, 20_000, 10**9]),
)
@example([("put", 700)] * 300 + [("take", 20)] * 7, 2000, 10**9)
@example([("put", size % 3 * 300) for size in range(300)], 1000, 10_000)
def test_it_is_a_list_that_may_refuse(steps: list[tuple[str, int]], memory: int, disk: int) -> None:
    """Whatever is put and taken in whatever turn: the order holds, the limits hold, and the counts are exact."""
    buffer: Buffer[tuple[int, bytes]] = Buffer(memory, disk)
    expected: deque[tuple[int, bytes]] = deque()
    refused = 0
    for number, (what, size) in enumerate(steps):
        if what == "take":
            for _ in range(size):
                if expected:
                    assert buffer.get(0) == expected.popleft()
                else:
                    with pytest.raises(queue.Empty):
                        buffer.get(0)
        elif buffer.put((number, b"x" * size), size):
            expected.append((number, b"x" * size))
        else:
            assert size
            assert buffer.problem == f"the limit of {disk} bytes on disk is reached"
            refused += 1
        assert (buffer.waiting, buffer.refused) == (len(expected), refused)
        assert buffer.in_memory <= max(memory, 700) + memory // 4 + 700
        assert buffer.on_disk <= buffer.peak_on_disk <= disk
    if disk == 10**9:
        assert not refused
    assert list(drained(buffer)) == list(expected)
    assert (buffer.waiting, buffer.in_memory, buffer.on_disk) == (0, 0, 0)


def test_files_go_as_they_are_read(files: Files) -> None:
    """A buffer that is never empty does not keep what was taken: its files are cut into segments."""
    buffer: Buffer[bytes] = Buffer(memory=40_000, disk=16 * 100_000)
    waiting = 400
    for number in range(20_000):
        assert buffer.put(number.to_bytes(1000, "big"), 1000)
        if number >= waiting:
            assert buffer.get(0) == (number - waiting).to_bytes(1000, "big")
    # What waits, its pickling, and two segments: one that is being read, one that was not full when it was left.
    assert buffer.peak_on_disk < waiting * 1000 * 1.1 + 2 * 110_000
    assert len(files.created) > 100
    assert files.open <= 7
    assert len(list(drained(buffer))) == waiting
    assert files.open == 0


def test_no_file_is_left(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small things need no file; a file has no name, and is deleted with its buffer."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    buffer: Buffer[bytes] = Buffer(memory=1000)
    buffer.put(b"x" * 1000, 1000)
    assert not files.created
    buffer.put(b"x" * 1000, 1000)
    assert files.open == 1
    assert not list(tmp_path.iterdir())
    del buffer
    gc.collect()
    assert files.open == 0


def test_notices_are_never_refused() -> None:
    """They keep their place among lines on disk, and are the same objects: errors cannot be pickled."""
    buffer: Buffer[object] = Buffer(memory=100, disk=2000)
    expected: list[object] = []
    for number in range(100):
        notice = SourceError("x", str(number))
        assert buffer.put(notice)
        expected.append(notice)
        if buffer.put(b"x" * 90, 90):
            expected.append(b"x" * 90)
    assert buffer.refused
    assert expected.count(b"x" * 90) > 10
    assert list(drained(buffer)) == expected


FULL = """
import resource
from egresslog.sources.cluster.buffer import Buffer, BufferClosed

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
buffer = Buffer(memory=40_000)
taken = [n for n in range(1000) if buffer.put(n.to_bytes(1000, "big"), 1000)]
assert 300 < len(taken) < 345, len(taken)
assert taken == list(range(len(taken)))
assert (buffer.refused, buffer.problem) == (1000 - len(taken), "File too large"), buffer.problem
assert buffer.on_disk <= 300_000
for n in taken[:200]:
    assert buffer.get(0) == n.to_bytes(1000, "big")
assert buffer.put(b"more", 4)  # what was taken made room
buffer.close()
for n in taken[200:]:
    assert buffer.get(0) == n.to_bytes(1000, "big")
assert buffer.get(0) == b"more"
try:
    buffer.get(0)
except BufferClosed:
    print("all there", buffer.on_disk)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
def test_a_disk_that_gets_full_loses_nothing() -> None:
    """The system refuses in the middle of a write: what was taken in before stays, what comes is refused."""
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("all there 0\n", "")


def test_no_place_for_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a directory for temporary files, memory is what there is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    buffer: Buffer[int] = Buffer(memory=1000)
    assert [buffer.put(number, 400) for number in range(4)] == [True, True, False, False]
    assert buffer.problem == "no such file"
    assert list(drained(buffer)) == [0, 1]


def test_what_cannot_be_read_back_is_reported(files: Files) -> None:
    """A damaged file costs what was in it: how much is reported, and what comes after is there."""
    buffer: Buffer[int] = Buffer(memory=1000)
    for number in range(20):
        assert buffer.put(number, 250)
    buffer.put(20)
    files.created[0].truncate(1)
    buffer.close()
    got: list[int] = []
    lost = 0
    while buffer.waiting:
        try:
            got.append(buffer.get(0))
        except DatabaseError as error:
            count, text = str(error).split(maxsplit=1)
            assert text == "waiting items cannot be read back from the disk: the temporary file ends early"
            lost += int(count)
    assert len(got) + lost == 21
    assert got[-1] == 20
    assert lost > 10
    assert (buffer.in_memory, buffer.on_disk, files.open) == (0, 0, 0)


def test_one_item_larger_than_all_memory() -> None:
    """It is taken, alone in memory: a line may be of any length."""
    buffer: Buffer[bytes] = Buffer(memory=1000)
    items = [b"a" * 10, b"b" * 5000, b"c" * 5000, b"d"]
    for item in items:
        assert buffer.put(item, len(item))
        assert buffer.in_memory <= 5000
    assert list(drained(buffer)) == items


def test_closing_wakes_who_waits() -> None:
    """Consumers that wait learn of the end; who puts after it is refused, and it counts."""
    buffer: Buffer[int] = Buffer()
    ended: queue.Queue[str] = queue.Queue()

    def consume() -> None:
        try:
            ended.put(str(buffer.get()))
        except BufferClosed:
            ended.put("closed")

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    buffer.put(7)
    buffer.close()
    assert sorted(ended.get(timeout=60) for _ in threads) == ["7", "closed", "closed"]
    for thread in threads:
        thread.join(60)
    assert not buffer.put(8, 1)
    assert not buffer.put(9)
    assert (buffer.refused, buffer.problem, buffer.waiting) == (2, "closed", 0)
    with pytest.raises(queue.Empty):
        Buffer[int]().get(0.001)


@pytest.mark.parametrize("consumers", [1, 3])
@pytest.mark.parametrize(("memory", "disk"), [(50_000, 10**9), (50_000, 400_000), (0, 10**9)])
def test_many_threads_count_exactly(memory: int, disk: int, consumers: int) -> None:
    """Each item that was taken in comes out once, those of one thread in their order, and the rest is counted."""
    buffer: Buffer[tuple[int, int, bytes]] = Buffer(memory, disk)
    put: Counter[int] = Counter()
    got: list[list[tuple[int, int]]] = [[] for _ in range(consumers)]
    begin = threading.Barrier(5 + consumers)

    def produce(name: int) -> None:
        begin.wait()
        for number in range(2000):
            size = (name * 37 + number * 101) % 900
            put[name] += buffer.put((name, number, b"x" * size), size)

    def consume(taken: list[tuple[int, int]]) -> None:
        begin.wait()
        while True:
            try:
                name, number, data = buffer.get()
            except BufferClosed:
                return
            assert len(data) == (name * 37 + number * 101) % 900
            taken.append((name, number))

    with ThreadPoolExecutor(5 + consumers) as threads:
        takers = [threads.submit(consume, taken) for taken in got]
        list(threads.map(produce, range(5)))
        buffer.close()
        assert [taker.result(60) for taker in takers] == [None] * consumers
    everything = [entry for taken in got for entry in taken]
    assert Counter(name for name, _ in everything) == put
    assert len(set(everything)) == len(everything) == 5 * 2000 - buffer.refused
    assert (buffer.waiting, buffer.in_memory, buffer.on_disk) == (0, 0, 0)
    for taken, name in itertools.product(got, range(5)):
        numbers = [number for of, number in taken if of == name]
        assert numbers == sorted(numbers)


def test_putting_does_not_wait_for_the_disk_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one page is written, others put and take: also what is being written, which is in memory still."""
    writing, go = threading.Event(), threading.Event()

    def slow(**options: Any) -> Any:
        writing.set()
        assert go.wait(60)
        return temporary_file(**options)

    monkeypatch.setattr(tempfile, "TemporaryFile", slow)
    buffer: Buffer[int] = Buffer(memory=1000)
    for number in range(4):
        buffer.put(number, 250)
    putter = threading.Thread(target=buffer.put, args=(4, 100))  # writes 3 out
    putter.start()
    assert writing.wait(60)
    assert [buffer.get(60) for _ in range(2)] == [0, 1]
    assert buffer.put(5, 100)
    assert [buffer.get(60) for _ in range(2)] == [2, 3]
    go.set()
    putter.join(60)
    assert list(drained(buffer)) == [5, 4]
    assert (buffer.waiting, buffer.in_memory, buffer.on_disk) == (0, 0, 0)


def test_memory_stays_bounded() -> None:
    """300 MB wait in a process that may take 60 MB more than it has."""
    code = (
        "import resource\nfrom egresslog.sources.cluster.buffer import Buffer\n"
        "buffer = Buffer(memory=8 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for number in range(5000):\n    assert buffer.put(number.to_bytes(60_000, 'big'), 60_000)\n"
        "for number in range(5000):\n    assert buffer.get(0) == number.to_bytes(60_000, 'big')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, buffer.peak_on_disk)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, most = map(int, done.stdout.split())
    assert grown < 60_000  # KiB
    assert most > 290_000_000
