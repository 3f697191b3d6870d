"""The plan of a run on its page: all of it, in groups, searched, with values for those who may see them, as CSV."""

import csv
import io
import json

import pytest
import structlog

from syncd.core.guard import Limits
from syncd.web.auth.credentials import Credentials
from syncd.web.schemas import PlanPage
from tests.support.college import College, Found

from .conftest import TOKEN, VIEWER, Page, Visitor

OLD, NEW = "Zz-the-value-of-before", "Zz-the-value-to-send"


@pytest.fixture
def college(found: Found) -> College:
    """60 corrected learners, two of them in two fields, and one who is new, of whom none is sent."""
    college = found()
    college.enrol(*(f"L{number}" for number in range(60)), surname=OLD)
    college.run()
    college.with_policy(limits=Limits(percent=0, floor=1))
    for number in range(60):
        college.correct(f"L{number}", surname=NEW)
    for number in (7, 8):
        college.correct(f"L{number}", phone="020 7946 0000")
    college.enrol("N1")
    college.run()
    return college


def _people(page: Page) -> list[str]:
    return [link.rpartition("/")[2] for link in page.links if link.startswith("/people/Learner/")]


def _rows(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(page.html)))


def test_changes_with_the_same_fields_are_one_line_that_opens(college: College) -> None:
    visitor = Visitor(college)
    page = visitor.get("/runs/2")
    assert "58 update Learner LastName" in page.text
    assert "2 update Learner LastName, Telephone" in page.text
    assert _people(page) == []
    (link,) = (each for each in page.links if "fields=LastName%2CTelephone" in each)
    assert sorted(_people(visitor.get(link))) == ["L7", "L8"]
    (link,) = (each for each in page.links if "fields=LastName#" in each)
    opened = visitor.get(link)
    assert len(_people(opened)) == 50
    assert "1 to 50 of 58" in opened.text
    (following,) = (each for each in opened.links if "steps=1" in each)
    assert len(_people(visitor.get(f"/runs/2{following}"))) == 8


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("misid=L1", 11),
        ("misid=%25", 0),
        ("kind=create", 1),
        ("field=Telephone", 2),
        ("field=Tele", 0),
        ("role=Assessor", 0),
        ("part=creates", 1),
        ("misid=L7&field=Telephone&kind=update&role=Learner", 1),
    ],
)
def test_plan_is_searched_by_misid_action_role_and_field(college: College, query: str, count: int) -> None:
    page = Visitor(college).get(f"/runs/2?{query}")
    assert len(_people(page)) == count
    assert f"The plan {count} " in page.text
    assert NEW not in page.html


def test_csv_of_the_page_has_every_chosen_change_and_no_value(college: College) -> None:
    page = Visitor(college).get("/runs/2/plan.csv?kind=update")
    assert page.headers["Content-Disposition"] == 'attachment; filename="plan-2.csv"'
    rows = _rows(page)
    assert len(rows) == 60 + 2
    assert rows[0] == {
        "organisation_id": "5740",
        "action": "update",
        "role": "Learner",
        "misid": "L0",
        "other_misid": "",
        "field": "LastName",
        "decision": "undecided",
        "outcome": "",
    }
    assert NEW not in page.html
    assert Visitor(college).get("/runs/99/plan.csv").status == 404


def test_values_are_shown_to_signed_in_administrators_and_logged(college: College) -> None:
    visitor = Visitor(college, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    visitor.sign_in(TOKEN)
    visitor.get("/runs/2?misid=L7")
    with structlog.testing.capture_logs() as log:
        page = visitor.post("/runs/2/plan", misid="L7")
        rows = _rows(visitor.post("/runs/2/plan.csv", misid="L7"))
    assert f"LastName: {OLD} {NEW}" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert [(row["field"], row["value_now"], row["value_to_send"]) for row in rows] == [
        ("LastName", OLD, NEW),
        ("Telephone", "", "020 7946 0000"),
    ]
    shown = [line for line in log if line["event"] == "personal_values_viewed"]
    assert [(line["run"], line["fields"], line["asked_by"]) for line in shown] == [
        (2, ["LastName", "Telephone"], "Morgan (page)")
    ] * 2
    assert NEW not in str(log)


@pytest.mark.parametrize("address", ["/runs/2/plan", "/runs/2/plan.csv"])
def test_viewer_sees_no_values(college: College, address: str) -> None:
    visitor = Visitor(college, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    visitor.sign_in(VIEWER)
    assert "Show the values" not in visitor.get("/runs/2?misid=L7").buttons
    page = visitor.post(address, misid="L7")
    assert page.status == 403
    assert NEW not in page.html


def test_part_of_a_plan_is_approved_on_its_page_with_a_reason(college: College) -> None:
    visitor = Visitor(college)
    visitor.post("/runs/2/approve", field="Telephone", reason="checked by phone")
    page = visitor.get("/runs/2")
    assert "Approved by loopback (page) on 15 Jan 2026, 12:00, for 2 updates (only Telephone)." in page.text
    assert "Reason: checked by phone." in page.text
    assert "Approve 1 create and 58 updates" in page.buttons
    assert college.run().sent == 2
    visitor.post("/runs/2/reject", reason="the rest is wrong")
    page = visitor.get("/runs/2")
    assert "Rejected by loopback (page) on 15 Jan 2026, 12:00. Reason: the rest is wrong." in page.text
    assert visitor.post("/runs/2/approve").status == 409
    assert college.run().held == 59


def test_api_returns_the_plan_page_by_page_without_values(college: College) -> None:
    visitor = Visitor(college)
    first = visitor.get("/api/runs/2/plan?limit=40").json
    rest = visitor.get("/api/runs/2/plan?limit=40&first=40").json
    PlanPage.model_validate_json(json.dumps(first))
    assert (first["run"], first["count"], len(first["steps"]), len(rest["steps"])) == (2, 61, 40, 21)
    assert {each["misid"] for each in first["steps"] + rest["steps"]} == {"N1", *(f"L{number}" for number in range(60))}
    assert NEW not in str(first) + str(rest)
    (step,) = visitor.get("/api/runs/2/plan?misid=L7&field=Telephone").json["steps"]
    assert step == {
        "action": "update",
        "role": "Learner",
        "misid": "L7",
        "other_misid": None,
        "fields": ["LastName", "Telephone"],
        "decision": "undecided",
        "outcome": None,
    }
    assert visitor.get("/api/runs/2/plan?action=create&role=Learner").json["count"] == 1
    assert visitor.get("/api/runs/2/plan?only=leavers").json["steps"] == []


@pytest.mark.parametrize("query", ["first=-1", "limit=0", "limit=5000", "role=Nobody", "page=1", "misid=%00"])
def test_api_says_which_part_of_a_query_is_not_valid(college: College, query: str) -> None:
    answer = Visitor(college).get(f"/api/runs/2/plan?{query}")
    assert answer.status == 400
    assert f"not valid: {query.partition('=')[0]}." in answer.html


@pytest.mark.parametrize("run", [9, 2**40])
def test_api_says_that_there_is_no_such_plan(college: College, run: int) -> None:
    assert Visitor(college).get(f"/api/runs/{run}/plan").status == 404
