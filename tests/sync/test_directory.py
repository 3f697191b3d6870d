"""What OneFile has is asked for in as few calls as it takes."""

from collections import Counter
from typing import Any

import pytest

from syncd.core.accounts import Known, Status
from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Key, Reason
from syncd.onefile import Names
from syncd.simulator import OverCap
from syncd.sync.lookup import OneFileLookup
from tests.support.calls import calls_made, finds, looks, searches
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION

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


def _lookup(college: College, *known: Key) -> OneFileLookup:
    accounts = {key: Known(number, Status.ACTIVE, "") for number, key in enumerate(known, start=1)}
    return OneFileLookup(college.context.onefile, ORGANISATION, accounts, 4)


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


def test_person_of_two_roles_is_found_by_one_search_reading_each_once(college: College) -> None:
    roles = (Role.ASSESSOR, Role.IQA)
    keys = [_key("S1", role) for role in roles]
    ids = _sow(college, *keys)

    found = _lookup(college).find_new({key: {} for key in keys})

    assert found == {key: (user_id,) for key, user_id in zip(keys, ids, strict=True)}
    assert _made(college) == {"look for users": 2, "read a user": 2}


def test_newcomers_of_all_roles_count_together_towards_a_download(college: College) -> None:
    keys = [_key(f"{role}-1", role) for role in (Role.ASSESSOR, Role.IQA, Role.OBSERVER)]

    assert _lookup(college).find_new({key: {} for key in keys}) == {}

    assert _made(college) == {"look for users": 1}


def test_download_with_a_full_last_page_is_not_counted_one_page_longer(college: College) -> None:
    known = [_key(f"L{number}") for number in range(_PAGE)]
    _sow(college, *known)

    _lookup(college, *known).find_new({_key(misid): {} for misid in ("N1", "N2", "N3")})

    assert _made(college) == {"look for users": 2}


def test_reference_missing_from_a_full_download_is_not_searched_again(college: College) -> None:
    _sow(college, _key("A1", Role.ASSESSOR))
    lookup = _lookup(college)
    lookup.expect([_key(f"N{number}") for number in range(5)])
    college.onefile.journal.clear()

    nobody, somebody = (Code(Referent.ASSESSOR, "MISID", text) for text in ("A404", "A1"))
    assert lookup.resolve([nobody]) == {nobody: Reason.REFERENCE_NOT_FOUND}
    assert _made(college) == {}
    assert isinstance(lookup.resolve([somebody])[somebody], int)


@pytest.mark.parametrize(("new", "calls"), [(1, 2), (2, 2), (5, 2)])
def test_finding_accounts_just_created_takes_two_searches(college: College, new: int, calls: int) -> None:
    keys = [_key(f"Q{number}", Role.IQA) for number in range(new)]
    _sow(college, *keys)

    assert _lookup(college).find_created({key: {} for key in keys}).keys() == set(keys)

    assert _made(college) == {"look for users": calls}


#: How pages are cut, and the largest that works.
_CUTS: list[tuple[dict[str, Any], int]] = [
    ({"page_cap": 50}, 50),
    ({"page_cap": 100}, 100),
    ({"page_cap": 100, "over_cap": OverCap.CLAMP}, 100),
    ({"page_cap": 100, "over_cap": OverCap.CUT}, 100),
    ({"page_cap": 500}, 500),
    ({"page_cap": 10_000}, 1000),
]
_NEW = (1, 2, 3, 5, 6, 7, 11, 12, 40)


def _looked_for(college: College, known: list[Key], new: int) -> Counter[int | None]:
    """How many searches so many newcomers take of whom OneFile has none, by the status that each was answered with."""
    college.onefile.journal.clear()
    assert _lookup(college, *known).find_new({_key(f"N{number}"): {} for number in range(new)}) == {}
    return Counter(call.status for call in college.onefile.journal if call.is_search)


@pytest.mark.parametrize(("cut", "page"), _CUTS)
def test_newcomers_are_looked_for_one_by_one_or_by_page_whichever_is_fewer(
    found: Found, cut: dict[str, Any], page: int
) -> None:
    college = found(**cut)
    for known in (500, 51, 50, 40, 0):
        college.onefile.world.users.clear()
        people = [_key(f"L{number}") for number in range(known)]
        _sow(college, *people)
        # This is how a client learns what OneFile's pages are.
        list(college.context.onefile.users(ORGANISATION, expected=3000))

        for new in _NEW:
            assert _looked_for(college, people, new).total() == searches(new, known, page), (known, new)


