"""An undo takes back what a run has sent, where OneFile still has it, and lists the rest."""

from datetime import timedelta
from typing import Any

import pytest

from syncd.core.compare import Clear
from syncd.core.fields import Role
from syncd.core.run import Action, RunState, Trigger
from syncd.core.undo import NotUndone, Obstacle
from syncd.errors import NothingToSettle
from syncd.operations.rekey import Move, rekey_plan
from syncd.operations.verify import verify_once
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals, held_records, runs, undo
from syncd.state.held_records import Selection
from syncd.state.retention import purge
from syncd.sync.run import RunResult, execute, undo_once
from tests.support.college import College, Found
from tests.support.guard import FixedLimits
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .whole import Whole

World = dict[tuple[str, int], tuple[dict[str, Any], bool]]


def _world(college: College) -> World:
    """Every user and place of OneFile, field by field, and whether it is archived."""
    world = college.onefile.world
    users = {("User", user.id): (dict(user.values), user.is_archived) for user in world.users.values()}
    placements = {("Placement", place.id): (dict(place.values), False) for place in world.placements.by_id.values()}
    return users | placements


def _undo(college: College, number: int, *misids: str, **options: Any) -> RunResult:
    return undo_once(college.context, number, frozenset(misids), **options)


def _left(college: College, number: int) -> list[tuple[str, Action, tuple[str, ...], Obstacle]]:
    with college.context.store.begin() as connection:
        found: list[NotUndone] = undo.left(session_on(connection, ORGANISATION), number)
    return [(one.key.misid, one.action, one.fields, one.obstacle) for one in found]


def _approve(college: College) -> None:
    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), None, "Ann")


def _retry(college: College, *misids: str) -> int:
    with college.context.store.begin() as connection:
        return held_records.retry(session_on(connection, ORGANISATION, college.clock()), Selection(misids))


def _change(college: College, misid: str, **values: Any) -> None:
    """Change an account by hand in OneFile."""
    (user,) = college.in_onefile(misid)
    user.values.update(values)


@pytest.fixture
def college(found: Found) -> College:
    """Ten learners in step, with telephones."""
    college = found()
    college.with_policy(max_in_flight=1)
    college.enrol(*(f"L{number}" for number in range(10)), phone="0100")
    assert college.run().is_in_sync
    college.writes()
    return college


def test_updates_are_reverted_and_stay_reverted_until_the_record_changes(college: College) -> None:
    before = _world(college)
    college.correct("L1", phone="0200")
    college.correct("L2", phone="0300", surname="Changed")
    sent = college.run()
    college.writes()

    done = _undo(college, sent.run)

    assert (done.state, done.sent, done.is_in_sync) == (RunState.FINISHED, 2, True)
    assert _world(college) == before
    assert [body for _, body in college.writes()] == [
        {"Telephone": "0100"},
        {"Telephone": "0100", "LastName": "Example-L2"},
    ]
    for _ in range(3):
        poll = college.run()
        assert (poll.sent, poll.state, college.held) == (0, RunState.FINISHED, {"L1": "rejected", "L2": "rejected"})
    assert "an operator has undone this change: update of Telephone" in college.detail("L1")
    assert _world(college) == before

    college.correct("L1", surname="New")
    assert _retry(college, "L2") == 1
    assert college.run().sent == 2
    assert [body for _, body in college.writes()] == [
        {"LastName": "New", "Telephone": "0200"},
        {"LastName": "Changed", "Telephone": "0300"},
    ]
    assert college.run().is_in_sync


def test_undo_of_an_undo_makes_the_changes_again(college: College) -> None:
    before = _world(college)
    college.correct("L1", phone="0200")
    college.enrol("N1")
    sent = college.run()
    after = _world(college)
    first = _undo(college, sent.run)
    undone = _world(college)

    second = _undo(college, first.run)

    assert second.is_in_sync
    assert _world(college) == after
    poll = college.run()
    assert (poll.sent, college.held) == (0, {})
    third = _undo(college, second.run)
    assert third.is_in_sync
    assert _world(college) == undone
    assert {each for each, (_, is_archived) in undone.items() if is_archived} == undone.keys() - before.keys()
    poll = college.run()
    assert (poll.sent, college.held) == (0, {"L1": "rejected", "N1": "rejected"})


