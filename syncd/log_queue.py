"""Standard error that is a pipe or a socket, written to by a thread, so that no reader can hold up what syncd does.

A reader that stands still, such as a log shipper that hangs, would otherwise block the next line that is written, and
with it the run, its lock and the end of the process. A file and a terminal are written to directly.
"""

import io
import os
import stat
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOWrapper
from select import select
from threading import Condition, Thread, current_thread
from typing import Any, Final

#: About 3 MB of log.
MOST_LINES: Final = 10_000
#: For how long the end of the process waits for a reader.
PATIENCE_AT_THE_END_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Gap:
    """The place of lines that were dropped."""

    lines: int


class LogQueue(io.RawIOBase):
    """A stream that takes lines without ever waiting, and writes them to a descriptor in their order.

    When ``most_lines`` wait, further lines are dropped and counted until half of them are written. In their place
    ``on_dropped`` is called with their number, and what it writes to this stream is written there.
    """

    def __init__(self, descriptor: int, most_lines: int = MOST_LINES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._most_lines = most_lines
        self._changed = Condition()
        self._waiting: deque[bytes | _Gap] = deque()
        self._is_full = False
        self._is_at_work = False
        self._is_broken = False
        self._of_writer: list[bytes] = []
        self.on_dropped: Callable[[int], object] = lambda _lines: None
        self._writer = Thread(target=self._work, name="log", daemon=True)

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """It is no terminal."""
        return False

    def write(self, data: Any, /) -> int:
        """Take some text, which is usually a line; returns its length."""
        line = bytes(data)
        if current_thread() is self._writer:
            self._of_writer.append(line)
            return len(line)
        with self._changed:
            if self._writer.ident is None:
                self._writer.start()
            self._is_full = len(self._waiting) >= (self._most_lines // 2 if self._is_full else self._most_lines)
            if not self._is_full:
                self._waiting.append(line)
            elif self._waiting and isinstance(gap := self._waiting[-1], _Gap):
                gap.lines += line.count(b"\n")
            else:
                self._waiting.append(_Gap(line.count(b"\n")))
            self._changed.notify_all()
        return len(line)

    def drain(self, seconds: float = PATIENCE_AT_THE_END_SECONDS) -> bool:
        """Wait until everything is written, but not for longer than this; returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._is_at_work), seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._is_at_work = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                self._is_at_work = True
                each = self._waiting.popleft()
            if isinstance(each, _Gap):
                self.on_dropped(each.lines)
                each = b"".join(self._of_writer)
                self._of_writer.clear()
            self._write(each)

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest and not self._is_broken:
            try:
                # Not through Python's stream: its lock would keep the process from ending.
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select([], [self._descriptor], [], 1)
            except OSError:
                # The reader has left, and nobody will read what follows.
                self._is_broken = True


def open_stderr() -> LogQueue | None:
    """Put a queue below `sys.stderr`, and return it; ``None`` if it is neither a pipe nor a socket."""
    stream: Final[Any] = sys.stderr
    if not isinstance(stream, TextIOWrapper) or not _may_block(stream.fileno()):
        return None
    queue = LogQueue(stream.fileno())
    sys.stderr = TextIOWrapper(
        # It needs no buffer: each line is taken as a whole.
        queue,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
        write_through=True,
    )
    return queue


def _may_block(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
