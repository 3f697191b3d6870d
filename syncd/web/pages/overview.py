"""The overview: the status of every organisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.core.records import Reason
from syncd.errors import SyncdError
from syncd.state.session import StateSession, reading_session
from syncd.state.views import daily_totals, run_list
from syncd.state.views import status as status_view
from syncd.state.views.daily_totals import DailyTotals
from syncd.state.views.run_list import RunFilter
from syncd.state.views.status import StatusReport
from syncd.web.charts import Chart, chart
from syncd.web.pages.context import Allowance, PageContext
from syncd.web.pages.summary import Standing, standing

_DAYS: Final = 30
_LAST_RUNS: Final = 8


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of one organisation."""

    organisation_id: int
    standing: Standing
    status: StatusReport
    days: Sequence[DailyTotals]
    changes: Chart
    calls: Chart


def routes(site: PageContext) -> list[Route]:
    """The routes of the overview."""

    def show(request: Request) -> Response:
        now = site.clock()
        with reading_session(site.store, site.organisations[0], site.clock) as session:
            parts = [_part(site, session.for_organisation(each)) for each in site.organisations]
            last_runs = run_list.listing(session.connection, site.organisations, RunFilter(), first=0, most=_LAST_RUNS)
        return site.show(
            request,
            "overview.html",
            parts=parts,
            last_runs=last_runs,
            allowance=_allowance(site),
            now=now,
            reasons=[each.value for each in Reason],
        )

    return [Route("/", show)]


def _part(site: PageContext, session: StateSession) -> _Part:
    status = status_view.status(session, site.calls_per_minute())
    days = daily_totals.days(session.connection, session.organisation_id, session.now, site.zone, _DAYS)
    return _Part(
        session.organisation_id,
        standing(status, site.when(status.as_of)[1] if status.as_of else ""),
        status,
        days,
        chart([[("applied", day.applied), ("refused", day.refused)] for day in days]),
        chart([[("calls", day.calls)] for day in days]),
    )


def _allowance(site: PageContext) -> Allowance | None:
    try:
        return site.allowance()
    except SyncdError:
        return None
