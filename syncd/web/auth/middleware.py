"""Authorises every request in one place, so that no endpoint or page has to."""

import hmac
from typing import Final
from urllib.parse import urlencode

from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncd.errors import StateUnusable
from syncd.web.auth.credentials import EVERYTHING, LOOKING, NOTHING, Credentials
from syncd.web.auth.sessions import SignedIn
from syncd.web.auth.sign_in_log import SignInLog
from syncd.web.error_responses import refused
from syncd.web.identity import (
    ANYBODY_HERE,
    CSRF_FIELD,
    CSRF_HEADER,
    NOBODY,
    READ,
    STEER,
    Caller,
    address_within,
    path_of,
    program,
    wants_page,
)

SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"

_BEARER: Final = b"Bearer "
_AS_FORMS_ARE: Final = "application/x-www-form-urlencoded"
_LOOKS: Final = frozenset({"GET", "HEAD"})
_LONGEST_FORM_BYTES: Final = 100_000
#: Longer than any MISID, and shorter than the numbers that Python refuses to parse.
_LONGEST_PATH: Final = 2000

_NOT_ADMITTED: Final = "Not authenticated: send a bearer token, or sign in."
_ONLY_LOOKS: Final = "You have read-only access. Sign in with an administrator's password to make changes."
_OUTDATED: Final = "This form is out of date. Reload the page and submit it again."
_TOO_LONG: Final = "The request is too long."


class AuthBackend(AuthenticationBackend):
    """Identifies the caller by bearer token or session, or as local if no credentials are configured."""

    def __init__(self, credentials: Credentials, signed_in: SignedIn, sign_in_log: SignInLog) -> None:
        self._credentials = credentials
        self._signed_in = signed_in
        self._sign_in_log = sign_in_log

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Caller]:
        """The caller and their scopes; `NOBODY` without scopes if the caller is unknown.

        Raises `AuthenticationError` if it needs the store and the store cannot be used.
        """
        try:
            person = await run_in_threadpool(self._person, conn)
        except StateUnusable as problem:
            raise AuthenticationError(str(problem)) from problem
        if person is NOBODY and _is_by_token(conn):
            self._sign_in_log.refused(conn, "token", "wrong secret")
        scopes = EVERYTHING if person.may_steer else LOOKING if person.is_authenticated else NOTHING
        return AuthCredentials(sorted(scopes)), person

    def _person(self, conn: HTTPConnection) -> Caller:
        if not self._credentials:
            return ANYBODY_HERE
        if not _is_by_token(conn):
            return self._signed_in.person(conn.session)
        scopes = self._credentials.of_token(_authorization(conn).removeprefix(_BEARER))
        return program(may_steer=STEER in scopes) if scopes else NOBODY


def not_identified(conn: HTTPConnection, problem: Exception) -> Response:
    """The answer to a caller if it is unknown whether they have signed out."""
    conn.scope.update(user=NOBODY, auth=AuthCredentials())
    return refused(Request(conn.scope), 503, str(problem))


class AuthMiddleware:
    """Lets a request through, or answers it with a refusal.

    Everything but signing in needs the scope `READ`, and every change the scope `STEER`. The ``cookie``, which a
    browser sends automatically, is not enough for a change: it must come from a form of ours.
    """

    def __init__(self, app: ASGIApp, cookie: str) -> None:
        self._app = app
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            refusal = _refusal(request)
            if refusal is None and self._must_show_form(request):
                form = _Form(request)
                refusal, receive = await form.refusal(), form.again
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _must_show_form(self, request: Request) -> bool:
        if request.method in _LOOKS:
            return False
        return path_of(request) == SIGN_IN or (self._cookie in request.cookies and not _is_by_token(request))


class _Form:
    """The body of a request, read to check whether it is a form of ours, and kept so that it can be read again."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._body = b""
        self._is_to_be_told = False

    async def refusal(self) -> Response | None:
        """The refusal if it is not a form of ours."""
        expected = self._request.session.get(CSRF_FIELD, "")
        try:
            given = self._request.headers.get(CSRF_HEADER) or await self._field()
        except _TooLong:
            return refused(self._request, 413, _TOO_LONG)
        except ClientDisconnect:
            given = ""
        if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
            return refused(self._request, 403, _OUTDATED)
        return None

    async def again(self) -> Message:
        """The body once more, for the endpoint."""
        if not self._is_to_be_told:
            return await self._request.receive()
        self._is_to_be_told = False
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _field(self) -> str:
        if self._request.headers.get("content-type", "").partition(";")[0].strip().lower() != _AS_FORMS_ARE:
            return ""
        async for chunk in self._request.stream():
            self._body += chunk
            if len(self._body) > _LONGEST_FORM_BYTES:
                raise _TooLong
        self._is_to_be_told = True
        try:
            given = (await Request(self._request.scope, self.again).form()).get(CSRF_FIELD)
        except HTTPException:
            # More fields than any form has.
            return ""
        self._is_to_be_told = True
        return given if isinstance(given, str) else ""


class _TooLong(Exception): ...


def _refusal(request: Request) -> Response | None:
    """The refusal if the caller may not make this request."""
    is_look = request.method in _LOOKS
    if _is_open(request, is_look=is_look):
        return None
    if READ not in request.auth.scopes:
        if is_look and wants_page(request):
            return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': address_within(request)})}", 303)
        return refused(request, 401, _NOT_ADMITTED, {"WWW-Authenticate": "Bearer"})
    if not is_look and STEER not in request.auth.scopes and path_of(request) != SIGN_OUT:
        return refused(request, 403, _ONLY_LOOKS)
    if len(path_of(request)) > _LONGEST_PATH:
        return refused(request, 414, _TOO_LONG)
    return None


def _is_open(request: Request, *, is_look: bool) -> bool:
    path = path_of(request)
    if path == SIGN_IN:
        return True
    return is_look and (path.startswith("/static/") or (path == "/healthz" and _asks_itself(request)))


def _asks_itself(request: Request) -> bool:
    """Whether the request comes from this machine, for example a container's health check."""
    # A proxy on this machine, trusted or not, passes on the requests of others.
    if "x-forwarded-for" in request.headers:
        return False
    host = request.client.host if request.client else ""
    return host == "::1" or host.startswith("127.")


def _authorization(conn: HTTPConnection) -> bytes:
    return conn.headers.get("authorization", "").encode("latin-1")


def _is_by_token(conn: HTTPConnection) -> bool:
    # A browser never sends a bearer token automatically; a password for Basic authentication it does.
    return _authorization(conn).startswith(_BEARER)
