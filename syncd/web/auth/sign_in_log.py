"""The log of who has signed in, and of who was refused."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from starlette.requests import HTTPConnection
from structlog.typing import FilteringBoundLogger

from syncd.web.auth.throttle import Attempts

By = Literal["form", "token"]


class SignInLog:
    """Logs each sign-in, and refusals no faster than people could sign in: else guesses would fill the disk."""

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._lines = Attempts(clock)
        self._unlogged = 0

    def signed_in(self, request: HTTPConnection, name: str, *, may_steer: bool) -> None:
        """Log that a person has signed in."""
        self._log.info("sign_in", name=name, address=_address_of(request), may_steer=may_steer)

    def refused(self, request: HTTPConnection, by: By, reason: str) -> None:
        """Log a refusal, with the number of those before it that were not logged.

        The name that was given is left out: it may be a password in the wrong field.
        """
        address = _address_of(request)
        if self._lines.seconds_to_wait(address):
            self._unlogged += 1
            return
        self._log.warning("sign_in_refused", address=address, by=by, reason=reason, unlogged=self._unlogged)
        self._unlogged = 0


def _address_of(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""
