"""Filters: which records a command is about. The same on every command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.errors import UsageError
from egresslog.networks import Network, inside, network
from egresslog.records.batch import each
from egresslog.records.flags import FLAGS
from egresslog.timespec import moment

_POD = " (a pod's name needs the cluster; give its IP)"
_STATUS = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?|([1-5])[xX]{2}", re.ASCII)


@dataclass(frozen=True)
class Filter:
    """A record must pass every filter that is set; inside one filter any of the values will do.

    Attributes:
        hosts: patterns such as ``*.wikipedia.org``, in lower case.
        status: ranges of response codes, both ends included.
        flags: short names; ``-`` stands for "no flag".
        upstream: networks of upstream_ip.
        source: networks of source_ip.
        since, until: nanoseconds since 1970, start_time >= since and < until.
    """

    hosts: tuple[str, ...] = ()
    status: tuple[tuple[int, int], ...] = ()
    flags: tuple[str, ...] = ()
    upstream: tuple[Network, ...] = ()
    source: tuple[Network, ...] = ()
    since: int | None = None
    until: int | None = None

    @classmethod
    def parse(
        cls,
        *,
        host: str | Iterable[str] = (),
        status: str | Iterable[str] = (),
        flags: str | Iterable[str] = (),
        upstream: str | Iterable[str] = (),
        source: str | Iterable[str] = (),
        since: str | None = None,
        until: str | None = None,
        now: datetime | None = None,
    ) -> Self:
        """Reads filters as they are typed: lists may also be joined by commas.

        Raises:
            UsageError: a value that no record could match, with what would do.
        """
        now = now or datetime.now(UTC)
        return cls(
            tuple(value.lower().removesuffix(".") for value in _values(host)),
            tuple(_status(value) for value in _values(status)),
            tuple(_flag(value) for value in _values(flags)),
            tuple(network(value, "--upstream") for value in _values(upstream)),
            tuple(network(value, "--source", _POD) for value in _values(source)),
            None if since is None else moment(since, now),
            None if until is None else moment(until, now),
        )

    def __bool__(self) -> bool:
        return self != Filter()

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The records of a batch that pass; a null passes no filter."""
        tests = list(self._tests(batch))
        if not tests:
            return batch
        return batch.filter(reduce(pc.and_kleene, tests))

    def _tests(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        if self.hosts:
            patterns = [host_pattern(text) for text in self.hosts]
            yield each(batch["host"], lambda host: any(matches(host) for matches in patterns), pa.bool_())
        if self.status:
            code = batch["response_code"]
            within = [pc.and_(pc.greater_equal(code, low), pc.less_equal(code, high)) for low, high in self.status]
            yield reduce(pc.or_kleene, within)
        if self.flags:
            names = set(self.flags)
            column = pc.fill_null(batch["response_flags"], "-")
            yield each(column, lambda flags: bool(names & set(flags.split(","))), pa.bool_())
        if self.upstream:
            yield each(batch["upstream_ip"], inside(self.upstream), pa.bool_())
        if self.source:
            yield each(batch["source_ip"], inside(self.source), pa.bool_())
        start = batch["start_time"].cast(pa.int64())
        if self.since is not None:
            yield pc.greater_equal(start, self.since)
        if self.until is not None:
            yield pc.less(start, self.until)


def host_pattern(text: str) -> Callable[[str], bool]:
    """A test for names in lower case: ``*`` stands for any characters, dots as well.

    So ``*.wikipedia.org`` is every name below the domain, at any depth, but not the domain itself, as in Envoy and
    Istio. Linear in the name's length: names are the client's to choose.
    """
    first, *rest = text.lower().removesuffix(".").split("*")
    if not rest:
        return first.__eq__
    *middle, last = rest

    def matches(name: str) -> bool:
        if not name.startswith(first):
            return False
        position, end = len(first), len(name) - len(last)
        for part in middle:
            position = name.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return position <= end and name.endswith(last)

    return matches


def _values(given: str | Iterable[str]) -> list[str]:
    values = [part.strip() for value in ([given] if isinstance(given, str) else given) for part in value.split(",")]
    if not all(values):
        # An unset shell variable must not let everything pass.
        raise UsageError("empty value for a filter: remove the option, or give what to filter for")
    return values


def _status(text: str) -> tuple[int, int]:
    match = _STATUS.fullmatch(text)
    if not match:
        raise UsageError(f"not a status: {text!r} (give 404, 5xx, 500-599, or 0 for TCP)")
    low, high, hundred = match.groups()
    if hundred:
        return int(hundred) * 100, int(hundred) * 100 + 99
    return int(low), int(high or low)


def _flag(text: str) -> str:
    if text == "-" or text in FLAGS:
        return FLAGS[text].short if text != "-" else text
    if text.upper() in FLAGS:
        return text.upper()
    if text.isidentifier() and text.isupper():  # extensions register their own
        return text
    raise UsageError(f"not a response flag: {text!r} (give UF, NR, ... or - for none)")
