"""A run's page: what began it, what it did, and the decision about one that was stopped."""

import re

import pytest

from syncd.core.guard import Limits
from syncd.core.run import Trigger
from syncd.core.scope import Scope
from syncd.state import resync_requests, runs
from syncd.sync.resync import answer
from syncd.sync.run import run_once, undo_once
from syncd.web.auth.credentials import Credentials
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .conftest import TOKEN, VIEWER, Visitor

SECRET = "Zz-a-personal-value"


def _stopped(college: College) -> int:
    college.with_policy(limits=Limits(floor=1))
    college.enrol("L1", "L2", "L3", surname=SECRET)
    return college.run().run


def _state(college: College, number: int) -> tuple[str, str]:
    with college.context.store.begin() as connection:
        run = runs.last(session_on(connection, ORGANISATION))
    assert run is not None
    assert run.id == number
    return run.state, run.settled_by


def test_finished_run_page_shows_caller_and_every_change(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    done = run_once(college.context, Trigger.REQUEST, asked_by="Morgan (page)")
    page = Visitor(college).get(f"/runs/{done.run}")
    assert "Started by a request by Morgan (page) on 15 Jan 2026, 12:00" in page.text
    assert "Create, done 2" in page.text
    assert {"/people/Learner/L1", "/people/Learner/L2"} <= {*page.links}


def test_the_changes_can_be_narrowed_down_to_those_that_came_to_nothing(found: Found) -> None:
    college = found(strict=True)
    college.enrol("L1")
    college.enrol("L2", surname="Longest" * 10)
    number = college.run().run
    page = Visitor(college).get(f"/runs/{number}?action=create&outcome=refused")
    assert len([link for link in page.links if link.startswith("/people/Learner/")]) == 1
    everything = Visitor(college).get(f"/runs/{number}?action=nonsense&outcome=%00")
    assert len([link for link in everything.links if link.startswith("/people/Learner/")]) == 2


def test_a_long_run_has_its_changes_on_several_pages(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(60)))
    number = college.run().run
    visitor = Visitor(college)
    first, second = visitor.get(f"/runs/{number}"), visitor.get(f"/runs/{number}?page=1")
    people = [{link for link in page.links if link.startswith("/people/L")} for page in (first, second)]
    assert [len(each) for each in people] == [50, 10]
    assert not people[0] & people[1]
    assert "51 to 60 of 60" in second.text


def test_stopped_run_shows_its_plan_in_groups_and_each_change_and_no_value(found: Found) -> None:
    college = found()
    number = _stopped(college)
    page = Visitor(college).get(f"/runs/{number}")
    assert (
        "The guard stopped it before its first change: 3 creates where 0 are allowed in one run without approval."
        in page.text
    )
    assert "The plan 3 waits for a decision 3" in page.text
    assert "3 create Learner ClassroomID, DefaultAssessorID" in page.text
    assert {"/people/Learner/L1", "/people/Learner/L2", "/people/Learner/L3"} <= {*page.links}
    assert "ClassroomID, DefaultAssessorID, Email, FirstName, LastName, MISID, PlacementID" in page.text
    assert page.buttons[:2] == ["Approve 3 creates", "Reject"]
    assert SECRET not in page.html


def test_pages_show_started_changes_and_time_left_of_run_in_progress(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2", "L3")
    college.with_policy(max_in_flight=1)
    seen: list[str] = []
    college.run(
        progress=lambda _done, _total: seen.extend(Visitor(college).get(path).text for path in ("/", "/runs/1"))
    )
    assert "1 change started of 3 planned, 1 s left. Show the run" in seen[0]
    assert "1 of 3 changes started, 1 s left" in seen[1]
    assert "3 of 3 changes started" in seen[-1]
    assert "left" not in seen[-1].partition("changes started")[2][:10]


def test_approving_lets_it_go_at_once(found: Found) -> None:
    college = found()
    number = _stopped(college)
    page = Visitor(college).post(f"/runs/{number}/approve")
    assert re.fullmatch(r"/asked/\d+", page.path)
    assert _state(college, number) == ("approved", "loopback (page)")
    page = Visitor(college).get(f"/runs/{number}")
    assert "Approved by loopback (page) on 15 Jan 2026, 12:00, for 3 creates." in page.text
    assert "The approval expires on 16 Jan 2026, 12:00" in page.text
    assert college.run().is_in_sync
    assert "The approval has ended." in Visitor(college).get(f"/runs/{number}").text


def test_approving_a_run_about_some_asks_for_those_only(found: Found) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=0, percent=0))
    college.enrol("L1", "L2")
    with college.context.store.begin() as connection:
        request = resync_requests.add(session_on(connection, ORGANISATION, college.clock()), "Morgan", ["L1"])
    number = run_once(college.context, Trigger.REQUEST, scope=Scope.of(["L1"])).run
    with college.context.store.begin() as connection:
        resync_requests.record_answer(session_on(connection), [request], number)
    visitor = Visitor(college)
    assert "limited to L1" in visitor.get(f"/runs/{number}").text
    visitor.post(f"/runs/{number}/approve")
    with college.context.store.begin() as connection:
        assert [each.misids for each in resync_requests.waiting(session_on(connection, ORGANISATION))] == [("L1",)]


def test_rejected_run_shows_who_rejected_it_and_no_approve_button(found: Found) -> None:
    college = found()
    number = _stopped(college)
    page = Visitor(college).post(f"/runs/{number}/reject")
    assert _state(college, number) == ("rejected", "loopback (page)")
    assert "Rejected by loopback (page) on 15 Jan 2026, 12:00." in page.text
    assert "Approve" not in "".join(page.buttons)


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_what_is_settled_is_not_settled_again(found: Found, what: str) -> None:
    college = found()
    number = _stopped(college)
    visitor = Visitor(college)
    visitor.post(f"/runs/{number}/reject")
    page = visitor.post(f"/runs/{number}/{what}")
    assert (page.status, _state(college, number)[0]) == (409, "rejected")
    assert "No run waits for approval" in page.text


