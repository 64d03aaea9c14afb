"""Bytes of whole lines -> records, rejects and counts. Pure: no I/O, and the same answer however the bytes are cut.

records + other + rejects = lines. What carries over from chunk to chunk is small: the unfinished parts of a CRI line,
and whether the line before was the proxy's own message, whose continuation lines have no mark of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from egresslog.errors import LineError
from egresslog.records import batch as columns
from egresslog.records import envelope
from egresslog.records.assembly import Assembler, Message, entry_text
from egresslog.records.catalogue import Formats, LineMatch
from egresslog.records.chunk import Chunk, Counts, Parsed, RawLines, Reject
from egresslog.records.classifier import Classifier, Entries, ProxyMessage
from egresslog.records.format import Format
from egresslog.records.partial_line import TOO_LONG, PartialLine
from egresslog.records.rows import Rows, by_position, line_order
from egresslog.records.surrogates import clean
from egresslog.records.unwrapping import Unwrapping

_ENVELOPES_DEEP = 8


@dataclass(frozen=True)
class _LinePattern:
    """The pattern that takes the next line if it is like the last: envelopes and format in one expression."""

    match: Callable[[str], re.Match[str] | None]
    format: Format
    envelopes: tuple[str, ...]


class Parser:
    """Parses one stream of lines: a file, or one container's log. Feed it chunks in order, then ``finish``."""

    def __init__(self, formats: Formats, unwrapping: Unwrapping = Unwrapping()) -> None:  # noqa: B008  (immutable)
        self.formats = formats
        self.schema = columns.output_schema(formats.columns)
        self._classifier = Classifier(formats, unwrapping)
        self._origin = ""
        self._parts: dict[str, PartialLine] = {}
        self._continues = False
        self._in_sni = False  # the line before may have been cut by a newline in its SNI, and this one be forged
        self._assembler = Assembler()
        self._pattern: _LinePattern | None = None
        self._patterns: dict[tuple[str, ...], _LinePattern] = {}
        self._begin()

    def _begin(self) -> None:
        self._groups: dict[str, Rows] = {}
        self._rejects: list[Reject] = []
        self._other = 0
        self._envelopes: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._joined: dict[int, str] = {}  # lines made of several, as they came

    def feed(self, chunk: Chunk) -> Parsed:
        """Parses the lines of a chunk."""
        self._begin()
        self._origin = chunk.origin
        data = chunk.data.replace(b"\r\n", b"\n")
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        last = lines.pop()
        if last:  # a file's last line, without newline
            lines.append(last.removesuffix("\r"))
        if chunk.broken:
            self._refuse(lines[0], chunk.first, f"{chunk.broken} at byte {len(data)}")
            return self._end([], chunk.first)
        pattern: _LinePattern | None = None
        rows: list[tuple[Any, ...]] = []
        numbers: list[int] = []
        start = 0
        for number, line in enumerate(lines, chunk.first):
            if pattern is not None and (found := pattern.match(line)):
                rows.append(found.groups())
                numbers.append(number)
                continue
            if numbers and numbers[-1] == number - 1:
                self._continues = False
            self._line(line, number)
            # A line that goes on in parts must not be overtaken by the quick way; nor one that may be forged.
            following = None if self._parts or self._in_sni or self._assembler.is_busy else self._pattern
            if following is not pattern:
                self._count_pattern(pattern, len(rows) - start)
                pattern = following
                if pattern is not None:
                    group = self._group(pattern.format)
                    rows, numbers = group.rows, group.numbers
                    start = len(rows)
        self._count_pattern(pattern, len(rows) - start)
        if lines and numbers and numbers[-1] == chunk.first + len(lines) - 1:
            self._continues = False
        return self._end(lines, chunk.first)

    def finish(self) -> Parsed:
        """What is left when the stream ends: lines whose last part never came."""
        self._begin()
        for message in self._assembler.end():
            self._joined[message.number] = message.raw
            self._take(message)
        for stream in list(self._parts):
            part = self._parts.pop(stream)
            self._joined[part.number] = raw = "\n".join(part.raw)
            if part.is_too_long:
                self._refuse(raw, part.number, TOO_LONG)
            else:
                note = "the line's last part is missing; "
                self._message("".join(part.message), raw, part.number, ("cri",), note=note)
        return self._end([], 0)

    def _line(self, line: str, number: int) -> None:
        """A line, or a part of something that spans several lines."""
        if self._parts:  # a line that its transport cut goes on
            self._message(line, line, number, ())
            return
        for message in self._assembler.feed(number, line, after_cut=self._in_sni):
            if message.raw is not line and not message.is_entry:
                self._joined[message.number] = message.raw
            self._take(message)

    def _take(self, message: Message) -> None:
        if message.problem:
            self._refuse(message.raw, message.number, message.problem)
            return
        self._in_sni |= message.may_be_forged
        self._message(
            message.value, message.raw, message.number, message.envelopes,
            trusted=message.trusted, own_raw=message.is_entry,
        )  # fmt: skip

    def _message(
        self,
        message: Any,
        raw: str,
        number: int,
        envelopes: tuple[str, ...],
        *,
        trusted: bool = True,
        own_raw: bool = False,
        note: str = "",
    ) -> None:
        """Takes envelopes off until records, a message of the proxy or a reject are left.

        Args:
            message: text, or a JSON value.
            raw: what stands for it as its line.
            number: of its line.
            envelopes: those that were taken off.
            trusted: whether all of them are known: else what is inside proves nothing.
            own_raw: ``raw`` is not the line of that number, but a part of it.
            note: goes before the reason of a reject.
        """
        while True:
            found = self._classifier.classify(message, envelopes, self._pattern.format if self._pattern else None)
            if isinstance(found, LineMatch):
                self._record(found, number, envelopes, trusted=trusted, own_raw=raw if own_raw else None)
            elif isinstance(found, ProxyMessage):
                self._other += 1
                # A blank line neither begins nor ends a message.
                self._continues |= not isinstance(message, str) or bool(message.strip())
            elif isinstance(found, Entries) and len(envelopes) < _ENVELOPES_DEEP:
                in_sni = self._in_sni
                for value in found.values:
                    self._in_sni = in_sni
                    self._message(value, entry_text(value), number, envelopes, trusted=trusted, own_raw=True)
            elif isinstance(found, envelope.Envelope) and len(envelopes) < _ENVELOPES_DEEP:
                message, envelopes = found.message, (*envelopes, found.name)
                trusted &= found.known
                if isinstance(message, str) and (found.partial or found.stream in self._parts):
                    part = self._rejoin(found, message, raw, number)
                    if part is None:
                        return
                    message, raw = "".join(part.message), "\n".join(part.raw)
                continue
            elif self._continues and self._is_continuation(message, raw):
                self._other += 1
            else:
                reason = found.reason if isinstance(found, LineError) else "too many envelopes around it at byte 0"
                self._refuse(raw, number, note + reason)
                self._in_sni = isinstance(message, str) and any(
                    log_format.text.ends_in_sni(message) for log_format in self.formats.all if log_format.text
                )
            return

    def _rejoin(self, found: envelope.Envelope, message: str, raw: str, number: int) -> PartialLine | None:
        """The parts of a line that its transport cut; None while it goes on, or where it is too long."""
        part = self._parts.setdefault(found.stream, PartialLine(number))
        part.add(raw, message)
        if found.partial:
            return None
        del self._parts[found.stream]
        # It bears the number of its last part: numbers rise in the order lines are completed.
        self._joined[number] = "\n".join(part.raw)
        if part.is_too_long:
            self._refuse(self._joined[number], number, TOO_LONG)
            return None
        return part

    @staticmethod
    def _is_continuation(message: Any, raw: str) -> bool:
        """Whether a message goes on that the proxy's own began, such as a configuration printed as JSON."""
        return envelope.continues(message) if isinstance(message, str) else not envelope.access_mark(raw)

    def _group(self, log_format: Format) -> Rows:
        return self._groups.setdefault(log_format.name, Rows(log_format))

    def _record(
        self, found: LineMatch, number: int, envelopes: tuple[str, ...], *, trusted: bool, own_raw: str | None
    ) -> None:
        ambiguous = found.ambiguous or self._in_sni or not trusted
        self._group(found.format).add(found.values, number, ambiguous=ambiguous, raw=own_raw, upstreams=found.upstreams)
        self._continues = self._in_sni = False
        self._unknown.update(map(clean, found.unknown_keys))
        self._envelopes.update(envelopes)
        text = found.format.text
        if found.format.json or text is None or text.strict_source is None:
            return
        key = (*envelopes, found.format.name)
        if key not in self._patterns:
            if not all(name in envelope.PREFIXES for name in envelopes):
                return
            source = "".join(f"(?:{envelope.PREFIXES[name]})" for name in envelopes) + text.strict_source
            self._patterns[key] = _LinePattern(re.compile(source, re.ASCII).match, found.format, envelopes)
        self._pattern = self._patterns[key]

    def _count_pattern(self, pattern: _LinePattern | None, rows: int) -> None:
        if pattern is not None and rows:
            self._envelopes.update(dict.fromkeys(pattern.envelopes, rows))

    def _refuse(self, raw: str, number: int, reason: str) -> None:
        self._rejects.append(Reject(clean(self._origin), number, clean(raw), reason))
        self._continues = False

    def _end(self, lines: list[str], first: int) -> Parsed:
        """The batch of what was gathered, in the order of the lines."""
        raw = RawLines(self._joined, lines, first)
        groups = [group for group in self._groups.values() if group.rows]
        batch, bad = self._build(groups, raw)
        if bad:
            start = 0
            for group in groups:
                wrong = {at - start for at in bad if start <= at < start + len(group.rows)}
                for at in sorted(wrong):
                    number = group.numbers[at]
                    self._refuse(group.raws.get(at) or raw[number], number, bad[start + at])
                start += len(group.rows)
                group.drop(wrong)
            groups = [group for group in groups if group.rows]
            batch, _ = self._build(groups, raw)
            self._rejects.sort(key=lambda reject: reject.line_number)
        records = sum(len(group.rows) for group in groups)
        counts = Counts(
            records + self._other + len(self._rejects),
            records,
            self._other,
            len(self._rejects),
            sum(len(group.ambiguous) for group in groups),
        )
        names = Counter({group.format.name: len(group.rows) for group in groups})
        return Parsed(batch, self._rejects, counts, names, self._envelopes, self._unknown, raw)

    def _build(self, groups: list[Rows], raw: RawLines) -> tuple[pa.RecordBatch, dict[int, str]]:
        numbers = [number for group in groups for number in group.numbers]
        if not numbers:
            return columns.empty_batch(self.schema), {}
        ambiguous = [at in group.ambiguous for group in groups for at in range(len(group.rows))]
        order = line_order(groups, numbers)
        batch, bad = columns.build_batch(
            [(group.format, group.rows) for group in groups], ambiguous, numbers, self._origin, order
        )
        if bad:
            return batch, bad
        batch = columns.conform(batch, self.schema)
        raw.parts.update(by_position(groups, [group.raws for group in groups], order))
        upstreams = by_position(groups, [group.upstreams for group in groups], order)
        return (columns.with_upstreams(batch, upstreams) if upstreams else batch), {}
