"""Sources: files, directories, globs and standard input, however packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from egresslog import SourceError, read
from egresslog.records.chunk import Reject
from egresslog.scan import RejectBuffer
from egresslog.sources import files

from .test_parser import JSON, SEED, TEXT

LINES = (TEXT + "\n" + SEED + "\n" + JSON + "\n").encode()


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return sink.getvalue().to_pybytes()


@contextmanager
def someone_else() -> Iterator[None]:
    """CI is root, who may read everything: somebody else reads inside."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "utf-8 with BOM": lambda data: b"\xef\xbb\xbf" + data,
    "utf-16 of PowerShell": lambda data: data.replace(b"\n", b"\r\n").decode().encode("utf-16"),
    "utf-16 big-endian": lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_content_tells_how_a_file_is_packed(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """The name does not matter: rotated logs are renamed at will."""
    path = tmp_path / "gateway.log.1"
    path.write_bytes(pack(LINES))
    assert read(path).to_arrow()["host"].to_pylist() == ["edition.cnn.com"] * 3


@pytest.mark.parametrize("name", ["gzip", "zstd", "bz2", "xz"])
def test_packed_files_may_be_joined(name: str, tmp_path: Path) -> None:
    """`cat a.gz b.gz` is a valid file; both halves are read."""
    path = tmp_path / "joined"
    path.write_bytes(PACKERS[name](LINES) + PACKERS[name](LINES))
    assert read(path).counts.records == 6


@pytest.mark.parametrize("name", ["gzip", "zstd", "bz2", "xz"])
def test_damaged_file_says_what_was_read(name: str, tmp_path: Path) -> None:
    """A file that breaks off is an error that names it; whole lines before are records, the broken one a reject."""
    lines = b"".join(LINES.replace(b"curl/8.4", os.urandom(300).hex().encode()) for _ in range(3000))
    path = tmp_path / "broken.gz"
    packed = PACKERS[name](lines)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=r"broken\.gz: the compressed data is damaged or ends early; \d+ whole lines"):
        read(path).to_arrow()
    log = read(path, keep_going=True)
    counts = log.counts
    assert counts.records + counts.rejected == counts.total
    assert [str(error).partition(";")[0] for error in log.last_scan.errors] == [
        f"{path}: the compressed data is damaged or ends early"
    ]
    if counts.rejected:
        assert "the file breaks off in this line, at byte" in log.rejects["reason"][0]


@pytest.mark.parametrize("name", ["gzip", "zstd", "bz2", "xz"])
def test_garbage_after_packed_data_loses_nothing(name: str, tmp_path: Path) -> None:
    """What could be unpacked before the damage is read, also in small files; zstd may keep the last 512 bytes."""
    path = tmp_path / "x"
    path.write_bytes(PACKERS[name](LINES * 2) + b"garbage, which no program packed")
    log = read(path, keep_going=True)
    assert log.counts.records >= (5 if name == "zstd" else 6)
    assert len(log.last_scan.errors) == (0 if name in {"bz2", "xz"} else 1)  # those two end where their data ends


def test_unreadable_files_do_not_stop_the_others(tmp_path: Path) -> None:
    """Every file is read; then the error names those that could not be."""
    (tmp_path / "a.log").write_bytes(LINES)
    (tmp_path / "b.log").write_bytes(LINES)
    paths = [tmp_path / "a.log", tmp_path / "none.log", tmp_path / "b.log"]
    seen: list[int] = []
    with pytest.raises(SourceError, match=r"none\.log: no such file"):
        seen.extend(len(batch) for batch in read(paths).batches())
    assert sum(seen) == 6
    assert read(paths, keep_going=True).counts.records == 6


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("archive.zip", "is a zip archive: unpack it first"),
        ("archive.tar", "is a tar archive: unpack it first"),
        ("archive.tar.gz", "is a tar archive: unpack it first"),
        ("table.parquet", "is a Parquet file, not a log"),
        ("empty", "no file in this directory"),
        ("*.none", "no file matches"),
    ],
)
def test_what_is_no_log_is_an_error_with_the_way_out(name: str, reason: str, tmp_path: Path) -> None:
    """Archives and other things that are no logs are named as what they are."""
    (tmp_path / "log").write_bytes(LINES)
    (tmp_path / "empty").mkdir()
    pyarrow.parquet.write_table(pa.table({"a": [1]}), tmp_path / "table.parquet")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as packed:
        packed.write(tmp_path / "log", "log")
    for mode, tar in (("w", "archive.tar"), ("w:gz", "archive.tar.gz")):
        with tarfile.open(tmp_path / tar, mode) as packed_tar:  # type: ignore[call-overload]
            packed_tar.add(tmp_path / "log", "log")
    with pytest.raises(SourceError) as caught:
        read(tmp_path / name).to_arrow()
    assert caught.value.reason == reason


