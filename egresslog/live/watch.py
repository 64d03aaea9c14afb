"""Verdicts again and again, and what changed between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from egresslog.live.probe.session import Check
from egresslog.verification.result import Verification
from egresslog.verification.verdict import Verdict

Code = tuple[str, str]  # of a finding, with its name
Summary = dict[str, tuple[Verdict, frozenset[Code]]]  # by host: its verdict, and the codes of its findings


@dataclass(frozen=True)
class Change:
    """What is new about a host.

    Attributes:
        at_ns: when it was seen, by our clock.
        before, after: the verdicts; None where the host was not, or is no more, among those seen.
        came, went: codes of findings, with their names.
    """

    host: str
    at_ns: int
    before: Verdict | None
    after: Verdict | None
    came: tuple[Code, ...] = ()
    went: tuple[Code, ...] = ()


def watch(
    check: Check, every: float, *, wait: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Verification, list[Change] | None]]:
    """Verdicts at once and every so many seconds, with what changed since; None the first time.

    The verdicts before are closed when the next are asked for.
    """
    before: Summary | None = None
    while True:
        verification = check()
        now = {
            host.host: (host.verdict, frozenset((finding.code, finding.name) for finding in host.findings))
            for host in verification
        }
        yield verification, None if before is None else _changes(before, now)
        verification.close()
        before = now
        wait(every)


def _changes(before: Summary, now: Summary) -> list[Change]:
    at = time.time_ns()
    unseen: tuple[None, frozenset[Code]] = (None, frozenset())
    changes = []
    for host in {**now, **before}:  # those of now first, in their order
        old_verdict, old_codes = before.get(host, unseen)
        verdict, codes = now.get(host, unseen)
        if (old_verdict, old_codes) != (verdict, codes):
            came, went = tuple(sorted(codes - old_codes)), tuple(sorted(old_codes - codes))
            changes.append(Change(host, at, old_verdict, verdict, came, went))
    return changes
