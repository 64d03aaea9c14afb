"""The catalogue in parsers/, and which of its formats a line has.

A line is recognized by its text alone. What one format takes the quick way no other takes in any way, whatever a
client wrote into it (tests/test_catalogue.py proves it for each pair), so the answer does not depend on what came
before, and mixed logs parse line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from egresslog.errors import CatalogueError, FormatError, LineError
from egresslog.records.format import Format
from egresslog.records.json_text import members
from egresslog.records.schema import BASE, ERA, Column

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class LineMatch(NamedTuple):
    """What a line turned out to be."""

    format: Format
    values: tuple[Any, ...]
    ambiguous: bool
    unknown_keys: tuple[str, ...] = ()  # JSON keys the format does not have, and that are not kept
    upstreams: tuple[str, ...] = ()  # the values of an upstream_host that came several times


def folder() -> Traversable:
    """The catalogue's folder: inside the package once installed, beside it in a checkout."""
    shipped = files("egresslog") / "parsers"
    return shipped if shipped.is_dir() else Path(__file__).parents[1].with_name("parsers")


@cache
def formats() -> tuple[Format, ...]:
    """All formats of the catalogue, by name.

    Raises:
        CatalogueError: the folder is missing or empty (a broken installation).
        FormatError: a file in it is wrong.
    """
    place = folder()
    found = [entry for entry in place.iterdir() if entry.name.endswith(".toml")] if place.is_dir() else []
    if not found:
        raise CatalogueError(f"no formats in {place}: the installation is broken; reinstall egresslog")
    return tuple(sorted((Format.read_toml(entry) for entry in found), key=lambda log_format: log_format.name))


def format_named(name: str) -> Format:
    """The catalogue's format of that name.

    Raises:
        CatalogueError: there is none; the error lists those there are.
    """
    for log_format in formats():
        if log_format.name == name:
            return log_format
    raise CatalogueError(f"no format {name!r}; known are {', '.join(log_format.name for log_format in formats())}")


def resolve(wanted: str | Mapping[str, Any] | Format | None) -> Formats:
    """The formats to look for: all of the catalogue for None, else the one that is named, written out or in a file.

    Raises:
        CatalogueError, FormatError: no such name; a string or file that is no format.
    """
    if wanted is None:
        return Formats(formats())
    if isinstance(wanted, Format):
        return Formats([wanted])
    if isinstance(wanted, Mapping) or "%" in wanted or wanted.lstrip().startswith("{"):
        return Formats([format_with_source(wanted) or Format.compile(wanted)])
    if wanted.endswith(".toml"):
        try:
            return Formats([Format.load(Path(wanted))])
        except OSError as error:
            raise FormatError(f"{wanted}: {error.strerror or error}") from None
    return Formats([format_named(wanted)])


def format_with_source(wanted: str | Mapping[str, Any]) -> Format | None:
    """The catalogue's format with this very string, which goes by its name then."""
    for log_format in formats():
        if isinstance(wanted, str):
            texts = [text.strip("\n") for text in (log_format.source, *log_format.variants) if isinstance(text, str)]
            if wanted.strip("\n") in texts:
                return log_format
        elif log_format.source == wanted:
            return log_format
    return None


