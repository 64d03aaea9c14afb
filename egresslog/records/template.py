"""Reads an Envoy format string: the text between the operators, and the operators."""

from __future__ import annotations

import re
from dataclasses import dataclass

from egresslog.errors import FormatError
from egresslog.records.operators import FormatField, format_field

# Envoy's own grammar: a name, an argument that ends at the first `)` which also ends the operator, a length.
_OPERATOR = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\((.*?)\))?(?::\d+)?%)")


@dataclass(frozen=True)
class Template:
    """``literals[0] fields[0] literals[1] ... fields[-1] literals[-1]``: one literal more than fields."""

    literals: tuple[str, ...]
    fields: tuple[FormatField, ...]


def parse_template(text: str) -> Template:
    """Splits a format string into literals and fields.

    The newline that ends a format belongs to the line, not to the record, and is dropped.

    Raises:
        FormatError: a lone ``%``, no operator at all, or a newline inside (one record would span several lines).
    """
    body = re.sub(r"(?:\r?\n|\\n)\Z", "", text)
    if "\n" in body:
        raise FormatError(
            "a newline inside the format: each record would span several lines, which cannot be told apart",
            body,
            body.index("\n"),
        )
    literals, fields, position = [""], [], 0
    while (percent := body.find("%", position)) >= 0:
        literals[-1] += body[position:percent]
        found = _OPERATOR.match(body, percent)
        if not found:
            raise FormatError(
                "expected an operator such as %START_TIME% or %REQ(HOST)% (a plain % is written %%)",
                body,
                percent,
            )
        if found[1]:
            fields.append(format_field(found[1], found[2] or ""))
            literals.append("")
        else:
            literals[-1] += "%"
        position = found.end()
    literals[-1] += body[position:]
    if not fields:
        raise FormatError("no command operator such as %START_TIME% in the format", body, 0)
    return Template(tuple(literals), tuple(fields))
