"""Records in a DuckDB file, for as long as a report needs them: any size, bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

_MEMORY = "1GB"  # what DuckDB may hold; more goes to the file's folder


@contextmanager
def stored(reader: pa.RecordBatchReader) -> Iterator[duckdb.DuckDBPyRelation]:
    """Reads all batches into a table that lives until the block ends."""
    import duckdb  # noqa: PLC0415  (a third of a second that --help must not pay)

    with tempfile.TemporaryDirectory(prefix="egresslog-") as folder:
        connection = duckdb.connect(
            str(Path(folder) / "records.duckdb"), config={"memory_limit": _MEMORY, "temp_directory": folder}
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("incoming", reader)
            connection.execute("CREATE TABLE records AS SELECT * FROM incoming")
            connection.unregister("incoming")
            yield connection.table("records")
        finally:
            connection.close()
