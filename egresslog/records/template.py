"""Reads an Envoy format string: the text between the operators, and the operators."""

from __future__ import annotations

import re
from dataclasses import dataclass

from egresslog.errors import FormatError
from egresslog.records.operators import FormatField, format_field
from egresslog.records.surrogates import clean, has_surrogates

#: What a format string or JSON template may have. Istio's longest have 26 operators and 900 characters.
MAX_OPERATORS = 500
MAX_LENGTH = 64 * 1024
# Envoy's own grammar: a name, an argument that ends at the first `)` which also ends the operator, a length.
_OPERATOR = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\((.*?)\))?(?::\d+)?%)")


@dataclass(frozen=True)
class Template:
    """``literals[0] fields[0] literals[1] ... fields[-1] literals[-1]``: one literal more than fields."""

    literals: tuple[str, ...]
    fields: tuple[FormatField, ...]


def check_text(text: str) -> None:
    """Refuses a text that no format has.

    Raises:
        FormatError: it is too long, or no Unicode.
    """
    if len(text) > MAX_LENGTH:
        raise FormatError(f"a format of more than {MAX_LENGTH} characters")
    if has_surrogates(text):
        raise FormatError(f"a format that is no UTF-8 text: {clean(text)[:60]!r}")


def parse_template(text: str) -> Template:
    """Splits a format string into literals and fields.

    The newline that ends a format belongs to the line, not to the record, and is dropped.

    Raises:
        FormatError: a lone ``%``, no operator at all, a newline inside (one record would span several lines), a lone
            surrogate, or more than MAX_OPERATORS operators or MAX_LENGTH characters.
    """
    check_text(text)
    body = re.sub(r"(?:\r?\n|\\n)\Z", "", text)
    if "\n" in body:
        raise FormatError(
            "a newline inside the format: each record would span several lines, which cannot be told apart",
            body,
            body.index("\n"),
        )
    literals, fields, position = [""], list[FormatField](), 0
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
            if len(fields) == MAX_OPERATORS:
                raise FormatError(f"a format of more than {MAX_OPERATORS} operators", body, percent)
            fields.append(format_field(found[1], found[2] or ""))
            literals.append("")
        else:
            literals[-1] += "%"
        position = found.end()
    literals[-1] += body[position:]
    if not fields:
        raise FormatError("no command operator such as %START_TIME% in the format", body, 0)
    return Template(tuple(literals), tuple(fields))
