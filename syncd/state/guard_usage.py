"""How much of the guard's limits an organisation has used: the changes that no approval covered."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, case, exists, func, select

from syncd.core.fields import Role
from syncd.core.guard import DAY, WEEK, ChangeKind, Counts, Usage
from syncd.core.run import Action, Outcome
from syncd.state import accounts, counters
from syncd.state.db.tables import NOT_APPROVED, change, counter, run
from syncd.state.session import StateSession

#: Changes that have not changed anything in OneFile.
_WITHOUT_EFFECT: Final = (Outcome.REFUSED, Outcome.NOT_DONE)
_MADE: Final = (Outcome.APPLIED, Outcome.ACCEPTED)
_CREATED: Final = tuple(f"{Action.CREATE} {outcome}" for outcome in _MADE)


def usage(session: StateSession) -> Usage:
    """Return how many accounts there are, and what was sent without approval in the last 24 hours and 7 days.

    What was sent at a time that is still to come, by a clock that was wrong, counts as well.
    """
    now = session.now
    day, week = Counter[ChangeKind](), Counter[ChangeKind]()
    for counted in (_sent(session, now), _left(session, now)):
        for kind, (of_day, of_week) in counted.items():
            day[kind] += of_day
            week[kind] += of_week
    by_role = accounts.count_by_role(session)
    return Usage(
        max(0, by_role.total() - _created(session, now)),
        sum(count for role, count in by_role.items() if not Role(role).is_place),
        Counts.by_kind(day),
        Counts.by_kind(week),
        _has_created(session),
    )


def _sent(session: StateSession, now: datetime) -> Mapping[ChangeKind, tuple[int, int]]:
    rows = session.connection.execute(
        select(change.c.action, _since(change.c.at, now - DAY), func.count())
        .where(
            change.c.organisation_id == session.organisation_id,
            change.c.at > now - WEEK,
            NOT_APPROVED,
            change.c.outcome.not_in(_WITHOUT_EFFECT),
        )
        .group_by(change.c.action)
    )
    found: dict[ChangeKind, tuple[int, int]] = {}
    for action, of_day, of_week in rows:
        kind = ChangeKind.of(Action(action))
        before = found.get(kind, (0, 0))
        found[kind] = (before[0] + of_day, before[1] + of_week)
    return found


def _created(session: StateSession, now: datetime) -> int:
    """How many accounts the limits have let through in the last 7 days; a create in doubt has no account."""
    found = select(func.count()).where(
        change.c.organisation_id == session.organisation_id,
        change.c.at > now - WEEK,
        NOT_APPROVED,
        change.c.action == Action.CREATE,
        change.c.outcome.in_(_MADE),
    )
    return session.connection.scalar(found) or 0


def _left(session: StateSession, now: datetime) -> Mapping[ChangeKind, tuple[int, int]]:
    leavers = run.c.unapproved_leavers
    of_day, of_week = session.connection.execute(
        select(
            func.coalesce(func.sum(case((run.c.started_at > now - DAY, leavers), else_=0)), 0),
            func.coalesce(func.sum(leavers), 0),
        ).where(run.c.organisation_id == session.organisation_id, run.c.started_at > now - WEEK)
    ).one()
    return {ChangeKind.LEAVERS: (of_day, of_week)}


def _since(at: ColumnElement[Any], begin: datetime) -> ColumnElement[int]:
    return func.sum(case((at > begin, 1), else_=0))


def _has_created(session: StateSession) -> bool:
    """Whether a create was ever accepted. Changes are purged and accounts may all be linked; the counter stays."""
    found = select(
        exists().where(
            counter.c.organisation_id == session.organisation_id,
            counter.c.counter == counters.CHANGES,
            counter.c.label.in_(_CREATED),
        )
    )
    return bool(session.connection.scalar(found))
