"""Which values of a line are certain although the line can be split in several ways (docs/access-log-formats.md, 7.4).

Whatever a client or the outside server wrote may hold quotes and blanks, and with them whole pieces of a line. A value
is kept where it is the same in the left-most and in the right-most split, or where only one of the two can be true:

* A request has headers, and what follows the last of them is Envoy's own: the right-most split is true there. (A
  request with an SNI is one at a gateway that ends TLS; its ambiguous lines prove nothing.)
* A TLS connection has no headers. Only its SNI can hold anything, and what stands before it is Envoy's own: the
  left-most split is true there.
* Where neither is certain, as when an SNI holds a piece of a request, nothing else is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import cached_property

from egresslog.records.fields import Part
from egresslog.records.operators import ValueKind

Span = tuple[int, int]

_BLANK = re.compile(r'[ \t"]')


class Writer(Enum):
    """Who can have written text into the line that looks like fields of it."""

    HEADERS = "a client or server, in headers"
    SNI = "a client, in the SNI of a connection that has no headers"
    EITHER = "not known"


class Ambiguity:
    """What is certain in the lines of one format.

    Args:
        literals: the text between the fields.
        parts: the fields.
    """

    def __init__(self, literals: Sequence[str], parts: Sequence[Part]) -> None:
        self._literals = literals
        self._parts = parts
        self._headers = [index for index, part in enumerate(parts) if part.field.client]
        self._sni = next((index for index, part in enumerate(parts) if part.field.is_sni), None)

    @cached_property
    def _protocol(self) -> re.Pattern[str] | None:
        """The protocol of a request with what the format has behind it; None if the format has none."""
        for index, part in enumerate(self._parts):
            if part.field.kind is ValueKind.PROTOCOL:
                return re.compile(r"HTTP/\d(?:\.\d)?" + re.escape(self._literals[index + 1]), re.ASCII)
        return None

    def writer(self, line: str, left: Sequence[Span]) -> Writer:
        """Who can have forged the line, given its left-most split."""
        if self._sni is None:
            return Writer.HEADERS
        # Up to the first forged value the left-most split is true: without headers it shows none.
        if any(line[slice(*left[index])] not in {"-", ""} for index in self._headers):
            return Writer.HEADERS
        if self._headers and (self._protocol is None or self._protocol.search(line)):
            return Writer.EITHER
        return Writer.SNI

    def certain(self, line: str, left: Sequence[Span], right: Sequence[Span]) -> list[str | None]:
        """The text of each field, None where it is not certain."""
        writer = self.writer(line, left)
        last = self._headers[-1] if self._headers else -1
        forged_tail = False
        values: list[str | None] = []
        for index, part in enumerate(self._parts):
            text = line[slice(*right[index])]
            if left[index] == right[index]:
                values.append(text)
            elif writer is Writer.SNI and self._sni is not None and index < self._sni:
                values.append(line[slice(*left[index])])
            elif writer is Writer.HEADERS and index > last and not part.field.is_sni:
                forged_tail |= part.hard
                values.append(text if part.hard or (forged_tail and not _BLANK.search(text)) else None)
            else:
                values.append(None)
        return values
