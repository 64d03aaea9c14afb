"""Verdicts: what a user holds after ``verify``. Logs and hosts in; verdicts with findings, evidence and frames out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.errors import SourceError, UsageError
from egresslog.frames import to_pandas
from egresslog.log import Log
from egresslog.reading import Reading
from egresslog.records.lines import Counts
from egresslog.records.networks import network
from egresslog.report.filters import Filter
from egresslog.sources.coverage import by_ip, lives
from egresslog.store import Store, database_errors
from egresslog.verification import cases, covered, evidence, results, verdict
from egresslog.verification import hosts as hosts_of
from egresslog.verification.addresses import outside
from egresslog.verification.findings import MEANINGS, Judgement
from egresslog.verification.question import questions
from egresslog.verification.results import Finding, Line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEANINGS", "Finding", "Judgement", "Line", "Verdict", "Verdicts", "verify"]

_SHOWN = 5  # verdicts in a repr
_FETCHED = 500  # hosts whose findings are fetched at once


@dataclass(frozen=True)
class Verdict:
    """What the evidence says about one host.

    Attributes:
        host: as asked for; without a question the name or address that was seen.
        verdict: the gravest that matters, see ``Judgement``.
        counts: requests and connections by their own verdict.
    """

    host: str
    verdict: Judgement
    counts: Mapping[Judgement, int]
    _all: Verdicts = field(repr=False, compare=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings about the host, the gravest first."""
        found = self._all.findings_of(self.host) or [results.about("EGL195", 0)]
        if self.verdict == Judgement.PROVEN:  # what failed is a warning then (design)
            found = [replace(finding, level="warning") if finding.level == "error" else finding for finding in found]
        return results.ordered(found)

    def ways(self) -> pa.Table:
        """Who sent how much by which way: source_ip, gateway, upstream_host, verdict, requests."""
        return results.ways(self._all.connection, self.host)

    def to_pandas(self) -> pd.DataFrame:
        """One row per request or connection, with the columns of ``Verdicts.to_pandas``."""
        return to_pandas(results.frame(self._all.connection, self.host))


