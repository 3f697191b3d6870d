"""A run: what started it, what it planned and did, and, if it was stopped, the form to approve or reject it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from syncd.core.decisions import Decision, Part, StepKind
from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.run import POLLS, Action, Outcome, RunState, Trigger
from syncd.errors import NothingToSettle
from syncd.state import approvals, plan_steps, resync_requests, undo
from syncd.state.plan_steps import StepFilter, StepGroup, StoredStep
from syncd.state.session import StateSession, reading_session, writing_session
from syncd.state.views import run_list
from syncd.state.views.plan_listing import csv_lines, value_text
from syncd.state.views.progress import progress
from syncd.state.views.run_list import RunDetails, RunFilter
from syncd.web.identity import asked_by
from syncd.web.pages.context import (
    LONGEST_MISID,
    ROWS,
    PageContext,
    checked_misid,
    go_to,
    number_in,
    on_form,
    whole_number,
)

_NONE: Final = "There is no such run."
#: An approval of one of these is used by the next run; other commands must be repeated.
_CONTINUED: Final = POLLS | {Trigger.UNDO}


def routes(site: PageContext) -> list[Route]:
    """The routes of the list of runs, of one run, and of its forms."""

    def show_list(request: Request) -> Response:
        page, quiet_too = number_in(request, "page"), request.query_params.get("all") == "yes"
        wanted = RunFilter(quiet_too=quiet_too)
        with site.store.reading() as connection:
            rows = run_list.listing(connection, site.organisations, wanted, first=page * ROWS, most=ROWS)
            count = run_list.count(connection, site.organisations, wanted)
        query = {"all": "yes"} if quiet_too else {}
        return site.show(
            request, "runs.html", runs=rows, count=count, page=page, rows=ROWS, query=query, quiet_too=quiet_too
        )

    def show(request: Request) -> Response:
        return _page(site, request, _number(request), dict(request.query_params))

    async def show_values(request: Request) -> Response:
        _check_may_see_values(request)
        given = {name: str(value) for name, value in (await request.form()).items()}
        answer = await run_in_threadpool(_page, site, request, _number(request), given, with_values=True)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def export(request: Request) -> Response:
        return _export(site, request, dict(request.query_params), with_values=False)

    async def export_values(request: Request) -> Response:
        _check_may_see_values(request)
        given = {name: str(value) for name, value in (await request.form()).items()}
        return await run_in_threadpool(_export, site, request, given, with_values=True)

    async def approve(request: Request) -> Response:
        return await on_form(lambda form, who: _approve(site, _number(request), form, who))(request)

    async def reject(request: Request) -> Response:
        return await on_form(lambda form, who: _reject(site, _number(request), form, who))(request)

    async def take_back(request: Request) -> Response:
        return await on_form(lambda form, who: _undo(site, _number(request), form, who))(request)

    return [
        Route("/runs", show_list),
        Route("/runs/{run:int}", show),
        Route("/runs/{run:int}/plan", show_values, methods=["POST"]),
        Route("/runs/{run:int}/plan.csv", export),
        Route("/runs/{run:int}/plan.csv", export_values, methods=["POST"]),
        Route("/runs/{run:int}/approve", approve, methods=["POST"]),
        Route("/runs/{run:int}/reject", reject, methods=["POST"]),
        Route("/runs/{run:int}/undo", take_back, methods=["POST"]),
    ]


def _page(
    site: PageContext, request: Request, number: int, given: Mapping[str, str], *, with_values: bool = False
) -> Response:
    page, left_page = (whole_number(given.get(name, "")) for name in ("page", "left"))
    action, outcome = _one_of(Action, given.get("action")), _one_of(Outcome, given.get("outcome"))
    with reading_session(site.store, site.organisations[0], site.clock) as session:
        details = _found(run_list.find(session.connection, site.organisations, number))
        run = details.summary
        outcomes = run_list.outcomes(session.connection, number)
        changes = run_list.changes_of(session, number, action=action, outcome=outcome, first=page * ROWS, most=ROWS)
        given_approvals = approvals.of_run(session, number)
        asked = resync_requests.answered_by(session, number)
        undone_by = undo.undone_by(session.for_organisation(run.organisation_id), number)
        left = undo.left(session, number, first=left_page * ROWS, most=ROWS)
        left_count = undo.count_left(session, number)
        at_work = progress(session.for_organisation(run.organisation_id), site.calls_per_minute())
        plan = None
        if details.plan_run is not None:
            plan = _plan(session, details, given, is_sent=bool(outcomes), with_values=with_values)
    if plan and with_values:
        site.log.info("personal_values_viewed", run=number, fields=plan.fields_shown, asked_by=asked_by(request))
    chosen = [counts for each, counts in outcomes.items() if action in {"", each}]
    return site.show(
        request,
        "run.html",
        run=run,
        plan=plan,
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
        approvals=given_approvals,
        asked_about=sorted(resync_requests.requested_scope(asked).misids or ()),
        undone_by=undone_by,
        left=left,
        left_count=left_count,
        left_page=left_page,
        is_undo=run.trigger is Trigger.UNDO,
        is_continued=run.trigger in _CONTINUED,
        is_running=run.state is RunState.RUNNING,
        is_waiting=run.state is RunState.AWAITING_APPROVAL,
        roles=[role.value for role in Role],
        parts=list(Part),
        kinds=[kind.value for kind in StepKind],
        shown=value_text,
        now=site.clock(),
    )


@dataclass(frozen=True, slots=True)
class _ShownPlan:
    """A stored plan as its run's page shows it."""

    groups: Sequence[StepGroup]
    count: int
    decisions: Mapping[Decision, int]
    waiting: Counts
    steps: Sequence[StoredStep]
    """Some of the steps, if there are few or some were chosen."""
    query: Mapping[str, str]
    """What was chosen."""
    page: int
    has_values: bool

    @property
    def fields(self) -> Sequence[str]:
        """The names of the fields of its steps."""
        return sorted({name for group in self.groups for name in group.fields.split(",") if name})

    @property
    def fields_shown(self) -> Sequence[str]:
        """The fields whose values are shown."""
        return sorted({value.field for step in self.steps for value in step.values})


