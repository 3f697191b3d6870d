"""Keyed digests, by which rows are recognised without their values."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from syncd.core.records import Row

SHORT_DIGEST_LENGTH: Final = 16
"""The length of a row's short digest."""
NO_DIGEST: Final = "-" * SHORT_DIGEST_LENGTH
"""The short digest of a row that none can be made of."""


class Digester:
    """Makes keyed digests of rows, from which no value can be recovered.

    ``secret`` has at most 64 bytes. ``columns`` are the names of the rows' columns: the same values under other names
    have another digest.
    """

    def __init__(self, secret: bytes, columns: Sequence[str] = ()) -> None:
        self._secret = secret
        encoder = msgspec.msgpack.Encoder(enc_hook=_encode_other)
        self._encode_into = encoder.encode_into
        self._content = bytearray(encoder.encode(tuple(columns)))
        self._columns_end = len(self._content)

    def digest(self, value: object) -> str:
        """Return the digest of rows or other plain values; empty if none can be made.

        An empty digest matches nothing, so such rows are parsed by every poll.
        """
        try:
            self._encode_into(value, self._content, self._columns_end)
        except (ValueError, OverflowError, msgspec.MsgspecError):
            return ""
        return blake2b(self._content, key=self._secret, digest_size=16).hexdigest()

    def short_digest(self, row: Row) -> str:
        """Return a digest of one row, long enough to tell the rows of a few blocks apart; `NO_DIGEST` if none."""
        return self.digest(row)[:SHORT_DIGEST_LENGTH] or NO_DIGEST


def _encode_other(value: object) -> object:
    return [type(value).__name__, str(value)]