def test_directory_is_all_its_files_in_natural_order(tmp_path: Path) -> None:
    """Below a directory everything is read, 2 before 10, hidden files left out."""
    (tmp_path / "deep").mkdir()
    for name in ("0.log.10", "0.log.2", "deep/0.log", ".hidden"):
        (tmp_path / name).write_text(SEED + "\n")
    origins = read(tmp_path).to_arrow()["origin"].to_pylist()
    assert origins == [str(tmp_path / name) for name in ("0.log.2", "0.log.10", "deep/0.log")]


def test_links_to_directories_are_not_followed(tmp_path: Path) -> None:
    """Loops and ways out of the directory that was named are reported, not followed; a link that is named is."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.log").write_text(SEED + "\n")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    log = read(tmp_path)
    assert log.counts.records == 1
    assert log.last_scan.notes == tuple(
        f"{tmp_path}/{name}: a link to a directory, not followed; name it to read it" for name in ("a/loop", "b")
    )
    assert read(tmp_path / "b").counts.records == 1


def test_an_unreadable_directory_does_not_stop_the_others() -> None:
    """What is beside it is read, and the error names it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "closed").mkdir(mode=0)
        (Path(folder) / "x.log").write_bytes(LINES)
        Path(folder).chmod(0o755)
        with someone_else():
            log = read(folder, keep_going=True)
            assert log.counts.records == 3
        assert [str(error) for error in log.last_scan.errors] == [f"{folder}/closed: permission denied"]


def test_globs_and_names_with_brackets(tmp_path: Path) -> None:
    """A glob is expanded; a file whose name looks like one is read as it is."""
    for name in ("a1.log", "a2.log", "b[1].log"):
        (tmp_path / name).write_text(SEED + "\n")
    assert read(str(tmp_path / "a*.log")).counts.records == 2
    assert read(str(tmp_path / "**" / "*.log")).counts.records == 3
    assert read(str(tmp_path / "b[1].log")).counts.records == 1


def test_the_same_file_is_read_once(tmp_path: Path) -> None:
    """/var/log/containers links to /var/log/pods: nothing is counted twice, and a note says so."""
    (tmp_path / "0.log").write_text(SEED + "\n")
    (tmp_path / "link.log").symlink_to(tmp_path / "0.log")
    log = read([tmp_path / "0.log", tmp_path])
    assert log.counts.records == 1
    assert len(log.last_scan.notes) == 2
    assert log.last_scan.notes[1] == f"{tmp_path / 'link.log'}: the same as {tmp_path / '0.log'}, read once"


def test_lines_are_not_split_at_block_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of any size give the same lines and line numbers."""
    path = tmp_path / "x.log"
    path.write_bytes(LINES * 20)
    whole = read(path).to_arrow()
    for size in (1, 7, 100, 1000):
        monkeypatch.setattr(files, "BLOCK", size)
        assert read(path).to_arrow().equals(whole)


def test_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is one reject, and the next line is read."""
    monkeypatch.setattr(files, "MAX_LINE", 5000)
    monkeypatch.setattr(files, "BLOCK", 1000)
    path = tmp_path / "long.log"
    path.write_bytes(b"x" * 100_000 + b"\n" + LINES)
    log = read(path)
    assert (log.counts.records, log.counts.rejected) == (3, 1)
    assert log.rejects["reason"][0] == "longer than 5000 bytes, not read further, at byte 5000"
    assert len(log.rejects["line"][0]) == 5000
    assert log.to_arrow()["line_number"].to_pylist() == [2, 3, 4]


