"""The accounts: the UserID of each MISID, and the values that OneFile last accepted."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select

from syncd.core.accounts import Known, Status
from syncd.core.drift import Correction
from syncd.core.fields import Role
from syncd.core.identity import Person
from syncd.core.records import Key
from syncd.core.values import Sent, Value
from syncd.state import answers, complete_readings, feed_digests, marks
from syncd.state.db.tables import account
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account as the list of accounts shows it."""

    organisation_id: int
    role: Role
    misid: str
    user_id: int | None
    """``None`` while OneFile has accepted its create without returning the UserID."""
    status: Status
    synced_at: datetime
    """When OneFile last accepted a change of it."""


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts are listed."""

    role: Role | None = None
    status: Status | None = None
    misid: str = ""
    """All of them if it is empty."""


@dataclass(frozen=True, slots=True)
class AccountDetails:
    """An account as its own page shows it, without values."""

    user_id: int | None
    status: Status
    feed: str
    created_at: datetime
    synced_at: datetime
    left_at: datetime | None
    """When its record disappeared from the MIS."""


#: Databases limit how many parameters one statement may have.
_AT_ONCE: Final = 500
_UNUSED: Final = [status for status in Status if status is not Status.ACTIVE]

_KNOWN: Final = select(
    account.c.organisation_id,
    account.c.role,
    account.c.misid,
    account.c.user_id,
    account.c.status,
    account.c.fingerprint,
    account.c.left_at,
    account.c.needs_recheck,
    account.c.left_on_day,
    complete_readings.DAYS,
).where(account.c.organisation_id == bindparam("here"))
# The index begins with the role, so the roles are listed.
_NOT_IN_USE: Final = _KNOWN.where(account.c.role.in_(list(Role)), account.c.status.in_(_UNUSED))
_REFERENTS: Final = _KNOWN.where(account.c.role.in_([role for role in Role if role is not Role.LEARNER]))
_LEARNERS: Final = _KNOWN.where(account.c.role == Role.LEARNER)
_ENTRIES: Final = select(*(account.c[each.name] for each in fields(AccountEntry)))
_NAMED: Final = select(account).where(
    account.c.organisation_id == bindparam("here"),
    account.c.role == bindparam("in_role"),
    account.c.misid == bindparam("named"),
)
_KEPT: Final = account.update().where(account.c.id == bindparam("known"))


def known(session: StateSession) -> dict[Key, Known]:
    """Every account, without its values."""
    return _known(session, _KNOWN)


def not_in_use(session: StateSession) -> dict[Key, Known]:
    """The accounts that are not active: leavers, archived accounts, and those of unknown status."""
    return _known(session, _NOT_IN_USE)


def referents(session: StateSession) -> dict[Key, Known]:
    """The accounts that records may refer to: every account except learners."""
    return _known(session, _REFERENTS)


def known_with_misids(session: StateSession, misids: Collection[str]) -> dict[Key, Known]:
    """The learners with these MISIDs, the learners whose account needs attention, and every other account."""
    columns = account.c
    found = referents(session)
    unsettled = columns.status.in_(_UNUSED) | columns.user_id.is_(None) | columns.needs_recheck
    found |= _known(session, _LEARNERS.where(unsettled))
    wanted = sorted(misids)
    for start in range(0, len(wanted), _AT_ONCE):
        these = columns.misid.in_(wanted[start : start + _AT_ONCE])
        found |= _known(session, _LEARNERS.where(these))
    return found


def _known(session: StateSession, statement: Select[Any]) -> dict[Key, Known]:
    rows = session.connection.execute(statement, {"here": session.organisation_id})
    return {
        Key(organisation, Role(role), misid): Known(
            user_id, Status(status), fingerprint, left_at, needs_recheck, 0 if left_on is None else days - left_on
        )
        for organisation, role, misid, user_id, status, fingerprint, left_at, needs_recheck, left_on, days in rows
    }


def values(session: StateSession, keys: Collection[Key]) -> dict[Key, Mapping[str, Value]]:
    """The values that OneFile last accepted for these accounts."""
    found: dict[Key, Mapping[str, Value]] = {}
    wanted = set(keys)
    organisations = {key.organisation_id for key in wanted}
    misids = sorted({key.misid for key in wanted})
    for start in range(0, len(misids), _AT_ONCE):
        rows = session.connection.execute(
            select(account.c.organisation_id, account.c.role, account.c.misid, account.c["values"]).where(
                account.c.organisation_id.in_(organisations),
                # The index has the role between the other two columns.
                account.c.role.in_(list(Role)),
                account.c.misid.in_(misids[start : start + _AT_ONCE]),
            )
        )
        for organisation_id, role, misid, sealed in rows:
            key = Key(organisation_id, Role(role), misid)
            if key in wanted:
                found[key] = session.cipher.decrypt(sealed)
    return found


def corrections(session: StateSession, keys: Collection[Key]) -> dict[Key, dict[str, Correction]]:
    """What verifies have sent again for these accounts, by field."""
    columns = account.c
    found: dict[Key, dict[str, Correction]] = {}
    misids = sorted({key.misid for key in keys})
    for start in range(0, len(misids), _AT_ONCE):
        rows = session.connection.execute(
            select(columns.role, columns.misid, columns.corrections).where(
                columns.organisation_id == session.organisation_id,
                columns.role.in_(list(Role)),
                columns.misid.in_(misids[start : start + _AT_ONCE]),
                columns.corrections.is_not(None),
            )
        )
        for role, misid, stored in rows:
            of_fields = {name: Correction(digest, is_reported) for name, (digest, is_reported) in stored.items()}
            found[Key(session.organisation_id, Role(role), misid)] = of_fields
    return found


def record_corrections(session: StateSession, key: Key, corrected: Mapping[str, Correction]) -> None:
    """Store what verifies have sent again for an account, in place of what was stored of it."""
    content = {name: [each.digest, each.is_reported] for name, each in corrected.items()} or None
    session.connection.execute(account.update().where(_matches_key(key)).values(corrections=content))


def save(
    session: StateSession,
    key: Key,
    *,
    user_id: int | None,
    feed: str,
    accepted: Mapping[str, Sent],
    fingerprint: str,
    needs_recheck: bool = False,
    person_key: str = "",
    keeps_status: bool = False,
) -> None:
    """Store the values that OneFile has accepted: a new account is added, in a known one they replace its own.

    ``fingerprint`` is that of the record. ``needs_recheck`` has the next run compare the record value by value.
    ``person_key`` is the digest of the MIS's own key of the person; an empty one leaves that of the account as it is.
    ``keeps_status`` says that the values are not those of a current record, so that a leaver stays one.
    """
    now = session.now
    row = _find_row(session, key)
    before: dict[str, Sent] = session.cipher.decrypt(row.values) if row else {}
    merged = {name: value for name, value in {**before, **accepted}.items() if value not in {None, ""}}
    content: dict[str, Any] = {
        "user_id": user_id,
        "status": Status.ACTIVE,
        "feed": feed,
        "values": session.cipher.encrypt(merged),
        "fingerprint": fingerprint,
        "needs_recheck": needs_recheck,
        "synced_at": now,
        "left_at": None,
    }
    if keeps_status:
        del content["status"], content["left_at"]
    if row:
        number: int = row.id
        session.connection.execute(_KEPT, {"known": number, **content})
    else:
        identity = {"organisation_id": key.organisation_id, "role": key.role, "misid": key.misid}
        added = session.connection.execute(account.insert(), content | identity | {"created_at": now})
        number = (added.inserted_primary_key or [0])[0]
    stored_person_key = marks.person_key(session, number) if row else ""
    marks.replace(
        session,
        number,
        Person.of_values(key, _known_values(before), stored_person_key),
        Person.of_values(key, _known_values(merged), person_key or stored_person_key),
    )


def _known_values(sent: Mapping[str, Sent]) -> dict[str, Value]:
    return {name: value for name, value in sent.items() if value is not None}


def identify(session: StateSession, key: Key, user_id: int) -> None:
    """Store the UserID that was found for an account whose create did not return one."""
    session.connection.execute(account.update().where(_matches_key(key)).values(user_id=user_id))


def owner_of(session: StateSession, key: Key, onefile_id: int) -> Key | None:
    """The other account of the store that has an id in OneFile, of any role and organisation; ``None`` if none has."""
    columns = account.c
    rows = session.connection.execute(
        select(columns.organisation_id, columns.role, columns.misid).where(
            columns.user_id == onefile_id, columns.role.in_(key.role.sharing_ids)
        )
    )
    owners = (Key(organisation_id, Role(role), misid) for organisation_id, role, misid in rows)
    return next((owner for owner in owners if owner != key), None)


def withdraw(session: StateSession, key: Key) -> None:
    """Delete an account that a create has stored, because the create's answer turned out not to be usable."""
    row = _find_row(session, key)
    if row is not None:
        marks.forget(session, row.id)
        session.connection.execute(account.delete().where(account.c.id == row.id))


