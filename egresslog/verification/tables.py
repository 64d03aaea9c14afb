"""Arrow tables into the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb


def create(
    connection: duckdb.DuckDBPyConnection, name: str, columns: pa.Schema, rows: Iterable[Sequence[object]]
) -> None:
    """A new table of these rows."""
    values = list(zip(*rows, strict=True)) or [() for _ in columns]
    arrays = [pa.array(column, item.type) for column, item in zip(values, columns, strict=True)]
    connection.register("given_rows", pa.Table.from_arrays(arrays, schema=columns))
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM given_rows")
    connection.unregister("given_rows")
