"""What a report groups by: columns, ``status``, and buckets of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.errors import UsageError
from egresslog.records.batch import each
from egresslog.records.flags import is_failure
from egresslog.timespec import duration

DEFAULT = ("host", "status", "upstream_ip")  # one table for each
MEASURED = ("bytes_received", "bytes_sent", "duration", "start_time")
ERROR = "error"
#: What every row has beside its keys, in this order.
MEASURES = (
    "requests", "share", "bytes_received", "bytes_sent", "errors",
    "duration_p50", "duration_p90", "duration_p99", "first_seen", "last_seen",
)  # fmt: skip
_FIRST_ERROR = 400


@dataclass(frozen=True)
class Key:
    """One thing to group by: its name in the report, the column it is made of, the bucket's nanoseconds for times."""

    name: str
    column: str
    bucket: int | None = None


def parse(text: str, columns: Iterable[str]) -> tuple[Key, ...]:
    """Reads ``time:5m,host``. ``status`` is the response code.

    Raises:
        UsageError: a name that is no column, with those there are; a bucket that is no duration.
    """
    known = list(columns)
    keys: list[Key] = []
    for part in (part.strip() for part in text.split(",")):
        name, colon, size = part.partition(":")
        if name == "time":
            keys.append(Key("time", "start_time", duration(size) if colon else duration("1m")))
        elif part == "status":
            keys.append(Key("status", "response_code"))
        elif part in MEASURES:
            raise UsageError(f"cannot group by {part!r}: it is a measure, summed in every row")
        elif part in known:
            keys.append(Key(part, part))
        else:
            raise UsageError(f"cannot group by {part!r}; columns are: time:5m, status, {', '.join(known)}")
    if len({key.name for key in keys}) < len(keys):
        raise UsageError(f"duplicate column in {text!r}")
    return tuple(keys)


def prepare(batch: pa.RecordBatch, keys: Sequence[Key]) -> pa.RecordBatch:
    """The columns that a report by ``keys`` needs, computed once per record: the keys, the measured, and ERROR."""
    arrays = {}
    for key in keys:
        column = batch[key.column]
        if key.bucket is not None:
            number = column.cast(pa.int64())
            # Arrow's division truncates towards zero; times before 1970 must go down as well.
            rest = pc.subtract(number, pc.multiply(pc.divide(number, key.bucket), key.bucket))
            down = pc.if_else(pc.less(rest, 0), pc.add(rest, key.bucket), rest)
            column = pc.subtract(number, down).cast(column.type)
        arrays[f"key_{key.name}"] = column
    arrays |= {name: batch[name] for name in MEASURED}
    arrays[ERROR] = errors(batch).cast(pa.int64())
    return pa.RecordBatch.from_pydict(arrays)


def errors(batch: pa.RecordBatch) -> pa.Array:
    """Whether a request or connection failed: a code from 400, a flag of failure, or HTTP without any response.

    A code 0 without protocol is a TCP connection, and no error. gRPC fails with code 200 and a flag.
    """
    code = batch["response_code"]
    flagged = each(batch["response_flags"], is_failure, pa.bool_())
    silent = pc.and_(pc.equal(code, 0), pc.is_valid(batch["protocol"]))
    refused = pc.greater_equal(code, _FIRST_ERROR)
    return pc.or_(pc.or_(pc.fill_null(refused, False), pc.fill_null(flagged, False)), pc.fill_null(silent, False))
