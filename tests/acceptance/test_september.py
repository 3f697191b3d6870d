"""A generated September: one approval, no question about the next programmes, and one account for each person."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from syncd.core.fields import Role
from tests.support.calls import calls_made, searches
from tests.support.command import Exit
from tests.support.people.mis import KeyedBy
from tests.support.people.person import NO_ULN_YET, Person
from tests.support.people.population import Shares
from tests.support.people.site import Site, open_site
from tests.support.people.year import Counts, Year, found_college, pass_year

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_TUTORS: Final = 20
_SEPTEMBER: Final = Counts(
    next_programmes=600, married_meanwhile=3, joined=900, left=700, married=12, keys_reused=5, rekeyed=10
)
_FULL: Final = (5000, _SEPTEMBER)
_FIFTH: Final = (1000, replace(_SEPTEMBER, next_programmes=120, joined=180, left=140))
_PAGE: Final = 100


class September:
    """A college whose learners and tutors have their accounts by one approved run, and what its summer brings."""

    def __init__(self, site: Site, learners: int, counts: Counts) -> None:
        self.site = site
        self.counts = counts
        self.there = learners + _TUTORS
        found_college(site.population, site.mis, learners, _TUTORS, 2025)
        done, calls = site.calls_of("sync", "--approve")
        assert done.exit == Exit.IN_STEP, done.stdout
        _report("first run", calls_made(calls), _least(creates=self.there, there=0))
        site.check()
        self.year = pass_year(site.population, site.mis, counts, 2026)

    @property
    def held(self) -> dict[tuple[Role, str], str]:
        """The questions there must be, and no others."""
        reused = {(Role.LEARNER, row.key): "another_person?" for _, row in self.year.keys_reused}
        return reused | {(Role.LEARNER, row.key): "rekeyed?" for row in self.year.rekeyed.values()}

    def sync(self, creates: int, updates: int) -> None:
        """A run that one approval is enough for, with the calls that it cannot do without."""
        counts = self.counts
        assert self.site.run("sync").exit == Exit.AWAITING_APPROVAL
        assert self.site.run("approve").exit == Exit.IN_STEP
        done, calls = self.site.calls_of("sync")
        assert done.exit == Exit.SOME_HELD, done.stdout
        assert self.site.held == self.held
        self.site.check()
        assert self.without_account() == self.held
        _report("September", calls_made(calls), _least(creates, updates, there=self.there))

        again, calls = self.site.calls_of("sync")
        assert again.exit == Exit.SOME_HELD, again.stdout
        # A command looks again whether OneFile has the MISIDs that are asked about; a poll does so once an hour.
        made = calls_made(calls)
        assert made == {"log in": 1, "look for users": counts.rekeyed}, made

    def without_account(self) -> dict[tuple[Role, str], str]:
        """The rows for which OneFile has no account of that key, with the reasons for it."""
        held = self.site.held
        without = self.site.accounts.without_account(held, self.site.leavers)
        # A learner with another key has an account under the old one.
        rekeyed = {key: reason for key, reason in held.items() if reason == "rekeyed?"}
        return {(row.role, row.key): reason for row, reason in without.items()} | rekeyed

    def answer(self) -> None:
        """Answer the 15 questions with the truth, after which everybody is in step."""
        for _, row in self.year.keys_reused:
            released = self.site.run("release", row.key)
            assert released.exit == Exit.IN_STEP, released.stdout
        moves = ({"old": old, "new": row.key} for old, row in self.year.rekeyed.items())
        rekeyed = self.site.run("rekey", "--from", self.site.write_csv("moves.csv", moves))
        assert rekeyed.exit == Exit.IN_STEP, rekeyed.stdout
        done = self.site.run("sync")
        assert done.exit == Exit.IN_STEP, done.stdout
        self.site.check()
        assert self.without_account() == {}


Open = Callable[..., September]


@pytest.fixture
def open_college(tmp_path: Path) -> Iterator[Open]:
    """Opens a college of this size and with these options, before September."""
    with ExitStack() as stack:
        yield lambda size, **options: September(stack.enter_context(open_site(tmp_path, seed=2026, **options)), *size)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        pytest.param(_FULL, {}, id="5,000 learners"),
        pytest.param(_FIFTH, {"person_key": True}, id="with PersonKey"),
        pytest.param(_FIFTH, {"shares": Shares(without_uln=0.3, without_dob=0.03)}, id="a third without ULN"),
    ],
)
def test_one_approval_for_september_and_no_question_about_next_programmes(
    open_college: Open, size: tuple[int, Counts], options: dict[str, Any]
) -> None:
    september = open_college(size, **options)
    counts, year = september.counts, september.year

    planned = september.site.run("plan", "--json").json
    new = {row.key: row.person for _, row in year.next_programmes}
    listed = {one["misid"] for one in planned["next_programmes"]}
    # If surname and address have changed, only a number or the MIS's own key says that it is the same person.
    assert listed <= new.keys()
    unlisted = new.keys() - listed
    assert not unlisted or ("person_key" not in options and all(_has_changed(new[key], year) for key in unlisted))
    assert {one["misid"] for one in planned["creates"]} == new.keys() | {row.key for row in year.joined}
    assert len(planned["updates"]) == counts.married
    gone = {row.key for row in (*year.left, *(old for old, _ in year.next_programmes))}
    # Whether an account is a leaver's whose person may have another key now is left open.
    assert gone <= {one["misid"] for one in planned["leavers"]} <= gone | year.rekeyed.keys()

    september.sync(counts.next_programmes + counts.joined, counts.married)
    september.answer()


def test_next_programme_is_an_update_if_the_mis_keys_by_person(open_college: Open) -> None:
    september = open_college(_FIFTH, keyed_by=KeyedBy.PERSON)
    counts = september.counts

    planned = september.site.run("plan", "--json").json
    assert planned["next_programmes"] == []
    assert len(planned["creates"]) == counts.joined

    september.sync(counts.joined, counts.next_programmes + counts.married)
    september.answer()


def _has_changed(person: Person, year: Year) -> bool:
    """Whether nothing but a first name and a birthday is as it was."""
    is_numbered = person.dob is not None and (person.uln not in {"", NO_ULN_YET} or bool(person.nino))
    return person in year.married and not is_numbered


def _least(creates: int, updates: int = 0, *, there: int) -> Counter[str]:
    """The calls that cannot be done without, if OneFile has this many accounts already."""
    return Counter(
        {
            "log in": 1,
            "read the Keychain setting": 1,
            "look for users": searches(creates, there, _PAGE),
            "create a user": creates,
            "update a user": updates,
        }
    )


def _report(what: str, made: Counter[str], least: Counter[str]) -> None:
    # Read with pytest -s.
    sys.stdout.write(f"\n{what}: {made.total():,} calls, the least is {least.total():,}: {dict(made)}\n")
    assert made == +least, what
