"""However a create's answer is lost, there is one account in the end, and it is known."""

from dataclasses import replace
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.errors import Interrupted, OneFileUnreachable
from syncd.simulator import Fault, FaultKind, MisidFilter
from tests.support.college import Found
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT

_LOST = [
    FaultKind.ERROR_BEFORE,
    FaultKind.ERROR_AFTER,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.UNAVAILABLE,
    FaultKind.RUBBISH,
    FaultKind.RUBBISH_AFTER,
]


@pytest.mark.parametrize("kind", _LOST)
@pytest.mark.parametrize("keychain", [False, True])
def test_a_lost_answer_is_settled_before_anything_is_created_again(
    found: Found, kind: FaultKind, keychain: bool
) -> None:
    college = found(keychain=keychain)
    college.enrol("L1", "L2", "L3")
    college.onefile.faults.add(Fault(kind, path="/User"))

    first = college.run()
    assert (first.sent, first.in_doubt) == (2, 1)
    assert college.in_doubt == 1

    second = college.run()
    assert second.is_in_sync
    assert college.in_doubt == 0
    for misid in ("L1", "L2", "L3"):
        assert [user.id for user in college.in_onefile(misid)] == [college.known_id(misid)]
    assert college.run().calls == 0


@pytest.mark.parametrize("misid_filter", MisidFilter)
def test_lost_create_is_found_with_every_misid_filter_behaviour(found: Found, misid_filter: MisidFilter) -> None:
    college = found(misid_filter=misid_filter)
    college.enrol("L", "L1", "L11", "L111")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User", times=3))

    college.run()
    assert college.run().is_in_sync

    for misid in ("L", "L1", "L11", "L111"):
        assert [user.id for user in college.in_onefile(misid)] == [college.known_id(misid)]


def test_a_search_is_not_trusted_before_it_can_know(found: Found) -> None:
    college = found(search_lag_seconds=45)
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    college.run()
    began = college.clock.now

    assert college.run().is_in_sync

    assert len(college.in_onefile("L1")) == 1
    assert (college.clock.now - began).total_seconds() >= 45


def test_with_keychain_on_it_looks_again_until_the_search_has_caught_up(found: Found) -> None:
    college = found(keychain=True, search_lag_seconds=20)
    college.enrol(*(f"L{number}" for number in range(10)))
    assert college.run().is_in_sync
    assert college.known_id("L3") == college.in_onefile("L3")[0].id


@pytest.mark.parametrize(("lag_seconds", "doubted"), [(0, 0), (10, 0), (40, 2)])
def test_stopping_run_searches_briefly_for_accounts_it_created(found: Found, lag_seconds: float, doubted: int) -> None:
    college = found(keychain=True, search_lag_seconds=lag_seconds)
    college.enrol("L1", "L2", "L3", "L4")
    college.with_policy(max_in_flight=1)

    def stops_after_two() -> bool:
        made = [user for user in list(college.onefile.world.users.values()) if user.role == 1]
        college.clock.is_stopping = len(made) == 2
        return college.clock.is_stopping

    college.context = replace(college.context, is_stopping=stops_after_two)
    began = college.clock.now
    with pytest.raises(Interrupted):
        college.run()

    assert college.in_doubt == doubted
    assert (college.clock.now - began).total_seconds() <= 20
    college.context = replace(college.context, is_stopping=lambda: False)
    college.clock.is_stopping = False
    assert college.run().is_in_sync
    for misid in ("L1", "L2", "L3", "L4"):
        assert [user.id for user in college.in_onefile(misid)] == [college.known_id(misid)]


def test_accepted_create_not_found_yet_stays_in_doubt_and_is_not_repeated(found: Found) -> None:
    college = found(keychain=True, search_lag_seconds=3600)
    college.enrol("L1")

    for _ in range(4):
        done = college.run()
        assert not done.is_in_sync
        assert len(college.in_onefile("L1")) == 1
    assert college.held == {"L1": "in_doubt"}

    college.clock.sleep(3600)
    assert college.run().is_in_sync
    assert college.known_id("L1") == college.in_onefile("L1")[0].id
    assert college.held == {}


