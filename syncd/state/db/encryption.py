"""Personal values at rest: encrypted when there is a key, plain JSON when there is none."""

import json
from hashlib import blake2b
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from syncd.errors import ConfigurationError, StateUnusable

_FINGERPRINT: Final = b"syncd fingerprint"


class ValueCipher:
    """Seals values for the store and opens them again.

    ``keys`` is one Fernet key or several with commas between them: the first seals, all of them open, so a key is
    changed by putting the new one in front. Raises `ConfigurationError` for what is not a key.
    """

    def __init__(self, keys: str = "") -> None:
        given = [key.strip() for key in keys.split(",") if key.strip()]
        try:
            self._fernet = MultiFernet([Fernet(key) for key in given]) if given else None
        except ValueError:
            raise ConfigurationError(
                "state.encryption_key is not a Fernet key: 32 random bytes in URL-safe base64, 44 characters."
            ) from None
        self.fingerprint_secret: Final = blake2b(
            (given[0] if given else "").encode(), person=_FINGERPRINT[:16], digest_size=32
        ).digest()

    @property
    def has_key(self) -> bool:
        """Whether what is sealed is encrypted."""
        return self._fernet is not None

    def encrypt(self, value: object) -> str:
        """Make text of a JSON-like value."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return self._fernet.encrypt(text.encode()).decode() if self._fernet else text

    def decrypt(self, sealed: str) -> Any:
        """The value that was sealed; also what was sealed before there was a key. Raises `StateUnusable`."""
        if sealed[:1] in '{["n':
            return json.loads(sealed)
        if self._fernet is None:
            raise StateUnusable("The state store is encrypted: set SYNCD_STATE__ENCRYPTION_KEY to its key.")
        try:
            return json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise StateUnusable(
                "The state store was encrypted with another key: "
                "SYNCD_STATE__ENCRYPTION_KEY must hold the key it was written with."
            ) from None
