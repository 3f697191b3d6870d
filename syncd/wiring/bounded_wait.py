"""A limit on waiting for commands and pages that only read."""

from threading import Event
from typing import Final

#: Too short to wait for the end of a quiet window.
_PATIENCE_SECONDS: Final = 15


class ShortWait(Event):
    """A stop event that also counts as set for a wait longer than a person at a terminal or a page would accept.

    ``stopping`` is another stop event that counts as well.
    """

    def __init__(self, stopping: Event | None = None) -> None:
        super().__init__()
        self._stopping = stopping

    def is_set(self) -> bool:
        """Whether this event or the other is set."""
        return super().is_set() or (self._stopping is not None and self._stopping.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for this time; returns true at once if it is too long."""
        if timeout is None or timeout > _PATIENCE_SECONDS:
            return True
        return self._stopping.wait(timeout) if self._stopping else super().wait(timeout)
