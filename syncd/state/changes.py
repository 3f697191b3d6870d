"""The changes, which are the audit trail: an intent is stored before each call, and its outcome after it."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, or_, select

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome
from syncd.core.values import Sent, Value
from syncd.state import counters
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import change
from syncd.state.session import StateSession


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
    """The latest time at which it may have been sent: when its answer was lost, or found to be lost."""
    detail: dict[str, Any]
    """What was sent, and what to store with the account if it turns out to exist."""
    run: int
    """The run that has sent it."""

    @property
    def refusal(self) -> str:
        """Why OneFile has refused it, if it turns out that it was not done; empty if its answer was lost."""
        refusal: str = self.detail.get("refusal", "")
        return refusal

    @property
    def is_confirmed_absent(self) -> bool:
        """Whether an operator has confirmed that OneFile does not have it."""
        return bool(self.detail.get("is_confirmed_absent"))


#: Databases limit how many parameters one statement may have.
_AT_ONCE: Final = 500

#: How many creates are considered on each side of one in doubt: operators may have deleted or archived some since.
_CANDIDATES: Final = 10

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


def to_entry(row: Row[Any], cipher: ValueCipher) -> ChangeEntry:
    """The record of a row that has at least the columns of `ENTRY_COLUMNS`. Raises `StateUnusable`."""
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
        cipher.decrypt_text(row.message),
    )


def record_intent(
    session: StateSession,
    run_id: int,
    key: Key,
    action: Action,
    fields: Mapping[str, Sent],
    *,
    user_id: int | None,
    feed: str,
    fingerprint: str,
    message: str = "",
    step: int | None = None,
    is_approved: bool = False,
) -> int:
    """Store what is about to be sent, and what settling it may need; returns the change's number.

    ``step`` is the position of its step in the plan of the run. ``is_approved`` says that an approval covers it, so it
    does not count for the limits of a day and a week.
    """
    detail = {"fields": fields, "feed": feed, "fingerprint": fingerprint}
    intent = {
        "run_id": run_id,
        "at": session.now,
        "organisation_id": key.organisation_id,
        "role": key.role,
        "misid": key.misid,
        "user_id": user_id,
        "action": action,
        "fields": sorted(fields),
        "outcome": Outcome.PENDING,
        "detail": session.cipher.encrypt(detail),
        "message": session.cipher.encrypt_text(message),
        "is_approved": is_approved,
        "step": step,
    }
    number: int = session.connection.execute(_INTENT, intent).scalar_one()
    return number


def record_outcome(
    session: StateSession,
    number: int,
    outcome: Outcome,
    *,
    http_status: int | None = None,
    user_id: int | None = None,
    attempts: int = 1,
    message: str = "",
) -> None:
    """Store the outcome of a change."""
    found: dict[str, Any] = {"user_id": user_id} if user_id is not None else {}
    found |= {"message": session.cipher.encrypt_text(message)} if message else {}
    result = {"outcome": outcome, "concluded_at": session.now, "http_status": http_status, "attempts": attempts}
    row = session.connection.execute(_CONCLUSION, {"concluded": number, **result, **found}).one()
    counters.add(session.connection, row.organisation_id, counters.CHANGES, f"{row.action} {outcome}")


def keep_refusal(session: StateSession, number: int, refusal: str) -> None:
    """Store with a change in doubt why it is refused, if it turns out that it was not made."""
    _add_to_detail(session, number, refusal=refusal)


def confirm_absent(session: StateSession, keys: Collection[Key]) -> set[Key]:
    """Store that OneFile does not have these creates in doubt, as an operator has confirmed; returns their keys.

    A create that OneFile has accepted is never sent again, so it is not among them.
    """
    confirmed = [each for each in unsettled(session) if each.key in keys and each.outcome is Outcome.IN_DOUBT]
    for each in confirmed:
        _add_to_detail(session, each.change, is_confirmed_absent=True)
    return {each.key for each in confirmed}


def _add_to_detail(session: StateSession, number: int, **added: object) -> None:
    is_it = change.c.id == number
    detail = session.cipher.decrypt(session.connection.execute(select(change.c.detail).where(is_it)).scalar_one())
    session.connection.execute(change.update().where(is_it).values(detail=session.cipher.encrypt({**detail, **added})))


def applied_create(session: StateSession, run_id: int, key: Key, user_id: int) -> ChangeEntry | None:
    """The create by which this run has made an account with this id; ``None`` if it has not."""
    columns = change.c
    row = session.connection.execute(
        select(*ENTRY_COLUMNS).where(
            columns.organisation_id == key.organisation_id,
            columns.user_id == user_id,
            columns.run_id == run_id,
            columns.role == key.role,
            columns.misid == key.misid,
            columns.action == Action.CREATE,
            columns.outcome == Outcome.APPLIED,
        )
    ).one_or_none()
    return None if row is None else to_entry(row, session.cipher)


@dataclass(frozen=True, slots=True)
class KnownCreate:
    """A create whose account is known."""

    key: Key
    user_id: int
    is_after: bool
    """Whether it was made after the create in doubt that it is compared with."""


def known_creates(
    session: StateSession, roles: Collection[Role], doubt: int, since: datetime, moment: datetime
) -> list[KnownCreate]:
    """The creates of these roles whose accounts are known, first those after a create in doubt, the nearest first.

    Those after it were made after it, by their number, and not before ``moment``. The others follow, back to ``since``.
    """
    columns = change.c
    applied = select(columns.role, columns.misid, columns.user_id, columns.at).where(
        columns.organisation_id == session.organisation_id,
        columns.at >= since,
        columns.role.in_(roles),
        columns.action == Action.CREATE,
        columns.outcome == Outcome.APPLIED,
        columns.user_id.is_not(None),
    )
    # A clock that was ahead may have dated an earlier create later.
    after = applied.where(columns.at >= moment, columns.id > doubt).order_by(columns.at, columns.id)
    before = applied.where(columns.at < moment).order_by(columns.at.desc(), columns.id.desc())
    return [
        KnownCreate(Key(session.organisation_id, Role(role), misid), user_id, is_after)
        for statement, is_after in ((after, True), (before, False))
        for role, misid, user_id, _ in session.connection.execute(statement.limit(_CANDIDATES))
    ]


def doubt_applied(session: StateSession, create: ChangeEntry, message: str) -> None:
    """Store that it is not known after all what became of an applied create: the id in its answer was another's."""
    record_outcome(
        session,
        create.id,
        Outcome.IN_DOUBT,
        http_status=create.http_status,
        attempts=create.attempts,
        message=message,
    )
    session.connection.execute(change.update().where(change.c.id == create.id).values(user_id=None))


