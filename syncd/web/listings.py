"""The endpoints that list runs, plans, held records and accounts, page by page and without values."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.state import accounts, changes, held_records, plan_steps
from syncd.state.accounts import AccountEntry, AccountFilter
from syncd.state.db.store import Store
from syncd.state.held_records import Selection
from syncd.state.plan_steps import StepFilter
from syncd.state.session import StateSession, reading_session
from syncd.state.views import run_list, search
from syncd.state.views.documents import (
    account_document,
    held_document,
    history_document,
    moment,
    run_details_document,
    run_document,
)
from syncd.state.views.plan_listing import step_document
from syncd.state.views.run_list import RunFilter
from syncd.web.openapi import ADDRESS, Operation
from syncd.web.schemas import (
    AccountDetails,
    AccountPage,
    AccountQuery,
    Exact,
    HeldPage,
    HeldQuery,
    ListQuery,
    PageQuery,
    PlanPage,
    PlanQuery,
    RunDetails,
    RunPage,
    RunQuery,
)

_Query = TypeVar("_Query", bound=PageQuery)
_Answer: TypeAlias = Callable[[Request], dict[str, Any]]
_Listing: TypeAlias = tuple[str, _Answer, str, type[Exact], type[PageQuery] | None]
"""Path, answer, summary, the document, and the query of an endpoint."""

#: The numbers of runs are below it.
_FIRST_TOO_HIGH: Final = 2**31


class _Refused(Exception):
    """A request that is refused, with the answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.answer = JSONResponse({"error": sentence}, status)


def listings(store: Store, organisations: Sequence[int], clock: Callable[[], datetime]) -> list[Operation]:
    """The endpoints that list what is in the state store of one customer."""
    reader = _Reader(store, organisations, clock)
    listed: tuple[_Listing, ...] = (
        ("/api/runs", reader.runs, "The runs, the newest first", RunPage, RunQuery),
        ("/api/runs/{run:int}", reader.run, "One run, and how many changes it has sent", RunDetails, None),
        (
            "/api/runs/{run:int}/plan",
            reader.plan,
            "The plan of a run, step by step, without values",
            PlanPage,
            PlanQuery,
        ),
        ("/api/held", reader.held, "The held records, or the values that were left out", HeldPage, HeldQuery),
        ("/api/accounts", reader.accounts, "The accounts: which MISID is which UserID", AccountPage, AccountQuery),
        (
            "/api/accounts/{role}/{misid:path}",
            reader.account,
            "One record: its account, why it is held, and the changes sent for it, the newest first",
            AccountDetails,
            ListQuery,
        ),
    )
    return [
        Operation(
            Route(path, _answering(answer), name=answer.__name__),
            summary,
            {200: model},
            refuses=[400, 503] if query else [503],
            query=query,
        )
        for path, answer, summary, model, query in listed
    ]


def _answering(answer: _Answer) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(answer(request))
        except _Refused as refused:
            return refused.answer

    return endpoint


class _Reader:
    """Reads the documents of the endpoints from the state store."""

    def __init__(self, store: Store, organisations: Sequence[int], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._organisations = organisations
        self._clock = clock

    def runs(self, request: Request) -> dict[str, Any]:
        asked = _query(request, RunQuery)
        wanted = RunFilter(asked.quiet, asked.state, asked.trigger)
        organisations = self._chosen(asked)
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            connection = session.connection
            found = run_list.listing(connection, organisations, wanted, first=asked.first, most=asked.limit)
            count = run_list.count(connection, organisations, wanted)
        return {"count": count, "first": asked.first, "runs": [run_document(each) for each in found]}

    def run(self, request: Request) -> dict[str, Any]:
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            found = self._run(session, request)
            return run_details_document(found, run_list.outcomes(session.connection, found.summary.id))

    def plan(self, request: Request) -> dict[str, Any]:
        asked = _query(request, PlanQuery)
        chosen = StepFilter(
            part=asked.only or "", kind=asked.action or "", role=asked.role or "", field=asked.field, misid=asked.misid
        )
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            found = self._run(session, request)
            number = found.summary.id
            if found.plan_run is None:
                raise _Refused(404, f"Run {number} has no stored plan.")
            here = session.for_organisation(found.summary.organisation_id)
            count = sum(group.count for group in plan_steps.groups(here, number, chosen))
            steps = plan_steps.page(here, number, chosen, first=asked.first, most=asked.limit)
        listed = [step_document(step) for step in steps]
        return {"run": number, "count": count, "first": asked.first, "steps": listed}

    def held(self, request: Request) -> dict[str, Any]:
        asked = _query(request, HeldQuery)
        selection = Selection([asked.misid] if asked.misid else (), asked.reason, asked.role)
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            entries, count = held_records.of_organisations(
                session,
                self._chosen(asked),
                selection,
                warnings=asked.warnings,
                first=asked.first,
                most=asked.limit,
            )
        return {"count": count, "first": asked.first, "held": [held_document(each) for each in entries]}

    def accounts(self, request: Request) -> dict[str, Any]:
        asked = _query(request, AccountQuery)
        wanted = AccountFilter(asked.role, asked.status, asked.misid)
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            found, count = accounts.page(session, self._chosen(asked), wanted, first=asked.first, most=asked.limit)
        return {"count": count, "first": asked.first, "accounts": [account_document(each) for each in found]}

    def account(self, request: Request) -> dict[str, Any]:
        asked = _query(request, ListQuery)
        role, misid = request.path_params["role"], request.path_params["misid"]
        unknown = _Refused(404, "No account and no held record has this role and MISID.")
        if role not in list(Role) or "\x00" in misid:
            raise unknown
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            keys = [
                each for each in search.roles_with(session.connection, self._chosen(asked), misid) if each.role == role
            ]
            if not keys:
                raise unknown
            return _record(session.for_organisation(keys[0].organisation_id), keys[0], asked)

    def _run(self, session: StateSession, request: Request) -> run_list.RunDetails:
        number = request.path_params["run"]
        found = run_list.find(session.connection, self._organisations, number) if number < _FIRST_TOO_HIGH else None
        if found is None:
            raise _Refused(404, f"There is no run {number}.")
        return found

    def _chosen(self, asked: ListQuery) -> Sequence[int]:
        if asked.organisation_id is None:
            return self._organisations
        if asked.organisation_id not in self._organisations:
            configured = ", ".join(map(str, self._organisations))
            raise _Refused(400, f"organisation_id is not configured; the configuration has {configured}.")
        return [asked.organisation_id]


def _record(session: StateSession, key: Key, asked: ListQuery) -> dict[str, Any]:
    account = accounts.details(session, key)
    entries = held_records.of_record(session, key)
    history = [each for each in changes.history(session, key.misid) if each.role is key.role][::-1]
    shown = account and AccountEntry(*key, account.user_id, account.status, account.synced_at)
    return {
        "account": shown and account_document(shown),
        "feed": account.feed if account else "",
        "created_at": moment(account.created_at) if account else None,
        "left_at": moment(account.left_at) if account else None,
        "held": [held_document(each) for each in entries if not each.is_warning],
        "warnings": [held_document(each) for each in entries if each.is_warning],
        "count": len(history),
        "first": asked.first,
        "history": [history_document(each) for each in history[asked.first : asked.first + asked.limit]],
    }


def _query(request: Request, model: type[_Query]) -> _Query:
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as problem:
        names = ", ".join(sorted({str(each["loc"][0]) for each in problem.errors()}))
        known = ", ".join(model.model_fields)
        raise _Refused(400, f"The query is not valid: {names}. It may have {known}; see {ADDRESS}.") from None
