"""What a user holds after ``verify``: verdicts per host, with findings, evidence and frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from egresslog.database import Database
from egresslog.filters import Filter
from egresslog.frames import to_pandas
from egresslog.log import Log
from egresslog.records.chunk import Counts
from egresslog.scan import CoverageRow, Scan
from egresslog.verification import judge, queries
from egresslog.verification.exclusivity import (
    Exclusivity,
    ExclusivityState,
    Senders,
    find_senders,
    judge_exclusivity,
)
from egresslog.verification.queries import Finding
from egresslog.verification.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5  # verdicts in a repr
_FETCHED = 500  # hosts whose findings are fetched at once


@dataclass(frozen=True)
class HostVerdict:
    """What the evidence says about one host.

    Attributes:
        host: as asked for; without a question, the name or address in the logs.
        verdict: the gravest that matters, see ``Verdict``.
        counts: requests and connections by their own verdict.
    """

    host: str
    verdict: Verdict
    counts: Mapping[Verdict, int]
    _all: Verification = field(repr=False, compare=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings about the host, the gravest first."""
        findings = self._all.findings_of(self.host) or [queries.finding("no-lines", 0)]
        if self.verdict == Verdict.PROVEN:  # then other requests' failures are warnings
            findings = [
                replace(finding, level="warning") if finding.level == "error" else finding for finding in findings
            ]
        return queries.by_gravity(findings)

    @cached_property
    def exclusivity(self) -> Exclusivity:
        """Whether traffic of the host could have bypassed the gateway without being seen."""
        return judge_exclusivity(self._all.senders, self.counts, self.findings)

    def paths(self) -> pa.Table:
        """Who sent how much along which path: source_ip, gateway, upstream_host, verdict, requests."""
        return queries.paths(self._all.connection, self.host)

    def to_pandas(self) -> pd.DataFrame:
        """One row per request or connection, with the columns of ``Verification.to_pandas``."""
        return to_pandas(queries.frame(self._all.connection, self.host))


