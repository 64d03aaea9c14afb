"""How ``%START_TIME%`` prints, and back to nanoseconds.

Without an argument Envoy prints RFC 3339 with milliseconds in UTC. An argument is strftime as absl knows it, with
Envoy's ``%s`` (seconds since 1970), ``%f`` and ``%1f`` to ``%9f`` (digits of the second).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.records.schema import ARROW

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WHOLE = {"T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y"}

# Directive -> what it prints. Each pattern reads the same backwards, so a line can be matched from its end, too.
_ATOMS = {
    "Y": r"\d{4}", "m": r"\d\d", "d": r"\d\d", "e": r"[ \d]\d", "H": r"\d\d", "I": r"\d\d", "M": r"\d\d",
    "S": r"\d\d", "y": r"\d\d", "j": r"\d{3}", "b": r"[A-Za-z]{3}", "h": r"[A-Za-z]{3}", "B": r"[A-Za-z]{3,9}",
    "a": r"[A-Za-z]{3}", "A": r"[A-Za-z]{6,9}", "p": r"[AaPp][Mm]", "s": r"\d{1,11}", "z": r"[-+:\d]{3,6}|Z",
    "Z": r"[A-Z]{1,5}", "u": r"\d", "w": r"\d",
}  # fmt: skip
_DIRECTIVE = re.compile(r"%(?:(E(?:\d|\*)?[Sfz]|\d?f)|([A-Za-z%]))")
_LENGTH = re.compile(r"\{\d+(?:,\d+)?\}")
_ANY_LENGTH = re.compile(r"\{\d+,\d+\}")
_PLACES = 9
_LONGEST = 1000  # directives and characters of plain text; a longer argument is kept as text


@dataclass(frozen=True)
class TimeFormat:
    """The pattern of a printed time, forwards and backwards; ``parts`` is empty for RFC 3339."""

    forward: str
    backward: str
    parts: re.Pattern[str] | None = None

    def convert(self, texts: Sequence[str | None]) -> tuple[pa.Array, pa.Array]:
        """Times of ``texts`` (timestamp[ns, UTC]) and how many digits of a second each printed (int8).

        Raises:
            ValueError: a text is no date, such as the 13th month, or before 1677 or after 2262.
        """
        if self.parts is None:
            column = pa.array(texts, pa.string())
            digits = pc.utf8_length(pc.replace_substring_regex(column, r"^[^.]*\.?(\d*).*$", r"\1"))
            return column.cast(ARROW["time"]), digits.cast(pa.int8())
        pairs = [(None, 0) if text is None else _nanoseconds(self.parts, text) for text in texts]
        times = pa.array([when for when, _ in pairs], pa.int64()).cast(ARROW["time"])
        return times, pa.array([places for _, places in pairs], pa.int8())


RFC3339 = TimeFormat(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)",
    r"(?:Z|\d\d:?\d\d[+-])(?:\d{1,9}\.)?\d\d:\d\d:\d\dT\d\d-\d\d-\d{4}",
)


@cache
def time_format(argument: str) -> TimeFormat | None:
    """How ``%START_TIME(argument)%`` prints; None when the argument has a directive that no date can be made of."""
    if not argument:
        return RFC3339
    atoms = _atoms(argument)
    if atoms is None or len(atoms) > _LONGEST:
        return None
    patterns = [pattern for _, pattern in atoms]
    if not (_is_clear(patterns) and _is_clear(reversed(patterns))):
        return None
    names = {name for name, _ in atoms}
    if not ("s" in names or names >= {"m", "d"} or names >= {"b", "d"}):
        return None
    seen: set[str] = set()
    parts = ""
    for name, pattern in atoms:
        parts += f"(?P<{name}>{pattern})" if name and name not in seen else f"(?:{pattern})"
        seen.add(name)
    return TimeFormat(
        "".join(f"(?:{pattern})" for pattern in patterns),
        "".join(f"(?:{pattern})" for pattern in reversed(patterns)),
        re.compile(parts),
    )


def _atoms(argument: str) -> list[tuple[str, str]] | None:
    """What an argument prints, in order: a directive's letter, or "" for plain text, and the pattern."""
    atoms: list[tuple[str, str]] = []
    position = 0
    for found in _DIRECTIVE.finditer(argument):
        atoms += [("", re.escape(char)) for char in argument[position : found.start()]]
        fraction, letter = found.groups()
        if fraction:
            atoms += _fraction(fraction)
        elif letter == "%":
            atoms.append(("", "%"))
        elif letter in _WHOLE:
            atoms += _atoms(_WHOLE[letter]) or []
        elif letter in _ATOMS:
            atoms.append((letter, _ATOMS[letter]))
        else:
            return None
        position = found.end()
    return atoms + [("", re.escape(char)) for char in argument[position:]]


