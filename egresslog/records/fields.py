"""The fields of a text format as they can be matched: hard ones, whose end shows, free ones, and the strict pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from egresslog.records import start_time as times
from egresslog.records.operators import FormatField, ValueKind, custom_column
from egresslog.records.template import Template

# Hard kinds: the pattern in a strict line, in a wide one, and the characters it may hold. Those without a pattern in
# _BACKWARD read the same backwards. 18 digits are what surely fits 64 bits.
_WORD = r'[^ \t"]'
METHOD = r"[-!#$%&'*+.^_`|~0-9A-Za-z]"
NUMBER = r"-?\d{1,18}"
_FLAGS = r"[-\w,]"
_HARD = {
    ValueKind.NUMBER: (NUMBER, rf"(?:{NUMBER}|-|)", r"[-\d]"),
    ValueKind.PROTOCOL: (r"HTTP/\d(?:\.\d)?", r"(?:HTTP/\d(?:\.\d)?|-|)", r"[-HTP/\d.]"),
    ValueKind.METHOD: (rf"{METHOD}+", rf"{METHOD}*", METHOD),
    ValueKind.FLAGS: (rf"{_FLAGS}+", rf"{_FLAGS}*", _FLAGS),
    ValueKind.TOKEN: (rf"{_WORD}+", rf"{_WORD}*", _WORD),
    # The details may quote the names in the outside server's certificate, but begin with a word of Envoy's.
    ValueKind.DETAIL: (rf"{_WORD}+", rf"(?:{_WORD}[^ \t]*|)", r"[^ \t]"),
    # So may a failure reason; but with `" "` inside, Istio 1.1's one quoted value would swallow the two of 1.2.
    # In a strict line it begins with no blank, as ` 0 - 0 0 0 ` would in a line of a format that has no such value.
    ValueKind.QUOTED: (r'[^" ][^"]*', r'[^"]*+(?:"(?! )[^"]*+)*+', r'[^"]'),
}
_BACKWARD = {
    ValueKind.NUMBER: r"(?:\d{1,18}-?|-|)",
    ValueKind.PROTOCOL: r"(?:(?:\d\.)?\d/PTTH|-|)",
    ValueKind.DETAIL: rf"(?:[^ \t]*{_WORD}|)",
    # Backwards it may begin at each quote before a blank: a repeat keeps 300 bytes for each, in case it must go back.
    # There are never more: a certificate chain, and so what a reason says of one, has at most 100 KB (BoringSSL).
    ValueKind.QUOTED: (r'[^"]*+(?:(?<! )"(?! )[^"]*+)*+(?:(?<! )"(?= )[^"]*+(?:(?<! )"(?! )[^"]*+)*+){0,65535}'),
}
_FREE = {"REQUESTED_SERVER_NAME", "ROUTE_NAME"}


@dataclass(frozen=True)
class Part:
    """One field, and how it is matched here."""

    field: FormatField
    hard: bool
    optional: bool  # may print nothing at all (omitEmptyValues)
    glued: bool  # stands right behind free text, without a blank (Istio 1.0's protocol)
    empty_is_absent: bool
    time_format: times.TimeFormat | None

    @property
    def label(self) -> str:
        """The column's name."""
        return self.field.column.name

    def wide(self, backward: bool) -> str:
        """The pattern in an anchor (hard parts only)."""
        if self.time_format:
            return self.time_format.backward if backward else self.time_format.forward
        wide = _HARD[self.field.kind][1]
        pattern = _BACKWARD.get(self.field.kind, wide) if backward else wide
        if not self.optional:
            pattern = pattern.removesuffix("|)") + ")" * pattern.endswith("|)")
        if not self.glued:
            return pattern
        return f"{pattern}(?! )" if backward else f"(?<! ){pattern}"


def parts_of(template: Template, *, omit_empty: bool = False, free_end: bool = False) -> tuple[Part, ...]:
    """Decides for each field whether it is hard: its neighbours show where it begins and ends.

    Args:
        template: the format string.
        omit_empty: nothing printed always means absent (`omitEmptyValues`).
        free_end: an SNI at the end of the line may hold anything, too.
    """
    parts: list[Part] = []
    last = len(template.fields) - 1
    for index, field in enumerate(template.fields):
        before, after = template.literals[index], template.literals[index + 1]
        kind, time_format, hard = field.kind, None, False
        delimited = bool(before or not index) and bool(after or index == last)
        if kind is ValueKind.TIME:
            time_format = times.time_format(field.argument)
            # `%s` prints any number of digits: a digit beside it would leave its end open.
            hard = time_format is times.RFC3339 or (
                time_format is not None and delimited and not _digits(before, after)
            )
            if not hard:  # no date can be made of it, or its end does not show: keep the text
                kind, time_format = ValueKind.TEXT, None
        elif kind is ValueKind.TEXT and index == last and field.is_sni and not after:
            # At the end of a line a free SNI would swallow the tail of a longer format.
            kind = ValueKind.TEXT if free_end else ValueKind.TOKEN
        elif _is_quoted(template, index) and _shows_quote(template, parts):
            kind = ValueKind.QUOTED
        if kind in _HARD:
            alphabet = re.compile(_HARD[kind][2], re.ASCII)
            hard = not (alphabet.match(before[-1:]) or alphabet.match(after[:1]))
            # `HTTP/1.1` glued to the path (Istio 1.0) ends it as surely as a blank would.
            hard &= delimited or (kind is ValueKind.PROTOCOL and bool(after))
        if kind is not field.kind:
            column = custom_column(f"{field.column.name}_text", kind) if field.kind is ValueKind.TIME else field.column
            field = replace(field, kind=kind, column=column)  # noqa: PLW2901
        glued = hard and bool(index) and not before
        # A header may be there and empty; what Envoy writes itself is absent then.
        empty = omit_empty or (field.named and not field.client) or field.column.name == "path"
        parts.append(Part(field, hard, delimited and not field.always, glued, empty, time_format))
    return tuple(parts)


