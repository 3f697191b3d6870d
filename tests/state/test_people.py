"""Finding people, in both makes of database."""

from datetime import UTC, datetime

import pytest

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.core.records import Held, Key, Reason
from syncd.state import accounts, held_records
from syncd.state.db.store import Store
from syncd.state.views import search
from syncd.state.views.search import SearchTerms
from tests.support.sessions import session_on

HERE, ELSEWHERE = 5740, 5741
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def college(store: Store) -> None:
    known = {
        Key(HERE, Role.LEARNER, "L1"): 101,
        Key(HERE, Role.LEARNER, "L10"): 102,
        Key(HERE, Role.ASSESSOR, "L1"): 103,
        Key(HERE, Role.LEARNER, "103"): 104,
        Key(ELSEWHERE, Role.LEARNER, "L1"): 105,
    }
    with store.begin() as connection:
        for key, user_id in known.items():
            accounts.save(
                session_on(connection, at=NOW, cipher=store.cipher),
                key,
                user_id=user_id,
                feed="f",
                accepted={},
                fingerprint="",
            )
        accounts.set_status(session_on(connection), Key(HERE, Role.LEARNER, "L10"), Status.LEAVER, NOW)
        holds = [
            Held(HERE, Role.LEARNER, misid, feed, Reason.MISSING, "Email", "Email is empty", row)
            for misid, feed, row in (("L1", "f", 0), ("H1", "f", 0), ("H1", "g", 0), ("", "f", 7))
        ]
        held_records.replace(session_on(connection, HERE, NOW), holds, [])


def _found(
    store: Store, wanted: SearchTerms, *organisations: int, first: int = 0, most: int = 50
) -> list[tuple[str, str]]:
    with store.begin() as connection:
        found, _ = search.find(connection, organisations or (HERE,), wanted, first=first, most=most)
    return [(each.role, each.misid) for each in found]


def test_search_finds_each_account_and_each_held_record_once(store: Store) -> None:
    with store.begin() as connection:
        found, count = search.find(connection, (HERE,), SearchTerms(), first=0, most=50)
    assert [(each.misid, each.role, each.user_id, each.status, each.is_held) for each in found] == [
        ("103", "Learner", 104, "active", False),
        ("H1", "Learner", None, None, True),
        ("L1", "Assessor", 103, "active", False),
        ("L1", "Learner", 101, "active", True),
        ("L10", "Learner", 102, "leaver", False),
    ]
    assert count == 5


def test_exact_match_comes_first(store: Store) -> None:
    assert _found(store, SearchTerms("L1")) == [("Assessor", "L1"), ("Learner", "L1"), ("Learner", "L10")]
    assert _found(store, SearchTerms("103")) == [("Learner", "103"), ("Assessor", "L1")]


def test_exact_search_returns_exact_matches_only(store: Store) -> None:
    def exactly(wanted: SearchTerms, *organisations: int) -> list[tuple[int, str, str, bool]]:
        with store.reading() as connection:
            found = search.exactly(connection, organisations or (HERE,), wanted)
        return sorted((each.organisation_id, each.role, each.misid, each.is_held) for each in found)

    assert exactly(SearchTerms("L10")) == [(HERE, "Learner", "L10", False)]
    assert exactly(SearchTerms("H1")) == [(HERE, "Learner", "H1", True)]
    assert exactly(SearchTerms("103")) == [(HERE, "Assessor", "L1", False), (HERE, "Learner", "103", False)]
    assert exactly(SearchTerms("L1", role="Learner"), HERE, ELSEWHERE) == [
        (HERE, "Learner", "L1", True),
        (ELSEWHERE, "Learner", "L1", False),
    ]
    assert [exactly(SearchTerms(text)) for text in ("l10", "L", "%", "9" * 30)] == [[]] * 4
    assert exactly(SearchTerms("L10", status="active")) == []


def test_as_many_are_counted_as_there_are_whichever_page_is_looked_at(store: Store) -> None:
    for first, most in ((0, 50), (0, 5), (0, 2), (2, 2), (4, 50), (9, 50)):
        with store.reading() as connection:
            _, count = search.find(connection, (HERE,), SearchTerms(), first=first, most=most)
        assert count == 5, (first, most)


def test_letter_case_does_not_matter_and_nothing_stands_for_anything(store: Store) -> None:
    assert _found(store, SearchTerms("l10")) == [("Learner", "L10")]
    assert [_found(store, SearchTerms(text)) for text in ("%", "_", "\\", "9" * 30)] == [[]] * 4


def test_the_search_can_be_narrowed_down(store: Store) -> None:
    assert _found(store, SearchTerms("L1", role="Assessor")) == [("Assessor", "L1")]
    assert _found(store, SearchTerms(status="leaver")) == [("Learner", "L10")]
    assert ("Learner", "L10") not in _found(store, SearchTerms(status="active"))


def test_organisations_are_kept_apart_and_pages_are_counted_through(store: Store) -> None:
    assert _found(store, SearchTerms(), ELSEWHERE) == [("Learner", "L1")]
    assert len(_found(store, SearchTerms(), HERE, ELSEWHERE)) == 6
    assert _found(store, SearchTerms(), first=3, most=1) == [("Learner", "L1")]


def test_all_keys_with_a_misid_are_returned_across_roles_and_organisations(store: Store) -> None:
    with store.begin() as connection:
        keys = search.roles_with(connection, (HERE, ELSEWHERE), "L1")
    assert keys == [Key(HERE, Role.ASSESSOR, "L1"), Key(HERE, Role.LEARNER, "L1"), Key(ELSEWHERE, Role.LEARNER, "L1")]
