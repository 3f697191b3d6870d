"""The held list: grouped by reason, with what to do, another try, and the answers to questions."""

import pytest

from syncd.core.records import Reason
from syncd.state import answers, resync_requests
from syncd.sync.reasons import HELD, LEFT_OUT
from syncd.web.auth.credentials import Credentials
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .conftest import TOKEN, VIEWER, Visitor

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
    only_warnings = {Reason.CLEARED, Reason.SAME_PERSON, Reason.DOUBTFUL}
    assert {*HELD} | only_warnings == {*Reason}
    assert only_warnings <= {*LEFT_OUT}
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


_ULNS = ("9276308686", "1000000078")


@pytest.fixture
def asked(found: Found) -> College:
    """Two people of new MISIDs resemble two whose records are gone."""
    college = found()
    college.add_columns("uln")
    college.with_feed(_FEED_WITH_ULN)
    college.enrol("L1", "L2", "L3", "L4", "L5")
    for number, uln in enumerate(_ULNS):
        college.enrol(f"OLD{number}", surname=f"Pryce{number}", uln=uln)
    college.run()
    for number, uln in enumerate(_ULNS):
        college.withdraw(f"OLD{number}")
        college.enrol(f"NEW{number}", surname=f"Pryce{number}", uln=uln)
    college.run()
    assert college.held == {"NEW0": "rekeyed?", "NEW1": "rekeyed?"}
    return college


_SAME, _NEW = "The same person: keep the account", "A new person: create an account"


def test_question_names_evidence_and_the_other_account(asked: College) -> None:
    page = Visitor(asked).get("/held")
    assert "FirstName, LastName and ULN equal, Email differs" in page.text
    assert f"Compared with OLD0, UserID {asked.known_id('OLD0')}" in page.text
    assert "/people/Learner/OLD0" in page.links
    assert "Pryce" not in page.text
    assert page.buttons == [f"All: {_SAME.lower()}", f"All: {_NEW.lower()}", _SAME, _NEW, _SAME, _NEW]


def test_person_is_the_same_or_a_new_one_as_the_button_says(asked: College) -> None:
    before, visitor = asked.known_id("OLD0"), Visitor(asked)
    question = {"organisation": ORGANISATION, "reason": "rekeyed?", "role": "Learner"}

    page = visitor.post("/answer", **question, misid="NEW0", answer="same")
    assert page.path.startswith("/asked/")
    assert "answered: the same person" in visitor.get("/held").text
    visitor.post("/answer", **question, misid="NEW1", answer="new")
    with asked.context.store.begin() as connection:
        requests = resync_requests.waiting(session_on(connection, ORGANISATION))
    assert [request.misids for request in requests] == [("NEW0",), ("NEW1",)]

    asked.run()
    assert asked.held == {}
    assert [user.id for user in asked.in_onefile("NEW0")] == [before]
    assert len(asked.in_onefile("NEW1")) == len(asked.in_onefile("OLD1")) == 1


def test_all_of_a_group_are_answered_by_one_button(asked: College) -> None:
    before = [asked.known_id("OLD0"), asked.known_id("OLD1")]
    Visitor(asked).post("/answer", organisation=ORGANISATION, reason="rekeyed?", answer="same")
    with asked.context.store.begin() as connection:
        (request,) = resync_requests.waiting(session_on(connection, ORGANISATION))
    assert (request.misids, request.requested_by) == ((), "loopback (page)")
    asked.run()
    assert [asked.in_onefile(misid)[0].id for misid in ("NEW0", "NEW1")] == before


def test_misid_of_a_new_owner_is_released_by_a_button(found: Found) -> None:
    college = found()
    college.add_columns("uln")
    college.with_feed(_FEED_WITH_ULN)
    college.enrol("L1", uln=_ULNS[0])
    college.enrol("L2", "L3")
    college.run()
    before, visitor = college.known_id("L1"), Visitor(college)
    college.correct("L1", forename="Ben", surname="Obi", email="ben@x.example.org", uln=_ULNS[1])
    college.run()
    person = visitor.get("/people/Learner/L1")
    assert person.buttons[:2] == ["The same person: update the account", "A new owner: release the account"]

    visitor.post(
        "/answer", organisation=ORGANISATION, reason="another_person?", role="Learner", misid="L1", answer="new"
    )
    college.run()
    assert f"the old account gets the MISID released-{before}" in visitor.get("/held").text
    college.run()

    assert [user.id for user in college.in_onefile(f"released-{before}")] == [before]
    history = visitor.get("/people/Learner/L1").text
    assert f"released-{before} {before} new MISID done was L1 until now" in history


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"reason": "rekeyed?", "answer": "perhaps"}, 400),
        ({"reason": "nonsense", "answer": "new"}, 400),
        ({"answer": "new"}, 400),
        ({"reason": "rekeyed?", "answer": "new", "role": "Chef"}, 400),
        ({"reason": "rekeyed?", "answer": "new", "misid": "GONE"}, 409),
        ({"reason": "another_person?", "answer": "same"}, 409),
        ({"reason": "rekeyed?", "answer": "new", "csrf_token": "another"}, 403),
    ],
)
def test_form_without_a_question_changes_nothing(asked: College, form: dict[str, str], status: int) -> None:
    assert Visitor(asked).post("/answer", **{"organisation": ORGANISATION, **form}).status == status
    with asked.context.store.begin() as connection:
        assert answers.stored(session_on(connection, ORGANISATION)) == {}


def test_reader_sees_questions_but_cannot_answer_them(asked: College) -> None:
    visitor = Visitor(asked, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    visitor.sign_in(VIEWER)
    assert visitor.get("/held").buttons == ["Sign out"]
    assert visitor.post("/answer", organisation=ORGANISATION, reason="rekeyed?", answer="same").status == 403


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
