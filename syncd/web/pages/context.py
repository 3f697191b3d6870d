"""What all pages have in common: where they read, how they say things, and whom they link to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from structlog.typing import FilteringBoundLogger

from syncd.core.fields import Role
from syncd.core.rate import CALLS_PER_MINUTE, humanise_duration
from syncd.core.records import Key
from syncd.operations.explain import Explanation
from syncd.state.db.store import Store
from syncd.state.views.status import moment
from syncd.web import labels
from syncd.web.identity import asked_by
from syncd.web.templating import render

#: How many rows a page has, at most.
ROWS: Final = 50

_LONGEST_MISID: Final = 255


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls OneFile allows in a minute, and how many have left in the last one."""

    calls: int
    per_minute: int

    @property
    def percent(self) -> int:
        """How much of it is in use."""
        return min(100, round(self.calls / self.per_minute * 100))


@dataclass(frozen=True, slots=True)
class PageContext:
    """The organisations that the pages are about, and where they learn of them.

    ``explain`` tells all of one MISID of an organisation, for which it reads the MIS, and raises a `SyncdError` or
    `Interrupted` when it cannot. ``allowance`` looks how fast OneFile is being called. Moments are told in ``zone``.
    ``log`` is told who was shown whose values.
    """

    store: Store
    organisations: Sequence[int]
    clock: Callable[[], datetime]
    zone: ZoneInfo
    explain: Callable[[int, str], Explanation]
    allowance: Callable[[], Allowance]
    log: FilteringBoundLogger = field(default_factory=structlog.get_logger)
    calls_per_minute: Callable[[], int] = lambda: CALLS_PER_MINUTE
    """OneFile's limit, by which a run that is at work goes on."""

    def show(self, request: Request, name: str, *, status_code: int = 200, **context: Any) -> Response:
        """A page, with the words and the links that every template needs."""
        return render(
            request,
            name,
            status_code=status_code,
            words=labels,
            about=humanise_duration,
            when=self.when,
            ago=self.ago,
            person_url=self.person_url,
            has_several=len(self.organisations) > 1,
            **context,
        )

    def when(self, at: datetime) -> tuple[str, str]:
        """A moment for machines, and for people in the schedule's zone."""
        return moment(at) or "", f"{at.astimezone(self.zone):%-d %b %Y, %H:%M}"

    def ago(self, at: datetime) -> str:
        """How far away a moment is, roughly."""
        seconds = (self.clock() - at).total_seconds()
        size = abs(seconds)
        if size < _MINUTE:
            return "just now" if seconds >= 0 else "in less than a minute"
        unit, length = next(each for each in _UNITS if size >= each[1])
        far = labels.counted(round(size / length), unit)
        return f"{far} ago" if seconds >= 0 else f"in {far}"

    def person_url(self, organisation_id: int, role: str, misid: str) -> str:
        """Where the page of a person is."""
        query = {"organisation": str(organisation_id)} if len(self.organisations) > 1 else {}
        path = f"/people/{quote(role)}"
        if misid in {".", ".."}:
            # No browser asks for a path that ends in one of these.
            query["misid"] = misid
        else:
            path += f"/{quote(misid, safe='')}"
        return f"{path}?{urlencode(query)}" if query else path

    def organisation_in(self, given: str | None) -> int | None:
        """The organisation that is named, ``None`` if none is; anything else is an answer of 400."""
        if not given:
            return None
        known = {str(each): each for each in self.organisations}
        if given not in known:
            raise HTTPException(400, "That organisation is not in the configuration.")
        return known[given]


_MINUTE: Final = 60
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", _MINUTE))

Act: TypeAlias = Callable[[FormData, str], Response]
"""Does what a form asks for, which is somebody's wish; gives where to go next."""


def on_form(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that takes a form."""

    async def endpoint(request: Request) -> Response:
        form = await request.form()
        return await run_in_threadpool(act, form, asked_by(request))

    return endpoint


def key_in(site: PageContext, request: Request, given: FormData | None = None) -> Key:
    """Whose page is asked for, by the path, or by a form; nobody's is an answer of 404."""
    fields: dict[str, Any] = dict(given) if given is not None else {**request.query_params, **request.path_params}
    role, misid = str(fields.get("role", "")), str(fields.get("misid", ""))
    organisation_id = site.organisation_in(str(fields.get("organisation", "")))
    try:
        return Key(organisation_id or site.organisations[0], Role(role), checked_misid(misid))
    except ValueError:
        raise HTTPException(404, f"There is no role {role!r} in OneFile.") from None


def checked_misid(given: str) -> str:
    """A MISID as somebody gave it; an answer of 400 if it cannot be one."""
    if not 0 < len(given) <= _LONGEST_MISID or "\x00" in given:
        raise HTTPException(400, f"A MISID has between 1 and {_LONGEST_MISID} characters.")
    return given


def number_in(request: Request, name: str) -> int:
    """A whole number from the query, 0 where there is none or something else."""
    given = request.query_params.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 10 else 0


def go_to(path: str) -> Response:
    """Send the browser on, after a form."""
    return RedirectResponse(path, 303)
