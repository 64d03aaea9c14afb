"""Tables in a DuckDB file, for as long as they are needed: any size, bounded memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.errors import DatabaseError

if TYPE_CHECKING:
    import duckdb

_MEMORY = "1GB"  # what DuckDB may hold; more goes to the file's folder


class Database:
    """A database that is gone when it is closed, or when nobody holds it any more."""

    def __init__(self) -> None:
        import duckdb  # noqa: PLC0415  (a third of a second that --help must not pay)

        folder = tempfile.mkdtemp(prefix="egresslog-")
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            str(Path(folder) / "records.duckdb"), config={"memory_limit": _MEMORY, "temp_directory": folder}
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        # Where Python is interactive it draws a bar. In Jupyter without ipywidgets it cannot, and refuses the setting.
        with suppress(duckdb.InvalidInputException):
            self.connection.execute("SET enable_progress_bar = false")
        self.connection.execute("BEGIN")  # nothing needs to outlive a crash: no flush after every statement
        self.close = weakref.finalize(self, _remove, self.connection, folder)

    def load(self, name: str, reader: pa.RecordBatchReader) -> None:
        """Reads all batches into a new table."""
        self.connection.register("incoming", reader)
        self.connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM incoming')  # noqa: S608  (a name of ours)
        self.connection.unregister("incoming")


@contextmanager
def database_errors() -> Iterator[None]:
    """Makes the database's errors ours: a full disk, too little memory.

    Raises:
        DatabaseError: what the database says.
    """
    import duckdb  # noqa: PLC0415

    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error).lower():  # its answer to Ctrl-C
            raise KeyboardInterrupt from None
        raise
    except duckdb.Error as error:
        raise DatabaseError(f"the temporary database failed: {str(error).splitlines()[0]}") from error


def _remove(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    connection.close()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def stored(reader: pa.RecordBatchReader) -> Iterator[duckdb.DuckDBPyRelation]:
    """Reads all batches into a table that lives until the block ends."""
    with database_errors():
        store = Database()
        try:
            store.load("records", reader)
            yield store.connection.table("records")
        finally:
            store.close()
