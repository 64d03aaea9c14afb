r"""JSON as access logs hold it: keys that come twice, bytes that are no UTF-8, and text that only looks like JSON."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Self

from egresslog.errors import LineError
from egresslog.records.surrogates import byte_offset

#: Objects and lists inside each other, in a line and in a template.
MAX_DEPTH = 64
#: Values in one line. Python needs up to 200 bytes for two characters of JSON; access logs have a hundred values.
MAX_VALUES = 10_000
_MAX_MEMBERS = 1000  # values of known keys in a line that is no JSON

# All repeats of more than one kind of text are possessive: others keep 100 to 300 bytes for each time they repeat.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_TOKEN = re.compile(rf'{_STRING}(?:"|\Z)|[\[{{\]}},]', re.DOTALL)
_OCTAL = re.compile(r"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)
# A key with a string, a number or nothing like that, wherever in a line: a quote may have broken the object around it.
_MEMBER = re.compile(
    rf'"([^"\\]{{1,256}})"\s{{0,8}}:\s{{0,8}}({_STRING}"(?=\s{{0,8}}[,}}])|[-\w.+]{{1,40}}(?=\s{{0,8}}[,}}])|)'
)


class DuplicateKeys(dict[str, Any]):
    """An object in which a key came twice: somebody forged a quote into a text that only looks like JSON.

    Such a key's value is None; ``every`` has all its values.
    """

    every: Mapping[str, list[Any]]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Any]]) -> Self:
        """An object of keys and values as they came."""
        every: dict[str, list[Any]] = {}
        for key, value in pairs:
            every.setdefault(key, []).append(value)
        repeated = cls({key: values[0] if len(values) == 1 else None for key, values in every.items()})
        repeated.every = every
        return repeated


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    return DuplicateKeys.of(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, strict=False)


def load(line: str) -> Any:
    """The JSON value in ``line``, with octal escapes read as the bytes they stand for.

    Raises:
        LineError: not JSON, more than MAX_VALUES values, or nested deeper than MAX_DEPTH.
    """
    _check_size(line)
    try:
        return _DECODER.decode(line)
    except json.JSONDecodeError as error:
        problem = error
    except (ValueError, RecursionError):
        raise LineError("a number or nesting too large for JSON at byte 0", 0) from None
    if "Invalid \\escape" in problem.msg:
        try:
            # Bytes become the lone surrogates that Python's `surrogateescape` uses for them in text lines, too.
            return _DECODER.decode(_without_octal(line))
        except (ValueError, RecursionError):
            pass
    byte = byte_offset(line, problem.pos)
    raise LineError(f"not valid JSON: {problem.msg} at byte {byte}", byte)


def _check_size(line: str) -> None:
    """Refuses what would become more objects than a line is worth, before any of them is made."""
    if line.count("{") + line.count("[") + line.count(",") <= MAX_DEPTH:
        return
    depth = values = 0
    for tokens, found in enumerate(_TOKEN.finditer(line)):
        char = line[found.start()]
        if char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
        values += char in "[{,"
        if depth > MAX_DEPTH:
            byte = byte_offset(line, found.start())
            raise LineError(f"JSON nested deeper than {MAX_DEPTH} at byte {byte}", byte)
        if values > MAX_VALUES or tokens > 4 * MAX_VALUES:
            byte = byte_offset(line, found.start())
            raise LineError(f"JSON of more than {MAX_VALUES} values at byte {byte}", byte)


def _without_octal(line: str) -> str:
    text, position = io.StringIO(), 0
    for found in _OCTAL.finditer(line):
        text.write(line[position : found.start()])
        text.write(_byte(found))
        position = found.end()
    text.write(line[position:])
    return text.getvalue()


def _byte(found: re.Match[str]) -> str:
    if not found[1]:
        return found[0]
    code = int(found[1], 8)
    return f"\\u00{code:02x}" if code < 128 else f"\\udc{code:02x}"  # noqa: PLR2004


def reach(value: Any, path: tuple[str | int, ...]) -> tuple[Any, bool]:
    """The value at ``path``, and whether a key on the way came twice."""
    repeated = False
    for step in path:
        repeated |= isinstance(value, DuplicateKeys)
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value, repeated


def every(value: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    """All values at ``path``, whichever of repeated keys lead there."""
    if not path:
        yield value
    elif isinstance(value, DuplicateKeys):
        for inner in value.every.get(str(path[0]), ()):
            yield from every(inner, path[1:])
    else:
        yield from every(reach(value, path[:1])[0], path[1:])


def members(line: str, keys: AbstractSet[str]) -> DuplicateKeys:
    """Those of ``keys`` that stand anywhere in a line that is no JSON, though it ends as an object does.

    Values that are no string, number or null are None. Of a line with more than a thousand there is none.
    """
    if line.rstrip()[-1:] != "}":
        return DuplicateKeys.of(())
    found = ((found[1], _scalar(found[2])) for found in _MEMBER.finditer(line) if found[1] in keys)
    pairs = list(islice(found, _MAX_MEMBERS + 1))
    return DuplicateKeys.of(pairs if len(pairs) <= _MAX_MEMBERS else ())


def _scalar(text: str) -> Any:
    """The value of a string, number or null as JSON writes it; None for anything else."""
    if not text:
        return None
    try:
        value = load(text)
    except LineError:
        return None
    return None if isinstance(value, dict | list) else value
