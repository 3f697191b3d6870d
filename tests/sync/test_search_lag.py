"""A search that is further behind than settle_seconds leads to no second account, as far as it can be noticed."""

from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from syncd.core.fields import Role
from syncd.core.run import Trigger
from syncd.simulator import Fault, FaultKind, MisidFilter
from syncd.sync.run import run_once
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION

_IVY = {"FirstName": "Ivy", "LastName": "Quay"}
_MISIDS = [f"L{number}" for number in range(8)]


def _lost(found: Found, *, skip: int, times: int, seconds_between: int = 0, **switches: Any) -> College:
    """A college of which some creates were done and their answers lost: the first ``skip`` are known."""
    college = found(**switches)
    college.with_policy(max_in_flight=1)
    college.enrol(*_MISIDS[:skip])
    college.run()
    college.clock.go_on(seconds=seconds_between)
    college.enrol(*_MISIDS[skip:])
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path="/User", times=times))
    assert college.run().in_doubt == times
    return college


def _has_one_account_each(college: College) -> bool:
    return all(len(college.in_onefile(misid)) == 1 for misid in _MISIDS)


@pytest.mark.parametrize("misid_filter", MisidFilter)
@pytest.mark.parametrize("known", [0, 4])
def test_creates_in_doubt_wait_until_the_search_shows_the_newest_account(
    found: Found, known: int, misid_filter: MisidFilter
) -> None:
    college = _lost(found, skip=known, times=4, search_lag_seconds=900, misid_filter=misid_filter)

    for _ in range(4):
        with capture_logs() as log:
            done = run_once(college.context, Trigger.COMMAND)
        assert (done.is_in_sync, college.in_doubt) == (False, 4)
        (behind,) = [line for line in log if line["event"] == "search_behind"]
        assert len(behind["waiting"]) == 4
        assert set(college.held.values()) == {"in_doubt"}
    assert _has_one_account_each(college)

    college.clock.go_on(seconds=900)
    assert college.run().is_in_sync
    assert college.in_doubt == 0
    assert _has_one_account_each(college)


def test_create_that_was_not_done_is_made_once_the_search_shows_the_newest_account(found: Found) -> None:
    college = found(search_lag_seconds=900)
    college.enrol("L0")
    college.run()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, method="POST", path="/User"))
    college.run()

    college.run()
    assert college.in_onefile("L1") == []
    college.clock.go_on(seconds=900)

    assert college.run().is_in_sync
    assert len(college.in_onefile("L1")) == 1


def test_create_in_doubt_does_not_wait_for_ever_while_others_are_created(found: Found) -> None:
    college = _lost(found, skip=7, times=1, search_lag_seconds=1200)

    for number in range(3):
        college.enrol(f"N{number}")
        college.run()
        college.clock.go_on(minutes=15)

    assert college.in_doubt == 0
    assert _has_one_account_each(college)


@pytest.mark.parametrize("lag", [0, 55, 65, 80, 89])
@pytest.mark.parametrize("is_killed", [False, True])
def test_account_made_after_the_newest_known_one_is_searched_for_as_much_later(
    found: Found, lag: int, is_killed: bool
) -> None:
    """The search shows the known one when the run looks, and the other one only half a minute after."""
    college = _lost(found, skip=7, times=1, seconds_between=30, search_lag_seconds=lag)
    if is_killed:
        with college.context.store.begin() as connection:
            connection.execute(
                text("UPDATE change SET outcome = 'pending', concluded_at = NULL WHERE outcome = 'in_doubt'")
            )

    assert college.run().is_in_sync

    assert _has_one_account_each(college)


@pytest.mark.parametrize("change", ["deleted", "another MISID", "archived"])
def test_account_that_searches_need_not_show_holds_nothing_back(found: Found, change: str) -> None:
    college = found()
    college.enrol("L0")
    college.run()
    (newest,) = college.in_onefile("L0")
    # The simulator would give the id of a deleted account to the next one, as OneFile does not.
    college.onefile.sow({"users": [{"ID": 500_000, "OrganisationID": ORGANISATION, "Role": 10, **_IVY}]})
    if change == "deleted":
        del college.onefile.world.users[newest.id]
    elif change == "archived":
        newest.is_archived = True
    else:
        newest.values["MISID"] = "X7"
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, method="POST", path="/User"))
    college.run()

    assert college.run().is_in_sync

    assert len(college.in_onefile("L1")) == 1


def test_account_that_no_search_shows_for_a_day_holds_nothing_back_any_more(found: Found) -> None:
    college = found(search_lag_seconds=10**9)
    college.enrol("L0")
    college.run()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, method="POST", path="/User"))
    college.run()

    college.clock.go_on(hours=23)
    assert not college.run().is_in_sync
    college.clock.go_on(hours=2)

    assert college.run().is_in_sync
    assert len(college.in_onefile("L1")) == 1


@pytest.mark.parametrize("role", [Role.PLACEMENT, Role.CLASSROOM])
def test_place_in_doubt_waits_until_the_list_shows_the_newest_one(found: Found, role: Role) -> None:
    college = found(search_lag_seconds=900)
    college.execute("CREATE TABLE place (misid, name)")
    college.execute("INSERT INTO place VALUES ('P1', 'Works')")
    college.with_feed("SELECT misid AS MISID, name AS Name FROM place", role)
    college.run()
    college.execute("INSERT INTO place VALUES ('P2', 'New Works')")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path=f"/{role}"))
    college.run()
    world = college.onefile.world
    places = (world.placements if role is Role.PLACEMENT else world.classrooms).by_id

    for _ in range(3):
        assert not college.run().is_in_sync
    assert sum(place.name == "New Works" for place in places.values()) == 1
    college.clock.go_on(seconds=900)

    assert college.run().is_in_sync
    assert sum(place.name == "New Works" for place in places.values()) == 1


def test_sole_create_in_doubt_is_settled_by_the_next_run(found: Found) -> None:
    college = found(search_lag_seconds=59)
    college.enrol("L0")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path="/User"))
    college.run()

    assert college.run().is_in_sync
    assert len(college.in_onefile("L0")) == 1
