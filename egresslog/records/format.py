"""Format: an Envoy format string or JSON template, compiled; and the file format of the catalogue."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from egresslog.errors import FormatError, LineError
from egresslog.records import batch
from egresslog.records.json_format import JsonFormat, JsonRow
from egresslog.records.json_text import MAX_DEPTH, load, members
from egresslog.records.schema import Column
from egresslog.records.template import parse_template
from egresslog.records.text_format import TextFormat, TextRow

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from egresslog.records.start_time import TimeFormat

_KEYS = {"name", "title", "releases", "source", "format", "variants", "omit_empty", "samples", "not_samples"}
_TYPES = {
    "name": (str, "text"),
    "format": (str | dict, "a string or a table"),
    "title": (str, "text"),
    "releases": (str, "text"),
    "source": (str, "text"),
    "variants": (list, "a list"),
    "omit_empty": (bool, "true or false"),
}
_NEEDED = ("name", "format")
_LARGEST = 1024 * 1024  # bytes of a file
_SAMPLE_KEYS = {"about", "line", "record"}


@dataclass(frozen=True)
class Sample:
    """A line of a format, and the record it means; a column the record does not name is null."""

    about: str
    line: str
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """A log format that lines can be parsed with. Made by ``compile``, ``load`` or the catalogue.

    Attributes:
        name: as in the catalogue; ``custom`` for a bare string.
        source: the format string, or the JSON template as a mapping.
        text: the compiled text format, None for JSON.
        json: the compiled JSON template, None for text.
    """

    name: str
    source: str | Mapping[str, Any]
    text: TextFormat | None
    json: JsonFormat | None
    title: str = ""
    releases: str = ""
    origin: str = ""
    variants: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    not_samples: tuple[Sample, ...] = ()

    @classmethod
    def compile(cls, source: str | Mapping[str, Any], *, name: str = "custom", omit_empty: bool = False) -> Self:
        """Compiles an Envoy format string, or a JSON template (a mapping, or a string that is a JSON object).

        A JSON-shaped string may stand for `accessLogEncoding: JSON` or TEXT: lines that are JSON are read as JSON,
        others by the text. An operator Envoy does not have (yet) becomes a string column.

        Raises:
            FormatError: the string is no Envoy format; the error shows where.
        """
        if isinstance(source, Mapping):
            return cls(name, source, None, JsonFormat(source, omit_empty=omit_empty))
        text = TextFormat(parse_template(source), omit_empty=omit_empty)
        if source.lstrip().startswith("{"):
            try:
                template = json.loads(source)
            except ValueError:
                return cls(name, source, text, None)
            except RecursionError:
                raise FormatError(f"a JSON template nested deeper than {MAX_DEPTH}") from None
            return cls(name, source, text, JsonFormat(template, omit_empty=omit_empty))
        return cls(name, source, text, None)

    @classmethod
    def load(cls, path: Traversable) -> Self:
        """Loads a TOML file as in parsers/ (docs/formats.md, "Add a format"); its samples must parse as they say.

        Raises:
            FormatError: the file is no TOML, a key is missing, unknown or of the wrong type, there is no sample, or a
                sample does not parse to its record.
            OSError: the file cannot be read.
        """
        log_format = cls.read_toml(path)
        log_format.check_samples()
        return log_format

    @classmethod
    def read_toml(cls, path: Traversable) -> Self:
        """As ``load``, without trying the samples (the catalogue's are tried by its tests)."""
        where = path.name
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise FormatError(f"{where}: a format of more than {_LARGEST} bytes")
        try:
            data = tomllib.loads(content.decode("utf-8"))
        except ValueError as error:  # also a number of too many digits
            raise FormatError(f"{where}: not a TOML file: {error}") from None
        except RecursionError:
            raise FormatError(f"{where}: not a format: nested too deep") from None
        if unknown := data.keys() - _KEYS:
            raise FormatError(f"{where}: unknown key {min(unknown)!r}; known are {', '.join(sorted(_KEYS))}")
        for key, (kind, what) in _TYPES.items():
            if (key in data or key in _NEEDED) and not isinstance(data.get(key), kind):
                raise FormatError(f"{where}: needs {key!r}, {what}")
        samples, not_samples = _samples(data, "samples", where), _samples(data, "not_samples", where)
        if not samples:
            raise FormatError(f"{where}: a format without samples is invalid: add [[samples]] with line and record")
        try:
            log_format = cls.compile(data["format"], name=data["name"], omit_empty=data.get("omit_empty", False))
        except FormatError as error:
            raise FormatError(f"{where}: {error}") from None
        return cls(
            log_format.name, log_format.source, log_format.text, log_format.json, data.get("title", ""),
            data.get("releases", ""), data.get("source", ""), tuple(data.get("variants", ())), samples, not_samples,
        )  # fmt: skip

    @property
    def encoding(self) -> str:
        """``json`` or ``text``, as Istio's accessLogEncoding."""
        return "json" if self.json else "text"

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that lines of this format fill, in the order of the format."""
        return self.json.columns if self.json else self._text.columns

    @property
    def _text(self) -> TextFormat:
        assert self.text is not None
        return self.text

    def time_format(self, column: str) -> TimeFormat | None:
        """How a time column prints."""
        return (self.json or self._text).time_format(column)

    def read_line(self, line: str) -> TextRow | JsonRow:
        """The values of one line without envelope.

        Raises:
            LineError: the line is not of this format.
        """
        if self.json:
            return self._read_json(self.json, line)
        if row := self._text.match(line):
            return row
        raise self._text.explain(line)

    def _read_json(self, template: JsonFormat, line: str) -> TextRow | JsonRow:
        try:
            found = load(line)
        except LineError:
            if broken := self.read_wide(line) or template.match_broken(members(line, template.keys)):
                return broken
            raise
        try:
            row = self._read_object(template, found)
        except LineError:
            if wide := self.read_wide(line):
                return wide
            raise
        # Keys that come twice are in text that only looks like JSON: the order of its keys tells more.
        wide = self.read_wide(line) if row.ambiguous else None
        return row if wide is None else JsonRow(wide.values, wide.ambiguous, row.upstreams)

    @staticmethod
    def _read_object(template: JsonFormat, found: Any) -> JsonRow:
        if not isinstance(found, dict):
            raise LineError("expected a JSON object at byte 0", 0)
        if not template.accepts(found):
            raise LineError(_key_trouble(frozenset(found), template), 0)
        try:
            return template.match(found)
        except LineError:
            return template.match(found, lenient=True)

    def read_wide(self, line: str) -> TextRow | None:
        """A line of text that is not what a quick pattern takes, or None.

        A JSON template may stand for text that only looks like JSON, and is none where a header holds a quote.
        """
        row = self.text.match_wide(line) if self.text else None
        if row is None or self.json is None:
            return row
        got = {column.name: value for column, value in zip(self._text.columns, row.values, strict=True)}
        return TextRow(tuple(got.get(column.name) for column in self.columns), row.ambiguous)

    def parse(self, line: str | bytes) -> dict[str, Any]:
        """One line -> its record: every column of the schema, absent values None.

        ``start_time`` is a ``datetime`` in UTC (to the microsecond); ``origin`` and ``line_number`` are not in it.

        Raises:
            LineError: the line is not of this format; ``reason`` and ``byte`` say where it stops to fit.
        """
        if isinstance(line, bytes):
            line = line.decode("utf-8", "surrogateescape")
        row = self.read_line(line.removesuffix("\n").removesuffix("\r"))
        record_batch, bad = batch.build_batch([(self, [row.values])], [row.ambiguous], [1], "")
        if bad:
            raise LineError(bad[0], 0)
        record: dict[str, Any] = batch.to_microseconds(record_batch).to_pylist()[0]
        return {key: value for key, value in record.items() if key not in {"origin", "line_number"}}

    def check_samples(self) -> None:
        """Parses the samples.

        Raises:
            FormatError: a sample does not parse to its record, or a not_sample parses.
        """
        for sample in self.samples:
            try:
                record = self.parse(sample.line)
            except LineError as error:
                raise FormatError(f"{self.name}: sample {sample.about!r} does not parse: {error}") from None
            own = {column.name for column in self.columns} | {"ambiguous"}
            for name, value in record.items():
                expected = sample.record.get(name, False if name == "ambiguous" else None)
                if name in own | sample.record.keys() and value != _utc(expected):
                    raise FormatError(
                        f"{self.name}: sample {sample.about!r}: {name} is {value!r}, expected {expected!r}"
                    )
            if unknown := sample.record.keys() - record.keys():
                raise FormatError(f"{self.name}: sample {sample.about!r}: no column {min(unknown)!r}")
        for sample in self.not_samples:
            try:
                self.parse(sample.line)
            except LineError:
                continue
            raise FormatError(f"{self.name}: not_sample {sample.about!r} parses")


def _utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _samples(data: dict[str, Any], key: str, where: str) -> tuple[Sample, ...]:
    found = data.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise FormatError(f"{where}: {key} must be tables: [[{key}]]")
    for item in found:
        if unknown := item.keys() - _SAMPLE_KEYS:
            raise FormatError(f"{where}: unknown key {min(unknown)!r} in [[{key}]]")
        if not isinstance(item.get("line"), str):
            raise FormatError(f"{where}: [[{key}]] needs 'line', text")
        if key == "samples" and not isinstance(item.get("record"), dict):
            raise FormatError(f"{where}: [[samples]] needs 'record', a table of the columns that are not null")
    return tuple(Sample(item.get("about", ""), item["line"].strip("\n"), item.get("record", {})) for item in found)


def _key_trouble(keys: frozenset[str], known: JsonFormat) -> str:
    parts = []
    if extra := sorted(keys - known.keys):
        parts.append(f"unknown key {extra[0]!r}")
    if missing := sorted(known.keys - keys):
        parts.append(f"missing key {missing[0]!r}")
    return f"expected the keys of the JSON template: {', '.join(parts)} at byte 0"
