"""An id that belongs to another account is no answer to a create: the create is in doubt, and a search decides."""

from dataclasses import replace
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.simulator import Fault, FaultKind
from syncd.state import accounts
from syncd.state.db import maintenance
from syncd.sync.context import Feed
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT
from tests.support.sessions import session_on

_STAFF = "SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email FROM staff"
_PLACES = "SELECT misid AS MISID, name AS Name FROM place"
_FREE_ID = 987_654
"""An id that no account has."""


def _answer(college: College, body: object, *, is_done: bool, path: str = "/User", times: int = 1) -> None:
    kind = FaultKind.ANSWER_AFTER if is_done else FaultKind.ANSWER
    college.onefile.faults.add(Fault(kind, method="POST", path=path, body=body, times=times))


def _with_staff(college: College) -> None:
    """Has the feeds bring the assessor, so that the store has the account."""
    college.execute("CREATE TABLE staff (misid, forename, surname, email)")
    college.execute("INSERT INTO staff VALUES ('A1', 'Siân', 'Pryce', 'sian@example.org')")
    feeds = (Feed("staff", Role.ASSESSOR, _STAFF), *college.context.feeds)
    college.context = replace(college.context, feeds=feeds)


def _is_settled(college: College, *misids: str) -> None:
    """Every learner has one account, and it is the one that the store has."""
    assert college.run().is_in_sync
    assert college.in_doubt == 0
    for misid in misids:
        assert [user.id for user in college.in_onefile(misid)] == [college.known_id(misid)]
    assert college.run().calls == 0
    assert list(maintenance.defects(college.context.store)) == []


def _surname(college: College, user_id: int) -> str:
    surname: str = college.onefile.world.users[user_id].values["LastName"]
    return surname


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("is_in_feeds", [False, True])
def test_create_answered_with_the_assessors_id_is_in_doubt(found: Found, is_done: bool, is_in_feeds: bool) -> None:
    college = found()
    if is_in_feeds:
        _with_staff(college)
        college.run()
    college.enrol("L1", "L2")
    _answer(college, {"ID": ASSESSOR, "Username": "x", "Password": "y"}, is_done=is_done)

    first = college.run()

    assert (first.in_doubt, college.in_doubt) == (1, 1)
    assert None in {college.known_id("L1"), college.known_id("L2")}
    _is_settled(college, "L1", "L2")
    assert _surname(college, ASSESSOR) == "Pryce"


@pytest.mark.parametrize("is_done", [False, True])
def test_create_answered_with_another_learners_id_is_in_doubt(found: Found, is_done: bool) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    known = college.known_id("L1")
    college.enrol("L2")
    _answer(college, {"ID": known}, is_done=is_done)

    assert college.run().in_doubt == 1

    _is_settled(college, "L1", "L2")
    assert college.known_id("L1") == known


def test_id_that_a_search_has_shown_before_the_create_is_in_doubt(found: Found) -> None:
    college = found()
    stranger = {"ID": 400_000, "OrganisationID": ORGANISATION, "Role": 1, "MISID": "X1", "FirstName": "Bo"}
    college.onefile.sow({"users": [{**stranger, "LastName": "Stranger"}]})
    college.enrol(*(f"L{number}" for number in range(5)))
    _answer(college, {"ID": 400_000}, is_done=True)

    assert college.run().in_doubt == 1

    _is_settled(college, *(f"L{number}" for number in range(5)))
    assert _surname(college, 400_000) == "Stranger"


def test_id_of_an_account_of_another_organisation_is_in_doubt(found: Found) -> None:
    college = found()
    elsewhere = Key(ORGANISATION + 1, Role.OBSERVER, "O1")
    with college.context.store.begin() as connection:
        session = session_on(connection, ORGANISATION + 1)
        accounts.save(session, elsewhere, user_id=_FREE_ID, feed="observers", accepted={}, fingerprint="f")
    college.enrol("L1")
    _answer(college, {"ID": _FREE_ID}, is_done=True)

    assert college.run().in_doubt == 1

    _is_settled(college, "L1")


