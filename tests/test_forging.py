"""No forged line hides a bypass: the short form of the generator (the long one: ``python -m tests.forging``)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

from egresslog import formats

from .forging import bypasses, hidden, styles

LINES = 3_000


def test_no_forged_bypass_is_hidden(tmp_path: Path) -> None:
    """Each of thousands of hosts has a bypass with a forged header or SNI: none is PROVEN with nothing said."""
    counts: Counter[str] = Counter()
    assert [bypass.line for bypass in hidden(Random("short"), LINES, tmp_path, counts)] == []
    assert counts["lines"] == LINES
    assert counts["BYPASSED"] > 0.9 * LINES  # they are seen for what they are, and do not only leave a doubt


def test_lines_of_every_format_are_forged() -> None:
    """The figure is about all text formats of the catalogue and those that look like JSON."""
    names = {bypass.style for bypass in bypasses(Random("styles"), 500)}
    assert names == {made.name for made in formats() if made.text} | {"JSON-shaped text"}
    assert len(styles(Random("styles"))) == len(names) + 3
