"""Several organisations under one customer token: one MIS, and a turn for each."""

from dataclasses import replace
from datetime import timedelta

import pytest

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.errors import ConfigurationError
from syncd.operations.explain import Decision, explain
from syncd.state import accounts, held_records
from syncd.sync.planner import make_plan
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
    two.run(ORGANISATION)
    two.run(OTHER)
    # What these runs have sent no longer counts for the limit of a week.
    two.whole.college.clock.go_on(days=8)
    # A quarter of the four accounts that each of them has.
    two.whole.college.with_policy(limits=Limits(percent=0, floor=4, percent_day=25))
    theirs = {"ClassroomMISID": "C1-other", "PlacementMISID": "P1-other", "DefaultEmployerMISID": None}
    two.whole.learner("L2", OrganisationID=ORGANISATION, DefaultEmployerMISID=None)
    two.whole.learner("L2-other", OrganisationID=OTHER, **theirs)
    two.whole.learner("L3-other", OrganisationID=OTHER, **theirs)

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
    assert two.held(ORGANISATION) == {"L9": "unusable", "L7": "missing", "L8": "unusable"}


def test_each_has_its_own_keychain_setting(two: Two) -> None:
    two.whole.college.onefile.sow({"organisations": [{"ID": OTHER, "KeychainCreationForNewUserActive": True}]})

    assert two.run(ORGANISATION).is_in_sync
    assert two.run(OTHER).is_in_sync

    world = two.whole.college.onefile.world
    assert {world.users[email.user_id].organisation_id for email in world.emails} == {OTHER}
    assert two.misids(OTHER) == {"P1-other", "C1-other", "A9", "L1-other"}
    assert two.run(OTHER).calls == 0


@pytest.mark.parametrize("feed", [Role.LEARNER, Role.ASSESSOR, Role.PLACEMENT, "IQA links"])
def test_a_feed_without_the_organisation_column_is_a_configuration_error(two: Two, feed: str) -> None:
    two.whole.links[Role.IQA] = []
    for role, rows in two.whole.people.items():
        for row in rows:
            if role == feed:
                del row["OrganisationID"]
    two.whole.write()
    context = two.whole.college.context
    links = tuple(
        replace(each, query='SELECT LearnerMISID, UserMISID, 5740 AS OrganisationID FROM "IQA links"')
        for each in context.assignment_feeds
        if feed != each.name
    )
    context = replace(context, assignment_feeds=links or context.assignment_feeds)

    for organisation_id in (ORGANISATION, OTHER):
        with pytest.raises(ConfigurationError, match=f"Feed {feed}: the column OrganisationID is missing"):
            run_once(context.for_organisation(organisation_id), Trigger.SCHEDULE)
        with pytest.raises(ConfigurationError, match=f"Feed {feed}: .* because onefile.organisations is set"):
            make_plan(context.for_organisation(organisation_id))
    assert not two.whole.college.onefile.journal.writes


@pytest.mark.parametrize("empty", [None, "", "   "])
@pytest.mark.parametrize("role", [Role.LEARNER, Role.ASSESSOR, Role.PLACEMENT])
def test_a_new_row_that_names_no_organisation_is_held_by_the_main_one(two: Two, role: Role, empty: str | None) -> None:
    assert two.run(ORGANISATION).is_in_sync
    assert two.run(OTHER).is_in_sync
    two.whole.forget()
    row = dict(two.whole.people[role][-1]) | {"MISID": "N1", "OrganisationID": empty}
    two.whole.people[role].append(row | ({"Name": "Elsewhere"} if role is Role.PLACEMENT else {}))

    two.run(OTHER)
    two.run(ORGANISATION)

    assert (two.held(OTHER), two.held(ORGANISATION)) == ({}, {"N1": "missing"})
    assert two.whole.told == []
    two.whole.people[role][-1]["OrganisationID"] = OTHER
    two.run(OTHER)
    two.run(ORGANISATION)
    assert (two.held(OTHER), two.held(ORGANISATION)) == ({}, {})
    assert ("N1" in two.misids(OTHER), "N1" in two.misids(ORGANISATION)) == (True, False)


@pytest.mark.parametrize("value", [None, pytest.param("unknown", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("misid", "organisation_id"), [("L1", ORGANISATION), ("L1-other", OTHER)])
def test_account_whose_row_stops_naming_its_organisation_is_no_leaver(
    two: Two, misid: str, organisation_id: int, value: str | None
) -> None:
    two.whole.college.with_policy(archives_leavers=True)
    for learner, place in (("L5", ""), ("L5-other", "-other")):
        where = OTHER if place else ORGANISATION
        codes = {"ClassroomMISID": f"C1{place}", "PlacementMISID": f"P1{place}", "DefaultEmployerMISID": None}
        two.whole.learner(learner, OrganisationID=where, **codes)
    (row,) = (row for row in two.whole.people[Role.LEARNER] if row["MISID"] == misid)
    # A value that is gone has the account compared by every poll.
    for telephone in ("0113", None):
        row["Telephone"] = telephone
        assert two.run(ORGANISATION).is_in_sync
        assert two.run(OTHER).is_in_sync
    two.whole.forget()
    row["OrganisationID"] = value

    for number, hours in enumerate((1, 1, 1, 20 * 24, 1, 1)):
        # A person changes as well, so that polls are not quiet.
        two.whole.people[Role.LEARNER][-1]["Telephone"] = f"0113 {number}"
        two.whole.people[Role.LEARNER][-2]["Telephone"] = f"0113 {number}"
        for each in (ORGANISATION, OTHER):
            assert two.run(each).left == 0
        two.whole.college.clock.now += timedelta(hours=hours)

    reason = "missing" if value is None else "unusable"
    assert (two.held(ORGANISATION), two.held(OTHER)) == ({misid: reason}, {})
    assert all(body.keys() == {"Telephone"} for _, body in two.whole.told)
    context = two.whole.college.context.for_organisation(organisation_id)
    (told,) = explain(context, misid).records
    assert told.decided.decision is Decision.HELD
    row["OrganisationID"] = organisation_id
    two.run(ORGANISATION)
    two.run(OTHER)
    assert (two.held(ORGANISATION), two.held(OTHER), two.whole.told) == ({}, {}, [])


@pytest.mark.slow
def test_polls_with_a_row_without_organisation_plan_what_a_full_read_does(two: Two) -> None:
    learners = two.whole.people[Role.LEARNER]
    for number in range(6):
        learners.append(learners[number % 2] | {"MISID": f"M{number}"})
    for change in range(12):
        learners[change % 8]["OrganisationID"] = (None, ORGANISATION, OTHER, "?")[change % 4]
        learners[(change + 3) % 8]["LastName"] = f"Name {change}"
        two.whole.write()
        for each in (ORGANISATION, OTHER):
            context = two.whole.college.context.for_organisation(each)
            for _ in range(2):
                poll, full = (make_plan(context, is_poll=is_poll).plan for is_poll in (True, False))
                assert sorted(map(repr, poll.steps())) == sorted(map(repr, full.steps()))
                assert sorted(map(repr, (*poll.held, *poll.leavers))) == sorted(map(repr, (*full.held, *full.leavers)))
                assert poll.unchanged == full.unchanged
                run_once(context, Trigger.SCHEDULE)


def test_with_one_organisation_a_row_that_names_none_belongs_to_it(found: Found) -> None:
    college = found()
    college.with_feed(college.context.feeds[0].query.replace("FROM person", ", NULL AS OrganisationID FROM person"))
    college.enrol("L1")

    assert college.run().is_in_sync
    assert college.known_id("L1") is not None
