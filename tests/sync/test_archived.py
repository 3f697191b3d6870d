"""Accounts that OneFile has archived although the MIS has their records: recognised, unarchived, and kept in step.

How OneFile shows an archived account is not documented (U5), nor what it does with an update of one (U21).
"""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from syncd.core.accounts import Status
from syncd.core.drift import DriftKind
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.records import Key
from syncd.core.run import RunState, Trigger
from syncd.errors import NothingToSettle
from syncd.operations.explain import Decision, explain
from syncd.operations.link import UnlinkResult, unlink
from syncd.operations.rekey import restore
from syncd.operations.verify import VerifyResult, verify_once
from syncd.simulator import ArchivedForm, ErrorBody, Fault, FaultKind, MisidFilter
from syncd.simulator.errors import bad_request
from syncd.simulator.models import User
from syncd.state import accounts, approvals, held_records, runs
from syncd.state.held_records import Selection
from syncd.sync.planner import make_plan
from syncd.sync.run import run_once
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, LEARNER, ORGANISATION
from tests.support.sessions import session_on
from tests.support.stores import open_store

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)

_Case = TypeVar("_Case", ArchivedForm, MisidFilter)


def _quick_for(*quick: _Case, of: Iterable[_Case]) -> list[Any]:
    """All of these, but every other than the quick ones only in the gate; tests/onefile has the forms one by one."""
    return [pytest.param(case, id=case, marks=() if case in quick else pytest.mark.slow) for case in of]


_EACH_FORM: Final = _quick_for(ArchivedForm.NOTHING, ArchivedForm.IS_ARCHIVED, of=ArchivedForm)
_EACH_FILTER: Final = _quick_for(MisidFilter.EXACT, MisidFilter.IGNORED, of=MisidFilter)
_FORMS: Final = [pytest.param({"archived_form": case.values[0]}, id=case.id, marks=case.marks) for case in _EACH_FORM]
_WRITABLE: Final = {"archived_learners_read_only": False}
#: How an archived account shows, and whether its update is accepted.
_READINGS: Final = [
    *_FORMS,
    pytest.param({"archived_form": ArchivedForm.NOTHING, **_WRITABLE}, id="nothing-writable"),
    pytest.param(
        {"archived_form": ArchivedForm.IS_ARCHIVED, **_WRITABLE}, id="IsArchived-writable", marks=pytest.mark.slow
    ),
]
#: An account's own answer says nothing: OneFile may leave out the role of others as well (§8.5).
_SAYING_NOTHING: Final = {ArchivedForm.NOTHING, ArchivedForm.NO_ROLE}
_SAYING_SO: Final = sorted({*ArchivedForm} - _SAYING_NOTHING)
_READ_ONLY: Final = "OneFile refused it with status 400: User {} is archived."


def _sow(college: College, *misids: str, archived: bool = True, **fields: Any) -> None:
    users = [{**LEARNER, "OrganisationID": ORGANISATION, "Role": 1, "MISID": misid, **fields} for misid in misids]
    college.onefile.sow({"users": [{**user, "Archived": archived} for user in users]})


def _account(college: College, misid: str = "L1") -> User:
    (account,) = college.in_onefile(misid)
    return account


def _archive(college: College, misid: str = "L1") -> User:
    """Archive an account as a person does in OneFile's own pages."""
    account = _account(college, misid)
    account.is_archived = True
    account.modified_at = college.clock.timestamp()
    return account


def _status(college: College, misid: str = "L1", role: Role = Role.LEARNER) -> Status:
    with college.context.store.begin() as connection:
        return accounts.known(session_on(connection, ORGANISATION))[Key(ORGANISATION, role, misid)].status


def _last_run(college: College) -> int:
    with college.context.store.begin() as connection:
        last = runs.last(session_on(connection, ORGANISATION))
    assert last is not None
    return last.id


def _verify(college: College, **options: Any) -> VerifyResult:
    return verify_once(college.context, Trigger.VERIFY, **options)


