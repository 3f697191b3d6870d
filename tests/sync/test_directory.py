"""What OneFile has is asked for in as few calls as it takes."""

from collections import Counter

import pytest

from syncd.core.accounts import Known, Status
from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Key, Reason
from syncd.sync.directory import Directory

from .conftest import ORGANISATION, College, Found
from .least_calls import calls_made

_PAGE = 50


@pytest.fixture
def state_url(sqlite_url: str) -> str:
    """Nothing here is about the store."""
    return sqlite_url


@pytest.fixture
def college(found: Found) -> College:
    college = found()
    college.onefile.world.users.clear()
    return college


def _directory(college: College, *known: Key) -> Directory:
    accounts = {key: Known(number, Status.ACTIVE, "") for number, key in enumerate(known, start=1)}
    return Directory(college.parts.onefile, ORGANISATION, accounts, 4)


def _key(misid: str, role: Role = Role.LEARNER) -> Key:
    return Key(ORGANISATION, role, misid)


def _sow(college: College, *keys: Key) -> list[int]:
    users = college.onefile.world.users
    before = set(users)
    rows = [
        {"OrganisationID": ORGANISATION, "Role": key.role.number, "MISID": key.misid, "FirstName": "A", "LastName": "B"}
        for key in keys
    ]
    college.onefile.sow({"users": rows})
    return sorted(set(users) - before)


def _made(college: College) -> Counter[str]:
    return calls_made(college.onefile.journal) - Counter({"log in": 1})


def test_somebody_of_two_roles_is_looked_for_by_one_search_and_each_account_read_once(college: College) -> None:
    roles = (Role.ASSESSOR, Role.IQA)
    keys = [_key("S1", role) for role in roles]
    ids = _sow(college, *keys)

    found = _directory(college).newcomers({key: {} for key in keys})

    assert found == {key: (user_id,) for key, user_id in zip(keys, ids, strict=True)}
    assert _made(college) == {"look for users": 2, "read a user": 2}


def test_newcomers_of_all_roles_together_are_what_makes_a_download_worth_while(college: College) -> None:
    keys = [_key(f"{role}-1", role) for role in (Role.ASSESSOR, Role.IQA, Role.OBSERVER)]

    assert _directory(college).newcomers({key: {} for key in keys}) == {}

    assert _made(college) == {"look for users": 1}


def test_a_download_whose_last_page_is_full_is_not_thought_to_take_one_more(college: College) -> None:
    known = [_key(f"L{number}") for number in range(_PAGE)]
    _sow(college, *known)

    _directory(college, *known).newcomers({_key(misid): {} for misid in ("N1", "N2", "N3")})

    assert _made(college) == {"look for users": 2}


def test_whoever_is_not_among_everybody_is_not_looked_for_again(college: College) -> None:
    _sow(college, _key("A1", Role.ASSESSOR))
    directory = _directory(college)
    directory.expect(_key(f"N{number}") for number in range(5))
    college.onefile.journal.clear()

    nobody, somebody = (Code(Referent.ASSESSOR, "MISID", text) for text in ("A404", "A1"))
    assert directory.resolve([nobody]) == {nobody: Reason.REFERENCE_NOT_FOUND}
    assert _made(college) == {}
    assert isinstance(directory.resolve([somebody])[somebody], int)


@pytest.mark.parametrize(("new", "calls"), [(1, 2), (2, 2), (5, 2)])
def test_whoever_was_just_made_is_there_so_that_finding_each_takes_two_pages(
    college: College, new: int, calls: int
) -> None:
    keys = [_key(f"Q{number}", Role.IQA) for number in range(new)]
    _sow(college, *keys)

    assert _directory(college).just_created({key: {} for key in keys}).keys() == set(keys)

    assert _made(college) == {"look for users": calls}
