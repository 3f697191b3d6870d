"""OneFile answers a change with a status of success and words: nothing says that it was made."""

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from syncd.core.fields import Role
from syncd.core.run import Trigger
from syncd.simulator import Fault, FaultKind
from syncd.state import held_records
from syncd.sync.context import Feed
from syncd.sync.run import run_once
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_WORDS: list[tuple[object, str]] = [
    ({"Message": "The class is full."}, "The class is full."),
    ({"message": "The class is full."}, "The class is full."),
    (
        {"Message": "The request is invalid.", "ModelState": {"user.ClassroomID": ["The class is full."]}},
        "The request is invalid.; The class is full.",
    ),
    ({"ModelState": {"user.ClassroomID": ["The class is full."]}}, "The class is full."),
    ({"ID": 0, "errors": ["The class is full."]}, "The class is full."),
    ("The class is full.", "The class is full."),
]


def _answer(
    college: College, body: object, path: str, *, is_done: bool = False, times: int | None = None, skip: int = 0
) -> None:
    kind = FaultKind.ANSWER_AFTER if is_done else FaultKind.ANSWER
    college.onefile.faults.add(Fault(kind, method="POST", path=path, body=body, times=times, skip=skip))


def _retry(college: College) -> None:
    with college.context.store.begin() as connection:
        held_records.retry(session_on(connection, ORGANISATION, cipher=college.context.store.cipher))


def _enrolled(found: Found, **switches: Any) -> College:
    college = found(**switches)
    college.enrol("L1")
    college.run()
    return college


@pytest.mark.parametrize(("body", "words"), _WORDS)
@pytest.mark.parametrize("is_done", [False, True])
def test_update_answered_in_words_is_refused_and_its_values_are_in_doubt(
    found: Found, body: object, words: str, is_done: bool
) -> None:
    college = _enrolled(found)
    college.correct("L1", surname="New")
    _answer(college, body, "/User/*", is_done=is_done, times=1)

    done = college.run()

    assert (done.sent, done.refused, done.in_doubt) == (0, 1, 0)
    assert college.held == {"L1": "refused"}
    assert college.detail("L1") == f"OneFile refused it with status 200: {words}"
    assert college.run().calls == 0
    # The MIS takes it back, and OneFile may have either value.
    college.correct("L1", surname="Example-L1")
    college.writes()
    assert college.run().is_in_sync
    assert [body for _, body in college.writes()] == [{"LastName": "Example-L1"}]
    assert college.in_onefile("L1")[0].values["LastName"] == "Example-L1"
    assert college.run().calls == 0


def test_update_answered_in_words_is_sent_again_by_retry(found: Found) -> None:
    college = _enrolled(found)
    college.correct("L1", surname="New")
    _answer(college, {"Message": "No."}, "/User/*", times=1)
    college.run()

    _retry(college)

    assert college.run().is_in_sync
    assert college.in_onefile("L1")[0].values["LastName"] == "New"


@pytest.mark.parametrize("body", [None, "", 17, {}, {"ID": 300_002}, {"ID": 300_002, "Message": None}, True, []])
def test_update_answered_without_words_is_applied(found: Found, body: object) -> None:
    college = _enrolled(found)
    college.correct("L1", surname="New")
    _answer(college, body, "/User/*", is_done=True, times=1)

    assert college.run().is_in_sync
    assert college.run().calls == 0


@pytest.mark.parametrize(("body", "words"), _WORDS)
def test_create_answered_in_words_is_held_once_the_search_shows_nothing(found: Found, body: object, words: str) -> None:
    college = found()
    college.enrol("L1")
    _answer(college, body, "/User")

    first = college.run()
    assert (first.sent, first.in_doubt, college.in_doubt) == (0, 1, 1)
    for _ in range(3):
        assert not college.run().is_in_sync
        assert college.held == {"L1": "refused"}
        assert college.detail("L1") == f"OneFile refused it with status 200: {words}"
        assert college.in_doubt == 0

    assert [path for path, _ in college.writes() if path == "/User"] == ["/User"]
    assert college.outcomes("L1") == [("create", "refused")]
    college.onefile.faults.clear()
    _retry(college)
    assert college.run().is_in_sync
    assert [user.id for user in college.in_onefile("L1")] == [college.known_id("L1")]


def test_create_answered_in_words_is_sent_again_once_its_record_changes(found: Found) -> None:
    college = found()
    college.enrol("L1")
    _answer(college, {"Message": "No."}, "/User", times=1)
    college.run()
    college.run()

    college.correct("L1", surname="New")

    assert college.run().is_in_sync
    assert college.in_onefile("L1")[0].values["LastName"] == "New"
    assert college.held == {}


