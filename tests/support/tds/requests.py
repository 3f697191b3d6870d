"""What a client asks ([MS-TDS], "Client Messages")."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tests.support.tds.columns import Reader, read_type


class Packet(IntEnum):
    """The types of packets ("Packet Header", Type)."""

    BATCH = 0x01
    RPC = 0x03
    ANSWER = 0x04
    ATTENTION = 0x06
    TRANSACTION = 0x0E
    LOGIN = 0x10
    PRELOGIN = 0x12


@dataclass(frozen=True)
class Login:
    """What LOGIN7 says."""

    host: str
    user: str
    password: str
    application: str
    server: str
    database: str
    wants_to_read_only: bool


def read_login(payload: bytes) -> Login:
    """Return what a LOGIN7 says."""

    def text(number: int, *, is_hidden: bool = False) -> str:
        offset, length = struct.unpack_from("<HH", payload, 36 + 4 * number)
        content = payload[offset : offset + 2 * length]
        if is_hidden:
            # Each byte's halves are swapped, after which it is XORed with 0xA5.
            content = bytes(((byte ^ 0xA5) << 4 | (byte ^ 0xA5) >> 4) & 0xFF for byte in content)
        return content.decode("utf-16-le")

    type_flags = payload[26]
    return Login(
        host=text(0),
        user=text(1),
        password=text(2, is_hidden=True),
        application=text(3),
        server=text(4),
        database=text(8),
        wants_to_read_only=bool(type_flags & 0x20),
    )


@dataclass(frozen=True)
class Request:
    """A batch, or a procedure that is called by name or number."""

    text: str
    parameters: Sequence[object] = ()
    procedure: int | str | None = None


#: The stored procedures that have numbers ("RPC Request", ProcID).
EXECUTE_SQL: Final = 10
PREPARE: Final = 11
EXECUTE: Final = 12
PREPARE_AND_EXECUTE: Final = 13
UNPREPARE: Final = 15


def without_headers(payload: bytes) -> bytes:
    """Return a request without its ALL_HEADERS, in which the transaction's descriptor stands."""
    return payload[struct.unpack_from("<I", payload)[0] :]


def read_batch(payload: bytes) -> Request:
    """Return what an SQL batch asks."""
    return Request(without_headers(payload).decode("utf-16-le"))


def read_call(payload: bytes) -> Request:
    """Return what the first call of an RPC request asks."""
    reader = Reader(without_headers(payload))
    length = reader.number(2)
    procedure: int | str
    procedure = reader.number(2) if length == 0xFFFF else reader.take(2 * length).decode("utf-16-le")
    reader.take(2)
    parameters = []
    while reader:
        reader.text(1)
        reader.take(1)
        parameters.append(read_type(reader).read(reader))
    match procedure:
        case 13:
            # A handle, the parameters' declaration, the statement.
            return Request(str(parameters[2]), parameters[3:], procedure)
        case 11:
            return Request(str(parameters[2]), (), procedure)
        case 10:
            return Request(str(parameters[0]), parameters[2:], procedure)
        case 12 | 15:
            return Request("", parameters, procedure)
        case _:
            return Request(str(procedure), parameters, procedure)
