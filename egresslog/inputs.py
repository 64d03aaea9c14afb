"""What the commands share: a Log from options, a pass over it with progress, and what to say about it afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egresslog.log import Log
    from egresslog.show.terminal import Colour


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
    output_file: str | None,
    rejects: str | None = None,
    columns: list[str] | None = None,
    where: Mapping[str, object] | None = None,
) -> Log:
    """The Log that a command is about; what cannot be read is told at the end.

    Raises:
        UsageError: no files; an output that is one of them, or cannot be written.
    """
    from egresslog.errors import UsageError  # noqa: PLC0415
    from egresslog.log import read  # noqa: PLC0415
    from egresslog.report.filters import Filter  # noqa: PLC0415
    from egresslog.show.output import check, choose  # noqa: PLC0415
    from egresslog.show.records import REJECT_FORMS  # noqa: PLC0415

    if not files:
        raise UsageError(
            "name files, directories or globs, or - for standard input (kubectl logs ... | egresslog ... -)"
        )
    chosen = Filter.parse(**(where or {}))  # type: ignore[arg-type]
    log = read(files, format, columns, where=chosen, keep_going=True)
    for path in (output_file, rejects):
        check(path, log.origins)
    if rejects:
        choose(None, rejects, piped="ndjson", known=REJECT_FORMS)
    return log


def output_colour(output_file: str | None, color: str) -> Colour:
    """Colours for the output: none in a file, whatever was asked for. ``exits.run`` has checked the word."""
    return "never" if output_file is not None else color  # type: ignore[return-value]


@contextmanager
def shown_progress(logs: Sequence[Log], color: str) -> Iterator[None]:
    """A bar while the logs are read, if that takes long and somebody is watching."""
    from egresslog.show.terminal import progress  # noqa: PLC0415

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
    from egresslog.show import notes, output, records  # noqa: PLC0415

    if rejects:
        form = output.choose(None, rejects, piped="ndjson", known=records.REJECT_FORMS)
        with output.opened(rejects) as stream:
            records.write_rejects(stream, list(logs.values()), form)
    for label, log in logs.items():
        notes.write_notes(color, log, rejects_path=rejects, with_heading=with_heading, label=label)
    complete = keep_going or not any(log.reading.errors for log in logs.values())
    return complete and all(log.reading.counts.records for log in logs.values())
