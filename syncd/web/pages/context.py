"""What all pages share: the store they read, the words and times they show, and links to records."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
from syncd.core.text import plural
from syncd.operations.explain import Explanation
from syncd.state.db.store import Store
from syncd.state.views.documents import moment
from syncd.web import labels
from syncd.web.identity import asked_by
from syncd.web.templating import render

#: How many rows a page has, at most.
ROWS: Final = 50

LONGEST_MISID: Final = 255


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls OneFile allows in a minute, and how many were made in the last one."""

    calls: int
    per_minute: int

    @property
    def percent(self) -> int:
        """The share in use."""
        return min(100, round(self.calls / self.per_minute * 100))


@dataclass(frozen=True, slots=True)
class PageContext:
    """The organisations that the pages show, and the sources of what they show.

    ``explain`` explains one MISID of an organisation; it reads the MIS, and raises `SyncdError` or `Interrupted` if
    it cannot. ``allowance`` returns how many calls OneFile got in the last minute. Times are shown in ``zone``.
    ``log`` records who has revealed the values of a record.
    """

    store: Store
    organisations: Sequence[int]
    clock: Callable[[], datetime]
    zone: ZoneInfo
    explain: Callable[[int, str], Explanation]
    allowance: Callable[[], Allowance]
    log: FilteringBoundLogger = field(default_factory=structlog.get_logger)
    calls_per_minute: Callable[[], int] = lambda: CALLS_PER_MINUTE
    """OneFile's limit, for the time that a run in progress still needs."""
    keep: Callable[[], timedelta] = timedelta
    """For how long changes are kept; zero is for ever."""

    def show(self, request: Request, name: str, *, status_code: int = 200, **context: Any) -> Response:
        """Render a page, with the labels and links that every template needs."""
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
        """A time for machines, and for people in the schedule's zone."""
        return moment(at) or "", f"{at.astimezone(self.zone):%-d %b %Y, %H:%M}"

    def ago(self, at: datetime) -> str:
        """How long ago, or how far ahead, a time is."""
        seconds = (self.clock() - at).total_seconds()
        size = abs(seconds)
        if size < _MINUTE:
            return "just now" if seconds >= 0 else "in less than a minute"
        unit, length = next(each for each in _UNITS if size >= each[1])
        far = plural(round(size / length), unit)
        return f"{far} ago" if seconds >= 0 else f"in {far}"

    def person_url(self, organisation_id: int, role: str, misid: str) -> str:
        """The address of a record's page."""
        query = {"organisation": str(organisation_id)} if len(self.organisations) > 1 else {}
        path = f"/people/{quote(role)}"
        if misid in {".", ".."}:
            # Browsers remove these from the end of a path.
            query["misid"] = misid
        else:
            path += f"/{quote(misid, safe='')}"
        return f"{path}?{urlencode(query)}" if query else path

    def organisation_in(self, given: str | None) -> int | None:
        """The organisation that is named, ``None`` if none is; answers 400 for an unknown one."""
        if not given:
            return None
        known = {str(each): each for each in self.organisations}
        if given not in known:
            raise HTTPException(400, "That organisation is not configured.")
        return known[given]


_MINUTE: Final = 60
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", _MINUTE))

Act: TypeAlias = Callable[[FormData, str], Response]
"""Does what a form asks for, in the name of a person; returns where to go next."""


def on_form(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that receives a form."""

    async def endpoint(request: Request) -> Response:
        form = await request.form()
        return await run_in_threadpool(act, form, asked_by(request))

    return endpoint


def key_in(site: PageContext, request: Request, given: FormData | None = None) -> Key:
    """The key of the record that a path or a form names; answers 404 for an unknown role."""
    fields: dict[str, Any] = dict(given) if given is not None else {**request.query_params, **request.path_params}
    role, misid = str(fields.get("role", "")), str(fields.get("misid", ""))
    organisation_id = site.organisation_in(str(fields.get("organisation", "")))
    try:
        return Key(organisation_id or site.organisations[0], Role(role), checked_misid(misid))
    except ValueError:
        raise HTTPException(404, f"OneFile has no role {role!r}.") from None


def checked_misid(given: str) -> str:
    """The MISID that was given; answers 400 if it cannot be one."""
    if not 0 < len(given) <= LONGEST_MISID or "\x00" in given:
        raise HTTPException(400, f"A MISID has between 1 and {LONGEST_MISID} characters.")
    return given


def number_in(request: Request, name: str) -> int:
    """A whole number from the query, 0 if it is missing or something else."""
    return whole_number(request.query_params.get(name, ""))


def whole_number(given: str) -> int:
    """A whole number, 0 for any other text."""
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0


def go_to(path: str) -> Response:
    """Redirect the browser after a form."""
    return RedirectResponse(path, 303)