def test_value_that_was_changed_by_hand_since_is_left_and_listed(college: College) -> None:
    college.correct("L1", phone="0200", surname="Changed")
    college.correct("L2", phone="0200")
    college.enrol("N1", "N2")
    sent = college.run()
    _change(college, "L1", Telephone="0999")
    _change(college, "N1", LastName="By hand")
    college.writes()

    done = _undo(college, sent.run)

    assert (done.state, done.not_undone, done.is_in_sync) == (RunState.FINISHED, 2, False)
    assert _left(college, done.run) == [
        ("L1", Action.UPDATE, ("Telephone",), Obstacle.CHANGED),
        ("N1", Action.CREATE, ("LastName",), Obstacle.CHANGED),
    ]
    assert [body for _, body in college.writes()] == [{"LastName": "Example-L1"}, {"Telephone": "0100"}, None]
    assert college.run().sent == 0
    (user,) = college.in_onefile("L1")
    assert (user.values["Telephone"], user.values["LastName"]) == ("0999", "Example-L1")


@pytest.mark.parametrize(("clear", "left"), [(Clear.KEEP, 1), (Clear.EMPTY, 0), (Clear.NULL, 0)])
def test_field_that_was_empty_is_cleared_only_if_the_setting_allows_it(found: Found, clear: Clear, left: int) -> None:
    college = found(clearing=True)
    college.with_policy(clear=clear)
    college.enrol("L1", "L2", phone=None)
    college.run()
    before = _world(college)
    college.correct("L1", phone="0200")
    sent = college.run()

    done = _undo(college, sent.run)

    assert (done.not_undone, done.sent) == (left, 1 - left)
    assert (_world(college) == before) is not bool(left)
    assert _left(college, done.run) == [("L1", Action.UPDATE, ("Telephone",), Obstacle.EMPTY_BEFORE)] * left
    assert college.run().sent == 0
    assert _undo(college, sent.run).sent == 0


def test_undo_is_limited_to_the_named_records(college: College) -> None:
    college.correct("L1", phone="0200")
    college.correct("L2", phone="0200")
    sent = college.run()
    college.writes()

    assert _undo(college, sent.run, "L2").sent == 1
    assert [body for _, body in college.writes()] == [{"Telephone": "0100"}]
    with pytest.raises(NothingToSettle, match="has sent nothing for L3"):
        _undo(college, sent.run, "L2", "L3")
    # What is undone already is not sent again.
    assert _undo(college, sent.run).sent == 1


def test_created_account_is_archived_until_its_record_changes(college: College) -> None:
    college.enrol("N1", "N2")
    sent = college.run()
    _undo(college, sent.run)
    college.writes()
    for _ in range(2):
        assert (college.run().sent, college.held) == (0, {"N1": "rejected", "N2": "rejected"})
    assert "undone that its account was created or unarchived: it stays archived" in college.detail("N1")
    college.correct("N1", surname="Corrected")
    assert _retry(college, "N2") == 1

    assert college.run().is_in_sync

    assert [(user.is_archived, user.values["LastName"]) for user in college.in_onefile("N1")] == [(False, "Corrected")]
    assert [user.is_archived for user in college.in_onefile("N2")] == [False]
    college.with_policy(archives_leavers=True, grace=timedelta())
    college.withdraw("N1", "N2")
    college.run()
    college.enrol("N1", surname="Corrected")
    college.enrol("N2")
    assert college.run().applied[Action.UNARCHIVE] == 2


def test_archived_leaver_is_unarchived_and_stays_a_leaver(college: College) -> None:
    college.with_policy(archives_leavers=True, grace=timedelta(days=1))
    college.withdraw("L1", "L2")
    college.run()
    before = _world(college)
    college.pass_days(2)
    with college.context.store.begin() as connection:
        last = runs.last(session_on(connection, ORGANISATION))
    assert last is not None
    assert _world(college) != before

    done = _undo(college, last.id)

    assert (done.is_in_sync, _world(college)) == (True, before)
    for _ in range(2):
        poll = college.run()
        assert (poll.sent, poll.counts.leavers, college.held) == (0, 0, {"L1": "rejected", "L2": "rejected"})
    # One that was back and is gone again is archived as any other.
    college.enrol("L1", phone="0100")
    assert college.run().sent == 0
    college.withdraw("L1")
    college.run()
    college.pass_days(2)
    assert [user.is_archived for user in college.in_onefile("L1")] == [True]
    assert [user.is_archived for user in college.in_onefile("L2")] == [False]
    assert _retry(college, "L2") == 1
    assert college.run().applied == {Action.ARCHIVE: 1}


