"""Somebody who asks a syncd for pages and endpoints, without a network between."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from syncd.core.run import Trigger
from syncd.state import runs
from syncd.state.db.store import Store
from syncd.web.app import make_app
from syncd.web.auth.credentials import Credentials
from syncd.web.identity import asked_by
from syncd.web.templating import render
from tests.support.clocks import Clock
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

PASSWORD: Final = "correct horse battery"
VIEWERS_PASSWORD: Final = "only looking at it"
TOKEN: Final = "zz-token"
VIEWERS_TOKEN: Final = "zz-viewers-token"
#: A hash says how much work it takes, and these take little.
_QUICK: Final = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
GUARDED: Final = Credentials(TOKEN, _QUICK.hash(PASSWORD), VIEWERS_TOKEN, _QUICK.hash(VIEWERS_PASSWORD))
OPEN: Final = Credentials()

HERE: Final = "http://127.0.0.1:8642"
ELSEWHERE: Final = "http://syncd.college.example"

_FIELD: Final = re.compile(r'name="csrf_token" value="([^"]+)"')


class Visitor:
    """A browser, or a script if it ``takes`` anything, with cookies of its own."""

    def __init__(
        self, app: Starlette, base_url: str = ELSEWHERE, *, address: str = "192.0.2.7", takes: str = "text/html"
    ) -> None:
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50_000)),
            base_url=base_url,
            headers={"Accept": takes},
        )

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self("POST", path, **options)

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def form_of(self, path: str) -> dict[str, str]:
        """What the form on a page sends beside what a person types."""
        (token,) = set(_FIELD.findall(self.get(path).text))
        return {"csrf_token": token}

    def sign_in(self, secret: str = PASSWORD, name: str = "Jo", next_: str = "/") -> httpx.Response:
        form = self.form_of("/sign-in") | {"name": name, "secret": secret, "next": next_}
        return self.post("/sign-in", data=form)


def site(
    store: Store,
    credentials: Credentials = GUARDED,
    clock: Callable[[], datetime] | None = None,
    more: Sequence[Route | Mount] = (),
) -> Starlette:
    """A syncd with one page, which has one form."""
    pages = [Route("/page", _page), Route("/page", _changed, methods=["POST"]), *more]
    return make_app(store, [ORGANISATION], credentials, clock or Clock(datetime.now(UTC)), pages)


def stopped_run(store: Store) -> int:
    """A run that waits for approval."""
    now = datetime.now(UTC)
    with store.begin() as connection:
        number = runs.start(session_on(connection, ORGANISATION, now), Trigger.SCHEDULE)
        runs.stop(session_on(connection, ORGANISATION, now), number, "too many", onefile=None, totals={})
    return number


async def _page(request: Request) -> Response:
    return render(request, "sign_in.html", next="", name=request.user.name, problem="")


async def _changed(request: Request) -> Response:
    fields = await request.form()
    return JSONResponse({"by": asked_by(request), "word": fields.get("word")})
