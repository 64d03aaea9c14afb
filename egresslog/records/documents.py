"""JSON values that are printed over several lines: decoded as their lines come, in bounded memory.

What a store's document holds besides its entries is none of the log's lines: each entry counts as one line, and so does
a value that is no such document.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import ijson

from egresslog.records.chunk import MAX_LINE
from egresslog.records.json_text import MAX_DEPTH, MAX_VALUES, DuplicateKeys
from egresslog.records.stores import DOCUMENTS
from egresslog.records.surrogates import clean

_ENTRIES = {document.path for document in DOCUMENTS}
_HELD = 32 * 1024 * 1024  # characters of a document that are kept until its last key has shown that it is one


def opens(line: str) -> bool:
    """Whether a line begins a JSON value that goes on in the next line."""
    text = line.rstrip()
    if text[:1] not in {"{", "["} or not text:
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return False


class Entry(NamedTuple):
    """One entry, or a whole value.

    Attributes:
        number: the line on which it begins.
        value: the value.
        trusted: whether it stands in a document of a known store, or in none: false where that could not be seen,
            as the document is too large to be kept until it ends.
        is_whole: whether it is the whole value, and none of the entries of a document.
    """

    number: int
    value: Any
    trusted: bool = True
    is_whole: bool = False


class Document:
    """One JSON value, fed line by line.

    Attributes:
        pending: the lines since the last entry, with their numbers.
        first: number of the line on which it begins.
        last: number of the line that was fed last.
        is_complete: whether the value has ended.
    """

    def __init__(self) -> None:
        self.first = 0
        self.pending: list[tuple[int, str]] = []
        self.is_complete = False
        self._size = 0
        self.last = 0
        self._entries: list[Entry] = []
        self._held: list[Entry] = []  # whose document has not ended: a forged key beside them may still come
        self._keys: set[str] = set()
        self._values = 0  # since the last entry
        self._paths: set[tuple[str, ...]] = set()
        #: Of each open object or list: the value, the key that waits for a value, and the line on which it begins.
        self._open: list[_Open] = []
        self._parser = ijson.basic_parse_coro(_Target(self._event), use_float=True)

    def feed(self, number: int, line: str) -> list[Entry]:
        """The entries that end in a line.

        Raises:
            ValueError: it is no JSON, is nested too deep, or one entry is too large.
        """
        self.first = self.first or number
        self.last = number
        self._entries = []
        self.pending.append((number, line))
        self._size += len(line)
        if self._size > MAX_LINE:
            raise ValueError("too large")
        try:
            self._parser.send(f"{clean(line)}\n".encode())
        except ijson.JSONError as error:
            raise ValueError(str(error)) from None
        if self._held and self._size > _HELD:
            self._entries += [entry._replace(trusted=False) for entry in self._held]
            self._held = []
        if self._entries:
            self.pending, self._size = [], 0
        return self._entries

    def _event(self, event: str, value: Any) -> None:
        if self.is_complete:
            raise ValueError("text after the value")
        if event == "map_key":
            self._open[-1].key = value
            if len(self._open) == 1:
                self._keys.add(value)
        elif event in {"start_map", "start_array"}:
            if len(self._open) >= MAX_DEPTH:
                raise ValueError("nested too deep")
            self._open.append(_Open(is_map=event == "start_map", number=self.last))
        elif event in {"end_map", "end_array"}:
            ended = self._open.pop()
            self._add(ended.value(), ended.number)
        else:
            self._add(value, self.last)

    def _add(self, value: Any, number: int) -> None:
        """A value that is complete: an entry, or a part of what is around it."""
        path = self._path()
        if not self._open:
            self.is_complete = True
            self._entries += self._ended(value, number)
        elif path == ("*",):  # a list of entries: nothing can stand beside them
            self._paths.add(path)
            self._values = 0
            self._entries.append(Entry(number, value))
        elif path in _ENTRIES:
            self._paths.add(path)
            self._values = 0
            self._held.append(Entry(number, value))
        else:
            self._values += 1
            if self._values > MAX_VALUES:
                raise ValueError("too many values")
            self._open[-1].items.append((self._open[-1].key, value))

    def _ended(self, value: Any, number: int) -> list[Entry]:
        """What is left when the value has ended."""
        if not self._paths:
            return [Entry(number, value, is_whole=True)]
        known = any(self._paths == {document.path} and self._keys <= document.keys for document in DOCUMENTS)
        return [entry._replace(trusted=known) for entry in self._held]

    def _path(self) -> tuple[str, ...]:
        return tuple(inside.key if inside.is_map else "*" for inside in self._open)


class _Open:
    """An object or list that has not ended."""

    def __init__(self, *, is_map: bool, number: int) -> None:
        self.is_map = is_map
        self.number = number
        self.key = ""
        self.items: list[tuple[str, Any]] = []

    def value(self) -> Any:
        if not self.is_map:
            return [value for _, value in self.items]
        value = dict(self.items)
        return value if len(value) == len(self.items) else DuplicateKeys.of(self.items)


class _Target:
    """What ijson sends its events to."""

    def __init__(self, event: Callable[[str, Any], None]) -> None:
        self._event = event

    def send(self, item: tuple[str, Any]) -> None:
        self._event(*item)

    def close(self) -> None:
        pass
