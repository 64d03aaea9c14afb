"""Log files as they are kept: compressed, in another encoding, or in an archive."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa


def write_log(path: Path, lines: Iterable[str | bytes]) -> Path:
    """A file of these lines, each with its newline. Returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return path


def zstd(data: bytes) -> bytes:
    """As ``zstd`` compresses."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return bytes(sink.getvalue().to_pybytes())


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive of files by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    """A tar archive of files by name, not compressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


#: How a log file may be packed or encoded; reading it gives the same lines.
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "utf-8 with BOM": lambda data: b"\xef\xbb\xbf" + data,
    "utf-16 of PowerShell": lambda data: data.replace(b"\n", b"\r\n").decode().encode("utf-16"),
    "utf-16 big-endian": lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
}
