"""The days with a complete reading of the feeds, by which days of grace are counted whatever the clock says."""

from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, func, select

from syncd.state.db.tables import complete_reading
from syncd.state.session import StateSession

#: Polls of one time of day are never exactly 24 hours apart.
_NEXT_DAY: Final = timedelta(hours=20)

_OF: Final = complete_reading.c.organisation_id == bindparam("here")
#: How many days have had a complete reading so far; the parameter ``here`` is the organisation.
DAYS: Final = func.coalesce(select(complete_reading.c.days).where(_OF).scalar_subquery(), 0)


def days(session: StateSession) -> int:
    """How many days have had a complete reading so far."""
    return session.connection.scalar(select(DAYS), {"here": session.organisation_id}) or 0


def count(session: StateSession) -> None:
    """Count a complete reading: one more day, unless one was counted less than 20 hours before, or after.

    A clock that is wrong for one run adds a day, and another one once it is right again; never more.
    """
    now, here = session.now, {"here": session.organisation_id}
    row = session.connection.execute(select(complete_reading).where(_OF), here).one_or_none()
    if row is None:
        first = {"organisation_id": session.organisation_id, "days": 1, "counted_at": now}
        session.connection.execute(complete_reading.insert(), first)
    elif abs(now - row.counted_at) >= _NEXT_DAY:
        counted = {"days": row.days + 1, "counted_at": now}
        session.connection.execute(complete_reading.update().where(_OF), {**here, **counted})
