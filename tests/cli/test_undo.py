"""The command undo: what it says, and what it ends with."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from .conftest import Syncd
from .one_table import OneTableCollege


class College(OneTableCollege):
    """People with a telephone."""

    COLUMNS = "misid, forename, surname, email, phone"
    FIELDS = "misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, phone AS Telephone"

    def execute_in_state(self, statement: str) -> None:
        """Change the state store, as only a test does."""
        engine = create_engine(self.state)
        with engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def phones(self) -> list[str | None]:
        """The telephones in OneFile, in the order of the MISIDs."""
        learners = [user for user in self.onefile.world.users.values() if user.role == 1]
        return [user.values.get("Telephone") for user in sorted(learners, key=lambda user: str(user.misid))]


@pytest.fixture
def college(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncd: Syncd) -> Iterator[College]:
    """Twenty learners with accounts, of whom four have got other telephones by run 2."""
    with College.opened(tmp_path, monkeypatch) as college:
        for number in range(20):
            college.execute(
                "INSERT INTO person VALUES (:misid, 'Ann', :surname, :email, '0100')",
                misid=f"L{number:02}",
                surname=f"Example{number}",
                email=f"p{number}@students.example.org",
            )
        assert syncd("sync", "--approve").exit == 0
        college.execute("UPDATE person SET phone = '02' || misid WHERE misid < 'L04'")
        assert syncd("sync", "--approve").exit == 0
        yield college


def test_undo_reports_what_it_did_and_is_all_of_it(college: College, syncd: Syncd) -> None:
    said = syncd("undo", "2", "--misid", "L01", "--misid", "L02")
    assert (said.exit, said.stdout) == (0, "Run 3: 2 updated; 0 unchanged; 7 calls.\n")
    assert college.phones()[:4] == ["02L00", "0100", "0100", "02L03"]
    assert syncd("sync").exit == 4
    assert {one["reason"] for one in json.loads(syncd("held", "--json").stdout)} == {"rejected"}
    explained = syncd("explain", "L01").words
    assert "is held: an operator has undone this change: update of Telephone" in explained
    assert syncd("retry", "L01").stdout == "The next run retries 1 held record.\n"
    assert syncd("sync").exit == 4
    assert college.phones()[:4] == ["02L00", "02L01", "0100", "02L03"]


def test_what_is_not_undone_is_listed_by_key_and_field(college: College, syncd: Syncd) -> None:
    (user,) = college.onefile.world.users_with_misid("L00")
    user.values["Telephone"] = "by hand"
    said = syncd("undo", "2")
    assert said.exit == 4
    assert "Run 3: 3 updated" in said.stdout
    assert "1 not undone: the page of run 3 lists it" in said.stdout
    assert "Learner L00 update Telephone OneFile has another value by now" in said.words
    assert "by hand" not in said.words
    assert college.phones()[:4] == ["by hand", "0100", "0100", "0100"]


def test_large_undo_waits_and_the_next_sync_after_its_approval_sends_it(college: College, syncd: Syncd) -> None:
    college.execute("UPDATE person SET phone = '03' || misid")
    assert syncd("sync", "--approve").exit == 0
    said = syncd("undo", "3")
    assert said.exit == 3
    assert "Run 4 sent nothing and waits for approval: 20 updates where 5 are allowed in one run" in said.words
    assert "look at 'syncd plan 4', then run 'syncd approve'. If not: 'syncd reject'." in said.words
    assert "20" in syncd("plan", "4").stdout
    assert "The next run makes them: 'syncd sync', or the daemon's next poll." in syncd("approve", "4").words
    said = syncd("sync")
    assert said.exit == 4
    assert "Run 5: 20 updated;" in said.stdout
    assert "Run 6: nothing to send;" in said.stdout
    assert college.phones() == [*(f"02L0{number}" for number in range(4)), *["0100"] * 16]
    # And an undo of it is approved beforehand.
    assert syncd("undo", "5", "--approve").exit == 0
    assert college.phones() == [f"03L{number:02}" for number in range(20)]


def test_runs_without_anything_to_undo_are_refused_in_a_sentence(college: College, syncd: Syncd) -> None:
    assert syncd("sync").exit == 0
    college.execute_in_state("UPDATE run SET organisation_id = 99 WHERE id = 1")
    for arguments, sentence in (
        (("77",), "There is no run 77; 'syncd runs' lists the newest. Nothing was changed."),
        ((str(10**30),), f"There is no run {10**30}"),
        (("1",), "Run 1 is of organisation 99, which the configuration does not name. Nothing was changed."),
        (("3",), "Run 3 has sent nothing, or its changes are no longer stored. Nothing was changed."),
        (("2", "--misid", "L09"), "Run 2 has sent nothing for L09. Nothing was changed."),
    ):
        said = syncd("undo", *arguments)
        assert (said.exit, said.stdout) == (1, "")
        assert sentence in said.words
    assert syncd("undo", "two").exit == 2


def test_values_that_are_no_longer_stored_are_not_undone(college: College, syncd: Syncd) -> None:
    college.execute_in_state("DELETE FROM plan_step WHERE run_id = 2")
    said = syncd("undo", "2")
    assert said.exit == 4
    assert "Learner L00 update Telephone the value that OneFile had before is not stored" in said.words
    assert college.phones()[0] == "02L00"
