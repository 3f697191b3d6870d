"""What has been changed in OneFile by hand is found, named, and with --fix put right."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog

from syncd.core.drift import DriftKind
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.errors import OneFileUnreachable, Refused
from syncd.onefile import Yielded
from syncd.operations.verify import VerifyProgress, VerifyResult, verify_once
from syncd.simulator import DateForm, Fault, FaultKind, world
from syncd.simulator.field_rules import updated
from syncd.state import accounts, approvals, runs
from syncd.sync.context import Feed
from tests.support.college import College, Found
from tests.support.onefile import CLASSROOM, ORGANISATION
from tests.support.sessions import session_on

#: A learner with a value of every kind, dates in summer and in winter, and dirt that OneFile may tidy.
_FULL_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, phone AS Telephone,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID,
       '2004-06-01' AS DOB, '2026-01-15' AS StartOn, '2027-07-31' AS PlannedEndDate, '1970-01-01' AS CentreRegister,
       '2025-07-01T10:30:15.250Z' AS CreatedOn,
       CASE misid WHEN 'L1' THEN '1000000000' WHEN 'L2' THEN '1000000019' WHEN 'L3' THEN '1000000027'
                  ELSE '1000000035' END AS ULN,
       'ab 12 34 5' || substr(misid, 2) || ' c' AS NINO,
       '31' AS L12, 9 AS L14, 'true' AS SupportFunding, 0 AS LearnerStatusID,
       '1 High Street' || char(13) || char(10) || 'Ynys Môn' || char(10) AS HomeAddress
FROM person
"""
_STAFF_FEED = """
SELECT 'S1' AS MISID, 'Tunde' AS FirstName, 'O''Brien' AS LastName, 'tunde@example.org' AS Email
"""


def _verify(college: College, **options: Any) -> VerifyResult:
    college.onefile.journal.clear()
    return verify_once(college.context, Trigger.VERIFY, **options)


def _edit(college: College, misid: str, user_id: int | None = None, **values: Any) -> None:
    """Change an account as a person does in OneFile's own pages; the UserID, if OneFile has another MISID."""
    users = college.onefile.world.users
    (user,) = [users[user_id]] if user_id is not None else college.onefile.world.users_with_misid(misid)
    for name, value in values.items():
        user.values[name] = value
    user.modified_at = college.clock.timestamp()


def _read_back(college: College) -> list[str]:
    """The MISIDs of the accounts that were read since the last look."""
    users = college.onefile.world.users
    gets = [call.path for call in college.onefile.journal.calls if call.method == "GET"]
    return sorted(str(users[int(path.removeprefix("/User/"))].misid) for path in gets)


def _named(verified: VerifyResult) -> dict[str, tuple[str, ...]]:
    return {one.key.misid: one.fields for one in verified.drift}


def _pass(college: College, **time: float) -> None:
    college.clock.now += timedelta(**time)


@pytest.fixture
def college(found: Found) -> College:
    """Four learners and an assessor in OneFile, verified two days after their creation, and two days ago."""
    college = found()
    college.context = replace(
        college.context,
        feeds=(Feed("staff", Role.ASSESSOR, _STAFF_FEED), Feed("learners", Role.LEARNER, _FULL_FEED)),
    )
    college.enrol("L1", "L2", "L3", "L4", phone="01248 1")
    assert college.run().is_in_sync
    _pass(college, days=2)
    first = _verify(college)
    assert (first.is_full, first.checked, first.drift) == (True, 5, ())
    _pass(college, days=2)
    return college


