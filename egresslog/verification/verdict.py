"""The verdicts, gravest first."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What the evidence says about a request, a connection or a host; a host gets the first that applies."""

    BYPASSED = "BYPASSED"
    MISROUTED = "MISROUTED"
    PROVEN = "PROVEN"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    SENT_UNCONFIRMED = "SENT_UNCONFIRMED"
    NO_EVIDENCE = "NO_EVIDENCE"


MEANINGS = {
    Verdict.BYPASSED: "A connection left for an outside address without passing the gateway.",
    Verdict.MISROUTED: "The gateway sent the traffic to itself or back into the cluster.",
    Verdict.PROVEN: "The gateway forwarded the traffic to an outside address, and that address answered.",
    Verdict.FAILED: "The traffic was meant for the gateway and did not get through.",
    Verdict.BLOCKED: "The mesh, or something below it, refused the traffic on purpose.",
    Verdict.SENT_UNCONFIRMED: "The traffic was sent to the gateway; the logs do not show what happened next.",
    Verdict.NO_EVIDENCE: "No line mentions the host; that does not prove there was no traffic.",
}
