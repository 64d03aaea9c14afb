"""Lines that their transport cut into parts: CRI marks them, Docker's json-file driver cuts at 16 KiB."""

from __future__ import annotations

from dataclasses import dataclass, field

from egresslog.records.chunk import MAX_LINE

TOO_LONG = f"the line's parts are longer than {MAX_LINE // 2**20} MiB together at byte 0"


@dataclass
class PartialLine:
    """The beginning of a line that its transport cut."""

    number: int
    raw: list[str] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, raw: str, message: str) -> None:
        """Adds one part: the line as it came, and the message in it."""
        self.size += len(raw)
        if not self.is_too_long:
            self.raw.append(raw)
            self.message.append(message)

    @property
    def is_too_long(self) -> bool:
        """Whether its parts are more than a line may have; then the rest is not kept."""
        return self.size > MAX_LINE
