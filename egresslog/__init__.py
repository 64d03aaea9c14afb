"""egresslog: proves that traffic leaves an Istio mesh through the egress gateway, and reports egress traffic by host.

Everything a notebook needs is here; docs/python.md shows it, docs/architecture.md describes the modules below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egresslog.errors import (
    CatalogueError,
    ClusterError,
    DatabaseError,
    EgresslogError,
    FormatError,
    LineError,
    SourceError,
    UsageError,
)

if TYPE_CHECKING:
    from egresslog.filters import Filter
    from egresslog.live.cluster_logs import read_cluster, read_sidecars
    from egresslog.live.follow import Following, follow
    from egresslog.log import Log, read
    from egresslog.records.catalogue import formats
    from egresslog.records.chunk import Counts
    from egresslog.records.format import Format
    from egresslog.scan import Scan
    from egresslog.verification.api import verify
    from egresslog.verification.queries import Finding
    from egresslog.verification.result import HostVerdict, Verification
    from egresslog.verification.verdict import Verdict

__version__ = "0.1.0"

__all__ = [
    "CatalogueError",
    "ClusterError",
    "Counts",
    "DatabaseError",
    "EgresslogError",
    "Filter",
    "Finding",
    "Following",
    "Format",
    "FormatError",
    "HostVerdict",
    "LineError",
    "Log",
    "Scan",
    "SourceError",
    "UsageError",
    "Verdict",
    "Verification",
    "follow",
    "formats",
    "read",
    "read_cluster",
    "read_sidecars",
    "verify",
]

# pyarrow takes a third of a second to import: `egresslog --help` and completion must not pay for it. Type checkers
# read the imports above, Python finds the same names here.
_LAZY = {
    "Counts": "records.chunk",
    "Filter": "filters",
    "Finding": "verification.queries",
    "Following": "live.follow",
    "Format": "records.format",
    "HostVerdict": "verification.result",
    "Log": "log",
    "Scan": "scan",
    "Verdict": "verification.verdict",
    "Verification": "verification.result",
    "follow": "live.follow",
    "formats": "records.catalogue",
    "read": "log",
    "read_cluster": "live.cluster_logs",
    "read_sidecars": "live.cluster_logs",
    "verify": "verification.api",
}

if not TYPE_CHECKING:  # else every misspelled name would pass

    def __getattr__(name):
        if name in _LAZY:
            from importlib import import_module

            value = globals()[name] = getattr(import_module(f"egresslog.{_LAZY[name]}"), name)
            return value
        raise AttributeError(f"module 'egresslog' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers: the public names."""
    return sorted([*__all__, "__version__"])
