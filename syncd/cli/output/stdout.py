"""Standard output that cannot be written to: a full disk, or a reader that has left."""

import sys
from errno import EPIPE
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, Final


class StandardOutput(FileIO):
    """Standard output, from the first failure on without effect: what a command does must not depend on it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.problem: OSError | None = None
        """The first failure."""

    def write(self, data: Any, /) -> int:
        """Write bytes; returns how many of them need not be written again."""
        if self.problem is None:
            try:
                return super().write(data)
            except OSError as problem:
                self.problem = problem
        return memoryview(data).nbytes

    @property
    def complaint(self) -> str:
        """What is wrong with it; empty if nothing is, or if a reader such as 'head' has left."""
        if self.problem is None or self.problem.errno == EPIPE:
            return ""
        return f"Standard output cannot be written to: {self.problem.strerror}."


def open_stdout() -> StandardOutput | None:
    """Put `StandardOutput` below `sys.stdout`; a terminal is left as it is, and ``None`` is returned."""
    stream: Final[Any] = sys.stdout
    if not isinstance(stream, TextIOWrapper) or stream.isatty():
        return None
    output = StandardOutput(stream.fileno())
    sys.stdout = TextIOWrapper(
        BufferedWriter(output),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    return output
