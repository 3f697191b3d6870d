"""What is held and what is left out: the list a person works through, with the time each was first seen."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from syncd.core.fields import Role
from syncd.core.records import Held, Key, Reason, Warned
from syncd.core.scope import EVERYONE, Scope
from syncd.state import assignments, feed_digests
from syncd.state.db.tables import confirmed_new_misid, held

_Identity: TypeAlias = tuple[object, ...]
_IDENTITY: Final = ("role", "misid", "feed", "row", "reason", "field", "is_warning")

_ENTRIES: Final = select(held).where(held.c.organisation_id == bindparam("here"))


@dataclass(frozen=True, slots=True)
class HeldChanges:
    """What came onto the list and what left it."""

    added: list[Held]
    released: list[Key]


def replace(
    connection: Connection,
    organisation_id: int,
    holds: Collection[Held],
    warnings: Iterable[Warned],
    now: datetime,
    scope: Scope = EVERYONE,
) -> HeldChanges:
    """Make the list say what this run found; what stays on it keeps its first-seen time.

    ``scope`` is what the run was limited to; entries of other records stay as they are.
    """
    found: dict[_Identity, dict[str, Any]] = {}
    for hold in holds:
        row = _held_to_row(hold)
        found[_identity(row)] = row
    for warned in warnings:
        row = _warning_to_row(warned)
        found.setdefault(_identity(row), row)

    listed = {
        _identity(row._asdict()): row
        for row in connection.execute(select(held).where(held.c.organisation_id == organisation_id))
        if row.misid in scope
    }
    for identity, row in found.items():
        if identity not in listed:
            connection.execute(held.insert().values(row | {"first_seen_at": now}))
        elif (listed[identity].detail, listed[identity].fingerprint) != (row["detail"], row["fingerprint"]):
            connection.execute(held.update().where(held.c.id == listed[identity].id).values(row))
    gone = [row for identity, row in listed.items() if identity not in found]
    _delete(connection, [row.id for row in gone])

    before = {_key(row) for row in listed.values() if not row.is_warning}
    after = {Key(hold.organisation_id, hold.role, hold.misid): hold for hold in holds}
    added = [hold for key, hold in after.items() if key not in before]
    return HeldChanges(added, [key for key in before if key not in after and key.misid])


def hold(connection: Connection, hold: Held, now: datetime) -> None:
    """Put one record on the list that turned out not to be sendable."""
    row = _held_to_row(hold)
    same = [held.c[name] == row[name] for name in (*_IDENTITY, "organisation_id")]
    connection.execute(held.delete().where(*same))
    connection.execute(held.insert().values(row | {"first_seen_at": now}))


def entries(connection: Connection, organisation_id: int) -> tuple[list[Held], list[Warned]]:
    """The list as the last run left it: what is held, and what is left out."""
    holds: list[Held] = []
    warnings: list[Warned] = []
    for row in connection.execute(_ENTRIES, {"here": organisation_id}):
        if row.is_warning:
            warnings.append(Warned(_key(row), row.feed, Reason(row.reason), row.field, row.detail))
        else:
            holds.append(_held(row))
    return holds, warnings


def refused(connection: Connection, organisation_id: int) -> dict[Key, Held]:
    """The records that OneFile said no to, by key; an assignment it refused is not one, and has a field to its name."""
    rows = connection.execute(
        select(held).where(
            held.c.organisation_id == organisation_id, held.c.reason == Reason.REFUSED, held.c.field == ""
        )
    )
    return {_key(row): _held(row) for row in rows}


def retry(connection: Connection, organisation_id: int, misids: Collection[str], now: datetime) -> int:
    """Let refused records be sent again, these or all of them; gives how many held records that lets go.

    Of the ones named that look like somebody whose record is gone it is noted that they are somebody new.
    """
    here = held.c.organisation_id == organisation_id
    named = held.c.misid.in_(misids)
    refused_ones = [here, held.c.reason == Reason.REFUSED, *([named] if misids else [])]
    lookalikes = [here, held.c.reason == Reason.REKEYED, named]
    keys = {_key(row) for row in connection.execute(select(held).where(*refused_ones))}
    connection.execute(held.delete().where(*refused_ones))
    feed_digests.invalidate(connection, organisation_id)
    assignments.retry(connection, organisation_id, misids)
    for row in connection.execute(select(held).where(*lookalikes)).all():
        keys.add(_key(row))
        connection.execute(
            confirmed_new_misid.delete().where(
                confirmed_new_misid.c.organisation_id == organisation_id, confirmed_new_misid.c.misid == row.misid
            )
        )
        connection.execute(
            confirmed_new_misid.insert().values(organisation_id=organisation_id, misid=row.misid, decided_at=now)
        )
    return len(keys)


def confirmed_new(connection: Connection, organisation_id: int) -> frozenset[str]:
    """The MISIDs of which a person has said that they are somebody new."""
    rows = connection.scalars(
        select(confirmed_new_misid.c.misid).where(confirmed_new_misid.c.organisation_id == organisation_id)
    )
    return frozenset(rows)


def listing(connection: Connection, organisation_id: int, *, warnings: bool = False) -> list[Row[Any]]:
    """The held records, or the warnings, grouped by reason."""
    return list(connection.execute(_listed(organisation_id, warnings=warnings)))


def page(
    connection: Connection, organisation_id: int, reason: str, *, warnings: bool, first: int, most: int
) -> list[Row[Any]]:
    """So many of those that are listed for a reason, from the ``first`` on, counted from 0."""
    of_reason = _listed(organisation_id, warnings=warnings).where(held.c.reason == reason)
    return list(connection.execute(of_reason.offset(first).limit(most)))


def of_person(connection: Connection, key: Key) -> list[Row[Any]]:
    """All that is held or left out of one record, what is held first."""
    is_it = (held.c.role == key.role) & (held.c.misid == key.misid)
    listed = select(held).where(held.c.organisation_id == key.organisation_id, is_it)
    return list(connection.execute(listed.order_by(held.c.is_warning, held.c.reason, held.c.field)))


def _listed(organisation_id: int, *, warnings: bool) -> Select[Any]:
    return (
        select(held)
        .where(held.c.organisation_id == organisation_id, held.c.is_warning == warnings)
        .order_by(held.c.reason, held.c.role, held.c.misid, held.c.row, held.c.id)
    )


def by_reason(connection: Connection, organisation_id: int, *, warnings: bool) -> Counter[str]:
    """How many are held, or left out, for each reason."""
    rows = connection.execute(
        select(held.c.reason, func.count())
        .where(held.c.organisation_id == organisation_id, held.c.is_warning == warnings)
        .group_by(held.c.reason)
    )
    return Counter({row[0]: row[1] for row in rows})


def counts(connection: Connection, organisation_id: int) -> tuple[Counter[str], int]:
    """How many are held for each reason, and how many warnings there are."""
    rows = connection.execute(
        select(held.c.is_warning, held.c.reason, func.count())
        .where(held.c.organisation_id == organisation_id)
        .group_by(held.c.is_warning, held.c.reason)
    ).all()
    by_reason = Counter({reason: count for is_warning, reason, count in rows if not is_warning})
    return by_reason, sum(count for is_warning, _, count in rows if is_warning)


def new_between(connection: Connection, organisation_id: int, since: datetime, until: datetime) -> Counter[str]:
    """How many records are held that came onto the list after the one moment and not after the other, by reason."""
    rows = connection.execute(
        select(held.c.reason, func.count())
        .where(
            held.c.organisation_id == organisation_id,
            held.c.is_warning.is_(False),
            held.c.first_seen_at > since,
            held.c.first_seen_at <= until,
        )
        .group_by(held.c.reason)
    )
    return Counter({row[0]: row[1] for row in rows})


def _delete(connection: Connection, numbers: list[int]) -> None:
    if numbers:
        connection.execute(
            held.delete().where(held.c.id == bindparam("number")), [{"number": each} for each in numbers]
        )


def _held(row: Row[Any]) -> Held:
    return Held(
        row.organisation_id,
        Role(row.role),
        row.misid,
        row.feed,
        Reason(row.reason),
        row.field,
        row.detail,
        row.row,
        row.fingerprint,
    )


def _key(row: Row[Any]) -> Key:
    return Key(row.organisation_id, Role(row.role), row.misid)


def _identity(row: dict[str, Any]) -> _Identity:
    return tuple(row[name] for name in _IDENTITY)


def _held_to_row(hold: Held) -> dict[str, Any]:
    return {
        "organisation_id": hold.organisation_id,
        "role": hold.role.value,
        "misid": hold.misid,
        "feed": hold.feed,
        "row": hold.row,
        "reason": hold.reason.value,
        "field": hold.field,
        "detail": hold.detail,
        "is_warning": False,
        "fingerprint": hold.fingerprint,
    }


def _warning_to_row(warned: Warned) -> dict[str, Any]:
    return {
        "organisation_id": warned.key.organisation_id,
        "role": warned.key.role.value,
        "misid": warned.key.misid,
        "feed": warned.feed,
        "row": 0,
        "reason": warned.reason.value,
        "field": warned.field,
        "detail": warned.detail,
        "is_warning": True,
        "fingerprint": "",
    }
