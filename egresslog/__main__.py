"""The command `egresslog`, also as ``python -m egresslog``."""

from __future__ import annotations

from typing import NoReturn

from egresslog.cli.signals import end_process, guard_exit_code, handle_signals


def main() -> NoReturn:
    """Runs the command and ends the process.

    It ends here and not where Python ends by itself, which waits for what was not closed and has exit codes of its own.
    """
    handle_signals()  # before what takes long to import
    guard_exit_code()
    from egresslog.cli.app import main as command  # noqa: PLC0415

    try:
        command()
    except SystemExit as end:
        end_process(end.code if isinstance(end.code, int) else 0)


if __name__ == "__main__":
    main()