def _unarchived(college: College) -> list[int]:
    """The UserIDs of the unarchive calls since the last look."""
    return [int(path.split("/")[2]) for path, _ in college.writes() if path.endswith("/Unarchive")]


def _comes_into_step(college: College, *, within: int = 1) -> None:
    """In this many runs every account is in step and active, and the next run makes no call."""
    done = [college.run() for _ in range(within)]
    assert done[-1].is_in_sync
    assert college.held == {}
    assert not any(user.is_archived for user in college.onefile.world.users.values())
    assert college.run().calls == 0


@pytest.fixture
def college(found: Found) -> College:
    """Two learners in step, in a OneFile that does not show that an account is archived."""
    return _in_step(found())


def _in_step(college: College) -> College:
    college.enrol("L1", "L2")
    assert college.run().is_in_sync
    college.clock.now += timedelta(days=3)
    college.writes()
    return college


# Before first contact


@pytest.mark.parametrize("switches", [*_READINGS, pytest.param({"keychain": True}, id="keychain")])
def test_account_archived_before_first_contact_is_unarchived_then_linked(
    found: Found, switches: dict[str, Any]
) -> None:
    college = found(**switches)
    _sow(college, "L1")
    _sow(college, "L2", archived=False)
    college.enrol("L1", "L2", "L3")

    done = college.run()

    assert (done.is_in_sync, college.held) == (True, {})
    one, two = _account(college, "L1"), _account(college, "L2")
    paths = [path for path, _ in college.writes()]
    assert paths[0] == f"/User/{one.id}/Unarchive"
    assert sorted(paths[1:]) == ["/User", f"/User/{one.id}", f"/User/{two.id}"]
    assert college.outcomes("L1") == [("unarchive", "applied"), ("link", "applied")]
    assert one.values["LastName"] == "Example-L1"
    _comes_into_step(college)


@pytest.mark.parametrize(
    "switches",
    [
        *_READINGS,
        *(pytest.param({"misid_filter": case.values[0]}, id=case.id, marks=case.marks) for case in _EACH_FILTER),
        pytest.param({"full_rows": True}, id="full-rows"),
    ],
)
def test_many_accounts_archived_before_first_contact_are_found_by_download(
    found: Found, switches: dict[str, Any]
) -> None:
    college = found(**switches)
    archived, active = [f"L{n}" for n in range(8)], [f"L{n}" for n in range(8, 16)]
    _sow(college, *archived)
    _sow(college, *active, archived=False)
    college.enrol(*archived, *active)

    assert college.run().is_in_sync

    assert sorted(_unarchived(college)) == sorted(_account(college, misid).id for misid in archived)
    _comes_into_step(college)


def test_searches_in_no_stable_order_have_no_active_account_unarchived(found: Found) -> None:
    college = found(shuffle=True)
    misids = [f"L{n}" for n in range(60)]
    _sow(college, *misids, archived=False)
    college.enrol(*misids)

    assert college.run().is_in_sync

    assert _unarchived(college) == []


@pytest.mark.parametrize("switches", _READINGS)
def test_archived_accounts_in_searches_by_role_are_unarchived_if_shown_or_refused(
    found: Found, switches: dict[str, Any]
) -> None:
    college = found(archived_in_searches=True, **switches)
    _sow(college, "L1")
    college.enrol("L1")
    is_shown = switches["archived_form"] not in _SAYING_NOTHING
    if not is_shown and "archived_learners_read_only" in switches:
        # Nothing that OneFile answers tells it.
        assert college.run().is_in_sync
        assert _account(college).is_archived
        return

    _comes_into_step(college, within=1 if is_shown else 2)


