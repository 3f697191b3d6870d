"""The forms that ask the daemon for a run, and the page that waits for it."""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.core.fields import Role
from syncd.core.identity import Answer
from syncd.core.records import Reason
from syncd.core.run import Trigger
from syncd.state import daemons, held_records, resync_requests, runs
from syncd.state.held_records import Selection
from syncd.state.session import reading_session, writing_session
from syncd.web.pages.context import PageContext, checked_misid, go_to, on_form


def routes(site: PageContext) -> list[Route]:
    """The routes of these forms and this page."""

    def sync(form: FormData, who: str) -> Response:
        organisation_id, misids = _about(site, form)
        with writing_session(site.store, organisation_id, site.clock) as session:
            request = resync_requests.add(session, who, misids)
        return go_to(f"/asked/{request}")

    def retry(form: FormData, who: str) -> Response:
        organisation_id, misids = _about(site, form)
        with writing_session(site.store, organisation_id, site.clock) as session:
            held_records.retry(session, Selection(misids))
            request = resync_requests.add(session, who, misids)
        return go_to(f"/asked/{request}")

    def answer(form: FormData, who: str) -> Response:
        organisation_id, misids = _about(site, form)
        selection, given = _question_in(form, misids)
        with writing_session(site.store, organisation_id, site.clock) as session:
            if not held_records.retry(session, selection, given):
                raise HTTPException(409, "No record is held by that question any more, or it cannot be answered so.")
            request = resync_requests.add(session, who, misids)
        return go_to(f"/asked/{request}")

    def show(request: Request) -> Response:
        number = request.path_params["request"]
        with reading_session(site.store, site.organisations[0], site.clock) as session:
            asked = resync_requests.find(session.connection, site.organisations, number) if number < 2**31 else None
            if asked is None:
                raise HTTPException(404, "There is no such request; old requests are deleted.")
            at_work = runs.in_progress(session.for_organisation(asked.organisation_id))
            has_daemon = daemons.is_running(session.for_organisation(asked.organisation_id))
        if asked.run_id is not None:
            return go_to(f"/runs/{asked.run_id}")
        wanted = Trigger.REQUEST if asked.undone_run_id is None else Trigger.UNDO
        is_answer = (
            at_work is not None
            and (at_work.trigger, at_work.undone_run_id) == (wanted, asked.undone_run_id)
            and at_work.started_at >= asked.requested_at
        )
        if at_work is not None and is_answer:
            # One run answers all requests made before it started.
            return go_to(f"/runs/{at_work.id}")
        return site.show(request, "resync.html", asked=asked, at_work=at_work, has_daemon=has_daemon)

    return [
        Route("/sync", on_form(sync), methods=["POST"]),
        Route("/retry", on_form(retry), methods=["POST"]),
        Route("/answer", on_form(answer), methods=["POST"]),
        Route("/asked/{request:int}", show),
    ]


def _question_in(form: FormData, misids: list[str]) -> tuple[Selection, Answer]:
    """The questions that a form answers, and the answer; answers 400 if it names none."""
    reason, role, given = (str(form.get(name, "")) for name in ("reason", "role", "answer"))
    try:
        return Selection(misids, Reason(reason), Role(role) if role else None), Answer(given)
    except ValueError:
        raise HTTPException(400, "The form must name a reason, and the answer same or new.") from None


def _about(site: PageContext, form: FormData) -> tuple[int, list[str]]:
    """The organisation that a form names, and the MISID, if it names one."""
    organisation_id = site.organisation_in(str(form.get("organisation", "")))
    misid = str(form.get("misid", ""))
    return organisation_id or site.organisations[0], [checked_misid(misid)] if misid else []