def rekey(session: StateSession, old: Key, new: Key, left_at: datetime | None = None) -> None:
    """Give an account the new MISID of its person; the next run compares the rest of the record.

    ``left_at`` is given if the account becomes a leaver's, because its MISID has a new owner.
    """
    row = _find_row(session, old)
    if row is None:
        return
    values = session.cipher.decrypt(row.values) | {"MISID": new.misid}
    session.connection.execute(
        account.update()
        .where(account.c.id == row.id)
        .values(
            misid=new.misid,
            values=session.cipher.encrypt(values),
            needs_recheck=True,
            status=Status.ACTIVE if left_at is None else Status.LEAVER,
            **_left(session, left_at),
            synced_at=session.now,
        )
    )
    # The records of both MISIDs must be compared, even if their rows have not changed.
    feed_digests.invalidate(session.for_organisation(old.organisation_id))


def refresh(
    session: StateSession,
    key: Key,
    feed: str,
    fingerprint: str,
    *,
    needs_recheck: bool = False,
    person_key: str = "",
) -> None:
    """Store the fingerprint of a record that needs no call, and the marks of its account."""
    row = _find_row(session, key)
    if row is not None:
        # The marks are made with the same secret as the fingerprint, which may have changed.
        person = Person.of_values(
            key, session.cipher.decrypt(row.values), person_key or marks.person_key(session, row.id)
        )
        marks.replace(session, row.id, None, person)
    session.connection.execute(
        account.update()
        .where(_matches_key(key))
        .values(fingerprint=fingerprint, needs_recheck=needs_recheck, feed=feed, status=Status.ACTIVE, left_at=None)
    )


