"""Search by MISID or UserID, in the accounts and in the held records that have no account."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    String,
    Subquery,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.state.db.tables import account, held, plan_step

_Columns: TypeAlias = ReadOnlyColumnCollection[str, Any]

#: Longer than any UserID that the column could hold.
_DIGITS_OF_A_USER_ID: Final = 18


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What to search for; empty terms match every record."""

    text: str = ""
    """Part of the MISID, or the whole UserID."""
    role: str = ""
    status: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.role or self.status)


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A record that has an account, or is held, or both."""

    organisation_id: int
    role: Role
    misid: str
    user_id: int | None
    status: Status | None
    """``None`` if there is no account."""
    is_held: bool


def find(
    connection: Connection, organisations: Sequence[int], wanted: SearchTerms, *, first: int, most: int
) -> tuple[list[SearchHit], int]:
    """At most ``most`` matches from position ``first``, counted from 0; and the number of matches in all.

    Exact matches of the MISID or UserID come first.
    """
    all_accounts = _all_accounts()
    columns = all_accounts.c
    conditions = _narrowed(columns, organisations, wanted)
    order: list[ColumnElement[Any]] = [columns.misid, columns.role, columns.organisation_id]
    if wanted.text:
        is_exactly = _is_exactly(columns, wanted.text)
        conditions.append(or_(is_exactly, columns.misid.icontains(wanted.text, autoescape=True)))
        order.insert(0, case((is_exactly, 0), else_=1))
    rows = connection.execute(select(all_accounts).where(*conditions).order_by(*order).offset(first).limit(most)).all()
    if not first and len(rows) < most:
        # Counting would scan the table once more.
        return _hits(connection, rows), len(rows)
    count = connection.scalar(select(func.count()).select_from(all_accounts).where(*conditions)) or 0
    return _hits(connection, rows), count


def exactly(connection: Connection, organisations: Sequence[int], wanted: SearchTerms) -> list[SearchHit]:
    """The records that have exactly this MISID or UserID; found by an index, without a scan."""
    all_accounts = _all_accounts()
    conditions = _narrowed(all_accounts.c, organisations, wanted)
    rows = connection.execute(select(all_accounts).where(*conditions, _is_exactly(all_accounts.c, wanted.text))).all()
    return _hits(connection, rows)


def _narrowed(columns: _Columns, organisations: Sequence[int], wanted: SearchTerms) -> list[ColumnElement[bool]]:
    conditions = [columns.organisation_id.in_(organisations)]
    if wanted.role:
        conditions.append(columns.role == wanted.role)
    if wanted.status:
        conditions.append(columns.status == wanted.status)
    return conditions


def _is_exactly(columns: _Columns, text: str) -> ColumnElement[bool]:
    has_misid: ColumnElement[bool] = columns.misid == text
    if text.isdecimal() and len(text) <= _DIGITS_OF_A_USER_ID:
        return or_(has_misid, columns.user_id == int(text))
    return has_misid


def _hits(connection: Connection, rows: Sequence[Row[Any]]) -> list[SearchHit]:
    held_ones = _held_among(connection, [row.misid for row in rows])
    return [
        SearchHit(*key, row.user_id, Status(row.status) if row.status else None, key in held_ones)
        for row in rows
        for key in [Key(row.organisation_id, Role(row.role), row.misid)]
    ]


def _held_among(connection: Connection, misids: Sequence[str]) -> set[Key]:
    rows = connection.execute(
        select(held.c.organisation_id, held.c.role, held.c.misid).where(
            held.c.is_warning.is_(False), held.c.misid.in_(misids)
        )
    )
    return {Key(organisation_id, Role(role), misid) for organisation_id, role, misid in rows}


def _all_accounts() -> Subquery:
    """Every account, and every held record without one."""
    is_same = (
        (held.c.organisation_id == account.c.organisation_id)
        & (held.c.role == account.c.role)
        & (held.c.misid == account.c.misid)
    )
    names = ("organisation_id", "role", "misid")
    with_account = select(*(account.c[name] for name in (*names, "user_id", "status")))
    without = select(*(held.c[name] for name in names), cast(null(), BigInteger), literal("", String)).where(
        held.c.is_warning.is_(False), held.c.misid != "", ~exists().where(is_same)
    )
    return union_all(with_account, without.distinct()).subquery()


def without_record(connection: Connection, organisation_id: int, misids: Set[str], run: int) -> set[str]:
    """Those of these MISIDs that no account, no held record and no step of the run's plan has."""
    named = [
        select(table.c.misid).where(table.c.organisation_id == organisation_id, table.c.misid.in_(misids))
        for table in (account, held)
    ]
    planned = select(plan_step.c.misid).where(plan_step.c.run_id == run, plan_step.c.misid.in_(misids))
    return {*misids}.difference(connection.scalars(union_all(*named, planned)))


def roles_with(connection: Connection, organisations: Sequence[int], misid: str) -> list[Key]:
    """The key of every account and held record that has this MISID."""
    tables = (account, held)
    rows = {
        tuple(row)
        for table in tables
        for row in connection.execute(
            select(table.c.organisation_id, table.c.role, table.c.misid).where(
                table.c.organisation_id.in_(organisations), table.c.misid == misid
            )
        )
    }
    return sorted(Key(organisation_id, Role(role), misid) for organisation_id, role, misid in rows)
