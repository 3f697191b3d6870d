"""The held records and the warnings: the list that an operator works through, with the time each was first seen."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from syncd.core.fields import Role
from syncd.core.records import Held, Key, Reason, Warned
from syncd.core.scope import EVERYONE, Scope
from syncd.state import assignments, feed_digests
from syncd.state.db.tables import confirmed_new_misid, held


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """A held record, or a warning, as the list shows it."""

    organisation_id: int
    role: Role
    misid: str
    """Empty if the row has none."""
    feed: str
    row: int
    """The row's number in its feed, if the MISID does not identify it; else 0."""
    reason: Reason
    field: str
    detail: str
    is_warning: bool
    first_seen_at: datetime

    @property
    def key(self) -> Key:
        """The record it is about."""
        return Key(self.organisation_id, self.role, self.misid)


@dataclass(frozen=True, slots=True)
class HeldChanges:
    """The records that a run added to the list and removed from it."""

    added: list[Held]
    released: list[Key]


_Identity: TypeAlias = tuple[object, ...]
_IDENTITY: Final = ("role", "misid", "feed", "row", "reason", "field", "is_warning")

_COLUMNS: Final = tuple(held.c[each.name] for each in fields(HeldEntry))
_ENTRIES: Final = select(held).where(held.c.organisation_id == bindparam("here"))


def replace(
    connection: Connection,
    organisation_id: int,
    holds: Collection[Held],
    warnings: Iterable[Warned],
    now: datetime,
    scope: Scope = EVERYONE,
) -> HeldChanges:
    """Replace the list by what this run found; an entry that stays keeps its first-seen time.

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
    """Add to the list one record that could not be sent."""
    row = _held_to_row(hold)
    same = [held.c[name] == row[name] for name in (*_IDENTITY, "organisation_id")]
    connection.execute(held.delete().where(*same))
    connection.execute(held.insert().values(row | {"first_seen_at": now}))


def entries(connection: Connection, organisation_id: int) -> tuple[list[Held], list[Warned]]:
    """The list as the last run left it: the held records, and the warnings."""
    holds: list[Held] = []
    warnings: list[Warned] = []
    for row in connection.execute(_ENTRIES, {"here": organisation_id}):
        if row.is_warning:
            warnings.append(Warned(_key(row), row.feed, Reason(row.reason), row.field, row.detail))
        else:
            holds.append(_held(row))
    return holds, warnings


def refused(connection: Connection, organisation_id: int) -> dict[Key, Held]:
    """The records that OneFile refused, by key, without refused assignments, which have a field."""
    rows = connection.execute(
        select(held).where(
            held.c.organisation_id == organisation_id, held.c.reason == Reason.REFUSED, held.c.field == ""
        )
    )
    return {_key(row): _held(row) for row in rows}


def retry(connection: Connection, organisation_id: int, misids: Collection[str], now: datetime) -> int:
    """Let refused records be sent again, these or all of them; returns how many held records that releases.

    A named record that is held as ``rekeyed?`` is stored as confirmed to be a new person.
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
    """The MISIDs that an operator has confirmed to be new people."""
    rows = connection.scalars(
        select(confirmed_new_misid.c.misid).where(confirmed_new_misid.c.organisation_id == organisation_id)
    )
    return frozenset(rows)


def listing(connection: Connection, organisation_id: int, *, warnings: bool = False) -> list[HeldEntry]:
    """The held records, or the warnings, grouped by reason."""
    return [_to_entry(row) for row in connection.execute(_listed(organisation_id, warnings=warnings))]


def page(
    connection: Connection, organisation_id: int, reason: Reason, *, warnings: bool, first: int, most: int
) -> list[HeldEntry]:
    """At most ``most`` of the entries listed for a reason, from position ``first``, counted from 0."""
    of_reason = _listed(organisation_id, warnings=warnings).where(held.c.reason == reason)
    return [_to_entry(row) for row in connection.execute(of_reason.offset(first).limit(most))]


def of_record(connection: Connection, key: Key) -> list[HeldEntry]:
    """The entries of one record, warnings last."""
    is_it = (held.c.role == key.role) & (held.c.misid == key.misid)
    listed = select(*_COLUMNS).where(held.c.organisation_id == key.organisation_id, is_it)
    rows = connection.execute(listed.order_by(held.c.is_warning, held.c.reason, held.c.field))
    return [_to_entry(row) for row in rows]


def _listed(organisation_id: int, *, warnings: bool) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .where(held.c.organisation_id == organisation_id, held.c.is_warning == warnings)
        .order_by(held.c.reason, held.c.role, held.c.misid, held.c.row, held.c.id)
    )


def _to_entry(row: Row[Any]) -> HeldEntry:
    return HeldEntry(
        row.organisation_id,
        Role(row.role),
        row.misid,
        row.feed,
        row.row,
        Reason(row.reason),
        row.field,
        row.detail,
        row.is_warning,
        row.first_seen_at,
    )


def by_reason(connection: Connection, organisation_id: int, *, warnings: bool) -> Counter[Reason]:
    """How many records are held, or how many warnings there are, for each reason."""
    rows = connection.execute(
        select(held.c.reason, func.count())
        .where(held.c.organisation_id == organisation_id, held.c.is_warning == warnings)
        .group_by(held.c.reason)
    )
    return Counter({Reason(row[0]): row[1] for row in rows})


def counts(connection: Connection, organisation_id: int) -> tuple[Counter[Reason], int]:
    """How many records are held for each reason, and how many warnings there are in all."""
    rows = connection.execute(
        select(held.c.is_warning, held.c.reason, func.count())
        .where(held.c.organisation_id == organisation_id)
        .group_by(held.c.is_warning, held.c.reason)
    ).all()
    by_reason = Counter({Reason(reason): count for is_warning, reason, count in rows if not is_warning})
    return by_reason, sum(count for is_warning, _, count in rows if is_warning)


def new_between(connection: Connection, organisation_id: int, since: datetime, until: datetime) -> Counter[Reason]:
    """How many records are held that were first seen after ``since`` and not after ``until``, by reason."""
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
    return Counter({Reason(row[0]): row[1] for row in rows})


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