@pytest.mark.parametrize(
    ("cut", "page"), [*(pytest.param(*cut, marks=pytest.mark.slow) for cut in _CUTS[:2]), _CUTS[5]]
)
def test_misids_and_names_are_looked_for_together_in_fewest_calls(found: Found, cut: dict[str, Any], page: int) -> None:
    """The pages of everybody tell both, and those of a small role tell the names of many."""
    college = found(**cut)
    college.onefile.world.users.clear()
    rows: Counter[str] = Counter({Role.LEARNER: 500, Role.ASSESSOR: 10})
    known = [_key(f"{role[0]}{number}", Role(role)) for role, count in rows.items() for number in range(count)]
    _sow(college, *known)
    list(college.context.onefile.users(ORGANISATION, expected=3000))
    for assessors in (0, 1, 3, 4, 10, 40):
        for learners in (0, 1, 2, 5, 6, 7, 40):
            new: Counter[str] = Counter({Role.ASSESSOR: assessors, Role.LEARNER: learners})
            keys = [_key(f"N{role}{number}", Role(role)) for role, count in new.items() for number in range(count)]
            college.onefile.journal.clear()
            lookup = _lookup(college, *known)

            assert lookup.find_new({key: {} for key in keys}, {Role(role): count for role, count in new.items()}) == {}
            if not lookup.has_all_users:
                for role, count in new.items():
                    lookup.search_names(Role(role), {Names("New", f"No {number}") for number in range(count)})

            least = {"look for users": looks(+new, len(keys), rows, page)} if keys else {}
            assert _made(college) == least, (assessors, learners)


@pytest.mark.parametrize(
    ("cut", "page", "refused"),
    [
        ({"page_cap": 50}, 50, {3: 1, 7: 1, 12: 0, 40: 0}),
        ({"page_cap": 100}, 100, {2: 0, 3: 1, 4: 0, 40: 0}),
        ({"page_cap": 100}, 100, {40: 1, 3: 0}),
        ({"page_cap": 100, "over_cap": OverCap.CLAMP}, 100, {40: 0}),
        ({"page_cap": 500}, 500, {3: 0, 40: 0}),
    ],
)
def test_larger_page_is_tried_once_only_if_it_may_save_calls(
    found: Found, cut: dict[str, Any], page: int, refused: dict[int, int]
) -> None:
    """Nobody can know it beforehand (U1)."""
    college = found(**cut)
    college.onefile.world.users.clear()
    people = [_key(f"L{number}") for number in range(500)]
    _sow(college, *people)

    for new, times in refused.items():
        calls = _looked_for(college, people, new)
        assert (calls[400], calls.total() - calls[400]) == (times, searches(new, 500, page)), new


@pytest.mark.parametrize(("cut", "page"), [_CUTS[0], _CUTS[1], _CUTS[3]])
def test_accounts_created_without_a_user_id_are_found_in_fewest_calls(
    found: Found, cut: dict[str, Any], page: int
) -> None:
    college = found(**cut)
    for known in (500, 51, 40, 0):
        college.onefile.world.users.clear()
        people = [_key(f"L{number}") for number in range(known)]
        _sow(college, *people)
        list(college.context.onefile.users(ORGANISATION, expected=3000))
        for made in (1, 2, 3, 4, 6):
            keys = [_key(f"N{known}-{made}-{number}") for number in range(made)]
            ids = _sow(college, *keys)
            college.onefile.journal.clear()

            assert len(_lookup(college, *people).find_created({key: {} for key in keys})) == made

            assert _made(college) == {"look for users": finds(made, known + made, page)}, (known, made)
            for user_id in ids:
                del college.onefile.world.users[user_id]


@pytest.mark.parametrize(
    ("known", "assessors", "codes", "calls"),
    [
        pytest.param(0, 1, ["A0"], 2, id="one"),
        pytest.param(0, 40, ["A1", "A2", "A3"], 2, id="some of a few"),
        pytest.param(290, 292, ["A290"], 2, id="one of many"),
        pytest.param(290, 292, ["A290", "A291"], 3, id="two of many"),
    ],
)
def test_assessors_are_looked_for_by_their_codes_one_by_one_or_by_page(
    found: Found, known: int, assessors: int, codes: list[str], calls: int
) -> None:
    college = found(page_cap=150, over_cap=OverCap.CLAMP)
    college.onefile.world.users.clear()
    people = [_key(f"A{number}", Role.ASSESSOR) for number in range(assessors)]
    _sow(college, *people)
    list(college.context.onefile.users(ORGANISATION, expected=3000))
    college.onefile.journal.clear()

    wanted = [Code(Referent.ASSESSOR, "MISID", text) for text in codes]
    resolved = _lookup(college, *people[:known]).resolve(wanted)

    assert all(isinstance(found, int) for found in resolved.values())
    assert _made(college) == {"look for users": calls}


def test_with_a_name_among_the_codes_all_assessors_are_asked_for_at_once(college: College) -> None:
    _sow(college, *(_key(f"A{number}", Role.ASSESSOR) for number in range(3)))
    wanted = [Code(Referent.ASSESSOR, "MISID", "A1"), Code(Referent.ASSESSOR, "Name", "Nobody Such")]

    resolved = _lookup(college).resolve(wanted)

    assert (isinstance(resolved[wanted[0]], int), resolved[wanted[1]]) == (True, Reason.REFERENCE_NOT_FOUND)
    # The trainees, of whom there are none, are asked for the other one.
    assert _made(college) == {"look for users": 3}
