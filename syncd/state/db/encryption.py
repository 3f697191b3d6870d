"""Personal values at rest: encrypted if there is a key, otherwise plain JSON."""

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from syncd.errors import ConfigurationError, StateUnusable

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_FINGERPRINT: Final = b"syncd fingerprint"


class ValueCipher:
    """Encrypts values for the store and decrypts them again.

    ``keys`` is one Fernet key or several, separated by commas: the first encrypts, any of them decrypts, so a key is
    changed by putting the new one in front. Raises `ConfigurationError` for an invalid key.
    """

    def __init__(self, keys: str = "") -> None:
        given = [key.strip() for key in keys.split(",") if key.strip()]
        self._fernet = _fernet(given) if given else None
        self.fingerprint_secret: Final = blake2b(
            (given[0] if given else "").encode(), person=_FINGERPRINT[:16], digest_size=32
        ).digest()

    @property
    def has_key(self) -> bool:
        """Whether there is a key, so that values are encrypted."""
        return self._fernet is not None

    def encrypt(self, value: object) -> str:
        """Return a JSON-like value as text, encrypted if there is a key."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return self._fernet.encrypt(text.encode()).decode() if self._fernet else text

    def encrypt_text(self, text: str) -> str:
        """Return a text as `encrypt` does; an empty one stays empty, so that a query can tell."""
        return text and self.encrypt(text)

    def decrypt_text(self, sealed: str) -> str:
        """Return the text that `encrypt_text` was given. Raises `StateUnusable`."""
        return str(self.decrypt(sealed)) if sealed else ""

    def decrypt(self, sealed: str) -> Any:
        """Return the value, also if it was stored before there was a key. Raises `StateUnusable`."""
        if sealed[:1] in '{["n':
            return json.loads(sealed)
        if self._fernet is None:
            raise StateUnusable(
                "The state store is encrypted, and no key is set. Set SYNCD_STATE__ENCRYPTION_KEY to its key."
            )
        # Imported here, as in `_fernet`.
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise StateUnusable(
                "The state store has values that are encrypted with another key. Set SYNCD_STATE__ENCRYPTION_KEY to "
                "that key, or to the new one and that one (NEW,OLD), and then run 'syncd db reseal'."
            ) from None


def _fernet(keys: list[str]) -> "MultiFernet":
    # Imported here, so that commands do not wait for it if there is no key.
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ConfigurationError(
            "state.encryption_key is not a Fernet key: 32 random bytes in URL-safe base64, 44 characters."
        ) from None