class Formats:
    """The formats a log may have, and the schema that follows from them."""

    def __init__(self, wanted: Iterable[Format]) -> None:
        self.all = tuple(wanted)
        self.texts = [log_format for log_format in self.all if log_format.text and not log_format.json]
        self.jsons = [log_format for log_format in self.all if log_format.json]
        self._by_keys: dict[frozenset[str], list[Format]] = {}
        for log_format in self.jsons:
            if log_format.json:
                self._by_keys.setdefault(log_format.json.keys, []).append(log_format)

    @cached_property
    def starts(self) -> re.Pattern[str]:
        """What a line of one of the formats begins with."""
        texts = {text.beginning for log_format in self.all if (text := log_format.text) and not log_format.json}
        return re.compile("|".join([*sorted(texts), r"\{"] if self.jsons else sorted(texts)), re.ASCII)

    @property
    def forced(self) -> Format | None:
        """The one format, when there is no choice."""
        return self.all[0] if len(self.all) == 1 else None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The base columns, then those that only these formats have.

        What only Istio 1.1 to 1.7 logged comes with every detection; other columns are a custom format's own.
        """
        known = {column.name for column in BASE}
        own = {
            column.name: column for log_format in self.all for column in log_format.columns if column.name not in known
        }
        era = {column.name: column for column in ERA if column.name in own}
        return (*BASE, *(era | own).values())

    def match_strict(self, line: str) -> LineMatch | None:
        """A text line the quick way."""
        for index, log_format in enumerate(self.texts):
            strict = log_format.text.strict if log_format.text else None
            if strict and (found := strict.match(line)):
                if index:  # the format of the last line is the most likely of the next
                    self.texts.insert(0, self.texts.pop(index))
                return LineMatch(log_format, found.groups(), ambiguous=False)
        return None

    def match_wide(self, line: str, likely: Format | None = None) -> LineMatch | None:
        """A text line that holds quotes where none should be.

        A client can make it look like a line of another format, too. Where several take it, only the values on which
        they agree are kept. It counts as one of ``likely``, the format of the lines before, or else of the newest.
        """
        fits = [(log_format, row) for log_format in self.all if (row := log_format.read_wide(line))]
        if not fits:
            return None
        chosen, row = next((fit for fit in fits if fit[0] is likely), fits[-1])
        values = row.values
        for log_format, other in fits:
            theirs = dict(zip((column.name for column in log_format.columns), other.values, strict=True))
            values = tuple(
                value if value == theirs.get(column.name) else None
                for column, value in zip(chosen.columns, values, strict=True)
            )
        return LineMatch(chosen, values, row.ambiguous or len(fits) > 1)

    def match_object(self, found: dict[str, Any]) -> LineMatch | None:
        """A JSON line; None if its keys are not those of an access log.

        Raises:
            LineError: the keys fit, a value does not.
        """
        keys = frozenset(found)
        fits = self._by_keys.get(keys) or [
            log_format for log_format in self.jsons if log_format.json and log_format.json.accepts(found)
        ]
        unknown: tuple[str, ...] = ()
        if not fits:
            inside = [log_format for log_format in self.jsons if log_format.json and log_format.json.keys <= keys]
            if not inside:
                return None
            most = max(len(log_format.json.keys) for log_format in inside if log_format.json)
            fits = [log_format for log_format in inside if log_format.json and len(log_format.json.keys) == most]
            unknown = tuple(sorted(keys - fits[0].json.keys)) if fits[0].json else ()
        problem: LineError | None = None
        # Formats that share their keys differ in a header: only if none fits can somebody have forged it.
        for log_format, lenient in [(log_format, lenient) for lenient in (False, True) for log_format in fits]:
            try:
                row = log_format.json.match(found, lenient=lenient) if log_format.json else None
            except LineError as error:
                problem = problem or error
                continue
            if row:
                return LineMatch(log_format, row.values, row.ambiguous, unknown, row.upstreams)
        raise problem or LineError("fits no format at byte 0", 0)

    def match_broken(self, line: str) -> LineMatch | None:
        """A line that looks like JSON and is none: text in which somebody wrote a quote."""
        fits = [(log_format, log_format.json) for log_format in self.jsons if log_format.json]
        fits = [(log_format, template) for log_format, template in fits if template.may_be_broken(line)]
        if not fits:
            return None
        found = members(line, frozenset().union(*(template.keys for _, template in fits)))
        for log_format, template in sorted(fits, key=lambda fit: -len(fit[1].keys)):
            if row := template.match_broken(found):
                return LineMatch(log_format, row.values, row.ambiguous, (), row.upstreams)
        return None

    def explain(self, line: str) -> LineError:
        """Why no text format takes the line: what the one that comes furthest says."""
        if not self.texts:
            return LineError("expected a JSON object at byte 0", 0)
        reaches = [
            (log_format.text.reach(line), log_format.text)
            for log_format in self.all
            if log_format.text and not log_format.json
        ]
        furthest = max(reach for reach, _ in reaches)
        return max((text.explain(line) for reach, text in reaches if reach == furthest), key=lambda error: error.byte)

    def explain_keys(self, found: dict[str, Any]) -> LineError:
        """Why no JSON format takes the object: its keys against those of the nearest format."""
        keys = frozenset(found)
        known = [log_format for log_format in self.jsons if log_format.json]
        if not known:
            return LineError("a JSON object where a text line was expected at byte 0", 0)
        nearest = max(known, key=lambda log_format: len(keys & log_format.json.keys) if log_format.json else 0)
        assert nearest.json is not None
        parts = []
        if missing := sorted(nearest.json.keys - keys):
            parts.append(f"no key {missing[0]!r}")
        if unknown := sorted(keys - nearest.json.keys):
            parts.append(f"unknown key {unknown[0][:60]!r}")
        return LineError(f"JSON of no known format ({nearest.name} is closest: {', '.join(parts)}) at byte 0", 0)
