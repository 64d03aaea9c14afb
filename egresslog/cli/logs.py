"""What the commands share: a Log from options, a pass over it with progress, and what to say about it afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egresslog.live.follow import Following
    from egresslog.log import Log
    from egresslog.show.terminal import ColorMode

_LAST = 10  # lines of each log, as kubectl and tail have it


@dataclass(frozen=True)
class Place:
    """Which pods of which cluster, as the options say it."""

    namespace: Sequence[str] | None = None
    all_namespaces: bool = False
    selector: str | None = None
    gateway_name: str | None = None
    container: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    max_log_requests: int | None = None

    def options(self) -> dict[str, Any]:
        """The arguments of ``read_cluster`` and ``follow``."""
        return {
            "namespace": self.namespace or (),
            "all_namespaces": self.all_namespaces,
            "selector": self.selector,
            "gateway_name": self.gateway_name,
            "container": self.container,
            **self.access(),
        }

    def access(self) -> dict[str, Any]:
        """The arguments that say which cluster, who asks, and how much at a time."""
        limit = {"max_log_requests": self.max_log_requests} if self.max_log_requests else {}
        return {"context": self.context, "kubeconfig": self.kubeconfig, **limit}

    @property
    def said(self) -> str:
        """The first option that was given."""
        return next((f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value), "")


def split(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is named on the command line -> targets in a cluster, and files.

    Raises:
        UsageError: both.
    """
    from egresslog.errors import UsageError
    from egresslog.sources.cluster.pods import is_target

    targets = [name for name in names if is_target(name) and not Path(name).exists()]
    paths = [name for name in names if name not in targets]
    if targets and paths:
        raise UsageError(f"{targets[0]} is in a cluster, and {paths[0]} is a file: name one kind at a time")
    return targets, paths


def filters(
    host: list[str] | None,
    status: list[str] | None,
    flags: list[str] | None,
    upstream: list[str] | None,
    source: list[str] | None,
    since: str | None,
    until: str | None,
) -> dict[str, object]:
    """The arguments of ``Filter.parse``."""
    return {
        "host": host or (),
        "status": status or (),
        "flags": flags or (),
        "upstream": upstream or (),
        "source": source or (),
        "since": since,
        "until": until,
    }


def open_log(
    files: Sequence[str] | None,
    format: str | None,  # noqa: A002
    *,
    place: Place | None = None,
    color: str,
    output_file: str | None,
    rejects: str | None = None,
    columns: list[str] | None = None,
    where: Mapping[str, object] | None = None,
) -> Log:
    """The Log that a command is about; what cannot be read is told at the end.

    Without ``files``, or with targets, it is the cluster's at ``place``, and has been read already.

    Raises:
        UsageError: files and options of a cluster; an output that is one of the files, or cannot be written.
        ClusterError: see ``read_cluster``.
    """
    from egresslog.errors import UsageError
    from egresslog.filters import Filter
    from egresslog.log import read
    from egresslog.show.output import check, choose
    from egresslog.show.records import REJECT_FORMS
    from egresslog.show.terminal import counted

    chosen = Filter.parse(**(where or {}))  # type: ignore[arg-type]
    targets, paths = split(files or ())
    for path in (output_file, rejects):
        check(path)
    if paths and place and place.said:
        raise UsageError(f"{place.said} is about a cluster, and files are named: leave one of them out")
    if paths or place is None:
        log = read(paths, format, columns, where=chosen, keep_going=True)
        for path in (output_file, rejects):
            check(path, log.origins)
    else:
        from egresslog.live.cluster_logs import read_cluster

        since = str(where["since"]) if where and where["since"] else None
        with counted("logs", color) as progress:
            log = read_cluster(
                *targets, **place.options(), since=since, format=format, columns=columns, where=chosen,
                keep_going=True, progress=progress,
            )  # fmt: skip
    if rejects:
        choose(None, rejects, piped="ndjson", known=REJECT_FORMS)
    return log


