"""Shell completion of option values."""

from __future__ import annotations


def complete_format(incomplete: str) -> list[str]:
    """Names of the known log formats."""
    from egresslog.records.catalogue import formats

    return [log_format.name for log_format in formats() if log_format.name.startswith(incomplete)]


def complete_columns(incomplete: str) -> list[str]:
    """Names of columns, the first as well as those after a comma."""
    from egresslog.records.schema import BASE

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + column.name for column in BASE if column.name.startswith(last)]


def complete_context(incomplete: str) -> list[str]:
    """Contexts of the default kubeconfig."""
    from egresslog.sources.cluster.kubeconfig import contexts

    return [name for name in contexts() if name.startswith(incomplete)]
