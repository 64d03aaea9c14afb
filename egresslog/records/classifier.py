"""What one message is: a record, an envelope around another message, the proxy's own message, or a reject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from egresslog.errors import LineError
from egresslog.records import embedded, envelope
from egresslog.records.catalogue import Formats, LineMatch
from egresslog.records.format import Format
from egresslog.records.json_format import JsonRow
from egresslog.records.json_text import DuplicateKeys, load
from egresslog.records.schema import BASE_NAMES, DERIVED, PROVENANCE
from egresslog.records.stores import entries, message_of_list
from egresslog.records.text_format import TextRow
from egresslog.records.unwrapping import Unwrapping

_NOT_LOGGED = frozenset(column.name for column in (*DERIVED, *PROVENANCE))
_PODS = 10_000  # names that a stream may have
_PREFIX = 1000  # characters of stern's prefix: three names of at most 253, and colors


class ProxyMessage:
    """The proxy's own message."""


class Entries(NamedTuple):
    """The entries of a store's document, each a message of its own."""

    values: list[Any]


Classified = LineMatch | envelope.Envelope | Entries | LineError | ProxyMessage


class Classifier:
    """Tells what messages of one stream are. Apart from stern's prefixes it knows nothing of the lines before."""

    def __init__(self, formats: Formats, unwrapping: Unwrapping = Unwrapping()) -> None:  # noqa: B008  (immutable)
        self.formats = formats
        self._unwrapping = unwrapping
        self._stern: set[str] = set()  # prefixes seen: pod and container

    def classify(self, message: Any, envelopes: Sequence[str] = (), likely: Format | None = None) -> Classified:
        """What one message is: a record, something around another message, the proxy's own, or why it is none.

        Args:
            message: text, or a JSON value.
            envelopes: those that were taken off.
            likely: the format of the lines before; of several that take a line with quotes, the one that it counts as.
        """
        if isinstance(message, str):
            return self._text(message, envelopes, likely)
        if isinstance(message, dict):
            return self._object(message)
        return self._list(message)

    def _text(self, text: str, envelopes: Sequence[str], likely: Format | None) -> Classified:
        formats = self.formats
        # A log that was truncated while it was written begins with NULs (copytruncate); joined files hold BOMs.
        text = text.lstrip("\0\ufeff") if text[:1] in {"\0", "\ufeff"} else text
        if match := formats.match_strict(text):
            return match
        if formats.forced and (match := self._forced(formats.forced, text)):
            return match
        problem: LineError | None = None
        if text.startswith(("{", '["', "[{", "[[")):
            try:
                value = load(text)
            except LineError as error:
                problem = error
            else:
                return self.classify(value)
        if envelope.is_other(text):
            mark = envelope.access_mark(text)
            return LineError(mark, 0) if mark else ProxyMessage()
        if not formats.forced and (match := self._wide(text, likely)):
            return match
        named = None if envelopes else self._named_prefix(text)
        return named or problem or self._unwrap(text) or formats.explain(text)

    def _wide(self, text: str, likely: Format | None) -> LineMatch | None:
        """A line in which somebody wrote quotes, or None."""
        return self.formats.match_wide(text, likely) or (self.formats.match_broken(text) if text[:1] == "{" else None)

    def _named_prefix(self, text: str) -> envelope.Envelope | None:
        """The line behind the prefix that the user named."""
        length = self._unwrapping.prefix.match(text) if self._unwrapping.prefix else None
        return envelope.Envelope(envelope.NAMED_PREFIX, text[length:]) if length else None

    def _unwrap(self, text: str) -> envelope.Envelope | LineError | None:
        """Takes one envelope off."""
        return self._unwrap_known(text) or self._unwrap_unknown(text)

    def _unwrap_known(self, text: str) -> envelope.Envelope | None:
        """Takes one envelope off that is known.

        Of a continuation line only names that stern put before other lines tell that they are its prefix.
        """
        if unwrapped := envelope.unwrap(text):
            size = len(text) - len(unwrapped.message)
            if unwrapped.name == "stern" and size <= _PREFIX and len(self._stern) < _PODS:
                self._stern.add(text[:size])
            return unwrapped
        for words in (2, 3):
            beginning = " ".join(text.split(" ", words)[:words]) + " "
            if beginning in self._stern:
                return envelope.Envelope("stern", text.removeprefix(beginning))
        if (unescaped := embedded.unescape(text)) is not None:
            return envelope.Envelope("escaped", unescaped)
        return None

    def _unwrap_unknown(self, text: str) -> envelope.Envelope | LineError | None:
        """Finds the line in what is of no known shape."""
        if rows := embedded.in_row(self.formats, text):
            return self._only(rows, envelope.UNKNOWN_ROW)
        if lines := embedded.behind_prefix(self.formats, text):
            return self._only(lines, envelope.UNKNOWN_PREFIX)
        return None

    def _only(self, lines: list[embedded.Embedded], name: str) -> envelope.Envelope | LineError:
        """The one access-log line in something of no known shape."""
        if len(lines) > 1:
            places = ", ".join(repr(line.where[:60]) for line in lines[:5])
            return LineError(
                f"holds {len(lines)} access-log lines ({places}): --field names the one to read, at byte 0", 0
            )
        known = name == envelope.UNKNOWN_PREFIX and self._unwrapping.strip_prefix
        return envelope.Envelope(name, lines[0].message, known=known)

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

    def _object(self, value: dict[str, Any]) -> Classified:
        try:
            match = self._own(value) or self.formats.match_object(value)
        except LineError as error:
            return error
        if match:
            return match
        if isinstance(value, DuplicateKeys):
            return LineError("a duplicate key: text that only looks like JSON, or a forged line, at byte 0", 0)
        return self._unwrap_object(value) or self._no_record(value)

    def _own(self, value: dict[str, Any]) -> LineMatch | None:
        """A record that egresslog itself wrote (`parse`): what was ambiguous stays so."""
        if not value.keys() >= BASE_NAMES:
            return None
        match = self.formats.match_object({key: inner for key, inner in value.items() if key not in _NOT_LOGGED})
        certain = (value["ambiguous"] is False or value["ambiguous"] == "false") and not isinstance(
            value, DuplicateKeys
        )
        return match._replace(ambiguous=match.ambiguous or not certain) if match else None

    def _unwrap_object(self, value: dict[str, Any]) -> envelope.Envelope | Entries | LineError | None:
        """Takes the line out of an object around it, or the entries out of a document."""
        if (field := self._unwrapping.field) and isinstance(inner := embedded.at_path(value, field), str | dict):
            return envelope.Envelope(envelope.NAMED_FIELD, inner)
        if inside := envelope.unwrap_object(value):
            return inside
        if (found := entries(value)) is not None:
            return Entries(list(found))
        if lines := embedded.in_object(self.formats, value):
            return self._only(lines, envelope.UNKNOWN_OBJECT)
        return None

    def _no_record(self, value: dict[str, Any]) -> LineError | ProxyMessage:
        """What an object without an access-log line is."""
        if not envelope.is_other_object(value):
            return self.formats.explain_keys(value)
        mark = envelope.access_mark_of_object(value)
        return LineError(mark, 0) if mark else ProxyMessage()

    def _list(self, value: Any) -> Classified:
        if isinstance(value, list):
            if inside := message_of_list(value):
                name, message = inside
                return envelope.Envelope(name, message) if isinstance(message, str | dict) else self._no_line(value)
            if (found := entries(value)) is not None:
                return Entries(list(found))
        return self._no_line(value)

    @staticmethod
    def _no_line(value: Any) -> LineError:
        return LineError(f"a JSON {type(value).__name__} that holds no access-log line, at byte 0", 0)
