"""The data types of TDS: how a column describes itself, and how its values look on the wire.

[MS-TDS], "Data Type Definitions" and "Type Info Rule Definition" say what is written here. All types are
the nullable ones, which a server uses for every column of a table. The same code reads the parameters of a request.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from typing import Any, Final
from uuid import UUID

#: US English, case insensitive, code page 1252: the usual one ("Collation Rule Definition").
COLLATION: Final = bytes.fromhex("0904d00034")
CODE_PAGE: Final = "cp1252"

#: The length that stands for NULL, and, in a description, for a value in chunks ("Data Type Dependent Data Streams").
_NULL: Final = 0xFFFF
_PLP_NULL: Final = 0xFFFFFFFFFFFFFFFF
_PLP_UNKNOWN_LENGTH: Final = 0xFFFFFFFFFFFFFFFE
_CHUNK: Final = 8000

#: As many digits as a decimal may have.
_EXACT: Final = Context(prec=38)

_DAY_1: Final = date(1, 1, 1)
_YEAR_1900: Final[datetime] = datetime(1900, 1, 1)  # noqa: DTZ001 - SQL Server's datetime has no zone


class Reader:
    """Bytes that are read from the front."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self._content)

    def take(self, length: int) -> bytes:
        """Return the next bytes. Raises `EOFError` if there are fewer."""
        taken = self._content[self.at : self.at + length]
        if len(taken) < length:
            raise EOFError
        self.at += length
        return taken

    def number(self, length: int) -> int:
        """Return the next bytes as an unsigned number."""
        return int.from_bytes(self.take(length), "little")

    def text(self, bytes_of_length: int) -> str:
        """Return a B_VARCHAR (1) or US_VARCHAR (2)."""
        return self.take(2 * self.number(bytes_of_length)).decode("utf-16-le")


@dataclass(frozen=True)
class ShortType:
    """A type whose values have a length of one byte, in which 0 is NULL."""

    token: int
    info: bytes
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]

    def write(self, value: object) -> bytes:
        """Return a value as it follows in a row."""
        content = b"" if value is None else self.pack(value)
        return bytes([len(content)]) + content

    def read(self, reader: Reader) -> Any:
        """Return the next value."""
        content = reader.take(reader.number(1))
        return self.unpack(content) if content else None


@dataclass(frozen=True)
class LongType:
    """A type whose values have a length of two bytes; without a limit (max) they come in chunks (PLP)."""

    token: int
    size: int
    codec: str = ""

    @property
    def info(self) -> bytes:
        return struct.pack("<H", self.size) + (COLLATION if self.codec else b"")

    @property
    def _is_plp(self) -> bool:
        return self.size == _NULL

    def write(self, value: Any) -> bytes:
        """Return a value as it follows in a row."""
        if value is None:
            return struct.pack("<Q", _PLP_NULL) if self._is_plp else struct.pack("<H", _NULL)
        content: bytes = value.encode(self.codec) if self.codec else value
        if not self._is_plp:
            return struct.pack("<H", len(content)) + content
        chunks = [content[start : start + _CHUNK] for start in range(0, len(content), _CHUNK)]
        written = b"".join(struct.pack("<I", len(chunk)) + chunk for chunk in chunks)
        return struct.pack("<Q", len(content)) + written + struct.pack("<I", 0)

    def read(self, reader: Reader) -> Any:
        """Return the next value."""
        content = self._chunks(reader) if self._is_plp else self._whole(reader)
        return content.decode(self.codec) if content is not None and self.codec else content

    def _whole(self, reader: Reader) -> bytes | None:
        length = reader.number(2)
        return None if length == _NULL else reader.take(length)

    def _chunks(self, reader: Reader) -> bytes | None:
        length = reader.number(8)
        if length == _PLP_NULL:
            return None
        content = b""
        while chunk := reader.number(4):
            content += reader.take(chunk)
        assert length in {len(content), _PLP_UNKNOWN_LENGTH}
        return content


@dataclass(frozen=True)
class OldLongType:
    """A type whose values have a length of four bytes, in which FreeTDS sends statements."""

    token: int
    codec: str

    @property
    def info(self) -> bytes:
        return struct.pack("<i", 2**31 - 1) + COLLATION

    def write(self, value: Any) -> bytes:
        """Return a value as it follows a parameter's description."""
        content: bytes = b"" if value is None else value.encode(self.codec)
        return struct.pack("<i", -1 if value is None else len(content)) + content

    def read(self, reader: Reader) -> Any:
        """Return the next value."""
        length: int = struct.unpack("<i", reader.take(4))[0]
        return None if length < 0 else reader.take(length).decode(self.codec)