def _plan(
    session: StateSession, details: RunDetails, given: Mapping[str, str], *, is_sent: bool, with_values: bool
) -> _ShownPlan:
    number, here = details.summary.id, session.for_organisation(details.summary.organisation_id)
    chosen, page = _filter_in(given), whole_number(given.get("steps", ""))
    groups = plan_steps.groups(here, number, chosen)
    count = sum(group.count for group in groups)
    query = {name: value for name in _FILTERS if (value := given.get(name, "")) or (name == "fields" and name in given)}
    # What was sent is listed with the changes.
    is_listed = bool(query) or with_values or (count <= ROWS and not is_sent)
    steps = (
        plan_steps.page(here, number, chosen, first=page * ROWS, most=ROWS, with_values=with_values)
        if is_listed
        else []
    )
    return _ShownPlan(
        groups,
        count,
        plan_steps.counts_by_decision(here, number),
        plan_steps.undecided_counts(here, number),
        steps,
        query,
        page,
        with_values,
    )


_FILTERS: Final = ("part", "kind", "role", "field", "fields", "misid")


def _filter_in(given: Mapping[str, str]) -> StepFilter:
    """The steps that a query or a form chooses; what it does not know chooses nothing."""
    misid = given.get("misid", "").strip()
    if len(misid) > LONGEST_MISID or any("\x00" in given.get(name, "") for name in _FILTERS):
        raise HTTPException(400, f"A MISID has at most {LONGEST_MISID} characters.")
    return StepFilter(
        part=_one_of(Part, given.get("part")),
        kind=_one_of(StepKind, given.get("kind")),
        role=_one_of(Role, given.get("role")),
        field=given.get("field", "").strip(),
        fields=given.get("fields"),
        misid=misid,
    )


def _check_may_see_values(request: Request) -> None:
    if not (request.user.is_signed_in and request.user.may_steer):
        raise HTTPException(403, "Only a signed-in administrator can view personal values.")


