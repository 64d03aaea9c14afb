"""egresslog: who talks to which outside host, read from the access logs of Istio's egress gateway.

Everything a notebook needs is here; the modules below are the rooms of the house (see README, "Layout").
"""

from egresslog.errors import (
    CatalogueError,
    ClusterError,
    EgresslogError,
    FormatError,
    LineError,
    SourceError,
    StoreError,
    UsageError,
)

__version__ = "0.1.0"

__all__ = [
    "CatalogueError",
    "ClusterError",
    "Counts",
    "EgresslogError",
    "Filter",
    "Finding",
    "Following",
    "Format",
    "FormatError",
    "Judgement",
    "LineError",
    "Log",
    "SourceError",
    "StoreError",
    "UsageError",
    "Verdict",
    "Verdicts",
    "follow",
    "formats",
    "read",
    "read_cluster",
    "read_sidecars",
    "verify",
]

# pyarrow takes a third of a second to import: `egresslog --help` and shell completion must not pay for it.
_LAZY = {
    "Counts": "egresslog.records.lines",
    "Filter": "egresslog.report.filters",
    "Format": "egresslog.records.format",
    "Log": "egresslog.log",
    "Finding": "egresslog.verification.results",
    "Judgement": "egresslog.verification.findings",
    "Verdict": "egresslog.verdicts",
    "Verdicts": "egresslog.verdicts",
    "formats": "egresslog.records.catalogue",
    "Following": "egresslog.live.following",
    "follow": "egresslog.live.following",
    "read": "egresslog.log",
    "read_cluster": "egresslog.live.reading",
    "read_sidecars": "egresslog.live.reading",
    "verify": "egresslog.verdicts",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'egresslog' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