def _is_clear(patterns: Iterable[str]) -> bool:
    """Whether it shows where each value of any length ends (such as `%s`): what ends it comes before the next one.

    Else a text that fits only nearly would be tried in each way to cut it, and none would be the right one.
    """
    unended: frozenset[str] = frozenset()  # what the last value of any length may go on with
    for pattern in patterns:
        characters = _characters(pattern)
        if not unended & characters:
            unended = frozenset()
        if _ANY_LENGTH.search(pattern):
            if unended:
                return False
            unended = characters
    return True


@cache
def _characters(pattern: str) -> frozenset[str]:
    """The characters that a pattern takes, as far as they are ASCII."""
    items = re.findall(r"\[[^\]]*\]|\\?.", _LENGTH.sub("", pattern), re.DOTALL)
    one = re.compile("|".join(item for item in items if item != "|"), re.ASCII | re.DOTALL)
    return frozenset(char for char in map(chr, range(128)) if one.fullmatch(char))


def _fraction(directive: str) -> list[tuple[str, str]]:
    """Atoms of ``%3f``, ``%f`` (nine digits), ``%E3S`` and ``%E*S`` (seconds with a fraction), ``%Ez``."""
    if directive.endswith("z"):
        return [("z", _ATOMS["z"])]
    count = directive.strip("EfS")
    digits = rf"\d{{{count}}}" if count.isdigit() else rf"\d{{1,{_PLACES}}}" if count else rf"\d{{{_PLACES}}}"
    if directive.endswith("f"):
        return [("f", digits)]
    return [("S", r"\d\d"), *([("", r"\."), ("f", digits)] if count else [])]


def _nanoseconds(parts: re.Pattern[str], text: str) -> tuple[int, int]:
    """Nanoseconds since 1970 and the digits of a second printed."""
    found = parts.fullmatch(text)
    if not found:
        raise ValueError(text)
    got = found.groupdict()
    fraction = got.get("f") or ""
    if "s" in got:
        seconds = int(got["s"])
    else:
        month = _MONTHS.index((got.get("b") or got.get("h") or got.get("B") or "")[:3].lower()) + 1 if (
            {"b", "h", "B"} & got.keys()
        ) else int(got["m"])  # fmt: skip
        year = int(got["Y"]) if "Y" in got else _century(int(got["y"])) if "y" in got else 1970
        hour = int(got.get("H") or got.get("I") or 0)
        if "p" in got:
            hour = hour % 12 + (12 if got["p"].lower() == "pm" else 0)
        when = datetime(
            year, month, int(got.get("d") or got.get("e") or 1), hour, int(got.get("M") or 0),
            int(got.get("S") or 0), tzinfo=UTC,
        )  # fmt: skip
        seconds = int((when - _offset(got.get("z"))).timestamp())
    return seconds * 10**_PLACES + int(fraction.ljust(_PLACES, "0") or 0), len(fraction)


def _century(year: int) -> int:
    """POSIX: 69 to 99 are the 1900s."""
    return year + (1900 if year > 68 else 2000)  # noqa: PLR2004


def _offset(zone: str | None) -> timedelta:
    """`+0100`, `+01:00`, `Z` or nothing: Envoy's times are UTC unless they say otherwise."""
    if zone is None or zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
    return -size if zone[0] == "-" else size