def _digits(before: str, after: str) -> bool:
    """Whether a letter or digit stands right beside."""
    return before[-1:].isalnum() or after[:1].isalnum()


def _is_quoted(template: Template, index: int) -> bool:
    """Whether a text that Envoy writes stands in quotes and blanks, between values whose ends show: as in Istio's."""
    field, literals, fields = template.fields[index], template.literals, template.fields
    if field.kind is not ValueKind.TEXT or not field.named or field.client or field.operator in _FREE:
        return False
    if not (literals[index].endswith(' "') and literals[index + 1].startswith('" ')):
        return False
    beside = (*fields[max(index - 1, 0) : index], *fields[index + 1 : index + 2])
    free = {ValueKind.TEXT, ValueKind.LENIENT}
    return all(other.kind not in free or (other.named and not other.client) for other in beside)


def _shows_quote(template: Template, before: list[Part]) -> bool:
    """Whether a `" ` lies between the free text before a failure reason and the reason: as the request's in Istio's.

    Without one, each ` "` in the free text may be where the reason begins, and each would be tried to the line's end.
    """
    free = max((index for index, part in enumerate(before) if not part.hard), default=None)
    return free is None or any('" ' in literal for literal in template.literals[free + 1 : len(before)])


def strict_pattern(literals: tuple[str, ...], parts: tuple[Part, ...], kept: tuple[int, ...]) -> str | None:
    """The quick pattern, one group for each part of ``kept``; None where it could not promise a unique split."""
    separators: dict[int, str] = {}
    segments: list[list[int]] = []  # fields between which the literals have no quote
    for index in range(len(parts)):
        if not index or '"' in literals[index]:
            segments.append([])
        segments[-1].append(index)
    for segment in segments:
        soft = [at for at in segment if not parts[at].hard]
        if len(soft) < 2:  # noqa: PLR2004
            continue
        hard = [
            re.compile(_HARD[parts[at].field.kind][2]) for at in segment if parts[at].hard and not parts[at].time_format
        ]
        shared = set.intersection(*(set(literals[at]) for at in segment[1:]))
        usable = [char for char in sorted(shared) if not (char.isalnum() or char in ".:-+/")]
        usable = [char for char in usable if not any(alphabet.match(char) for alphabet in hard)]
        if not usable:
            return None
        separators |= dict.fromkeys(soft, usable[0])
    pattern = re.escape(literals[0])
    for index, part in enumerate(parts):
        value = _strict_field(part, separators.get(index, ""), literals[index + 1])
        pattern += value if index in kept else re.sub(r"\((?!\?)", "(?:", value)
        pattern += re.escape(literals[index + 1])
    return pattern + r"\Z"


def _strict_field(part: Part, separator: str, after: str) -> str:
    """One group; a value that is absent (`-`, or nothing) leaves it unset.

    There is one way to match a value: of several, a line that fits only nearly would try every combination.
    """
    if part.time_format:
        return f"({part.time_format.forward})"
    end = re.escape(after[:1]) if after else r"\Z"
    kind, nothing = part.field.kind, part.optional
    if part.hard:
        value = _HARD[kind][0]
    elif kind in {ValueKind.NUMBER, ValueKind.LENIENT}:
        value = NUMBER
    else:
        nothing = part.empty_is_absent
        value = rf'[^"{re.escape(separator)}]{"+" if nothing else "*"}'
    ends = bool(after) and re.match(value.rstrip("+*"), after[:1]) is None  # the value cannot run on into the literal
    if kind is ValueKind.LENIENT:
        word = rf'[^ \t"{re.escape(separator)}]*'
        return rf"(?>(\d{{1,18}})(?={end})|{word})" if ends else rf"(?:(\d{{1,18}})(?={end})|(?!\d+{end}){word})"
    if ends or not after:
        return rf"{'(?<! )' * part.glued}(?>-(?={end})|({value}){'|' * nothing})"
    return rf"{'(?<! )' * part.glued}(?:-(?={end})|(?!-{end})({value}){'|' * nothing})"
