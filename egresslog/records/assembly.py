"""Lines -> messages: most lines are one each; a JSON value or a CSV row may span several lines, or hold several."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from egresslog.records.csv_export import CsvExport
from egresslog.records.documents import Document, opens

_LONG = 64 * 1024  # characters: a longer JSON line may be a whole document, which is not decoded at once


class Message(NamedTuple):
    """One message.

    Attributes:
        number: the line on which it begins.
        value: text, or a JSON value.
        raw: what stands for it as its line.
        envelopes: what was taken off.
        trusted: whether what was taken off is known.
        is_entry: whether it is one of several of its lines, or a part of one.
        may_be_forged: whether it stands behind a line that may have been cut by a newline in its SNI.
        problem: why it is none.
    """

    number: int
    value: Any
    raw: str
    envelopes: tuple[str, ...] = ()
    trusted: bool = True
    is_entry: bool = False
    may_be_forged: bool = False
    problem: str = ""


def entry_text(value: Any) -> str:
    """What stands for an entry as its line: JSON as compact as it can be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Assembler:
    """Makes messages of the lines of one stream, fed in order."""

    def __init__(self) -> None:
        self._document: Document | None = None
        self._csv: CsvExport | None = None
        self._may_be_forged = False

    @property
    def is_busy(self) -> bool:
        """Whether the next line may be a part of something."""
        return self._document is not None or self._csv is not None

    def feed(self, number: int, line: str, *, after_cut: bool) -> Iterator[Message]:
        """The messages that end in a line.

        Args:
            number: of the line.
            line: the line.
            after_cut: the line before may have been cut by a newline in its SNI.
        """
        if number == 1 and (export := CsvExport.begin(line)):
            self._csv = export
            yield Message(number, "", line)  # the header is no line of the log
        elif self._csv:
            yield from self._row(self._csv, number, line)
        elif self._document:
            yield from self._part(self._document, number, line)
        elif (len(line) > _LONG and line[0] in "{[") or opens(line):  # in this order: `opens` decodes
            self._may_be_forged = after_cut
            self._document = Document()
            yield from self._part(self._document, number, line)
        else:
            yield Message(number, line, line)

    def end(self) -> Iterator[Message]:
        """What is left when the stream ends."""
        document, self._document = self._document, None
        pending = document.pending if document else self._csv.pending if self._csv else []
        yield from (Message(number, line, line) for number, line in pending)
        if document and not document.pending:
            problem = f"the JSON value that begins on line {document.first} does not end"
            yield Message(document.last, "", "", problem=problem)

    @staticmethod
    def _row(export: CsvExport, number: int, line: str) -> Iterator[Message]:
        row = export.feed(number, line)
        if row is None:
            return
        problem = "not a CSV row with the columns of the header at byte 0" if row.message is None else ""
        yield Message(row.number, row.message, row.text, ("csv",), problem=problem)

    def _part(self, document: Document, number: int, line: str) -> Iterator[Message]:
        try:
            found = document.feed(number, line)
        except (ValueError, RecursionError):
            # What is no JSON together is what each line is alone; the last one may begin another value.
            self._document = None
            *before, _ = document.pending
            yield from (Message(number, line, line) for number, line in before)
            yield from self.feed(number, line, after_cut=False) if before else [Message(number, line, line)]
            return
        if document.is_complete:
            self._document = None
            if document.first == number and found and found[0].is_whole:  # a long line that is one value
                yield Message(number, line, line)
                return
        for entry in found:
            yield Message(
                entry.number, entry.value, entry_text(entry.value), (), entry.trusted,
                is_entry=True, may_be_forged=self._may_be_forged,
            )  # fmt: skip
