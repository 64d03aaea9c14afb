"""From options to logs, and what to print about them after they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from egresslog.cli.options import ClusterOptions, FilterOptions, InputOptions, OutputOptions

if TYPE_CHECKING:
    from egresslog.filters import Filter
    from egresslog.live.follow import Following
    from egresslog.log import Log
    from egresslog.scan import Scan

_LAST = 10  # lines of each log, as with `tail`


def split(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names on the command line -> targets in a cluster, and files.

    Raises:
        UsageError: there are both.
    """
    from egresslog.errors import UsageError
    from egresslog.sources.cluster.pods import is_target

    targets = [name for name in names if is_target(name) and not Path(name).exists()]
    paths = [name for name in names if name not in targets]
    if targets and paths:
        raise UsageError(f"{targets[0]} is in a cluster and {paths[0]} is a file: give only one of the two kinds")
    return targets, paths


def open_log(
    names: Sequence[str] | None,
    *,
    inputs: InputOptions,
    filters: FilterOptions,
    cluster: ClusterOptions,
    output: OutputOptions,
    columns: list[str] | None = None,
    networks: bool = False,
) -> Log:
    """The log of files, or without ``names`` or with targets of the cluster, which is read at once.

    It goes on after errors: ``write_read_summary`` prints them. ``networks``: as ``read_cluster``.

    Raises:
        UsageError: files together with options of a cluster.
        ClusterError: see ``read_cluster``.
    """
    from egresslog.show.terminal import counted

    where = filters.parse()
    targets, paths = split(names or ())
    if paths:
        _check_no_cluster(cluster)
        return open_files(paths, inputs=inputs, filters=filters, columns=columns)
    check_export_options(inputs)
    from egresslog.live.cluster_logs import read_cluster

    with counted("logs", output.color) as progress:
        return read_cluster(
            *targets, **cluster.gateway(), since=filters.since, format=inputs.format, columns=columns, where=where,
            keep_going=True, networks=networks, progress=progress,
        )  # fmt: skip


def check_export_options(inputs: InputOptions) -> None:
    """Checks that nothing is said about exported lines where a cluster is read.

    Raises:
        UsageError: ``--field``, ``--prefix`` or ``--strip-prefix``.
    """
    from egresslog.errors import UsageError

    if inputs.field or inputs.prefix or inputs.strip_prefix:
        raise UsageError("--field, --prefix, and --strip-prefix are about exported files, not about a cluster's logs")


def open_files(
    paths: Sequence[str],
    *,
    inputs: InputOptions,
    filters: FilterOptions,
    columns: list[str] | None = None,
) -> Log:
    """The log of files; as ``open_log``."""
    from egresslog.log import read

    return read(
        paths, inputs.format, columns, where=filters.parse(), keep_going=True, field=inputs.field, prefix=inputs.prefix,
        strip_prefix=inputs.strip_prefix,
    )  # fmt: skip


def check_outputs(
    output: OutputOptions, names: Sequence[str], *, inputs: InputOptions, cluster: ClusterOptions
) -> None:
    """Checks before anything is read or written that the output can be written, and overwrites nothing that is read.

    Args:
        output: where it goes.
        names: of the logs on the command line; those that are files are not overwritten.
        inputs: likewise the file of the format.
        cluster: likewise the kubeconfig.

    Raises:
        UsageError: see ``show.output``; or a suffix that rejects cannot have.
    """
    from egresslog.show.output import check, check_different
    from egresslog.sources.paths import expand_paths

    if output.rejects:
        _rejects_format(output.rejects)
    check_different(output.rejects, output.output_file)
    files = [source.origin for source in expand_paths(split(names)[1]).sources]
    files += [name for name in (inputs.format, cluster.kubeconfig) if name]
    for path in (output.output_file, output.rejects):
        if path is not None:
            check(path, files)
    if output.output_file is None:
        check(None, files)


def follow_log(
    names: Sequence[str] | None,
    *,
    inputs: InputOptions,
    filters: FilterOptions,
    cluster: ClusterOptions,
    tail: int | None,
) -> Following:
    """Follows files or a pipe, or without ``names`` or with targets the cluster.

    Args:
        names: files, or targets of the cluster.
        inputs: the format.
        filters: which records.
        cluster: which pods.
        tail: how many lines of each log to begin with; negative for all; None for 10, or for all ``--since`` a time.

    Raises:
        UsageError, ClusterError: as ``open_log``.
    """
    from egresslog.live.follow import follow, follow_paths

    where = filters.parse()
    targets, paths = split(names or ())
    if tail is None:
        tail = None if filters.since else _LAST
    elif tail < 0:
        tail = None
    if paths:
        _check_no_cluster(cluster)
        return follow_paths(paths, tail=tail, format=inputs.format, where=where)
    return follow(
        *targets, **cluster.gateway(), since=filters.since, tail=tail, format=inputs.format, where=where
    )  # fmt: skip


def _check_no_cluster(cluster: ClusterOptions) -> None:
    from egresslog.errors import UsageError

    if option := cluster.first_given():
        raise UsageError(f"{option} applies to a cluster, but files are given: remove one of the two")


@contextmanager
def progress_bar(logs: Sequence[Log], color: str) -> Iterator[Callable[[int], None] | None]:
    """A bar on the terminal while the logs are read, if that takes long."""
    from egresslog.show.terminal import progress

    sizes = [log.size for log in logs]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with progress(total, color) as advance:  # type: ignore[arg-type]
        yield advance


def write_read_summary(
    scans: Mapping[str, Scan], where: Filter, *, inputs: InputOptions, output: OutputOptions, with_counts: bool = True
) -> bool:
    """Prints on standard error what was read, and writes the rejects.

    Args:
        scans: by label; empty for the only one.
        where: the filter of the records.
        inputs: ``keep_going``: what could not be read does not make the result incomplete.
        output: where the rejects go.
        with_counts: print the counts of lines; not needed where the output has them.

    Returns:
        Whether every log has records and nothing is missing: an empty log never passes.
    """
    from egresslog.show import notes, records
    from egresslog.show.output import opened

    if output.rejects:
        with opened(output.rejects) as stream:
            records.write_rejects(stream, list(scans.values()), _rejects_format(output.rejects))
    for label, scan in scans.items():
        notes.write_notes(output.color, scan, where, rejects_path=output.rejects, with_heading=with_counts, label=label)
    complete = inputs.keep_going or all(scan.is_complete for scan in scans.values())
    return complete and all(scan.counts.records for scan in scans.values())


def _rejects_format(path: str) -> str:
    from egresslog.show.output import choose
    from egresslog.show.records import REJECT_FORMS

    return choose(None, path, piped="ndjson", known=REJECT_FORMS)