@pytest.mark.parametrize("date_form", DateForm)
@pytest.mark.parametrize("full_rows", [False, True])
def test_verify_after_run_finds_no_drift_in_any_response_form(
    found: Found, date_form: DateForm, full_rows: bool
) -> None:
    college = found(date_form=date_form, full_rows=full_rows)
    college.with_feed(_FULL_FEED)
    college.enrol("L1", "L2", phone="01248 1")
    college.run()

    verified = _verify(college)

    assert (verified.checked, verified.drift, verified.not_told) == (2, (), frozenset())
    assert _read_back(college) == ["L1", "L2"]
    assert college.writes() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LastName", "Another"),
        ("DOB", "2004-06-02T00:00:00.000Z"),
        ("HomeAddress", "1 High Street"),
        ("SupportFunding", False),
        ("MISID", "L1-old"),
        ("Telephone", None),
    ],
)
@pytest.mark.parametrize("date_form", DateForm)
def test_one_field_edited_by_hand_is_found_and_named(
    found: Found, date_form: DateForm, name: str, value: object
) -> None:
    college = found(date_form=date_form)
    college.with_feed(_FULL_FEED)
    college.enrol("L1", "L2", phone="01248 1")
    college.run()
    user_id = college.known_id("L1")
    _edit(college, "L1", None, **{name: value})

    verified = _verify(college)

    (drift,) = verified.left
    assert (drift.key.misid, drift.user_id, drift.kind, drift.fields) == ("L1", user_id, DriftKind.CHANGED, (name,))
    assert verified.left == verified.drift
    assert college.writes() == []


def test_yielded_verify_resumes_and_next_verify_finds_edits_made_meanwhile(found: Found) -> None:
    college = found()
    college.with_feed(_FULL_FEED)
    college.enrol("L1", "L2", "L3", "L4", phone="01248 1")
    college.run()
    _pass(college, days=2)
    college.with_policy(max_in_flight=1)
    _edit(college, "L2", FirstName="Anna")
    college.onefile.journal.clear()
    so_far = VerifyProgress()
    called_aside = replace(college.context, should_yield=lambda: len(_read_back(college)) >= 2)
    with pytest.raises(Yielded):
        verify_once(called_aside, Trigger.VERIFY, so_far=so_far)
    first = [key.misid for key in so_far.findings.seen]
    assert sorted(first) == _read_back(college)
    assert len(first) == 2

    _pass(college, days=2)
    edited = next(misid for misid in first if misid != "L2")
    _edit(college, edited, LastName="Another")
    verified = _verify(college, so_far=so_far)

    assert sorted([*first, *_read_back(college)]) == ["L1", "L2", "L3", "L4"]
    assert (verified.is_full, verified.checked, _named(verified)) == (True, 4, {"L2": ("FirstName",)})
    again = _verify(college)
    assert not again.is_full
    assert _named(again) == {"L2": ("FirstName",), edited: ("LastName",)}


