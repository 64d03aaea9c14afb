"""A temporary DuckDB database: batches in, tables out. Any size, bounded memory; gone when it is closed."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.errors import DatabaseError
from egresslog.temporary import TemporaryFolder

if TYPE_CHECKING:
    import duckdb

_MEMORY = "1GB"  # what DuckDB may hold; more goes to the file's folder


class Database:
    """A database that is gone when it is closed, or when nobody holds it any more."""

    def __init__(self) -> None:
        import duckdb  # noqa: PLC0415  (a third of a second that --help must not pay)

        folder = TemporaryFolder()
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            str(folder.path / "records.duckdb"), config={"memory_limit": _MEMORY, "temp_directory": str(folder.path)}
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        # Where Python is interactive it draws a bar. In Jupyter without ipywidgets it cannot, and refuses the setting.
        with suppress(duckdb.InvalidInputException):
            self.connection.execute("SET enable_progress_bar = false")
        self.connection.execute("BEGIN")  # nothing needs to outlive a crash: no flush after every statement
        self.close = weakref.finalize(self, _remove, self.connection, folder)

    def load(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Reads all batches into a new table.

        What ``batches`` raises (a source's error, an interrupt) is raised here, after the engine has ended: it must not
        pass through the engine, which would turn it into an error of its own.
        """
        problem: BaseException | None = None

        def guarded() -> Iterator[pa.RecordBatch]:
            nonlocal problem
            try:
                yield from batches
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001
                problem = error

        _insert(self.connection, name, pa.RecordBatchReader.from_batches(schema, guarded()))
        if problem is not None:
            raise problem


def create_table(
    connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, rows: Iterable[Sequence[object]]
) -> None:
    """A new table of these rows; one of the same name is replaced."""
    values = list(zip(*rows, strict=True)) or [() for _ in schema]
    arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
    _insert(connection, name, pa.Table.from_arrays(arrays, schema=schema))


def _insert(connection: duckdb.DuckDBPyConnection, name: str, data: pa.Table | pa.RecordBatchReader) -> None:
    connection.register("incoming", data)
    connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM incoming')  # noqa: S608  (a name of ours)
    connection.unregister("incoming")


@contextmanager
def database_errors() -> Iterator[None]:
    """Turns the database's errors (a full disk, too little memory) into ours.

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


@contextmanager
def temporary_table(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[duckdb.DuckDBPyRelation]:
    """Reads all batches into a table that lives until the block ends. Raises what ``batches`` raises."""
    with database_errors():
        database = Database()
        try:
            database.load("records", schema, batches)
            yield database.connection.table("records")
        finally:
            database.close()


def _remove(connection: duckdb.DuckDBPyConnection, folder: TemporaryFolder) -> None:
    try:
        connection.close()
    finally:
        folder.close()
