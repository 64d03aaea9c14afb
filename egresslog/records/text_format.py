r"""Parses lines of a text format: split from both ends, linear in the line's length.

Envoy's text log quotes nothing (envoyproxy/envoy#4191), so a client may write ``" "`` into a header and forge columns.

*Strict*, the quick way, is one regular expression in which no value holds a quote, nor a blank (or what else separates)
where several free values stand side by side. Every quote and separator of the line is then one of the format's own, so
there is only one way to split it. *Wide*, the way for all other lines, lets free text hold anything: what lies between
free values, an *anchor* of literals and hard values, is looked for from the left and from the right. Each search finds
the outermost places, so the split is unique exactly when both agree; if not, the line is ambiguous.

Neither backtracks over free text: a hard value ends where the literal after it begins, which its alphabet excludes (or,
for a failure reason in quotes, at the first `" `). What has no such end beside it is free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from egresslog.errors import LineError
from egresslog.records import start_time as times
from egresslog.records.ambiguity import Ambiguity, Span
from egresslog.records.fields import NUMBER, Part, parts_of, strict_pattern
from egresslog.records.operators import ValueKind
from egresslog.records.schema import Column
from egresslog.records.surrogates import byte_offset
from egresslog.records.template import Template

_NESTED = 25
_SHOWN = 60  # characters of a literal that a reason shows
_NUMBERS = {ValueKind.NUMBER, ValueKind.LENIENT}
_DIGITS = re.compile(NUMBER, re.ASCII)
_EXPECTED = {
    ValueKind.TIME: "a time",
    ValueKind.NUMBER: "a number of at most 18 digits",
    ValueKind.PROTOCOL: "a protocol",
}


class TextRow(NamedTuple):
    """The values of one line, in the order of the format's columns: text or None."""

    values: tuple[str | None, ...]
    ambiguous: bool


@dataclass(frozen=True)
class _Anchor:
    """What stands between two free values: literals and hard parts in turn, from literal ``first`` to ``last``."""

    first: int
    last: int
    forward: re.Pattern[str]
    backward: re.Pattern[str]


