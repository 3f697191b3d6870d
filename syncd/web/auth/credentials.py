"""The credentials of people and programs: tokens, and passwords of which only the hash is known."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import scrypt
from json import dumps
from threading import Lock
from typing import Final
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHash

from syncd.web.identity import READ, STEER

SHORTEST_PASSWORD: Final = 12

_HASHER: Final = PasswordHasher()
#: Each password check takes 64 MiB, so they are made one after the other.
_ONE_AT_A_TIME: Final = Lock()

Scopes = frozenset[str]
NOTHING: Final[Scopes] = frozenset()
LOOKING: Final[Scopes] = frozenset({READ})
EVERYTHING: Final[Scopes] = frozenset({READ, STEER})


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of administrators and of viewers; an empty one is not set."""

    token: str = field(default="", repr=False)
    password_hash: str = field(default="", repr=False)
    viewer_token: str = field(default="", repr=False)
    viewer_password_hash: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return any(self._all)

    @property
    def _all(self) -> tuple[str, ...]:
        return self.token, self.password_hash, self.viewer_token, self.viewer_password_hash

    def of_token(self, given: bytes) -> Scopes:
        """The scopes of this token."""
        tokens = ((self.token, EVERYTHING), (self.viewer_token, LOOKING))
        return _first(scopes for token, scopes in tokens if token and hmac.compare_digest(given, token.encode()))

    def of_secret(self, given: str) -> Scopes:
        """The scopes of this token or password. Takes a tenth of a second if there are passwords."""
        passwords = ((self.password_hash, EVERYTHING), (self.viewer_password_hash, LOOKING))
        return self.of_token(given.encode("utf-8", "surrogatepass")) or _first(
            scopes for hashed, scopes in passwords if hashed and _fits(hashed, given)
        )

    def signing_key(self) -> bytes:
        """The key that signs sessions; it changes whenever a secret changes.

        It is slow to derive, so that a short token cannot be guessed from a cookie.
        """
        return scrypt(dumps(self._all).encode(), salt=b"syncd's sessions", n=2**14, r=8, p=1)


def hash_of(password: str) -> str:
    """A hash of a password, for the configuration."""
    return _HASHER.hash(_normal(password))


def _fits(hashed: str, password: str) -> bool:
    try:
        with _ONE_AT_A_TIME:
            return _HASHER.verify(hashed, _normal(password))
    except (Argon2Error, InvalidHash):
        return False


def _normal(password: str) -> bytes:
    # Keyboards differ in how they encode the same letter.
    return normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _first(scopes: Iterable[Scopes]) -> Scopes:
    return next(iter(scopes), NOTHING)
