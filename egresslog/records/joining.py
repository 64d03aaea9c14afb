"""Small batches are joined to large ones: a batch costs hundreds of KiB downstream, however few records it has."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

_ROWS = 8192
_BYTES = 4 * 1024 * 1024
_BATCHES = 64  # a batch of one record takes as much memory as one of a hundred


class JoinedBatches:
    """Batches of one schema, in their order, until there are enough records for a large one."""

    def __init__(self) -> None:
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Holds a batch."""
        if not len(batch):
            return
        self._held.append(batch)
        self._rows += len(batch)
        self._bytes += batch.nbytes
        if len(self._held) >= _BATCHES:
            self._held = [pa.concat_batches(self._held)]

    @property
    def is_full(self) -> bool:
        """Whether to ``take`` what is held."""
        return self._rows >= _ROWS or self._bytes >= _BYTES

    def take(self) -> Iterator[pa.RecordBatch]:
        """All that is held as one batch; none if nothing is."""
        held, self._held = self._held, []
        self._rows = self._bytes = 0
        if held:
            yield pa.concat_batches(held)
