r"""Parses lines of a text format: split from both ends, linear in the line's length.

Envoy's text log quotes nothing (envoyproxy/envoy#4191), so a client may write ``" "`` into a header and forge columns.

*Strict*, the quick way, is one regular expression in which no value holds a quote, nor a blank (or what else separates)
where several free values stand side by side. Every quote and separator of the line is then one of the format's own, so
there is only one way to split it. *Wide*, the way for all other lines, lets free text hold anything: what lies between
free values, an *anchor* of literals and hard values, is looked for from the left and from the right. Each search finds
the outermost places, so the split is unique exactly when both agree; if not, the line is ambiguous.

Neither backtracks over free text: every hard value ends where the literal after it begins, which its alphabet excludes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from egresslog.errors import LineError
from egresslog.records import times
from egresslog.records.schema import Column, Field, Kind, custom_column
from egresslog.records.template import Template

# Hard kinds: the pattern in a strict line, in a wide one, and the characters it may hold. Those without a pattern in
# _BACKWARD read the same backwards. 18 digits are what surely fits 64 bits.
_WORD = r'[^ \t"]'
_METHOD = r"[-!#$%&'*+.^_`|~0-9A-Za-z]"
_FLAGS = r"[-\w,]"
_HARD = {
    Kind.NUMBER: (r"-?\d{1,18}", r"(?:-?\d{1,18}|-|)", r"[-\d]"),
    Kind.LENIENT: (r"\d{1,18}", rf"{_WORD}*", _WORD),
    Kind.PROTOCOL: (r"HTTP/\d(?:\.\d)?", r"(?:HTTP/\d(?:\.\d)?|-|)", r"[-HTP/\d.]"),
    Kind.METHOD: (rf"{_METHOD}+", rf"{_METHOD}*", _METHOD),
    Kind.FLAGS: (rf"{_FLAGS}+", rf"{_FLAGS}*", _FLAGS),
    Kind.TOKEN: (rf"{_WORD}+", rf"{_WORD}*", _WORD),
    # The details may quote the names in the outside server's certificate.
    Kind.DETAIL: (rf"{_WORD}+", r"[^ \t]*", r"[^ \t]"),
    # So may a failure reason; but with `" "` inside, Istio 1.1's one quoted value would swallow the two of 1.2.
    Kind.QUOTED: (r'[^"]+', r'(?:[^"]|"(?! ))*', r'[^"]'),
}
_BACKWARD = {
    Kind.NUMBER: r"(?:\d{1,18}-?|-|)",
    Kind.PROTOCOL: r"(?:(?:\d\.)?\d/PTTH|-|)",
    Kind.QUOTED: r'(?:[^"]|(?<! )")*',
}
_FREE = {"REQUESTED_SERVER_NAME", "ROUTE_NAME"}
_BLANK = re.compile(r'[ \t"]')
_DIGITS = re.compile(r"-?\d{1,18}", re.ASCII)
_EXPECTED = {Kind.TIME: "a time", Kind.NUMBER: "a number of at most 18 digits", Kind.PROTOCOL: "a protocol"}

Span = tuple[int, int]


class Row(NamedTuple):
    """The values of one line, in the order of the format's columns: text or None."""

    values: tuple[str | None, ...]
    ambiguous: bool


@dataclass(frozen=True)
class _Part:
    """One field, and how it is matched here."""

    field: Field
    hard: bool
    optional: bool  # may print nothing at all (omitEmptyValues)
    glued: bool  # stands right behind free text, without a blank (Istio 1.0's protocol)
    shape: times.Shape | None

    @property
    def label(self) -> str:
        return self.field.column.name

    def wide(self, backward: bool) -> str:
        """The pattern in an anchor (hard parts only)."""
        if self.shape:
            return self.shape.backward if backward else self.shape.forward
        wide = _HARD[self.field.kind][1]
        pattern = _BACKWARD.get(self.field.kind, wide) if backward else wide
        if not self.optional:
            pattern = pattern.removesuffix("|)") + ")" * pattern.endswith("|)")
        if not self.glued:
            return pattern
        return f"{pattern}(?! )" if backward else f"(?<! ){pattern}"


