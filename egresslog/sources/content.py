"""What a file holds, by its first bytes: packed or plain, in which encoding, or no log at all.

A client may write the first line of a log, and in it whatever bytes Envoy lets pass. So no mark counts that text could
have: marks of packed and other binary files count only beside a control character, which no header may contain, and a
tar archive needs a valid checksum.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import tarfile
from collections.abc import Callable
from typing import IO, Any

import pyarrow as pa

from egresslog.errors import SourceError

PEEK = 512  # bytes that are looked at
Opener = Callable[[IO[bytes]], Any]


def _arrow(codec: str) -> Opener:
    return lambda raw: pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)


# The first bytes of a file -> how to decompress it.
_COMPRESSED: dict[bytes, Opener] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"\x28\xb5\x2f\xfd": _arrow("zstd"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x04\x22\x4d\x18": _arrow("lz4"),
}
#: The first bytes of files that hold no lines -> what to tell the user.
_NOT_LOGS = {
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it first",
    b"PAR1": "is a Parquet file, not a log",
    b"SQLite format 3": "is a database, not a log",
    b"\x7fELF": "is a program, not a log",
}
# Byte order mark -> encoding: Windows PowerShell writes `kubectl logs > file` as UTF-16.
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Tabs, ends of lines and colors stand in text files, too.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def opener(start: bytes, origin: str) -> Opener | None:
    """How to decompress a file that begins with ``start`` (PEEK bytes, or the whole file); None: it is not packed.

    Raises:
        SourceError: it is an archive, or another kind of file that holds no lines.
    """
    if not _BINARY.search(start[:PEEK]):
        return None
    for mark, reason in _NOT_LOGS.items():
        if start.startswith(mark):
            raise SourceError(origin, reason)
    return next((opener for mark, opener in _COMPRESSED.items() if start.startswith(mark)), None)


def detect_encoding(block: bytes, origin: str) -> tuple[Callable[[bytes], bytes] | None, bytes]:
    """How to turn text that begins with ``block`` into UTF-8 (None: it is), and the block without byte order mark.

    Raises:
        SourceError: it is an archive.
    """
    if _is_tar(block[:PEEK]):
        raise SourceError(origin, "is a tar archive: unpack it first")
    if encoding := utf16_encoding(block):
        return _recoder(encoding), block[2:]
    return None, block.removeprefix(codecs.BOM_UTF8)


def utf16_encoding(block: bytes) -> str | None:
    """The encoding of text that begins with ``block`` if it is UTF-16: it has a byte order mark, and NULs in ASCII."""
    return _UTF16.get(block[:2]) if b"\0" in block[:PEEK] else None


def _is_tar(header: bytes) -> bool:
    if b"\0" not in header:
        return False
    try:
        tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _recoder(encoding: str) -> Callable[[bytes], bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    return lambda block: decoder.decode(block).encode("utf-8", "replace")