@pytest.mark.parametrize(
    ("role", "path", "known_id", "answer"),
    [
        (Role.PLACEMENT, "/Placement", PLACEMENT, PLACEMENT),
        (Role.CLASSROOM, "/Classroom", CLASSROOM, {"ID": CLASSROOM}),
    ],
)
def test_place_answered_with_the_id_of_another_place_is_in_doubt(
    found: Found, role: Role, path: str, known_id: int, answer: object
) -> None:
    college = found()
    college.execute("CREATE TABLE place (misid, name)")
    college.execute("INSERT INTO place VALUES ('P1', 'New Works')")
    college.with_feed(_PLACES, role)
    _answer(college, answer, is_done=True, path=path)

    assert college.run().in_doubt == 1
    assert college.run().is_in_sync

    world = college.onefile.world
    made = (world.placements if role is Role.PLACEMENT else world.classrooms).by_id
    assert [number for number, place in made.items() if place.values["Name"] == "New Works"] == [
        college.known_id("P1", role)
    ]
    assert made[known_id].values["Name"] != "New Works"


def test_place_may_have_the_id_of_a_user(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    college.execute("CREATE TABLE place (misid, name)")
    college.execute("INSERT INTO place VALUES ('P1', 'New Works')")
    college.with_feed(_PLACES, Role.PLACEMENT)
    _answer(college, college.known_id("L1"), is_done=False, path="/Placement")

    assert college.run().in_doubt == 0

    assert college.known_id("P1", Role.PLACEMENT) == college.known_id("L1")
    assert list(maintenance.defects(college.context.store)) == []


@pytest.mark.parametrize("max_in_flight", [1, 16])
@pytest.mark.parametrize("creates", [2, 3, 4])
@pytest.mark.parametrize("is_done", [False, True])
def test_id_that_answers_several_creates_of_a_run_answers_none(
    found: Found, max_in_flight: int, creates: int, is_done: bool
) -> None:
    college = found()
    college.with_policy(max_in_flight=max_in_flight)
    misids = [f"L{number}" for number in range(creates + 2)]
    college.enrol(*misids)
    _answer(college, {"ID": _FREE_ID, "Username": "x", "Password": "y"}, is_done=is_done, times=creates)

    first = college.run()

    assert (first.sent, first.in_doubt, college.in_doubt) == (2, creates, creates)
    assert _FREE_ID not in {college.known_id(misid) for misid in misids}
    _is_settled(college, *misids)


@pytest.mark.parametrize("keychain", [False, True])
def test_create_in_doubt_whose_misid_is_on_another_account_is_held(found: Found, keychain: bool) -> None:
    college = found(keychain=keychain)
    college.enrol("L1")
    college.run()
    known = college.known_id("L1")
    assert known is not None
    college.enrol("L2")
    college.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, method="POST", path="/User"))
    college.run()
    # A person has typed the MISID of the new learner into the account of the other one.
    college.onefile.world.users[known].values["MISID"] = "L2"

    assert not college.run().is_in_sync

    assert college.held == {"L2": "ambiguous"}
    assert f"UserID {known}, which is that of the Learner L1" in college.detail("L2")
    assert (college.known_id("L1"), college.known_id("L2")) == (known, None)
    assert _surname(college, known) == "Example-L1"


def test_check_finds_one_user_id_in_two_roles_and_organisations(found: Found) -> None:
    college = found()
    keys: list[tuple[Key, Any]] = [
        (Key(ORGANISATION, Role.LEARNER, "L1"), 7),
        (Key(ORGANISATION, Role.ASSESSOR, "A1"), 7),
        (Key(ORGANISATION, Role.LEARNER, "L2"), 8),
        (Key(ORGANISATION + 1, Role.LEARNER, "L2"), 8),
        (Key(ORGANISATION, Role.PLACEMENT, "P1"), 9),
        (Key(ORGANISATION, Role.CLASSROOM, "C1"), 9),
        (Key(ORGANISATION, Role.LEARNER, "L3"), 9),
        (Key(ORGANISATION, Role.CLASSROOM, "C2"), 10),
        (Key(ORGANISATION, Role.CLASSROOM, "C3"), 10),
        (Key(ORGANISATION, Role.LEARNER, "L4"), None),
        (Key(ORGANISATION, Role.LEARNER, "L5"), None),
    ]
    with college.context.store.begin() as connection:
        for key, user_id in keys:
            session = session_on(connection, key.organisation_id)
            accounts.save(session, key, user_id=user_id, feed="people", accepted={}, fingerprint="f")

    assert list(maintenance.defects(college.context.store)) == [
        "2 MISIDs are mapped to the one ID of a Classroom 10; 'syncd accounts' shows them.",
        "2 MISIDs are mapped to the one UserID 7; 'syncd accounts' shows them.",
        "2 MISIDs are mapped to the one UserID 8; 'syncd accounts' shows them.",
    ]
