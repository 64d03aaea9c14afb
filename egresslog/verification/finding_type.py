"""What a finding is: its columns, and the traits that the statements ask about."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pyarrow as pa

from egresslog.verification.verdict import Verdict

Level = Literal["error", "warning", "info"]

#: What pairing, attribution and judging ask of a finding beyond its verdict; a column each of the table ``findings``.
TRAITS = {
    "stands": "the sidecar's own failure, whatever the gateway's line says",
    "awaits": "sent to the gateway: the pair, or the gateway's coverage, decides what becomes of it",
    "may_be_similar": "without a pair; a similar line of the gateway would be a hint",
    "undeclared": "left by a cluster that belongs to no host",
    "nameless": "the address stands for the host where no name is known",
    "shows_address": "a proxy reached for this address when it was asked for the host",
    "declared_direct": "a declared host went straight to an outside address",
    "misplaced": "the line belongs into the other hop's log",
}


class FindingType(NamedTuple):
    """A kind of finding.

    Attributes:
        code: ``EGL110``.
        name: the same for people, such as ``direct-serviceentry``.
        level: of a host that is not PROVEN; with PROVEN an error counts as a warning.
        verdict: of a request or connection with this finding; None for findings about the evidence itself.
        traits: names of TRAITS.
        cause: what happened, one or two sentences.
        advice: what to do about it, "" for nothing.
        source: where the rule comes from.
    """

    code: str
    name: str
    level: Level
    verdict: Verdict | None
    traits: frozenset[str]
    cause: str
    advice: str
    source: str

    @property
    def proves(self) -> bool:
        """Whether it shows that traffic left through the gateway."""
        return self.verdict is Verdict.PROVEN

    @property
    def accuses(self) -> bool:
        """Whether it shows that traffic went elsewhere; an ambiguous line may do that, and nothing else."""
        return self.verdict in (Verdict.BYPASSED, Verdict.MISROUTED)


_FLAGS = ("proves", "accuses")
#: The table ``findings`` of a verdict's database: what the statements know of each kind of finding.
SCHEMA = pa.schema(
    [("name", pa.string()), ("code", pa.string()), ("verdict", pa.string())]
    + [(name, pa.bool_()) for name in (*_FLAGS, *TRAITS)]
)


def row(finding: FindingType) -> tuple[object, ...]:
    """A finding as a row of that table."""
    flags = (finding.proves, finding.accuses, *(trait in finding.traits for trait in TRAITS))
    return (finding.name, finding.code, finding.verdict, *flags)