def test_unarchived_returner_is_archived_again(college: College) -> None:
    college.with_policy(archives_leavers=True, grace=timedelta())
    college.withdraw("L1")
    college.run()
    before = _world(college)
    college.enrol("L1", phone="0500")
    sent = college.run()
    assert sent.applied == {Action.UNARCHIVE: 1, Action.UPDATE: 1}

    first = _undo(college, sent.run)

    assert (first.is_in_sync, _world(college)) == (True, before)
    assert (college.run().sent, college.held) == (0, {"L1": "rejected"})
    second = _undo(college, first.run)
    assert second.applied == {Action.UNARCHIVE: 1, Action.UPDATE: 1}
    assert (college.run().sent, college.held) == (0, {})


def test_two_undone_runs_of_one_record_stay_undone(college: College) -> None:
    college.correct("L1", phone="0200")
    first = college.run()
    college.correct("L1", surname="Changed")
    second = college.run()

    _undo(college, second.run)
    _undo(college, first.run)

    assert (college.run().sent, college.held) == (0, {"L1": "rejected"})
    assert "update of LastName, Telephone" in college.detail("L1")


def test_large_undo_waits_and_its_approval_sends_exactly_it(college: College) -> None:
    for number in range(6):
        college.correct(f"L{number}", phone="0200")
    sent = college.run()
    college.with_policy(limits=FixedLimits(3), max_in_flight=1)
    college.writes()

    done = _undo(college, sent.run)

    assert (done.state, done.sent) == (RunState.AWAITING_APPROVAL, 0)
    assert "6 updates where 3 are allowed in one run" in done.reason
    assert college.run().sent == 0
    assert college.writes() == []
    with college.context.store.begin() as connection:
        waiting = runs.waiting(session_on(connection, ORGANISATION))
    assert waiting is not None
    assert (waiting.id, waiting.undone_run_id) == (done.run, sent.run)
    _approve(college)
    _change(college, "L5", Telephone="0999")
    college.correct("L9", phone="0900")

    poll = college.run()

    assert [body for _, body in college.writes()] == [{"Telephone": "0100"}] * 5 + [{"Telephone": "0900"}]
    assert (poll.sent, len(college.held)) == (1, 5)
    college.run()
    assert college.writes() == []
    (user,) = college.in_onefile("L5")
    assert user.values["Telephone"] == "0999"


def test_rejected_undo_sends_nothing(college: College) -> None:
    for number in range(6):
        college.correct(f"L{number}", phone="0200")
    sent = college.run()
    college.with_policy(limits=FixedLimits(3))
    _undo(college, sent.run)
    college.writes()
    with college.context.store.begin() as connection:
        approvals.reject(session_on(connection, ORGANISATION, college.clock()), None, "Ann")
    assert college.run().is_in_sync
    assert college.writes() == []
    # The MIS may ask for the same.
    college.correct("L1", phone="0100")
    assert college.run().is_in_sync
    assert college.writes() == [(f"/User/{college.known_id('L1')}", {"Telephone": "0100"})]


def test_undone_value_is_sent_if_the_record_comes_to_it_once_more(college: College) -> None:
    college.correct("L1", phone="0200")
    college.correct("L2", phone="0200")
    _undo(college, college.run().run)
    assert college.run().held == 2
    college.correct("L1", phone="0100")
    college.correct("L2", phone="0300")
    assert college.run().is_in_sync

    college.correct("L1", phone="0200")
    college.correct("L2", phone="0200")

    assert college.run().is_in_sync
    assert [user.values["Telephone"] for misid in ("L1", "L2") for user in college.in_onefile(misid)] == ["0200"] * 2


def test_what_onefile_cannot_take_back_is_listed(found: Found) -> None:
    whole = Whole(found(keychain=True))
    whole.add_everything()
    whole.people[Role.EMPLOYER][0]["GrantAccess"] = "no"
    whole.links = {Role.IQA: [("L1", "Q1")]}
    college = whole.college

    sent = whole.run()
    done = _undo(college, sent.run)

    assert _left(college, done.run) == [
        ("P1", Action.CREATE, (), Obstacle.PLACE),
        ("C1", Action.CREATE, (), Obstacle.PLACE),
        ("A9", Action.CREATE, (), Obstacle.EMAIL),
        ("Q1", Action.CREATE, (), Obstacle.EMAIL),
        ("E1", Action.ASSIGN, ("GrantAccess", "PlacementID"), Obstacle.ASSIGNMENT),
        ("E1", Action.CREATE, (), Obstacle.EMAIL),
        ("L1", Action.ASSIGN, ("LearnerID", "Level", "UserID"), Obstacle.ASSIGNMENT),
        ("L1", Action.CREATE, (), Obstacle.EMAIL),
    ]
    assert done.applied == {Action.ARCHIVE: 4}
    whole.forget()
    for _ in range(2):
        assert (whole.run().sent, whole.told) == (0, [])


