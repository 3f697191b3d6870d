"""Search, and the page of one record: all that is known about it, and what the next run would do."""

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.core.records import Key, Reason
from syncd.errors import Interrupted, SyncdError
from syncd.operations.explain import RecordExplanation
from syncd.state import accounts, changes, held_records, runs
from syncd.state.retention import kept_since
from syncd.state.session import reading_session
from syncd.state.views import search as search_view
from syncd.state.views.search import SearchTerms
from syncd.sync.reasons import HELD, LEFT_OUT
from syncd.web.identity import asked_by
from syncd.web.pages.context import ROWS, PageContext, go_to, key_in, number_in

_LONGEST_SEARCH: Final = 255


@dataclass(frozen=True, slots=True)
class _Answer:
    """The explanation of a record, or why there is none."""

    record: RecordExplanation | None = None
    problem: str = ""
    shows_values: bool = False


def routes(site: PageContext) -> list[Route]:
    """The routes of the search and of one record."""

    def search(request: Request) -> Response:
        wanted, page = _wanted(request), number_in(request, "page")
        with site.store.reading() as connection:
            exactly = search_view.exactly(connection, site.organisations, wanted) if wanted.text else []
            if len(exactly) == 1:
                (only,) = exactly
                return go_to(site.person_url(only.organisation_id, only.role, only.misid))
            found, count = search_view.find(connection, site.organisations, wanted, first=page * ROWS, most=ROWS)
        query = {"q": wanted.text, "role": wanted.role, "status": wanted.status}
        return site.show(
            request,
            "people.html",
            found=found,
            count=count,
            wanted=wanted,
            page=page,
            rows=ROWS,
            query={name: value for name, value in query.items() if value},
            roles=[role.value for role in Role],
            statuses=[status.value for status in Status if status is not Status.UNSURE],
        )

    def show(request: Request) -> Response:
        key = key_in(site, request)
        told = _explained(site, key) if request.query_params.get("explain") == "yes" else None
        return _page(site, request, key, told)

    async def show_values(request: Request) -> Response:
        if not (request.user.is_signed_in and request.user.may_steer):
            raise HTTPException(403, "Only a signed-in administrator can view personal values.")
        form = await request.form()
        key = key_in(site, request, form)
        told = await run_in_threadpool(_explained, site, key, shows_values=True)
        if told.record:
            names = _names_shown(told.record)
            site.log.info("personal_values_viewed", **key._asdict(), fields=names, asked_by=asked_by(request))
        answer = await run_in_threadpool(_page, site, request, key, told)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return [
        Route("/people", search),
        Route("/people/values", show_values, methods=["POST"]),
        Route("/people/{role}", show),
        Route("/people/{role}/{misid:path}", show),
    ]


def _wanted(request: Request) -> SearchTerms:
    text, role, status = (request.query_params.get(name, "").strip() for name in ("q", "role", "status"))
    if len(text) > _LONGEST_SEARCH or "\x00" in text:
        raise HTTPException(400, f"A search has at most {_LONGEST_SEARCH} characters.")
    return SearchTerms(text, role if role in list(Role) else "", status if status in list(Status) else "")


def _explained(site: PageContext, key: Key, *, shows_values: bool = False) -> _Answer:
    try:
        explanation = site.explain(key.organisation_id, key.misid)
    except Interrupted:
        return _Answer(problem="No calls to OneFile are allowed now, for example in a quiet window. Try again later.")
    except SyncdError as problem:
        return _Answer(problem=str(problem))
    record = next((each for each in explanation.records if each.key == key), None)
    missing = "" if record else "No feed has a row with this MISID in this role, and syncd has no account for it."
    return _Answer(record, missing, shows_values)


def _names_shown(record: RecordExplanation) -> list[str]:
    """The fields whose values the page shows."""
    cells = {cell.field or cell.column for row in record.rows for cell in row.cells}
    return sorted(cells.union(*(call.fields for call in record.calls)))


def _page(site: PageContext, request: Request, key: Key, told: _Answer | None) -> Response:
    with reading_session(site.store, key.organisation_id, site.clock) as session:
        others = [
            each for each in search_view.roles_with(session.connection, site.organisations, key.misid) if each != key
        ]
        account = accounts.details(session, key)
        drift = runs.last_drift(session, key.role, account.user_id) if account else None
        entries = held_records.of_record(session, key)
        history = [entry for entry in changes.history(session, key.misid) if entry.role is key.role]
    is_known = bool(account or entries or history or (told and told.record))
    elsewhere = [each for each in others if each.role == key.role]
    if not is_known and elsewhere and "organisation" not in request.query_params:
        return go_to(site.person_url(*elsewhere[0]))
    return site.show(
        request,
        "person.html",
        status_code=200 if is_known else 404,
        key=key,
        others=others,
        account=account,
        drift=drift,
        held=[entry for entry in entries if not entry.is_warning],
        left_out=[entry for entry in entries if entry.is_warning],
        advice={False: HELD, True: LEFT_OUT},
        history=list(reversed(history)),
        kept_since=kept_since(site.keep(), site.clock()),
        had_others=any(change.misid != key.misid for change in history),
        told=told,
        is_known=is_known,
        explain_url=_explain_url(site, key),
        shown=_shown,
        Reason=Reason,
    )


def _explain_url(site: PageContext, key: Key) -> str:
    url = site.person_url(*key)
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'explain': 'yes'})}#next-run"


def _shown(value: Any) -> str:
    """A value in quotes, so that blanks in it are visible."""
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
