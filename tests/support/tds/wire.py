"""Packets over a socket, with or without TLS ([MS-TDS], "Packets")."""

import socket
import ssl
import struct
from typing import Final

from tests.support.tds.requests import Packet

SIZE: Final = 4096
"""Of a packet at most, with its header."""

_HEADER: Final = struct.Struct(">BBHHBB")
_LAST: Final = 0x01


def packets_of(payload: bytes) -> bytes:
    """Return the packets of an answer."""
    room = SIZE - _HEADER.size
    parts = [payload[start : start + room] for start in range(0, len(payload), room)] or [b""]
    return b"".join(
        _packet(Packet.ANSWER, part, number, status=0 if number < len(parts) else _LAST)
        for number, part in enumerate(parts, start=1)
    )


def _packet(kind: int, content: bytes, number: int = 0, status: int = _LAST) -> bytes:
    return _HEADER.pack(kind, status, _HEADER.size + len(content), 0, number % 256, 0) + content


class Closed(Exception):
    """The client has closed the connection."""


class Wire:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = b""
        self._tls: ssl.SSLObject | None = None
        self._from_client = ssl.MemoryBIO()
        self._to_client = ssl.MemoryBIO()

    def receive(self) -> tuple[int, bytes]:
        """Return the type and the content of the next message. Raises `Closed`."""
        content = b""
        while True:
            kind, status, length, *_ = _HEADER.unpack(self._take(_HEADER.size))
            content += self._take(length - _HEADER.size)
            if status & _LAST:
                return kind, content

    def send(self, content: bytes) -> None:
        """Send bytes as they are. Raises `Closed`."""
        if self._tls is not None:
            self._tls.write(content)
            content = self._to_client.read()
        try:
            self._socket.sendall(content)
        except OSError:
            raise Closed from None

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Take a handshake that travels in pre-login packets ("Pre-login", ENCRYPTION). Raises `Closed`.

        After it TLS records travel by themselves.
        """
        tls = context.wrap_bio(self._from_client, self._to_client, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_handshake()
                kind, content = self.receive()
                assert kind == Packet.PRELOGIN
                self._from_client.write(content)
            except ssl.SSLError:
                # The client does not trust the certificate.
                raise Closed from None
            else:
                self._send_handshake()
                self._tls = tls
                return

    def stop_tls(self) -> None:
        """Go on without."""
        self._tls = None

    def reset(self) -> None:
        """End the connection with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _send_handshake(self) -> None:
        if records := self._to_client.read():
            self.send(_packet(Packet.PRELOGIN, records))

    def _take(self, length: int) -> bytes:
        while len(self._received) < length:
            self._received += self._more()
        taken, self._received = self._received[:length], self._received[length:]
        return taken

    def _more(self) -> bytes:
        if self._tls is None:
            return self._from_socket()
        while True:
            try:
                return self._tls.read(1 << 16) or self._closed()
            except ssl.SSLWantReadError:
                self._from_client.write(self._from_socket())
            except ssl.SSLError:
                self._closed()

    def _from_socket(self) -> bytes:
        try:
            content = self._socket.recv(1 << 16)
        except OSError:
            raise Closed from None
        return content or self._closed()

    @staticmethod
    def _closed() -> bytes:
        raise Closed
