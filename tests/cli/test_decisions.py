"""Questions about many people are answered from a file, by reason and by role; nobody types thirty numbers."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from .conftest import Said, Syncd
from .one_table import OneTableCollege

_FEW = 12
_REKEYED = 30
_TERM = {"starts": "2024-09-01", "ends": "2025-07-31"}


class College(OneTableCollege):
    """People with what says who they are, and their programme."""

    COLUMNS = "misid, forename, surname, email, uln, born, starts, ends"
    FIELDS = (
        "misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN, born AS DOB, "
        "starts AS StartOn, ends AS PlannedEndDate"
    )

    def enrol(self, misid: str, number: int, **columns: Any) -> None:
        """Add a person, who is known by the number."""
        person = {
            "misid": misid,
            "forename": f"Ann{number}",
            "surname": f"Example{number}",
            "email": f"p{number}@students.example.org",
            "uln": None,
            "born": f"2001-01-{number % 28 + 1:02}",
            **_TERM,
            **columns,
        }
        names = ", ".join(f":{name}" for name in person)
        self.execute(f"INSERT INTO person VALUES ({names})", **person)

    def withdraw(self, misid: str) -> None:
        """Remove a person."""
        self.execute("DELETE FROM person WHERE misid = :misid", misid=misid)

    def replace_owner(self, misid: str) -> None:
        """Give a MISID to another person."""
        self.execute(
            "UPDATE person SET forename = 'Ben', surname = 'Obi', email = 'b' || misid || '@x.example.org', "
            "born = '1990-12-12' WHERE misid = :misid",
            misid=misid,
        )

    def users(self, misid: str) -> list[int]:
        """The UserIDs with a MISID."""
        return [user.id for user in self.onefile.world.users_with_misid(misid)]


@pytest.fixture
def college(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[College]:
    """A dozen learners in the MIS."""
    with College.opened(tmp_path, monkeypatch, strict=True) as college:
        for number in range(_FEW):
            college.enrol(f"L{number:03}", number)
        yield college


@pytest.fixture
def rekeyed(college: College, syncd: Syncd) -> College:
    """Seventy learners with accounts, of whom thirty have new MISIDs, as their MIS was re-keyed."""
    for number in range(_FEW, 70):
        college.enrol(f"L{number:03}", number)
    assert syncd("sync", "--approve").exit == 0
    for number in range(_REKEYED):
        college.withdraw(f"L{number:03}")
        college.enrol(f"N{number:03}", number)
    assert syncd("sync", "--approve").exit == 4
    return college


def _listed(syncd: Syncd, *arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(syncd("held", "--csv", *arguments).stdout)))


def _write(file: Path, rows: Sequence[dict[str, str]], answers: Sequence[str]) -> str:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "answer": answer} for row, answer in zip(rows, answers, strict=True))
    return str(file)


def test_thirty_rekeyed_people_keep_their_accounts_by_one_file(rekeyed: College, syncd: Syncd) -> None:
    before = {number: rekeyed.users(f"L{number:03}") for number in range(_REKEYED)}
    rows = _listed(syncd, "--reason", "rekeyed?")
    assert len(rows) == _REKEYED
    assert list(rows[0])[-1] == "answer"
    assert (rows[0]["misid"], rows[0]["other"], rows[0]["user_id"]) == ("N000", "L000", str(before[0][0]))
    assert (rows[0]["likeness"], rows[0]["equal"], rows[0]["answer"]) == ("certain", "FirstName LastName Email DOB", "")

    file = _write(rekeyed.folder / "held.csv", rows, ["same"] * 28 + ["new", ""])
    said = syncd("retry", "--from", file)
    assert (said.exit, said.stdout) == (0, f"The next run retries 29 held records as {file} says.\n")

    assert syncd("sync", "--approve").exit == 4
    assert [rekeyed.users(f"N{number:03}") for number in range(28)] == [before[number] for number in range(28)]
    assert rekeyed.users("N028") != before[28]
    assert rekeyed.users("N029") == []
    assert [one["misid"] for one in json.loads(syncd("held", "--json").stdout)] == ["N029"]

    again = syncd("retry", "--from", file).stdout
    assert "29 rows no longer apply, and were left out:" in again
    assert f"{file}, line 2: the Learner N000 is no longer held for this reason" in again
    assert "and 24 more" in again


def test_rekey_takes_the_same_file_and_can_be_repeated(rekeyed: College, syncd: Syncd) -> None:
    rows = _listed(syncd)
    file = _write(rekeyed.folder / "held.csv", rows, ["same"] * 3 + ["new"] * 2 + [""] * 25)

    assert "3 given a new MISID" in syncd("rekey", "--from", file).stdout
    assert "3 accounts had the new MISID already." in syncd("rekey", "--from", file).stdout

    assert len(rekeyed.users("N002")) == 1
    assert rekeyed.users("N003") == []


def test_answers_wait_in_the_list_until_a_run_carries_them_out(rekeyed: College, syncd: Syncd) -> None:
    file = _write(rekeyed.folder / "held.csv", _listed(syncd), ["same"] * _REKEYED)
    syncd("retry", "--from", file)

    assert {row["answer"] for row in _listed(syncd)} == {"same"}
    assert "answered 'same', which the next run carries out" in syncd("held").words
    assert syncd("retry", "--from", file).stdout.endswith("30 rows had this answer before.\n")
    plan = json.loads(syncd("plan", "--json").stdout)
    assert len(plan["rekeys"]) == _REKEYED
    assert plan["rekeys"][0]["old_misid"] == "L000"
    assert "30 to give a new MISID" in syncd("plan").stdout


def test_all_of_a_reason_are_answered_at_once(rekeyed: College, syncd: Syncd) -> None:
    said = syncd("retry", "--reason", "REKEYED", "--role", "learner")
    assert said.stdout == "The next run retries 30 held records: 30 as a new person.\n"
    syncd("sync", "--approve")
    assert all(len(rekeyed.users(f"N{number:03}")) == 1 for number in range(_REKEYED))
    assert rekeyed.users("N000") != rekeyed.users("L000")


def test_no_question_is_answered_unless_it_is_named(rekeyed: College, syncd: Syncd) -> None:
    assert syncd("retry").stdout.startswith("There is nothing to retry")
    assert syncd("retry", "--role", "Learner").stdout.startswith("There is nothing to retry")
    assert syncd("retry", "--reason", "missing").stdout.startswith("There is nothing to retry")
    assert len(_listed(syncd)) == _REKEYED


def test_reused_misids_are_released_or_kept_as_the_file_says(college: College, syncd: Syncd) -> None:
    syncd("sync", "--approve")
    for misid in ("L000", "L001", "L002"):
        college.replace_owner(misid)
    assert syncd("sync").exit == 4
    rows = _listed(syncd, "--reason", "another person")
    assert (rows[0]["misid"], rows[0]["other"], rows[0]["likeness"]) == ("L000", "", "contradicted")
    kept, released = college.users("L000"), college.users("L001")

    syncd("retry", "--from", _write(college.folder / "held.csv", rows, ["same", "new", ""]))
    plan = syncd("plan").words
    assert "1 to release" in plan
    assert f"L001 to released-{released[0]}" in plan

    syncd("sync")
    assert college.users(f"released-{released[0]}") == released
    assert syncd("sync").exit == 4
    assert (college.users("L000"), len(college.users("L001"))) == (kept, 1)
    assert college.users("L001") != released
    assert [one["misid"] for one in json.loads(syncd("held", "--json").stdout)] == ["L002"]

    history = json.loads(syncd("history", "L001", "--json").stdout)
    assert [(one["misid"], one["action"], one["user_id"]) for one in history] == [
        ("L001", "create", released[0]),
        (f"released-{released[0]}", "rekey", released[0]),
        ("L001", "create", college.users("L001")[0]),
    ]
    assert "was L001 until now" in syncd("history", f"released-{released[0]}").words


def test_release_says_what_follows_and_what_is_wrong(college: College, syncd: Syncd) -> None:
    syncd("sync", "--approve")
    college.replace_owner("L000")
    (user_id,) = college.users("L000")

    said = syncd("release", " L000 ")

    assert said.exit == 0
    assert "The account is a leaver's now; the next run creates an account for L000" in said.stdout
    assert college.users(f"released-{user_id}") == [user_id]
    gone = syncd("release", "L000")
    assert (gone.exit, "There is no account for L000" in gone.stderr) == (1, True)
    assert "did you mean L001" in syncd("release", "l001").stderr
    college.withdraw("L002")
    assert "No feed has the Learner L002 any more" in syncd("release", "L002").stderr


def test_wrong_cells_are_named_and_nothing_is_stored(rekeyed: College, syncd: Syncd) -> None:
    listed = _listed(syncd)[:2]
    for column, value, sentence in (
        ("answer", "maybe", "line 3, column answer: must be same, new or empty"),
        ("role", "Lerner", "line 3, column role: must be one of Learner"),
        ("misid", "", "line 3, column misid: a MISID is missing"),
        ("misid", "N\u200b001", "line 3, column misid: contains an invisible character (U+200B zero width space)"),
        ("misid", "N000", "line 3, column misid: the same record as in "),
        ("reason", "rekeye", "line 3, column reason: 'rekeye' is not a reason; did you mean 'rekeyed?'"),
        ("user_id", "U1", "line 3, column user_id: must be a UserID or empty"),
        ("other", "L000", "line 3, column answer: the account of L000 is given to another record in "),
    ):
        rows = [listed[0], listed[1] | {column: value}]
        answers = ["same", value if column == "answer" else "same"]

        refused = syncd("retry", "--from", _write(rekeyed.folder / "held.csv", rows, answers))

        assert refused.exit == 1, (column, value)
        assert sentence in refused.stderr
        assert {row["answer"] for row in _listed(syncd)} == {""}, (column, value)


def test_two_current_records_cannot_be_one_account(college: College, syncd: Syncd) -> None:
    syncd("sync", "--approve")
    college.enrol("l000", 0)
    assert syncd("sync").exit == 4
    (row,) = _listed(syncd)
    assert (row["reason"], row["other"], row["user_id"]) == ("lookalike_key", "L000", "")

    refused = syncd("retry", "--from", _write(college.folder / "held.csv", [row], ["same"]))

    assert "line 2, column answer: the Learner l000 and L000 both have a record in the MIS" in refused.stderr
    assert syncd("retry", "--from", _write(college.folder / "held.csv", [row], ["new"])).exit == 0
    assert syncd("sync").exit == 0
    assert len(college.users("l000")) == 1


def test_answer_about_another_question_is_left_out(rekeyed: College, syncd: Syncd) -> None:
    rows = _listed(syncd)[:2]
    rows[0] |= {"other": "L039", "user_id": ""}
    rows[1] |= {"misid": "0N001"}

    said = syncd("retry", "--from", _write(rekeyed.folder / "held.csv", rows, ["same", "same"])).stdout

    assert "the question about the Learner N000 is another one now" in said
    assert "N001 is, and a spreadsheet may have dropped the zeros at its front" in said
    assert {row["answer"] for row in _listed(syncd)} == {""}


def test_file_without_answers_or_columns_is_said_to_be(rekeyed: College, syncd: Syncd) -> None:
    file = _write(rekeyed.folder / "held.csv", _listed(syncd), [""] * _REKEYED)
    assert syncd("retry", "--from", file).stdout.startswith(f"No row of {file} has an answer")
    assert "has no rows with the answer same" in syncd("rekey", "--from", file).stderr
    (rekeyed.folder / "other.csv").write_text("misid,answer\nN000,new\n", encoding="utf-8")
    refused = syncd("retry", "--from", "other.csv")
    assert "other.csv has no column role and no column reason and no column other" in refused.stderr
    assert syncd("retry", "N000", "--from", file).exit == 2
    assert syncd("held", "--csv", "--json").exit == 2


def test_refused_record_is_sent_again_by_any_answer(college: College, syncd: Syncd) -> None:
    college.enrol("L999", 99, surname="Longest" * 10)
    assert syncd("sync", "--approve").exit == 4
    (row,) = _listed(syncd, "--reason", "refused")

    syncd("retry", "--from", _write(college.folder / "held.csv", [row], ["new"]))

    assert _listed(syncd) == []


def test_held_counts_reasons_first_and_filters_them(rekeyed: College, syncd: Syncd) -> None:
    rekeyed.enrol("X1", 90, email="")
    syncd("sync")
    said = syncd("held").stdout
    assert said.startswith("31 entries: 30 rekeyed? and 1 missing.")
    assert [one["misid"] for one in json.loads(syncd("held", "--reason", "missing", "--json").stdout)] == ["X1"]
    assert syncd("held", "--role", "Assessor").stdout.startswith("No records are held for this reason or role.")
    wrong = syncd("held", "--reason", "rekyed")
    assert (wrong.exit, "did you mean 'rekeyed?'" in wrong.words) == (2, True)
    (one,) = json.loads(syncd("held", "--reason", "missing", "--json").stdout)
    assert (one["other"], one["user_id"], one["evidence"], one["answer"]) == (None, None, None, None)
    evidence = json.loads(syncd("held", "--reason", "rekeyed", "--json").stdout)[0]["evidence"]
    assert evidence == {"likeness": "certain", "equal": ["FirstName", "LastName", "Email", "DOB"], "differ": []}


def test_cells_are_safe_for_a_spreadsheet(college: College, syncd: Syncd) -> None:
    college.enrol("=L1", 91, email="")
    syncd("sync", "--approve")
    (row,) = _listed(syncd)
    assert row["misid"] == "'=L1"


def test_next_programmes_are_listed_in_the_plan(college: College, syncd: Syncd) -> None:
    syncd("sync", "--approve")
    college.withdraw("L000")
    college.enrol("P000", 0, starts="2025-09-01", ends="2026-07-31")

    document = json.loads(syncd("plan", "--json").stdout)
    said = syncd("plan").words
    page = college.folder / "plan.html"
    syncd("plan", "--html", str(page))

    assert [(one["misid"], one["old_misid"], one["role"]) for one in document["next_programmes"]] == [
        ("P000", "L000", "Learner")
    ]
    assert document["next_programmes"][0]["evidence"]["likeness"] == "certain"
    for shown in (said, " ".join(page.read_text(encoding="utf-8").split())):
        assert "Next programmes" in shown
        assert "P000 (was L000)" in shown
    explained = syncd("explain", "P000")
    assert "the next programme of L000: FirstName, LastName, Email and DOB equal" in explained.words


def test_plan_groups_held_records_by_evidence_and_warns_of_one_person(rekeyed: College, syncd: Syncd) -> None:
    rekeyed.enrol("Z1", 35)

    said = syncd("plan").words

    assert "30 rekeyed? MISID FirstName, LastName, Email and DOB equal N000 (and L000)" in said
    assert "1 same person? MISID FirstName, LastName, Email and DOB equal Z1 (and L035)" in said
    explained = json.loads(syncd("explain", "Z1", "--json").stdout)["records"][0]["compared"]
    assert [(one["relation"], one["misid"]) for one in explained] == [("same_person", "L035")]


def test_unusable_misids_are_refused_before_anything_is_sent(rekeyed: College, syncd: Syncd) -> None:
    writes = len(rekeyed.onefile.journal.writes)
    for given, sentence in (
        ("", "the MISID is empty"),
        (" \u00a0", "the MISID is empty"),
        ("\ufeffN000", "contains an invisible character (U+FEFF zero width no-break space)"),
        ("N0\n00", "contains an invisible character (U+000A"),
        ("N" * 300, "is longer than 255 characters"),
    ):
        for command in (("rekey", "L000", given), ("rekey", given, "N000"), ("release", given), ("retry", given)):
            refused = syncd(*command)
            assert refused.exit == 2, (command, given)
            assert sentence in refused.words
    assert len(rekeyed.onefile.journal.writes) == writes


def test_misids_are_trimmed_as_in_a_feed(rekeyed: College, syncd: Syncd) -> None:
    for number, blank in enumerate((" ", "\u00a0", "\n")):
        assert syncd("rekey", f" L{number:03}", f"N{number:03}{blank}").exit == 0, blank
        assert len(rekeyed.users(f"N{number:03}")) == 1


def test_rekey_names_the_misid_that_a_feed_has(rekeyed: College, syncd: Syncd) -> None:
    refused: Said = syncd("rekey", "L000", "n000")
    assert refused.exit == 1
    assert refused.stderr.endswith("\nNo feed has the Learner n000; did you mean N000? Nothing was changed.\n")
    assert rekeyed.users("n000") == []
