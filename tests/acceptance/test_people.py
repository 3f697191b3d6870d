"""The tests' own people: who they are, what an MIS shows of them, and which broken promises are found."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from syncd.core.fields import Role
from syncd.simulator.models import User
from syncd.simulator.seed import Seed, sow, start
from syncd.simulator.validation import is_uln
from syncd.simulator.world import World
from tests.support.onefile import ASSESSOR, CLASSROOM, PLACEMENT, SEED
from tests.support.people.accounts import AccountHistory
from tests.support.people.contact import FirstContact, Kind, make_first_contact
from tests.support.people.mis import KeyedBy, Mis, Row, feed
from tests.support.people.person import NO_ULN_YET, Person
from tests.support.people.population import Population
from tests.support.people.year import Counts, found_college, pass_year

_FIRST = date(2025, 9, 1), date(2026, 7, 31)
_NEXT = date(2026, 9, 1), date(2027, 7, 31)


@pytest.fixture
def population() -> Population:
    return Population(16)


@pytest.fixture
def mis(tmp_path: Path) -> Iterator[Mis]:
    engine = create_engine(f"sqlite:///{tmp_path / 'people.db'}")
    yield Mis(engine)
    engine.dispose()


@pytest.fixture
def world() -> World:
    world = World(lambda: 0.0)
    start(world, Seed.of(SEED))
    return world


class OneFile:
    """A world, its history, and a client that does what a test says, right or wrong."""

    def __init__(self, world: World, mis: Mis, population: Population) -> None:
        self.world = world
        self.mis = mis
        self.history = AccountHistory(world, mis, population.people)

    def create(self, row: Row) -> User:
        self.mis.publish()
        return self.world.create_user(
            {
                "OrganisationID": 5740,
                "Role": row.role.number,
                "MISID": row.key,
                **row.fields,
                "DefaultAssessorID": ASSESSOR,
                "ClassroomID": CLASSROOM,
                "PlacementID": PLACEMENT,
            }
        )

    def update(self, user: User, row: Row, *names: str) -> None:
        """Send the account what a row shows, or only these fields."""
        self.mis.publish()
        fields = {"MISID": row.key, **row.fields}
        self.world.update_user(user.id, {name: value for name, value in fields.items() if name in (names or fields)})

    def findings(self, *leavers: User) -> set[str]:
        self.mis.publish()
        ids = {user.id for user in leavers}
        return {one.what for one in (*self.history.second_accounts(ids), *self.history.mixed_accounts())}


@pytest.fixture
def onefile(world: World, mis: Mis, population: Population) -> OneFile:
    return OneFile(world, mis, population)


def _shown(mis: Mis, sql: str) -> list[dict[str, Any]]:
    mis.publish()
    with mis.engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(sql)).mappings()]


# People


def test_the_same_seed_makes_the_same_people() -> None:
    one, other = ([Population(7).learner().fields for _ in range(2)] for _ in range(2))
    assert one == other
    assert Population(8).learner().fields != Population(7).learner().fields


def test_learners_have_valid_ulns_of_their_own_or_none(population: Population) -> None:
    people = [population.learner() for _ in range(2000)]
    ulns = [person.uln for person in people if person.uln not in {"", NO_ULN_YET}]
    assert all(map(is_uln, ulns))
    assert len({*ulns}) == len(ulns) > 1800
    assert 0 < sum(person.uln == NO_ULN_YET for person in people) < 100
    assert 0 < sum(person.dob is None for person in people) < 100
    names = Counter((person.first_name, person.last_name) for person in people)
    assert 0 < sum(times > 1 for times in names.values()) < 100


def test_relatives_share_what_families_share(population: Population) -> None:
    child = population.well_known_learner()
    twin, father, namesake = population.twin_of(child), population.father_of(child), population.namesake_of(child)
    assert (twin.last_name, twin.dob, twin.email) == (child.last_name, child.dob, child.email)
    assert (father.first_name, father.last_name, father.email) == (child.first_name, child.last_name, child.email)
    assert (namesake.first_name, namesake.last_name) == (child.first_name, child.last_name)
    assert twin.first_name != child.first_name
    assert child.dob
    assert father.dob
    assert father.dob.year < child.dob.year - 20
    assert namesake.dob not in {child.dob, None}
    assert len({child.uln, twin.uln, father.uln, namesake.uln}) == 4


def test_a_married_person_is_still_known_by_the_old_values(population: Population) -> None:
    person = population.well_known_learner()
    before = person.fields
    population.marry(person)
    assert {name for name in before if person.fields[name] != before[name]} == {"LastName", "Email"}
    assert person.may_have(before)
    assert person.may_have(person.fields)
    assert not person.may_have({"LastName": "Somebody-Else"})


# The MIS


def test_a_feed_shows_current_rows_of_its_role_with_their_values(population: Population, mis: Mis) -> None:
    tutor, learner = mis.employ(population.member_of_staff(), "A7"), population.well_known_learner()
    mis.enrol(learner, *_FIRST, key="L1", tutor=tutor.key)
    mis.remove(mis.enrol(population.learner(), *_FIRST))

    (row,) = _shown(mis, feed(Role.LEARNER, person_key=True))
    assert row == {
        "MISID": "L1",
        "FirstName": learner.first_name,
        "LastName": learner.last_name,
        "Email": learner.email,
        "DOB": str(learner.dob),
        "ULN": learner.uln,
        "NINO": learner.nino,
        "ClassroomID": CLASSROOM,
        "PlacementID": PLACEMENT,
        "DefaultAssessorMISID": "A7",
        "StartOn": "2025-09-01",
        "PlannedEndDate": "2026-07-31",
        "PersonKey": "S000002",
    }
    (row,) = _shown(mis, feed(Role.ASSESSOR))
    assert [*row] == ["MISID", "FirstName", "LastName", "Email", "DOB"]
    (row,) = _shown(mis, feed(Role.LEARNER, dates=False, without=("ULN",)))
    assert not {"ULN", "StartOn", "PlannedEndDate", "PersonKey"} & row.keys()


@pytest.mark.parametrize("keyed_by", KeyedBy)
def test_a_next_programme_is_another_row_only_if_enrolments_have_keys(
    population: Population, tmp_path: Path, keyed_by: KeyedBy
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'mis.db'}")
    mis = Mis(engine, keyed_by)
    old = mis.enrol(population.learner(), *_FIRST)
    new = mis.begin_next_programme(old, *_NEXT)
    (row,) = _shown(mis, feed(Role.LEARNER))
    engine.dispose()

    assert (new is old) is (keyed_by is KeyedBy.PERSON)
    assert (row["MISID"], row["StartOn"]) == (new.key, "2026-09-01")
    assert [one.starts_on for one in new.person.enrolments] == [_FIRST[0], _NEXT[0]]
    assert mis.rows_of(new.person, Role.LEARNER) == [new]


def test_a_key_says_whose_it_is_now(population: Population, mis: Mis) -> None:
    first, second = population.learner(), population.learner()
    row = mis.enrol(first, *_FIRST, key="L1")
    mis.publish()
    assert mis.row_of(Role.LEARNER, "L1") is row
    other = mis.reuse_key(row, second)
    mis.publish()
    assert mis.row_of(Role.LEARNER, "L1") is other
    assert mis.rekey(other, "L2") == "L1"
    mis.double(other, "L2")
    mis.publish()
    assert mis.row_of(Role.LEARNER, "L1") is None
    # Two rows have it.
    assert mis.row_of(Role.LEARNER, "L2") is None
    assert mis.row_of(Role.ASSESSOR, "L1") is None


def test_a_wrong_sort_shows_each_row_with_values_of_the_next(population: Population, mis: Mis) -> None:
    rows = [mis.enrol(population.well_known_learner(), *_FIRST) for _ in range(3)]
    mis.shift(rows, "LastName", "Email")
    shown = {row["MISID"]: row for row in _shown(mis, feed(Role.LEARNER))}
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        assert shown[row.key]["LastName"] == other.person.last_name
        assert shown[row.key]["FirstName"] == row.person.first_name


def test_a_year_happens_to_as_many_learners_as_it_is_to(population: Population, mis: Mis) -> None:
    found_college(population, mis, learners=200, tutors=3, year=2025)
    before = {row.key: row.person for row in mis.current(Role.LEARNER)}
    counts = Counts(next_programmes=30, married_meanwhile=2, joined=45, left=35, married=4, keys_reused=3, rekeyed=5)
    year = pass_year(population, mis, counts, 2026)
    after = {row.key: row.person for row in mis.current(Role.LEARNER)}

    assert len(after) == 200 + 45 - 35
    assert {key for key in before.keys() & after.keys() if before[key] is not after[key]} == {
        new.key for _, new in year.keys_reused
    }
    assert len(after.keys() - before.keys()) == 30 + 45 + 5
    assert len(before.keys() - after.keys()) == 30 + 35 + 5
    assert before.keys() - after.keys() == {
        *(row.key for row, _ in year.next_programmes),
        *(row.key for row in year.left),
        *year.rekeyed,
    }
    assert len(year.married) == 6
    assert len({*year.married} & {new.person for _, new in year.next_programmes}) == 2


# Accounts


def test_an_account_for_each_row_breaks_no_promise(onefile: OneFile, population: Population) -> None:
    child = population.well_known_learner()
    for person in (child, population.twin_of(child), population.father_of(child), population.namesake_of(child)):
        user = onefile.create(onefile.mis.enrol(person, *_FIRST))
        assert onefile.history.person_of(user.id) is person
        assert onefile.history.people_like(user.id) == {person}
    onefile.history.check()


def test_a_married_learner_keeps_the_account(onefile: OneFile, population: Population) -> None:
    row = onefile.mis.enrol(population.well_known_learner(), *_FIRST)
    user = onefile.create(row)
    population.marry(row.person)
    onefile.update(user, row)
    assert onefile.findings() == set()


def test_a_next_programme_has_an_account_beside_the_leavers(onefile: OneFile, population: Population) -> None:
    old = onefile.mis.enrol(population.well_known_learner(), *_FIRST)
    first = onefile.create(old)
    new = onefile.mis.begin_next_programme(old, *_NEXT)
    second = onefile.create(new)

    assert onefile.findings() == {"active accounts of one Learner"}
    assert onefile.findings(first) == set()
    first.is_archived = True
    assert onefile.findings() == set()
    assert onefile.history.row_of(second.id) is new
    assert onefile.history.accounts_of(new.person, Role.LEARNER) == [first, second]
    assert onefile.history.accounts_of(new.person, Role.IQA) == []


def test_a_second_account_for_a_changed_key_is_found_though_the_first_left(
    onefile: OneFile, population: Population
) -> None:
    row = onefile.mis.enrol(population.well_known_learner(), *_FIRST)
    first = onefile.create(row)
    onefile.mis.rekey(row)
    onefile.create(row)
    assert onefile.findings(first) == {"second account of one row"}
    first.is_archived = True
    assert onefile.findings() == {"second account of one row"}


def test_a_changed_key_that_is_sent_to_the_account_breaks_no_promise(onefile: OneFile, population: Population) -> None:
    row = onefile.mis.enrol(population.well_known_learner(), *_FIRST)
    user = onefile.create(row)
    onefile.mis.rekey(row)
    onefile.update(user, row, "MISID")
    assert onefile.findings() == set()


def test_two_current_rows_of_one_person_may_have_two_accounts(onefile: OneFile, population: Population) -> None:
    row = onefile.mis.enrol(population.well_known_learner(), *_FIRST)
    onefile.create(row)
    again = onefile.mis.double(row)
    onefile.create(again)
    assert onefile.findings() == set()
    onefile.mis.remove(again)
    assert onefile.findings() == {"active accounts of one Learner"}


def test_roles_have_accounts_of_their_own(onefile: OneFile, population: Population) -> None:
    person = population.member_of_staff()
    for role in (Role.ASSESSOR, Role.IQA):
        row = onefile.mis.employ(person, "S1", role)
        onefile.mis.publish()
        onefile.world.create_user({"OrganisationID": 5740, "Role": role.number, "MISID": "S1", **row.fields})
    assert onefile.findings() == set()


@pytest.mark.parametrize("sent", [(), ("LastName",), ("DOB",), ("MISID",)])
def test_values_of_the_person_who_has_the_key_now_mix_two_people(
    onefile: OneFile, population: Population, sent: tuple[str, ...]
) -> None:
    row = onefile.mis.enrol(population.well_known_learner(), *_FIRST)
    user = onefile.create(row)
    newcomer = onefile.mis.reuse_key(row, population.well_known_learner())
    assert onefile.findings() == set()
    onefile.update(user, newcomer, *sent)
    assert onefile.findings() == {"account that was sent two people's rows"}
    # It stays so, whatever is sent later.
    onefile.update(user, row)
    assert onefile.findings() >= {"account that was sent two people's rows"}


def test_a_released_account_and_the_one_made_anew_break_no_promise(onefile: OneFile, population: Population) -> None:
    row = onefile.mis.enrol(population.well_known_learner(), *_FIRST)
    old = onefile.create(row)
    newcomer = onefile.mis.reuse_key(row, population.well_known_learner())
    onefile.mis.publish()
    onefile.world.update_user(old.id, {"MISID": f"released-{old.id}"})
    new = onefile.create(newcomer)
    assert onefile.findings() == set()
    assert onefile.history.person_of(old.id) is row.person
    assert onefile.history.person_of(new.id) is newcomer.person


@pytest.mark.parametrize("names", [("LastName", "Email"), ("Email",), ("ULN",)])
def test_a_shifted_column_that_is_sent_is_found(
    onefile: OneFile, population: Population, names: tuple[str, ...]
) -> None:
    rows = [onefile.mis.enrol(population.well_known_learner(), *_FIRST) for _ in range(3)]
    users = [onefile.create(row) for row in rows]
    onefile.mis.shift(rows, *names)
    assert onefile.findings() == set()
    onefile.update(users[0], rows[0], *names)
    assert onefile.findings() == {"account with values that are not its person's"}


def test_values_that_are_nobodys_are_found(onefile: OneFile, population: Population) -> None:
    user = onefile.create(onefile.mis.enrol(population.well_known_learner(), *_FIRST))
    onefile.world.update_user(user.id, {"Email": "nobody@example.org"})
    assert onefile.findings() == {"account with values that are not its person's"}


def test_whose_an_account_is_stays_open_for_namesakes(onefile: OneFile, population: Population) -> None:
    person = population.well_known_learner()
    twin = population.namesake_of(person)
    sown = {"OrganisationID": 5740, "Role": 1, "FirstName": person.first_name, "LastName": person.last_name}
    sow(onefile.world, Seed(users=({"ID": 500_001, **sown}, {"ID": 500_002, **sown, "DOB": f"{twin.dob}T00:00:00"})))
    for number in (500_001, 500_002):
        onefile.history.was_there(onefile.world.users[number], None)
    assert onefile.history.people_like(500_001) == {person, twin}
    assert onefile.history.person_of(500_001) is None
    assert onefile.history.person_of(500_002) is twin


def test_rows_without_an_account_are_listed_with_their_reasons(onefile: OneFile, population: Population) -> None:
    rows = [onefile.mis.enrol(population.learner(), *_FIRST) for _ in range(4)]
    users = [onefile.create(row) for row in rows[:2]]
    onefile.mis.publish()
    held = {(Role.LEARNER, rows[2].key): "rekeyed?"}
    assert onefile.history.without_account(held) == {rows[2]: "rekeyed?", rows[3]: ""}
    assert onefile.history.without_account(held, {users[0].id}) == {rows[0]: "", rows[2]: "rekeyed?", rows[3]: ""}


# First contact


@pytest.fixture
def contact(population: Population, mis: Mis) -> FirstContact:
    return make_first_contact(population, mis)


def test_first_contact_has_2000_accounts_and_2200_people(
    contact: FirstContact, mis: Mis, population: Population
) -> None:
    assert len(contact.sown) == 2000
    assert sum("MISID" in one.values for one in contact.sown) == 1000
    assert len({row.person for row in mis.rows}) == len(mis.rows) == 2200
    assert {one.kind for one in contact.sown} == {*Kind}
    assert len({row.key for row in mis.history}) == len(mis.history)
    without = {*mis.rows} - contact.with_account().keys()
    assert without == {*contact.newcomers}
    by_number = {person.number: person for person in population.people}
    for one in contact.sown:
        assert by_number[one.owner.number] is one.owner
        assert one.row is None or one.row.person is one.owner


def test_accounts_before_first_contact_break_no_promise_yet(
    contact: FirstContact, onefile: OneFile, world: World
) -> None:
    for user, one in contact.sow(world, lambda seed: sow(world, Seed.of(seed))):
        onefile.history.was_there(user, one.owner, one.row)
    assert onefile.findings() == set()


@pytest.mark.parametrize("kind", [Kind.OLD_KEY, Kind.MARRIED, Kind.NAMES, Kind.RIGHT_ARCHIVED, Kind.ARCHIVED])
def test_an_account_made_for_a_person_who_has_one_is_found(
    contact: FirstContact, onefile: OneFile, world: World, kind: Kind
) -> None:
    for user, one in contact.sow(world, lambda seed: sow(world, Seed.of(seed))):
        onefile.history.was_there(user, one.owner, one.row)
    row = next(one.row for one in contact.sown if one.kind is kind and one.row and one.row.role is Role.LEARNER)
    onefile.create(row)
    assert "second account of one row" in onefile.findings()


def test_a_file_of_proposals_is_answered_truthfully(contact: FirstContact, world: World) -> None:
    for _ in contact.sow(world, lambda seed: sow(world, Seed.of(seed))):
        pass
    twice = next(one.row for one in contact.sown if one.kind is Kind.TWICE)
    assert twice is not None
    first, second = contact.accounts_of(twice)
    newcomer = contact.newcomers[0]
    proposals = [
        {"apply": "", "role": "Learner", "misid": twice.key, "user_id": f"{second}"},
        {"apply": "", "role": "Learner", "misid": newcomer.key, "user_id": f"{first}"},
        {"apply": "", "role": "IQA", "misid": twice.key, "user_id": f"{first}"},
        {"apply": "yes", "role": "Learner", "misid": twice.key, "user_id": f"{first}"},
    ]
    assert [row["apply"] for row in contact.answer(proposals)] == ["yes", "no", "no", "no"]


def test_relatives_without_account_resemble_people_who_have_one(contact: FirstContact) -> None:
    owners: dict[tuple[str, str], list[Person]] = {}
    for one in contact.sown:
        owners.setdefault((one.owner.last_name, one.owner.email), []).append(one.owner)
        owners.setdefault((one.owner.first_name, one.owner.last_name), []).append(one.owner)
    for row in contact.relatives:
        person = row.person
        assert (person.last_name, person.email) in owners or (person.first_name, person.last_name) in owners
