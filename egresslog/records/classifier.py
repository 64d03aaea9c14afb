"""What one message is: a record, an envelope around another message, the proxy's own message, or a reject."""

from __future__ import annotations

from typing import Any

from egresslog.errors import LineError
from egresslog.records import envelope
from egresslog.records.catalogue import Formats, LineMatch
from egresslog.records.format import Format
from egresslog.records.json_format import JsonRow
from egresslog.records.json_text import DuplicateKeys, load
from egresslog.records.text_format import TextRow

_PODS = 10_000  # names that a stream may have
_PREFIX = 1000  # characters of stern's prefix: three names of at most 253, and colors


class ProxyMessage:
    """The proxy's own message."""


class Classifier:
    """Tells what messages of one stream are. Apart from stern's prefixes it knows nothing of the lines before."""

    def __init__(self, formats: Formats) -> None:
        self.formats = formats
        self._stern: set[str] = set()  # prefixes seen: pod and container

    def classify(self, text: str, likely: Format | None) -> LineMatch | envelope.Envelope | LineError | ProxyMessage:
        """What one message is: a record, an envelope around another message, the proxy's own, or why it is none.

        Args:
            text: the message.
            likely: the format of the lines before; of several that take a line with quotes, the one that it counts as.
        """
        formats = self.formats
        # A log that was truncated while it was written begins with NULs (copytruncate); joined files hold BOMs.
        text = text.lstrip("\0\ufeff") if text[:1] in {"\0", "\ufeff"} else text
        if match := formats.match_strict(text):
            return match
        if formats.forced and (match := self._forced(formats.forced, text)):
            return match
        problem: LineError | None = None
        if text.startswith("{"):
            try:
                found = load(text)
            except LineError as error:
                problem = error
            else:
                if isinstance(found, dict):
                    return self._object(found)
        if envelope.is_other(text):
            mark = envelope.access_mark(text)
            return LineError(mark, 0) if mark else ProxyMessage()
        if not formats.forced and (match := self._wide(text, likely)):
            return match
        return problem or self._unwrap(text) or formats.explain(text)

    def _wide(self, text: str, likely: Format | None) -> LineMatch | None:
        """A line in which somebody wrote quotes, or None."""
        return self.formats.match_wide(text, likely) or (self.formats.match_broken(text) if text[:1] == "{" else None)

    def _unwrap(self, text: str) -> envelope.Envelope | None:
        """Takes one envelope off.

        Of a continuation line only names that stern put before other lines tell that they are its prefix.
        """
        if unwrapped := envelope.unwrap(text):
            size = len(text) - len(unwrapped.message)
            if unwrapped.name == "stern" and size <= _PREFIX and len(self._stern) < _PODS:
                self._stern.add(text[:size])
            return unwrapped
        for words in (2, 3):
            prefix = " ".join(text.split(" ", words)[:words]) + " "
            if prefix in self._stern:
                return envelope.Envelope("stern", text.removeprefix(prefix))
        return None

    @staticmethod
    def _forced(log_format: Format, text: str) -> LineMatch | None:
        """A line of the one format that was asked for; what a client wrote into it must not make it anything else."""
        if log_format.json is None:
            row: TextRow | JsonRow | None = log_format.read_wide(text)
        else:
            try:
                row = log_format.read_line(text)
            except LineError:
                row = None
        upstreams = row.upstreams if isinstance(row, JsonRow) else ()
        return LineMatch(log_format, row.values, row.ambiguous, (), upstreams) if row else None

    def _object(self, found: dict[str, Any]) -> LineMatch | envelope.Envelope | LineError | ProxyMessage:
        try:
            match = self.formats.match_object(found)
        except LineError as error:
            return error
        if match:
            return match
        if isinstance(found, DuplicateKeys):
            return LineError("a duplicate key: text that only looks like JSON, or a forged line, at byte 0", 0)
        if inside := envelope.unwrap_object(found):
            return inside
        if not envelope.is_other_object(found):
            return self.formats.explain_keys(found)
        mark = envelope.access_mark_of_object(found)
        return LineError(mark, 0) if mark else ProxyMessage()
