"""The ASGI application: authentication, injected faults, the rate limit and the journal.

A call passes these steps in order; the first that answers decides:

1. an ordered fault (`syncd.simulator.faults`): it applies before the session and the limit are checked; the kinds
   that let the work happen apply after all other steps;
2. the customer token or the session: 401 (§2);
3. the limit: 429 (§3). It applies per customer, and Authentication counts (U10). A call refused here or earlier does
   not count;
4. the endpoint (`syncd.simulator.endpoints`).
"""

import asyncio
import hmac
import math
import threading
from collections.abc import Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from syncd.simulator.abort import hang_up
from syncd.simulator.endpoints import Body, Endpoints
from syncd.simulator.errors import ApiError
from syncd.simulator.faults import Fault, FaultKind, Faults
from syncd.simulator.journal import Journal
from syncd.simulator.limiter import make_limiter
from syncd.simulator.request_body import read_body
from syncd.simulator.responses import Answer, error_answer, json_answer, rubbish, text_answer
from syncd.simulator.sessions import Sessions
from syncd.simulator.world import World

PREFIX = "/api/v2.1"
CUSTOMER_TOKEN = "simulated-customer-token-for-loopback-use-only"  # noqa: S105 - opens nothing but a simulator


class FrontDoor:
    """Handles every call under the prefix; an ASGI application.

    Args:
        world: the state that calls change; accessed only with ``lock``.
        journal, faults, sessions: shared with tests.
        lock: prevents a call and a test's seeding from running at the same time.
        clock: returns the time in seconds.
        customer_token: the token that Authentication requires.
    """

    def __init__(
        self,
        *,
        world: World,
        journal: Journal,
        faults: Faults,
        sessions: Sessions,
        lock: threading.RLock,
        clock: Callable[[], float],
        customer_token: str,
    ) -> None:
        self.world = world
        self.journal = journal
        self.faults = faults
        self.sessions = sessions
        self.lock = lock
        self._switches = world.switches
        self._clock = clock
        self._customer_token = customer_token
        self._endpoints = Endpoints(world)
        self._limiter = make_limiter(self._switches.limiter, self._switches.calls_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one call, or closes its connection."""
        request = Request(scope, receive)
        arrived_at = self._clock()
        body = read_body(await request.body(), request.headers.get("Content-Type", ""))
        path = request.url.path
        path = path[len(PREFIX) :] if path.lower().startswith(f"{PREFIX}/") else path
        trouble = self.faults.meet(request.method, path)
        if trouble.latency_seconds:
            await asyncio.sleep(trouble.latency_seconds)
        answer = self._answer(request, path, body, trouble.fault)
        self.journal.record(
            at=arrived_at,
            method=request.method,
            path=path,
            body=body.value,
            status=None if answer is None else int(answer.status),
            fault=trouble.name,
        )
        if answer is None:
            await hang_up(scope, receive)
        else:
            response = Response(answer.content, answer.status, dict(answer.headers), answer.media_type)
            await response(scope, receive, send)

    def _answer(self, request: Request, path: str, body: Body, fault: Fault | None) -> Answer | None:
        if fault is None:
            return self._work(request, path, body)
        if fault.kind.lets_work_happen:
            # A refusal is hidden as well: the client must not learn the outcome of the call.
            self._work(request, path, body)
        if fault.kind.drops:
            return None
        if fault.kind in {FaultKind.RUBBISH, FaultKind.RUBBISH_AFTER}:
            return rubbish()
        if fault.kind in {FaultKind.ANSWER, FaultKind.ANSWER_AFTER}:
            return json_answer(fault.body)
        status, message = _SAYINGS[fault.kind]
        return error_answer(status, message, self._switches.error_body, fault.retry_after_seconds)

    def _work(self, request: Request, path: str, body: Body) -> Answer:
        is_authentication = request.method == "POST" and path.lower() == "/authentication"
        try:
            self._admit(request, is_authentication=is_authentication)
            too_soon = self._limiter.allow(self._clock())
            if too_soon is not None:
                return self._turn_away(too_soon)
            if is_authentication:
                return text_answer(self.sessions.issue())
            with self.lock:
                return self._endpoints.call(request.method, path, body)
        except ApiError as refusal:
            return error_answer(refusal.status, refusal.message, self._switches.error_body)

    def _admit(self, request: Request, *, is_authentication: bool) -> None:
        if not request.url.path.lower().startswith(f"{PREFIX}/"):
            raise ApiError(HTTPStatus.NOT_FOUND, "There is nothing here.")
        if is_authentication:
            token = request.headers.get("X-CustomerToken", "")
            if not hmac.compare_digest(token.encode(), self._customer_token.encode()):
                raise ApiError(HTTPStatus.UNAUTHORIZED, "The customer token is not valid.")
        elif not self.sessions.is_live(request.headers.get("X-TokenID")):
            raise ApiError(self._switches.expired_session_status, "The session is not valid.")

    def _turn_away(self, seconds: float) -> Answer:
        retry_after = math.ceil(seconds) if self._switches.retry_after else None
        message = f"The limit is {self._switches.calls_per_minute} calls per minute."
        return error_answer(HTTPStatus.TOO_MANY_REQUESTS, message, self._switches.error_body, retry_after)


_SAYINGS = {
    FaultKind.THROTTLE: (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests."),
    FaultKind.ERROR_BEFORE: (HTTPStatus.INTERNAL_SERVER_ERROR, "An error has occurred."),
    FaultKind.ERROR_AFTER: (HTTPStatus.INTERNAL_SERVER_ERROR, "An error has occurred."),
    FaultKind.UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "The service is unavailable."),
}


def make_app(front_door: FrontDoor, control: list[Route]) -> Starlette:
    """Returns the application: the control endpoints, and ``front_door`` for every other path."""
    return Starlette(routes=[*control, Route("/{path:path}", front_door)])
