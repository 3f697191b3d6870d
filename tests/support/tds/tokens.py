"""The tokens that a server's answers are made of ([MS-TDS], "Packet Data Token Stream Definition").

Each is written by ``encode``; `decode` reads a stream of them, so that what is written can be held against recordings.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Protocol

from tests.support.tds.columns import INT, Column, Reader, Type, read_type

#: A column that may be NULL and may be updated, and a transaction of this session's.
_FLAGS = 0x0009


class Status(IntFlag):
    """What a DONE says."""

    FINAL = 0x00
    MORE = 0x01
    ERROR = 0x02
    COUNT = 0x10
    ATTENTION = 0x20


class Command(IntEnum):
    """Of which statement it says so."""

    NONE = 0x00
    SET = 0x02
    SELECT = 0xC1
    INSERT = 0xC3
    BEGIN = 0xD4
    ROLLBACK = 0xD2
    COMMIT = 0xD5
    EXECUTE = 0xE0
    ATTENTION = 0xFD


class Token(Protocol):
    """A token of an answer."""

    def encode(self) -> bytes: ...


def _text(content: str, bytes_of_length: int = 1) -> bytes:
    encoded = content.encode("utf-16-le")
    return (len(encoded) // 2).to_bytes(bytes_of_length, "little") + encoded


@dataclass(frozen=True)
class Columns:
    """COLMETADATA."""

    columns: Sequence[Column]

    def encode(self) -> bytes:
        described = [
            struct.pack("<IHB", 0, _FLAGS, column.type.token) + column.type.info + _text(column.name)
            for column in self.columns
        ]
        return b"\x81" + struct.pack("<H", len(described)) + b"".join(described)


@dataclass(frozen=True)
class Row:
    """ROW, or NBCROW if a value is NULL: a bit for each such value, and the others."""

    columns: Sequence[Column]
    values: Sequence[object]

    def encode(self) -> bytes:
        written = [
            column.type.write(value)
            for column, value in zip(self.columns, self.values, strict=True)
            if value is not None
        ]
        if len(written) == len(self.values):
            return b"\xd1" + b"".join(written)
        nulls = sum(1 << number for number, value in enumerate(self.values) if value is None)
        return b"\xd2" + nulls.to_bytes((len(self.values) + 7) // 8, "little") + b"".join(written)


@dataclass(frozen=True)
class Done:
    """DONE, or its forms in and after a procedure: DONEINPROC, DONEPROC."""

    BATCH: ClassVar = 0xFD
    PROCEDURE: ClassVar = 0xFE
    IN_PROCEDURE: ClassVar = 0xFF

    status: int = Status.FINAL
    command: int = Command.SET
    rows: int = 0
    token: int = BATCH

    def encode(self) -> bytes:
        return struct.pack("<BHHQ", self.token, self.status, self.command, self.rows)


@dataclass(frozen=True)
class Message:
    """ERROR or INFO."""

    ERROR: ClassVar = 0xAA
    INFO: ClassVar = 0xAB

    token: int
    number: int
    text: str
    severity: int = 0
    state: int = 1
    server: str = "TESTS"
    procedure: str = ""
    line: int = 1

    def encode(self) -> bytes:
        content = (
            struct.pack("<IBB", self.number, self.state, self.severity)
            + _text(self.text, 2)
            + _text(self.server)
            + _text(self.procedure)
            + struct.pack("<I", self.line)
        )
        return bytes([self.token]) + struct.pack("<H", len(content)) + content


@dataclass(frozen=True)
class Change:
    """ENVCHANGE; what has changed is text or bytes, by its kind."""

    DATABASE: ClassVar = 1
    PACKET_SIZE: ClassVar = 4
    COLLATION: ClassVar = 7
    BEGIN: ClassVar = 8
    COMMIT: ClassVar = 9
    ROLLBACK: ClassVar = 10
    RESET: ClassVar = 18

    kind: int
    new: bytes | str = b""
    old: bytes | str = b""

    def encode(self) -> bytes:
        content = bytes([self.kind]) + _sized(self.new) + _sized(self.old)
        return b"\xe3" + struct.pack("<H", len(content)) + content


def _sized(value: bytes | str) -> bytes:
    return _text(value) if isinstance(value, str) else bytes([len(value)]) + value


@dataclass(frozen=True)
class LoginAck:
    """LOGINACK: TDS 7.4, and the version of the server."""

    program: str = "Microsoft SQL Server"
    version: bytes = bytes([15, 0, 0x07, 0xD0])

    def encode(self) -> bytes:
        content = bytes([1, 0x74, 0, 0, 4]) + _text(self.program) + self.version
        return b"\xad" + struct.pack("<H", len(content)) + content


@dataclass(frozen=True)
class ReturnStatus:
    """RETURNSTATUS."""

    value: int = 0

    def encode(self) -> bytes:
        return b"\x79" + struct.pack("<i", self.value)


@dataclass(frozen=True)
class ReturnValue:
    """RETURNVALUE: an output parameter, such as the handle of what was prepared."""

    value: object
    type: Type = INT

    def encode(self) -> bytes:
        head = struct.pack("<BHBBIHB", 0xAC, 0, 0, 1, 0, _FLAGS, self.type.token)
        return head + self.type.info + self.type.write(self.value)


def decode(stream: bytes) -> Iterator[Token]:
    """Read an answer. Raises `EOFError` if it is cut, and `ValueError` on a token that no answer of ours has."""
    reader = Reader(stream)
    columns: Sequence[Column] = ()
    while reader:
        match token := reader.number(1):
            case 0x81:
                columns = [_column(reader) for _ in range(reader.number(2))]
                yield Columns(columns)
            case 0xD1 | 0xD2:
                nulls = reader.number((len(columns) + 7) // 8) if token == 0xD2 else 0
                yield Row(columns, list(_values(columns, nulls, reader)))
            case _:
                yield _other(token, reader)


def _values(columns: Sequence[Column], nulls: int, reader: Reader) -> Iterator[object]:
    for number, column in enumerate(columns):
        yield None if nulls >> number & 1 else column.type.read(reader)


def _other(token: int, reader: Reader) -> Token:
    match token:
        case Done.BATCH | Done.PROCEDURE | Done.IN_PROCEDURE:
            status, command, rows = struct.unpack("<HHQ", reader.take(12))
            return Done(status, command, rows, token)
        case Message.ERROR | Message.INFO:
            return _message(token, Reader(reader.take(reader.number(2))))
        case 0xE3:
            return _change(Reader(reader.take(reader.number(2))))
        case 0xAD:
            content = Reader(reader.take(reader.number(2)))
            content.take(5)
            return LoginAck(content.text(1), content.take(4))
        case 0x79:
            return ReturnStatus(struct.unpack("<i", reader.take(4))[0])
        case 0xAC:
            reader.take(2 + 1 + 1 + 4 + 2)
            kind = read_type(reader)
            return ReturnValue(kind.read(reader), kind)
        case _:
            raise ValueError(f"unknown token 0x{token:02x}")


def _column(reader: Reader) -> Column:
    reader.take(6)
    kind = read_type(reader)
    return Column(reader.text(1), kind)


def _message(token: int, reader: Reader) -> Message:
    number, state, severity = struct.unpack("<IBB", reader.take(6))
    text, server, procedure = reader.text(2), reader.text(1), reader.text(1)
    return Message(token, number, text, severity, state, server, procedure, reader.number(4))


def _change(reader: Reader) -> Change:
    kind = reader.number(1)
    if kind in {Change.DATABASE, Change.PACKET_SIZE}:
        return Change(kind, reader.text(1), reader.text(1))
    values: list[Any] = [reader.take(reader.number(1)) for _ in range(2)]
    return Change(kind, *values)
