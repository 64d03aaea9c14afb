"""Rows of one format, gathered until they become a batch."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from egresslog.records.format import Format


@dataclass
class Rows:
    """Rows of one format, in the order of the lines."""

    format: Format
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    ambiguous: set[int] = field(default_factory=set)  # indices of rows

    def add(self, values: tuple[Any, ...], number: int, *, ambiguous: bool) -> None:
        """Adds the row of line ``number``."""
        if ambiguous:
            self.ambiguous.add(len(self.rows))
        self.rows.append(values)
        self.numbers.append(number)

    def drop(self, wrong: AbstractSet[int]) -> None:
        """Removes the rows with the indices ``wrong``."""
        kept = [at for at in range(len(self.rows)) if at not in wrong]
        self.ambiguous = {new for new, at in enumerate(kept) if at in self.ambiguous}
        self.rows = [self.rows[at] for at in kept]
        self.numbers = [self.numbers[at] for at in kept]
