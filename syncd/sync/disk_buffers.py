"""Buffers for a run with a million records, too many for memory: in a file that is deleted with the run.

The file has no name to open it by, if the system allows that, and its content is encrypted with a key that is stored
nowhere.
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

#: How many items are written at a time; up to as many of each buffer stay in memory.
SHEET_ROWS: Final = 500

_Laid = TypeVar("_Laid")


class DiskBufferFactory(BufferFactory):
    """Makes buffers that share a file in ``folder``, or in the system's temporary folder if that is left out.

    If no file can be created, everything stays in memory. Appending an item raises `StateUnusable` if the disk is full.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._fernet = Fernet(Fernet.generate_key())

    @cached_property
    def _file(self) -> IO[bytes] | None:
        try:
            file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - it is closed with the last buffer
        except OSError:
            return None
        finalize(self, file.close)
        return file

    def new_buffer(self, kind: type[_Laid]) -> Buffer[_Laid]:
        """Return an empty buffer for items of one kind, which msgspec can encode and decode."""
        return _DiskBuffer(kind, self)

    def write(self, content: bytes) -> Callable[[], bytes] | None:
        """Write to the file, and return a function that reads it back; ``None`` if there is no file.

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
    """A buffer of which only the last items are in memory."""

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
