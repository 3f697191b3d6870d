"""The overview: in sync or not, as of when, and the facts beside it."""

import re
from datetime import timedelta

import pytest

from syncd.core.guard import Limits
from syncd.core.run import Trigger
from syncd.core.scope import Scope
from syncd.errors import OneFileUnreachable
from syncd.operations.verify import verify_once
from syncd.simulator import Fault, FaultKind
from syncd.state import daemons, resync_requests, runs
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .conftest import Visitor

OTHER_ORGANISATION = 5741
#: When the runs below read the MIS.
AS_OF = "15 Jan 2026, 12:00"


def _headline(college: College) -> str:
    found = re.search(r'class="headline">([^<]*)<', Visitor(college).get("/").html)
    assert found
    return found[1]


def test_the_headline_says_whether_the_college_is_in_sync_and_as_of_when(found: Found) -> None:
    college = found()
    assert _headline(college) == "No run has been made yet."
    college.enrol("L1")
    college.run()
    assert _headline(college) == f"In sync as of {AS_OF}."
    college.enrol("L2", email="")
    college.run()
    assert _headline(college) == f"In sync as of {AS_OF}, except 1 held record."
    college.with_policy(limits=Limits(floor=1))
    college.enrol("L3", "L4")
    stopped = college.run().run
    assert _headline(college) == f"Not in sync: run {stopped} waits for approval."
    Visitor(college).post(f"/runs/{stopped}/reject")
    assert _headline(college) == f"Not in sync: run {stopped} was rejected."
    college.run()
    assert _headline(college) == f"In sync as of {AS_OF}, except 3 held records."
    college.enrol("L5", "L6")
    stopped = college.run().run
    Visitor(college).post(f"/runs/{stopped}/approve")
    assert _headline(college) == f"Not in sync yet: run {stopped} is approved."
    college.run()
    assert _headline(college) == f"In sync as of {AS_OF}, except 3 held records."


