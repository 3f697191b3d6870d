"""The held list: grouped by reason, with what to do, and another try."""

from syncd.core.records import Reason
from syncd.state import resync_requests
from syncd.sync.reasons import HELD, LEFT_OUT
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .conftest import Visitor

_FEED_WITH_ULN = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""


def _refuse(college: College, *misids: str) -> None:
    college.enrol(*misids, surname="Longest" * 10)
    college.run()
    assert college.held == dict.fromkeys(misids, "refused")


def test_it_groups_by_reason_and_says_what_each_means_and_what_to_do(found: Found) -> None:
    college = found()
    college.enrol("L1", email="")
    college.enrol("L2", classroom="Nowhere")
    college.run()
    text = Visitor(college).get("/held").text
    assert f"Missing 1 {HELD[Reason.MISSING].meaning} {HELD[Reason.MISSING].remedy}" in text
    assert "L1 Learner Email is empty 15 Jan 2026, 12:00" in text
    assert "Reference not found 1" in text
    assert "OneFile has no classroom with the Name 'Nowhere'" in text


def test_there_is_advice_for_every_reason_that_a_record_can_be_held_for() -> None:
    assert {*HELD} | {Reason.CLEARED} == {*Reason}
    assert Reason.CLEARED in LEFT_OUT
    assert all(advice.meaning and advice.remedy for advice in (*HELD.values(), *LEFT_OUT.values()))


def test_one_that_was_refused_is_let_go_and_asked_for_at_once(found: Found) -> None:
    college = found(strict=True)
    _refuse(college, "L1", "L2")
    page = Visitor(college).post("/retry", organisation=ORGANISATION, misid="L1")
    assert page.path.startswith("/asked/")
    assert set(college.held) == {"L2"}
    with college.context.store.begin() as connection:
        (request,) = resync_requests.waiting(session_on(connection, ORGANISATION))
    assert (request.misids, request.requested_by) == (("L1",), "loopback (page)")


def test_all_that_were_refused_are_let_go(found: Found) -> None:
    college = found(strict=True)
    _refuse(college, "L1", "L2")
    assert Visitor(college).get("/held").buttons == ["Retry all", "Retry", "Retry"]
    Visitor(college).post("/retry", organisation=ORGANISATION)
    assert college.held == {}
    college.run()
    assert college.outcomes("L1") == college.outcomes("L2") == [("create", "refused")] * 2


def test_what_is_held_for_another_reason_has_no_button(found: Found) -> None:
    college = found()
    college.enrol("L1", email="")
    college.run()
    assert Visitor(college).get("/held").buttons == []


def test_held_match_of_leaver_is_created_after_new_person_button(found: Found) -> None:
    college = found()
    college.add_columns("uln")
    college.with_feed(_FEED_WITH_ULN)
    college.enrol("L1", "L2", "L3")
    college.enrol("OLD", uln="9276308686")
    college.run()
    college.withdraw("OLD")
    college.enrol("NEW", uln="9276308686")
    college.run()
    assert college.held == {"NEW": "rekeyed?"}
    visitor = Visitor(college)
    assert visitor.get("/held").buttons == ["This is a new person"]
    visitor.post("/retry", organisation=ORGANISATION, misid="NEW")
    college.run()
    assert len(college.in_onefile("NEW")) == 1


def test_long_lists_are_cut_short_and_lead_on(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{number:03}" for number in range(60)), email="")
    college.enrol("X1", classroom="Nowhere")
    college.run()
    visitor = Visitor(college)
    page = visitor.get("/held")
    assert len([link for link in page.links if link.startswith("/people/Learner/L")]) == 10
    (more,) = [link for link in page.links if "reason=missing" in link]
    page = visitor.get(f"/held{more}")
    assert "1 to 50 of 60" in page.text
    assert "X1" not in page.text
    assert "51 to 60 of 60" in visitor.get(f"/held{next(link for link in page.links if 'page=1' in link)}").text


def test_values_left_out_are_a_list_of_their_own(found: Found) -> None:
    college = found()
    college.add_columns("uln")
    college.with_feed(_FEED_WITH_ULN)
    college.enrol("L1", uln="9276308687")
    college.run()
    visitor = Visitor(college)
    page = visitor.get("/held?list=left-out")
    assert "Held 0 Left out 1" in page.text
    assert "Unusable 1" in page.text
    assert "L1 Learner ULN" in page.text
    assert "No records are held." in visitor.get("/held").text


def test_a_row_without_a_misid_is_named_by_its_feed_and_number(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.enrol("")
    college.run()
    assert "row 2 of learners" in Visitor(college).get("/held").text


def test_there_is_no_list_of_a_reason_that_there_is_not(found: Found) -> None:
    visitor = Visitor(found())
    assert [visitor.get(f"/held?reason={each}").status for each in ("nonsense", "%00", "missing%27--")] == [404] * 3
