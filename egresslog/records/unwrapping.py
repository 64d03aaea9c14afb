"""What the user says about what stands around the lines: where that is known, what is inside can prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.errors import UsageError


@dataclass(frozen=True)
class Prefix:
    """A regular expression (RE2: it takes linear time, whatever a client writes) of what stands before each line."""

    pattern: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compiles it.

        Raises:
            UsageError: RE2 does not take it, or it may match nothing.
        """
        prefix = cls(f"^(?P<prefix>{text})")
        try:
            empty = prefix.match("")
        except pa.ArrowInvalid as error:
            raise UsageError(f"--prefix: {error}") from None
        if not text or empty is not None:
            raise UsageError("--prefix takes a regular expression that matches at least one character")
        return prefix

    def match(self, line: str) -> int | None:
        """How many characters of the line it takes; None if it does not match."""
        data = line.encode("utf-8", "surrogateescape")
        found = pc.extract_regex(pa.array([data], pa.binary()), self.pattern)[0].as_py()
        return None if found is None else len(found["prefix"].decode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class Unwrapping:
    """How to find the lines in what was exported.

    Attributes:
        field: the path of the value that holds the line, in JSON objects: ``log``, ``kubernetes.message``.
        prefix: what stands before each line.
        strip_prefix: a prefix of no known shape is one: what stands behind it proves as any line does.
    """

    field: str = ""
    prefix: Prefix | None = None
    strip_prefix: bool = False
