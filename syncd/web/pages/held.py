"""The held list: the records that cannot be sent, with reason and remedy; and the warnings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.core.records import Reason
from syncd.state import held_records
from syncd.state.held_records import ANSWERED_BY_RETRY, HeldEntry
from syncd.state.session import StateSession, reading_session
from syncd.sync.reasons import HELD, LEFT_OUT, Advice, describe
from syncd.web.markdown import fragment_of
from syncd.web.pages.context import ROWS, PageContext, number_in

#: How many entries of a reason are shown if there are several reasons.
_AT_FIRST: Final = 10
_NO_ADVICE: Final = Advice("", "")


@dataclass(frozen=True, slots=True)
class _Group:
    """The records of one organisation that are held for one reason."""

    organisation_id: int
    reason: Reason
    advice: Advice
    count: int
    rows: Sequence[HeldEntry]

    @property
    def is_question(self) -> bool:
        """Whether an operator can answer for all of them at once."""
        return self.reason in ANSWERED_BY_RETRY


def routes(site: PageContext) -> list[Route]:
    """The routes of the held list."""

    def show(request: Request) -> Response:
        warnings = request.query_params.get("list") == "left-out"
        reason = _reason_in(request)
        organisation_id = site.organisation_in(request.query_params.get("organisation"))
        page = number_in(request, "page") if reason else 0
        chosen = site.organisations if organisation_id is None else [organisation_id]
        with reading_session(site.store, site.organisations[0], site.clock) as session:
            counts = [held_records.counts(session.for_organisation(each)) for each in site.organisations]
            groups = [
                group
                for each in chosen
                for group in _groups(session.for_organisation(each), reason, page, warnings=warnings)
            ]
        query = {"list": "left-out"} if warnings else {}
        return site.show(
            request,
            "held.html",
            groups=groups,
            warnings=warnings,
            held_count=sum(sum(by_reason.values()) for by_reason, _ in counts),
            warning_count=sum(count for _, count in counts),
            reason=reason,
            page=page,
            rows=ROWS,
            query=query,
            Reason=Reason,
            explanation_of=partial(explanation_of, "Left out" if warnings else "Held"),
        )

    return [Route("/held", show)]


def explanation_of(which: str, reason: str) -> str:
    """Where the documentation explains a reason: the address of its heading."""
    return f"/docs/reasons#{fragment_of(f'{which}: {describe(reason)}')}"


def _groups(session: StateSession, only: Reason | None, page: int, *, warnings: bool) -> Sequence[_Group]:
    counts = held_records.by_reason(session, warnings=warnings)
    reasons = sorted(reason for reason in counts if only in {None, reason})
    most = ROWS if only or len(reasons) == 1 else _AT_FIRST
    advice = LEFT_OUT if warnings else HELD
    return [
        _Group(
            session.organisation_id,
            reason,
            advice.get(reason, _NO_ADVICE),
            counts[reason],
            held_records.page(session, reason, warnings=warnings, first=page * ROWS, most=most),
        )
        for reason in reasons
    ]


def _reason_in(request: Request) -> Reason | None:
    given = request.query_params.get("reason", "")
    try:
        return Reason(given) if given else None
    except ValueError:
        raise HTTPException(404, "There is no such reason.") from None
