"""Browser sessions: a signed cookie, and the person it signs in."""

from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from syncd.state import revoked_sessions
from syncd.state.db.store import Store
from syncd.web.identity import CSRF_FIELD, NOBODY, Caller

LASTS: Final = timedelta(hours=12)

Session = MutableMapping[str, Any]


class Sessions:
    """Reads and writes the cookie, which scripts cannot read, and which is https-only if the request was https."""

    def __init__(self, app: ASGIApp, key: bytes, cookie: str) -> None:
        self._when_secure, self._when_not = (
            SessionMiddleware(app, key.hex(), cookie, int(LASTS.total_seconds()), same_site="lax", https_only=is_secure)
            for is_secure in (True, False)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its session."""
        sessions = self._when_secure if scope.get("scheme") == "https" else self._when_not
        await sessions(scope, receive, send)


class SignedIn:
    """The person of each session, for twelve hours or until they sign out, which is stored.

    A session is identified by its CSRF token, which is unique.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def begin(self, session: Session, token: str, name: str, *, may_steer: bool) -> None:
        """Sign in a person who has given valid credentials, with a new CSRF token."""
        session.clear()
        session.update(
            {CSRF_FIELD: token, "name": name, "may_steer": may_steer, "until": (self._clock() + LASTS).timestamp()}
        )

    def end(self, session: Session) -> None:
        """Sign the person out, so that copies of the cookie are invalid too. Raises `StateUnusable`."""
        if "until" in session:
            until = datetime.fromtimestamp(session["until"], UTC)
            with self._store.begin() as connection:
                revoked_sessions.revoke(connection, session[CSRF_FIELD], until, self._clock())
        session.clear()

    def person(self, session: Session) -> Caller:
        """The person who is signed in, or `NOBODY`. Raises `StateUnusable`."""
        if session.get("until", 0) <= self._clock().timestamp():
            return NOBODY
        with self._store.reading() as connection:
            if revoked_sessions.is_revoked(connection, session[CSRF_FIELD]):
                return NOBODY
        return Caller(session["name"], is_signed_in=True, may_steer=session["may_steer"])
