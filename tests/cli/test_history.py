"""What is said of one account once its older changes are deleted."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from syncd.demo.sample_college import ORGANISATION_ID
from syncd.state.retention import purge
from tests.support.stores import open_store

from .conftest import College, Syncd

_MISID = "L1008"


def _delete_old_changes(college: College) -> None:
    """As the daemon does, 500 days later."""
    with closing(open_store(f"sqlite:///{college.folder / 'syncd.db'}")) as store:
        assert purge(store, [ORGANISATION_ID], datetime.now(UTC) + timedelta(days=500), timedelta(days=400))


def test_history_without_kept_changes_shows_the_account(college: College, syncd: Syncd) -> None:
    syncd("sync", "--approve")
    (account,) = (each for each in json.loads(syncd("accounts", "--json").stdout) if each["misid"] == _MISID)
    _delete_old_changes(college)

    said = syncd("history", _MISID).words

    assert f"No change is on record for {_MISID}." in said
    assert f"The account of the Learner {_MISID} is known since " in said
    assert f"UserID {account['user_id']}, active, last synced " in said
    assert "is kept; older ones are deleted: see state.keep_days." in said


def test_history_says_since_when_changes_are_kept(
    college: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert college.folder.exists()
    monkeypatch.setenv("SYNCD_STATE__KEEP_DAYS", "3")
    syncd("sync", "--approve")
    week_ago = datetime.now().astimezone() - timedelta(days=7)

    said = syncd("history", _MISID).words

    assert f"Every change since {week_ago:%d %b}" in said
    monkeypatch.setenv("SYNCD_STATE__KEEP_DAYS", "0")
    assert "Every change since" not in syncd("history", _MISID).words


def test_history_of_an_unknown_misid_names_no_account(syncd: Syncd, college: College) -> None:
    assert college.folder.exists()
    assert "The account" not in syncd("history", "nobody").words