def _export(site: PageContext, request: Request, given: Mapping[str, str], *, with_values: bool) -> Response:
    """The chosen steps of a run's plan as CSV, read a few at a time."""
    number, chosen = _number(request), _filter_in(given)
    with reading_session(site.store, site.organisations[0], site.clock) as session:
        details = _found(run_list.find(session.connection, site.organisations, number))
        if details.plan_run is None:
            raise HTTPException(404, "This run has no stored plan.")
        names = {name for group in plan_steps.groups(session, number, chosen) for name in group.fields.split(",")}
    organisation_id = details.summary.organisation_id
    if with_values:
        fields = sorted(names - {""})
        site.log.info("personal_values_viewed", run=number, fields=fields, asked_by=asked_by(request))

    def lines() -> Iterator[str]:
        yield from csv_lines(organisation_id, (), with_values=with_values)
        after = -1
        while True:
            with reading_session(site.store, organisation_id, site.clock) as session:
                batch = plan_steps.batch_after(session, number, chosen, after, with_values=with_values)
            if not batch:
                return
            yield "".join(csv_lines(organisation_id, batch, with_values=with_values, header=False))
            after = batch[-1].position

    headers = {"Content-Disposition": f'attachment; filename="plan-{number}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _approve(site: PageContext, number: int, form: FormData, who: str) -> Response:
    """Approve a run or a part of it, and ask the daemon to do it at once unless it needs a command."""
    given = {name: str(value) for name, value in form.items()}
    chosen = replace(_filter_in(given), fields=None)
    with writing_session(site.store, site.organisations[0], site.clock) as session:
        organisation_id = _found(run_list.find(session.connection, site.organisations, number)).summary.organisation_id
        try:
            here = session.for_organisation(organisation_id)
            settled = approvals.approve(here, number, who, chosen, _reason_in(given))
        except NothingToSettle as problem:
            raise HTTPException(409, str(problem)) from None
        if settled.run.trigger not in _CONTINUED:
            return go_to(f"/runs/{number}")
        # An undo is continued by a run over everyone.
        asked = [] if settled.run.trigger is Trigger.UNDO else resync_requests.answered_by(session, number)
        about = sorted(resync_requests.requested_scope(asked).misids or ()) if asked else []
        request = resync_requests.add(session.for_organisation(organisation_id), who, about)
    return go_to(f"/asked/{request}")


def _reject(site: PageContext, number: int, form: FormData, who: str) -> Response:
    given = {name: str(value) for name, value in form.items()}
    with writing_session(site.store, site.organisations[0], site.clock) as session:
        organisation_id = _found(run_list.find(session.connection, site.organisations, number)).summary.organisation_id
        try:
            approvals.reject(session.for_organisation(organisation_id), number, who, _reason_in(given))
        except NothingToSettle as problem:
            raise HTTPException(409, str(problem)) from None
    return go_to(f"/runs/{number}")


def _undo(site: PageContext, number: int, form: FormData, who: str) -> Response:
    """Ask the daemon to undo a run, or what it has sent for one record."""
    misid = str(form.get("misid", "")).strip()
    misids = [checked_misid(misid)] if misid else []
    with writing_session(site.store, site.organisations[0], site.clock) as session:
        _found(run_list.find(session.connection, site.organisations, number))
        try:
            organisation_id = undo.check(session, site.organisations, number, misids)
        except NothingToSettle as problem:
            raise HTTPException(409, str(problem)) from None
        request = resync_requests.add(session.for_organisation(organisation_id), who, misids, undone_run=number)
    return go_to(f"/asked/{request}")


def _reason_in(given: Mapping[str, str]) -> str:
    return given.get("reason", "").replace("\x00", "").strip()[:_LONGEST_REASON]


_LONGEST_REASON: Final = 1000


def _number(request: Request) -> int:
    number: int = request.path_params["run"]
    if number >= 2**31:
        raise HTTPException(404, _NONE)
    return number


def _found(run: RunDetails | None) -> RunDetails:
    if run is None:
        raise HTTPException(404, _NONE)
    return run


def _one_of(names: type[StrEnum], given: str | None) -> str:
    """The value if it is one of these, else an empty string."""
    return given if given in {each.value for each in names} else ""
