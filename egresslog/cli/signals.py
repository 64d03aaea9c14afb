"""What signals do: they end the process at once and quietly, with nothing left behind.

Python's KeyboardInterrupt is not up to it: raised inside an engine it turns into another error, and raised inside a
destructor it is printed and forgotten.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from egresslog.temporary import discard_all

Handler = Callable[[int, Any], object]

_STDERR = 2
_UNKNOWN = 3  # Exit.UNKNOWN, whose module takes longer to import than signals can wait
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it


class Stop:
    """Whether the user wants a command to stop.

    Attributes:
        requested: they do.
    """

    requested = False


def handle_signals() -> None:
    """Sets the handlers. What is ignored stays ignored: ``nohup``, and what a script starts in the background."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def guard_exit_code() -> None:
    """Where a library ends the process, the exit code is 3: OpenBLAS calls exit(1) when it gets too little memory.

    Only for a process that ends with ``end_process``.
    """
    import ctypes

    with suppress(OSError, AttributeError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc["__cxa_atexit"](libc["_exit"], ctypes.c_void_p(_UNKNOWN), None)


def end_process(code: int) -> NoReturn:
    """Ends the process from any thread, at any moment, without waiting for threads that wait for a server."""
    try:
        discard_all()
    finally:
        os._exit(code)


def _end(number: int, _frame: object) -> None:
    _interrupt(128 + number)  # as shells report it


def _interrupt(code: int) -> NoReturn:
    with suppress(OSError):
        if os.isatty(_STDERR) and os.environ.get("TERM") != "dumb":
            os.write(_STDERR, _SHOW_CURSOR)
    end_process(code)


@contextmanager
def interrupt_stops() -> Iterator[Stop]:
    """Ctrl-C only sets a mark, for a command that is meant to be stopped that way. A second one ends the process."""
    stop = Stop()

    def request(number: int, frame: object) -> None:
        if stop.requested:
            _end(number, frame)
        stop.requested = True

    with _on_interrupt(request):
        yield stop


@contextmanager
def interrupt_ends_with(code: Callable[[], int]) -> Iterator[None]:
    """Ctrl-C ends the process with another exit code than 130."""
    with _on_interrupt(lambda _number, _frame: _interrupt(code())):
        yield


@contextmanager
def _on_interrupt(handler: Handler) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
