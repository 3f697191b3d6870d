"""Colleges over years: whatever happens to names and keys, one person has one account, and an account one person."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import create_engine

from syncd.core.fields import Role
from syncd.core.run import RunState, Trigger
from syncd.mis import Mis as Source
from syncd.operations.rekey import Move, rekey_plan
from syncd.state import accounts, held_records
from syncd.state.held_records import HeldEntry, Selection
from syncd.sync.context import Feed
from syncd.sync.run import execute, run_once
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.people.accounts import AccountHistory
from tests.support.people.mis import KeyedBy, Mis, Row, feed
from tests.support.people.population import Population, Shares
from tests.support.people.year import found_college
from tests.support.sessions import session_on

_LEARNERS: Final = 40
_YEARS: Final = (2026, 2027, 2028)


class Years:
    """A college of generated people, whose operator knows everybody and answers every question with the truth."""

    def __init__(self, college: College, mis: Mis, population: Population, *, person_key: bool) -> None:
        self.college = college
        self.mis = mis
        self.population = population
        self.rng = population.rng
        self.history = AccountHistory(college.onefile.world, mis, population.people)
        self.asked: Counter[str] = Counter()
        self._new_dates: set[Row] = set()
        """Rows whose key stays, but whose programme is another one than at the last run."""
        self._new_keys: set[Row] = set()
        """Rows whose programme stays, but whose key is another one than at the last run."""
        feeds = (
            Feed("tutors", Role.ASSESSOR, feed(Role.ASSESSOR)),
            Feed("learners", Role.LEARNER, feed(Role.LEARNER, person_key=person_key)),
        )
        college.context = replace(college.context, mis=Source(mis.url), feeds=feeds)
        found_college(population, mis, _LEARNERS, 2, 2025)
        self.run()

    def run(self) -> None:
        """An approved run, after which no promise about people is broken."""
        self.mis.publish()
        done = run_once(self.college.context, Trigger.COMMAND, approved_by="a test")
        assert done.state is RunState.FINISHED
        assert not done.refused
        self.history.check(self.leavers)
        self._new_dates = {row for row in self._new_dates if not row.is_current}
        self._new_keys.clear()

    def run_and_answer(self) -> None:
        """The same, and all its questions answered; after the next run nobody is held."""
        self.run()
        for entry in self.held:
            self.asked[entry.reason] += 1
            self._answer(entry)
        self.run()
        assert [(entry.misid, entry.reason) for entry in self.held] == []
        assert self.history.without_account({}, self.leavers) == {}
        # Nothing is left to do.
        self.college.onefile.journal.clear()
        self.run()
        assert self.college.onefile.journal.writes == []

    @property
    def held(self) -> list[HeldEntry]:
        with self.college.context.store.begin() as connection:
            return held_records.listing(session_on(connection, ORGANISATION))

    @property
    def leavers(self) -> set[int]:
        with self.college.context.store.begin() as connection:
            known = accounts.known(session_on(connection, ORGANISATION))
        return {one.user_id for one in known.values() if one.user_id is not None and one.status != "active"}

    def _answer(self, entry: HeldEntry) -> None:
        row = self.mis.row_of(entry.role, entry.misid)
        assert row is not None
        match entry.reason:
            case "rekeyed?" | "lookalike_key":
                user_id = self.college.known_id(entry.other, entry.role)
                if user_id is not None and self._is_account_of(user_id, row):
                    plan = rekey_plan([Move(entry.role, entry.other, entry.misid)])
                    assert execute(self.college.context, Trigger.REKEY, plan, approved_by="a test").sent
                else:
                    self._retry(entry)
            case reason:
                raise AssertionError(f"{entry.misid} is held as {reason}")

    def _is_account_of(self, user_id: int, row: Row) -> bool:
        """Whether somebody who knows everybody says that it is the same person, and no other programme."""
        stands_for = self.history.row_of(user_id)
        assert stands_for is not None
        was, is_ = stands_for.enrolment, row.enrolment
        is_gone = stands_for is row or not stands_for.is_current
        return stands_for.person is row.person and is_gone and was.starts_on == is_.starts_on

    def _retry(self, entry: HeldEntry) -> None:
        with self.college.context.store.begin() as connection:
            held_records.retry(session_on(connection, ORGANISATION), Selection([entry.misid]))

    # What happens

    def some(self, number: int, *, but: Collection[Row] = ()) -> list[Row]:
        """Current rows of learners, each once, but for these."""
        return self.rng.sample([row for row in self.mis.current(Role.LEARNER) if row not in but], number)

    def join(self, year: int) -> None:
        """Strangers, and relatives and namesakes of learners who are there or have left."""
        make = (self.population.twin_of, self.population.namesake_of, self.population.father_of)
        known = [row.person for row in self.mis.history if row.role is Role.LEARNER and row.person.dob]
        people = [self.population.learner() for _ in range(3)]
        people += [make[self.rng.randrange(3)](self.rng.choice(known)) for _ in range(4)]
        for person in people:
            self._enrol(person, year)

    def leave(self, _year: int) -> None:
        for row in self.some(5):
            self.mis.remove(row)

    def begin_next_programme(self, year: int) -> None:
        for row in self.some(8, but=self._new_keys):
            if self.mis.begin_next_programme(row, date(year, 9, 1), date(year + 1, 7, 31)) is row:
                self._new_dates.add(row)

    def marry(self, _year: int) -> None:
        for row in self.some(2):
            self.population.marry(row.person)

    def rekey(self, _year: int) -> None:
        for row in self.some(2, but=self._new_dates):
            self._rekey(row)

    def respell_key(self, _year: int) -> None:
        (row,) = self.some(1, but=self._new_dates)
        self._rekey(row, self.rng.choice([row.key.lower(), f"0{row.key}", f"{row.key[0]} {row.key[1:]}"]))

    def _rekey(self, row: Row, key: str | None = None) -> None:
        # A new key with later dates would be a next programme, whatever the MIS means by it.
        self.mis.rekey(row, key)
        self._new_keys.add(row)

    def enter_twice(self, _year: int) -> None:
        (row,) = self.some(1)
        self.mis.double(row)

    def come_back(self, year: int) -> None:
        """People who left, perhaps years ago: under their old key, a new one, or a new enrolment's."""
        gone = [row for row in self.mis.history if not row.is_current and row.role is Role.LEARNER]
        gone = [row for row in gone if not self.mis.rows_of(row.person, Role.LEARNER)]
        for row in self.rng.sample(gone, min(3, len(gone))):
            if self.mis.rows_of(row.person, Role.LEARNER):
                continue
            how = self.rng.randrange(3)
            if how < 2 or self.mis.keyed_by is KeyedBy.PERSON:
                self.mis.bring_back(row)
                if how == 1 and row not in self._new_dates:
                    self._rekey(row)
            else:
                self._enrol(row.person, year)

    def _enrol(self, person: object, year: int) -> None:
        tutor = self.rng.choice(self.mis.current(Role.ASSESSOR)).key
        self.mis.enrol(person, date(year, 9, 1), date(year + 1, 7, 31), tutor=tutor)  # type: ignore[arg-type]