@pytest.mark.parametrize("form", _quick_for(ArchivedForm.NOTHING, ArchivedForm.NO_ROLE, of=ArchivedForm))
def test_archived_staff_are_unarchived_before_they_are_linked(found: Found, form: ArchivedForm) -> None:
    college = found(archived_form=form)
    columns = "misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email"
    college.with_feed(f"SELECT {columns} FROM person", Role.ASSESSOR)
    staff = {"ID": 400_000, "OrganisationID": ORGANISATION, "Role": 5, "MISID": "S1", "Archived": True}
    college.onefile.sow({"users": [staff, {**staff, "ID": 400_001, "Role": 10}]})
    college.enrol("S1")

    college.run()

    if form in {ArchivedForm.ROLE_NUMBER, ArchivedForm.NO_ROLE}:
        # Whose of the two it is OneFile does not tell any more.
        assert college.held == {"S1": "ambiguous"}
        return
    assert college.known_id("S1", Role.ASSESSOR) == 400_000
    assert not college.onefile.world.users[400_000].is_archived
    assert college.onefile.world.users[400_001].is_archived


def test_refused_unarchive_of_account_to_link_holds_record_and_keeps_the_link(found: Found) -> None:
    college = found()
    _sow(college, "L1")
    college.enrol("L1")
    _refuse_unarchive(college)

    assert college.run().refused == 1

    assert college.detail("L1") == "OneFile refused it with status 400: No seat is free."
    assert (college.known_id("L1"), _status(college)) == (_account(college).id, Status.ARCHIVED)
    assert college.run().calls == 0


