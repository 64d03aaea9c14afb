r"""Parses lines of a JSON format: an object whose keys are those of the template, in any order.

What real logs force (docs/access-log-formats.md, 8): values are typed (Istio 1.8 and newer) or all strings with
``"-"`` for absent (1.1 to 1.7); ``response_flags`` is ``"-"`` even when typed; headers are strings also where they hold
a number; bytes that are not UTF-8 came as ``\\ooo`` until September 2024, which is not JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from egresslog.errors import FormatError, LineError
from egresslog.records import start_time as times
from egresslog.records.fields import METHOD, NUMBER
from egresslog.records.json_text import MAX_DEPTH, DuplicateKeys, every, reach
from egresslog.records.operators import FormatField, ValueKind, custom_column
from egresslog.records.schema import Column, is_known
from egresslog.records.template import MAX_LENGTH, MAX_OPERATORS, check_text, parse_template
from egresslog.records.text_format import TextFormat

_INTEGER = re.compile(NUMBER, re.ASCII)
_METHOD = re.compile(f"{METHOD}+", re.ASCII)
_INT64 = 2**63

Value = str | int | None


class JsonRow(NamedTuple):
    """The values of one object, in the order of the format's columns."""

    values: tuple[Value, ...]
    ambiguous: bool
    upstreams: tuple[str, ...] = ()  # the values of an upstream_host that came several times


@dataclass(frozen=True)
class _Leaf:
    """One value of the template: where it is, and the field, the mixed text or the fixed label it holds."""

    path: tuple[str | int, ...]
    field: FormatField | None
    mixed: TextFormat | None
    time_format: times.TimeFormat | None

    @property
    def key(self) -> str:
        return ".".join(str(step) for step in self.path)

    @property
    def client(self) -> bool:
        """Whether somebody else than Envoy writes (a part of) the value."""
        fields = [part.field for part in self.mixed.parts] if self.mixed else [self.field] if self.field else []
        return any(field.client or field.is_sni for field in fields)


class JsonFormat:
    """A compiled JSON template: ``match`` an object, or say why not."""

    def __init__(self, template: Mapping[str, Any], *, omit_empty: bool = False) -> None:
        self.omit_empty = omit_empty
        self.keys = frozenset(str(key) for key in template)
        self._leaves = _checked(template)
        if not any(leaf.field or leaf.mixed for leaf in self._leaves):
            raise FormatError("no command operator such as %START_TIME% in the JSON template", str(dict(template)), 0)
        #: The keys a line has even where absent values are left out.
        self.required = frozenset(
            str(leaf.path[0]) for leaf in self._leaves if leaf.field and leaf.field.always and len(leaf.path) == 1
        )
        self._plan, self.columns = _plan(self._leaves)

    def time_format(self, column: str) -> times.TimeFormat | None:
        """How a time column prints."""
        for leaf, places in self._plan:
            if leaf.time_format and any(self.columns[place].name == column for place in places):
                return leaf.time_format
            if leaf.mixed and (time_format := leaf.mixed.time_format(column)):
                return time_format
        return None

    def match(self, found: dict[str, Any], *, lenient: bool = False) -> JsonRow:
        """The values of an object whose keys are this format's. Any of them may be null.

        Args:
            found: the object.
            lenient: text around a header, whose value a client or the outside server chose, need not fit its template;
                it is null then, and the record ambiguous.

        Raises:
            LineError: a value is not what its operator prints, such as a word for a number.
        """
        ambiguous = isinstance(found, DuplicateKeys)
        values: list[Value] = [None] * len(self.columns)
        upstreams: list[str] = []
        for leaf, places in self._plan:
            value, repeated = reach(found, leaf.path) if leaf.path[1:] else (found.get(leaf.key), False)
            ambiguous |= repeated
            if (ambiguous and leaf.field) and leaf.field.column.name == "upstream_host":
                upstreams += [text for text in every(found, leaf.path) if isinstance(text, str)]
            if value is None or value == "-":
                if value and leaf.field and leaf.field.always:
                    raise LineError(f"expected a value for {leaf.key!r} at byte 0", 0)
                continue
            try:
                parts, forged = self._read(leaf, value)
            except LineError:
                if not (lenient and leaf.mixed and leaf.client):
                    raise
                ambiguous = True
                continue
            ambiguous |= forged
            for place, part in zip(places, parts, strict=False):
                values[place] = part
        row = JsonRow(tuple(values), ambiguous)
        return row._replace(upstreams=tuple(upstreams)) if len(upstreams) > 1 else row

    @staticmethod
    def _read(leaf: _Leaf, value: Any) -> tuple[tuple[Value, ...], bool]:
        """The values in one leaf, and whether they cannot be told apart for certain."""
        if leaf.mixed is None:
            return (_value(leaf, value),), False
        row = leaf.mixed.match(value) if isinstance(value, str) else None
        if row is None:
            raise LineError(f"the value of {leaf.key!r} does not fit its template at byte 0", 0)
        return row.values, row.ambiguous

    def may_be_broken(self, line: str) -> bool:
        """Whether all keys of this format stand in a line: a quick test."""
        return all(f'"{key}"' in line for key in self.keys)

    def match_broken(self, found: DuplicateKeys) -> JsonRow | None:
        """A line that is no JSON, as a text that only looks like it is where a header holds a quote; or None.

        A client can add keys, and cannot take any away: a value that Envoy wrote is certain where its key is there
        once. What clients write is not kept, and a line that lacks a key is none of this format.

        Args:
            found: the ``members`` of the line, of this format's keys or more.
        """
        if not self.keys <= found.keys():
            return None
        every, found = found.every, DuplicateKeys(found)
        found.every = every
        for leaf in self._leaves:
            if leaf.client:
                found[str(leaf.path[0])] = None
        try:
            return self.match(found)
        except LineError:
            return None

    def accepts(self, found: dict[str, Any]) -> bool:
        """Whether an object has this format's keys; with `omitEmptyValues` some are missing, none null."""
        keys = found.keys()
        if keys == self.keys:
            return True
        return self.omit_empty and self.required <= keys <= self.keys and None not in found.values()


