"""Rows of text -> one Arrow batch: types, derived columns, provenance. Column-wise, because that is what is quick."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.records.chunk import RawLines
from egresslog.records.schema import (
    ARROW,
    BASE,
    INTERNAL,
    PRECISION,
    RECORD,
    UPSTREAMS,
    Column,
    RowFormat,
    arrow_schema,
)
from egresslog.records.surrogates import clean

_TEXTS = pa.list_(pa.string())
_ADDRESS = re.compile(r"(?:tcp://)?(?:\[([^\]]*)\]|([^:\[\]/]+))(?::(\d{1,5}))?", re.ASCII)
_PORT = r":[0-9]{1,5}$"
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!\Z)|\Z)){4}", re.ASCII)
_AUTHORITY = re.compile(r"(.*?)\.?(?::\d*)?", re.DOTALL | re.ASCII)
_CLUSTER = re.compile(r"(?:outbound|inbound-vip)\|[^|]*\|[^|]*\|(.+)", re.DOTALL)


def string_array(values: Sequence[str | None]) -> pa.Array:
    """A string column; values that are no UTF-8 are cleaned."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if value is None else clean(value) for value in values], pa.string())


def build_batch(
    groups: Sequence[tuple[RowFormat, Sequence[tuple[Any, ...]]]],
    ambiguous: Sequence[bool],
    numbers: Sequence[int],
    origin: str,
    order: Sequence[int] | None = None,
) -> tuple[pa.RecordBatch, dict[int, str]]:
    """Rows of several formats -> one batch in the order of the lines, and the rows that are no record after all.

    Args:
        groups: each format with its rows, in the order of the format's columns.
        ambiguous: per row, groups one after the other.
        numbers: line numbers, likewise.
        origin: where the lines came from.
        order: the position, among all rows of all groups, of each row of the result; None: as they stand.

    Returns:
        The batch (base columns, then PRECISION, then other columns of the formats), and reasons by row (in the order
        given) for values that fit their pattern but not their type, such as the 13th month: then the batch is empty.
    """
    bad: dict[int, str] = {}
    parts: list[dict[str, pa.Array]] = []
    start = 0
    for log_format, rows in groups:
        parts.append(_typed(log_format, rows, start, bad))
        start += len(rows)
    if bad:
        return empty_batch(arrow_schema(BASE)), bad
    names = dict.fromkeys(name for part in parts for name in part)
    joined: dict[str, pa.Array] = {}
    for name in names:
        chunks = [part.get(name) for part in parts]
        kind = next(chunk.type for chunk in chunks if chunk is not None)
        arrays = [
            pa.nulls(len(rows), kind) if chunk is None else chunk.cast(kind) if chunk.type != kind else chunk
            for chunk, (_, rows) in zip(chunks, groups, strict=True)
        ]
        joined[name] = arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)
    if order is not None:
        take = pa.array(order, pa.int64())
        joined = {name: array.take(take) for name, array in joined.items()}
        ambiguous = [ambiguous[index] for index in order]
        numbers = [numbers[index] for index in order]
    size = len(numbers)
    for column in RECORD:
        joined.setdefault(column.name, pa.nulls(size, ARROW[column.type]))
    joined.setdefault(PRECISION, pa.nulls(size, pa.int8()))
    joined |= derive(joined)
    joined["origin"] = pa.repeat(pa.scalar(clean(origin), pa.string()), size)
    joined["line_number"] = pa.array(numbers, pa.int64())
    joined["ambiguous"] = pa.array(ambiguous, pa.bool_())
    base = [column.name for column in BASE]
    ordered = [*base, PRECISION, *(name for name in joined if name not in {*base, PRECISION})]
    return pa.RecordBatch.from_arrays([joined[name] for name in ordered], names=ordered), {}


def _typed(
    log_format: RowFormat, rows: Sequence[tuple[Any, ...]], start: int, bad: dict[int, str]
) -> dict[str, pa.Array]:
    """The columns of one format's rows."""
    found: dict[str, pa.Array] = {}
    for column, values in zip(log_format.columns, zip(*rows, strict=True), strict=True):
        if column.type == "string":
            found[column.name] = string_array(values)
        elif column.type == "int":
            found[column.name] = _integers(values)
        else:
            time_format = log_format.time_format(column.name)
            assert time_format is not None
            try:
                times, digits = time_format.convert(values)
            except (ValueError, OverflowError):
                _blame(time_format.convert, column, values, start, bad)
                continue
            found[column.name] = times
            if column.name == "start_time":
                found[PRECISION] = digits
    if "upstream_cluster" in found:
        # Istio's alt_stat_name is the cluster's name and a `;`: what UPSTREAM_CLUSTER printed in 1.23 and 1.24.
        found["upstream_cluster"] = pc.utf8_rtrim(found["upstream_cluster"], ";")
    return found


