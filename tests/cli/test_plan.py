"""plan as a person reads it, and as a page that somebody signs."""

import json
import stat
from html.parser import HTMLParser
from urllib.parse import urlsplit

from sqlalchemy import create_engine, text

from syncd.core.records import Reason
from syncd.demo.sample_college import ORGANISATION_ID
from syncd.sync.reasons import HELD, LEFT_OUT

from .conftest import College, Syncd


def _everybody(college: College) -> list[tuple[str, ...]]:
    engine = create_engine(f"sqlite:///{college.folder / 'mis.db'}")
    try:
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT forename, surname, email, mobile, uln FROM learner")).all()
    finally:
        engine.dispose()
    return [tuple(str(value) for value in row if value) for row in rows]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elsewhere += [
            str(value) for name, value in attrs if name in {"src", "href"} and urlsplit(value or "").path
        ]
        assert tag not in {"script", "link", "iframe", "img"}


def test_the_counts_come_first_and_the_guard_last(college: College, syncd: Syncd) -> None:
    said = syncd("plan").stdout.splitlines()

    assert said[0] == "61 to create, 3 held, 2 values left out"
    assert said[-3] == "Changes to send: 61, each a call; at 60000 a minute that takes 1 s."
    assert (
        said[-2] == "The guard would stop it: it is the first run to create accounts in this organisation (61 creates)."
    )
    assert "Fields: ClassroomID, DOB (60), DefaultAssessorID, Email, " in "\n".join(said)
    assert not any(value in "\n".join(said) for row in _everybody(college) for value in row if len(value) > 5)


def test_plan_shows_held_records_by_reason_with_the_remedy(college: College, syncd: Syncd) -> None:
    said = " ".join(syncd("plan").stdout.split())
    for reason in (Reason.MISSING, Reason.DUPLICATE_KEY, Reason.REFERENCE_NOT_FOUND):
        assert f"{HELD[reason].meaning} {HELD[reason].remedy}" in said
    assert LEFT_OUT[Reason.UNUSABLE].remedy in said
    assert HELD[Reason.REFUSED].remedy not in said


def test_likely_accounts_come_first_in_text_page_and_document(college: College, syncd: Syncd) -> None:
    learner, *_ = _everybody(college)
    first, last = learner[:2]
    college.onefile.sow(
        {"users": [{"OrganisationID": ORGANISATION_ID, "Role": 1, "FirstName": last, "LastName": first.upper()}]}
    )

    said = syncd("plan").stdout.splitlines()

    assert said[0] == "1 of 61 new records has a likely account in OneFile and is held; 'syncd link' compares them."
    assert said[2] == "60 to create, 4 held, 2 values left out"
    assert syncd("plan", "--html", "plan.html").exit == 0
    page = (college.folder / "plan.html").read_text(encoding="utf-8")
    assert page.index("has a likely account") < page.index("60 to create")
    document = json.loads(syncd("plan", "--json").stdout)
    assert document["likely_accounts"] == 1
    assert [held["reason"] for held in document["held"]].count("has_an_account?") == 1

    college.configure(calls_per_minute="calls_per_minute = 60000\ncompare_names = false")
    assert syncd("plan").stdout.splitlines()[0] == "61 to create, 3 held, 2 values left out"


def test_a_page_stands_alone_and_has_no_values_unless_they_are_asked_for(college: College, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == 4
    college.let_a_week_pass()
    file, with_values = college.folder / "plan.html", college.folder / "values.html"
    before = list(college.onefile.journal.writes)

    assert syncd("plan", "--html", str(file)).stdout == f"The plan is in {file}.\n"
    assert syncd("plan", "--html", str(with_values), "--values").exit == 0

    assert college.onefile.journal.writes == before
    page = file.read_text(encoding="utf-8")
    links = _Links()
    links.feed(page)
    assert links.elsewhere == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for words in (
        "3 to create, 2 to update, 1 left",
        "L1008",
        "LastName",
        "The guard would not stop it.",
        "Signed off",
    ):
        assert words in page
    assert "It contains no personal values." in page
    assert not any(value in page for row in _everybody(college) for value in row if len(value) > 5)
    shown = with_values.read_text(encoding="utf-8")
    assert "It contains personal values" in shown
    assert "LastName: Okonkwo-Whittle (now: " in shown
    assert "Email: found.at.last@learner.example" in shown


def test_nothing_is_overwritten_and_found_out_before_anything_is_read(college: College, syncd: Syncd) -> None:
    (college.folder / "plan.html").write_text("mine")
    (college.folder / "mis.db").unlink()
    refused = syncd("plan", "--html", "plan.html")
    assert (refused.exit, refused.stderr) == (
        1,
        "plan.html already exists and is not overwritten. Name another file.\n",
    )
    assert (college.folder / "plan.html").read_text() == "mine"
    assert syncd("plan", "--html", "no/such/folder.html").stderr.startswith("no/such/folder.html cannot be written")
    assert syncd("plan", "--values").exit == 2
    assert syncd("plan", "--json", "--html", "x.html").exit == 2


def test_programs_get_the_document_that_they_rely_on(college: College, syncd: Syncd) -> None:
    document = json.loads(syncd("plan", "--json").stdout)
    assert list(document) == [
        *("creates", "updates", "leavers", "returners", "held", "warnings", "next_programmes", "rekeys"),
        *("assigns", "likely_accounts", "unchanged", "calls", "seconds", "guard"),
    ]
    assert document["creates"][0].keys() == {"role", "misid", "fields"}
    assert document["held"][0].keys() == {"role", "misid", "reason", "field", "other", "evidence"}
    assert document["likely_accounts"] == 0
    assert document["guard"] == "stopped: it is the first run to create accounts in this organisation (61 creates)"


def test_unknown_misid_is_not_taken_for_an_empty_mis(college: College, syncd: Syncd) -> None:
    said = syncd("plan", "--misid", "l1001").stdout
    assert said.startswith("No feed has l1001. 'syncd explain MISID'")
