"""Standard output and standard error: what is written to them is printable, and in an encoding that is understood."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

from syncd.core.text import printable

#: The ends of lines and tabs that syncd writes itself, and on a terminal its colours.
_OWN: Final = re.compile(r"(\r\n|[\n\t])")
_OWN_ON_TERMINAL: Final = re.compile(r"(\r\n|[\n\t]|\x1b\[[0-9;]*m)")


@contextmanager
def printable_streams() -> Iterator[None]:
    """Within the context, standard output and standard error let no control character of others through.

    A character that the encoding of the terminal does not have is replaced by "?".
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Printable(each)) for each in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def data_output() -> TextIO:
    """Standard output for another program to read: in UTF-8, whatever the encoding of the terminal."""
    _set(sys.stdout, encoding="utf-8")
    return sys.stdout


def terminal(stream: TextIO) -> TextIO:
    """The stream itself, for a progress bar, which moves the cursor."""
    return stream.unchanged if isinstance(stream, _Printable) else stream


class _Printable:
    """A text stream that writes what is not printable as an escape, as JSON does, so that JSON stays what it is."""

    def __init__(self, stream: TextIO) -> None:
        self.unchanged: Final = stream
        self._own = _OWN_ON_TERMINAL if stream.isatty() else _OWN
        _set(stream, errors="replace")

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        parts = self._own.split(text)
        self.unchanged.write("".join(part if at % 2 else printable(part) for at, part in enumerate(parts)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            # Bytes would be written as they are.
            raise AttributeError(name)
        return getattr(self.unchanged, name)


def _set(stream: TextIO, **options: str) -> None:
    # A stream of a test or of another program may have no encoding.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(**options)
