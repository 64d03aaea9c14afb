"""verify: logs and hosts in, verdicts out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from egresslog.database import Database, database_errors
from egresslog.errors import SourceError, UsageError
from egresslog.filters import Filter
from egresslog.log import Log
from egresslog.networks import external_test, network
from egresslog.scan import Scan
from egresslog.sources.coverage import by_ip, pod_lifetimes
from egresslog.verification import cases, evidence, judge
from egresslog.verification import coverage as covered
from egresslog.verification import hosts as hosts_of
from egresslog.verification.result import HostVerdict, Verification
from egresslog.verification.targets import questions

__all__ = ["HostVerdict", "Verification", "verify"]


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
) -> Verification:
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
        DatabaseError: the temporary database failed, as with a full disk.
    """
    if gateway is None and sidecars is None:
        raise UsageError("give the log of the gateway (--gateway FILE), of the sidecars (--sidecar FILE), or both")
    asked = questions(hosts)
    is_external = external_test(external)
    addresses = [str(network(ip, "--gateway-ip").network_address) for ip in _names(gateway_ip)]
    where = Filter.parse(source=source, since=since, until=until)
    logs = {"gateway": gateway, "sidecar": sidecars}
    with database_errors():
        store = Database()
        try:
            for hop, log in logs.items():
                _load(store, hop, log, is_external)
            read = by_ip(gateway.coverage if gateway else ())
            addresses += [ip for ip, _ in read]
            missing = covered.gaps((ip, gap) for ip, one in read for gap in one.gaps)
            names = _names(gateway_service)
            cases.build(store.connection, services=names, gateways=addresses, read=covered.spans(read), gaps=missing)
            covered.name_pods(
                store.connection, [life for log in logs.values() if log for life in pod_lifetimes(log.coverage)]
            )
            hosts_of.attribute(store.connection, asked)
            judge.refine(store.connection)
            judge.restrict(store.connection, where)
            judge.judge(store.connection)
            readings = {hop: log.reading if log else Scan(complete=True) for hop, log in logs.items()}
            return Verification(store, readings, [question.text for question in asked], where)
        except BaseException:
            store.close()
            raise


def _load(store: Database, hop: str, log: Log | None, is_external: Callable[[str], bool]) -> None:
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
