"""The exceptions, as one tree. Every message says what is wrong with what, and what to do.

EgresslogError
├── FormatError      a format string, JSON template or TOML file cannot be used   (also a ValueError)
├── CatalogueError   no such format, or the catalogue itself is missing
├── LineError        one line does not fit a format                               (also a ValueError)
├── SourceError      a file, standard input or log cannot be read                 (also an OSError)
│   └── ClusterError the cluster cannot be reached, or says no
├── DatabaseError       the temporary database or file failed, as with a full disk   (also an OSError)
└── UsageError       an option or argument makes no sense                         (also a ValueError)
"""

from __future__ import annotations


class EgresslogError(Exception):
    """Base of all errors that egresslog raises on purpose."""


class FormatError(EgresslogError, ValueError):
    """A format cannot be compiled or loaded.

    Attributes:
        text: the format string or the file's name.
        position: 0-based character position in ``text`` where reading stopped, if it is known.
    """

    def __init__(self, reason: str, text: str = "", position: int | None = None) -> None:
        self.reason, self.text, self.position = reason, text, position
        super().__init__(reason)

    def __str__(self) -> str:
        if self.position is None:
            return self.reason
        start = max(0, self.position - 30)
        piece = self.text[start : self.position + 30]
        return f"{self.reason}\n  {piece}\n  {' ' * (self.position - start)}^"


class CatalogueError(EgresslogError):
    """A format name is unknown, or the catalogue is not where it should be."""


class LineError(EgresslogError, ValueError):
    """A line does not fit a format.

    Attributes:
        reason: what was expected, and where.
        byte: how many bytes of the line were understood before parsing stopped.
    """

    def __init__(self, reason: str, byte: int) -> None:
        self.reason, self.byte = reason, byte
        super().__init__(reason)


class SourceError(EgresslogError, OSError):
    """A file or stream could not be read, or not to its end.

    Attributes:
        origin: the path, or ``-`` for standard input.
        reason: what happened, and how much was read before.
    """

    def __init__(self, origin: str, reason: str) -> None:
        self.origin, self.reason = origin, reason
        super().__init__(f"{origin}: {reason}")


class ClusterError(SourceError):
    """The cluster's API server cannot be reached, or refuses.

    Attributes:
        status: the HTTP status of the answer, None if there was none.
        retry_after: seconds that the server asks to wait, None if it does not.
    """

    def __init__(self, origin: str, reason: str, status: int | None = None, retry_after: float | None = None) -> None:
        self.status, self.retry_after = status, retry_after
        super().__init__(origin, reason)


class DatabaseError(EgresslogError, OSError):
    """The temporary database of a report or verdict, or the file where lines wait, failed."""


class UsageError(EgresslogError, ValueError):
    """An option or argument makes no sense."""
