"""explain as a person reads it: each field's way, the difference, the decision with its rule, the exact call."""

import json

import pytest

from syncd.demo import sample_college

from .conftest import College, Syncd, terminal


def _field(said: str, name: str) -> str:
    """What is said of a field: how it was read, and how it differs."""
    (line,) = (line for line in said.splitlines() if line.split()[1:2] == [name])
    return " ".join(line.split()[2:])


def test_the_cases_that_people_ask_about(college: College, syncd: Syncd) -> None:
    create = syncd("explain", "L1001").stdout
    assert create.startswith("Learner L1001 would be created.")
    assert "POST /User with OrganisationID, Role, MISID, FirstName" in create
    assert _field(create, "DOB") == "a date new, sent"
    assert "ID 15" in _field(create, "ClassroomID")

    assert syncd("sync", "--approve").exit == 4
    college.let_a_week_pass()

    update = syncd("explain", sample_college.MARRIED).stdout
    user_id = next(user.id for user in college.onefile.world.users_with_misid(sample_college.MARRIED))
    assert update.startswith(f"Learner {sample_college.MARRIED} would be updated: LastName.")
    assert f"POST /User/{user_id} with LastName\n" in update
    assert "equal values are not sent" in update
    assert _field(update, "LastName") == "text differs, sent"
    assert _field(update, "FirstName") == "text same"

    leaver = syncd("explain", sample_college.LEFT).stdout
    assert f"Learner {sample_college.LEFT} is a leaver" in leaver
    assert 'leavers.action is "report"' in leaver
    assert "call: none" in " ".join(leaver.split())

    held = syncd("explain", sample_college.ENROLLED_TWICE).stdout
    assert f"Learner {sample_college.ENROLLED_TWICE} is held" in held
    assert "Leave one row per MISID" in held

    unchanged = syncd("explain", "L1001").stdout
    assert unchanged.startswith("Learner L1001 is as OneFile last accepted it: nothing to send.")
    assert _field(unchanged, "DOB") == "a date same"


def test_explain_shows_that_a_record_no_longer_held_was_held(college: College, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == 4
    college.let_a_week_pass()
    told = syncd("explain", sample_college.NO_EMAIL).stdout
    assert told.startswith(f"Learner {sample_college.NO_EMAIL} would be created.")
    assert "was held:      Email is empty (missing)" in told


def test_long_lines_are_broken_for_the_terminal(
    college: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch) as lines:
        assert syncd("explain", "L1001").exit == 0
    upper = lines[: lines.index("")]
    assert max(map(len, upper)) <= 80
    at = next(at for at, line in enumerate(upper) if line.startswith("  call:"))
    assert upper[at + 1].startswith(" " * 15)


def test_explain_prints_the_drift_and_the_last_accepted_fields(college: College, syncd: Syncd) -> None:
    syncd("sync", "--approve")
    (user,) = college.onefile.world.users_with_misid("L1001")
    user.values["LastName"] = "Edited"
    assert syncd("verify").exit == 4

    said = syncd("explain", "L1001").stdout

    assert "  last accepted: ClassroomID, " in said
    assert "  drift:         LastName, when OneFile was verified, " in said
    (record,) = json.loads(syncd("explain", "L1001", "--json").stdout)["records"]
    assert (record["account"]["drift"]["kind"], record["account"]["drift"]["fields"]) == ("changed", ["LastName"])
    assert "Edited" not in said