def test_a_pipe_and_standard_input(tmp_path: Path) -> None:
    """Process substitution and `-` are read like files; packed standard input, too."""
    command = [sys.executable, "-m", "egresslog", "parse", "--columns", "host", "-"]
    for data in (LINES, gzip.compress(LINES)):
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b'{"host": "edition.cnn.com"}\n' * 3)
    (tmp_path / "x.log").write_bytes(LINES)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m egresslog parse --columns line_number <(cat {tmp_path}/x.log)"],
        capture_output=True,
        check=False,
    )
    assert done.stdout == b'{"line_number": 1}\n{"line_number": 2}\n{"line_number": 3}\n'


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a second time, standard input is an error and not an empty log."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINES)))
    log = read("-")
    assert log.to_arrow().num_rows == 3
    assert log.counts.records == 3
    with pytest.raises(SourceError, match="standard input was read already; save it to a file"):
        log.to_arrow()


def test_many_rejects_are_all_kept(tmp_path: Path) -> None:
    """Rejects beyond what is held in memory come back complete and in order."""
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(b"[2024-05-01T10:17:14.118Z] %d\n" % number for number in range(25_000)))
    log = read(path)
    assert log.rejects["line_number"].tolist() == list(range(1, 25_001))
    assert log.rejects["line"].tolist()[-1] == "[2024-05-01T10:17:14.118Z] 24999"


def test_progress_counts_stored_bytes(tmp_path: Path) -> None:
    """Progress adds up to the file's size, packed or not."""
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(LINES * 1000))
    sizes: list[int] = []
    log = read(path, progress=sizes.append)
    assert log.counts.records == 3000
    assert sum(sizes) == log.size == path.stat().st_size


def test_no_permission() -> None:
    """A file one may not read is an error that says so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(LINES)
        path.chmod(0)
        Path(folder).chmod(0o755)
        with someone_else(), pytest.raises(SourceError, match="permission denied"):
            read(path).to_arrow()


def _with_checksum(line: str) -> str:
    """A line whose first 512 bytes have a tar header's magic and its checksum: both are text."""
    header = bytearray(line.encode().ljust(512, b"x"))
    header[100:156] = b"0000644 0000000 0000000 00000000017 00000000000 " + b" " * 8
    header[156:157], header[257:265] = b"0", b"ustar  "
    header[148:156] = b"%06o  " % sum(header[:512])
    return header.decode()


@pytest.mark.parametrize(
    "start",
    [
        "x" * 257 + "ustar",
        "x" * 257 + "ustar  00",
        _with_checksum("x"),
        "BZh91AY&SY",
        "BZh9",
        "PAR1",
        "SQLite format 3",
        "(\udcb5/\udcfd",
        "7z\udcbc\udcaf",
        "\udcff\udcfe",
        "\udcfe\udcff ",
    ],
)
@pytest.mark.parametrize("padding", [0, 600])
def test_text_is_never_taken_for_a_binary_file(start: str, padding: int, tmp_path: Path) -> None:
    """A client writes the path, the user agent and more, in a custom format also at the line's beginning."""
    lines = f"{start}{'y' * padding} GET\nAgent POST\n".encode("utf-8", "surrogateescape")
    (tmp_path / "x.log").write_bytes(lines)
    log = read(tmp_path / "x.log", "%REQ(USER-AGENT)% %REQ(:METHOD)%")
    assert log.to_arrow()["line_number"].to_pylist()[-1] == 2
    assert log.counts.total == 2


