"""How time passes between two attempts."""

from __future__ import annotations

import random
import time
from threading import Event


class Clock:
    """Real time; tests pass a clock whose seconds are shorter."""

    def wait(self, stop: Event, seconds: float) -> bool:
        """Waits; returns True as soon as ``stop`` is set."""
        return stop.wait(seconds)

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


def backoff(attempt: int, limit: float = 30.0) -> float:
    """Seconds to wait before trying again: twice as long each time, with jitter so that readers do not act in step."""
    return min(limit, 0.25 * 2.0 ** min(attempt, 20)) * random.uniform(0.5, 1.0)  # noqa: S311
