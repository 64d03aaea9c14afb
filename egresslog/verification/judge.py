"""Verdicts: what the cases of a host say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egresslog.filters import Filter
from egresslog.networks import inside
from egresslog.verification.statements import statement
from egresslog.verification.verdict import Verdict

if TYPE_CHECKING:
    import duckdb

_HANDSHAKE = 600  # bytes: what a TLS server sends at the least until a connection carries data
EVIDENCE = 3  # cases shown per host and finding


class Selected(NamedTuple):
    """How many requests and connections the filter left, and of how many."""

    cases: int
    total: int


def restrict(connection: duckdb.DuckDBPyConnection, where: Filter) -> Selected:
    """Leaves the cases of the filter's time and clients; what the others show of hosts and addresses stays known.

    A case of an unknown client may be one of the filter's: it stays if it accuses, or settles nothing.
    """
    total = _count(connection)
    for bound, keeps in ((where.since, ">="), (where.until, "<")):
        if bound is not None:
            connection.execute(f"DELETE FROM cases WHERE NOT coalesce(start_ns {keeps} ?, false)", [bound])
    if where.source:
        test = inside(where.source)
        rows = connection.execute("SELECT DISTINCT source_ip FROM cases WHERE source_ip IS NOT NULL").fetchall()
        wanted = [ip for (ip,) in rows if test(ip)]
        connection.execute(statement("restrict_source"), [wanted])
    connection.execute("DELETE FROM host_cases WHERE case_id NOT IN (SELECT case_id FROM cases)")
    return Selected(_count(connection), total)


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = connection.execute("SELECT count(*) FROM cases").fetchall()
    return int(count)


def refine(connection: duckdb.DuckDBPyConnection) -> None:
    """Why a declared host went straight outside, as far as the host's other cases show it."""
    connection.execute(statement("refine_direct"))


def judge(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes ``verdicts``, ``host_findings``, ``unreadable_mentions`` and the view ``case_rows``.

    ``verdicts`` has each host's verdict and its number of cases per verdict.
    """
    counts = ", ".join(f"count(*) FILTER (verdict = '{verdict}') AS \"{verdict}\"" for verdict in Verdict)
    gravest = " ".join(f"WHEN coalesce(\"{verdict}\", 0) > 0 THEN '{verdict}'" for verdict in Verdict)
    connection.execute(statement("verdicts", counts=counts, gravest=gravest, HANDSHAKE=_HANDSHAKE, EVIDENCE=EVIDENCE))
    connection.execute(statement("unreadable_mentions"))
    connection.execute(statement("case_rows"))


def as_expected(verdict: Verdict, expected: Verdict) -> bool | None:
    """Whether a host's verdict is the expected one; None if it cannot be told."""
    if verdict == expected:
        return True
    if verdict == Verdict.NO_EVIDENCE or (verdict == Verdict.SENT_UNCONFIRMED and expected != Verdict.NO_EVIDENCE):
        return None
    return False
