"""Verdicts under --watch: all of them once, then what changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO

from rich.text import Text

from egresslog.live.watch import Change, Code
from egresslog.show import verification as show
from egresslog.show.terminal import ColorMode, Terminal
from egresslog.show.values import safe_host
from egresslog.timespec import rfc3339
from egresslog.verification.result import Verification

_MILLISECOND = 10**6


def write(
    out: IO[bytes], form: str, verification: Verification, changes: Sequence[Change] | None, color: ColorMode
) -> None:
    """Writes all verdicts if ``changes`` is None, else a line per change."""
    if changes is None:
        show.write(out, form, verification, color)
    elif form == "ndjson":
        for change in changes:
            out.write(json.dumps(_row(change)).encode("ascii") + b"\n")
    else:
        terminal = Terminal(out, color)
        for change in changes:
            terminal.console.print(_line(change))
        terminal.close()
    out.flush()


def _row(change: Change) -> dict[str, object]:
    return {
        "host": change.host, "time": _time(change), "before": change.before, "verdict": change.after,
        "came": _codes(change.came), "went": _codes(change.went),
    }  # fmt: skip


def _codes(codes: Sequence[Code]) -> list[dict[str, str]]:
    return [{"code": code, "name": name} for code, name in codes]


def _line(change: Change) -> Text:
    verdict = show.styled(change.after) if change.after else Text("no longer seen", style="dim")
    before = f"{change.before or 'new'} -> " if change.before != change.after else ""
    codes = [f"+{code} {name}" for code, name in change.came] + [f"-{code} {name}" for code, name in change.went]
    return Text.assemble(
        (f"{_time(change)}  ", "dim"), (safe_host(change.host), "bold"), f"  {before}", verdict, f"  {' '.join(codes)}"
    )


def _time(change: Change) -> str:
    return rfc3339(change.at_ns // _MILLISECOND * _MILLISECOND)