@pytest.mark.parametrize(("body", "words"), _WORDS[:1])
def test_create_answered_in_words_that_was_done_is_linked(found: Found, body: object, words: str) -> None:
    college = found()
    college.enrol("L1")
    _answer(college, body, "/User", is_done=True, times=1)

    assert college.run().in_doubt == 1
    assert college.run().is_in_sync

    assert [user.id for user in college.in_onefile("L1")] == [college.known_id("L1")]
    assert college.outcomes("L1")[0] == ("create", "applied")


def test_words_of_onefile_are_not_logged_and_have_no_values(found: Found) -> None:
    college = found()
    college.enrol("L1", surname="Featherstone")
    _answer(college, {"Message": "Ann Featherstone has no seat"}, "/User")

    with capture_logs() as log:
        run_once(college.context, Trigger.COMMAND)
        run_once(college.context, Trigger.COMMAND)

    assert "seat" in college.detail("L1")
    assert "Featherstone" not in college.detail("L1")
    assert "seat" not in str(log)
    settled = [line for line in log if line["event"] in {"change_in_doubt", "change_settled", "record_held"}]
    assert [line["event"] for line in settled] == ["change_in_doubt", "change_settled", "record_held"]
    assert settled[1]["outcome"] == "refused"


def test_password_without_an_id_is_not_kept_as_words(found: Found) -> None:
    college = found()
    college.enrol("L1")
    _answer(college, {"Username": "aexample", "Password": "never-log-this"}, "/User", times=1)

    assert college.run().in_doubt == 1
    assert college.run().is_in_sync

    assert [path for path, _ in college.writes() if path == "/User"] == ["/User", "/User"]


def test_creates_answered_in_words_suspend_the_action_as_refusals_do(found: Found) -> None:
    college = found()
    college.with_policy(max_in_flight=1)
    college.enrol(*(f"L{number}" for number in range(12)))
    _answer(college, {"Message": "No seat is free."}, "/User")

    first = college.run()

    assert (first.in_doubt, first.queued) == (5, 7)
    second = college.run()
    assert sorted(college.held.values()) == ["refused"] * 5
    assert second.in_doubt == 1
    college.onefile.faults.clear()
    for _ in range(3):
        done = college.run()
    assert done.is_in_sync
    assert all(len(college.in_onefile(f"L{number}")) == 1 for number in range(12))


@pytest.mark.parametrize("is_done", [False, True])
def test_archiving_answered_in_words_is_repeated(found: Found, is_done: bool) -> None:
    college = _enrolled(found)
    college.enrol("L2", "L3")
    college.run()
    college.with_policy(archives_leavers=True)
    college.withdraw("L1")
    college.run()
    _answer(college, {"Message": "Later."}, "/User/*/Archive", is_done=is_done, times=1)
    college.pass_days(16)

    assert college.outcomes("L1")[-2:] == [("archive", "refused"), ("archive", "applied")]
    assert college.in_onefile("L1")[0].is_archived


@pytest.mark.parametrize("is_done", [False, True])
def test_unarchiving_answered_in_words_is_repeated_unless_it_was_done(found: Found, is_done: bool) -> None:
    college = _enrolled(found)
    college.enrol("L2", "L3")
    college.run()
    college.with_policy(archives_leavers=True)
    college.withdraw("L1")
    college.pass_days(16)
    college.enrol("L1")
    _answer(college, {"Message": "Later."}, "/User/*/Unarchive", is_done=is_done, times=1)

    college.run()
    _retry(college)
    college.run()

    assert college.run().is_in_sync
    assert not college.in_onefile("L1")[0].is_archived
    assert college.outcomes("L1")[-1] == ("unarchive", "applied")


def test_assignment_answered_in_words_is_refused(found: Found) -> None:
    college = found()
    college.execute("CREATE TABLE pair (learner, misid)")
    college.execute("INSERT INTO pair VALUES ('L1', 'I1')")
    college.execute("CREATE TABLE staff (misid)")
    college.execute("INSERT INTO staff VALUES ('I1')")
    staff = "SELECT misid AS MISID, 'Ivy' AS FirstName, 'Quay' AS LastName, 'i@example.org' AS Email FROM staff"
    pairs = "SELECT learner AS LearnerMISID, misid AS UserMISID FROM pair"
    college.context = replace(
        college.context,
        feeds=(Feed("staff", Role.IQA, staff), *college.context.feeds),
        assignment_feeds=(Feed("pairs", Role.IQA, pairs),),
    )
    college.enrol("L1")
    _answer(college, {"Message": "Not allowed."}, "/User/*/Assign", times=1)

    assert college.run().refused == 1
    assert college.held == {"L1": "refused"}
    assert "Not allowed." in college.detail("L1")
    _retry(college)
    assert college.run().is_in_sync
    assert len(college.onefile.world.assignments) == 1