def _misids(prefix: str, *numbers: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(*numbers)]


def _mixed(whole: Whole) -> None:
    """Changes of every kind, after a run: 221 calls."""
    learners = whole.people[Role.LEARNER]
    by_misid = {row["MISID"]: row for row in learners}
    for misid in _misids("K", 40):
        by_misid[misid] |= {"Telephone": f"02-{misid}", "DOB": "2002-03-04"}
    for misid in _misids("K", 40, 60):
        by_misid[misid] |= {"LastName": f"Changed-{misid}", "Email": f"new-{misid}@college.example"}
    for misid in _misids("K", 60, 70):
        by_misid[misid] |= {"MobileNumber": "07700", "PlacementMISID": "P11"}
    for misid in _misids("K", 70, 100):
        learners.remove(by_misid[misid])
    whole.add(Role.ASSESSOR, "A2")
    for misid in _misids("K", 100, 110):
        by_misid[misid]["DefaultAssessorMISID"] = "A2"
    for misid in _misids("N", 40):
        whole.learner(misid, DefaultAssessorMISID="A2")
    for row in whole.people[Role.PLACEMENT][1:]:
        row |= {"Address": "2 Low Street\nLeeds", "Contact": "Sam"}
    whole.links = {Role.IQA: [(misid, "Q1") for misid in _misids("K", 20)]}


@pytest.mark.slow
def test_run_of_200_mixed_changes_is_undone_field_by_field(found: Found) -> None:
    whole = Whole(found())
    college = whole.college
    college.with_policy(archives_leavers=True, grace=timedelta())
    whole.add_everything()
    for misid in _misids("P", 10, 20):
        whole.add(Role.PLACEMENT, misid, Address="1 High Street", Contact="Kim")
    for misid in _misids("K", 160):
        whole.learner(misid, Telephone="0100", DOB="2001-02-03", MobileNumber=None)
    whole.run()
    learners = whole.people[Role.LEARNER]
    away = learners[-20:]
    del learners[-20:]
    whole.run()
    before = _world(college)
    _mixed(whole)
    learners += [row | {"Telephone": "0900"} for row in away]
    sent = whole.run()
    assert (sent.state, sent.refused, sent.sent) == (RunState.FINISHED, 0, 221)
    after = _world(college)

    done = _undo(college, sent.run)

    assert (done.state, done.refused) == (RunState.FINISHED, 0)
    assert {(misid, fields, obstacle) for misid, _, fields, obstacle in _left(college, done.run)} == {
        *((misid, ("MobileNumber",), Obstacle.EMPTY_BEFORE) for misid in _misids("K", 60, 70)),
        *((misid, ("LearnerID", "Level", "UserID"), Obstacle.ASSIGNMENT) for misid in _misids("K", 20)),
    }
    now = _world(college)
    for values, _ in (now[each] for each in before):
        if values["MISID"] in _misids("K", 60, 70):
            assert values.pop("MobileNumber") == "07700"
    assert {each: now[each] for each in before} == before
    created = now.keys() - before.keys()
    assert (len(created), {now[each][1] for each in created}) == (41, {True})
    college.writes()
    for _ in range(2):
        assert (whole.run().sent, college.writes()) == (0, [])

    again = _undo(college, done.run)

    assert (again.refused, again.not_undone, _world(college)) == (0, 0, after)
    poll = whole.run()
    assert (poll.sent, poll.held) == (0, 0)


def test_leaver_whose_update_is_undone_stays_a_leaver(college: College) -> None:
    college.correct("L1", phone="0200")
    sent = college.run()
    college.withdraw("L1")
    college.run()
    assert _undo(college, sent.run).is_in_sync
    (user,) = college.in_onefile("L1")
    assert user.values["Telephone"] == "0100"
    poll = college.run()
    assert (poll.counts.leavers, poll.left, poll.sent) == (0, 1, 0)


