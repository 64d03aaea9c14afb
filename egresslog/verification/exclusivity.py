"""Exclusivity, the "and nowhere else" beside a verdict: was a bypass looked for, by whom could it have been seen?

A gateway's log cannot show what did not pass it. Only the sidecar of each sender can, so it is judged per sender and
per log, never by the sum of a hop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egresslog.scan import Scan
from egresslog.sources.coverage import Coverage
from egresslog.verification import queries
from egresslog.verification.findings import FINDINGS
from egresslog.verification.queries import Finding
from egresslog.verification.verdict import Verdict

if TYPE_CHECKING:
    import duckdb

_ROTATED = 300 * 10**9  # ns: a proxy logs its start at once; a log that begins so much later has lost its beginning


class ExclusivityState(StrEnum):
    """Whether traffic could have bypassed the gateway without being seen.

    CONFIRMED: every sender that any log shows, and every workload asked for, has a sidecar log over the time, no
    bypass, and nothing nameless, unconfirmed or unreadable is left. NOT_CHECKED: no usable sidecar line. PARTIAL:
    everything between.
    """

    CONFIRMED = "CONFIRMED"
    PARTIAL = "PARTIAL"
    NOT_CHECKED = "NOT_CHECKED"


class Exclusivity(NamedTuple):
    """The answer to "and nowhere else".

    Attributes:
        state: see ``ExclusivityState``.
        read: senders whose sidecar log was read over the time.
        senders: all that any log shows, and the pods whose sidecar logs were asked for.
        missing: names or addresses of those that were not read, and logs that could not be used.
        reasons: codes of the findings that keep it from being CONFIRMED.
    """

    state: ExclusivityState
    read: int
    senders: int
    missing: tuple[str, ...]
    reasons: tuple[str, ...]

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "state": self.state.value,
            "read": self.read,
            "senders": self.senders,
            "missing": list(self.missing),
            "reasons": list(self.reasons),
        }


class Senders(NamedTuple):
    """What holds for all hosts: who sent, whose sidecar log is missing, and the findings about that."""

    names: frozenset[str]
    missing: tuple[str, ...]
    is_checked: bool
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]


def find_senders(connection: duckdb.DuckDBPyConnection, scans: Mapping[str, Scan]) -> Senders:
    """Compares who sent with whose sidecar logs were read. The table ``senders`` is there already."""
    rows = queries.rows(connection, "SELECT * FROM senders ORDER BY sender")
    sidecar = scans["sidecar"]
    names = {row["sender"] for row in rows}
    unread = [row["sender"] for row in rows if row["unmatched"] or not row["has_sidecar_lines"]]
    unusable = [origin for origin, span in sidecar.origins.items() if not span.records]
    late = [log_coverage.origin for log_coverage in sidecar.coverage if _begins_late(log_coverage, scans["gateway"])]
    pods = [_pod(log_coverage.origin) for log_coverage in sidecar.coverage]
    is_checked = any(span.records for span in sidecar.origins.values())
    findings = list(_findings(sidecar, unusable if is_checked else [], late))
    servers = {scan.unauthenticated for scan in scans.values() if scan.unauthenticated}
    if servers:
        findings.append(queries.finding("api-server-not-authenticated", len(servers)))
    reasons = [finding.code for finding in findings]
    if unread:
        reasons.append(FINDINGS["senders-not-checked"].code)
    if sidecar.errors or not all(log_coverage.is_complete for log_coverage in sidecar.coverage):
        reasons.append(FINDINGS["sidecar-log-gap"].code)
    if any(scan.counts.rejected for scan in scans.values()):
        reasons.append(FINDINGS["rejected-lines"].code)
    if not is_checked:
        reasons.append(FINDINGS["no-sidecar-log"].code)
    nameless = queries.rows(
        connection,
        "SELECT DISTINCT code FROM cases JOIN findings ON name = finding"
        " WHERE accuses AND own_host IS NULL OR name = 'unknown-service'",
    )
    reasons += [row["code"] for row in nameless]
    missing = dict.fromkeys([*unread, *(_pod(origin) for origin in unusable), *(_pod(origin) for origin in late)])
    return Senders(frozenset({*names, *pods}), tuple(missing), is_checked, tuple(findings), tuple(sorted(set(reasons))))


def judge_exclusivity(senders: Senders, counts: Mapping[Verdict, int], findings: Sequence[Finding]) -> Exclusivity:
    """The exclusivity of one host: what holds for all, a bypass of its own, and what is unconfirmed about it."""
    kinds = {finding.code: FINDINGS[finding.name] for finding in findings}
    own = [
        code
        for code, kind in kinds.items()
        if kind.accuses or kind.verdict is Verdict.SENT_UNCONFIRMED or kind.name in {"alias-direct", "unreadable-lines"}
    ]
    reasons = tuple(sorted({*senders.reasons, *own}))
    total = len(senders.names.union(senders.missing))
    read = total - len(senders.missing)
    if not senders.is_checked:
        state = ExclusivityState.NOT_CHECKED
    elif reasons or senders.missing or counts.get(Verdict.BYPASSED):
        state = ExclusivityState.PARTIAL
    else:
        state = ExclusivityState.CONFIRMED
    return Exclusivity(state, read if senders.is_checked else 0, total, senders.missing, reasons)


def _findings(sidecar: Scan, unusable: Sequence[str], late: Sequence[str]) -> Iterator[Finding]:
    if unusable:
        yield queries.finding("sidecar-log-unusable", len(unusable))
    if late:
        yield queries.finding("sidecar-log-begins-late", len(late))
    if sidecar.uncaptured:
        yield queries.finding("traffic-not-captured", len(sidecar.uncaptured))


def _begins_late(log_coverage: Coverage, gateway: Scan) -> bool:
    """Whether the beginning of a container's log was rotated away, and the gateway's log goes further back."""
    started, first = log_coverage.container.started, log_coverage.first
    if started is None or first is None or first - started < _ROTATED or log_coverage.container.previous:
        return False
    begins = [span.first_ns for span in gateway.origins.values() if span.first_ns is not None]
    return not begins or min(begins) < first


def _pod(origin: str) -> str:
    """``namespace/pod`` of a container's origin; a file's name as it is."""
    parts = origin.split("/")
    return "/".join(parts[:2]) if len(parts) == 3 and parts[2] == "istio-proxy" else origin  # noqa: PLR2004
