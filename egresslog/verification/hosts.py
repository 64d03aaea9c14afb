"""Which host each case is about: by the names that the mesh confirmed, by the client's, and by address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    create_table(connection, "asked_names", _MATCH, _matches(names, values))
    create_table(connection, "wildcard_clusters", _MATCH, _covered(names, values))
    ips = _distinct(connection, "SELECT ip AS value FROM cases")
    create_table(connection, "asked_ips", _MATCH, _matches([host for host in asked if host.network], ips))


def _matches(asked: Sequence[AskedHost], values: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Which host has which of the values: looked up, and only patterns and ranges are tried one by one."""
    looked_up: dict[str, list[str]] = {}
    tests: list[tuple[str, Callable[[str], bool]]] = []
    for host in asked:
        if host.only is None:
            tests.append((host.text, host.matches))
        else:
            looked_up.setdefault(host.only, []).append(host.text)
    for value in values:
        yield from ((text, value) for text in looked_up.get(value, ()))
        yield from ((text, value) for text, test in tests if test(value))


def _covered(asked: Sequence[AskedHost], values: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Which host is one that a cluster's name such as ``*.wikipedia.org`` stands for."""
    by_suffix: dict[str, list[str]] = {}
    for host in asked:
        for position, char in enumerate(host.text):
            if char == ".":
                by_suffix.setdefault(host.text[position:], []).append(host.text)
    for value in values:
        if value.startswith("*."):
            yield from ((text, value) for text in by_suffix.get(value[1:], ()))


def _distinct(connection: duckdb.DuckDBPyConnection, values: str) -> list[str]:
    distinct: list[str] = []
    for batch in connection.sql(f"SELECT DISTINCT value FROM ({values}) WHERE value IS NOT NULL").to_arrow_reader():
        distinct += batch["value"].to_pylist()
    return distinct
