"""The application: its routes and middleware."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from secrets import token_bytes
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from structlog.typing import FilteringBoundLogger

from syncd.core.rate import CALLS_PER_MINUTE
from syncd.errors import NothingToSettle, StateUnusable
from syncd.state.db.store import Store
from syncd.web.api import endpoints
from syncd.web.auth.credentials import Credentials
from syncd.web.auth.login import signing_in
from syncd.web.auth.middleware import AuthBackend, AuthMiddleware, not_identified
from syncd.web.auth.same_origin import OwnSite
from syncd.web.auth.security_headers import HEADERS, SecurityHeaders
from syncd.web.auth.sessions import Sessions, SignedIn
from syncd.web.auth.sign_in_log import SignInLog
from syncd.web.body_limit import BodyLimit
from syncd.web.error_responses import refused
from syncd.web.identity import address_within, path_of
from syncd.web.metrics import Metrics

_PLAINLY: Final = {404: "There is no page at this address.", 405: "This address does not accept that method."}
_UNKNOWN: Final = "Unexpected error in syncd. Its log has the details."


def make_app(
    store: Store,
    organisations: Sequence[int],
    credentials: Credentials,
    clock: Callable[[], datetime],
    pages: Sequence[Route | Mount] = (),
    measured: Metrics | None = None,
    calls_per_minute: Callable[[], int] = lambda: CALLS_PER_MINUTE,
    log: FilteringBoundLogger | None = None,
) -> Starlette:
    """The endpoints and pages of one customer's organisations, for an ASGI server.

    With any ``credentials`` every request must be authenticated; without them every caller is admitted, so it must only
    be served on loopback. ``calls_per_minute`` is OneFile's limit, for the time a run in progress still needs.
    ``log`` gets the sign-ins.
    """
    signed_in = SignedIn(store, clock)
    sign_in_log = SignInLog(log or structlog.get_logger("syncd"), clock)
    # Two daemons on one machine differ only by port, which cookies ignore.
    cookie = f"syncd_{organisations[0]}"
    key = credentials.signing_key() if credentials else token_bytes(32)
    app = Starlette(
        routes=[
            *endpoints(
                store,
                organisations,
                clock,
                cookie,
                measured,
                is_open=not credentials,
                calls_per_minute=calls_per_minute,
            ),
            *signing_in(credentials, signed_in, sign_in_log, clock),
            *pages,
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(BodyLimit),
            Middleware(OwnSite, is_on_loopback=not credentials),
            Middleware(Sessions, key=key, cookie=cookie),
            Middleware(
                AuthenticationMiddleware,
                backend=AuthBackend(credentials, signed_in, sign_in_log),
                on_error=not_identified,
            ),
            Middleware(AuthMiddleware, cookie=cookie),
        ],
        exception_handlers=_HANDLERS,
    )
    # Its redirects name the host that the request named.
    app.router.redirect_slashes = False
    return app


async def _other_than_asked(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)  # noqa: S101 - what it is registered for
    if problem.status_code == 404 and request.method in {"GET", "HEAD"} and path_of(request).endswith("/"):
        return _without_slash(request)
    is_said = problem.detail != HTTPStatus(problem.status_code).phrase
    sentence = problem.detail if is_said else _PLAINLY.get(problem.status_code, problem.detail)
    return refused(request, problem.status_code, sentence, problem.headers)


def _without_slash(request: Request) -> Response:
    path, mark, query = address_within(request).partition("?")
    # Two slashes at the beginning would name another host.
    return RedirectResponse(f"/{path.strip('/')}{mark}{query}", 307)


async def _nothing_to_settle(request: Request, problem: Exception) -> Response:
    return refused(request, 409, str(problem))


async def _unusable(request: Request, problem: Exception) -> Response:
    return refused(request, 503, str(problem))


async def _unknown(_request: Request, _problem: Exception) -> Response:
    # Answered outside the middleware, which therefore cannot add these headers.
    return JSONResponse({"error": _UNKNOWN}, 500, HEADERS)


_HANDLERS: Final[Mapping[Any, Any]] = {
    HTTPException: _other_than_asked,
    NothingToSettle: _nothing_to_settle,
    StateUnusable: _unusable,
    Exception: _unknown,
}
