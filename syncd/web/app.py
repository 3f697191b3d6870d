"""The application: who may ask, and what is answered."""

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from syncd.errors import StateUnusable
from syncd.state import daemons, overview, runs
from syncd.state.runs import RunState
from syncd.state.store import Store
from syncd.web.metrics import StoreCollector

#: A poll that has not begun so long after it was due is overdue.
_OVERDUE_AFTER: Final = timedelta(minutes=5)


def make_app(store: Store, organisation_id: int, token: str, clock: Callable[[], datetime]) -> Starlette:
    """The admin endpoints of one organisation, for an ASGI server.

    With a ``token`` every request must carry it as a bearer token; without one anybody who reaches it may ask, so
    it is then only to be served on loopback.
    """
    registry = CollectorRegistry(auto_describe=False)
    collector = StoreCollector(store, organisation_id)

    def healthz(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    def readyz(_request: Request) -> Response:
        checks = _checks(store, organisation_id, clock())
        return JSONResponse(checks, 200 if all(checks.values()) else 503)

    def metrics(_request: Request) -> Response:
        registry.register(collector)
        try:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        finally:
            registry.unregister(collector)

    def status(_request: Request) -> Response:
        with store.begin() as connection:
            return JSONResponse(overview.status(connection, organisation_id))

    async def unusable(_request: Request, problem: Exception) -> Response:
        return JSONResponse({"error": str(problem)}, 503)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/api/status", status),
        ],
        middleware=[Middleware(BearerToken, token=token)] if token else [],
        exception_handlers={StateUnusable: unusable},
    )


def _checks(store: Store, organisation_id: int, now: datetime) -> dict[str, bool]:
    try:
        is_current = store.is_current
        with store.begin() as connection:
            last = runs.last(connection, organisation_id)
            due = daemons.next_run_at(connection, organisation_id)
    except StateUnusable:
        return {"state_reachable": False, "schema_current": False, "poll_in_time": False}
    is_at_work = last is not None and last.state == RunState.RUNNING
    in_time = is_at_work or due is None or now < due + _OVERDUE_AFTER
    return {"state_reachable": True, "schema_current": is_current, "poll_in_time": in_time}


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


def _asks_itself(scope: Scope) -> bool:
    host = scope["client"][0] if scope.get("client") else ""
    return scope["path"] == "/healthz" and (host == "::1" or host.startswith("127."))
