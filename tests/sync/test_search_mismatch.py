"""A search that returns other MISIDs than it was asked for does not show that OneFile has no account."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from syncd.core.fields import Role
from syncd.core.run import Trigger
from syncd.simulator import Fault, FaultKind, MisidFilter, MisidForm
from syncd.simulator.models import User
from syncd.state import held_records
from syncd.state.held_records import Selection
from syncd.sync.run import run_once
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT
from tests.support.sessions import session_on

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)

_THERE = 400_000


def _sow(college: College, misid: str, user_id: int = _THERE, **fields: Any) -> None:
    account = {
        "ID": user_id,
        "OrganisationID": ORGANISATION,
        "Role": 1,
        "MISID": misid,
        "FirstName": "Bo",
        "LastName": "Else",
        "Email": "bo@example.org",
        "DefaultAssessorID": ASSESSOR,
        "ClassroomID": CLASSROOM,
        "PlacementID": PLACEMENT,
        **fields,
    }
    college.onefile.sow({"users": [account]})


def _creates(college: College) -> int:
    return sum(path == "/User" for path, _ in college.writes())


def _find_others(college: College, misids: Callable[[str], str]) -> None:
    """Has a search for a MISID return its account under another one, while all other searches are right."""
    world: Any = college.onefile.world
    search = world.search_users

    def search_users(filters: Any) -> list[User]:
        rows: list[User] = search(filters)
        if "MISID" not in filters:
            return rows
        return [
            User(row.id, row.organisation_id, row.role, "", 0.0, 0.0, {**row.values, "MISID": misids(row.misid or "")})
            for row in rows
        ]

    world.search_users = search_users


@pytest.mark.parametrize("others", [0, pytest.param(9, marks=pytest.mark.slow)])
@pytest.mark.parametrize("compares_names", [True, False])
@pytest.mark.parametrize("shown", ["L2", "", "XL1"])
def test_new_record_whose_search_returns_another_misid_is_held(
    found: Found, others: int, compares_names: bool, shown: str
) -> None:
    college = found()
    college.with_policy(compare_names=compares_names)
    college.enrol(*(f"K{number}" for number in range(60)))
    college.run()
    _sow(college, "L1", FirstName="Ann", LastName="Example-L1")
    _find_others(college, lambda misid: shown if misid == "L1" else misid)
    college.enrol("L1", *(f"O{number}" for number in range(others)))
    college.writes()

    with capture_logs() as log:
        done = run_once(college.context, Trigger.COMMAND)

    # Of many new records, all accounts are downloaded, and that search is right.
    is_held = others == 0
    assert college.held == ({"L1": "search_mismatch"} if is_held else {})
    assert done.sent == others + (not is_held)
    assert _creates(college) == others
    lines = [line for line in log if line["event"] == "search_mismatch"]
    assert [line["misids"] for line in lines] == ([["L1"]] if is_held else [])
    assert "Ann" not in str(log)


def test_record_that_was_held_for_its_search_is_linked_once_the_search_is_right(found: Found) -> None:
    college = found()
    college.enrol(*(f"K{number}" for number in range(60)))
    college.run()
    _sow(college, "L1", FirstName="Ann", LastName="Example-L1")
    college.enrol("L1")
    row = {"ID": 400_001, "FirstName": "Cy", "LastName": "Other", "MISID": "L7"}
    college.onefile.faults.add(Fault(FaultKind.ANSWER, path="/User/Search/*", body=[row]))

    college.run()
    held = college.held
    assert college.run().is_in_sync

    assert held == {"L1": "search_mismatch"}
    assert college.known_id("L1") == _THERE
    assert len(college.in_onefile("L1")) == 1


@pytest.mark.parametrize("misid_filter", MisidFilter)
@pytest.mark.parametrize("others", [0, pytest.param(9, marks=pytest.mark.slow)])
def test_filter_that_onefile_ignores_or_applies_loosely_holds_nothing(
    found: Found, misid_filter: MisidFilter, others: int
) -> None:
    college = found(misid_filter=misid_filter)
    _sow(college, "L10")
    _sow(college, "X1", 400_001, FirstName="Cy")
    college.enrol("L1", *(f"O{number}" for number in range(others)))

    assert college.run().is_in_sync

    assert len(college.in_onefile("L1")) == 1


@pytest.mark.parametrize("misid_filter", MisidFilter)
@pytest.mark.parametrize("others", [0, pytest.param(9, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("misid", "is_unclear"), [("00123", True), ("00", True), ("123", False), ("0", False), ("L0123", False)]
)
def test_misid_that_came_as_a_number_is_held_if_zeros_may_be_lost(
    found: Found, misid_filter: MisidFilter, others: int, misid: str, is_unclear: bool
) -> None:
    college = found(misid_form=MisidForm.NUMBER, misid_filter=misid_filter)
    college.with_policy(compare_names=False)
    _sow(college, misid, FirstName="Ann", LastName=f"Example-{misid}")
    college.enrol(misid, *(f"O{number}" for number in range(others)))

    college.run()

    assert college.held == ({misid: "search_mismatch"} if is_unclear else {})
    assert len(college.in_onefile(misid)) == 1
    if is_unclear:
        assert f"UserID {_THERE}" in college.detail(misid)


def test_number_of_a_known_account_holds_no_other_record(found: Found) -> None:
    college = found(misid_form=MisidForm.NUMBER, misid_filter=MisidFilter.IGNORED)
    college.enrol("00123")
    assert college.run().is_in_sync
    college.enrol("0123", forename="Zoe")
    assert not college.run().is_in_sync
    assert college.held == {"0123": "lookalike_key"}
    with college.context.store.begin() as connection:
        session = session_on(connection, ORGANISATION, cipher=college.context.store.cipher)
        held_records.retry(session, Selection(["0123"]))

    assert college.run().is_in_sync

    assert [len(college.in_onefile(misid)) for misid in ("00123", "0123")] == [1, 1]


@pytest.mark.parametrize("is_done", [False, True])
def test_create_in_doubt_stays_so_while_its_misid_comes_as_a_number(found: Found, is_done: bool) -> None:
    college = found(misid_form=MisidForm.NUMBER)
    college.enrol("00123")
    kind = FaultKind.DROP_AFTER if is_done else FaultKind.DROP_BEFORE
    college.onefile.faults.add(Fault(kind, method="POST", path="/User"))
    college.run()

    for _ in range(3):
        college.run()

    assert len(college.in_onefile("00123")) == 1
    assert college.held == ({"00123": "search_mismatch"} if is_done else {})
    assert college.in_doubt == int(is_done)


def test_accepted_create_whose_misid_comes_as_a_number_is_not_repeated(found: Found) -> None:
    college = found(misid_form=MisidForm.NUMBER, keychain=True)
    college.enrol("00123", "L1")

    for _ in range(3):
        college.run()

    assert len(college.in_onefile("00123")) == 1
    assert college.held == {"00123": "search_mismatch"}
    assert college.known_id("L1") == college.in_onefile("L1")[0].id


def test_create_in_doubt_stays_so_while_its_search_returns_another_misid(found: Found) -> None:
    college = found()
    college.enrol("K1", "K2", "L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path="/User"))
    college.with_policy(max_in_flight=1)
    college.run()
    (lost,) = {misid for misid in ("K1", "K2", "L1") if college.known_id(misid) is None}
    _find_others(college, lambda misid: "Q9" if misid == lost else misid)

    for _ in range(2):
        college.run()

    assert len(college.in_onefile(lost)) == 1
    assert college.held == {lost: "search_mismatch"}
    assert college.in_doubt == 1


def test_create_in_doubt_is_not_repeated_while_its_misid_shows_in_another_case(found: Found) -> None:
    college = found(misid_filter=MisidFilter.ANY_CASE)
    college.enrol(*(f"K{number}" for number in range(60)))
    college.run()
    college.enrol("ab1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path="/User"))
    college.run()
    _find_others(college, str.upper)

    for _ in range(2):
        college.run()

    assert len(college.in_onefile("ab1")) == 1
    assert college.held == {"ab1": "search_mismatch"}


@pytest.mark.parametrize("role", [Role.PLACEMENT, Role.CLASSROOM])
def test_place_whose_misid_may_have_come_as_a_number_is_held(found: Found, role: Role) -> None:
    college = found(misid_form=MisidForm.NUMBER)
    college.with_policy(compare_names=False)
    college.onefile.sow(
        {f"{role.lower()}s": [{"ID": 77, "OrganisationID": ORGANISATION, "MISID": "007", "Name": "Old Works"}]}
    )
    college.execute("CREATE TABLE place (misid, name)")
    college.execute("INSERT INTO place VALUES ('007', 'New Works'), ('8', 'Other')")
    college.with_feed("SELECT misid AS MISID, name AS Name FROM place", role)

    assert college.run().sent == 1

    assert college.held == {"007": "search_mismatch"}
    assert "ID 77" in college.detail("007")