def open_logs(
    gateway: Sequence[str] | None,
    sidecar: Sequence[str] | None,
    workloads: Sequence[str] | None,
    from_all: bool,
    format: str | None,  # noqa: A002
    *,
    place: Place,
    color: str,
    output_file: str | None,
    rejects: str | None,
) -> dict[str, Log]:
    """The logs that a verdict is about, by hop: of files, or of the cluster where none are named.

    Raises:
        UsageError, ClusterError: as ``open_log``.
    """
    from egresslog.errors import UsageError

    if "-" in (gateway or []) and "-" in (sidecar or []):
        raise UsageError("standard input can be one of the logs only: name a file for the other")
    live = bool(workloads or from_all)
    if (live and sidecar) or (workloads and from_all):
        raise UsageError("give one of --sidecar, --from and --from-all")
    from egresslog.sources.cluster.pods import Target

    for text in workloads or ():
        Target.workload(text)  # wrong ones are told before anything is read
    to: dict[str, Any] = {"color": color, "output_file": output_file, "rejects": rejects}
    logs: dict[str, Log] = {}
    if gateway or live or place.said or not sidecar:
        # Which cluster and who asks may be said for the sidecars alone.
        files_only = live and bool(split(gateway or ())[1])
        logs["gateway"] = open_log(gateway, format, place=None if files_only else place, **to)
    if sidecar:
        logs["sidecar"] = open_log(sidecar, format, **to)
    elif live:
        from egresslog.live.cluster_logs import read_sidecars
        from egresslog.show.terminal import counted

        with counted("sidecars' logs", color) as progress:
            logs["sidecar"] = read_sidecars(
                *(workloads or ()), but=logs["gateway"], format=format, keep_going=True, progress=progress,
                **place.access(),
            )  # fmt: skip
    return logs


def follow_log(
    names: Sequence[str] | None,
    format: str | None,  # noqa: A002
    *,
    place: Place,
    tail: int | None,
    where: Mapping[str, object],
) -> Following:
    """What ``tail`` follows: files or a pipe, else the cluster's gateway. ``tail``: None for what is usual.

    Raises:
        UsageError, ClusterError: as ``open_log``.
    """
    from egresslog.errors import UsageError
    from egresslog.filters import Filter
    from egresslog.live.follow import follow, follow_paths

    chosen = Filter.parse(**where)  # type: ignore[arg-type]
    targets, paths = split(names or ())
    since = str(where["since"]) if where["since"] else None
    tail = (None if since else _LAST) if tail is None else None if tail < 0 else tail
    if not paths:
        return follow(*targets, **place.options(), since=since, tail=tail, format=format, where=chosen)
    if place.said:
        raise UsageError(f"{place.said} is about a cluster, and files are named: leave one of them out")
    return follow_paths(paths, tail=tail, format=format, where=chosen)


def output_color(output_file: str | None, color: str) -> ColorMode:
    """Colours for the output: none in a file, whatever was asked for. ``exits.run`` has checked the word."""
    return "never" if output_file is not None else color  # type: ignore[return-value]


@contextmanager
def shown_progress(logs: Sequence[Log], color: str) -> Iterator[None]:
    """A bar while the logs are read, if that takes long and somebody is watching."""
    from egresslog.show.terminal import progress

    sizes = [log.size for log in logs]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with progress(total, color) as advance:  # type: ignore[arg-type]
        for log in logs:
            log.progress = advance
        yield


def tell(
    logs: Mapping[str, Log], color: str, *, rejects: str | None = None, with_heading: bool = True, keep_going: bool
) -> bool:
    """Says on standard error what was read, and writes the rejects.

    Args:
        logs: by what they are called, empty for the only one.
        color: auto, always or never.
        rejects: where the rejects go.
        with_heading: say how many lines there were; the output does otherwise.
        keep_going: what could not be read does not matter.

    Returns:
        Whether every log has records and nothing is missing: an empty log never passes.
    """
    from egresslog.show import notes, output, records

    if rejects:
        form = output.choose(None, rejects, piped="ndjson", known=records.REJECT_FORMS)
        with output.opened(rejects) as stream:
            records.write_rejects(stream, list(logs.values()), form)
    for label, log in logs.items():
        notes.write_notes(color, log, rejects_path=rejects, with_heading=with_heading, label=label)
    complete = keep_going or all(log.reading.whole for log in logs.values())
    return complete and all(log.reading.counts.records for log in logs.values())