Type = ShortType | LongType | OldLongType


@dataclass(frozen=True)
class Column:
    """A column of a result."""

    name: str
    type: Type


# Numbers.


def _integer(size: int) -> ShortType:
    """INTN; a tinyint alone has no sign."""
    is_signed = size > 1
    return ShortType(
        0x26,
        bytes([size]),
        lambda value: value.to_bytes(size, "little", signed=is_signed),
        lambda content: int.from_bytes(content, "little", signed=is_signed),
    )


def _float(size: int) -> ShortType:
    """FLTN."""
    form = {4: "<f", 8: "<d"}[size]
    return ShortType(
        0x6D, bytes([size]), lambda value: struct.pack(form, value), lambda content: struct.unpack(form, content)[0]
    )


def _decimal(precision: int, scale: int, size: int | None = None, token: int = 0x6A) -> ShortType:
    """DECIMALN and NUMERICN: a sign and the digits as one number, as long as the precision needs."""
    length = next(bytes_ for digits, bytes_ in ((9, 4), (19, 8), (28, 12), (38, 16)) if precision <= digits)

    def pack(value: Decimal) -> bytes:
        scaled = int(value.scaleb(scale, _EXACT))
        return bytes([scaled >= 0]) + abs(scaled).to_bytes(length, "little")

    def unpack(content: bytes) -> Decimal:
        scaled = int.from_bytes(content[1:], "little")
        return Decimal(scaled if content[0] else -scaled).scaleb(-scale, _EXACT)

    return ShortType(token, bytes([size or length + 1, precision, scale]), pack, unpack)


def _money(size: int) -> ShortType:
    """MONEYN: ten-thousandths, the larger half first."""
    assert size == 8

    def pack(value: Decimal) -> bytes:
        return struct.pack("<iI", *divmod(int(value.scaleb(4)), 1 << 32))

    def unpack(content: bytes) -> Decimal:
        high, low = struct.unpack("<iI", content)
        return Decimal((high << 32) + low).scaleb(-4)

    return ShortType(0x6E, bytes([size]), pack, unpack)


# Days and times.


def _time_size(scale: int) -> int:
    return 3 if scale <= 2 else 4 if scale <= 4 else 5


def _pack_time(moment: time | datetime, scale: int) -> bytes:
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    units: int = (seconds * 10**6 + moment.microsecond) * 10**scale // 10**6
    return units.to_bytes(_time_size(scale), "little")


