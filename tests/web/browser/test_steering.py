"""A day of an MIS officer: in a real browser, on the pages of a real daemon, over a real MIS and OneFile's stand-in."""

import pytest
from selenium.webdriver import Chrome

from .chromium import origins_asked, switch_scripts
from .college import LEARNERS, PASSWORD, TOO_LONG, College
from .reader import Reader

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_stopped_run_is_approved_watched_and_what_it_left_is_seen_to(
    driver: Chrome, college: College, scripts: bool
) -> None:
    driver.get("about:blank")
    switch_scripts(driver, on=scripts)
    origins_asked(driver)
    reader = Reader(driver, college.origin)

    _sign_in(reader)
    _approve_and_watch(reader, college)
    _try_the_refused_again(reader, college)
    _sync_one(reader, college)
    _sync_everybody(reader, college)

    assert "Married" not in college.log
    assert {each for each in origins_asked(driver) if each.startswith("http")} == {college.origin}


def _sign_in(reader: Reader) -> None:
    reader.open("/runs/1")
    assert reader.path.startswith("/sign-in")
    reader.sign_in("Morgan", "a wrong password")
    reader.waits_for("Wrong password or token.")
    reader.sign_in("Morgan", PASSWORD)
    reader.waits_for(
        "The guard stopped it before its first change: it is the first run to create accounts in this organisation "
    )
    assert reader.path == "/runs/1"


def _approve_and_watch(reader: Reader, college: College) -> None:
    assert f"The plan {LEARNERS}" in reader.sees
    assert "Changes with the same fields" in reader.sees
    assert college.surname_in_onefile("L001") is None
    reader.press(f"Approve {LEARNERS} creates")
    reader.waits_for(f"of {LEARNERS} changes started")
    assert reader.path == "/runs/2"
    before, _, _ = reader.sees.partition(f" of {LEARNERS} changes started")
    assert int(before.split()[-1]) < LEARNERS
    reader.waits_for("Run 2 finished")
    assert "Started by a request by Morgan (page)" in reader.sees
    assert f"Create, done {LEARNERS - 1}" in reader.sees


def _try_the_refused_again(reader: Reader, college: College) -> None:
    reader.open("/")
    reader.waits_for(", except 1 held record.")
    reader.press("refused")
    reader.press(TOO_LONG)
    reader.waits_for("Held: refused")
    college.correct(TOO_LONG, surname="Short")
    reader.press("Retry")
    reader.waits_for("Run 3 finished")
    assert college.surname_in_onefile(TOO_LONG) == "Short"


def _sync_one(reader: Reader, college: College) -> None:
    college.correct("L001", surname="Married")
    college.correct("L002", surname="Married-too")
    reader.open("/people")
    reader.write("MISID or UserID", "L001")
    reader.press("Search")
    reader.waits_for("History")
    assert reader.path == "/people/Learner/L001"
    reader.press("Explain: what would it do, and why?")
    reader.waits_for("Learner L001 would be updated: LastName.")
    assert "Married" not in reader.sees
    reader.press("Show values")
    reader.waits_for('"Married"')
    reader.press("Sync this one now")
    reader.waits_for("Run 4 finished")
    assert "limited to L001" in reader.sees
    assert college.surname_in_onefile("L001") == "Married"
    assert college.surname_in_onefile("L002") == "Example-2"


def _sync_everybody(reader: Reader, college: College) -> None:
    reader.open("/")
    reader.press("Sync now")
    reader.waits_for("Run 5 finished")
    assert college.surname_in_onefile("L002") == "Married-too"
    reader.open("/")
    reader.waits_for("In sync as of ")


def test_questions_about_people_are_answered_for_all_and_for_one(driver: Chrome, college: College) -> None:
    reader = Reader(driver, college.origin)
    _sign_in(reader)
    _approve_and_watch(reader, college)
    before = {number: college.ids_in_onefile(f"L00{number}") for number in (1, 2, 3)}
    for number in (1, 2, 3):
        college.change_key(f"L00{number}", f"N00{number}")
    reader.open("/")
    reader.press("Sync now")
    reader.waits_for("Run 3 finished")

    reader.open("/people/Learner/N001")
    reader.waits_for("FirstName, LastName and Email equal")
    assert "Compared with L001" in reader.sees
    reader.press("A new person: create an account")
    reader.waits_for("Run 4 finished")
    assert len(college.ids_in_onefile("N001")) == 1
    assert college.ids_in_onefile("N001") != before[1]

    reader.open("/held")
    reader.press("Answer all 2")
    reader.press("All: the same person: keep the account")
    reader.waits_for("Run 5 finished")
    assert [college.ids_in_onefile(f"N00{number}") for number in (2, 3)] == [before[2], before[3]]
    assert "Example-" not in college.log


def test_a_stopped_run_is_rejected_and_signing_out_ends_it(driver: Chrome, college: College) -> None:
    reader = Reader(driver, college.origin)
    reader.open("/")
    reader.sign_in("Morgan", PASSWORD)
    reader.waits_for("Not in sync: run 1 waits for approval.")
    reader.press("Show the plan")
    reader.press("Reject")
    reader.waits_for("Rejected by Morgan (page) on ")
    driver.find_element("xpath", "//button[.='Sign out']").click()
    reader.waits_for("Sign in")
    reader.open("/runs/1")
    reader.waits_for("Sign in")
    assert college.onefile.journal.writes == []
