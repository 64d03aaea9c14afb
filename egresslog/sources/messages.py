"""Text of the operating system, of servers and of plugins, made fit to stand in one of our messages."""

from __future__ import annotations


def os_reason(error: BaseException) -> str:
    """Why the operating system refused, in a few words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def one_line(text: str | bytes, limit: int = 500) -> str:
    """Foreign text on one line that is safe on a terminal.

    Args:
        text: bytes are read as UTF-8; runs of white space become one blank, control characters visible escapes.
        limit: characters; what is longer is cut, and ends with ``...``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = " ".join(text[: limit * 4].split())
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