def test_lost_create_with_two_matching_accounts_is_held_as_ambiguous(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User", times=None))
    college.run()
    college.onefile.faults.clear()
    college.onefile.sow({"users": [_account("L1")]})
    college.writes()

    done = college.run()

    assert not done.is_in_sync
    assert college.held == {"L1": "ambiguous"}
    assert str(college.in_onefile("L1")[0].id) in college.detail("L1")
    assert college.known_id("L2") == college.in_onefile("L2")[0].id
    # L2 has been found, and OneFile has all that its create has sent.
    assert college.writes() == []


@pytest.mark.parametrize("is_archived", [False, True])
def test_learner_with_existing_account_is_linked_and_not_created(found: Found, is_archived: bool) -> None:
    college = found(archived_learners_read_only=False)
    college.onefile.sow({"users": [{**_account("L1"), "ID": 400_000, "Archived": is_archived}]})
    college.enrol("L1")

    assert college.run().is_in_sync

    before = [("unarchive", "applied")] if is_archived else []
    assert [path for path, _ in college.writes()] == ["/User/400000/Unarchive"] * is_archived + ["/User/400000"]
    assert college.known_id("L1") == 400_000
    assert college.outcomes("L1") == [*before, ("link", "applied")]


def test_of_many_newcomers_those_onefile_has_are_found_by_download(found: Found) -> None:
    college = found()
    misids = [f"L{number}" for number in range(130)]
    college.onefile.sow(
        {"users": [{**_account(misid), "Archived": index % 2} for index, misid in enumerate(misids[:4])]}
    )
    college.enrol(*misids)
    college.onefile.journal.clear()

    done = college.run()

    assert (done.refused, college.held) == (0, {})
    assert all(len(college.in_onefile(misid)) == 1 for misid in misids)
    # An archived learner cannot be changed, and a second account is not the way out.
    assert college.outcomes("L1") == college.outcomes("L3") == [("unarchive", "applied"), ("link", "applied")]
    assert college.outcomes("L0") == [("link", "applied")]


def test_a_person_with_two_roles_and_one_misid_is_two_accounts(found: Found) -> None:
    college = found()
    college.enrol("A1")
    assert college.run().is_in_sync
    (learner,) = college.in_onefile("A1")
    assert learner.id != ASSESSOR


def test_unavailable_onefile_ends_run_and_holds_no_records(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(60)))
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, path="/User", times=None, skip=10))

    with pytest.raises(OneFileUnreachable):
        college.run()

    tried = len([path for path, _ in college.writes() if path == "/User"])
    assert tried < 40
    assert college.held == {}
    college.onefile.faults.clear()
    assert college.run().is_in_sync
    assert all(len(college.in_onefile(f"L{number}")) == 1 for number in range(60))


def test_an_update_whose_answer_is_lost_is_compared_again(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    college.correct("L1", surname="New")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User/*", times=3))

    assert college.run().in_doubt == 1
    assert college.run().is_in_sync

    assert college.in_onefile("L1")[0].values["LastName"] == "New"
    assert college.outcomes("L1")[-2:] == [("update", "in_doubt"), ("update", "applied")]


def _account(misid: str) -> dict[str, Any]:
    return {
        "OrganisationID": ORGANISATION,
        "Role": 1,
        "MISID": misid,
        "FirstName": "Ann",
        "LastName": "Example",
        "Email": "ann@example.org",
        "DefaultAssessorID": ASSESSOR,
        "ClassroomID": CLASSROOM,
        "PlacementID": PLACEMENT,
    }


@pytest.mark.parametrize(
    ("in_mis", "by_hand", "sent"),
    [
        ({}, {}, None),
        ({"phone": "0113"}, {}, {"Telephone": "0113"}),
        ({}, {"Telephone": "999", "Email": "other@example.org"}, {"Telephone": "01248", "Email": "ann@example.org"}),
        ({"phone": "0113"}, {"Email": "other@example.org"}, {"Telephone": "0113", "Email": "ann@example.org"}),
        ({}, {"Telephone": None}, {"Telephone": "01248"}),
        ({}, {"Website": "https://example.org"}, None),
    ],
)
def test_settled_create_is_followed_by_what_onefile_lacks_alone(
    found: Found, in_mis: dict[str, str], by_hand: dict[str, str | None], sent: dict[str, str] | None
) -> None:
    college = found()
    college.enrol("L1", email="ann@example.org", phone="01248")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    assert college.run().in_doubt == 1
    (user,) = college.in_onefile("L1")
    user.values.update(by_hand)
    if in_mis:
        college.correct("L1", **in_mis)
    college.writes()

    assert college.run().is_in_sync

    assert college.writes() == ([] if sent is None else [(f"/User/{user.id}", sent)])
    assert college.run().calls == 0
    college.correct("L1", surname="Married")
    college.run()
    assert [body for _, body in college.writes()] == [{"LastName": "Married"}]


def test_settled_create_of_a_place_is_not_sent_again(found: Found) -> None:
    college = found()
    college.with_feed("SELECT misid AS MISID, surname AS Name, phone AS Address FROM person", Role.PLACEMENT)
    college.enrol("P1", phone="1 High Street")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/Placement"))
    assert college.run().in_doubt == 1
    college.writes()

    assert college.run().is_in_sync

    assert college.writes() == []