def _unpack_time(content: bytes, scale: int) -> timedelta:
    return timedelta(microseconds=int.from_bytes(content, "little") * 10 ** (7 - scale) // 10)


def _pack_day(day: date) -> bytes:
    return (day.toordinal() - _DAY_1.toordinal()).to_bytes(3, "little")


def _unpack_day(content: bytes) -> date:
    return date.fromordinal(_DAY_1.toordinal() + int.from_bytes(content, "little"))


def _unpack_moment(content: bytes, scale: int) -> datetime:
    size = _time_size(scale)
    midnight = datetime.combine(_unpack_day(content[size:]), time())
    return midnight + _unpack_time(content[:size], scale)


def _datetime(size: int) -> ShortType:
    """DATETIMN: datetime has days and three-hundredths of a second, smalldatetime days and minutes."""

    def pack(value: datetime) -> bytes:
        since = value - _YEAR_1900
        if size == 4:
            return struct.pack("<HH", since.days, since.seconds // 60)
        return struct.pack("<iI", since.days, round((since.seconds + since.microseconds / 10**6) * 300))

    def unpack(content: bytes) -> datetime:
        days, rest = struct.unpack("<HH" if size == 4 else "<iI", content)
        # To the millisecond, as every driver gives it.
        milliseconds = rest * 60_000 if size == 4 else round(rest * 10 / 3)
        return _YEAR_1900 + timedelta(days=days, milliseconds=milliseconds)

    return ShortType(0x6F, bytes([size]), pack, unpack)


def time_of_day(scale: int = 7) -> ShortType:
    """TIMEN."""
    return ShortType(
        0x29,
        bytes([scale]),
        lambda value: _pack_time(value, scale),
        lambda content: (_YEAR_1900 + _unpack_time(content, scale)).time(),
    )


def datetime2(scale: int = 7) -> ShortType:
    """DATETIME2N."""
    return ShortType(
        0x2A,
        bytes([scale]),
        lambda value: _pack_time(value, scale) + _pack_day(value),
        lambda content: _unpack_moment(content, scale),
    )


def datetimeoffset(scale: int = 7) -> ShortType:
    """DATETIMEOFFSETN: the moment in UTC, and the minutes from there to the zone it was written in."""

    def pack(value: datetime) -> bytes:
        offset = value.utcoffset()
        assert offset is not None
        utc = value.replace(tzinfo=None) - offset
        return _pack_time(utc, scale) + _pack_day(utc) + struct.pack("<h", offset // timedelta(minutes=1))

    def unpack(content: bytes) -> datetime:
        offset = timedelta(minutes=struct.unpack("<h", content[-2:])[0])
        return (_unpack_moment(content[:-2], scale) + offset).replace(tzinfo=timezone(offset))

    return ShortType(0x2B, bytes([scale]), pack, unpack)


# What an MIS's tables are made of, by SQL Server's names.

TINYINT, SMALLINT, INT, BIGINT = (_integer(size) for size in (1, 2, 4, 8))
BIT = ShortType(0x68, b"\x01", lambda value: bytes([value]), lambda content: content == b"\x01")
REAL, FLOAT = _float(4), _float(8)
MONEY = _money(8)
DATE = ShortType(0x28, b"", _pack_day, _unpack_day)
SMALLDATETIME, DATETIME = _datetime(4), _datetime(8)
UNIQUEIDENTIFIER = ShortType(
    0x24, b"\x10", lambda value: bytes(value.bytes_le), lambda content: UUID(bytes_le=bytes(content))
)
ROWVERSION = LongType(0xAD, 8)
VARCHAR_MAX, NVARCHAR_MAX = LongType(0xA7, _NULL, CODE_PAGE), LongType(0xE7, _NULL, "utf-16-le")
VARBINARY_MAX = LongType(0xA5, _NULL)


def decimal(precision: int, scale: int) -> ShortType:
    """DECIMALN."""
    return _decimal(precision, scale)


def char(length: int) -> LongType:
    """BIGCHAR; its values must have been padded."""
    return LongType(0xAF, length, CODE_PAGE)


def varchar(length: int) -> LongType:
    """BIGVARCHAR."""
    return LongType(0xA7, length, CODE_PAGE)


def nvarchar(length: int) -> LongType:
    """NVARCHAR."""
    return LongType(0xE7, 2 * length, "utf-16-le")


def varbinary(length: int) -> LongType:
    """BIGVARBINARY."""
    return LongType(0xA5, length)


def _characters(token: int, reader: Reader) -> LongType:
    size = reader.number(2)
    reader.take(len(COLLATION))
    return LongType(token, size, "utf-16-le" if token in {0xE7, 0xEF} else CODE_PAGE)


def _old_characters(token: int, reader: Reader) -> OldLongType:
    reader.take(4 + len(COLLATION))
    return OldLongType(token, "utf-16-le" if token == 0x63 else CODE_PAGE)


def _digits(token: int, reader: Reader) -> ShortType:
    size, precision, scale = reader.take(3)
    return _decimal(precision, scale, size, token)


#: How the rest of a TYPE_INFO is read, by its first byte.
_DESCRIBED: Final[dict[int, Callable[[Reader], Type]]] = {
    0x24: lambda reader: replace(UNIQUEIDENTIFIER, info=reader.take(1)),
    0x26: lambda reader: _integer(reader.number(1)),
    0x28: lambda _: DATE,
    0x29: lambda reader: time_of_day(reader.number(1)),
    0x2A: lambda reader: datetime2(reader.number(1)),
    0x2B: lambda reader: datetimeoffset(reader.number(1)),
    0x23: lambda reader: _old_characters(0x23, reader),
    0x63: lambda reader: _old_characters(0x63, reader),
    0x68: lambda reader: replace(BIT, info=reader.take(1)),
    0x6A: lambda reader: _digits(0x6A, reader),
    0x6C: lambda reader: _digits(0x6C, reader),
    0x6D: lambda reader: _float(reader.number(1)),
    0x6E: lambda reader: _money(reader.number(1)),
    0x6F: lambda reader: _datetime(reader.number(1)),
    0xA5: lambda reader: LongType(0xA5, reader.number(2)),
    0xA7: lambda reader: _characters(0xA7, reader),
    0xAD: lambda reader: LongType(0xAD, reader.number(2)),
    0xAF: lambda reader: _characters(0xAF, reader),
    0xE7: lambda reader: _characters(0xE7, reader),
    0xEF: lambda reader: _characters(0xEF, reader),
}


def read_type(reader: Reader) -> Type:
    """Return the type that a TYPE_INFO describes."""
    return _DESCRIBED[reader.number(1)](reader)