Live = Callable[..., Years]


@pytest.fixture
def live(found: Found, tmp_path: Path) -> Iterator[Live]:
    """Opens such a college."""
    with ExitStack() as stack:

        def opened(seed: int, keyed_by: KeyedBy, *, person_key: bool = False, shares: Shares | None = None) -> Years:
            college = found()
            college.with_policy(archives_leavers=True)
            engine = create_engine(f"sqlite:///{tmp_path / 'people.db'}")
            stack.callback(engine.dispose)
            return Years(college, Mis(engine, keyed_by), Population(seed, shares), person_key=person_key)

        yield opened


@pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
@pytest.mark.parametrize(
    ("keyed_by", "person_key"),
    [
        (KeyedBy.PERSON, False),
        (KeyedBy.ENROLMENT, False),
        pytest.param(KeyedBy.ENROLMENT, True, marks=pytest.mark.slow),
    ],
)
def test_one_person_has_one_account_over_years(live: Live, seed: int, keyed_by: KeyedBy, person_key: bool) -> None:
    years = live(seed, keyed_by, person_key=person_key)
    for year in _YEARS:
        events = [
            years.join, years.leave, years.begin_next_programme, years.marry, years.rekey, years.respell_key,
            years.enter_twice, years.come_back,
        ]  # fmt: skip
        years.rng.shuffle(events)
        for some in (events[:4], events[4:]):
            for event in some:
                event(year)
            years.run_and_answer()
    assert {*years.asked} == {"rekeyed?", "lookalike_key"}
