"""Finding a person, all that is known of one, what the next run would do, and asking for it."""

from datetime import timedelta
from urllib.parse import quote

import pytest
import structlog

from syncd.core.run import Trigger
from syncd.errors import Interrupted, MisUnreachable
from syncd.operations.explain import Explanation
from syncd.operations.verify import verify_once
from syncd.state import resync_requests
from syncd.web.auth.credentials import Credentials
from tests.support.college import Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .conftest import TOKEN, VIEWER, Visitor

ODD = [
    "a/b",
    "a b",
    "'\"<&>",
    "Zoë-ŵ",
    "日本/1",
    "a?b=c#d",
    "100%",
    "..",
    ".",
    "a/../b",
    "/a",
    "a/",
    "a//b",
    "a+b",
    "a;b",
]
SECRET = "Zz-a-personal-value"

_NONSENSE = {
    "/people/Nobody/L1": 404,
    "/people/Learner": 400,
    f"/people/Learner/{'x' * 256}": 400,
    "/people/Learner/%00": 400,
    "/people?q=%00": 400,
    f"/people?q={'x' * 256}": 400,
    "/people/Learner/L1?organisation=1": 400,
    "/people?page=-1": 200,
    "/people?page=99999999999999999999": 200,
    "/people?role=x&status=y": 200,
}


def test_search_finds_person_by_misid_and_by_userid(found: Found) -> None:
    college = found()
    college.enrol("L1", "L10")
    college.run()
    visitor = Visitor(college)
    assert visitor.get("/people?q=L10").path == "/people/Learner/L10"
    assert visitor.get(f"/people?q={college.known_id('L1')}").path == "/people/Learner/L1"
    assert "2 people and places" in visitor.get("/people?q=l1").text


def test_search_finds_held_record_without_account(found: Found) -> None:
    college = found()
    college.enrol("L1", email="")
    college.run()
    page = Visitor(college).get("/people?q=L1")
    assert "Held: missing Email is empty, since 15 Jan 2026, 12:00" in page.text
    assert "syncd has no account for this MISID in this role." in page.text


