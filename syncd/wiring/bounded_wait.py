"""How long somebody waits who only asks how things are."""

from threading import Event
from typing import Final

#: Who asks how things are does not wait out a quiet window.
_PATIENCE_SECONDS: Final = 15


class ShortWait(Event):
    """Is taken for a sign to stop by whoever would wait for longer than somebody at a terminal or a page does.

    ``stopping`` is a sign to stop that counts as well.
    """

    def __init__(self, stopping: Event | None = None) -> None:
        super().__init__()
        self._stopping = stopping

    def is_set(self) -> bool:
        """Whether this one or the other is set."""
        return super().is_set() or (self._stopping is not None and self._stopping.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for so many seconds, unless they are too many."""
        if timeout is None or timeout > _PATIENCE_SECONDS:
            return True
        return self._stopping.wait(timeout) if self._stopping else super().wait(timeout)
