"""The marks of accounts: keyed digests by which other accounts of the same person are found."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sqlalchemy import bindparam, select

from syncd.core.fields import Role
from syncd.core.identity import COMMON, Person
from syncd.core.records import Key
from syncd.state.db.tables import account, account_mark
from syncd.state.session import StateSession

#: Databases limit how many parameters one statement may have.
_AT_ONCE: Final = 500

_DELETED: Final = account_mark.delete().where(account_mark.c.account_id == bindparam("whose"))


def replace(session: StateSession, account_id: int, before: Person | None, now: Person) -> None:
    """Store the marks of an account in place of those of ``before``; ``None`` if they must be written in any case."""
    secret = session.cipher.fingerprint_secret
    marks = set(now.marks(secret))
    former = None if before is None else set(before.marks(secret))
    if marks == former:
        return
    if former != set():
        session.connection.execute(_DELETED, {"whose": account_id})
    if marks:
        organisation_id = now.key.organisation_id
        session.connection.execute(
            account_mark.insert(),
            [
                {
                    "account_id": account_id,
                    "mark": mark,
                    "organisation_id": organisation_id,
                    "is_person_key": mark == now.person_key,
                }
                for mark in sorted(marks)
            ],
        )


def forget(session: StateSession, account_id: int) -> None:
    """Delete the marks of an account."""
    session.connection.execute(_DELETED, {"whose": account_id})


def person_key(session: StateSession, account_id: int) -> str:
    """The digest of the MIS's own key of the person of an account; empty if there is none."""
    columns = account_mark.c
    found = session.connection.scalar(
        select(columns.mark).where(columns.account_id == account_id, columns.is_person_key)
    )
    return found or ""


def person_keys(session: StateSession, keys: Collection[Key]) -> dict[Key, str]:
    """The digests of the MIS's own keys of the people of these accounts, where there are any."""
    found: dict[Key, str] = {}
    misids = sorted({key.misid for key in keys})
    for start in range(0, len(misids), _AT_ONCE):
        rows = session.connection.execute(
            select(account.c.role, account.c.misid, account_mark.c.mark)
            .join_from(account, account_mark)
            .where(
                account.c.organisation_id == session.organisation_id,
                account.c.role.in_(list(Role)),
                account.c.misid.in_(misids[start : start + _AT_ONCE]),
                account_mark.c.is_person_key,
            )
        )
        found |= {Key(session.organisation_id, Role(role), misid): mark for role, misid, mark in rows}
    return found


def resembling(session: StateSession, wanted: Iterable[tuple[Key, str]]) -> list[Person]:
    """The accounts that share a mark with another key's record, without marks that too many accounts have."""
    askers: dict[str, set[Key]] = defaultdict(set)
    found: dict[int, Person] = {}
    for key, mark in wanted:
        askers[mark].add(key)
        if len(askers) == _AT_ONCE:
            found |= _sharing(session, askers)
            askers.clear()
    return list((found | _sharing(session, askers)).values())


def _sharing(session: StateSession, askers: Mapping[str, set[Key]]) -> dict[int, Person]:
    if not askers:
        return {}
    rows = session.connection.execute(
        select(account_mark.c.mark, account.c.id, account.c.role, account.c.misid)
        .join_from(account_mark, account)
        .where(account_mark.c.organisation_id == session.organisation_id, account_mark.c.mark.in_(list(askers)))
    )
    by_mark: dict[str, dict[int, Key]] = defaultdict(dict)
    for mark, account_id, role, misid in rows:
        by_mark[mark][account_id] = Key(session.organisation_id, Role(role), misid)
    found = {
        account_id: key
        for mark, holders in by_mark.items()
        if len(holders) <= COMMON
        for account_id, key in holders.items()
        if askers[mark] != {key}
    }
    return _people(session, found)


def _people(session: StateSession, found: Mapping[int, Key]) -> dict[int, Person]:
    people: dict[int, Person] = {}
    numbers = list(found)
    for start in range(0, len(numbers), _AT_ONCE):
        rows = session.connection.execute(
            select(account.c.id, account.c["values"], account_mark.c.mark)
            .join_from(
                account,
                account_mark,
                (account_mark.c.account_id == account.c.id) & (account_mark.c.is_person_key),
                isouter=True,
            )
            .where(account.c.id.in_(numbers[start : start + _AT_ONCE]))
        )
        for number, sealed, mark in rows:
            people[number] = Person.of_values(found[number], session.cipher.decrypt(sealed), mark or "")
    return people