def test_what_a_command_was_stopped_at_is_not_asked_of_the_daemon(found: Found) -> None:
    college = found()
    number = _stopped(college)
    with college.context.store.begin() as connection:
        connection.exec_driver_sql("UPDATE run SET trigger = 'link'")
    page = Visitor(college).post(f"/runs/{number}/approve")
    assert page.path == f"/runs/{number}"
    with college.context.store.begin() as connection:
        assert resync_requests.waiting(session_on(connection, ORGANISATION)) == []


def test_page_of_run_in_progress_is_live_and_shows_its_stage(found: Found) -> None:
    college = found()
    with college.context.store.begin() as connection:
        number = runs.start(session_on(connection, ORGANISATION, college.clock()), Trigger.SCHEDULE)
    page = Visitor(college).get(f"/runs/{number}")
    assert "Reading the MIS and comparing." in page.text
    assert '<div id="run" data-live="1">' in page.html
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page.html


def test_viewer_of_stopped_run_gets_no_buttons_and_cannot_approve(found: Found) -> None:
    college = found()
    number = _stopped(college)
    visitor = Visitor(college, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    visitor.sign_in(VIEWER)
    page = visitor.get(f"/runs/{number}")
    assert "You have read-only access. An administrator must approve or reject this run." in page.text
    assert page.buttons == ["Sign out", "Search"]
    assert visitor.post(f"/runs/{number}/approve").status == 403
    assert _state(college, number) == ("awaiting_approval", "")


def test_there_is_no_page_of_a_run_that_there_never_was(found: Found) -> None:
    visitor = Visitor(found())
    for number in ("0", "99", "2147483648", "987654321012345678901"):
        page = visitor.get(f"/runs/{number}")
        assert (page.status, "There is no such run." in page.text) == (404, True)
        assert visitor.post(f"/runs/{number}/approve").status == 404
        assert visitor.get(f"/asked/{number}").status == 404


def test_a_run_of_another_organisation_is_none_of_ours(found: Found) -> None:
    college = found()
    number = _stopped(college)
    assert Visitor(college, (5741,)).get(f"/runs/{number}").status == 404


def test_finished_run_is_undone_by_its_button(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2", surname=SECRET)
    number = college.run().run
    visitor = Visitor(college)
    page = visitor.get(f"/runs/{number}")
    assert f"Undo run {number}" in page.buttons
    assert "Undo this run" in page.text

    page = visitor.post(f"/runs/{number}/undo", misid="L1")

    assert re.fullmatch(r"/asked/\d+", page.path)
    assert f"Undo of run {number} requested for L1" in page.text
    answer(college.context)
    page = visitor.get(page.path)
    assert page.path == f"/runs/{number + 1}"
    assert "Started by an undo by loopback (page) on 15 Jan 2026, 12:00" in page.text
    assert f"limited to L1. It takes back what run {number} has sent." in page.text
    assert "Archive, done 1" in page.text
    assert [user.is_archived for misid in ("L1", "L2") for user in college.in_onefile(misid)] == [True, False]
    assert f"taken back by run {number + 1}" in visitor.get(f"/runs/{number}").text


def test_undo_lists_what_it_leaves_alone_on_its_page(found: Found) -> None:
    college = found()
    college.enrol("L1", phone=None)
    college.run()
    college.correct("L1", phone="0100", surname="Changed")
    number = undo_once(college.context, college.run().run).run
    page = Visitor(college).get(f"/runs/{number}")
    assert "Not undone 1" in page.text
    assert "L1 Learner update Telephone syncd had no value of it before" in page.text


def test_stopped_undo_is_approved_and_starts_at_once(found: Found) -> None:
    college = found()
    undone = college.run_large_update()
    number = undo_once(college.context, undone).run
    visitor = Visitor(college)
    page = visitor.get(f"/runs/{number}")
    assert (
        "The next run makes those of which OneFile still has what they take back. That run starts at once." in page.text
    )
    page = visitor.post(f"/runs/{number}/approve")
    assert re.fullmatch(r"/asked/\d+", page.path)
    answer(college.context)
    assert [user.values["LastName"] for user in college.in_onefile("L1")] == ["Example-L1"]
    assert college.held == dict.fromkeys(("L1", "L2", "L3"), "rejected")


def test_run_that_cannot_be_undone_is_refused_in_words(found: Found) -> None:
    college = found()
    quiet = college.run().run
    visitor = Visitor(college)
    page = visitor.post(f"/runs/{quiet}/undo")
    assert (page.status, f"Run {quiet} has sent nothing" in page.text) == (409, True)
    assert visitor.post("/runs/99/undo").status == 404
    college.enrol("L1")
    number = college.run().run
    assert visitor.post(f"/runs/{number}/undo", misid="L9").status == 409
    assert visitor.post(f"/runs/{number}/undo", misid="L" * 300).status == 400


def test_only_an_administrator_may_undo_and_only_from_the_form(found: Found) -> None:
    college = found()
    college.enrol("L1")
    number = college.run().run
    viewer = Visitor(college, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    viewer.sign_in(VIEWER)
    assert "Undo" not in " ".join(viewer.get(f"/runs/{number}").buttons)
    assert viewer.post(f"/runs/{number}/undo").status == 403
    assert Visitor(college).post(f"/runs/{number}/undo", csrf_token="forged").status == 403
    with college.context.store.begin() as connection:
        assert resync_requests.waiting(session_on(connection, ORGANISATION)) == []
