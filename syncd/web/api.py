"""The endpoints for scripts and monitors."""

from collections.abc import Callable, Sequence
from datetime import datetime

from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncd.core.run import RunState
from syncd.errors import StateUnusable
from syncd.state import approvals, daemons, resync_requests, runs
from syncd.state.db.store import Store
from syncd.state.plan_steps import StepFilter
from syncd.state.session import reading_session, writing_session
from syncd.state.views import status as status_view
from syncd.state.views.documents import settled_document, status_document
from syncd.web.identity import asked_by
from syncd.web.listings import listings
from syncd.web.metrics import Metrics
from syncd.web.openapi import ADDRESS, Operation, document
from syncd.web.schemas import (
    Alive,
    Asked,
    Decided,
    Decision,
    Document,
    Ready,
    Rejection,
    Status,
    Taken,
)


def endpoints(
    store: Store,
    organisations: Sequence[int],
    clock: Callable[[], datetime],
    cookie: str,
    measured: Metrics | None = None,
    *,
    is_open: bool,
    calls_per_minute: Callable[[], int],
) -> list[Route]:
    """The endpoints of one customer's daemon for programs, and the document that describes them."""
    measured = measured or Metrics(store, organisations, clock)
    operations = [
        *_monitoring(store, organisations, clock, measured, calls_per_minute),
        *listings(store, organisations, clock),
        *_steering(store, organisations, clock),
    ]

    def openapi(_request: Request) -> Response:
        return JSONResponse(described)

    operations.append(Operation(Route(ADDRESS, openapi), "This document", {200: Document}))
    described = document(operations, organisations, cookie, is_open=is_open)
    return [each.route for each in operations]


def _monitoring(
    store: Store,
    organisations: Sequence[int],
    clock: Callable[[], datetime],
    measured: Metrics,
    calls_per_minute: Callable[[], int],
) -> list[Operation]:
    def healthz(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    def readyz(_request: Request) -> Response:
        checks = _checks(store, organisations, clock)
        return JSONResponse(checks, 200 if all(checks.values()) else 503)

    def metrics(_request: Request) -> Response:
        return Response(measured.scrape(), media_type=CONTENT_TYPE_LATEST)

    def status(_request: Request) -> Response:
        with reading_session(store, organisations[0], clock) as session:
            reports = status_view.status_by_organisation(session, organisations, calls_per_minute())
        return JSONResponse(status_document(reports))

    return [
        Operation(Route("/healthz", healthz), "Is the process alive?", {200: Alive}, is_open=True),
        Operation(Route("/readyz", readyz), "Is the daemon ready to work?", {200: Ready, 503: Ready}),
        Operation(Route("/metrics", metrics), "Metrics for Prometheus", {200: "Prometheus' text"}, refuses=[503]),
        Operation(Route("/api/status", status), "Status of the organisations", {200: Status}, refuses=[503]),
    ]


def _steering(store: Store, organisations: Sequence[int], clock: Callable[[], datetime]) -> list[Operation]:
    async def resync(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_ask, store, organisations, body, asked_by(request), clock)

    async def approve(request: Request) -> Response:
        number, body = request.path_params["run"], await request.body()
        return await run_in_threadpool(_approve, store, organisations, number, body, asked_by(request), clock)

    async def reject(request: Request) -> Response:
        number, body = request.path_params["run"], await request.body()
        return await run_in_threadpool(_reject, store, organisations, number, body, asked_by(request), clock)

    post, runs_ = ["POST"], "/api/runs/{run:int}"
    return [
        Operation(
            Route("/api/resync", resync, methods=post), "Request a run now", {202: Taken}, Asked, refuses=[400, 503]
        ),
        Operation(
            Route(f"{runs_}/approve", approve, methods=post),
            "Approve the changes of a stopped run, or some: the next run makes them, within 24 hours",
            {200: Decided},
            Decision,
            refuses=[400, 409, 503],
        ),
        Operation(
            Route(f"{runs_}/reject", reject, methods=post),
            "Reject the changes of a stopped run that were not approved",
            {200: Decided},
            Rejection,
            refuses=[400, 409, 503],
        ),
    ]


def _checks(store: Store, organisations: Sequence[int], clock: Callable[[], datetime]) -> dict[str, bool]:
    checks = dict.fromkeys(("state_reachable", "state_writable", "schema_current", "poll_in_time"), False)
    try:
        checks["schema_current"] = store.is_current
        checks["state_reachable"] = True
        store.check_writable()
        checks["state_writable"] = True
        if checks["schema_current"]:
            checks["poll_in_time"] = _is_in_time(store, organisations, clock)
    except StateUnusable:
        pass
    return checks


def _is_in_time(store: Store, organisations: Sequence[int], clock: Callable[[], datetime]) -> bool:
    with reading_session(store, organisations[0], clock) as session:
        lasts = [runs.last(session.for_organisation(each)) for each in organisations]
        due = daemons.next_run_at(session)
    is_at_work = any(last is not None and last.state is RunState.RUNNING for last in lasts)
    return is_at_work or due is None or clock() < due + daemons.OVERDUE_AFTER


def _ask(store: Store, organisations: Sequence[int], body: bytes, who: str, clock: Callable[[], datetime]) -> Response:
    try:
        asked = Asked.model_validate_json(body) if body else Asked()
    except ValidationError:
        example = '{"misids": ["L1", "L2"], "organisation_id": 5740}'
        return _bad_request(f"The body must be empty or JSON such as {example}; both keys are optional.")
    if asked.organisation_id not in {None, *organisations}:
        configured = ", ".join(map(str, organisations))
        return _bad_request(f"organisation_id is not configured; the configuration has {configured}.")
    chosen = organisations if asked.organisation_id is None else [asked.organisation_id]
    with writing_session(store, organisations[0], clock) as session:
        numbers = [resync_requests.add(session.for_organisation(each), who, asked.misids) for each in chosen]
    one_by_one = {str(each): {"request": number} for each, number in zip(chosen, numbers, strict=True)}
    return JSONResponse({"request": numbers[0]} | ({"organisations": one_by_one} if len(chosen) > 1 else {}), 202)


def _approve(
    store: Store, organisations: Sequence[int], number: int, body: bytes, who: str, clock: Callable[[], datetime]
) -> Response:
    try:
        given = Decision.model_validate_json(body) if body else Decision()
    except ValidationError:
        example = '{"only": "updates", "role": "Learner", "field": "Email", "reason": "checked"}'
        return _bad_request(f"The body must be empty or JSON such as {example}; all keys are optional.")
    chosen = StepFilter(part=given.only or "", role=given.role or "", field=given.field or "")
    with writing_session(store, organisations[0], clock) as session:
        organisation_id = approvals.organisation_of(session, organisations, number)
        here = session.for_organisation(organisation_id)
        settled = approvals.approve(here, number, who, chosen, given.reason)
    return JSONResponse(settled_document(settled))


def _reject(
    store: Store, organisations: Sequence[int], number: int, body: bytes, who: str, clock: Callable[[], datetime]
) -> Response:
    try:
        given = Rejection.model_validate_json(body) if body else Rejection()
    except ValidationError:
        return _bad_request('The body must be empty or JSON such as {"reason": "the feed is wrong"}.')
    with writing_session(store, organisations[0], clock) as session:
        organisation_id = approvals.organisation_of(session, organisations, number)
        settled = approvals.reject(session.for_organisation(organisation_id), number, who, given.reason)
    return JSONResponse(settled_document(settled))


def _bad_request(sentence: str) -> Response:
    return JSONResponse({"error": sentence}, 400)
