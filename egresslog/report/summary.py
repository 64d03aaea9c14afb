"""Groups and measures: pure frame -> frame, narwhals code over whatever engine the frame has.

Percentiles are exact and do not need all values at once: durations are whole milliseconds, so they are counted per
value first, and the percentile is read off the running count (linear interpolation, as numpy and DuckDB do).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import narwhals as nw
import pyarrow as pa

from egresslog.errors import UsageError
from egresslog.report.grouping import ERROR, MEASURES, Key

PERCENTILES = {"duration_p50": 0.50, "duration_p90": 0.90, "duration_p99": 0.99}
_PLACES = 6  # what lies beyond is noise of floating point


class ReportTable(NamedTuple):
    """One table of a report: its rows as Arrow, and how many rows and requests ``top`` cut off."""

    by: tuple[str, ...]
    rows: pa.Table
    omitted_rows: int = 0
    omitted_requests: int = 0


def summarize(frame: nw.LazyFrame[Any], keys: Sequence[Key], total: int) -> nw.LazyFrame[Any]:
    """One row per distinct ``keys``, with MEASURES; ``frame`` is as ``grouping.prepare`` makes it.

    Args:
        frame: the records.
        keys: what to group by.
        total: how many records there are, for ``share`` (0 to 1).

    Returns:
        Columns: the keys by name, then MEASURES; bytes in bytes, durations in ms (null without any), times in UTC.
    """
    by = [f"key_{key.name}" for key in keys]
    valued = nw.col("duration").is_null()
    counted = frame.group_by(*by, "duration").agg(
        nw.len().alias("requests"),
        nw.col("bytes_received").sum(),
        nw.col("bytes_sent").sum(),
        nw.col(ERROR).sum().alias("errors"),
        nw.col("start_time").min().alias("first_seen"),
        nw.col("start_time").max().alias("last_seen"),
    )
    counted = counted.with_columns(nw.when(valued).then(0).otherwise(nw.col("requests")).alias("timed"))
    counted = counted.with_columns(
        nw.col("timed").cum_sum().over(*by, order_by="duration").cast(nw.Int64).alias("upto"),
        nw.col("timed").sum().over(*by).cast(nw.Int64).alias("size"),
    )
    ends = []
    for name, part in PERCENTILES.items():
        rank = (nw.col("size") - 1) * part
        for end, at in (("low", rank.floor()), ("high", rank.ceil())):
            chosen = (nw.col("upto") > at) & (nw.col("timed") > 0)
            ends.append(nw.when(chosen).then(nw.col("duration")).alias(f"{name}_{end}"))
    counted = counted.with_columns(*ends)
    summed = counted.group_by(*by).agg(
        *(nw.col(name).sum().cast(nw.Int64) for name in ("requests", "bytes_received", "bytes_sent", "errors")),
        nw.col("size").max(),
        *(nw.col(f"{name}_{end}").min() for name in PERCENTILES for end in ("low", "high")),
        nw.col("first_seen").min(),
        nw.col("last_seen").max(),
    )
    percentiles = []
    for name, part in PERCENTILES.items():
        rank = (nw.col("size") - 1) * part
        low, high = nw.col(f"{name}_low"), nw.col(f"{name}_high")
        percentiles.append((low + (high - low) * (rank - rank.floor())).round(_PLACES).alias(name))
    return summed.with_columns(
        *percentiles,
        (nw.col("requests") / max(total, 1)).round(_PLACES).alias("share"),
        *(nw.col(column).alias(key.name) for column, key in zip(by, keys, strict=True)),
    ).select(*(key.name for key in keys), *MEASURES)


def ordered(frame: nw.LazyFrame[Any], keys: Sequence[Key], sort: str | None) -> nw.LazyFrame[Any]:
    """Sorts by a measure (largest first) or a key (smallest first); ``sort`` may end in ``:asc`` or ``:desc``.

    Without ``sort``: by time where the report goes by time, else by requests. Ties go by the keys.

    Raises:
        UsageError: no such column in the report.
    """
    names = [key.name for key in keys]
    column, _, direction = (sort or ("time" if "time" in names else "requests")).partition(":")
    if column not in {*names, *MEASURES} or direction not in {"", "asc", "desc"}:
        raise UsageError(f"cannot sort by {sort!r}; columns are: {', '.join([*names, *MEASURES])} (with :asc or :desc)")
    down = direction == "desc" or (not direction and column in MEASURES)
    rest = [name for name in names if name != column]
    return frame.sort(column, *rest, descending=[down, *(False for _ in rest)], nulls_last=True)
