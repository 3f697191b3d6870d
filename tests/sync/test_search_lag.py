"""However far OneFile's search is behind, a create in doubt leads to no second account."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from syncd.core.fields import Role
from syncd.core.records import Key, Reason
from syncd.core.run import Action, Outcome, Trigger
from syncd.simulator import ArchivedForm, Fault, FaultKind, MisidFilter
from syncd.state import accounts, changes, held_records
from syncd.state.db.tables import change
from syncd.state.held_records import Selection
from syncd.sync.context import LONGEST_SEARCH_LAG, Feed
from syncd.sync.run import run_once
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, ORGANISATION
from tests.support.sessions import session_on

_IVY = {"FirstName": "Ivy", "LastName": "Quay"}
_MISIDS = [f"L{number}" for number in range(4)]
_STAFF = Feed(
    "staff",
    Role.ASSESSOR,
    "SELECT 'S1' AS MISID, 'Sam' AS FirstName, 'Staff' AS LastName, 's1@example.org' AS Email",
)
_PLACES = Feed("places", Role.PLACEMENT, "SELECT 'P1' AS MISID, 'New Works' AS Name")


def _college(found: Found, **switches: Any) -> College:
    college = found(**switches)
    college.with_policy(longest_search_lag=LONGEST_SEARCH_LAG, max_in_flight=1)
    return college


def _lose(college: College, *misids: str, kind: FaultKind = FaultKind.DROP_BEFORE) -> None:
    """A run in which the answers to the creates of these new learners are lost."""
    college.enrol(*misids)
    college.onefile.faults.add(Fault(kind, method="POST", path="/User", times=len(misids)))
    assert college.run().in_doubt == len(misids)


def _create(college: College, *misids: str) -> None:
    """A run that creates these learners, and nothing else is lost."""
    college.enrol(*misids)
    college.run()
    assert [len(college.in_onefile(misid)) for misid in misids] == [1 for _ in misids]


def _accounts(college: College, *misids: str) -> list[int]:
    return [len(college.in_onefile(misid)) for misid in misids]


def _events(college: College, name: str) -> list[dict[str, Any]]:
    """The events of a run that have this name."""
    with capture_logs() as log:
        run_once(college.context, Trigger.COMMAND)
    return [dict(line) for line in log if line["event"] == name]


def _retry(college: College, selection: Selection) -> int:
    with college.context.store.begin() as connection:
        return held_records.retry(
            session_on(connection, ORGANISATION, cipher=college.context.store.cipher, at=college.clock.now), selection
        )


@pytest.mark.parametrize("misid_filter", MisidFilter)
@pytest.mark.parametrize("known", [0, 2])
def test_creates_that_were_made_wait_until_the_search_shows_them(
    found: Found, known: int, misid_filter: MisidFilter
) -> None:
    college = _college(found, search_lag_seconds=900, misid_filter=misid_filter)
    college.enrol(*_MISIDS[:known])
    college.run()
    _lose(college, *_MISIDS[known:], kind=FaultKind.DROP_AFTER)

    for _ in range(3):
        (line,) = _events(college, "search_behind" if known else "search_unproven")
        assert line["waiting"] == _MISIDS[known:]
        assert college.in_doubt == len(_MISIDS) - known
        assert set(college.held.values()) == {"in_doubt"}
    college.clock.go_on(seconds=900)

    assert college.run().is_in_sync
    assert college.in_doubt == 0
    assert _accounts(college, *_MISIDS) == [1] * len(_MISIDS)


def test_missing_create_is_made_once_the_search_shows_a_later_account(found: Found) -> None:
    college = _college(found, search_lag_seconds=900)
    _create(college, "L0")
    _lose(college, "L1")

    assert [line["misid"] for line in _events(college, "search_behind")] == ["L0"]
    assert "behind" in college.detail("L1")
    college.clock.go_on(seconds=900)
    # It shows the earlier account, which may be the last one that it shows for a while.
    assert [line["waiting"] for line in _events(college, "search_unproven")] == [["L1"]]
    assert "no account since" in college.detail("L1")
    _create(college, "L2")
    assert [line["misid"] for line in _events(college, "search_behind")] == ["L2"]
    assert _accounts(college, "L1") == [0]
    college.clock.go_on(seconds=900)

    assert college.run().is_in_sync
    assert _accounts(college, "L0", "L1", "L2") == [1, 1, 1]


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
@pytest.mark.parametrize("lag", [0, 59, 61, 4000, 80_000])
def test_sole_create_in_doubt_waits_for_a_day_unless_a_search_shows_it(found: Found, lag: int, kind: FaultKind) -> None:
    college = _college(found, search_lag_seconds=lag)
    _lose(college, "L0", kind=kind)

    is_shown = lag < 60 and kind is FaultKind.DROP_AFTER
    assert college.run().is_in_sync is is_shown
    college.clock.go_on(hours=23)
    is_shown = kind is FaultKind.DROP_AFTER
    assert college.run().is_in_sync is is_shown
    college.clock.go_on(hours=1)

    assert college.run().is_in_sync
    assert _accounts(college, "L0") == [1]


@pytest.mark.parametrize("seconds", [0, 30, 59, 60, 3600])
def test_search_that_stalls_after_the_account_before_is_not_trusted(found: Found, seconds: int) -> None:
    college = _college(found)
    _create(college, "L0")
    college.clock.go_on(seconds=seconds)
    world: Any = college.onefile.world
    search, indexed = world.search_users, set(world.users)
    world.search_users = lambda filters: [user for user in search(filters) if user.id in indexed]
    _lose(college, "L1", kind=FaultKind.DROP_AFTER)

    for _ in range(3):
        college.run()
        assert college.held == {"L1": "in_doubt"}
    _create(college, "L2")
    assert [line["misid"] for line in _events(college, "search_behind")] == ["L2"]
    world.search_users = search

    assert college.run().is_in_sync
    assert _accounts(college, "L0", "L1", "L2") == [1, 1, 1]


def test_search_known_to_be_behind_is_not_trusted_after_a_day_either(found: Found) -> None:
    college = _college(found, search_lag_seconds=10**9)
    _create(college, "L0")
    _lose(college, "L1", kind=FaultKind.DROP_AFTER)

    for _ in range(3):
        college.clock.go_on(days=2)
        assert [line["waiting"] for line in _events(college, "search_behind")] == [["L1"]]

    assert _accounts(college, "L1") == [1]


@pytest.mark.parametrize("selection", [Selection(["L1"]), Selection(reason=Reason.IN_DOUBT)])
def test_retry_ends_the_wait_of_a_create_that_onefile_does_not_have(found: Found, selection: Selection) -> None:
    college = _college(found)
    _create(college, "L0")
    _lose(college, "L1")
    college.run()
    assert (college.held, _retry(college, Selection())) == ({"L1": "in_doubt"}, 0)

    assert _retry(college, selection) == 1

    assert college.run().is_in_sync
    assert _accounts(college, "L1") == [1]


def test_retry_of_a_create_that_a_search_shows_links_the_account(found: Found) -> None:
    college = _college(found, search_lag_seconds=900)
    _lose(college, "L1", kind=FaultKind.DROP_AFTER)
    college.run()
    assert _retry(college, Selection(["L1"])) == 1
    college.clock.go_on(seconds=900)

    assert college.run().is_in_sync

    assert _accounts(college, "L1") == [1]


def test_retry_does_not_repeat_a_create_that_onefile_has_accepted(found: Found) -> None:
    college = _college(found, keychain=True, search_lag_seconds=3600)
    college.enrol("L1")
    college.run()
    college.run()
    assert college.held == {"L1": "in_doubt"}

    assert _retry(college, Selection(["L1"])) == 0

    college.run()
    assert "accepted" in college.detail("L1")
    assert _accounts(college, "L1") == [1]


def test_create_that_onefile_answered_in_words_waits_and_shows_the_words(found: Found) -> None:
    college = _college(found)
    college.enrol("L1")
    words = Fault(FaultKind.ANSWER, method="POST", path="/User", body={"Message": "The class is full."})
    college.onefile.faults.add(words)
    college.run()

    college.run()
    assert (college.held, "The class is full." in college.detail("L1")) == ({"L1": "in_doubt"}, True)
    _create(college, "L2")
    college.run()

    assert college.held == {"L1": "refused"}


def test_create_in_doubt_does_not_hold_other_records_back(found: Found) -> None:
    college = _college(found)
    _create(college, "L0")
    _lose(college, "L1")
    college.enrol("L2")
    college.correct("L0", surname="Changed")

    done = college.run()

    assert (done.sent, college.held) == (2, {"L1": "in_doubt"})


def _hide_archived(college: College) -> None:
    """Has no search show archived accounts, as OneFile may (U4)."""
    world: Any = college.onefile.world
    search = world.search_users
    world.search_users = lambda filters: [user for user in search(filters) if not user.is_archived]


@pytest.mark.parametrize("what", ["deleted", "another MISID", "archived", "archived by syncd"])
def test_account_that_searches_need_not_show_proves_nothing(found: Found, what: str) -> None:
    is_told = what == "archived"
    college = _college(found, archived_form=ArchivedForm.ARCHIVED if is_told else ArchivedForm.NOTHING)
    _hide_archived(college)
    _lose(college, "L1")
    _create(college, "L2")
    (later,) = college.in_onefile("L2")
    # The simulator would give the id of a deleted account to the next one, as OneFile does not.
    college.onefile.sow({"users": [{"ID": 500_000, "OrganisationID": ORGANISATION, "Role": 10, **_IVY}]})
    if what == "deleted":
        del college.onefile.world.users[later.id]
    elif what == "another MISID":
        later.values["MISID"] = "X7"
    else:
        later.is_archived = True
    if what == "archived by syncd":
        with college.context.store.begin() as connection:
            session = session_on(connection, ORGANISATION, at=college.clock.now)
            accounts.set_archived(session, Key(ORGANISATION, Role.LEARNER, "L2"))
    assert _events(college, "search_behind") == []
    assert college.held["L1"] == "in_doubt"
    _create(college, "L3")

    college.run()

    assert (college.in_doubt, _accounts(college, "L1")) == (0, [1])


@pytest.mark.parametrize(("feed", "is_proof"), [(_STAFF, True), (_PLACES, False)])
def test_later_account_of_another_role_is_proof_and_a_place_is_not(found: Found, feed: Feed, is_proof: bool) -> None:
    college = _college(found)
    _lose(college, "L1")
    college.context = replace(college.context, feeds=(feed, *college.context.feeds))

    assert college.run().sent == 1
    assert college.run().sent == int(is_proof)

    assert _accounts(college, "L1") == [int(is_proof)]


def test_later_update_is_no_proof_that_new_accounts_are_shown(found: Found) -> None:
    college = _college(found)
    _create(college, "L0")
    college.clock.go_on(days=3)
    _lose(college, "L1")
    college.correct("L0", surname="Changed")
    assert college.run().sent == 1

    assert college.run().sent == 0

    assert college.held == {"L1": "in_doubt"}


def _note_create(college: College, organisation_id: int, at: timedelta) -> None:
    """The store notes that syncd has created an account at a time from now on."""
    with college.context.store.begin() as connection:
        run, cipher = connection.scalar(text("SELECT max(id) FROM run")), college.context.store.cipher
        session = session_on(connection, organisation_id, cipher=cipher, at=college.clock.now + at)
        number = changes.record_intent(
            session,
            run or 0,
            Key(organisation_id, Role.ASSESSOR, "A1"),
            Action.CREATE,
            {},
            user_id=None,
            feed="staff",
            fingerprint="",
        )
        changes.record_outcome(session, number, Outcome.APPLIED, user_id=ASSESSOR)


def _doubt_after_which_nothing_is_created(found: Found) -> College:
    """A college of which the assessor A1 is known to syncd and shown by the search, and a create is in doubt."""
    college = _college(found)
    assessor = "SELECT 'A1' AS MISID, 'Siân' AS FirstName, 'Pryce' AS LastName, 'a1@example.org' AS Email"
    college.context = replace(college.context, feeds=(replace(_STAFF, query=assessor), *college.context.feeds))
    college.run()
    college.clock.go_on(days=2)
    _lose(college, "L1")
    return college


@pytest.mark.parametrize(("seconds", "is_proof"), [(0, False), (59, False), (60, True), (3600, True)])
def test_account_created_while_onefile_may_still_work_is_no_proof(found: Found, seconds: int, is_proof: bool) -> None:
    college = _doubt_after_which_nothing_is_created(found)
    _note_create(college, ORGANISATION, timedelta(seconds=seconds))

    college.run()

    assert _accounts(college, "L1") == [int(is_proof)]


def test_later_account_of_another_organisation_is_no_proof(found: Found) -> None:
    college = _doubt_after_which_nothing_is_created(found)
    _note_create(college, ORGANISATION + 1, timedelta(hours=1))

    college.run()

    assert college.held == {"L1": "in_doubt"}


def test_account_that_a_wrong_clock_has_dated_later_is_no_proof(found: Found) -> None:
    college = _college(found)
    _create(college, "L0")
    _lose(college, "L1")
    with college.context.store.begin() as connection:
        later = college.clock.now + timedelta(hours=1)
        connection.execute(change.update().where(change.c.misid == "L0").values(at=later))

    college.run()

    assert college.held == {"L1": "in_doubt"}


def test_clock_that_was_set_back_does_not_lengthen_the_wait(found: Found) -> None:
    college = _college(found)
    college.clock.go_on(days=300)
    _lose(college, "L1")
    college.clock.go_on(days=-300)
    began = college.clock.now
    assert not college.run().is_in_sync
    assert college.clock.now - began < timedelta(hours=1)

    college.clock.go_on(days=1)

    assert college.run().is_in_sync
    assert _accounts(college, "L1") == [1]


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
def test_create_of_a_killed_process_waits_as_one_whose_answer_was_lost(found: Found, kind: FaultKind) -> None:
    college = _college(found, search_lag_seconds=900)
    _lose(college, "L0", kind=kind)
    _create(college, "L1")
    with college.context.store.begin() as connection:
        # Its call may have waited for the rate limit, so no account of its run is surely later.
        connection.execute(text("UPDATE change SET outcome = 'pending', concluded_at = NULL WHERE misid = 'L0'"))

    for _ in range(2):
        college.run()
        assert college.held == {"L0": "in_doubt"}
    college.clock.go_on(seconds=900)
    assert college.run().is_in_sync is (kind is FaultKind.DROP_AFTER)
    _create(college, "L2")
    college.clock.go_on(seconds=900)

    assert college.run().is_in_sync
    assert _accounts(college, "L0", "L1", "L2") == [1, 1, 1]


@pytest.mark.parametrize("seed", range(12))
def test_no_lag_order_or_number_of_creates_makes_a_second_account(found: Found, seed: int) -> None:
    chance = random.Random(seed)
    college = _college(
        found,
        search_lag_seconds=chance.choice([0, 30, 59, 61, 300, 900, 5000, 40_000, 86_000]),
        keychain=chance.random() < 0.2,
    )
    college.with_policy(max_in_flight=chance.choice([1, 4]))
    misids: list[str] = []
    for _ in range(6):
        new = [f"N{len(misids) + number}" for number in range(chance.randrange(4))]
        misids += new
        college.enrol(*new)
        for _ in range(chance.randrange(3)):
            kind = chance.choice([FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER])
            college.onefile.faults.add(Fault(kind, method="POST", path="/User", skip=chance.randrange(3)))
        college.run()
        assert max(_accounts(college, *misids), default=0) <= 1
        college.clock.go_on(seconds=chance.choice([0, 61, 900, 3600, 30_000]))
        if chance.random() < 0.2:
            college.onefile.world.switches = replace(college.onefile.world.switches, search_lag_seconds=0)
    college.onefile.faults.clear()

    for _ in range(4):
        college.clock.go_on(days=1)
        college.run()

    assert college.in_doubt == 0
    assert _accounts(college, *misids) == [1] * len(misids)


@pytest.mark.parametrize("role", [Role.PLACEMENT, Role.CLASSROOM])
def test_place_in_doubt_waits_until_the_list_shows_a_later_one(found: Found, role: Role) -> None:
    college = _college(found, search_lag_seconds=900)
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