class Verdicts(Sequence[Verdict]):
    """The verdicts, the gravest first where no host was asked for, else in the order of the question.

    Attributes:
        asked: whether hosts were asked for.
        connection: the database behind, with the tables that ``verification`` documents.
        readings: what the pass over each hop's logs found, by hop.
        findings: about the evidence as a whole.
    """

    def __init__(self, store: Store, readings: Mapping[str, Reading], asked: Sequence[str], where: Filter) -> None:
        self._store = store
        self._window = (where.since, where.until)
        self._page: dict[str, list[Finding]] = {}
        self.connection = store.connection
        self.readings = readings
        self.asked = bool(asked)
        order = {host: place for place, host in enumerate(asked)}
        rows = results.rows(self.connection, "SELECT * FROM verdicts")
        gravity = {name: place for place, name in enumerate(Judgement)}
        rows.sort(
            key=lambda row: (
                order.get(row["host"], 0),
                gravity[row["verdict"]],
                -sum(_counts(row).values()),
                row["host"],
            )
        )
        self._places = {row["host"]: place for place, row in enumerate(rows)}
        self._verdicts = [Verdict(row["host"], Judgement(row["verdict"]), _counts(row), self) for row in rows]

    def __len__(self) -> int:
        return len(self._verdicts)

    @overload
    def __getitem__(self, at: int) -> Verdict: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Verdict]: ...
    def __getitem__(self, at: int | slice) -> Verdict | Sequence[Verdict]:
        return self._verdicts[at]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._verdicts)

    def close(self) -> None:
        """Removes the temporary database; frames and evidence cannot be had any more."""
        self._store.close()

    @property
    def counts(self) -> Counts:
        """Lines, records, other, rejected and ambiguous of all logs."""
        return sum((reading.counts for reading in self.readings.values()), Counts())

    def answer(self, expected: Judgement = Judgement.PROVEN, *, reliable: bool = True) -> bool | None:
        """Whether every host has the expected verdict; None if that cannot be told.

        Args:
            expected: the verdict that every host should have.
            reliable: False: records are missing, so what was not seen means nothing. A log with more rejects than
                records is none to rely on either, nor is silence in a time of which no log has a line.
        """
        answers = [verdict.as_expected(one.verdict, expected) for one in self]
        if False in answers:
            return False
        readable = all(reading.counts.rejected <= reading.counts.records for reading in self.readings.values())
        whole = all(one.whole for reading in self.readings.values() for one in reading.coverage)
        seen = expected != Judgement.NO_EVIDENCE or self.window_read
        return True if answers and None not in answers and reliable and readable and whole and seen else None

    @cached_property
    def window_read(self) -> bool:
        """Whether every log that was given has lines of the time that was asked about."""
        first, last = self._window
        inside = "start >= coalesce(?, start) AND start < coalesce(?, start + 1)"
        return all(
            results.rows(self.connection, f"SELECT 1 FROM {hop}_lines WHERE {inside} LIMIT 1", [first, last])
            for hop, reading in self.readings.items()
            if reading.sources
        )

    @cached_property
    def gateways(self) -> tuple[str, ...]:
        """Addresses of the gateway: given, or learned from its lines."""
        return tuple(row["ip"] for row in results.rows(self.connection, "SELECT DISTINCT ip FROM gateways ORDER BY ip"))

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Services of the gateway: given, or learned from where sidecars sent to its addresses."""
        return tuple(
            row["name"] for row in results.rows(self.connection, "SELECT DISTINCT name FROM services ORDER BY name")
        )

    @cached_property
    def coverage(self) -> list[dict[str, Any]]:
        """Per log: ``hop``, ``origin``, ``records``, and when its first record began and its last ended (ns)."""
        return results.coverage(self.connection)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """About the evidence as a whole, and about what could not be counted for any host."""
        found = [
            results.about("EGL196", reading.sources)
            for reading in self.readings.values()
            if reading.sources and not reading.counts.records
        ]
        if self.readings["gateway"].counts.records and not results.rows(self.connection, "SELECT ip FROM replicas"):
            found.append(results.about("EGL103", self.readings["gateway"].counts.records))
        if not self.readings["sidecar"].sources:
            found.append(results.about("EGL194", 0))
        for hop, code in (("gateway", "EGL104"), ("sidecar", "EGL105")):
            if partly := sum(not one.whole for one in self.readings[hop].coverage):
                found.append(results.about(code, partly))
        if rejected := self.counts.rejected:
            found.append(results.about("EGL191", rejected))
        return results.ordered([*found, *results.beside(self.connection, asked=self.asked)])

    def findings_of(self, host: str) -> list[Finding]:
        """The findings about one host; those of the hosts after it are fetched along, in case they are next."""
        if host not in self._page:
            place = self._places[host]
            hosts = [one.host for one in self._verdicts[place : place + _FETCHED]]
            self._page = results.of_hosts(self.connection, hosts)
        return self._page[host]

    def to_arrow(self) -> pa.Table:
        """As ``to_pandas``."""
        return results.frame(self.connection, None)

    def to_pandas(self) -> pd.DataFrame:
        """One row per host and request or connection: verdict, finding, names, addresses, lines of both hops."""
        return to_pandas(self.to_arrow())

    def __repr__(self) -> str:
        shown = ", ".join(f"{one.host} {one.verdict}" for one in self[:_SHOWN])
        return f"<Verdicts {shown}{', ...' * (len(self) > _SHOWN)}>"

    def _repr_html_(self) -> str:
        import pandas as pd  # noqa: PLC0415

        rows = [{"host": one.host, "verdict": one.verdict.value, **one.counts} for one in self]
        return pd.DataFrame(rows).to_html(index=False)


def verify(
    hosts: str | Iterable[str] = (),
    *,
    gateway: Log | None = None,
    sidecars: Log | None = None,
    gateway_service: Iterable[str] = (),
    gateway_ip: Iterable[str] = (),
    external: Iterable[str] = (),
    source: Iterable[str] = (),
    since: str | None = None,
    until: str | None = None,
) -> Verdicts:
    """Says whether traffic to hosts left through the egress gateway, and nowhere else.

    Args:
        hosts: names, wildcards (``*.wikipedia.org``), IPs or CIDRs; none for every outside host in the logs.
        gateway: the logs of the gateway's pods, all replicas.
        sidecars: the logs of the clients' sidecars.
        gateway_service: names of the gateway's Service where the logs do not show it.
        gateway_ip: addresses of the gateway's pods, likewise.
        external: CIDRs that are outside although they are private; the rest of the private ranges is the cluster's.
        source: addresses or CIDRs of the clients that are asked about.
        since: ask about requests and connections that began then or later: RFC 3339, or ``5m`` ago. All lines are read
            all the same, since the two ends of a pair may lie on either side.
        until: likewise, before then.

    Returns:
        One verdict per host. It holds a temporary database until it is closed or forgotten.

    Raises:
        UsageError: no log, or a host or address that is none.
        SourceError: a log could not be read whole (not with its ``keep_going``).
        StoreError: the temporary database failed, as with a full disk.
    """
    if gateway is None and sidecars is None:
        raise UsageError("give the log of the gateway (--gateway FILE), of the sidecars (--sidecar FILE), or both")
    asked = questions(hosts)
    is_external = outside(external)
    addresses = [str(network(ip, "--gateway-ip").network_address) for ip in _names(gateway_ip)]
    where = Filter.parse(source=source, since=since, until=until)
    logs = {"gateway": gateway, "sidecar": sidecars}
    with database_errors():
        store = Store()
        try:
            for hop, log in logs.items():
                _load(store, hop, log, is_external)
            read = by_ip(gateway.coverage if gateway else ())
            addresses += [ip for ip, _ in read]
            missing = covered.gaps((ip, gap) for ip, one in read for gap in one.gaps)
            names = _names(gateway_service)
            cases.build(store.connection, services=names, gateways=addresses, read=covered.spans(read), gaps=missing)
            covered.name_pods(store.connection, [life for log in logs.values() if log for life in lives(log.coverage)])
            hosts_of.attribute(store.connection, asked)
            verdict.refine(store.connection)
            verdict.restrict(store.connection, where)
            verdict.judge(store.connection)
            readings = {hop: log.reading if log else Reading(complete=True) for hop, log in logs.items()}
            return Verdicts(store, readings, [question.text for question in asked], where)
        except BaseException:
            store.close()
            raise


def _load(store: Store, hop: str, log: Log | None, is_external: Callable[[str], bool]) -> None:
    """Reads a hop's records as evidence into ``<hop>_lines``."""
    problem: list[SourceError] = []
    flags_known = log is None or log.fills("response_flags")

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in log.stream(lines=True) if log else ():
                made = evidence.prepare(batch, is_external, flags_known=flags_known)
                yield made.filter(pc.invert(evidence.is_inbound(made)))
        except SourceError as error:  # must not pass through the engine
            problem.append(error)

    store.load(f"{hop}_lines", pa.RecordBatchReader.from_batches(evidence.SCHEMA, batches()))
    if problem:
        raise problem[0]


def _names(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _counts(row: Mapping[str, Any]) -> dict[Judgement, int]:
    return {verdict: row[verdict] for verdict in Judgement if row[verdict]}