class TextFormat:
    """A compiled text format: ``match`` a line, ``explain`` why one does not match."""

    def __init__(self, template: Template, *, omit_empty: bool = False, free_end: bool = False) -> None:
        self.literals = template.literals
        self.parts = parts_of(template, omit_empty=omit_empty, free_end=free_end)
        self._template = template
        self.columns, self._kept = _columns(self.parts)
        #: Source of the quick pattern, to be put behind an envelope's prefix; None if it would not be safe.
        self.strict_source = strict_pattern(self.literals, self.parts, self._kept)
        self._ambiguity = Ambiguity(self.literals, self.parts)

    @property
    def beginning(self) -> str:
        """A pattern of what each line begins with: the first literal, and the time if it follows."""
        first = self.parts[0]
        time = first.time_format.forward if first.time_format else ""
        return re.escape(self.literals[0]) + (f"(?:{time})" if time else "(?!\\A)" if not self.literals[0] else "")

    @cached_property
    def strict(self) -> re.Pattern[str] | None:
        """The quick pattern: one group for each column."""
        return re.compile(self.strict_source, re.ASCII) if self.strict_source is not None else None

    @cached_property
    def _after_sni(self) -> str:
        """What follows an SNI in the middle, where all values are absent."""
        index = next((index for index, part in enumerate(self.parts) if part.field.is_sni), len(self.parts))
        return "-".join(self.literals[index + 1 :])

    def ends_in_sni(self, line: str) -> bool:
        """Whether a line may have been cut by a newline in its SNI."""
        return bool(self._after_sni) and self.match(line + self._after_sni) is not None

    @cached_property
    def free_end_format(self) -> TextFormat | None:
        """The same format with an SNI at the end that may hold anything: what it splits otherwise may be forged."""
        if not self.parts[-1].field.is_sni or not self.parts[-1].hard:
            return None
        return TextFormat(self._template, free_end=True)

    def time_format(self, column: str) -> times.TimeFormat | None:
        """How a time column prints."""
        return next((part.time_format for part in self.parts if part.label == column), None)

    def match(self, line: str) -> TextRow | None:
        """The line's values, or None if it is not of this format."""
        if self.strict is not None and (found := self.strict.match(line)):
            return TextRow(found.groups(), ambiguous=False)
        return self.match_wide(line)

    def match_wide(self, line: str) -> TextRow | None:
        """As ``match``, without the quick way."""
        splits = hard = self.split(line)
        if self.free_end_format and (free := self.free_end_format.split(line)):
            if hard is None and _is_longer(line[slice(*free[0][-1])]):
                return None
            splits = free[0], (hard or free)[1]
        if splits is None:
            return None
        left, right = splits
        ambiguous = hard is None or left != right
        values = self._ambiguity.certain(line, left, right)
        for index, part in enumerate(self.parts):
            value = values[index]
            if value is None or value == "-" or (not value and (part.hard or part.empty_is_absent)):
                values[index] = None
            elif part.field.kind in _NUMBERS and not _DIGITS.fullmatch(value):
                if part.field.kind is ValueKind.NUMBER:
                    return None
                values[index] = None
        if hard is None:
            values[-1] = None
        return TextRow(tuple([values[index] for index in self._kept]), ambiguous)

    def split(self, line: str) -> tuple[list[Span], list[Span]] | None:
        """The spans of all fields in the left-most and in the right-most split, or None if there is no split."""
        size, first, last = len(line), self.anchors[0], self.anchors[-1]
        head = first.forward.match(line)
        if not head:
            return None
        if first is last:
            spans = [head.span(group + 1) for group in range(len(self.parts))]
            return (spans, spans) if head.end() == size else None
        left = [head]
        for anchor in self.anchors[1:-1]:
            found = anchor.forward.search(line, left[-1].end())
            if not found:
                return None
            left.append(found)
        mirror = line[::-1]
        tail = last.backward.match(mirror)
        if not tail or left[-1].end() > size - tail.end():
            return None
        right = [tail]
        for anchor in self.anchors[-2:0:-1]:
            found = anchor.backward.search(mirror, right[-1].end(), size - head.end())
            if not found:
                return None
            right.append(found)
        ends = _flip(tail, size)
        lefts = [[found.span(g) for g in range(found.re.groups + 1)] for found in left] + [ends]
        rights = [lefts[0]] + [_flip(found, size) for found in reversed(right)]
        return self._fields(lefts), self._fields(rights)

    @staticmethod
    def _fields(anchors: list[list[Span]]) -> list[Span]:
        """Spans of the fields: those inside the anchors, and the free ones between them."""
        spans = anchors[0][1:]
        for before, after in pairwise(anchors):
            spans.append((before[0][1], after[0][0]))
            spans.extend(after[1:])
        return spans

    def reach(self, line: str) -> int:
        """About how far, from the left, a line fits: quick, to choose the format that ``explain`` is asked of."""
        position = 0
        for pattern in self._progress:
            found = pattern.match(line, position)
            if not found:
                return position
            position = found.end()
            if found.lastindex is None:  # not all of it
                break
        return position

    @cached_property
    def _progress(self) -> list[re.Pattern[str]]:
        """Patterns of some fields each, as deep as `re` can nest; a group at the end is set if all of one fits."""
        patterns = [re.compile(re.escape(self.literals[0]) + "()")]
        for start in range(0, len(self.parts), _NESTED):
            pattern = "()"
            for part, after in reversed([*zip(self.parts, self.literals[1:], strict=True)][start : start + _NESTED]):
                value = part.wide(backward=False) if part.hard else r'[^" ]*' if after.startswith(" ") else r'[^"]*'
                pattern = f"(?:{value}(?:{re.escape(after)}{pattern})?)?"
            patterns.append(re.compile(pattern, re.ASCII))
        return patterns

    def explain(self, line: str) -> LineError:
        """Says where, from the left, the line stops to fit."""
        position = 0
        for number, anchor in enumerate(self.anchors):
            found = anchor.forward.search(line, position) if number else anchor.forward.match(line)
            if found:
                position = found.end()
                continue
            start = line.find(self.literals[anchor.first], position) if number else 0
            if start < 0:
                return _error(line, len(line), _after(self.literals, self.parts, anchor.first))
            return self._explain_anchor(line, start, anchor)
        if self.parts[-1].hard or self.literals[-1]:
            return _error(line, position, f"expected the end of the line after {self.parts[-1].label}")
        return _error(line, position, "expected a number")

    def _explain_anchor(self, line: str, position: int, anchor: _Anchor) -> LineError:
        for index in range(anchor.first, anchor.last + 1):
            literal = self.literals[index]
            if not line.startswith(literal, position):
                common = 0
                while line[position + common : position + common + 1] == literal[common]:
                    common += 1
                return _error(line, position + common, _after(self.literals, self.parts, index))
            position += len(literal)
            if index == anchor.last:
                break
            found = re.compile(self.parts[index].wide(backward=False), re.ASCII).match(line, position)
            if not found:
                part = self.parts[index]
                return _error(line, position, f"expected {_EXPECTED.get(part.field.kind, 'a value')} for {part.label}")
            position = found.end()
        return _error(line, position, f"expected the end of the line after {self.parts[-1].label}")

    @cached_property
    def anchors(self) -> list[_Anchor]:
        """What stands between the free values, from left to right."""
        anchors, first = [], 0
        soft = [index for index, part in enumerate(self.parts) if not part.hard]
        for index in [*soft, len(self.parts)]:
            forward = backward = ""
            for at in range(first, index + 1):
                literal = self.literals[at]
                forward += re.escape(literal)
                backward = re.escape(literal[::-1]) + backward
                if at < index:
                    forward += f"({self.parts[at].wide(backward=False)})"
                    backward = f"({self.parts[at].wide(backward=True)})" + backward
            anchors.append(_Anchor(first, index, re.compile(forward, re.ASCII), re.compile(backward, re.ASCII)))
            first = index + 1
        return anchors


def _is_longer(sni: str) -> bool:
    """Whether what would be an SNI at the end is a value more: a line of a longer format, such as Istio 1.3's."""
    return sni.count(" ") == 1 and '"' not in sni


def _flip(found: re.Match[str], size: int) -> list[Span]:
    """Spans of a match in the mirrored line, as spans of the line: the whole, then its fields from left to right."""
    spans = [(size - end, size - start) for start, end in (found.span(g) for g in range(found.re.groups + 1))]
    return [spans[0], *reversed(spans[1:])]


def _error(line: str, position: int, reason: str) -> LineError:
    byte = byte_offset(line, position)
    return LineError(f"{reason} at byte {byte}", byte)


def _after(literals: tuple[str, ...], parts: tuple[Part, ...], index: int) -> str:
    what = f"expected {literals[index][:_SHOWN]!r}" if literals[index] else "expected the end of the line"
    return f"{what} after {parts[index - 1].label}" if index else f"{what} at the beginning,"


def _columns(parts: tuple[Part, ...]) -> tuple[tuple[Column, ...], tuple[int, ...]]:
    """The columns of the fields; an operator that stands twice counts once, by its first place."""
    first: dict[str, int] = {}
    for index, part in enumerate(parts):
        first.setdefault(part.label, index)
    return tuple(parts[index].field.column for index in first.values()), tuple(first.values())
