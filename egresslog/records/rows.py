"""Rows of one format, gathered until they become a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeVar

from egresslog.records.format import Format

T = TypeVar("T")


@dataclass
class Rows:
    """Rows of one format, in the order of the lines."""

    format: Format
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    ambiguous: set[int] = field(default_factory=set)  # indices of rows
    upstreams: dict[int, tuple[str, ...]] = field(default_factory=dict)  # by index: of a repeated upstream_host
    raws: dict[int, str] = field(default_factory=dict)  # by index, of rows that are only a part of their line

    def add(
        self,
        values: tuple[Any, ...],
        number: int,
        *,
        ambiguous: bool,
        raw: str | None = None,
        upstreams: tuple[str, ...] = (),
    ) -> None:
        """Adds the row of line ``number``."""
        if ambiguous:
            self.ambiguous.add(len(self.rows))
        if raw is not None:
            self.raws[len(self.rows)] = raw
        if upstreams:
            self.upstreams[len(self.rows)] = upstreams
        self.rows.append(values)
        self.numbers.append(number)

    def drop(self, wrong: AbstractSet[int]) -> None:
        """Removes the rows with the indices ``wrong``."""
        kept = [at for at in range(len(self.rows)) if at not in wrong]
        self.ambiguous = {new for new, at in enumerate(kept) if at in self.ambiguous}
        self.upstreams = {new: self.upstreams[at] for new, at in enumerate(kept) if at in self.upstreams}
        self.raws = {new: self.raws[at] for new, at in enumerate(kept) if at in self.raws}
        self.rows = [self.rows[at] for at in kept]
        self.numbers = [self.numbers[at] for at in kept]


def line_order(groups: Sequence[Rows], numbers: Sequence[int]) -> list[int] | None:
    """The rows of all groups in the order of the lines; None if they stand in it."""
    return sorted(range(len(numbers)), key=numbers.__getitem__) if len(groups) > 1 else None


def by_position(groups: Sequence[Rows], values: Sequence[Mapping[int, T]], order: Sequence[int] | None) -> dict[int, T]:
    """Values of some rows of each group, by the row's position in the batch."""
    if not any(values):
        return {}
    start, flat = 0, dict[int, T]()
    for group, of_group in zip(groups, values, strict=True):
        flat |= {start + at: value for at, value in of_group.items()}
        start += len(group.rows)
    if order is None:
        return flat
    return {position: flat[row] for position, row in enumerate(order) if row in flat}
