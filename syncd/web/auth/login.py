"""Signing in and out: a name for the audit, and a password or token."""

from collections.abc import Callable
from datetime import datetime
from secrets import token_urlsafe
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from syncd.web.auth.credentials import Credentials
from syncd.web.auth.middleware import SIGN_IN, SIGN_OUT
from syncd.web.auth.sessions import SignedIn
from syncd.web.auth.sign_in_log import SignInLog
from syncd.web.auth.throttle import Attempts
from syncd.web.identity import STEER
from syncd.web.templating import render

_LONGEST_NAME: Final = 60

_NO_NAME: Final = f"Enter your name (at most {_LONGEST_NAME} characters): it is recorded with what you approve."
_WRONG: Final = "Wrong password or token."
_TOO_OFTEN: Final = "Too many attempts. Wait {} seconds and try again."


def signing_in(
    credentials: Credentials, signed_in: SignedIn, sign_in_log: SignInLog, clock: Callable[[], datetime]
) -> list[Route]:
    """The routes of the sign-in form, of its submission, and of signing out."""
    attempts = Attempts(clock)

    async def form(request: Request) -> Response:
        target = _local(request.query_params.get("next", ""))
        if not credentials or request.user.is_signed_in:
            return RedirectResponse(target, 303)
        return _form(request, target)

    async def sign_in(request: Request) -> Response:
        fields = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
        name, target = fields.get("name", "").strip(), _local(fields.get("next", ""))
        if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            return _form(request, target, problem=_NO_NAME, status_code=400)
        if wait := attempts.seconds_to_wait(request.client.host if request.client else ""):
            sign_in_log.refused(request, "form", "too many attempts")
            answer = _form(request, target, name, problem=_TOO_OFTEN.format(wait), status_code=429)
            answer.headers["Retry-After"] = str(wait)
            return answer
        scopes = await run_in_threadpool(credentials.of_secret, fields.get("secret", ""))
        if not scopes:
            sign_in_log.refused(request, "form", "wrong secret")
            return _form(request, target, name, problem=_WRONG, status_code=403)
        may_steer = STEER in scopes
        signed_in.begin(request.session, token_urlsafe(24), name, may_steer=may_steer)
        sign_in_log.signed_in(request, name, may_steer=may_steer)
        return RedirectResponse(target, 303)

    async def sign_out(request: Request) -> Response:
        await run_in_threadpool(signed_in.end, request.session)
        return RedirectResponse(SIGN_IN, 303)

    return [
        Route(SIGN_IN, form),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route(SIGN_OUT, sign_out, methods=["POST"]),
    ]


def _form(request: Request, target: str, name: str = "", *, problem: str = "", status_code: int = 200) -> Response:
    return render(request, "sign_in.html", status_code=status_code, next=target, name=name, problem=problem)


def _local(target: str) -> str:
    """The page to open after signing in: only one of ours, because the link that led here may be forged."""
    is_path = target.startswith("/") and not target.startswith("//") and target.isprintable()
    # Browsers take a backslash for a slash.
    return target if is_path and "\\" not in target and not urlsplit(target).netloc else "/"