def _plan(leaves: tuple[_Leaf, ...]) -> tuple[list[tuple[_Leaf, tuple[int, ...]]], tuple[Column, ...]]:
    """Which columns each value fills, by number. A value that stands twice is kept once.

    Values under their own name go first: Istio 1.1.0 to 1.1.2 print the start time under "method", too.
    """
    places: dict[str, int] = {}
    columns: list[Column] = []

    def place(column: Column) -> int:
        if column.name not in places:
            places[column.name] = len(columns)
            columns.append(column)
        return places[column.name]

    plan: list[tuple[_Leaf, tuple[int, ...]]] = []
    for leaf in sorted(leaves, key=lambda leaf: not (leaf.field and leaf.field.column.name == leaf.key)):
        if leaf.mixed:
            plan.append((leaf, tuple(place(column) for column in leaf.mixed.columns)))
        elif leaf.field and leaf.field.named and leaf.field.column.name not in places:
            plan.append((leaf, (place(leaf.field.column),)))
        elif leaf.field and leaf.field.named and is_known(leaf.key):
            plan.append((leaf, ()))
        else:
            kind, unit = (leaf.field.kind, leaf.field.column.unit) if leaf.field else (ValueKind.TEXT, "")
            plan.append((leaf, (place(custom_column(leaf.key, kind, unit)),)))
    return plan, tuple(columns)


def _value(leaf: _Leaf, value: Any) -> Value:
    kind = leaf.field.kind if leaf.field else ValueKind.TEXT
    if kind is ValueKind.NUMBER or kind is ValueKind.LENIENT:
        return _number(leaf, value, lenient=kind is ValueKind.LENIENT)
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if kind is ValueKind.METHOD and not _METHOD.fullmatch(value):
        raise LineError(f"expected an HTTP method for {leaf.key!r} at byte 0", 0)
    if leaf.time_format and not re.fullmatch(leaf.time_format.forward, value, re.ASCII):
        raise LineError(f"expected a time for {leaf.key!r} at byte 0", 0)
    return value


def _number(leaf: _Leaf, value: Any, *, lenient: bool) -> int | None:
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:  # Envoys that print doubles
        return int(value)
    if lenient or value == "":
        return None
    raise LineError(f"expected a number of at most 18 digits for {leaf.key!r} at byte 0", 0)


def _checked(template: Mapping[str, Any]) -> tuple[_Leaf, ...]:
    """The template's values; the limits are those of a format string, for all of them together."""
    leaves, length, operators = [], 0, 0
    for leaf in _leaves(template, ()):
        for key in leaf.path:
            check_text(str(key))
        leaves.append(leaf)
        length += sum(len(str(key)) for key in leaf.path)
        operators += len(leaf.mixed.parts) if leaf.mixed else 1
        if operators > MAX_OPERATORS:
            raise FormatError(f"a JSON template of more than {MAX_OPERATORS} values")
        if length > MAX_LENGTH:
            raise FormatError(f"a JSON template of more than {MAX_LENGTH} characters")
    return tuple(leaves)


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[_Leaf]:
    if len(path) > MAX_DEPTH:
        raise FormatError(f"a JSON template nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    elif not isinstance(value, str) or "%" not in value:
        yield _Leaf(path, None, None, None)
    else:
        template = parse_template(value)
        if template.literals == ("", ""):
            field = template.fields[0]
            time_format = times.time_format(field.argument) if field.kind is ValueKind.TIME else None
            if field.kind is ValueKind.TIME and time_format is None:
                field = replace(field, kind=ValueKind.TEXT, column=custom_column(str(path[-1]), ValueKind.TEXT))
            yield _Leaf(path, field, None, time_format)
        else:
            yield _Leaf(path, None, TextFormat(template), None)