def test_lost_answer_of_an_undo_sends_nothing_again_and_is_settled_by_the_next(college: College) -> None:
    college.correct("L1", phone="0200")
    college.correct("L2", phone="0200")
    sent = college.run()
    (user,) = college.in_onefile("L2")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path=f"/User/{user.id}", method="POST", times=3))
    done = _undo(college, sent.run)
    assert (done.in_doubt, done.applied) == (1, {Action.UPDATE: 1})
    college.writes()
    assert (college.run().sent, sorted(college.held)) == (0, ["L1", "L2"])

    again = _undo(college, sent.run)

    assert (again.sent, again.is_in_sync, college.writes()) == (0, True, [])
    assert [user.values["Telephone"] for misid in ("L1", "L2") for user in college.in_onefile(misid)] == ["0100"] * 2
    assert (college.run().sent, sorted(college.held)) == (0, ["L1", "L2"])


def test_employer_whose_move_is_undone_is_not_assigned_to_the_new_placement(found: Found) -> None:
    whole = Whole(found())
    whole.add_everything()
    whole.people[Role.EMPLOYER][0]["GrantAccess"] = "no"
    whole.add(Role.PLACEMENT, "P2")
    whole.run()
    whole.people[Role.EMPLOYER][0]["PlacementMISID"] = "P2"
    sent = whole.run()
    done = _undo(whole.college, sent.run)
    assert _left(whole.college, done.run) == [
        ("E1", Action.ASSIGN, ("GrantAccess", "PlacementID"), Obstacle.ASSIGNMENT)
    ]
    whole.forget()
    for _ in range(2):
        assert (whole.run().sent, whole.told) == (0, [])


def test_values_that_a_verify_has_corrected_have_no_known_value_before(college: College) -> None:
    _change(college, "L1", Telephone="0999")
    fixed = verify_once(college.context, Trigger.VERIFY, fix=True).done
    done = _undo(college, fixed.run)
    assert _left(college, done.run) == [("L1", Action.UPDATE, ("Telephone",), Obstacle.NOT_STORED)]


def test_account_of_another_record_is_left_alone(college: College) -> None:
    college.correct("L1", phone="0200")
    sent = college.run()
    college.withdraw("L1")
    college.enrol("M1", surname="Example-L1", email="L1@students.example.org", phone="0200")
    execute(college.context, Trigger.REKEY, rekey_plan([Move(Role.LEARNER, "L1", "M1")]))
    done = _undo(college, sent.run)
    assert _left(college, done.run) == [("L1", Action.UPDATE, ("Telephone",), Obstacle.OTHER_RECORD)]


def test_deleted_account_is_listed(college: College) -> None:
    college.correct("L1", phone="0200")
    sent = college.run()
    (user,) = college.in_onefile("L1")
    del college.onefile.world.users[user.id]
    done = _undo(college, sent.run)
    assert _left(college, done.run) == [("L1", Action.UPDATE, ("Telephone",), Obstacle.GONE)]


def test_undo_of_a_stopped_run_whose_approved_part_was_sent_still_has_its_values(college: College) -> None:
    college.with_policy(limits=FixedLimits(3))
    for number in range(5):
        college.correct(f"L{number}", phone="0200")
    college.run()
    _approve(college)
    college.enrol(*(f"N{number}" for number in range(4)))
    sent = college.run()
    assert (sent.state, sent.sent) == (RunState.AWAITING_APPROVAL, 5)
    college.enrol("N4")
    college.run()
    college.with_policy(limits=FixedLimits(9))

    done = _undo(college, sent.run)

    assert (done.applied, done.is_in_sync) == ({Action.UPDATE: 5}, True)


def test_undo_and_its_list_are_purged_with_their_run(college: College) -> None:
    college.correct("L1", phone="0200")
    sent = college.run()
    _change(college, "L1", Telephone="0999")
    done = _undo(college, sent.run)
    assert _left(college, done.run)
    _undo(college, sent.run)
    store, later = college.context.store, college.clock() + timedelta(days=60)
    purge(store, [ORGANISATION], later, timedelta(days=30))
    assert _left(college, done.run) == []


def test_runs_that_cannot_be_undone_are_refused(college: College) -> None:
    quiet = college.run()
    for number, organisations, sentence in (
        (99, {ORGANISATION}, "There is no run 99"),
        (quiet.run, {ORGANISATION}, f"Run {quiet.run} has sent nothing"),
        (quiet.run, {ORGANISATION + 1}, f"Run {quiet.run} is of organisation {ORGANISATION}"),
    ):
        with college.context.store.begin() as connection, pytest.raises(NothingToSettle, match=sentence):
            undo.check(session_on(connection, ORGANISATION), organisations, number)
    with college.context.store.begin() as connection:
        number = runs.start(session_on(connection, ORGANISATION, college.clock()), Trigger.SCHEDULE)
    with pytest.raises(NothingToSettle, match=f"Run {number} is not finished"):
        _undo(college, number)