def set_status(session: StateSession, key: Key, status: Status, left_at: datetime | None) -> None:
    """Store that an account is a leaver, or active again."""
    content = {"status": status, **_left(session, left_at)}
    session.connection.execute(account.update().where(_matches_key(key)).values(content))


def change_status(session: StateSession, key: Key, status: Status) -> None:
    """Store that an account is archived, or no longer is; when its record disappeared stays stored."""
    session.connection.execute(account.update().where(_matches_key(key)).values(status=status))


def _left(session: StateSession, left_at: datetime | None) -> dict[str, Any]:
    """When the record of an account disappeared, by the clock and by the days of complete readings."""
    return {"left_at": left_at, "left_on_day": None if left_at is None else complete_readings.days(session)}


def set_archived(session: StateSession, key: Key) -> None:
    """Store that OneFile has archived an account that has a record: the next run unarchives it and compares it."""
    content = {"status": Status.ARCHIVED, "left_at": None, "needs_recheck": True}
    session.connection.execute(account.update().where(_matches_key(key)).values(content))


def user_ids_by_misid(
    session: StateSession, roles: Collection[Role], misids: Collection[str]
) -> dict[tuple[Role, str], int]:
    """The UserIDs of the accounts with these MISIDs in these roles."""
    found: dict[tuple[Role, str], int] = {}
    wanted = sorted(set(misids))
    for start in range(0, len(wanted), _AT_ONCE):
        rows = session.connection.execute(
            select(account.c.role, account.c.misid, account.c.user_id).where(
                account.c.organisation_id == session.organisation_id,
                account.c.role.in_(roles),
                account.c.misid.in_(wanted[start : start + _AT_ONCE]),
                account.c.user_id.is_not(None),
            )
        )
        found |= {(Role(role), misid): user_id for role, misid, user_id in rows}
    return found