def are_any_open(session: StateSession) -> bool:
    """Whether there is anything to settle, or a change without an outcome."""
    return session.connection.scalar(_OPEN, {"here": session.organisation_id}) is not None


def unsettled(session: StateSession) -> list[Unsettled]:
    """The creates of earlier runs whose outcome is unknown, the oldest first."""
    rows = session.connection.execute(
        select(change)
        .where(
            change.c.organisation_id == session.organisation_id,
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
            session.cipher.decrypt(row.detail),
            row.run_id,
        )
        for row in rows
    ]


def sent_creates(session: StateSession, keys: Collection[Key]) -> dict[Key, Mapping[str, Value]]:
    """The fields that the newest create of each of these keys has sent, unless OneFile did not do it."""
    sent: dict[Key, Mapping[str, Value]] = {}
    misids = sorted({key.misid for key in keys})
    for start in range(0, len(misids), _AT_ONCE):
        rows = session.connection.execute(
            select(change.c.role, change.c.misid, change.c.detail)
            .where(
                change.c.organisation_id == session.organisation_id,
                change.c.misid.in_(misids[start : start + _AT_ONCE]),
                change.c.action == Action.CREATE,
                change.c.outcome.in_((*UNSETTLED, Outcome.APPLIED)),
            )
            .order_by(change.c.id)
        )
        for role, misid, sealed in rows:
            key = Key(session.organisation_id, Role(role), misid)
            if key in keys:
                sent[key] = session.cipher.decrypt(sealed)["fields"]
    return sent


