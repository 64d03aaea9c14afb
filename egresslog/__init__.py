"""egresslog: who talks to which outside host, read from the access logs of Istio's egress gateway.

Everything a notebook needs is here; the modules below are the rooms of the house (see README, "Layout").
"""

from egresslog.errors import (
    CatalogueError,
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
    "Counts",
    "EgresslogError",
    "Filter",
    "Finding",
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
    "formats",
    "read",
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
    "read": "egresslog.log",
    "verify": "egresslog.verdicts",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'egresslog' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
