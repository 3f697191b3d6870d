"""Archived accounts on the command line: plan, explain, verify and restore."""

import json

import pytest

from syncd.demo import sample_college
from syncd.simulator import ArchivedForm
from syncd.simulator.models import User

from .conftest import College, Syncd

_MISID = sample_college.MARRIED


def _archive(college: College) -> User:
    (account,) = college.onefile.world.users_with_misid(_MISID)
    account.is_archived = True
    return account


@pytest.fixture
def in_step(college: College, syncd: Syncd) -> Syncd:
    assert syncd("sync", "--approve").exit == 4
    college.onefile.journal.clear()
    return syncd


def test_plan_and_explain_show_the_unarchive_after_a_refused_update(college: College, in_step: Syncd) -> None:
    number = _archive(college).id
    college.let_a_week_pass()
    assert in_step("sync", "--misid", _MISID).exit == 4
    assert "the next run unarchives the account and sends this again" in in_step("held").words

    planned = in_step("plan", "--misid", _MISID)
    assert planned.stdout.splitlines()[0] == "1 to update, 1 to unarchive"
    assert "To unarchive" in planned.stdout
    assert json.loads(in_step("plan", "--misid", _MISID, "--json").stdout)["returners"] == [
        {"role": "Learner", "misid": _MISID, "user_id": number, "to_unarchive": True}
    ]
    explained = in_step("explain", _MISID)
    assert explained.stdout.startswith(f"Learner {_MISID} would be unarchived, then updated: LastName.")
    assert "The account is archived, and the MIS has its record." in explained.words
    assert f"POST /User/{number}/Unarchive" in explained.stdout

    assert in_step("sync", "--misid", _MISID).exit == 0


@pytest.mark.parametrize(
    "switches",
    [{}, pytest.param({"archived_form": ArchivedForm.ROLE_NUMBER}, marks=pytest.mark.slow)],
    ids=["nothing", "role number"],
)
def test_verify_shows_an_archived_account_and_fix_unarchives_it(college: College, in_step: Syncd) -> None:
    number = _archive(college).id

    found = in_step("verify")

    assert found.exit == 4
    assert f"Learner {_MISID} {number} archived in OneFile" in found.words
    assert "'syncd verify --fix' sends the MIS's values again and unarchives accounts" in found.words
    assert json.loads(in_step("verify", "--full", "--json").stdout) == [
        {
            "role": "Learner",
            "misid": _MISID,
            "user_id": number,
            "fields": ["archived"],
            "kind": "changed",
            "not_kept": [],
        }
    ]
    fixed = in_step("verify", "--full", "--fix")
    assert fixed.exit == 0
    assert ": 1 unarchived." in fixed.stdout
    assert in_step("verify", "--full").exit == 0


@pytest.mark.parametrize("switches", [{"archived_form": ArchivedForm.ARCHIVED}], ids=["flag"])
def test_restore_unarchives_and_then_has_nothing_to_do(college: College, in_step: Syncd) -> None:
    _archive(college)

    restored = in_step("restore", _MISID)
    again = in_step("restore", _MISID)

    assert (restored.exit, again.exit) == (0, 1)
    assert "1 unarchived" in restored.stdout
    assert "did not show" not in restored.stdout
    assert f"OneFile shows the account of the Learner {_MISID} as not archived" in again.words
    # The second has left no failed run.
    last = json.loads(in_step("status", "--json").stdout)["last_run"]
    assert (last["trigger"], last["state"]) == ("restore", "finished")


@pytest.mark.parametrize("switches", [{"refuse_repeated_archiving": True}], ids=["refused"])
def test_restore_of_an_active_account_says_what_is_known(in_step: Syncd) -> None:
    restored = in_step("restore", _MISID)

    assert restored.exit == 0
    assert "It was not archived: OneFile refused to unarchive it and shows it as active." in restored.stdout


def test_restore_says_that_the_state_is_unknown(in_step: Syncd) -> None:
    restored = in_step("restore", _MISID)

    assert restored.exit == 0
    assert "OneFile did not show whether it was archived; the state store had it as active." in restored.stdout


@pytest.mark.parametrize("switches", [{"unknown_id_status": 404}], ids=["404"])
def test_restore_of_a_deleted_account_says_so(college: College, in_step: Syncd) -> None:
    number = _archive(college).id
    del college.onefile.world.users[number]

    refused = in_step("restore", _MISID)

    assert refused.exit == 1
    assert f"UserID {number}: it may be deleted" in refused.words