def test_lost_answer_to_unarchive_before_link_is_settled_by_the_next_run(found: Found) -> None:
    college = found()
    _sow(college, "L1")
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User/*/Unarchive", times=3))

    assert college.run().in_doubt == 1

    _comes_into_step(college)


def test_explain_and_plan_show_unarchive_before_link(found: Found) -> None:
    college = found(archived_form=ArchivedForm.IS_ARCHIVED)
    _sow(college, "L1")
    college.enrol("L1")

    (explained,) = explain(college.context, "L1").records
    planned = make_plan(college.context)

    number = _account(college).id
    assert explained.decided.decision is Decision.UNARCHIVE
    assert explained.decided.sentence == f"would be unarchived, then linked to UserID {number}"
    assert "OneFile shows the account as archived, and the MIS has its record." in explained.decided.why
    assert [call.path for call in explained.calls] == [f"/User/{number}/Unarchive", f"/User/{number}"]
    assert (planned.counts.updates, planned.plan.calls) == (2, 2)
    assert college.writes() == []


def test_guard_counts_unarchives_before_links(found: Found) -> None:
    college = found()
    _sow(college, "L1", "L2")
    college.enrol("L1", "L2")
    college.with_policy(limits=Limits(percent=0, floor=3))

    done = college.run()

    assert (done.state, done.objections) == (
        RunState.AWAITING_APPROVAL,
        ("4 updates where 0 are allowed in one run without approval",),
    )
    assert college.writes() == []


# A create in doubt


@pytest.mark.parametrize("switches", [*_READINGS, pytest.param({"keychain": True}, id="keychain")])
def test_account_of_create_in_doubt_found_archived_is_unarchived(found: Found, switches: dict[str, Any]) -> None:
    college = found(**switches)
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    assert college.run().in_doubt == 1
    _archive(college)
    college.writes()

    assert college.run().is_in_sync

    assert _unarchived(college) == [_account(college).id]
    _comes_into_step(college)


def test_accepted_create_whose_account_was_archived_is_unarchived(found: Found) -> None:
    # OneFile accepts the create without an id, and its search finds the account only after the run.
    college = found(keychain=True, search_lag_seconds=3600)
    college.enrol("L1")
    assert college.run().in_doubt == 1
    college.clock.now += timedelta(hours=2)
    _archive(college)

    _comes_into_step(college)


# The state store is lost, or older than OneFile


def _with_store(college: College, file: Path) -> None:
    college.context = replace(college.context, store=open_store(f"sqlite:///{file}"))


@pytest.mark.parametrize("switches", _READINGS)
def test_returner_whom_a_lost_store_had_archived_is_unarchived(
    found: Found, tmp_path: Path, switches: dict[str, Any]
) -> None:
    college = _in_step(found(**switches))
    college.with_policy(archives_leavers=True, grace=timedelta())
    college.withdraw("L1")
    college.run()
    college.run()
    assert _account(college).is_archived
    _with_store(college, tmp_path / "new.db")
    college.enrol("L1")

    _comes_into_step(college)

    assert college.known_id("L1") == _account(college).id


@pytest.mark.parametrize("switches", _READINGS)
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.LEAVER])
def test_returner_with_a_store_from_before_the_archiving_is_unarchived(
    found: Found, tmp_path: Path, switches: dict[str, Any], status: Status
) -> None:
    college = _in_step(found(**switches))
    college.with_policy(archives_leavers=True)
    if status is Status.LEAVER:
        college.withdraw("L1")
        college.run()
    file = college.context.store.file
    assert file is not None
    college.context.store.close()
    shutil.copy(file, tmp_path / "backup.db")
    _archive(college)
    if status is Status.LEAVER:
        college.enrol("L1", surname="Married")
    else:
        college.correct("L1", surname="Married")
    _with_store(college, tmp_path / "backup.db")
    assert _status(college) is status

    if status is Status.LEAVER:
        _comes_into_step(college)
    elif "archived_learners_read_only" in switches:
        # The update says nothing of it; verify does.
        assert college.run().is_in_sync
        assert _verify(college, fix=True).left == ()
        _comes_into_step(college)
    else:
        _comes_into_step(college, within=2)


# Archived by hand between runs


@pytest.mark.parametrize(
    ("switches", "status"),
    [
        *(pytest.param(*case.values, 400, id=case.id, marks=case.marks) for case in _FORMS),
        ({}, 403),
        ({}, 409),
        ({"misid_filter": MisidFilter.IGNORED}, 400),
    ],
)
def test_refused_update_of_archived_account_leads_to_one_unarchive(
    found: Found, switches: dict[str, Any], status: int
) -> None:
    college = _in_step(found(archived_update_status=status, **switches))
    number = _archive(college).id
    college.correct("L1", surname="Married")

    assert college.run().refused == 1

    assert college.held == {"L1": "refused"}
    assert college.detail("L1") == (
        f"OneFile refused it with status {status}: User {number} is archived.; "
        "the next run unarchives the account and sends this again"
    )
    assert (_status(college), _status(college, "L2")) == (Status.ARCHIVED, Status.ACTIVE)
    (explained,) = explain(college.context, "L1").records
    assert explained.decided.sentence == "would be unarchived, then updated: LastName"
    assert explained.decided.why.startswith("The account is archived, and the MIS has its record.")
    college.writes()

    _comes_into_step(college)

    assert college.writes() == [(f"/User/{number}/Unarchive", None), (f"/User/{number}", {"LastName": "Married"})]
    assert college.outcomes("L1")[-3:] == [("update", "refused"), ("unarchive", "applied"), ("update", "applied")]


def test_scheduled_poll_unarchives_after_a_refused_update(college: College) -> None:
    _archive(college)
    college.correct("L1", surname="Married")

    def poll() -> tuple[int, int]:
        done = run_once(college.context, Trigger.SCHEDULE)
        return done.refused, done.sent

    assert [poll(), poll(), poll()] == [(1, 0), (0, 2), (0, 0)]
    assert college.held == {}


def test_record_that_changed_back_is_unarchived_and_not_sent(college: College) -> None:
    number = _archive(college).id
    college.correct("L1", surname="Married")
    college.run()
    college.correct("L1", surname="Example-L1")
    college.writes()

    _comes_into_step(college)

    assert college.writes() == [(f"/User/{number}/Unarchive", None)]


def test_refused_update_without_words_is_recognised_by_reading_the_account(found: Found) -> None:
    college = _in_step(found(error_body=ErrorBody.HTML, archived_form=ArchivedForm.DATE_ARCHIVED))
    _archive(college)
    college.correct("L1", surname="Married")
    assert college.run().refused == 1

    _comes_into_step(college)


def _refuse_update(college: College, message: str) -> None:
    def refuse(*_: object) -> User:
        raise bad_request(message)

    college.onefile.world.update_user = refuse  # type: ignore[method-assign, assignment]


def _refuse_unarchive(college: College) -> None:
    def refuse(_number: int) -> User:
        raise bad_request("No seat is free.")

    college.onefile.world.unarchive_user = refuse  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        # The account itself shows that it is active.
        (ArchivedForm.ARCHIVED, f"DefaultAssessorID {ASSESSOR} is archived."),
        # The word is of a value that was sent.
        (ArchivedForm.NOTHING, "LastName Archivist is not a name."),
        (ArchivedForm.NOTHING, "This user cannot be changed."),
    ],
)
def test_update_refused_for_another_reason_is_held_until_the_record_changes(
    found: Found, form: ArchivedForm, message: str
) -> None:
    college = _in_step(found(archived_form=form))
    _refuse_update(college, message)
    college.correct("L1", surname="Archivist")

    assert college.run().refused == 1

    assert (_status(college), college.held) == (Status.ACTIVE, {"L1": "refused"})
    assert college.run().calls == 0


@pytest.mark.parametrize("is_cleared", [False, True])
def test_update_refused_again_after_the_unarchive_is_held(college: College, is_cleared: bool) -> None:
    college.correct("L1", phone="01248 1")
    college.run()
    _archive(college)
    # OneFile says yes to an unarchive and does nothing.
    college.onefile.world.unarchive_user = college.onefile.world.user  # type: ignore[method-assign]
    # A value that is cleared has the record compared in each run.
    college.correct("L1", surname="Married", **({"phone": None} if is_cleared else {}))
    number = _account(college).id
    college.writes()

    assert [college.run().refused for _ in range(4)] == [1, 1, 0, 0]

    update = (f"/User/{number}", {"LastName": "Married"})
    assert college.writes() == [update, (f"/User/{number}/Unarchive", None), update]
    assert college.detail("L1") == _READ_ONLY.format(number)


@pytest.mark.parametrize("is_cleared", [False, True])
def test_refused_unarchive_holds_the_record_until_retry(college: College, is_cleared: bool) -> None:
    college.correct("L1", phone="01248 1")
    college.run()
    number = _archive(college).id
    was = college.onefile.world.unarchive_user
    _refuse_unarchive(college)
    college.correct("L1", surname="Married", **({"phone": None} if is_cleared else {}))
    college.writes()

    assert [college.run().refused for _ in range(4)] == [1, 1, 0, 0]

    assert [path for path, _ in college.writes()] == [f"/User/{number}", f"/User/{number}/Unarchive"]
    assert college.detail("L1") == "OneFile refused it with status 400: No seat is free."
    college.onefile.world.unarchive_user = was  # type: ignore[method-assign]
    with college.context.store.begin() as connection:
        held_records.retry(session_on(connection, ORGANISATION, college.clock()), Selection(["L1"]))
    assert college.run().is_in_sync
    assert not _account(college).is_archived


def test_account_archived_again_after_each_change_is_unarchived_each_time(college: College) -> None:
    for surname in ("Married", "Widowed"):
        _archive(college)
        college.correct("L1", surname=surname)
        _comes_into_step(college, within=2)


def test_refused_unlink_of_an_archived_account_unarchives_nothing(college: College) -> None:
    number = _archive(college).id

    assert unlink(college.context, Key(ORGANISATION, Role.LEARNER, "L1"), number, "Ann") is UnlinkResult.NOT_YET

    assert _status(college) is Status.ACTIVE


@pytest.mark.parametrize("switches", _READINGS)
@pytest.mark.parametrize("is_changed", [False, True])
def test_leaver_archived_by_hand_is_unarchived_when_back(
    found: Found, switches: dict[str, Any], is_changed: bool
) -> None:
    college = _in_step(found(**switches))
    college.withdraw("L1")
    college.run()
    _archive(college)
    college.enrol("L1", **({"surname": "Married"} if is_changed else {}))

    _comes_into_step(college)


@pytest.mark.parametrize("number", [1, 8])
def test_leavers_that_are_back_and_were_never_archived_are_not_unarchived(found: Found, number: int) -> None:
    college = found()
    misids = [f"L{n}" for n in range(number)]
    college.enrol("L100", *(f"L{n}" for n in range(200, 208)), *misids)
    college.run()
    college.withdraw(*misids)
    assert college.run().left == number
    college.enrol(*misids)
    college.writes()

    assert college.run().is_in_sync

    assert college.writes() == []


# Verify


@pytest.mark.parametrize("switches", _FORMS)
@pytest.mark.parametrize("is_full", [False, True])
def test_verify_reports_account_archived_by_hand_and_fix_unarchives_it(
    found: Found, switches: dict[str, Any], is_full: bool
) -> None:
    college = _in_step(found(**switches))
    assert _verify(college).drift == ()
    college.clock.now += timedelta(days=2)
    number = _archive(college).id
    # A run looks codes up again once a day, and sees nothing of it.
    assert college.run().sent == 0
    college.writes()

    verified = _verify(college, full=is_full)

    (drift,) = verified.drift
    assert verified.is_full is is_full
    assert (drift.key.misid, drift.user_id, drift.kind, drift.fields) == (
        "L1",
        number,
        DriftKind.CHANGED,
        ("archived",),
    )
    assert verified.left == (drift,)
    assert college.writes() == []
    college.clock.now += timedelta(days=2)
    # It is found again, though it was not touched since.
    fixed = _verify(college, full=is_full, fix=True)
    assert ([one.fields for one in fixed.drift], fixed.left) == ([("archived",)], ())
    assert college.writes() == [(f"/User/{number}/Unarchive", None)]
    assert college.outcomes("L1")[-1] == ("unarchive", "applied")
    _comes_into_step(college)


@pytest.mark.parametrize("switches", _FORMS)
@pytest.mark.parametrize("number", [2, 60])
def test_verify_finds_archived_account_if_archiving_counts_as_no_change(
    found: Found, switches: dict[str, Any], number: int
) -> None:
    college = found(**switches)
    college.enrol(*(f"L{n}" for n in range(1, number + 1)))
    college.run()
    college.clock.now += timedelta(days=3)
    assert _verify(college).drift == ()
    college.clock.now += timedelta(days=2)
    _account(college).is_archived = True
    college.writes()

    verified = _verify(college)

    assert (verified.is_full, verified.checked) == (False, 1)
    assert [(one.key.misid, one.fields) for one in verified.drift] == [("L1", ("archived",))]


@pytest.mark.parametrize("switches", _FORMS)
def test_fix_unarchives_an_account_before_its_fields_are_sent(found: Found, switches: dict[str, Any]) -> None:
    college = _in_step(found(**switches))
    account = _archive(college)
    account.values["FirstName"] = "Anna"

    verified = _verify(college, fix=True)

    assert [one.fields for one in verified.drift] == [("FirstName", "archived")]
    assert verified.left == ()
    assert college.writes() == [(f"/User/{account.id}/Unarchive", None), (f"/User/{account.id}", {"FirstName": "Ann"})]
    _comes_into_step(college)


@pytest.mark.parametrize("form", _quick_for(ArchivedForm.IS_ARCHIVED, of=_SAYING_SO))
@pytest.mark.parametrize("is_full", [False, True])
def test_verify_finds_archived_accounts_that_searches_by_role_have(
    found: Found, form: ArchivedForm, is_full: bool
) -> None:
    college = _in_step(found(archived_form=form, archived_in_searches=True))
    _verify(college)
    college.clock.now += timedelta(days=2)
    _archive(college)

    assert [one.fields for one in _verify(college, full=is_full).drift] == [("archived",)]


@pytest.mark.parametrize("misid_filter", _EACH_FILTER)
@pytest.mark.parametrize("is_full", [False, True])
def test_verify_finds_archived_account_however_searches_match_misids(
    found: Found, misid_filter: MisidFilter, is_full: bool
) -> None:
    college = _in_step(found(misid_filter=misid_filter))
    _verify(college)
    college.clock.now += timedelta(days=2)
    _archive(college)

    assert [one.fields for one in _verify(college, full=is_full).drift] == [("archived",)]


def test_verify_of_many_accounts_finds_the_archived_ones_by_download(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{n}" for n in range(12)))
    college.run()
    for misid in ("L7", "L11"):
        _archive(college, misid)

    verified = _verify(college, fix=True)

    assert [(one.key.misid, one.fields) for one in verified.drift] == [("L11", ("archived",)), ("L7", ("archived",))]
    assert verified.left == ()
    assert _verify(college, full=True).drift == ()


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("is_archived", [False, True])
def test_account_with_another_misid_by_hand_is_archived_only_if_it_is(
    college: College, is_full: bool, is_archived: bool
) -> None:
    _verify(college)
    college.clock.now += timedelta(days=2)
    account = _account(college)
    account.values["MISID"] = "L1-old"
    account.modified_at = college.clock.timestamp()
    account.is_archived = is_archived

    fields = ("MISID", "archived") if is_archived else ("MISID",)
    assert [one.fields for one in _verify(college, full=is_full).drift] == [fields]


@pytest.mark.parametrize("is_full", [False, True])
def test_account_without_its_misid_by_hand_does_not_count_as_archived(college: College, is_full: bool) -> None:
    _verify(college)
    college.clock.now += timedelta(days=2)
    account = _account(college)
    account.values["MISID"] = None
    account.modified_at = college.clock.timestamp()

    assert [one.fields for one in _verify(college, full=is_full).drift] == [("MISID",)]


def test_account_too_new_for_searches_does_not_count_as_archived(found: Found) -> None:
    college = found(search_lag_seconds=3600)
    college.enrol("L1", "L2", "L3")
    college.run()

    assert _verify(college).drift == ()
    college.clock.now += timedelta(minutes=5)
    assert _verify(college).drift == ()


def test_leaver_archived_by_hand_is_no_drift(college: College) -> None:
    college.withdraw("L1")
    college.run()
    _archive(college)

    assert _verify(college, full=True).drift == ()


def test_verify_reports_nothing_if_no_answer_shows_the_archived_account(found: Found) -> None:
    college = _in_step(found(archived_in_searches=True))
    _archive(college)

    assert _verify(college, full=True).drift == ()


def test_fix_that_unarchives_too_many_waits_for_approval(college: College) -> None:
    college.with_policy(limits=Limits(percent=0, floor=1))
    _archive(college, "L1")
    _archive(college, "L2")

    stopped = _verify(college, fix=True, full=True)

    assert (stopped.done.state, stopped.left) == (RunState.AWAITING_APPROVAL, stopped.drift)
    assert college.writes() == []
    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), stopped.done.run, "Ann")
    assert _verify(college, fix=True, full=True).left == ()
    assert len(_unarchived(college)) == 2


def test_refused_unarchive_of_a_fix_is_left_as_drift(college: College) -> None:
    _archive(college)
    _refuse_unarchive(college)

    verified = _verify(college, fix=True, full=True)

    assert (verified.done.refused, [one.fields for one in verified.left]) == (1, [("archived",)])


# Restore


@pytest.mark.parametrize("switches", _FORMS)
@pytest.mark.parametrize("status", Status)
def test_restore_unarchives_whatever_the_store_has_as_status(
    found: Found, switches: dict[str, Any], status: Status
) -> None:
    college = _in_step(found(**switches))
    _archive(college)
    with college.context.store.begin() as connection:
        key = Key(ORGANISATION, Role.LEARNER, "L1")
        accounts.set_status(session_on(connection, ORGANISATION), key, status, None)

    restored = restore(college.context, "L1", Role.LEARNER)

    assert restored.done.is_in_sync
    assert (restored.status, restored.refusal) == (status, "")
    assert (_account(college).is_archived, _status(college)) == (False, Status.ACTIVE)
    is_shown = status is Status.ARCHIVED or switches["archived_form"] not in _SAYING_NOTHING
    assert restored.was_archived is (True if is_shown else None)


@pytest.mark.parametrize("form", [ArchivedForm.ARCHIVED, ArchivedForm.IS_ARCHIVED])
def test_restore_of_account_shown_as_active_sends_nothing_and_leaves_no_run(found: Found, form: ArchivedForm) -> None:
    college = _in_step(found(archived_form=form))
    before = _last_run(college)

    with pytest.raises(NothingToSettle, match="shows the account of the Learner L1 as not archived"):
        restore(college.context, "L1", Role.LEARNER)

    assert (college.writes(), _last_run(college)) == ([], before)


@pytest.mark.parametrize("is_refused", [False, True])
def test_restore_of_account_of_unknown_state_sends_an_unarchive(found: Found, is_refused: bool) -> None:
    college = _in_step(found(refuse_repeated_archiving=is_refused))

    restored = restore(college.context, "L1", Role.LEARNER)

    assert restored.done.is_in_sync
    assert (restored.was_archived, restored.refusal) == (False if is_refused else None, "")
    assert _unarchived(college) == [_account(college).id]
    assert (_status(college), college.run().sent) == (Status.ACTIVE, 0)


@pytest.mark.parametrize("unknown_id_status", [404, 400])
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.ARCHIVED])
def test_restore_of_account_that_onefile_no_longer_has_changes_nothing(
    found: Found, unknown_id_status: int, status: Status
) -> None:
    college = _in_step(found(unknown_id_status=unknown_id_status))
    del college.onefile.world.users[_account(college).id]
    with college.context.store.begin() as connection:
        key = Key(ORGANISATION, Role.LEARNER, "L1")
        accounts.set_status(session_on(connection, ORGANISATION), key, status, None)

    if status is Status.ARCHIVED:
        restored = restore(college.context, "L1", Role.LEARNER)
        assert (restored.done.refused, restored.done.state) == (1, RunState.FINISHED)
        assert "does not exist" in restored.refusal
    else:
        with pytest.raises(NothingToSettle, match="may be deleted"):
            restore(college.context, "L1", Role.LEARNER)
    assert _status(college) is status


def test_refused_restore_says_why_and_leaves_no_failed_run(college: College) -> None:
    _archive(college)
    _refuse_unarchive(college)

    restored = restore(college.context, "L1", Role.LEARNER)

    assert (restored.done.state, restored.refusal) == (
        RunState.FINISHED,
        "OneFile refused it with status 400: No seat is free.",
    )


@pytest.mark.parametrize(("misid", "role"), [("L9", Role.LEARNER), ("L1", Role.ASSESSOR), ("C1", Role.CLASSROOM)])
def test_restore_of_what_has_no_account_leaves_no_run(college: College, misid: str, role: Role) -> None:
    before = _last_run(college)

    with pytest.raises(NothingToSettle, match="There is no account"):
        restore(college.context, misid, role)

    assert _last_run(college) == before


def test_record_held_as_refused_is_sent_after_restore(college: College) -> None:
    _archive(college)
    was = college.onefile.world.unarchive_user
    _refuse_unarchive(college)
    college.correct("L1", surname="Married")
    college.run()
    college.run()
    assert college.held == {"L1": "refused"}
    college.onefile.world.unarchive_user = was  # type: ignore[method-assign]

    assert restore(college.context, "L1", Role.LEARNER).done.is_in_sync

    _comes_into_step(college)
    assert _account(college).values["LastName"] == "Married"
