"""What a pass cannot have in memory, because there are a million of it: in a file that goes with the pass.

The file has no name that anybody could open it by, where the system allows that, and what is in it is encrypted with a
key that is written down nowhere.
"""

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from os import SEEK_END
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final, TypeVar
from weakref import finalize

import msgspec
from cryptography.fernet import Fernet

from syncd.core.buffers import Buffer, BufferFactory
from syncd.errors import StateUnusable

#: How many things are written at a time; as many of each kind stay in memory.
SHEET_ROWS: Final = 500

_Laid = TypeVar("_Laid")


class DiskBufferFactory(BufferFactory):
    """A desk with a file under it. ``folder`` is where to make it; wherever the system has its own, if there is none.

    Where no file can be made, everything stays in memory. Whoever lays something down may find that there is no room
    left on the disk: `StateUnusable`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._fernet = Fernet(Fernet.generate_key())

    @cached_property
    def _file(self) -> IO[bytes] | None:
        try:
            file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - it is closed with the last pile
        except OSError:
            return None
        finalize(self, file.close)
        return file

    def new_buffer(self, kind: type[_Laid]) -> Buffer[_Laid]:
        """An empty pile for things of one kind, which msgspec can write and read."""
        return _DiskBuffer(kind, self)

    def write(self, content: bytes) -> Callable[[], bytes] | None:
        """Put something into the file, and give how to take it out again; ``None`` where there can be no file.

        Raises `StateUnusable`.
        """
        file = self._file
        if file is None:
            return None
        sealed = self._fernet.encrypt(content)
        try:
            offset = file.seek(0, SEEK_END)
            size = file.write(sealed)
            file.flush()
        except OSError as problem:
            where = self._folder or "the folder for temporary files"
            raise StateUnusable(f"There is no room in {where} for a plan of this size: {problem.strerror}.") from None

        def read() -> bytes:
            file.seek(offset)
            return self._fernet.decrypt(file.read(size))

        return read


class _DiskBuffer(Buffer[_Laid], Collection[_Laid]):
    """A pile of which only the top is in memory."""

    def __init__(self, kind: type[_Laid], scratch: DiskBufferFactory) -> None:
        super().__init__()
        self._scratch = scratch
        self._decoder = msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]
        self._sheets: list[Callable[[], bytes]] = []

    def append(self, one: _Laid) -> None:
        super().append(one)
        if len(self._laid) == SHEET_ROWS and (reader := self._scratch.write(msgspec.msgpack.encode(self._laid))):
            self._sheets.append(reader)
            self._laid = []

    def __iter__(self) -> Iterator[_Laid]:
        for read in self._sheets:
            yield from self._decoder.decode(read())
        yield from self._laid

    def __len__(self) -> int:
        return len(self._sheets) * SHEET_ROWS + len(self._laid)

    def __contains__(self, one: object) -> bool:
        return any(each == one for each in self)

    def close(self) -> Collection[_Laid]:
        return self if self._sheets else super().close()