def _integers(values: Sequence[str | int | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string()).cast(pa.int64())
    except pa.ArrowTypeError:  # JSON has numbers already
        return pa.array([None if value is None else int(value) for value in values], pa.int64())


def _blame(
    convert: Callable[[Sequence[str | None]], Any],
    column: Column,
    values: Sequence[str | None],
    start: int,
    bad: dict[int, str],
) -> None:
    """Finds the rows whose time is no time."""
    for index, value in enumerate(values):
        try:
            convert([value])
        except (ValueError, OverflowError):
            bad.setdefault(start + index, f"expected a time between 1678 and 2261 for {column.name} at byte 0")


def derive(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The derived columns, from record columns."""
    authority = each(columns["authority"], host_of_authority)
    name = each(columns["requested_server_name"], host_of_sni)
    cluster = each(columns["upstream_cluster"], host_of_cluster)
    upstream = columns["upstream_host"]
    return {
        "host": pc.coalesce(authority, name, cluster),
        "upstream_ip": each(upstream, ip_of),
        "upstream_port": each(upstream, port_of).cast(pa.int64()),
        "source_ip": ips(columns["downstream_remote_address"]),
    }


def ips(addresses: pa.Array) -> pa.Array:
    """The IP of each address."""
    # Hardly two connections have the same port, but many the same address: without port few values are left.
    return each(pc.replace_substring_regex(addresses, _PORT, ""), ip_of)


def each(column: pa.Array, function: Callable[[str], Any], kind: pa.DataType | None = None) -> pa.Array:
    """Maps each distinct value once; null stays null."""
    encoded = column.dictionary_encode()
    mapped = pa.array([function(value) for value in encoded.dictionary.to_pylist()], kind or pa.string())
    return mapped.take(encoded.indices)


def host_of_authority(authority: str) -> str | None:
    """The host of `Host:` or `:authority`: no port, no brackets, lower case, no trailing dot."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower() or None
    if authority.count(":") > 1:  # a bare IPv6 address
        return authority.lower()
    found = _AUTHORITY.fullmatch(authority)
    return (found[1].lower() if found else authority.lower()) or None


def host_of_sni(name: str) -> str | None:
    """The SNI, unless it is the one the mesh itself makes: ``outbound_.443_.subset_.service``.

    Nor is ``invalid:NAME`` a host: Envoy put a ``_`` for each character that it did not like (its release notes of
    1.30.6; docs/access-log-formats.md, 7.3), so that many names print alike.
    """
    return None if name.startswith(("outbound_.", "invalid:")) else name.lower().removesuffix(".") or None


def host_of_cluster(cluster: str) -> str | None:
    """The host in ``outbound|443|subset|host`` or ``inbound-vip|443|tcp|host``."""
    found = _CLUSTER.fullmatch(cluster)
    return found[1].lower().removesuffix(".") or None if found else None


def ip_of(address: str) -> str | None:
    """The IP of ``ip:port``, ``[ipv6]:port`` or ``tcp://ip:port``; None for other kinds of address."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        return None
    text = found[1] or found[2] or ""
    if _IPV4.fullmatch(text):  # ipaddress takes microseconds, and most addresses are these
        return text
    try:
        found_ip = ip_address(text)
    except ValueError:
        return None
    return str(getattr(found_ip, "ipv4_mapped", None) or found_ip)


def port_of(address: str) -> str | None:
    """The port of such an address."""
    found = _ADDRESS.fullmatch(address)
    return found[3] if found else None


def with_lines(batch: pa.RecordBatch, raw: RawLines) -> pa.RecordBatch:
    """The batch with the column ``line``: each record's line as it came."""
    return batch.append_column("line", string_array(raw.of(batch["line_number"].to_pylist())))


def with_upstreams(batch: pa.RecordBatch, upstreams: Mapping[int, Sequence[str]]) -> pa.RecordBatch:
    """The batch with its column UPSTREAMS filled, by row."""
    values = [upstreams.get(row) for row in range(len(batch))]
    cleaned = [None if value is None else [clean(text) for text in value] for value in values]
    return batch.set_column(batch.schema.get_field_index(UPSTREAMS), UPSTREAMS, pa.array(cleaned, _TEXTS))


def to_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without INTERNAL columns, with times that Python's datetime can hold (pyarrow gives pandas' for ns)."""
    names = [name for name in batch.schema.names if name not in INTERNAL]
    arrays = [
        array.cast(pa.timestamp("us", tz="UTC"), safe=False) if pa.types.is_timestamp(array.type) else array
        for array in (batch.column(name) for name in names)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def output_schema(wanted: tuple[Column, ...]) -> pa.Schema:
    """The schema of the batches for formats with ``wanted`` columns: those, then PRECISION and UPSTREAMS."""
    return arrow_schema(wanted).append(pa.field(PRECISION, pa.int8())).append(pa.field(UPSTREAMS, _TEXTS))


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """No records."""
    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in schema.types], schema=schema)


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly the columns of the schema; what its lines do not have is null."""
    arrays = [
        batch.column(item.name) if item.name in batch.schema.names else pa.nulls(len(batch), item.type)
        for item in schema
    ]
    return pa.RecordBatch.from_arrays(
        [
            array if array.type == item.type else array.cast(item.type)
            for array, item in zip(arrays, schema, strict=True)
        ],
        schema=schema,
    )
