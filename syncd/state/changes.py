"""The changes: an intent before each call, its outcome after, and so the audit trail."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, or_, select

from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.records import Key
from syncd.core.run import Action, Outcome
from syncd.core.values import Sent
from syncd.state import counters
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import change, run

#: A create in one of these has to be settled before anything else is done about its person.
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


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A create of which it is not known what became of it."""

    change: int
    key: Key
    outcome: Outcome
    at: datetime
    """When its answer was lost, or when it was to be sent if that is all that is known."""
    detail: dict[str, Any]
    """What was sent, and what is to be noted with the account when it turns out to be there."""


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
    """Write down what is about to be sent, and what is to be known about it; gives the change's number."""
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
    """Write down what became of a change."""
    found: dict[str, Any] = {"user_id": user_id} if user_id is not None else {}
    found |= {"message": message} if message else {}
    told = {"outcome": outcome, "concluded_at": now, "http_status": http_status, "attempts": attempts}
    row = connection.execute(_CONCLUSION, {"concluded": number, **told, **found}).one()
    counters.add(connection, row.organisation_id, counters.CHANGES, f"{row.action} {outcome}")


def are_any_open(connection: Connection, organisation_id: int) -> bool:
    """Whether there is anything to settle, or a change of which only the intent is known."""
    return connection.scalar(_OPEN, {"here": organisation_id}) is not None


def unsettled(connection: Connection, cipher: ValueCipher, organisation_id: int) -> list[Unsettled]:
    """The creates of earlier runs of which it is not known what became of them, oldest first."""
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
    """Note of everything but creates that its answer was lost: comparing again will tell whether to repeat it."""
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
    """How many creates are not settled."""
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
    """What has been sent under an approval so far, what certainly did not happen left out."""
    rows = connection.execute(
        select(change.c.action, func.count())
        .join(run, run.c.id == change.c.run_id)
        .where(run.c.approval_id == approval_id, change.c.outcome != Outcome.NOT_DONE)
        .group_by(change.c.action)
    )
    counted: dict[str, int] = {row[0]: row[1] for row in rows}
    updates = sum(counted.get(action, 0) for action in Action if action not in {Action.CREATE, Action.ARCHIVE})
    return Counts(creates=counted.get(Action.CREATE, 0), updates=updates)


def history(connection: Connection, organisation_id: int, misid: str) -> list[Row[Any]]:
    """Every change of the accounts with this MISID, oldest first."""
    return list(
        connection.execute(
            select(change)
            .where(change.c.organisation_id == organisation_id, change.c.misid == misid)
            .order_by(change.c.id)
        )
    )