def count_by_feed(session: StateSession) -> dict[str, int]:
    """How many active accounts came from each feed."""
    rows = session.connection.execute(
        select(account.c.feed, func.count())
        .where(account.c.organisation_id == session.organisation_id, account.c.status == Status.ACTIVE)
        .group_by(account.c.feed)
    )
    return {row[0]: row[1] for row in rows}


def count_by_role(session: StateSession) -> Counter[str]:
    """How many accounts there are of each role, without archived ones."""
    rows = session.connection.execute(
        select(account.c.role, func.count())
        .where(account.c.organisation_id == session.organisation_id, account.c.status != Status.ARCHIVED)
        .group_by(account.c.role)
    )
    return Counter({row[0]: row[1] for row in rows})


def feeds(session: StateSession) -> dict[Key, str]:
    """The feed that each account last came from."""
    columns = account.c
    rows = session.connection.execute(
        select(columns.role, columns.misid, columns.feed).where(columns.organisation_id == session.organisation_id)
    )
    return {Key(session.organisation_id, Role(role), misid): feed for role, misid, feed in rows}


def leavers(session: StateSession) -> int:
    """How many accounts are leavers."""
    gone = (account.c.organisation_id == session.organisation_id) & (account.c.status == Status.LEAVER)
    return session.connection.scalar(select(func.count()).select_from(account).where(gone)) or 0


def listing(session: StateSession) -> list[AccountEntry]:
    """Every account, by role and MISID."""
    here = _ENTRIES.where(account.c.organisation_id == session.organisation_id)
    return [_to_entry(row) for row in session.connection.execute(here.order_by(account.c.role, account.c.misid))]


def page(
    session: StateSession, organisations: Collection[int], wanted: AccountFilter, *, first: int, most: int
) -> tuple[list[AccountEntry], int]:
    """At most ``most`` accounts, by role and MISID, from position ``first``, counted from 0; and how many there are."""
    columns = account.c
    conditions: list[ColumnElement[bool]] = [columns.organisation_id.in_(organisations)]
    conditions += [] if wanted.role is None else [columns.role == wanted.role]
    conditions += [] if wanted.status is None else [columns.status == wanted.status]
    conditions += [columns.misid == wanted.misid] if wanted.misid else []
    order = (columns.role, columns.misid, columns.organisation_id)
    rows = session.connection.execute(_ENTRIES.where(*conditions).order_by(*order).offset(first).limit(most))
    count = session.connection.scalar(select(func.count()).select_from(account).where(*conditions)) or 0
    return [_to_entry(row) for row in rows], count


def details(session: StateSession, key: Key) -> AccountDetails | None:
    """What is known about an account, without its values."""
    columns = account.c
    row = session.connection.execute(
        select(
            columns.user_id, columns.status, columns.feed, columns.created_at, columns.synced_at, columns.left_at
        ).where(_matches_key(key))
    ).one_or_none()
    if row is None:
        return None
    user_id, status, feed, created_at, synced_at, left_at = row
    return AccountDetails(user_id, Status(status), feed, created_at, synced_at, left_at)


def _to_entry(row: Row[Any]) -> AccountEntry:
    return AccountEntry(row.organisation_id, Role(row.role), row.misid, row.user_id, Status(row.status), row.synced_at)


def _find_row(session: StateSession, key: Key) -> Row[Any] | None:
    named = {"here": key.organisation_id, "in_role": key.role, "named": key.misid}
    return session.connection.execute(_NAMED, named).one_or_none()


def _matches_key(key: Key) -> ColumnElement[bool]:
    return (
        (account.c.organisation_id == key.organisation_id)
        & (account.c.role == key.role)
        & (account.c.misid == key.misid)
    )


def forget(session: StateSession, key: Key) -> None:
    """Delete this account and the answers about its person from the store; OneFile's account is not changed."""
    row = _find_row(session, key)
    if row is not None:
        marks.forget(session, row.id)
    answers.forget(session, [key])
    session.connection.execute(account.delete().where(_matches_key(key)))
    feed_digests.invalidate(session.for_organisation(key.organisation_id))
