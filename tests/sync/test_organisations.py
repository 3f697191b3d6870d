"""Several organisations under one customer token: one MIS, and a turn for each."""

from dataclasses import replace

import pytest

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.state import accounts, held_records
from syncd.sync.run import RunResult, run_once
from tests.support.college import Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .whole import Whole

OTHER = 5741


class Two:
    """A whole college whose rows are of two organisations."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        whole.college.onefile.sow({"organisations": [{"ID": OTHER, "Name": "Adult Learning"}]})
        whole.college.context = replace(whole.college.context, organisations=(ORGANISATION, OTHER))

    def run(self, organisation_id: int) -> RunResult:
        self.whole.write()
        return run_once(self.whole.college.context.for_organisation(organisation_id), Trigger.COMMAND)

    def misids(self, organisation_id: int) -> set[str]:
        with self.whole.college.context.store.begin() as connection:
            return {key.misid for key in accounts.known(session_on(connection, organisation_id))}

    def held(self, organisation_id: int) -> dict[str, str]:
        with self.whole.college.context.store.begin() as connection:
            return {row.misid: row.reason for row in held_records.listing(session_on(connection, organisation_id))}


@pytest.fixture
def two(found: Found) -> Two:
    whole = Whole(found())
    for organisation_id, place in ((ORGANISATION, ""), (OTHER, "-other")):
        whole.add(Role.PLACEMENT, f"P1{place}", Name="At college", OrganisationID=organisation_id)
        whole.add(Role.CLASSROOM, f"C1{place}", OrganisationID=organisation_id)
        whole.add(Role.ASSESSOR, "A9", OrganisationID=organisation_id)
        whole.learner(
            f"L1{place}",
            OrganisationID=organisation_id,
            ClassroomMISID=f"C1{place}",
            PlacementMISID=f"P1{place}",
            DefaultEmployerMISID=None,
        )
    return Two(whole)


def test_each_organisation_gets_only_its_own_people_and_assessors(two: Two) -> None:
    assert two.run(ORGANISATION).is_in_sync
    assert two.misids(OTHER) == set()
    assert two.run(OTHER).is_in_sync

    assert two.misids(ORGANISATION) == {"P1", "C1", "A9", "L1"}
    assert two.misids(OTHER) == {"P1-other", "C1-other", "A9", "L1-other"}
    world = two.whole.college.onefile.world
    for user in world.users.values():
        if user.misid in {"L1", "L1-other"}:
            assert world.users[user.values["DefaultAssessorID"]].organisation_id == user.organisation_id
    assert two.run(ORGANISATION).calls == 0
    assert two.run(OTHER).calls == 0


def test_each_has_its_own_guard(two: Two) -> None:
    two.whole.college.with_policy(limits=Limits(floor=4))
    two.whole.learner(
        "L2",
        OrganisationID=OTHER,
        ClassroomMISID="C1-other",
        PlacementMISID="P1-other",
        DefaultEmployerMISID=None,
    )

    assert two.run(ORGANISATION).state is RunState.FINISHED
    assert two.run(OTHER).state is RunState.AWAITING_APPROVAL


def test_feed_without_rows_of_organisation_stops_run_only_if_it_had_some(two: Two) -> None:
    two.whole.add(Role.OBSERVER, "O1", OrganisationID=OTHER, PlacementMISID="P1-other")

    assert two.run(ORGANISATION).state is RunState.FINISHED
    two.run(OTHER)
    two.whole.people[Role.OBSERVER][0]["OrganisationID"] = ORGANISATION
    two.whole.people[Role.OBSERVER][0]["PlacementMISID"] = "P1"

    assert two.run(OTHER).state is RunState.AWAITING_APPROVAL, "it had one"


def test_a_row_of_an_organisation_that_is_not_configured_is_held_once(two: Two) -> None:
    two.whole.learner("L9", OrganisationID=9999)
    two.whole.learner("L8", OrganisationID="no number")
    two.whole.learner("L7", OrganisationID=9999, Email=None)

    two.run(OTHER)
    two.run(ORGANISATION)

    assert two.held(OTHER) == {}
    assert two.held(ORGANISATION) == {"L9": "unusable", "L7": "missing", "": "unusable"}


def test_each_has_its_own_keychain_setting(two: Two) -> None:
    two.whole.college.onefile.sow({"organisations": [{"ID": OTHER, "KeychainCreationForNewUserActive": True}]})

    assert two.run(ORGANISATION).is_in_sync
    assert two.run(OTHER).is_in_sync

    world = two.whole.college.onefile.world
    assert {world.users[email.user_id].organisation_id for email in world.emails} == {OTHER}
    assert two.misids(OTHER) == {"P1-other", "C1-other", "A9", "L1-other"}
    assert two.run(OTHER).calls == 0