def test_account_forgotten_during_yielded_verify_is_not_fixed(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2", "L3")
    college.run()
    college.with_policy(max_in_flight=1)
    for misid in ("L1", "L2", "L3"):
        _edit(college, misid, FirstName="Anna")
    college.writes()
    so_far = VerifyProgress()
    called_aside = replace(college.context, should_yield=lambda: len(_read_back(college)) >= 2)
    with pytest.raises(Yielded):
        verify_once(called_aside, Trigger.VERIFY, so_far=so_far)
    gone = min(so_far.findings.seen)
    with college.context.store.begin() as connection:
        accounts.forget(session_on(connection), gone)

    verified = _verify(college, so_far=so_far, fix=True)

    assert verified.done.state is RunState.FINISHED
    kept = {college.known_id(misid) for misid in ("L1", "L2", "L3") if misid != gone.misid}
    assert {path for path, _ in college.writes()} == {f"/User/{user_id}" for user_id in kept}


def test_only_the_accounts_touched_since_the_last_verify_are_read_back(college: College) -> None:
    _edit(college, "L2", FirstName="Anna")
    _edit(college, "S1", FirstName="Olatunde")

    verified = _verify(college)

    assert not verified.is_full
    assert _read_back(college) == ["L2", "S1"]
    assert _named(verified) == {"L2": ("FirstName",), "S1": ("FirstName",)}


def test_verify_reads_back_no_accounts_if_none_was_touched(college: College) -> None:
    verified = _verify(college)

    assert (verified.checked, verified.drift) == (0, ())
    # One search a role for what was changed, and one for what is listed as active: the learners take two pages.
    searches = [call.body.get("Role") for call in college.onefile.journal.calls if call.is_search]
    assert searches == [None, 5, 1, 5, 1, 1]
    assert _read_back(college) == []


@pytest.mark.parametrize(("hours", "is_read"), [(23, True), (25, False)])
def test_account_touched_within_a_day_before_last_verify_is_read_again(
    college: College, hours: int, is_read: bool
) -> None:
    _verify(college)
    _pass(college, hours=-hours)
    _edit(college, "L2")
    _pass(college, hours=hours)

    _verify(college)

    assert _read_back(college) == (["L2"] if is_read else [])


def test_drift_that_was_left_is_found_again_however_long_ago_it_came_about(college: College) -> None:
    _edit(college, "L2", FirstName="Anna")
    for _ in range(3):
        assert _named(_verify(college)) == {"L2": ("FirstName",)}
        assert _read_back(college) == ["L2"]
        _pass(college, hours=36)


def test_drift_of_more_than_can_be_remembered_is_found_again(college: College, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.operations.verify._MOST_REMEMBERED", 1)
    _edit(college, "L2", FirstName="Anna")
    _edit(college, "L3", FirstName="Anna")
    assert not _verify(college).is_full
    _pass(college, days=2)

    again = _verify(college)

    assert again.is_full
    assert _named(again) == {"L2": ("FirstName",), "L3": ("FirstName",)}


def test_verify_is_full_once_a_week_and_on_request(college: College) -> None:
    assert not _verify(college).is_full
    assert _verify(college, full=True).is_full
    _pass(college, days=6, hours=23)
    assert not _verify(college).is_full
    _pass(college, hours=1)
    weekly = _verify(college)
    assert (weekly.is_full, weekly.checked) == (True, 5)
    assert not _verify(college).is_full


def test_a_verify_that_did_not_finish_counts_for_nothing(college: College) -> None:
    _edit(college, "L2", FirstName="Anna")
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, method="GET", times=None))
    with pytest.raises(OneFileUnreachable):
        _verify(college)
    college.onefile.faults.clear()
    _pass(college, days=3)

    assert _named(_verify(college)) == {"L2": ("FirstName",)}


def test_a_refusal_that_does_not_mean_gone_ends_the_verify(college: College) -> None:
    _edit(college, "L2")
    college.onefile.world.switches = replace(college.onefile.world.switches, unknown_id_status=409)
    (user,) = college.onefile.world.users_with_misid("L2")
    del college.onefile.world.users[user.id]

    with pytest.raises(Refused):
        _verify(college, full=True)


@pytest.mark.parametrize("status", [400, 404])
def test_deleted_account_is_reported_missing_by_every_verify_and_not_fixed(found: Found, status: int) -> None:
    college = found(unknown_id_status=status)
    college.enrol("L1", "L2")
    college.run()
    user_id = college.known_id("L1")
    assert user_id is not None
    del college.onefile.world.users[user_id]

    for fix in (False, True):
        verified = _verify(college, fix=fix)
        assert [(one.key.misid, one.user_id, one.kind, one.fields) for one in verified.left] == [
            ("L1", user_id, DriftKind.MISSING, ())
        ]
        _pass(college, days=2)
    assert college.writes() == []


def test_field_returned_for_no_account_is_reported_and_is_not_drift(found: Found) -> None:
    college = found()
    college.with_feed(_FULL_FEED)
    college.enrol("L1", "L2")
    college.run()
    for misid in ("L1", "L2"):
        _edit(college, misid, L12=None, L14=None)

    verified = _verify(college, fix=True)

    assert verified.drift == ()
    assert verified.not_told == {"L12", "L14"}
    assert college.writes() == []


def test_field_emptied_in_only_touched_account_is_drift(college: College) -> None:
    _edit(college, "L2", Telephone=None)

    verified = _verify(college)

    assert _named(verified) == {"L2": ("Telephone",)}
    assert verified.not_told == frozenset()


def test_edited_value_that_was_never_sent_is_not_drift(college: College) -> None:
    _edit(college, "L2", MobileNumber="07700 900000", Website="https://example.org")

    assert _verify(college).drift == ()


