"""A store of a college that is made up, as it would be after a term: the same each time, for pages to be looked at."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from syncd.core.decisions import Decision
from syncd.core.evidence import Evidence, Likeness
from syncd.core.fields import Role
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.plan import Create, Update
from syncd.core.records import Held, Key, Reason, Warned
from syncd.core.run import Action, Outcome
from syncd.state import accounts, answers, changes, daemons, held_records, plan_steps, runs
from syncd.state.db.store import Store
from syncd.state.db.tables import run
from syncd.state.plan_steps import StepToStore
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
        *(_question(f"L23{number:02}", number) for number in range(1, 5)),
        _another_person(),
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
    answered = StoredAnswer(Answer.SAME, "x", "L1192", 400_191, Reason.REKEYED)
    answers.save(session_on(connection, ORGANISATION, NOW), Key(ORGANISATION, Role.LEARNER, "L2302"), answered)


def _question(misid: str, number: int) -> Held:
    evidence = Evidence(Likeness.CERTAIN, ("ULN", "DOB"), ("LastName", "Email"))
    other = f"L11{90 + number}"
    detail = (
        f"looks like {other}, whose record is gone ({evidence}): 'syncd rekey {other} {misid}' if it is the same "
        f"person, 'syncd retry {misid}' if it is a new one"
    )
    reason, key = Reason.REKEYED, (ORGANISATION, Role.LEARNER, misid)
    return Held(*key, "learners", reason, "MISID", detail, 0, "x", other, 400_189 + number, evidence)


def _another_person() -> Held:
    evidence = Evidence(Likeness.CONTRADICTED, (), ("FirstName", "LastName", "Email", "DOB", "ULN"))
    detail = (
        f"the values are those of another person ({evidence}): 'syncd retry L1061' if it is the same person, 'syncd "
        "release L1061' if the MISID has a new owner"
    )
    reason, key = Reason.ANOTHER_PERSON, (ORGANISATION, Role.LEARNER, "L1061")
    return Held(*key, "learners", reason, "MISID", detail, 0, "x", "", 400_060, evidence)


def _stopped(connection: Connection) -> int:
    number = _insert(
        connection,
        NOW - timedelta(minutes=4),
        creates=2,
        updates=1_271,
        held=22,
        warnings=3,
        unchanged=11,
        calls=0,
        onefile_status="",
    )
    session = session_on(connection, ORGANISATION, NOW - timedelta(minutes=4) + timedelta(seconds=6))
    creates = [_step(Create(_key(each), "learners", dict.fromkeys(_ALL, "x")), earlier) for each, earlier in _FOLLOWING]
    updates = [_step(Update(_key(f"L{1001 + each}"), "learners", each, {"Email": "x"})) for each in range(1_268)]
    updates += [_step(Update(_key(f"L{3001 + each}"), "learners", each, dict.fromkeys(_TWO, "x"))) for each in range(3)]
    plan_steps.save(session, number, 0, [*creates, *updates])
    connection.execute(run.update().where(run.c.id == number).values(plan_run_id=number))
    runs.stop(
        session,
        number,
        "1,271 updates where 154 are allowed in one run without approval",
        onefile=None,
        totals={},
    )
    return number


_FOLLOWING = (("L2402", "L1102"), ("L2403", "L1103"))
_ALL = ("DOB", "Email", "FirstName", "LastName", "MISID", "ULN")
_TWO = ("Email", "MobileNumber")


def _key(misid: str) -> Key:
    return Key(ORGANISATION, Role.LEARNER, misid)


def _step(step: Create | Update, earlier: str = "") -> StepToStore:
    return StepToStore(step, 1, f"{step.key.misid}", Decision.UNDECIDED, other=earlier)
