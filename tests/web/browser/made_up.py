"""A store of a college that is made up, as it would be after a term: the same each time, for pages to be looked at."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from syncd.core.fields import Role
from syncd.core.records import Held, Key, Reason, Warned
from syncd.core.run import Action, Outcome
from syncd.state import accounts, changes, daemons, held_records, runs
from syncd.state.db.store import Store
from syncd.state.db.tables import run
from tests.support.sessions import session_on

ORGANISATION: Final = 5740
NOW: Final = datetime(2026, 11, 25, 14, 12, tzinfo=UTC)
_PEOPLE: Final = {Role.LEARNER: 1_284, Role.ASSESSOR: 61, Role.IQA: 9, Role.EMPLOYER: 143, Role.CLASSROOM: 48}


def fill(store: Store, *, waits: bool = True) -> int:
    """A term's worth of runs, accounts and held records; the last run waits for approval, and its number is given."""
    chance = random.Random(ORGANISATION)
    with store.begin() as connection:
        for role, count in _PEOPLE.items():
            for number in range(count):
                _account(connection, store, Key(ORGANISATION, role, f"{role[0]}{1001 + number}"), 400_000 + number)
        for days_ago in range(29, -1, -1):
            _day(connection, chance, days_ago)
        last = _last_run(connection, store)
        _held(connection)
        daemons.register(session_on(connection, ORGANISATION, NOW - timedelta(days=8)), "mis-server", 4120)
        daemons.note_next_run(session_on(connection, ORGANISATION), NOW + timedelta(minutes=11))
        return _stopped(connection) if waits else last


def _account(connection: Connection, store: Store, key: Key, user_id: int) -> None:
    accounts.save(
        session_on(connection, at=NOW - timedelta(days=29), cipher=store.cipher),
        key,
        user_id=user_id,
        feed=f"{key.role.lower()}s",
        accepted={"MISID": key.misid},
        fingerprint="x",
    )


def _day(connection: Connection, chance: random.Random, days_ago: int) -> None:
    on = (NOW - timedelta(days=days_ago)).replace(hour=9, minute=15)
    is_weekend = on.weekday() >= 5
    applied = chance.randrange(3) if is_weekend else chance.randrange(12, 74)
    if days_ago == 23:
        applied = 212
    refused = 0 if is_weekend else chance.choice((0, 0, 0, 2, 5))
    if applied:
        _insert(connection, on, updates=applied + refused, applied=applied, refused=refused, calls=applied + 9)


def _insert(connection: Connection, at: datetime, trigger: str = "schedule", **columns: Any) -> int:
    number: int = connection.execute(
        run.insert()
        .values(
            {
                "organisation_id": ORGANISATION,
                "trigger": trigger,
                "state": "finished",
                "started_at": at,
                "finished_at": at + timedelta(seconds=14),
                "onefile_status": "ok",
                "held": 5,
                "unchanged": 1_490,
                **columns,
            }
        )
        .returning(run.c.id)
    ).scalar_one()
    return number


def _last_run(connection: Connection, store: Store) -> int:
    at = NOW - timedelta(minutes=49)
    number = _insert(
        connection, at, "request", asked_by="Morgan (page)", creates=1, updates=4, applied=4, refused=1, calls=9
    )
    fields: Mapping[str, Any] = {"LastName": "x", "Email": "y"}
    for position, misid in enumerate(("L1008", "L1015", "L1044", "L1052", "L1071")):
        key = Key(ORGANISATION, Role.LEARNER, misid)
        action = Action.CREATE if position == 4 else Action.UPDATE
        change = changes.record_intent(
            session_on(connection, at=at, cipher=store.cipher),
            number,
            key,
            action,
            fields,
            user_id=400_000 + position,
            feed="learners",
            fingerprint="x",
        )
        outcome = Outcome.REFUSED if position == 3 else Outcome.APPLIED
        changes.record_outcome(
            session_on(connection, at=at),
            change,
            outcome,
            http_status=400 if position == 3 else 200,
            message="Email is already in use" if position == 3 else "",
        )
    return number


def _held(connection: Connection) -> None:
    def held(misid: str, reason: Reason, field: str, detail: str) -> Held:
        return Held(ORGANISATION, Role.LEARNER, misid, "learners", reason, field, detail)

    missing = "OneFile has no classroom with the MISID 'BARB2'"
    holds = [
        held("L1007", Reason.MISSING, "Email", "Email is empty"),
        held("L1038", Reason.DUPLICATE_KEY, "MISID", "MISID is in more than one row of this role"),
        held("L1052", Reason.REFUSED, "", "OneFile said: Email is already in use"),
        held("L2301", Reason.REKEYED, "MISID", "it looks like L1190, whose record is gone: the same ULN"),
        *(held(f"L21{number}", Reason.REFERENCE_NOT_FOUND, "ClassroomID", missing) for number in range(10, 24)),
    ]
    warnings = [
        Warned(Key(ORGANISATION, Role.LEARNER, misid), "learners", Reason.UNUSABLE, field, f"{field} {detail}")
        for misid, field, detail in (
            ("L1012", "ULN", "has a wrong check digit"),
            ("L1023", "DOB", "is not a date"),
            ("L1044", "NINO", "is not in the form of an NI number"),
        )
    ]
    held_records.replace(session_on(connection, ORGANISATION, NOW - timedelta(days=2)), holds, warnings)


def _stopped(connection: Connection) -> int:
    number = _insert(
        connection,
        NOW - timedelta(minutes=4),
        creates=2,
        updates=1_271,
        held=18,
        warnings=3,
        unchanged=11,
        calls=0,
        onefile_status="",
    )
    sample = {
        "creates": _group("create", ["L2402", "L2403"], 2, ["DOB", "Email", "FirstName", "LastName", "MISID", "ULN"]),
        "updates": _group("update", [f"L{1001 + each * 63}" for each in range(20)], 1_271, ["Email"])
        | {"by_field": {"Email": 1_271, "MobileNumber": 3}},
        "leavers": _group("leave", [], 0, []),
    }
    runs.stop(
        session_on(connection, ORGANISATION, NOW - timedelta(minutes=4) + timedelta(seconds=6)),
        number,
        "1271 updates where 154 are allowed",
        onefile=None,
        totals={},
        sample=sample,
    )
    return number


def _group(action: str, misids: list[str], count: int, fields: list[str]) -> dict[str, Any]:
    return {
        "count": count,
        "by_role": {"Learner": count} if count else {},
        "by_field": dict.fromkeys(fields, count),
        "some": [{"action": action, "role": "Learner", "misid": misid, "fields": fields} for misid in misids],
    }