def doubt_pending(session: StateSession) -> None:
    """Mark every pending change as in doubt since now: the process that was to store its outcome has ended.

    A create in doubt is settled by a search. Of all others the next comparison decides whether to repeat them.
    """
    here = change.c.organisation_id == session.organisation_id
    doubted = session.connection.scalars(
        change.update()
        .where(here, change.c.outcome == Outcome.PENDING)
        .values(outcome=Outcome.IN_DOUBT, concluded_at=session.now)
        .returning(change.c.action)
    )
    for action, number in Counter(doubted).items():
        counters.add(
            session.connection, session.organisation_id, counters.CHANGES, f"{action} {Outcome.IN_DOUBT}", number
        )
    # A time in the future means that the clock was set back.
    session.connection.execute(
        change.update()
        .where(here, change.c.outcome.in_(UNSETTLED), change.c.concluded_at > session.now)
        .values(concluded_at=session.now)
    )


def in_doubt(session: StateSession) -> int:
    """How many creates are in doubt."""
    return (
        session.connection.scalar(
            select(func.count())
            .select_from(change)
            .where(
                change.c.organisation_id == session.organisation_id,
                change.c.outcome.in_(UNSETTLED),
                change.c.action == Action.CREATE,
            )
        )
        or 0
    )


def keys_updated(session: StateSession, run_id: int) -> set[Key]:
    """The keys of the accounts of which OneFile has accepted an update in a run."""
    columns = change.c
    rows = session.connection.execute(
        select(columns.organisation_id, columns.role, columns.misid).where(
            columns.run_id == run_id, columns.action == Action.UPDATE, columns.outcome == Outcome.APPLIED
        )
    )
    return {Key(organisation_id, Role(role), misid) for organisation_id, role, misid in rows}


def was_applied(session: StateSession, key: Key, action: Action, message: str) -> bool:
    """Whether OneFile has accepted a change of this record that the trail says this of."""
    columns = change.c
    found = select(columns.message).where(
        columns.organisation_id == key.organisation_id,
        columns.misid == key.misid,
        columns.role == key.role,
        columns.action == action,
        columns.outcome == Outcome.APPLIED,
    )
    return any(session.cipher.decrypt_text(each) == message for each in session.connection.scalars(found))


def history(session: StateSession, misid: str) -> list[ChangeEntry]:
    """Every change of the accounts that have or had this MISID, the oldest first."""
    rows = session.connection.execute(
        select(*ENTRY_COLUMNS)
        .where(of_accounts(session.connection, session.organisation_id, misid))
        .order_by(change.c.id)
    )
    return [to_entry(row, session.cipher) for row in rows]


def of_accounts(connection: Connection, organisation_id: int, misid: str) -> ColumnElement[bool]:
    """The condition for the changes of a MISID, and of its accounts while they had another one.

    A create that was refused has no UserID: it is of the account that had its MISID next.
    """
    here = change.c.organisation_id == organisation_id
    owners = connection.execute(
        select(change.c.role, change.c.user_id)
        .where(here, change.c.misid == misid, change.c.user_id.is_not(None))
        .distinct()
    )
    theirs = [(change.c.user_id == user_id) & (change.c.role == role) for role, user_id in owners]
    if not theirs:
        return here & (change.c.misid == misid)
    names = connection.execute(
        select(change.c.role, change.c.misid, func.max(change.c.id))
        .where(here, or_(*theirs))
        .group_by(change.c.role, change.c.misid)
    )
    before = [
        change.c.user_id.is_(None) & (change.c.role == role) & (change.c.misid == name) & (change.c.id < last)
        for role, name, last in names
    ]
    return here & or_(change.c.misid == misid, *theirs, *before)
