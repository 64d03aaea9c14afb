"""The process around a command: whatever happens, its exit code means something, and an error is one line."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any

from egresslog.cli.exit_codes import Exit, describe, exit_code
from egresslog.cli.signals import end_process, handle_signals
from egresslog.cli.streams import close_output, open_streams

_DEBUG = "EGRESSLOG_DEBUG"  # the environment variable


class _WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas as soon as it makes an array: half a second, and no command needs it."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Says that there is no pandas."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not used on the command line", name=fullname)


def run(command: Callable[[], object]) -> int:
    """Runs a command that ends with SystemExit; returns the exit code of the process.

    An error that nobody catches is exit code 3, also one in a thread or in a destructor.
    """
    handle_signals()
    open_streams()
    sys.meta_path.insert(0, _WithoutPandas())
    ignored: list[BaseException] = []
    threading.excepthook = _end_by_thread
    sys.unraisablehook = lambda unraisable: _note(unraisable, ignored)
    try:
        command()
        code = int(Exit.EXPECTED)
    except SystemExit as end:
        code = _code(end)
    except BaseException as error:  # noqa: BLE001  (Python's own exit code would be 1, which says that a host was judged)
        code = _report(error)
    try:
        close_output()
    except OSError as error:
        code = _report(error) if code != Exit.UNKNOWN else code
    return _report(ignored[0]) if ignored else code


def _code(end: SystemExit) -> int:
    """Typer makes 1 of a closed pipe, such as in ``egresslog --help | head``."""
    if isinstance(end.__context__, BrokenPipeError):
        return Exit.EXPECTED
    return end.code if isinstance(end.code, int) else Exit.EXPECTED


def _report(error: BaseException) -> int:
    """Prints one line, with ``--debug`` below a traceback."""
    if "--debug" in sys.argv[1:] or os.environ.get(_DEBUG):
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"error: {describe(error)}\n")
    return exit_code(error)


def _end_by_thread(problem: threading.ExceptHookArgs) -> None:
    """Without its threads a command would wait, or take for complete what is not."""
    if problem.exc_value is not None:
        end_process(_report(problem.exc_value))


def _note(unraisable: Any, ignored: list[BaseException]) -> None:
    """Keeps what Python would print as "Exception ignored". Standard output reports its errors itself."""
    if unraisable.exc_value is not None and not isinstance(unraisable.exc_value, OSError | Warning):
        ignored.append(unraisable.exc_value)
