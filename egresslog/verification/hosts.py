"""Which host each case is about: by the names that the mesh confirmed, by the client's, and by address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from egresslog.database import create_table
from egresslog.verification.statements import statement
from egresslog.verification.targets import AskedHost

if TYPE_CHECKING:
    import duckdb

_HOSTS_PER_ADDRESS = 8  # so many hosts share an address at most for a nameless connection to count for each of them
_HOST = pa.schema([("host", pa.string())])
_MATCH = pa.schema([("host", pa.string()), ("value", pa.string())])


def attribute(connection: duckdb.DuckDBPyConnection, asked: Sequence[AskedHost]) -> None:
    """Makes ``host_cases`` (host, case_id, finding) from ``cases``, and ``asked_hosts``.

    A case may be about several hosts. Without ``asked`` each is about its own, and nothing that bypassed the gateway is
    without a host: where no name is known it is the address.
    """
    create_table(connection, "asked_hosts", _HOST, [[host.text] for host in asked])
    terms = [[host.text, host.term] for host in asked if host.network is None and host.term]
    create_table(connection, "asked_terms", _MATCH, terms)
    if asked:
        _match(connection, asked)
        connection.execute(statement("host_cases_asked"))
    else:
        connection.execute(statement("host_cases_seen"))
    connection.execute(statement("host_addresses", asked=bool(asked), HOSTS_PER_ADDRESS=_HOSTS_PER_ADDRESS))


def _match(connection: duckdb.DuckDBPyConnection, asked: Sequence[AskedHost]) -> None:
    """Matches each name and address once, then statements join: clients make up names, so there may be millions."""
    names = [host for host in asked if host.network is None]
    columns = ("cluster_name", "sni_name", "gateway_sni", "authority_name")
    values = _distinct(connection, " UNION ".join(f"SELECT {name} AS value FROM cases" for name in columns))
    tests = [(host.text, host.matches) for host in names]
    _create_matches(connection, "asked_names", values, tests)
    wildcards = [value for value in values if value.startswith("*.")]
    coverage_tests = [(host.text, host.is_covered_by) for host in names]
    _create_matches(connection, "wildcard_clusters", wildcards, coverage_tests)
    ips = [(host.text, host.matches) for host in asked if host.network]
    _create_matches(connection, "asked_ips", _distinct(connection, "SELECT ip AS value FROM cases"), ips)


def _create_matches(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    values: Iterable[str],
    tests: Sequence[tuple[str, Callable[[str], bool]]],
) -> None:
    matches = ((host, value) for value in values for host, test in tests if test(value))
    create_table(connection, table, _MATCH, matches)


def _distinct(connection: duckdb.DuckDBPyConnection, values: str) -> list[str]:
    distinct: list[str] = []
    for batch in connection.sql(f"SELECT DISTINCT value FROM ({values}) WHERE value IS NOT NULL").to_arrow_reader():
        distinct += batch["value"].to_pylist()
    return distinct
