"""A run that is limited to MISIDs says which of them no feed contains."""

import json

import pytest

from .conftest import College, Syncd


@pytest.fixture
def in_step(college: College, syncd: Syncd) -> Syncd:
    assert syncd("sync", "--approve").exit in {0, 4}
    return syncd


def test_misids_that_no_feed_contains_are_named(in_step: Syncd) -> None:
    answer = in_step("sync", "--misid", "9999", "--misid", "x y", "--misid", "é9 ")

    assert answer.exit == 4
    assert answer.stderr.splitlines()[-1] == "No feed contains '9999', 'x y' and 'é9', and there is no such account."
    assert "In sync" not in answer.stdout


def test_known_misids_beside_an_unknown_one_are_in_sync(in_step: Syncd) -> None:
    known = json.loads(in_step("accounts", "--json").stdout)[0]["misid"]

    answer = in_step("sync", "--misid", known, "--misid", "9999")

    assert answer.exit == 4
    assert answer.stdout.rstrip().splitlines()[-2].endswith(f": {known}.")
    assert "No feed contains '9999'" in answer.stderr


@pytest.mark.usefixtures("college")
def test_new_and_held_records_count_as_known(syncd: Syncd) -> None:
    """Before the first approval there are no accounts: a record is planned, or held."""
    planned = json.loads(syncd("plan", "--json").stdout)
    for record in (planned["creates"][0], planned["held"][0]):
        answer = syncd("sync", "--misid", record["misid"])
        assert answer.exit in {3, 4}
        assert "No feed contains" not in answer.stderr