def test_verify_does_not_read_back_leavers(college: College) -> None:
    college.withdraw("L4")
    college.run()
    _edit(college, "L4", FirstName="Anna")

    assert _verify(college, full=True, fix=True).drift == ()
    assert "L4" not in _read_back(college)
    with college.context.store.begin() as connection:
        assert accounts.leavers(session_on(connection, ORGANISATION)) == 1


def test_a_fix_sends_those_fields_again_and_then_nothing_is_found(college: College) -> None:
    _edit(college, "L2", FirstName="Anna", StartOn="2026-02-01T00:00:00.000Z")
    _edit(college, "S1", Email="other@example.org")
    (learner,), (assessor,) = (college.onefile.world.users_with_misid(misid) for misid in ("L2", "S1"))

    fixed = _verify(college, fix=True)

    assert _named(fixed) == {"L2": ("FirstName", "StartOn"), "S1": ("Email",)}
    assert fixed.left == ()
    assert college.writes() == [
        (f"/User/{assessor.id}", {"Email": "tunde@example.org"}),
        (f"/User/{learner.id}", {"FirstName": "Ann", "StartOn": "2026-01-15T00:00:00.000Z"}),
    ]
    assert college.outcomes("L2")[-1] == ("update", "applied")
    assert _verify(college, full=True).drift == ()
    # More than a day after the first run, the codes of the learners are looked up again.
    college.run()
    assert college.writes() == []
    after = college.run()
    assert (after.calls, after.unchanged) == (0, 5)
    with college.context.store.begin() as connection:
        assert accounts.count_by_feed(session_on(connection, ORGANISATION)) == {"learners": 4, "staff": 1}


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("LastName", "Another"),
        ("LastName", "Example"),
        ("Telephone", "012481"),
        ("Telephone", None),
        ("DOB", "2004-06-02T00:00:00.000Z"),
        ("MISID", "L2-old"),
    ],
)
def test_value_that_onefile_does_not_keep_is_reported_once_and_not_sent_again(
    college: College, monkeypatch: pytest.MonkeyPatch, name: str, stays: str | None
) -> None:
    _edit(college, "L2", None, **{name: stays})
    user_id = college.known_id("L2")
    monkeypatch.setattr(world, "updated", lambda values, sent, *rest: {**updated(values, sent, *rest), name: stays})

    assert _verify(college, fix=True).left == ()
    assert len(college.writes()) == 1

    reported = _verify(college, fix=True)
    assert [(one.user_id, one.fields, one.not_kept) for one in reported.left] == [(user_id, (name,), (name,))]
    assert college.writes() == []
    for full in (False, True):
        again = _verify(college, fix=True, full=full)
        assert (again.drift, again.left) == ((), ())
        assert college.writes() == []
    # Another value than the one that was reported is drift again.
    _edit(college, "L2", user_id, **{name: "Third-1" if name != "DOB" else "2004-06-03T00:00:00.000Z"})
    assert _named(_verify(college, full=True)) == {"L2": (name,)}


def test_value_not_kept_and_another_one_of_an_account_are_distinguished(
    college: College, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        world, "updated", lambda values, sent, *rest: {**updated(values, sent, *rest), "LastName": "Another"}
    )
    _edit(college, "L2", FirstName="Anna", LastName="Another")
    _verify(college, fix=True)
    assert [(one.fields, one.not_kept) for one in _verify(college).left] == [(("LastName",), ("LastName",))]
    _edit(college, "L2", FirstName="Anna")
    college.writes()

    fixed = _verify(college, fix=True)

    assert (_named(fixed), fixed.left) == ({"L2": ("FirstName",)}, ())
    assert [body for _, body in college.writes()] == [{"FirstName": "Ann"}]


def test_value_that_onefile_changes_is_sent_twice_at_most(college: College, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        world, "updated", lambda values, sent, *rest: {**updated(values, sent, *rest), "Telephone": "012481"}
    )
    _edit(college, "L2", Telephone="01248 2")

    found = [_named(_verify(college, fix=True)) for _ in range(5)]

    assert found == [{"L2": ("Telephone",)}] * 3 + [{}] * 2
    assert college.outcomes("L2").count(("update", "applied")) == 2


