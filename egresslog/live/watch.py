"""Verdicts again and again, and what changed between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from egresslog.live.probe.session import Check
from egresslog.verification.result import Verification
from egresslog.verification.verdict import Verdict


@dataclass(frozen=True)
class Change:
    """What is new about a host.

    Attributes:
        at_ns: when it was seen, by our clock.
        before, after: the verdicts; None where the host was not, or is no more, among those seen.
        came, went: codes of findings.
    """

    host: str
    at_ns: int
    before: Verdict | None
    after: Verdict | None
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()


def watch(
    look: Check, every: float, *, wait: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Verification, list[Change] | None]]:
    """Verdicts at once and every so many seconds, with what changed since; None the first time.

    The verdicts before are closed when the next are asked for.
    """
    before: dict[str, tuple[Verdict, frozenset[str]]] | None = None
    while True:
        found = look()
        now = {one.host: (one.verdict, frozenset(finding.code for finding in one.findings)) for one in found}
        yield found, None if before is None else _changes(before, now)
        found.close()
        before = now
        wait(every)


def _changes(
    before: dict[str, tuple[Verdict, frozenset[str]]], now: dict[str, tuple[Verdict, frozenset[str]]]
) -> list[Change]:
    at = time.time_ns()
    nothing: tuple[None, frozenset[str]] = (None, frozenset())
    made = []
    for host in {**now, **before}:  # those of now first, in their order
        was, had = before.get(host, nothing)
        is_now, has = now.get(host, nothing)
        if (was, had) != (is_now, has):
            made.append(Change(host, at, was, is_now, tuple(sorted(has - had)), tuple(sorted(had - has))))
    return made
