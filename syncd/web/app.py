"""The application: who may ask, and what is answered."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from syncd.errors import NothingToSettle, StateUnusable
from syncd.state import daemons, overview, runs
from syncd.state.runs import RunState
from syncd.state.store import Store
from syncd.web.metrics import StoreCollector

#: Who asks or approves, for the audit trail.
_WHO: Final = "api"
_NAMES_OF_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Asked(BaseModel):
    """What ``POST /api/resync`` may say: whom the run is to be about, everybody if nobody is named, and where."""

    model_config = ConfigDict(extra="forbid", strict=True)

    misids: list[Annotated[str, Field(min_length=1, max_length=255)]] = []
    organisation_id: int | None = None


def make_app(store: Store, organisations: Sequence[int], token: str, clock: Callable[[], datetime]) -> Starlette:
    """The admin endpoints of one customer's organisations, for an ASGI server.

    With a ``token`` every request must carry it as a bearer token; without one anybody who reaches it may ask, so
    it is then only to be served on loopback.
    """
    registry = CollectorRegistry(auto_describe=False)
    collector = StoreCollector(store, organisations)

    def healthz(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    def readyz(_request: Request) -> Response:
        checks = _checks(store, organisations, clock())
        return JSONResponse(checks, 200 if all(checks.values()) else 503)

    def metrics(_request: Request) -> Response:
        registry.register(collector)
        try:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        finally:
            registry.unregister(collector)

    def status(_request: Request) -> Response:
        with store.begin() as connection:
            return JSONResponse(overview.status(connection, organisations))

    async def resync(request: Request) -> Response:
        return await run_in_threadpool(_ask, store, organisations, await request.body(), clock())

    def approve(request: Request) -> Response:
        return _approve(store, organisations, request.path_params["run"], clock())

    async def nothing_to_settle(_request: Request, problem: Exception) -> Response:
        return JSONResponse({"error": str(problem)}, 409)

    async def unusable(_request: Request, problem: Exception) -> Response:
        return JSONResponse({"error": str(problem)}, 503)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/api/status", status),
            Route("/api/resync", resync, methods=["POST"]),
            Route("/api/runs/{run:int}/approve", approve, methods=["POST"]),
        ],
        middleware=[
            *([Middleware(BearerToken, token=token)] if token else []),
            Middleware(OwnSite, is_on_loopback=not token),
        ],
        exception_handlers={StateUnusable: unusable, NothingToSettle: nothing_to_settle},
    )


def _checks(store: Store, organisations: Sequence[int], now: datetime) -> dict[str, bool]:
    try:
        is_current = store.is_current
        with store.begin() as connection:
            lasts = [runs.last(connection, each) for each in organisations]
            due = daemons.next_run_at(connection, organisations[0])
    except StateUnusable:
        return {"state_reachable": False, "schema_current": False, "poll_in_time": False}
    is_at_work = any(last is not None and last.state == RunState.RUNNING for last in lasts)
    in_time = is_at_work or due is None or now < due + daemons.OVERDUE_AFTER
    return {"state_reachable": True, "schema_current": is_current, "poll_in_time": in_time}


def _ask(store: Store, organisations: Sequence[int], body: bytes, now: datetime) -> Response:
    try:
        asked = Asked.model_validate_json(body) if body else Asked()
    except ValidationError:
        example = '{"misids": ["L1", "L2"], "organisation_id": 5740}'
        return _bad_request(f"The body must be empty, or JSON such as {example}, of which either part may be left out.")
    if asked.organisation_id not in {None, *organisations}:
        configured = ", ".join(map(str, organisations))
        return _bad_request(f"organisation_id is not in the configuration, which has {configured}.")
    chosen = organisations if asked.organisation_id is None else [asked.organisation_id]
    with store.begin() as connection:
        numbers = [runs.request(connection, each, _WHO, now, asked.misids) for each in chosen]
    one_by_one = {str(each): {"request": number} for each, number in zip(chosen, numbers, strict=True)}
    return JSONResponse({"request": numbers[0]} | ({"organisations": one_by_one} if len(chosen) > 1 else {}), 202)


def _approve(store: Store, organisations: Sequence[int], number: int, now: datetime) -> Response:
    with store.begin() as connection:
        _, counts, _ = runs.approve(connection, runs.whose(connection, organisations, number), number, _WHO, now)
    return JSONResponse({"run": number, **asdict(counts)})


def _bad_request(sentence: str) -> Response:
    return JSONResponse({"error": sentence}, 400)


class BearerToken:
    """Lets only those through who know the token, and this machine's own question whether syncd is alive."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] == "http" and not _asks_itself(scope):
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refused = JSONResponse({"error": "a bearer token is needed"}, 401, {"WWW-Authenticate": "Bearer"})
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)


class OwnSite:
    """Keeps other web sites from having a visitor's browser ask for changes.

    ``is_on_loopback`` says that no token is asked for: a site can then give its own name this machine's address, so
    that only the names which every machine has for itself count as ours.
    """

    def __init__(self, app: ASGIApp, is_on_loopback: bool) -> None:
        self._app = app
        self._is_on_loopback = is_on_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"} and not self._is_own(scope):
            refused = JSONResponse({"error": "A page of another site must not ask for this."}, 403)
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return False
        if "origin" not in headers:
            # Browsers send it with every request for a change; what sends none is no browser.
            return True
        _, _, site = headers["origin"].partition("://")
        name = site.rpartition(":")[0] or site
        return site == headers.get("host") and (not self._is_on_loopback or name in _NAMES_OF_LOOPBACK)


def _asks_itself(scope: Scope) -> bool:
    host = scope["client"][0] if scope.get("client") else ""
    return scope["path"] == "/healthz" and (host == "::1" or host.startswith("127."))
