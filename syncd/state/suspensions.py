"""The kinds of actions that OneFile refuses: how often in a row, and since when they are suspended."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select

from syncd.core.fields import Role
from syncd.core.records import Key, Reason
from syncd.core.run import Action
from syncd.core.suspension import ActionKind, Streak
from syncd.core.text import plural
from syncd.state import held_records
from syncd.state.db.tables import refused_action
from syncd.state.held_records import Selection
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class Suspension:
    """A suspended kind of action."""

    kind: ActionKind
    reason: str
    """Why OneFile refuses it, without names and numbers."""
    since: datetime
    tries: int
    """How many records were tried since then."""
    queued: int
    """How many changes of this kind the last run has left queued."""

    @property
    def sentence(self) -> str:
        """What is suspended and why, without a full stop; field names, no values."""
        queued = f"{plural(self.queued, 'is', 'are')} queued" if self.queued else "none is queued"
        return (
            f"{self.kind} are suspended, because OneFile refuses them ({self.reason}); {queued}, and each run tries one"
        )


def streaks(session: StateSession) -> dict[ActionKind, Streak]:
    """The refusals in a row, by kind of action."""
    rows = session.connection.execute(
        select(refused_action).where(refused_action.c.organisation_id == session.organisation_id)
    )
    return {
        ActionKind(Role(row.role), Action(row.action)): Streak(
            row.reason, tuple(row.misids), row.suspended_at is not None
        )
        for row in rows
    }


def listing(session: StateSession) -> list[Suspension]:
    """The suspended kinds of actions, those suspended first before the others."""
    columns = refused_action.c
    rows = session.connection.execute(
        select(refused_action)
        .where(columns.organisation_id == session.organisation_id, columns.suspended_at.is_not(None))
        .order_by(columns.suspended_at, columns.role, columns.action)
    )
    return [
        Suspension(ActionKind(Role(row.role), Action(row.action)), row.reason, row.suspended_at, row.tries, row.queued)
        for row in rows
    ]


def save(session: StateSession, kind: ActionKind, streak: Streak) -> None:
    """Store the refusals in a row of a kind of action; it becomes suspended now if they are enough."""
    content = {"reason": streak.reason, "misids": list(streak.misids)}
    suspended = {"suspended_at": session.now} if streak.is_suspended else {}
    changed = session.connection.execute(
        refused_action.update()
        .where(*_is(session, kind), refused_action.c.suspended_at.is_(None))
        .values(content | suspended)
    ).rowcount
    if changed:
        return
    changed = session.connection.execute(refused_action.update().where(*_is(session, kind)).values(content)).rowcount
    if not changed:
        here = {"organisation_id": session.organisation_id, "role": kind.role, "action": kind.action}
        session.connection.execute(
            refused_action.insert(), {**here, **content, "tries": 0, "queued": 0, "suspended_at": None, **suspended}
        )


def end(session: StateSession, kind: ActionKind) -> None:
    """Forget the refusals of a kind of action."""
    session.connection.execute(refused_action.delete().where(*_is(session, kind)))


def resume(session: StateSession, kind: ActionKind, misids: Collection[str]) -> int:
    """End the refusals of a kind of action, and let the refused records be sent again; returns how many those are."""
    end(session, kind)
    return held_records.retry(session, Selection(misids, Reason.REFUSED, kind.role)) if misids else 0


def release_one(session: StateSession, kind: ActionKind, misids: Collection[str]) -> bool:
    """Let the first of these records that is still held as refused be sent again; returns whether there is one."""
    for misid in misids:
        entries = held_records.of_record(session, Key(session.organisation_id, kind.role, misid))
        if any(entry.reason is Reason.REFUSED for entry in entries):
            return held_records.retry(session, Selection([misid], Reason.REFUSED, kind.role)) > 0
    return False


def record_run(session: StateSession, queued: Mapping[ActionKind, int], tried: Collection[ActionKind]) -> None:
    """Store how many changes of each suspended kind a run has left queued, and which kinds it has tried."""
    columns = refused_action.c
    for kind, count in queued.items():
        session.connection.execute(
            refused_action.update()
            .where(*_is(session, kind))
            .values(queued=count, tries=columns.tries + int(kind in tried))
        )


def _is(session: StateSession, kind: ActionKind) -> list[ColumnElement[bool]]:
    columns = refused_action.c
    return [
        columns.organisation_id == session.organisation_id,
        columns.role == kind.role,
        columns.action == kind.action,
    ]