def test_search_for_wildcard_or_unknown_text_finds_no_results(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    visitor = Visitor(college)
    for text in ("%25", "_", "%5C", "zzz"):
        assert "No results." in visitor.get(f"/people?q={text}").text


def test_any_misid_has_a_page_that_its_links_lead_to(found: Found) -> None:
    college = found()
    for number, misid in enumerate(ODD):
        college.enrol(misid, email=f"somebody{number}@students.example.org")
    run = college.run().run
    visitor = Visitor(college)
    links = [each for each in visitor.get(f"/runs/{run}").links if each.startswith("/people/")]
    pages = [visitor.get(link) for link in links]
    assert [page.status for page in pages] == [200] * len(ODD)
    assert not any("<&>" in page.html for page in pages)
    for misid in ODD:
        (page,) = (page for page in pages if f"UserID {college.known_id(misid)}" in page.text)
        assert f"UserID {college.known_id(misid)}" in visitor.get(f"/people?q={quote(misid, safe='')}").text
        explained = visitor.get(next(each for each in page.links if "explain=yes" in each))
        assert "is as OneFile last accepted it: nothing to send" in explained.text
        visitor.post("/sync", organisation=ORGANISATION, misid=misid)
    with college.context.store.begin() as connection:
        assert [each.misids for each in resync_requests.waiting(session_on(connection, ORGANISATION))] == [
            (each,) for each in ODD
        ]


def test_a_page_has_the_account_and_its_history(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    college.correct("L1", surname=SECRET)
    college.run()
    page = Visitor(college).get("/people/Learner/L1")
    assert f"UserID {college.known_id('L1')}" in page.text
    assert "update done LastName 1" in page.text
    assert page.text.index("update done") < page.text.index("create done")
    assert SECRET not in page.html


def test_refused_record_page_shows_refusal_and_retry_button(found: Found) -> None:
    college = found(strict=True)
    college.enrol("L1", surname="Longest" * 10)
    college.run()
    page = Visitor(college).get("/people/Learner/L1")
    assert "Held: refused" in page.text
    assert "Retry" in page.buttons


def test_person_page_explains_next_run_only_on_request(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    college.correct("L1", surname=SECRET)
    visitor = Visitor(college)
    assert "Row 1 of the feed" not in visitor.get("/people/Learner/L1").text
    page = visitor.get("/people/Learner/L1?explain=yes")
    assert "Learner L1 would be updated: LastName. These values differ from those" in page.text
    assert "LastName LastName text differs, sent" in page.text
    assert "FirstName FirstName text same" in page.text
    assert "Row 1 of the feed learners" in page.text
    assert SECRET not in page.html
    assert college.outcomes("L1") == [("create", "applied")]


def test_values_are_shown_to_signed_in_administrator_and_logged(found: Found) -> None:
    college = found()
    college.enrol("L1", surname=SECRET)
    asked = {"organisation": ORGANISATION, "role": "Learner", "misid": "L1"}
    visitor = Visitor(college, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    assert visitor.get("/people/Learner/L1").path.startswith("/sign-in")
    visitor.sign_in(TOKEN)
    assert "Show values" in visitor.get("/people/Learner/L1?explain=yes").buttons
    with structlog.testing.capture_logs() as log:
        page = visitor.post("/people/values", **asked)
    assert f'"{SECRET}"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    (shown,) = (line for line in log if line["event"] == "personal_values_viewed")
    assert (shown["organisation_id"], shown["role"], shown["misid"]) == (ORGANISATION, "Learner", "L1")
    assert shown["asked_by"] == "Morgan (page)"
    assert {"LastName", "Email", "ClassroomID"} <= {*shown["fields"]}
    assert SECRET not in str(log)


def test_sign_in_leads_to_requested_page_with_special_characters_in_path(found: Found) -> None:
    college = found()
    college.enrol("a?b=c/d#é&f", email="somebody@students.example.org")
    college.run()
    link = f"/people/Learner/{quote('a?b=c/d#é&f', safe='')}"
    page = Visitor(college, credentials=Credentials(TOKEN)).sign_in(TOKEN, to=f"{link}?explain=yes")
    assert (page.status, page.path) == (200, f"{link}?explain=yes")


def test_values_are_refused_to_viewer_and_where_no_credentials_are_set(found: Found) -> None:
    college = found()
    college.enrol("L1", surname=SECRET)
    asked = {"organisation": ORGANISATION, "role": "Learner", "misid": "L1"}
    looker = Visitor(college, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    looker.sign_in(VIEWER)
    for visitor in (looker, Visitor(college)):
        assert "Show values" not in visitor.get("/people/Learner/L1?explain=yes").buttons
        with structlog.testing.capture_logs() as log:
            page = visitor.post("/people/values", **asked)
        assert (page.status, SECRET in page.html, log) == (403, False, [])


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (MisUnreachable("The MIS did not answer."), "The MIS did not answer."),
        (Interrupted(), "No calls to OneFile are allowed now"),
    ],
)
def test_person_page_shows_why_explanation_failed(found: Found, problem: Exception, said: str) -> None:
    college = found()
    college.enrol("L1")
    college.run()

    def explain(_organisation_id: int, _misid: str) -> Explanation:
        raise problem

    page = Visitor(college, explain=explain).get("/people/Learner/L1?explain=yes")
    assert (page.status, said in page.text) == (200, True)


def test_person_without_account_has_no_page_but_can_be_explained(found: Found) -> None:
    college = found()
    visitor = Visitor(college)
    assert visitor.get("/people/Learner/L1").status == 404
    college.enrol("L1")
    page = visitor.get("/people/Learner/L1?explain=yes")
    assert (page.status, "would be created" in page.text) == (200, True)


def test_person_is_found_in_their_own_organisation_among_several(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    visitor = Visitor(college, (5741, ORGANISATION))
    assert visitor.get("/people?q=L1").path == f"/people/Learner/L1?organisation={ORGANISATION}"
    assert visitor.get("/people/Learner/L1").path == f"/people/Learner/L1?organisation={ORGANISATION}"
    assert visitor.get("/people/Learner/L1?organisation=5741").status == 404


def test_nonsense_is_answered_in_a_sentence(found: Found) -> None:
    visitor = Visitor(found())
    for path, status in _NONSENSE.items():
        page = visitor.get(path)
        assert (path, page.status) == (path, status)
        assert page.text.startswith("Error ·") == (status != 200)


def test_leavers_can_be_listed(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2", "L3")
    college.run()
    college.withdraw("L3")
    college.run()
    assert "1 person or place" in Visitor(college).get("/people?status=leaver").text


@pytest.mark.parametrize(("keep", "says"), [(timedelta(days=400), True), (timedelta(), False)])
def test_page_says_since_when_changes_are_kept(found: Found, keep: timedelta, says: bool) -> None:
    college = found()
    college.enrol("L1")
    college.run()
    since = college.clock() - timedelta(days=400)

    page = Visitor(college, keep=keep).get("/people/Learner/L1")

    assert (f"{since:%-d %b %Y}" in page.text) is says
    assert ("older ones are deleted" in page.text) is says


def test_page_shows_the_drift_that_verify_has_found(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    college.run()
    (user,) = college.in_onefile("L1")
    user.values["FirstName"] = "Anna"
    verify_once(college.context, Trigger.VERIFY)

    page = Visitor(college).get("/people/Learner/L1")

    assert "Drift: FirstName, when OneFile was verified," in page.text
    assert "Anna" not in page.text
    assert "Drift:" not in Visitor(college).get("/people/Learner/L2").text
