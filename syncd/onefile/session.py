"""The session: one log-in is used for every call until it is a day old (§2)."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from http import HTTPStatus
from threading import Lock
from typing import Final

import httpx

from syncd.errors import CredentialsRefused, OneFileUnreachable
from syncd.onefile.responses import Unreadable, parse_session

#: OneFile ends a session after 24 hours (§2, U10).
_LIFETIME: Final = timedelta(hours=23)


class SessionAuth(httpx.Auth):
    """Logs in before the first call, before the session expires, and once more after a 401.

    ``customer_token`` is secret and is sent only in the log-in's header. Raises `CredentialsRefused` if OneFile
    refuses it, `OneFileUnreachable` if the log-in fails for another reason.
    """

    def __init__(self, login_url: str, customer_token: str, clock: Callable[[], datetime]) -> None:
        self._login_url = login_url
        self._customer_token = customer_token
        self._clock = clock
        self._lock = Lock()
        self._session = ""
        self._opened_at: datetime | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the session to the request; see `httpx.Auth`."""
        session = yield from self._current(stale="")
        request.headers["X-TokenID"] = session
        response = yield request
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            request.headers["X-TokenID"] = yield from self._current(stale=session)
            yield request

    def _current(self, stale: str) -> Generator[httpx.Request, httpx.Response, str]:
        """Return a session other than ``stale``; if several threads need one, only one logs in."""
        with self._lock:
            is_old = self._opened_at is None or self._clock() - self._opened_at >= _LIFETIME
            if is_old or self._session == stale:
                response = yield httpx.Request(
                    "POST", self._login_url, headers={"X-CustomerToken": self._customer_token, "Content-Length": "0"}
                )
                response.read()
                self._session = _opened(response)
                self._opened_at = self._clock()
            return self._session


def _opened(response: httpx.Response) -> str:
    if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}:
        raise CredentialsRefused(
            f"OneFile does not accept the customer token (status {response.status_code}). "
            "Check SYNCD_ONEFILE__CUSTOMER_TOKEN, and that the token belongs to the environment that is configured."
        )
    if not response.is_success:
        raise OneFileUnreachable(f"OneFile answered the log-in with status {response.status_code}.")
    try:
        return parse_session(response)
    except Unreadable:
        raise OneFileUnreachable(
            "OneFile answered the log-in with something that is not a session; is onefile.base_url right?"
        ) from None
