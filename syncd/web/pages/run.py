"""A run: what started it, what it planned and did, and, if it was stopped, the form to approve or reject it."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.core.run import POLLS, Action, Outcome, RunState
from syncd.errors import NothingToSettle
from syncd.state import approvals, resync_requests
from syncd.state.views import run_list
from syncd.state.views.progress import progress
from syncd.state.views.run_list import RunDetails
from syncd.web.pages.context import ROWS, PageContext, go_to, number_in, on_form

_NONE: Final = "There is no such run."


def routes(site: PageContext) -> list[Route]:
    """The routes of the list of runs, of one run, and of its forms."""

    def show_list(request: Request) -> Response:
        page, quiet_too = number_in(request, "page"), request.query_params.get("all") == "yes"
        with site.store.reading() as connection:
            rows = run_list.listing(connection, site.organisations, quiet_too=quiet_too, first=page * ROWS, most=ROWS)
            count = run_list.count(connection, site.organisations, quiet_too=quiet_too)
        query = {"all": "yes"} if quiet_too else {}
        return site.show(
            request, "runs.html", runs=rows, count=count, page=page, rows=ROWS, query=query, quiet_too=quiet_too
        )

    def show(request: Request) -> Response:
        number = _number(request)
        page = number_in(request, "page")
        action = _one_of(Action, request.query_params.get("action"))
        outcome = _one_of(Outcome, request.query_params.get("outcome"))
        with site.store.reading() as connection:
            details = _found(run_list.find(connection, site.organisations, number))
            run = details.summary
            outcomes = run_list.outcomes(connection, number)
            changes = run_list.changes_of(
                connection, number, action=action, outcome=outcome, first=page * ROWS, most=ROWS
            )
            approval = approvals.of_run(connection, number)
            asked = resync_requests.answered_by(connection, number)
            at_work = progress(connection, run.organisation_id, site.calls_per_minute())
        chosen = [counts for each, counts in outcomes.items() if action in {"", each}]
        return site.show(
            request,
            "run.html",
            run=run,
            sample=details.plan_sample,
            verify_scope=details.verify_scope,
            outcomes=outcomes,
            begun=sum(sum(counts.values()) for counts in outcomes.values()),
            planned=run.creates + run.updates,
            seconds_left=at_work.seconds_left if at_work and at_work.run == run.id else 0,
            changes=changes,
            count=sum(count for counts in chosen for each, count in counts.items() if outcome in {"", each}),
            action=action,
            outcome=outcome,
            page=page,
            rows=ROWS,
            approval=approval,
            asked_about=sorted(resync_requests.requested_scope(asked).misids or ()),
            is_poll=run.trigger in POLLS,
            is_running=run.state is RunState.RUNNING,
            is_waiting=run.state is RunState.AWAITING_APPROVAL,
            now=site.clock(),
        )

    async def approve(request: Request) -> Response:
        return await on_form(lambda _form, who: _approve(site, _number(request), who))(request)

    async def reject(request: Request) -> Response:
        return await on_form(lambda _form, who: _reject(site, _number(request), who))(request)

    return [
        Route("/runs", show_list),
        Route("/runs/{run:int}", show),
        Route("/runs/{run:int}/approve", approve, methods=["POST"]),
        Route("/runs/{run:int}/reject", reject, methods=["POST"]),
    ]


def _approve(site: PageContext, number: int, who: str) -> Response:
    """Approve a run, and ask the daemon to do it at once unless it needs a command."""
    with site.store.begin() as connection:
        organisation_id = _found(run_list.find(connection, site.organisations, number)).summary.organisation_id
        try:
            stopped = approvals.approve(connection, organisation_id, number, who, site.clock())
        except NothingToSettle as problem:
            raise HTTPException(409, str(problem)) from None
        if stopped.trigger not in POLLS:
            return go_to(f"/runs/{number}")
        about = sorted(resync_requests.requested_scope(resync_requests.answered_by(connection, number)).misids or ())
        request = resync_requests.add(connection, organisation_id, who, site.clock(), about)
    return go_to(f"/asked/{request}")


def _reject(site: PageContext, number: int, who: str) -> Response:
    with site.store.begin() as connection:
        organisation_id = _found(run_list.find(connection, site.organisations, number)).summary.organisation_id
        try:
            approvals.reject(connection, organisation_id, number, who)
        except NothingToSettle as problem:
            raise HTTPException(409, str(problem)) from None
    return go_to(f"/runs/{number}")


def _number(request: Request) -> int:
    number: int = request.path_params["run"]
    if number >= 2**31:
        raise HTTPException(404, _NONE)
    return number


def _found(run: RunDetails | None) -> RunDetails:
    if run is None:
        raise HTTPException(404, _NONE)
    return run


def _one_of(names: type[Action] | type[Outcome], given: str | None) -> str:
    """The value if it is one of these, else an empty string."""
    return given if given in {each.value for each in names} else ""