def test_drift_that_a_verify_has_left_is_in_the_headline(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    college.run()
    assert "&#39;syncd verify&#39; finds them" in Visitor(college).get("/").html
    verify_once(college.context, Trigger.VERIFY)
    assert _headline(college) == f"In sync as of {AS_OF}."
    assert "since the last verify are not checked" in Visitor(college).get("/").html

    (user,) = college.in_onefile("L1")
    user.values["LastName"], user.modified_at = "Edited", college.clock.timestamp()
    verify_once(college.context, Trigger.VERIFY)
    assert _headline(college) == f"In sync as of {AS_OF}, except 1 account with drift."
    assert "The last verify found values in OneFile" in Visitor(college).get("/").html
    status = Visitor(college).get("/api/status").json
    assert (status["drift"], status["as_of"]) == (1, "2026-01-15T12:00:00.000Z")
    assert f'syncd_drift{{organisation="{ORGANISATION}"}} 1.0' in Visitor(college).get("/metrics").html

    verify_once(college.context, Trigger.VERIFY, fix=True)
    assert _headline(college) == f"In sync as of {AS_OF}."


def test_a_run_limited_to_some_misids_is_not_said_to_be_in_sync(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    college.run(scope=Scope.of(["L1"]))
    assert _headline(college) == "Not known to be in sync: no complete run yet."
    college.run()
    college.clock.now += timedelta(hours=1)
    college.run(scope=Scope.of(["L1"]))
    assert _headline(college) == f"In sync as of {AS_OF}."


def test_it_says_that_onefile_cannot_be_reached_and_since_when(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    with pytest.raises(OneFileUnreachable):
        college.run()
    assert _headline(college) == "Not in sync: OneFile cannot be reached."
    assert "cannot be reached since 15 Jan 2026, 12:00" in Visitor(college).get("/").text


def test_it_says_that_a_run_is_at_work_and_how_far_it_is(found: Found) -> None:
    college = found()
    with college.context.store.begin() as connection:
        number = runs.start(session_on(connection, ORGANISATION, college.clock()), Trigger.SCHEDULE)
    assert _headline(college) == f"Run {number} is in progress."
    assert f"/runs/{number}" in Visitor(college).get("/").links


def test_it_counts_accounts_and_held_records_and_leads_to_them(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    college.enrol("L3", email="")
    college.enrol("L4", classroom="Nowhere")
    college.run()
    page = Visitor(college).get("/")
    assert "Learners 2" in page.text
    assert "missing 1" in page.text
    assert "reference not found 1" in page.text
    assert {"/people?role=Learner", "/held?reason=missing"} <= {*page.links}


def test_it_charts_the_days_and_has_the_same_as_a_table(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    college.run()
    college.clock.now += timedelta(days=1)
    college.correct("L1", surname="Married")
    college.run()
    page = Visitor(college).get("/")
    assert "3 changes done and 0 refused in the last 30 days" in page.text
    assert len(re.findall(r'<rect class="applied"', page.html)) == 2
    assert re.search(r"Fri 16 Jan 1 0 [1-9]\d* Thu 15 Jan 2 0 [1-9]", page.text)
    assert len(re.findall(r'<th scope="row"><time', page.html)) == 30


def test_overview_shows_times_in_schedule_time_zone(found: Found) -> None:
    college = found()
    summer = college.clock.now.replace(month=7)
    with college.context.store.begin() as connection:
        daemons.register(session_on(connection, ORGANISATION, summer), "here", 1)
        daemons.note_next_run(session_on(connection, ORGANISATION), summer)
    assert '<time datetime="2026-07-15T12:00:00.000Z">15 Jul 2026, 13:00</time>' in Visitor(college).get("/").html


def test_overview_shows_used_share_of_call_allowance(found: Found) -> None:
    page = Visitor(found()).get("/")
    assert "Calls in the last minute 30 of 300 10 %" in page.text


def test_of_several_organisations_each_has_its_own_part(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    visitor = Visitor(college, (ORGANISATION, OTHER_ORGANISATION))
    page = visitor.get("/")
    assert f"Organisation {ORGANISATION} In sync as of {AS_OF}." in page.text
    assert f"Organisation {OTHER_ORGANISATION} No run has been made yet." in page.text
    visitor.post("/sync", organisation=OTHER_ORGANISATION)
    with college.context.store.begin() as connection:
        assert resync_requests.organisations_waiting(connection) == {OTHER_ORGANISATION}


def test_runs_that_found_nothing_to_do_are_listed_only_on_request(found: Found) -> None:
    college = found()
    college.enrol("L1")
    busy = college.run().run
    quiet = college.run().run
    visitor = Visitor(college)
    assert f"/runs/{quiet}" not in visitor.get("/runs").links
    assert {f"/runs/{quiet}", f"/runs/{busy}"} <= {*visitor.get("/runs?all=yes").links}


def test_sync_now_requests_run_in_name_of_caller_and_leads_to_it(found: Found) -> None:
    college = found()
    page = Visitor(college).post("/sync", organisation=ORGANISATION)
    with college.context.store.begin() as connection:
        (request,) = resync_requests.waiting(session_on(connection, ORGANISATION))
    assert (request.misids, request.requested_by) == ((), "loopback (page)")
    assert page.path == f"/asked/{request.id}"
    assert "No daemon is running for this organisation" in page.text
    with college.context.store.begin() as connection:
        answer = runs.start(session_on(connection, ORGANISATION, college.clock()), Trigger.REQUEST)
    # It has begun with the request, and goes on to be its answer.
    assert Visitor(college).get(page.path).path == f"/runs/{answer}"


def test_an_organisation_that_is_not_configured_is_not_asked_for(found: Found) -> None:
    college = found()
    visitor = Visitor(college)
    for organisation in ("0", "5741", "x", "5740 "):
        assert visitor.post("/sync", organisation=organisation).status == 400
    with college.context.store.begin() as connection:
        assert resync_requests.organisations_waiting(connection) == set()