@dataclass(frozen=True)
class _Anchor:
    """What stands between two free values: literals and hard parts in turn, from literal ``first`` to ``last``."""

    first: int
    last: int
    forward: re.Pattern[str]
    backward: re.Pattern[str]


class TextFormat:
    """A compiled text format: ``match`` a line, ``explain`` why one does not match."""

    def __init__(self, template: Template) -> None:
        self.literals = template.literals
        self.parts = _parts(template)
        self.columns, self._kept = _columns(self.parts)
        #: Source of the quick pattern, to be put behind an envelope's prefix; None if it would not be safe.
        self.strict_source = _strict(self.literals, self.parts, self._kept)
        clients = [index for index, part in enumerate(self.parts) if part.field.client]
        self._last_client = clients[-1] if clients else -1

    @cached_property
    def strict(self) -> re.Pattern[str] | None:
        """The quick pattern: one group for each column."""
        return re.compile(self.strict_source, re.ASCII) if self.strict_source is not None else None

    def shape(self, column: str) -> times.Shape | None:
        """How a time column prints."""
        return next((part.shape for part in self.parts if part.label == column), None)

    def match(self, line: str) -> Row | None:
        """The line's values, or None if it is not of this format."""
        if self.strict is not None and (found := self.strict.match(line)):
            return Row(found.groups(), ambiguous=False)
        return self.match_wide(line)

    def match_wide(self, line: str) -> Row | None:
        """As ``match``, without the quick way."""
        splits = self._split(line)
        if splits is None:
            return None
        left, right = splits
        ambiguous = left != right
        forged_tail = False
        values: list[str | None] = []
        for index, part in enumerate(self.parts):
            same = left[index] == right[index]
            start, end = right[index]
            text = line[start:end]
            if index > self._last_client:
                # What follows the client's headers is Envoy's own: the last place it fits is the true one.
                forged_tail |= part.hard and not same
                known = same or part.hard or (forged_tail and not _BLANK.search(text))
            else:
                known = same
            value = None if not known or text == "-" or (part.hard and not text) else text
            if value is not None and part.field.kind in {Kind.NUMBER, Kind.LENIENT}:
                if not _DIGITS.fullmatch(value):
                    if part.field.kind is Kind.NUMBER:
                        return None
                    value = None
            elif value is not None and part.label == "authority" and '"' in value:
                # No server takes such a host: a forged SNI or header lies behind it.
                ambiguous = True
            values.append(value)
        return Row(tuple([values[index] for index in self._kept]), ambiguous)

    def _split(self, line: str) -> tuple[list[Span], list[Span]] | None:
        """The spans of all fields in the left-most and in the right-most split, or None if there is no split."""
        size, first, last = len(line), self._anchors[0], self._anchors[-1]
        head = first.forward.match(line)
        if not head:
            return None
        if first is last:
            spans = [head.span(group + 1) for group in range(len(self.parts))]
            return (spans, spans) if head.end() == size else None
        mirror = line[::-1]
        tail = last.backward.match(mirror)
        if not tail or head.end() > size - tail.end():
            return None
        left, right = [head], [tail]
        for anchor in self._anchors[1:-1]:
            found = anchor.forward.search(line, left[-1].end(), size - tail.end())
            if not found:
                return None
            left.append(found)
        for anchor in self._anchors[-2:0:-1]:
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

    def explain(self, line: str) -> LineError:
        """Says where, from the left, the line stops to fit."""
        position = 0
        for number, anchor in enumerate(self._anchors):
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
        return _error(line, position, "a number was expected and something else was found")

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
    def _anchors(self) -> list[_Anchor]:
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


def _flip(found: re.Match[str], size: int) -> list[Span]:
    """Spans of a match in the mirrored line, as spans of the line: the whole, then its fields from left to right."""
    spans = [(size - end, size - start) for start, end in (found.span(g) for g in range(found.re.groups + 1))]
    return [spans[0], *reversed(spans[1:])]


def _error(line: str, position: int, reason: str) -> LineError:
    byte = len(line[:position].encode("utf-8", "surrogatepass" if position < len(line) else "surrogateescape"))
    return LineError(f"{reason} at byte {byte}", byte)


def _after(literals: tuple[str, ...], parts: tuple[_Part, ...], index: int) -> str:
    what = f"expected {literals[index]!r}" if literals[index] else "expected the end of the line"
    return f"{what} after {parts[index - 1].label}" if index else f"{what} at the beginning,"


