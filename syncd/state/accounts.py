"""The accounts: the UserID of each MISID, and the values that OneFile last accepted."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select

from syncd.core.accounts import Known, Status
from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.values import Sent, Value
from syncd.state import feed_digests
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import account


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
).where(account.c.organisation_id == bindparam("here"))
# The index begins with the role, so the roles are listed.
_NOT_IN_USE: Final = _KNOWN.where(account.c.role.in_(list(Role)), account.c.status.in_(_UNUSED))
_REFERENTS: Final = _KNOWN.where(account.c.role.in_([role for role in Role if role is not Role.LEARNER]))
_LEARNERS: Final = _KNOWN.where(account.c.role == Role.LEARNER)
_NAMED: Final = select(account).where(
    account.c.organisation_id == bindparam("here"),
    account.c.role == bindparam("in_role"),
    account.c.misid == bindparam("named"),
)
_KEPT: Final = account.update().where(account.c.id == bindparam("known"))


def known(connection: Connection, organisation_id: int) -> dict[Key, Known]:
    """Every account, without its values."""
    return _known(connection, organisation_id, _KNOWN)


def not_in_use(connection: Connection, organisation_id: int) -> dict[Key, Known]:
    """The accounts that are not active: leavers, archived accounts, and those of unknown status."""
    return _known(connection, organisation_id, _NOT_IN_USE)


def referents(connection: Connection, organisation_id: int) -> dict[Key, Known]:
    """The accounts that records may refer to: every account except learners."""
    return _known(connection, organisation_id, _REFERENTS)


def known_with_misids(connection: Connection, organisation_id: int, misids: Collection[str]) -> dict[Key, Known]:
    """The learners with these MISIDs, the learners whose account needs attention, and every other account."""
    columns = account.c
    found = referents(connection, organisation_id)
    unsettled = columns.status.in_(_UNUSED) | columns.user_id.is_(None) | columns.needs_recheck
    found |= _known(connection, organisation_id, _LEARNERS.where(unsettled))
    wanted = sorted(misids)
    for start in range(0, len(wanted), _AT_ONCE):
        these = columns.misid.in_(wanted[start : start + _AT_ONCE])
        found |= _known(connection, organisation_id, _LEARNERS.where(these))
    return found


def _known(connection: Connection, organisation_id: int, statement: Select[Any]) -> dict[Key, Known]:
    return {
        Key(organisation, Role(role), misid): Known(user_id, Status(status), fingerprint, left_at, needs_recheck)
        for organisation, role, misid, user_id, status, fingerprint, left_at, needs_recheck in connection.execute(
            statement, {"here": organisation_id}
        )
    }


def values(connection: Connection, cipher: ValueCipher, keys: Collection[Key]) -> dict[Key, Mapping[str, Value]]:
    """The values that OneFile last accepted for these accounts."""
    found: dict[Key, Mapping[str, Value]] = {}
    wanted = set(keys)
    organisations = {key.organisation_id for key in wanted}
    misids = sorted({key.misid for key in wanted})
    for start in range(0, len(misids), _AT_ONCE):
        rows = connection.execute(
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
                found[key] = cipher.decrypt(sealed)
    return found


def save(
    connection: Connection,
    cipher: ValueCipher,
    key: Key,
    *,
    user_id: int | None,
    feed: str,
    accepted: Mapping[str, Sent],
    fingerprint: str,
    now: datetime,
    needs_recheck: bool = False,
) -> None:
    """Store the values that OneFile has accepted: a new account is added, in a known one they replace its own.

    ``fingerprint`` is that of the record. ``needs_recheck`` has the next run compare the record value by value.
    """
    row = _find_row(connection, key)
    before: dict[str, Sent] = cipher.decrypt(row.values) if row else {}
    merged = {name: value for name, value in {**before, **accepted}.items() if value not in {None, ""}}
    content: dict[str, Any] = {
        "user_id": user_id,
        "status": Status.ACTIVE,
        "feed": feed,
        "values": cipher.encrypt(merged),
        "fingerprint": fingerprint,
        "needs_recheck": needs_recheck,
        "synced_at": now,
        "left_at": None,
    }
    if row:
        connection.execute(_KEPT, {"known": row.id, **content})
    else:
        identity = {"organisation_id": key.organisation_id, "role": key.role, "misid": key.misid}
        connection.execute(account.insert(), content | identity | {"created_at": now})


def identify(connection: Connection, key: Key, user_id: int) -> None:
    """Store the UserID that was found for an account whose create did not return one."""
    connection.execute(account.update().where(_matches_key(key)).values(user_id=user_id))


def rekey(connection: Connection, cipher: ValueCipher, old: Key, new: Key, now: datetime) -> None:
    """Give an account the new MISID of its person; the next run compares the rest of the record."""
    row = _find_row(connection, old)
    if row is None:
        return
    values = cipher.decrypt(row.values) | {"MISID": new.misid}
    connection.execute(
        account.update()
        .where(account.c.id == row.id)
        .values(
            misid=new.misid,
            values=cipher.encrypt(values),
            needs_recheck=True,
            status=Status.ACTIVE,
            left_at=None,
            synced_at=now,
        )
    )


def refresh(connection: Connection, key: Key, feed: str, fingerprint: str, *, needs_recheck: bool = False) -> None:
    """Store the fingerprint of a record that needs no call."""
    connection.execute(
        account.update()
        .where(_matches_key(key))
        .values(fingerprint=fingerprint, needs_recheck=needs_recheck, feed=feed, status=Status.ACTIVE, left_at=None)
    )


def set_status(connection: Connection, key: Key, status: Status, left_at: datetime | None) -> None:
    """Store that an account is a leaver, archived, or active again."""
    connection.execute(account.update().where(_matches_key(key)).values(status=status, left_at=left_at))


def user_ids_by_misid(
    connection: Connection, organisation_id: int, roles: Collection[Role], misids: Collection[str]
) -> dict[tuple[Role, str], int]:
    """The UserIDs of the accounts with these MISIDs in these roles."""
    found: dict[tuple[Role, str], int] = {}
    wanted = sorted(set(misids))
    for start in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(
            select(account.c.role, account.c.misid, account.c.user_id).where(
                account.c.organisation_id == organisation_id,
                account.c.role.in_(roles),
                account.c.misid.in_(wanted[start : start + _AT_ONCE]),
                account.c.user_id.is_not(None),
            )
        )
        found |= {(Role(role), misid): user_id for role, misid, user_id in rows}
    return found


def count_by_feed(connection: Connection, organisation_id: int) -> dict[str, int]:
    """How many active accounts came from each feed."""
    rows = connection.execute(
        select(account.c.feed, func.count())
        .where(account.c.organisation_id == organisation_id, account.c.status == Status.ACTIVE)
        .group_by(account.c.feed)
    )
    return {row[0]: row[1] for row in rows}


def count_by_role(connection: Connection, organisation_id: int) -> Counter[str]:
    """How many accounts there are of each role, without archived ones."""
    rows = connection.execute(
        select(account.c.role, func.count())
        .where(account.c.organisation_id == organisation_id, account.c.status != Status.ARCHIVED)
        .group_by(account.c.role)
    )
    return Counter({row[0]: row[1] for row in rows})


def feeds(connection: Connection, organisation_id: int) -> dict[Key, str]:
    """The feed that each account last came from."""
    columns = account.c
    rows = connection.execute(
        select(columns.role, columns.misid, columns.feed).where(columns.organisation_id == organisation_id)
    )
    return {Key(organisation_id, Role(role), misid): feed for role, misid, feed in rows}


def leavers(connection: Connection, organisation_id: int) -> int:
    """How many accounts are leavers."""
    gone = (account.c.organisation_id == organisation_id) & (account.c.status == Status.LEAVER)
    return connection.scalar(select(func.count()).select_from(account).where(gone)) or 0


def listing(connection: Connection, organisation_id: int) -> list[AccountEntry]:
    """Every account, by role and MISID."""
    columns = account.c
    rows = connection.execute(
        select(
            columns.organisation_id,
            columns.role,
            columns.misid,
            columns.user_id,
            columns.status,
            columns.synced_at,
        )
        .where(columns.organisation_id == organisation_id)
        .order_by(columns.role, columns.misid)
    )
    return [
        AccountEntry(organisation, Role(role), misid, user_id, Status(status), synced_at)
        for organisation, role, misid, user_id, status, synced_at in rows
    ]


def details(connection: Connection, key: Key) -> AccountDetails | None:
    """What is known about an account, without its values."""
    columns = account.c
    row = connection.execute(
        select(
            columns.user_id, columns.status, columns.feed, columns.created_at, columns.synced_at, columns.left_at
        ).where(_matches_key(key))
    ).one_or_none()
    if row is None:
        return None
    user_id, status, feed, created_at, synced_at, left_at = row
    return AccountDetails(user_id, Status(status), feed, created_at, synced_at, left_at)


def _find_row(connection: Connection, key: Key) -> Row[Any] | None:
    named = {"here": key.organisation_id, "in_role": key.role, "named": key.misid}
    return connection.execute(_NAMED, named).one_or_none()


def _matches_key(key: Key) -> ColumnElement[bool]:
    return (
        (account.c.organisation_id == key.organisation_id)
        & (account.c.role == key.role)
        & (account.c.misid == key.misid)
    )


def forget(connection: Connection, key: Key) -> None:
    """Delete this account from the store; the account in OneFile is not changed."""
    connection.execute(account.delete().where(_matches_key(key)))
    feed_digests.invalidate(connection, key.organisation_id)
