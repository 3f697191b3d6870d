"""The forms that ask the daemon for a run, and the page that waits for it."""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.core.run import Trigger
from syncd.state import daemons, held_records, resync_requests, runs
from syncd.web.pages.context import PageContext, checked_misid, go_to, on_form


def routes(site: PageContext) -> list[Route]:
    """The routes of these forms and this page."""

    def sync(form: FormData, who: str) -> Response:
        organisation_id, misids = _about(site, form)
        with site.store.begin() as connection:
            request = resync_requests.add(connection, organisation_id, who, site.clock(), misids)
        return go_to(f"/asked/{request}")

    def retry(form: FormData, who: str) -> Response:
        organisation_id, misids = _about(site, form)
        with site.store.begin() as connection:
            held_records.retry(connection, organisation_id, misids, site.clock())
            request = resync_requests.add(connection, organisation_id, who, site.clock(), misids)
        return go_to(f"/asked/{request}")

    def show(request: Request) -> Response:
        number = request.path_params["request"]
        with site.store.reading() as connection:
            asked = resync_requests.find(connection, site.organisations, number) if number < 2**31 else None
            if asked is None:
                raise HTTPException(404, "There is no such request; old requests are deleted.")
            at_work = runs.in_progress(connection, asked.organisation_id)
            has_daemon = daemons.is_running(connection, asked.organisation_id)
        if asked.run_id is not None:
            return go_to(f"/runs/{asked.run_id}")
        if at_work is not None and at_work.trigger is Trigger.REQUEST and at_work.started_at >= asked.requested_at:
            # One run answers all requests made before it started.
            return go_to(f"/runs/{at_work.id}")
        return site.show(request, "resync.html", asked=asked, at_work=at_work, has_daemon=has_daemon)

    return [
        Route("/sync", on_form(sync), methods=["POST"]),
        Route("/retry", on_form(retry), methods=["POST"]),
        Route("/asked/{request:int}", show),
    ]


def _about(site: PageContext, form: FormData) -> tuple[int, list[str]]:
    """The organisation that a form names, and the MISID, if it names one."""
    organisation_id = site.organisation_in(str(form.get("organisation", "")))
    misid = str(form.get("misid", ""))
    return organisation_id or site.organisations[0], [checked_misid(misid)] if misid else []
