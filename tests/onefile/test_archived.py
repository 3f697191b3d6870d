"""Whether OneFile shows an account as archived: how it does so is not documented (§8.1, U5, U21)."""

from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.errors import CredentialsRefused, Refused
from syncd.onefile import is_archived, role_in, says_archived
from syncd.onefile.requests import update
from syncd.simulator import ErrorBody

from .conftest import Open


@pytest.mark.parametrize(
    "told",
    [
        {"archived": True},
        {"archived": "True "},
        {"isarchived": "yes"},
        {"isarchived": 1},
        {"archived": "1"},
        {"datearchived": "2026-01-15T12:00:00"},
        {"datearchived": "15/01/2026"},
        {"archivedon": "/Date(1768478400000)/"},
        {"archivedbyid": 4711},
        {"role": 2},
        {"role": "2"},
        {"roleid": 2},
        {"role": "Archived Learner"},
        {"role": 1, "rolename": " archived learner"},
        {"group": "Archived Assessor"},
        {"status": "Archived"},
        # One that says so is enough.
        {"role": 1, "archived": True, "archivedbyid": 0},
        {"role": 2, "archivereason": None},
    ],
)
def test_account_is_archived_by_any_form_that_says_so(told: dict[str, Any]) -> None:
    assert is_archived(told) is True


@pytest.mark.parametrize(
    "told",
    [
        {"archived": False},
        {"archived": "false"},
        {"isarchived": "No"},
        {"isarchived": 0},
        {"archived": "0"},
        # .NET's date that was never set.
        {"datearchived": "0001-01-01T00:00:00"},
        {"datearchived": "/Date(-62135596800000)/"},
        {"archived": False, "role": 1},
        # A role that the API cannot create, such as a centre manager's, is weaker than a flag.
        {"archived": False, "role": 20},
    ],
)
def test_account_is_active_if_a_flag_says_so(told: dict[str, Any]) -> None:
    assert is_archived(told) is False


@pytest.mark.parametrize(
    "told",
    [
        {},
        # OneFile may keep the number of the role.
        *({"role": role.number} for role in Role if not role.is_place),
        {"role": "Learner"},
        {"role": None},
        {"role": 0},
        {"role": {"ID": 2}},
        {"archived": None},
        {"archived": ""},
        {"archivedby": "Ann Example"},
        {"dateunarchived": "2026-01-15T12:00:00"},
        # The names of learner statuses are the centre's own (§7).
        {"role": 1, "learnerstatus": "Archived"},
        {"role": 1, "status": "Active"},
        {"lastname": "Archived", "companyname": "Archive Ltd"},
    ],
)
def test_archived_or_not_is_unknown_if_nothing_says_so(told: dict[str, Any]) -> None:
    assert is_archived(told) is None


@pytest.mark.parametrize(
    ("told", "role"),
    [
        ({"role": 1}, Role.LEARNER),
        ({"role": "40"}, Role.EMPLOYER),
        ({"roleid": 5}, Role.ASSESSOR),
        ({"role": 2}, None),
        ({"role": "Learner"}, None),
        ({"role": [1]}, None),
        ({}, None),
    ],
)
def test_role_is_read_by_its_number_in_any_form(told: dict[str, Any], role: Role | None) -> None:
    assert role_in(told) is role


@pytest.mark.parametrize("message", ["User 5 is archived.", "ARCHIVED learners are read-only", "in the archive"])
def test_message_says_that_the_account_is_archived(message: str) -> None:
    assert says_archived(message)


@pytest.mark.parametrize("message", ["", "LastName is too long.", "This user cannot be changed."])
def test_message_says_nothing_about_archiving(message: str) -> None:
    assert not says_archived(message)


@pytest.mark.parametrize("status", [400, 403, 409])
@pytest.mark.parametrize("form", [ErrorBody.MESSAGE, ErrorBody.TEXT])
def test_refused_update_of_archived_learner_is_the_record_s_own(opened: Open, status: int, form: ErrorBody) -> None:
    pair = opened(archived_update_status=status, error_body=form)
    pair.simulator.sow({"users": [{"ID": 7, "OrganisationID": 5740, "Role": 1, "Archived": True}]})

    with pytest.raises(Refused) as refused:
        pair.client.change(update(Role.LEARNER, 7, {"LastName": "New"}))

    assert (refused.value.status, refused.value.message) == (status, "User 7 is archived.")


def test_forbidden_call_without_such_words_is_a_problem_of_the_token(opened: Open) -> None:
    pair = opened(archived_update_status=403, error_body=ErrorBody.HTML)
    pair.simulator.sow({"users": [{"ID": 7, "OrganisationID": 5740, "Role": 1, "Archived": True}]})

    with pytest.raises(CredentialsRefused):
        pair.client.change(update(Role.LEARNER, 7, {"LastName": "New"}))