class Verification(Sequence[HostVerdict]):
    """The verdicts, the gravest first where no host was asked for, else in the order of the question.

    Attributes:
        asked: whether hosts were asked for.
        connection: the database behind, with the tables that ``verification/tables.md`` describes.
        logs: those that were given, by hop.
        selected: how many requests and connections ``source``, ``since`` and ``until`` left, and of how many.
        scans: what the pass over each hop's log found; empty ones for a hop without log.
        findings: about the evidence as a whole.
    """

    def __init__(
        self,
        database: Database,
        logs: Mapping[str, Log],
        scans: Mapping[str, Scan],
        asked: Sequence[str],
        where: Filter,
        selected: judge.Selected,
    ) -> None:
        self._database = database
        self._window = (where.since, where.until)
        self._page: dict[str, list[Finding]] = {}
        self.selected = selected
        self.connection = database.connection
        self.logs = logs
        self.scans = scans
        self.asked = bool(asked)
        order = {host: place for place, host in enumerate(asked)}
        rows = queries.rows(self.connection, "SELECT * FROM verdicts")
        gravity = {name: place for place, name in enumerate(Verdict)}
        rows.sort(
            key=lambda row: (
                order.get(row["host"], 0),
                gravity[row["verdict"]],
                -sum(_counts(row).values()),
                row["host"],
            )
        )
        self._places = {row["host"]: place for place, row in enumerate(rows)}
        self._verdicts = [HostVerdict(row["host"], Verdict(row["verdict"]), _counts(row), self) for row in rows]

    def __len__(self) -> int:
        return len(self._verdicts)

    @overload
    def __getitem__(self, at: int) -> HostVerdict: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[HostVerdict]: ...
    def __getitem__(self, at: int | slice) -> HostVerdict | Sequence[HostVerdict]:
        return self._verdicts[at]

    def __iter__(self) -> Iterator[HostVerdict]:
        return iter(self._verdicts)

    def close(self) -> None:
        """Removes the temporary database; frames and evidence cannot be had any more."""
        self._database.close()

    @property
    def counts(self) -> Counts:
        """Lines, records, other, rejected and ambiguous of all logs."""
        return sum((scan.counts for scan in self.scans.values()), Counts())

    def answer(
        self, expected: Verdict = Verdict.PROVEN, exclusive: bool = False, *, reliable: bool = True
    ) -> bool | None:
        """Whether every host has the expected verdict; None if the logs do not show it.

        Args:
            expected: the verdict that every host should have.
            exclusive: ask as well whether nothing can have bypassed the gateway: True only if it is CONFIRMED for
                every host, False for a bypass.
            reliable: False: records are missing, so what was not seen means nothing. A log with more rejects than
                records is none to rely on either, nor is silence in a time of which no log has a line.
        """
        answers = [judge.as_expected(host.verdict, expected) for host in self]
        if False in answers:
            return False
        readable = all(scan.counts.rejected <= scan.counts.records for scan in self.scans.values())
        whole = all(container.is_complete for scan in self.scans.values() for container in scan.coverage)
        if queries.rows(self.connection, "SELECT 1 FROM unreadable_mentions LIMIT 1"):
            return None  # what mentions a host and cannot be read could be a bypass of it
        if exclusive and not all(host.exclusivity.state is ExclusivityState.CONFIRMED for host in self):
            return None
        seen = expected != Verdict.NO_EVIDENCE or self.window_read
        return True if answers and None not in answers and reliable and readable and whole and seen else None

    @cached_property
    def window_read(self) -> bool:
        """Whether every log that was given has lines of the time that was asked about."""
        first, last = self._window
        inside = "start_ns >= coalesce(?, start_ns) AND start_ns < coalesce(?, start_ns + 1)"
        return all(
            queries.rows(self.connection, f"SELECT 1 FROM {hop}_lines WHERE {inside} LIMIT 1", [first, last])
            for hop, scan in self.scans.items()
            if scan.sources
        )

    @cached_property
    def gateways(self) -> tuple[str, ...]:
        """Addresses of the gateway: given, or learned from its lines."""
        return tuple(row["ip"] for row in queries.rows(self.connection, "SELECT DISTINCT ip FROM gateways ORDER BY ip"))

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Services of the gateway: given, or learned from where sidecars sent to its addresses."""
        return tuple(
            row["name"] for row in queries.rows(self.connection, "SELECT DISTINCT name FROM services ORDER BY name")
        )

    @property
    def coverage(self) -> list[tuple[str, CoverageRow]]:
        """What was read of each file or container, with its hop."""
        return [(hop, row) for hop, scan in self.scans.items() for row in scan.coverage_rows()]

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """About the evidence as a whole, and about what could not be counted for any host."""
        findings = [
            queries.finding("no-access-log", scan.sources)
            for scan in self.scans.values()
            if scan.sources and not scan.counts.records
        ]
        if self.scans["gateway"].counts.records and not queries.rows(self.connection, "SELECT ip FROM replicas"):
            findings.append(queries.finding("gateway-log-without-addresses", self.scans["gateway"].counts.records))
        if not self.scans["sidecar"].sources:
            findings.append(queries.finding("no-sidecar-log", 0))
        for hop, code in (("gateway", "gateway-log-gap"), ("sidecar", "sidecar-log-gap")):
            if partly := sum(not container.is_complete for container in self.scans[hop].coverage):
                findings.append(queries.finding(code, partly))
        if rejected := self.counts.rejected:
            findings.append(queries.finding("rejected-lines", rejected))
        findings += self.senders.findings
        return queries.by_gravity([*findings, *queries.of_no_host(self.connection, asked=self.asked)])

    @cached_property
    def senders(self) -> Senders:
        """Who sent, and whose sidecar log was read."""
        return find_senders(self.connection, self.scans)

    def findings_of(self, host: str) -> list[Finding]:
        """The findings about one host; those of the hosts after it are fetched along, in case they are next."""
        if host not in self._page:
            place = self._places[host]
            hosts = [verdict.host for verdict in self._verdicts[place : place + _FETCHED]]
            self._page = queries.of_hosts(self.connection, hosts)
        return self._page[host]

    def to_arrow(self) -> pa.Table:
        """As ``to_pandas``."""
        return queries.frame(self.connection, None)

    def to_pandas(self) -> pd.DataFrame:
        """One row per host and request or connection: verdict, finding, names, addresses, lines of both hops."""
        return to_pandas(self.to_arrow())

    def __repr__(self) -> str:
        shown = ", ".join(f"{host.host} {host.verdict}" for host in self[:_SHOWN])
        return f"<Verification {shown}{', ...' * (len(self) > _SHOWN)}>"

    def _repr_html_(self) -> str:
        import pandas as pd  # noqa: PLC0415

        rows = [{"host": host.host, "verdict": host.verdict.value, **host.counts} for host in self]
        return pd.DataFrame(rows).to_html(index=False)


def _counts(row: Mapping[str, Any]) -> dict[Verdict, int]:
    return {verdict: row[verdict] for verdict in Verdict if row[verdict]}
