"""Sessions: section 2 of the fact sheet."""

import base64
import secrets
from collections.abc import Callable

_SESSION_BYTES = 240


class Sessions:
    """The issued sessions; a new session does not end an older one (§2).

    Args:
        clock: returns the time in seconds.
        lifetime_seconds: the lifetime of a session; it cannot be renewed.
    """

    def __init__(self, clock: Callable[[], float], lifetime_seconds: float) -> None:
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds
        self._issued: dict[str, float] = {}

    def issue(self) -> str:
        """Returns a new session: long, opaque, with the ``+``, ``/`` and ``=`` that clients must handle (§2, §17)."""
        session = f"+/{base64.b64encode(secrets.token_bytes(_SESSION_BYTES - 1)).decode()}="
        self._issued[session] = self._clock()
        return session

    def is_live(self, session: str | None) -> bool:
        """Whether a session is valid."""
        issued_at = self._issued.get(session or "")
        return issued_at is not None and self._clock() - issued_at < self._lifetime_seconds

    def expire(self) -> None:
        """Ends every session at once, as OneFile may at any time."""
        self._issued.clear()

    def __len__(self) -> int:
        return sum(self.is_live(session) for session in list(self._issued))