def run_within(*arguments: str, stdin: int | str = os.devnull) -> subprocess.CompletedProcess[str]:
    """The command with 3 GiB of addresses: it must end, and not fill them."""
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)); "
    command = [sys.executable, "-c", limit + "runpy.run_module('egresslog', run_name='__main__')", *arguments]
    with Path(stdin).open("rb") if isinstance(stdin, str) else os.fdopen(stdin, "rb") as data:
        return subprocess.run(command, stdin=data, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
@pytest.mark.parametrize("command", ["parse", "tail"])
def test_a_device_is_no_log(command: str, device: str) -> None:
    """It has no end. Also as standard input."""
    for named, stdin in ((device, os.devnull), ("-", device)):
        result = run_within(command, named, stdin=stdin)
        assert result.returncode == 3
        assert f"{named}: is a device, not a log" in result.stderr


def test_a_pipe_without_lines_is_no_log() -> None:
    """A first line over the limit is an error, and nothing is read after it."""
    with subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as zeros:
        assert zeros.stdout
        result = run_within("parse", "-", stdin=os.dup(zeros.stdout.fileno()))
        zeros.kill()
    assert result.returncode == 3
    assert "-: the first line is longer than 67108864 bytes: this is no log" in result.stderr


def test_only_files_are_read_of_what_a_directory_holds(tmp_path: Path) -> None:
    """Pipes, sockets and devices, also behind links, are left out by name: a pipe that nobody writes has no end."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_bytes(LINES)
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(logs / "own-pipe")
    (logs / "pipe").symlink_to(tmp_path / "pipe")
    (logs / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(logs / "socket"))
        for path in (logs, logs / "*"):
            log = read(path)
            assert log.counts.records == 3
            assert list(log.last_scan.notes) == [
                f"{logs}/own-pipe: a named pipe, not read; name it to read it",
                f"{logs}/pipe: a named pipe, not read; name it to read it",
                f"{logs}/socket: a socket, not read",
                f"{logs}/zero: a device, not read",
            ]


@pytest.mark.parametrize("ends_with_line", [True, False])
def test_what_is_appended_meanwhile_is_left_out(
    ends_with_line: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that grows faster than it is read has an end: the line that it ended in when it was opened."""
    monkeypatch.setattr(files, "BLOCK", 100)
    path = tmp_path / "x.log"
    path.write_bytes(LINES if ends_with_line else LINES + SEED.encode()[:50])
    rest = LINES if ends_with_line else SEED.encode()[50:] + b"\n" + LINES
    appended = False

    def grow(_: int) -> None:
        nonlocal appended
        if not appended:
            appended = True
            with path.open("ab") as out:
                out.write(rest)

    assert len(read(path, progress=grow).to_arrow()) == (3 if ends_with_line else 4)


def test_small_files_are_read_in_large_batches(tmp_path: Path) -> None:
    """A batch costs memory downstream, however few records it has: one of each of 300 files comes as one batch."""
    for number in range(300):
        (tmp_path / f"{number}.log").write_bytes(LINES)
    batches = list(read(tmp_path).scan(lines=True).batches())
    assert [len(batch) for batch in batches] == [900]
    assert batches[0]["origin"].to_pylist()[::3] == [f"{tmp_path}/{number}.log" for number in range(300)]
    assert batches[0]["line"].to_pylist() == [TEXT, SEED, JSON] * 300


def test_records_of_a_pipe_are_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """`kubectl logs -f | egresslog parse -`: the next line may take long."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stdin, os.fdopen(writer, "wb", buffering=0) as out:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
        batches = read("-").batches()
        for line in LINES.splitlines(keepends=True):
            out.write(line)
            assert len(next(batches)) == 1


def test_long_rejects_do_not_fill_the_memory() -> None:
    """Forty lines of 2 MiB are kept, and not in memory."""
    rejects = RejectBuffer()
    tracemalloc.start()
    try:
        for number in range(1, 41):
            rejects.extend([Reject("x.log", number, "x" * (2 << 20), "no record")])
        assert tracemalloc.get_traced_memory()[0] < 48 << 20
    finally:
        tracemalloc.stop()
    assert [number for batch in rejects.batches() for number in batch["line_number"].to_pylist()] == list(range(1, 41))