def test_value_kept_and_edited_again_is_fixed_again(college: College) -> None:
    for _ in range(3):
        _edit(college, "L2", LastName="Another")
        assert _verify(college, fix=True).left == ()
        assert len(college.writes()) == 1
        assert _verify(college).drift == ()


def test_letter_case_that_onefile_changes_is_no_drift(found: Found) -> None:
    college = found()
    college.with_feed(_FULL_FEED)
    college.enrol("L1", "L2", phone="01248 1", email="Ann.Example@Students.Example.org")
    college.run()
    _edit(college, "L1", Email="ann.example@students.example.org", LastName="EXAMPLE-L1")
    college.writes()

    verified = _verify(college, fix=True, full=True)

    assert (verified.drift, college.writes()) == ((), [])


def test_account_with_misid_edited_by_hand_is_found_by_userid_and_fixed(college: College) -> None:
    _edit(college, "L2", MISID="L2-old")

    assert _verify(college, fix=True).left == ()

    assert [user.id for user in college.in_onefile("L2")] == [college.known_id("L2")]


def test_a_fix_that_onefile_refuses_is_left_and_found_again(college: College) -> None:
    _edit(college, "L2", ClassroomID=1)
    del college.onefile.world.classrooms.by_id[CLASSROOM]

    fixed = _verify(college, fix=True)

    assert (fixed.done.refused, [one.key.misid for one in fixed.left]) == (1, ["L2"])
    _pass(college, days=3)
    assert _named(_verify(college)) == {"L2": ("ClassroomID",)}


def test_a_fix_that_is_too_large_waits_for_approval(college: College) -> None:
    college.with_policy(limits=Limits(percent=0, floor=1))
    _edit(college, "L2", FirstName="Anna")
    _edit(college, "L3", FirstName="Anna")

    stopped = _verify(college, fix=True)

    assert stopped.done.state is RunState.AWAITING_APPROVAL
    with college.context.store.begin() as connection:
        # Nor does what was found go unnoticed because nothing was done about it.
        assert getattr(runs.last(session_on(connection, ORGANISATION)), "drift", None) == 2
    assert stopped.done.objections == ("2 updates where 0 are allowed in one run without approval",)
    assert _named(stopped) == {"L2": ("FirstName",), "L3": ("FirstName",)}
    assert stopped.left == stopped.drift
    assert college.writes() == []

    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), stopped.done.run, "Ann")
    assert _verify(college, fix=True).left == ()
    assert len(college.writes()) == 2
    assert _verify(college, full=True).drift == ()


def test_a_verify_that_only_looks_is_never_too_large(college: College) -> None:
    college.with_policy(limits=Limits(percent=0, floor=0))
    _edit(college, "L2", FirstName="Anna")

    assert _verify(college).done.state is RunState.FINISHED


def test_the_log_and_the_run_say_what_was_found_in_names_alone(college: College) -> None:
    _edit(college, "L2", FirstName="Zz-by-hand")
    user_id = college.known_id("L2")

    with structlog.testing.capture_logs() as log:
        verified = _verify(college, fix=True)

    assert [entry["event"] for entry in log] == [
        "run_started",
        "drift_found",
        "plan_ready",
        "change_applied",
        "run_finished",
    ]
    # The run itself is bound to each line, which a capture of the log leaves out.
    found = log[1]
    assert (found["misid"], found["role"], found["user_id"]) == ("L2", "Learner", user_id)
    assert (found["kind"], found["fields"]) == ("changed", ["FirstName"])
    assert "Zz-by-hand" not in str(log)
    with college.context.store.begin() as connection:
        last = runs.last(session_on(connection, ORGANISATION))
        scope = runs.last_verify(session_on(connection, ORGANISATION), Trigger.VERIFY)
    assert last is not None
    assert (last.id, last.trigger, last.state) == (verified.done.run, "verify", "finished")
    assert scope is not None
    assert (last.reason, scope.is_full) == ("", False)
    assert (last.updates, last.applied) == (1, 1)
