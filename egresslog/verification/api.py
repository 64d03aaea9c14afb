"""verify: logs and hosts in, verdicts out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.database import Database, database_errors
from egresslog.errors import UsageError
from egresslog.filters import Filter
from egresslog.log import Log
from egresslog.networks import external_test, inside, network, networks
from egresslog.records.chunk import REJECTS
from egresslog.scan import Scan
from egresslog.sources.coverage import by_ip, pod_lifetimes
from egresslog.verification import cases, coverage, evidence, judge, pod_addresses
from egresslog.verification import hosts as hosts_of
from egresslog.verification.result import HostVerdict, Verification
from egresslog.verification.statements import statement
from egresslog.verification.targets import asked_hosts

__all__ = ["HostVerdict", "Verification", "verify"]

_REJECTED = pa.schema([("hop", pa.string()), *REJECTS])


def verify(
    hosts: str | Iterable[str] = (),
    *,
    gateway: Log | None = None,
    sidecars: Log | None = None,
    gateway_service: Iterable[str] = (),
    gateway_ip: Iterable[str] = (),
    external: Iterable[str] = (),
    internal: Iterable[str] = (),
    source: Iterable[str] = (),
    since: str | None = None,
    until: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Says whether traffic to hosts left through the egress gateway, and nowhere else.

    Args:
        hosts: names, wildcards (``*.wikipedia.org``), IPs or CIDRs; none for every outside host in the logs.
        gateway: the logs of the gateway's pods, all replicas.
        sidecars: the logs of the clients' sidecars.
        gateway_service: names of the gateway's Service where the logs do not show it.
        gateway_ip: addresses of the gateway's pods, likewise.
        external: CIDRs that are outside although they are private; the rest of the private ranges is the cluster's.
        internal: CIDRs that are the cluster's although they are not private, such as those of pods with public IPs or
            of another network's east-west gateway. Addresses of pods that the logs or the cluster show need not be
            given.
        source: addresses or CIDRs of the clients that are asked about.
        since: ask about requests and connections that began then or later: RFC 3339, or ``5m`` ago. All lines are read
            all the same, since the two ends of a pair may lie on either side.
        until: likewise, before then.
        progress: called with the number of stored bytes just read.

    Returns:
        One verdict per host. It holds a temporary database until it is closed or forgotten.

    Raises:
        UsageError: no log, a host or address that is none, or ``external`` that overlaps ``internal``, known pods, or
            ranges that the cluster says are its own.
        SourceError: a log could not be read whole (not with its ``keep_going``).
        DatabaseError: the temporary database failed, as with a full disk.
    """
    if gateway is None and sidecars is None:
        raise UsageError("give the log of the gateway (--gateway FILE), of the sidecars (--sidecar FILE), or both")
    asked = asked_hosts(hosts)
    outside = networks(external, "--external")
    logs = {hop: log for hop, log in (("gateway", gateway), ("sidecar", sidecars)) if log}
    learned = pod_addresses.inside_ranges([log.sources for log in logs.values()], outside)
    is_external = external_test(outside, (*networks(internal, "--internal"), *learned))
    addresses = [str(network(ip, "--gateway-ip").network_address) for ip in _names(gateway_ip)]
    where = Filter.parse(source=source, since=since, until=until)
    with database_errors():
        database = Database()
        try:
            scans = {hop: _load(database, hop, logs.get(hop), is_external, progress) for hop in ("gateway", "sidecar")}
            _load_rejected(database, scans)
            connection = database.connection
            evidence.distrust_forged(connection)
            of_cluster = [ip for log in logs.values() for ip, _ in by_ip(log.coverage)]
            pod_addresses.learn(connection, of_cluster, inside(outside))
            read = by_ip(gateway.coverage if gateway else ())
            addresses += [ip for ip, _ in read]
            names = _names(gateway_service)
            cases.build(
                connection, services=names, gateways=addresses, read=coverage.spans(read), gaps=coverage.gaps(read)
            )
            coverage.name_pods(connection, [life for log in logs.values() for life in pod_lifetimes(log.coverage)])
            hosts_of.attribute(connection, asked)
            judge.refine(connection)
            selected = judge.restrict(connection, where)
            judge.judge(connection)
            connection.execute(statement("senders"))
            return Verification(database, logs, scans, [host.text for host in asked], where, selected)
        except BaseException:
            database.close()
            raise


def _load(
    database: Database,
    hop: str,
    log: Log | None,
    is_external: Callable[[str], bool],
    progress: Callable[[int], None] | None,
) -> Scan:
    """Reads a hop's records as evidence into ``<hop>_lines``."""
    scan = log.scan(lines=True, progress=progress) if log else Scan(finished=True)
    flags_known = log is None or log.logs_column("response_flags")

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in scan.batches():
            rows = evidence.prepare(batch, is_external, flags_known=flags_known)
            yield rows.filter(pc.invert(evidence.is_inbound(rows)))

    database.load(f"{hop}_lines", evidence.SCHEMA, batches())
    return scan


def _load_rejected(database: Database, scans: Mapping[str, Scan]) -> None:
    """Loads the lines of each hop that could not be parsed into ``rejected_lines``."""

    def batches() -> Iterator[pa.RecordBatch]:
        for hop, scan in scans.items():
            for batch in scan.reject_batches():
                hops = pa.repeat(pa.scalar(hop, pa.string()), len(batch))
                yield pa.RecordBatch.from_arrays([hops, *batch.columns], schema=_REJECTED)

    database.load("rejected_lines", _REJECTED, batches())


def _names(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
