"""The changes, which are the audit trail: an intent is stored before each call, and its outcome after it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import Connection, Row, bindparam, func, or_, select

from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.records import Key
from syncd.core.run import Action, Outcome
from syncd.core.values import Sent
from syncd.state import counters
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import change, run


@final
@dataclass(frozen=True, slots=True)
class ChangeEntry:
    """A change as the audit trail shows it: field names, but no values."""

    id: int
    run_id: int
    at: datetime
    organisation_id: int
    role: Role
    misid: str
    user_id: int | None
    action: Action
    fields: tuple[str, ...]
    outcome: Outcome
    attempts: int
    http_status: int | None
    message: str
    """Why OneFile refused it; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A create whose outcome is unknown."""

    change: int
    key: Key
    outcome: Outcome
    at: datetime
    """When its answer was lost; if that is unknown, when it was about to be sent."""
    detail: dict[str, Any]
    """What was sent, and what to store with the account if it turns out to exist."""


#: The columns of a `ChangeEntry`.
ENTRY_COLUMNS: Final = tuple(change.c[field.name] for field in fields(ChangeEntry))

#: A create with one of these must be settled before anything else is sent for its record.
UNSETTLED = (Outcome.PENDING, Outcome.IN_DOUBT, Outcome.ACCEPTED)

_INTENT: Final = change.insert().returning(change.c.id)
_CONCLUSION: Final = (
    change.update().where(change.c.id == bindparam("concluded")).returning(change.c.organisation_id, change.c.action)
)
_OPEN: Final = (
    select(change.c.id)
    .where(
        change.c.organisation_id == bindparam("here"),
        change.c.outcome.in_(UNSETTLED),
        or_(change.c.outcome == Outcome.PENDING, change.c.action == Action.CREATE),
    )
    .limit(1)
)


def to_entry(row: Row[Any]) -> ChangeEntry:
    """The record of a row that has at least the columns of `ENTRY_COLUMNS`."""
    return ChangeEntry(
        row.id,
        row.run_id,
        row.at,
        row.organisation_id,
        Role(row.role),
        row.misid,
        row.user_id,
        Action(row.action),
        tuple(row.fields),
        Outcome(row.outcome),
        row.attempts,
        row.http_status,
        row.message,
    )


def record_intent(
    connection: Connection,
    cipher: ValueCipher,
    run_id: int,
    key: Key,
    action: Action,
    fields: Mapping[str, Sent],
    *,
    user_id: int | None,
    feed: str,
    fingerprint: str,
    now: datetime,
    message: str = "",
) -> int:
    """Store what is about to be sent, and what settling it may need; returns the change's number."""
    detail = {"fields": fields, "feed": feed, "fingerprint": fingerprint}
    intent = {
        "run_id": run_id,
        "at": now,
        "organisation_id": key.organisation_id,
        "role": key.role,
        "misid": key.misid,
        "user_id": user_id,
        "action": action,
        "fields": sorted(fields),
        "outcome": Outcome.PENDING,
        "detail": cipher.encrypt(detail),
        "message": message,
    }
    number: int = connection.execute(_INTENT, intent).scalar_one()
    return number


def record_outcome(
    connection: Connection,
    number: int,
    outcome: Outcome,
    now: datetime,
    *,
    http_status: int | None = None,
    user_id: int | None = None,
    attempts: int = 1,
    message: str = "",
) -> None:
    """Store the outcome of a change."""
    found: dict[str, Any] = {"user_id": user_id} if user_id is not None else {}
    found |= {"message": message} if message else {}
    result = {"outcome": outcome, "concluded_at": now, "http_status": http_status, "attempts": attempts}
    row = connection.execute(_CONCLUSION, {"concluded": number, **result, **found}).one()
    counters.add(connection, row.organisation_id, counters.CHANGES, f"{row.action} {outcome}")


def are_any_open(connection: Connection, organisation_id: int) -> bool:
    """Whether there is anything to settle, or a change without an outcome."""
    return connection.scalar(_OPEN, {"here": organisation_id}) is not None


def unsettled(connection: Connection, cipher: ValueCipher, organisation_id: int) -> list[Unsettled]:
    """The creates of earlier runs whose outcome is unknown, the oldest first."""
    rows = connection.execute(
        select(change)
        .where(
            change.c.organisation_id == organisation_id,
            change.c.outcome.in_(UNSETTLED),
            change.c.action == Action.CREATE,
        )
        .order_by(change.c.id)
    )
    return [
        Unsettled(
            row.id,
            Key(row.organisation_id, Role(row.role), row.misid),
            Outcome(row.outcome),
            row.concluded_at or row.at,
            cipher.decrypt(row.detail),
        )
        for row in rows
    ]


def forget_pending(connection: Connection, organisation_id: int) -> None:
    """Mark every pending change, except creates, as in doubt: the next comparison decides whether to repeat it."""
    forgotten = connection.scalars(
        change.update()
        .where(
            change.c.organisation_id == organisation_id,
            change.c.outcome == Outcome.PENDING,
            change.c.action != Action.CREATE,
        )
        .values(outcome=Outcome.IN_DOUBT)
        .returning(change.c.action)
    )
    for action, number in Counter(forgotten).items():
        counters.add(connection, organisation_id, counters.CHANGES, f"{action} {Outcome.IN_DOUBT}", number)


def in_doubt(connection: Connection, organisation_id: int) -> int:
    """How many creates are in doubt."""
    return (
        connection.scalar(
            select(func.count())
            .select_from(change)
            .where(
                change.c.organisation_id == organisation_id,
                change.c.outcome.in_(UNSETTLED),
                change.c.action == Action.CREATE,
            )
        )
        or 0
    )


def used_of(connection: Connection, approval_id: int) -> Counts:
    """What has been sent under an approval so far, without changes that were certainly not made."""
    rows = connection.execute(
        select(change.c.action, func.count())
        .join(run, run.c.id == change.c.run_id)
        .where(run.c.approval_id == approval_id, change.c.outcome != Outcome.NOT_DONE)
        .group_by(change.c.action)
    )
    counted: dict[str, int] = {row[0]: row[1] for row in rows}
    updates = sum(counted.get(action, 0) for action in Action if action not in {Action.CREATE, Action.ARCHIVE})
    return Counts(creates=counted.get(Action.CREATE, 0), updates=updates)


def history(connection: Connection, organisation_id: int, misid: str) -> list[ChangeEntry]:
    """Every change of the accounts with this MISID, the oldest first."""
    rows = connection.execute(
        select(*ENTRY_COLUMNS)
        .where(change.c.organisation_id == organisation_id, change.c.misid == misid)
        .order_by(change.c.id)
    )
    return [to_entry(row) for row in rows]