def _parts(template: Template) -> tuple[_Part, ...]:
    """Decides for each field whether it is hard: its neighbours show where it begins and ends."""
    parts = []
    last = len(template.fields) - 1
    for index, field in enumerate(template.fields):
        before, after = template.literals[index], template.literals[index + 1]
        kind, shape, hard = field.kind, None, False
        if kind is Kind.TIME:
            shape = times.shape(field.argument)
            if shape is None:  # a directive no date can be made of: keep the text
                kind = Kind.TEXT
            hard = shape is not None
        elif kind is Kind.TEXT and index == last and field.operator == "REQUESTED_SERVER_NAME" and not after:
            # At the end of a line a free SNI would swallow the tail of a longer format.
            kind = Kind.TOKEN
        elif kind is Kind.TEXT and field.named and not field.client and before[-1:] == after[:1] == '"':
            kind = field.kind if field.operator in _FREE else Kind.QUOTED
        delimited = bool(before or not index) and bool(after or index == last)
        if kind in _HARD:
            alphabet = re.compile(_HARD[kind][2], re.ASCII)
            hard = not (alphabet.match(before[-1:]) or alphabet.match(after[:1]))
            # `HTTP/1.1` glued to the path (Istio 1.0) ends it as surely as a blank would.
            hard &= delimited or (kind is Kind.PROTOCOL and bool(after))
        if kind is not field.kind:
            column = custom_column(f"{field.column.name}_text", kind) if field.kind is Kind.TIME else field.column
            field = replace(field, kind=kind, column=column)  # noqa: PLW2901
        parts.append(_Part(field, hard, delimited and not field.always, hard and bool(index) and not before, shape))
    return tuple(parts)


def _columns(parts: tuple[_Part, ...]) -> tuple[tuple[Column, ...], tuple[int, ...]]:
    """The columns of the fields; an operator that stands twice counts once, by its first place."""
    first: dict[str, int] = {}
    for index, part in enumerate(parts):
        first.setdefault(part.label, index)
    return tuple(parts[index].field.column for index in first.values()), tuple(first.values())


def _strict(literals: tuple[str, ...], parts: tuple[_Part, ...], kept: tuple[int, ...]) -> str | None:
    """The quick pattern, one group for each part of ``kept``; None where it could not promise a unique split."""
    separators: dict[int, str] = {}
    segment: list[int] = []
    for index in range(len(parts)):
        if index and '"' in literals[index]:
            segment = []
        segment.append(index)
        soft = [at for at in segment if not parts[at].hard]
        if len(soft) < 2:  # noqa: PLR2004
            continue
        hard = [re.compile(_HARD[parts[at].field.kind][2]) for at in segment if parts[at].hard and not parts[at].shape]
        shared = set.intersection(*(set(literals[at]) for at in segment[1:]))
        usable = [char for char in sorted(shared) if not (char.isalnum() or char in ".:-+/")]
        usable = [char for char in usable if not any(alphabet.match(char) for alphabet in hard)]
        if not usable:
            return None
        separators |= dict.fromkeys(soft, usable[0])
    pattern = re.escape(literals[0])
    for index, part in enumerate(parts):
        value = _strict_field(part, separators.get(index, ""))
        pattern += value if index in kept else re.sub(r"\((?!\?)", "(?:", value)
        pattern += re.escape(literals[index + 1])
    return pattern + r"\Z"


def _strict_field(part: _Part, separator: str) -> str:
    """One group; a value that is absent (`-`, or nothing) leaves it unset."""
    if part.shape:
        return f"({part.shape.forward})"
    nothing = "|" if part.optional else ""
    if not part.hard:
        free = rf'[^"{re.escape(separator)}]*'
        if part.field.kind is Kind.NUMBER:
            free = r"-?\d{1,18}"
        elif part.field.kind is Kind.LENIENT:
            return rf"(?:(\d{{1,18}})|{free})"
        return f"(?:-|({free}))"
    if part.field.kind is Kind.LENIENT:
        return rf"(?:(\d{{1,18}})|{_WORD}*)"
    glue = "(?<! )" if part.glued else ""
    return f"{glue}(?:-|({_HARD[part.field.kind][0]}){nothing})"
