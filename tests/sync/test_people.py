"""People whose keys are reused, changed or doubled, over polls of a real state store and a simulated OneFile."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.state import held_records
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.held_records import Selection
from syncd.sync.run import run_once
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN, born AS DOB,
       starts AS StartOn, ends AS PlannedEndDate, person AS PersonKey,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""
_ULN, _OTHER_ULN = "9276308686", "1000000078"


@pytest.fixture
def college(found: Found) -> College:
    college = found()
    college.add_columns("uln", "born", "starts", "ends", "person")
    college.with_feed(_FEED)
    return college


def _uln(number: int) -> str:
    """A valid ULN: its weighted digits leave 10 when divided by 11."""
    candidates = (f"{1_000_000_000 + 100 * number + extra}" for extra in range(100))
    return next(
        uln
        for uln in candidates
        if sum(weight * int(digit) for weight, digit in zip(range(10, 0, -1), uln, strict=True)) % 11 == 10
    )


def _warnings(college: College) -> list[tuple[str, str, str]]:
    with college.context.store.begin() as connection:
        listed = held_records.listing(session_on(connection, ORGANISATION), warnings=True)
    return [(one.misid, one.reason, one.other) for one in listed]


def _answer(college: College, *misids: str) -> None:
    with college.context.session() as session:
        assert held_records.retry(session, Selection(misids)) == len(misids)


@pytest.mark.parametrize("later", [timedelta(hours=1), timedelta(days=400)], ids=["at once", "a year later"])
@pytest.mark.parametrize("is_archived", [False, True])
def test_reused_key_never_gives_an_account_to_another_person(
    college: College, later: timedelta, *, is_archived: bool
) -> None:
    college.enrol("L1", forename="Mina", surname="Okafor", uln=_ULN, born="2006-03-01")
    college.enrol("L2")
    college.run()
    if is_archived:
        college.with_policy(archives_leavers=True, grace=timedelta())
        college.withdraw("L1")
        college.run()
        college.run()
        assert college.in_onefile("L1")[0].is_archived
    college.clock.go_on(seconds=later.total_seconds())
    college.withdraw("L1")
    college.enrol("L1", forename="Tom", surname="Reed", uln=_OTHER_ULN, born="2005-07-09", email="tom@x.uk")
    college.writes()

    for _ in range(3):
        assert not college.run().is_in_sync
        assert college.held == {"L1": "another_person?"}
    assert college.writes() == []

    _answer(college, "L1")
    assert college.run().is_in_sync
    (user,) = college.in_onefile("L1")
    assert (user.values["FirstName"], user.is_archived) == ("Tom", False)
    college.correct("L1", phone="0113")
    assert college.run().is_in_sync


@pytest.mark.parametrize(
    ("known", "new", "reason"),
    [
        ("ab 12", "AB 12", "lookalike_key"),
        ("ab 12", "\uff41\uff42 12", "lookalike_key"),
        ("ab 12", "ab12", "lookalike_key"),
        ("000123", "123", "lookalike_key"),
        ("ab 12", "ab\u200b 12", "unusable_key"),
        ("ab 12", "ab\u00ad 12", "unusable_key"),
        ("ab 12", "\ufeffab 12", "unusable_key"),
        ("ab 12", "ab\n12", "unusable_key"),
        ("ab 12", "ab\u200d12", "unusable_key"),
    ],
)
@pytest.mark.parametrize("is_second_row", [True, False])
def test_key_that_only_looks_different_makes_no_second_account(
    college: College, known: str, new: str, reason: str, *, is_second_row: bool
) -> None:
    college.enrol(known, surname="Okafor", email="m@x.uk", uln=_ULN)
    college.enrol("L2")
    college.run()
    if not is_second_row:
        college.withdraw(known)
    college.enrol(new, surname="Okafor", email="m@x.uk", uln=_ULN)
    college.writes()

    for _ in range(2):
        college.run()

    assert [hold for misid, hold in college.held.items() if misid in {"", new}] == [reason]
    assert college.writes() == []


@pytest.mark.parametrize("blank", ["  ", "\u00a0", "\u2007"])
def test_other_blanks_in_a_key_are_the_same_key(college: College, blank: str) -> None:
    college.enrol("ab 12", email="m@x.uk")
    college.run()
    college.writes()
    college.withdraw("ab 12")
    college.enrol(f" ab{blank}12\n", surname="Example-ab 12", email="m@x.uk")

    assert college.run().is_in_sync
    assert college.writes() == []


def test_view_that_drops_leading_zeros_makes_no_second_accounts(college: College) -> None:
    college.with_feed(_FEED.replace("uln AS ULN, born AS DOB,", ""))
    for number in range(100):
        college.enrol(f"{number:06}", surname=f"Name{number}")
    college.run()
    college.writes()
    for number in range(1, 41):
        college.execute(
            "UPDATE person SET misid = :new WHERE misid = :old", {"new": str(number), "old": f"{number:06}"}
        )

    college.run()

    assert college.writes() == []
    assert set(college.held.values()) == {"lookalike_key"}
    assert len(college.held) == 40


def test_rows_that_slipped_stop_the_run(college: College) -> None:
    for number in range(60):
        college.enrol(f"L{number}", forename=f"First{number}x", surname=f"Last{number}", born="2006-03-01")
    college.run()
    college.writes()
    college.with_policy(limits=Limits())
    for number in range(40, 0, -1):
        college.correct(f"L{number}", surname=f"Last{number - 1}", email=f"L{number - 1}@students.example.org")

    stopped = college.run()

    assert stopped.state is RunState.AWAITING_APPROVAL
    assert set(college.held.values()) == {"another_person?"}
    assert len(college.held) == 40
    assert college.writes() == []


@pytest.mark.parametrize("old_rows_remain", [False, True])
def test_next_programmes_are_created_without_a_question(college: College, *, old_rows_remain: bool) -> None:
    for number in range(30):
        college.enrol(f"E{number}", surname=f"Name{number}", uln=_uln(number), starts="2025-09-01", ends="2026-07-31")
    college.run()
    college.writes()
    for number in range(30):
        if not old_rows_remain:
            college.withdraw(f"E{number}")
        college.enrol(f"N{number}", surname=f"Name{number}", uln=_uln(number), starts="2026-09-01", ends="2027-07-31")

    done = college.run(approved_by="operator")

    assert done.counts.creates == 30
    assert college.held == {}
    assert _warnings(college) == []
    assert college.run().calls == 0


def test_programmes_that_overlap_by_a_week_are_held_until_answered(college: College) -> None:
    college.enrol("E1", uln=_ULN, starts="2025-09-01", ends="2026-07-31")
    college.enrol("L2")
    college.run()
    college.writes()
    college.withdraw("E1")
    college.enrol("E2", surname="Example-E1", uln=_ULN, starts="2026-07-24", ends="2027-07-31")

    college.run()
    assert college.held == {"E2": "rekeyed?"}
    assert college.writes() == []

    _answer(college, "E2")
    assert college.run().counts.creates == 1


def test_open_questions_cost_polls_no_calls_for_an_hour(college: College) -> None:
    college.enrol("E1", uln=_ULN, born="2006-03-01")
    college.enrol("000123", surname="Zero")
    college.enrol("R1", surname="Old", born="2005-01-01")
    college.enrol("L2")
    college.run()
    college.withdraw("E1", "000123", "R1")
    college.run()
    college.enrol("E2", surname="Example-E1", uln=_ULN, born="2006-03-01")
    college.enrol("123", surname="Zero")
    college.enrol("R1", forename="New", surname="Person", email="new@x.uk", born="2007-02-02")
    college.run()
    questions = {"E2": "rekeyed?", "123": "lookalike_key", "R1": "another_person?"}
    assert college.held == questions

    college.clock.now += timedelta(minutes=59)
    assert run_once(college.context, Trigger.SCHEDULE).calls == 0
    assert college.held == questions

    account = college.known_id("E1")
    assert account
    college.onefile.world.users[account].values["MISID"] = "E2"
    college.clock.now += timedelta(minutes=2)
    run_once(college.context, Trigger.SCHEDULE)
    assert college.known_id("E2") == account
    assert college.held == {"123": "lookalike_key", "R1": "another_person?"}


def test_three_rows_of_one_learner_make_two_accounts_and_a_warning(college: College) -> None:
    for misid in ("P1", "P2", "p1"):
        college.enrol(misid, surname="Okafor", email="m@x.uk", uln=_ULN, born="2006-03-01")

    assert college.run().counts.creates == 2
    for _ in range(2):
        assert college.held == {"p1": "lookalike_key"}
        assert set(_warnings(college)) == {("P1", "same_person?", "P2"), ("P2", "same_person?", "P1")}
        assert college.run().sent == 0


def test_second_record_of_a_known_person_is_found_by_a_later_poll(college: College) -> None:
    college.enrol("P1", surname="Okafor", uln=_ULN, born="2006-03-01")
    college.enrol("L2")
    college.run()
    college.run()
    college.enrol("P2", surname="Married", uln=_ULN, born="2006-03-01")

    college.run()

    assert _warnings(college) == [("P2", "same_person?", "P1")]
    college.withdraw("P2")
    college.run()
    assert _warnings(college) == []


def test_person_key_tells_a_new_enrolment_from_a_new_key(college: College) -> None:
    college.enrol("E1", person="77", starts="2025-09-01")
    college.enrol("E2", person="78", starts="2025-09-01")
    college.run()
    college.withdraw("E1", "E2")
    college.enrol("F1", person="77", starts="2026-02-01")
    college.enrol("F2", person="78", starts="2025-09-01")

    done = college.run()

    assert done.counts.creates == 1
    assert college.held == {"F2": "rekeyed?"}
    college.withdraw("F1")
    college.enrol("F1", person="79", surname="Example-F1", email="F1@students.example.org", starts="2026-02-01")
    college.run()
    assert college.held == {"F2": "rekeyed?"}, "the evidence of names and address is not certain"


def test_people_are_found_after_the_encryption_key_is_changed(college: College) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    url = college.context.store.url.render_as_string(hide_password=False)
    encrypted = Store(url, ValueCipher(first))
    rotated = Store(url, ValueCipher(f"{second},{first}"))
    college.context = replace(college.context, store=encrypted)
    college.enrol("P1", surname="Okafor", uln=_ULN, born="2006-03-01")
    college.enrol("L2")
    college.run()
    college.context = replace(college.context, store=rotated)
    college.run()
    college.withdraw("P1")
    college.enrol("P9", surname="Married", uln=_ULN, born="2006-03-01")

    college.run()

    assert college.held == {"P9": "rekeyed?"}
    encrypted.close()
    rotated.close()


def test_same_person_in_another_role_is_no_question(college: College) -> None:
    college.enrol("T1", surname="Okafor", email="m@x.uk")
    college.run()
    feeds = (replace(college.context.feeds[0], name="iqas", role=Role.IQA, query=_STAFF), *college.context.feeds)
    college.context = replace(college.context, feeds=feeds)

    college.run()

    assert college.held == {}
    assert _warnings(college) == []


_STAFF = "SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email FROM person"


def test_misid_with_decimals_as_text_is_the_same_account(found: Found) -> None:
    college = found()
    same = {"surname": "Example", "email": "ann@students.example.org"}
    college.enrol("1001", **same)
    college.run()
    college.writes()

    college.withdraw("1001")
    college.enrol("1001.0", **same)
    assert college.run().is_in_sync
    assert college.writes() == []
    college.enrol("1001", surname="Other")
    college.run()

    assert college.held == {"1001": "duplicate_key"}
    assert college.writes() == []
