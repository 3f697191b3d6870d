"""OneFile before first contact: accounts typed by hand or made by an earlier import, some of them wrong."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final

from syncd.core.fields import Role
from syncd.simulator.models import User
from syncd.simulator.world import World
from tests.support.onefile import CLASSROOM, ORGANISATION, PLACEMENT

from .mis import Mis, Row
from .names import short_form, without_accents
from .person import IDENTIFYING, Person
from .population import Population

Values = dict[str, Any]


class Kind(StrEnum):
    """How an account differs from the MIS."""

    RIGHT = "has the MISID of its person"
    RIGHT_MARRIED = "has the MISID of its person, and their name before they married"
    RIGHT_ARCHIVED = "has the MISID of its person, and is archived"
    RIGHT_TWICE = "has the MISID of its person, as a second account has"
    OLD_KEY = "has a MISID that the MIS no longer uses"
    LOOKALIKE_KEY = "has the MISID of its person in another spelling"
    KEY_OF_ANOTHER = "has the MISID of another person, who has no account"
    LEFT = "belongs to a person who has left, and has the MISID they had"
    LEFT_ARCHIVED = "belongs to a person who has left, and is archived"

    SAME = "has no MISID, all values equal"
    BESIDE_RIGHT = "has no MISID, and its person has another account that has theirs"
    PLAIN = "has no MISID, names in capitals and without accents"
    SHORT = "has no MISID, a short first name"
    ULN = "has no MISID, names and ULN only"
    EMAIL = "has no MISID, names and e-mail address only"
    NAMES = "has no MISID, names only"
    SWAPPED = "has no MISID, day and month of birth swapped"
    REVERSED = "has no MISID, first and last name swapped"
    MARRIED = "has no MISID, and its person's name and e-mail address before they married"
    TWICE = "has no MISID, as a second account of its person has none"
    ARCHIVED = "has no MISID, and is archived"
    LEFT_WITHOUT = "belongs to a person who has left, and has no MISID"


#: How many learners have an account of each kind; two accounts if it says so. 2,000 accounts with those of the staff.
LEARNERS: Final[Mapping[Kind, int]] = {
    Kind.RIGHT: 695,
    Kind.RIGHT_MARRIED: 15,
    Kind.RIGHT_ARCHIVED: 20,
    Kind.RIGHT_TWICE: 10,
    Kind.OLD_KEY: 60,
    Kind.LOOKALIKE_KEY: 20,
    Kind.KEY_OF_ANOTHER: 6,
    Kind.LEFT: 64,
    Kind.LEFT_ARCHIVED: 60,
    Kind.SAME: 480,
    Kind.BESIDE_RIGHT: 10,
    Kind.PLAIN: 100,
    Kind.SHORT: 40,
    Kind.ULN: 80,
    Kind.EMAIL: 60,
    Kind.NAMES: 20,
    Kind.SWAPPED: 20,
    Kind.REVERSED: 10,
    Kind.MARRIED: 20,
    Kind.TWICE: 10,
    Kind.ARCHIVED: 20,
    Kind.LEFT_WITHOUT: 80,
}
STAFF: Final[Mapping[Kind, int]] = {
    Kind.RIGHT: 20,
    Kind.OLD_KEY: 10,
    Kind.SAME: 30,
    Kind.PLAIN: 5,
    Kind.NAMES: 5,
}
#: Learners without an account: the first are a relative or a namesake of somebody who has one.
NEWCOMERS: Final = 428
RELATIVES: Final = 42

_NAMES: Final = ("FirstName", "LastName")
_OWN_KEY: Final = {
    Kind.RIGHT, Kind.RIGHT_MARRIED, Kind.RIGHT_ARCHIVED, Kind.RIGHT_TWICE, Kind.LEFT, Kind.LEFT_ARCHIVED
}  # fmt: skip
_ARCHIVED: Final = {Kind.RIGHT_ARCHIVED, Kind.LEFT_ARCHIVED, Kind.ARCHIVED}
_MARRIED_SINCE: Final = {Kind.RIGHT_MARRIED, Kind.MARRIED}
_HAVE_LEFT: Final = {Kind.LEFT, Kind.LEFT_ARCHIVED, Kind.LEFT_WITHOUT}
#: The fields that the account shows, beside the names, if not all of those that say who somebody is.
_SHOWN: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.ULN: ("ULN",),
    Kind.EMAIL: ("Email",),
    Kind.NAMES: (),
    Kind.SWAPPED: ("Email",),
    Kind.REVERSED: ("DOB",),
}


@dataclass(frozen=True, slots=True)
class Sown:
    """An account that OneFile has before syncd comes, and whose it is."""

    kind: Kind
    owner: Person
    row: Row | None
    """The row of the MIS that it stands for; none if its person has left."""
    values: Values


@dataclass(slots=True)
class FirstContact:
    """An MIS and the accounts that OneFile has beside it."""

    sown: list[Sown] = field(default_factory=list)
    newcomers: list[Row] = field(default_factory=list)
    """The rows whose person has no account."""
    relatives: list[Row] = field(default_factory=list)
    """Those of them who resemble somebody who has one."""
    users: dict[int, Sown] = field(default_factory=dict)
    """The accounts by UserID, once they are in a world."""

    def sow(self, world: World, sow: Callable[[dict[str, Any]], None]) -> Iterator[tuple[User, Sown]]:
        """Put the accounts into OneFile by ``sow``, which adds a seed to this world."""
        self.users = dict(enumerate(self.sown, world.free_user_id))
        sow({"users": [{"ID": number, **one.values} for number, one in self.users.items()]})
        return ((world.users[number], one) for number, one in self.users.items())

    def accounts_of(self, row: Row) -> list[int]:
        """The UserIDs of the accounts that stand for a row."""
        return [number for number, one in self.users.items() if one.row is row]

    def answer(self, proposals: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
        """The rows of a file of proposals with the truth in the column ``apply``.

        Of two accounts of one person only the first is one to link, an active one before an archived one.
        """
        answered = []
        linked: set[Row] = set()
        for proposal in sorted(proposals, key=lambda one: self._is_archived(int(one["user_id"]))):
            row = self.users[int(proposal["user_id"])].row
            is_right = row is not None and (row.role, row.key) == (proposal["role"], proposal["misid"])
            is_first = row is not None and row not in linked
            if row is not None and is_right:
                linked.add(row)
            answered.append({**proposal, "apply": "yes" if is_right and is_first else "no"})
        return answered

    def with_account(self) -> dict[Row, list[Kind]]:
        """The rows whose person has an account, and the kinds of their accounts."""
        found: dict[Row, list[Kind]] = {}
        for one in self.sown:
            if one.row is not None:
                found.setdefault(one.row, []).append(one.kind)
        return found

    def _is_archived(self, user_id: int) -> bool:
        return bool(self.users[user_id].values.get("Archived"))


def make_first_contact(
    population: Population,
    mis: Mis,
    learners: Mapping[Kind, int] = LEARNERS,
    staff: Mapping[Kind, int] = STAFF,
    newcomers: int = NEWCOMERS,
    relatives: int = RELATIVES,
) -> FirstContact:
    """Fill an MIS, and make up the accounts that OneFile has of its people and of others."""
    maker = _Maker(population, mis)
    for role, counts in ((Role.ASSESSOR, staff), (Role.LEARNER, learners)):
        for kind, number in counts.items():
            for _ in range(number):
                maker.sow(role, kind)
    maker.add_newcomers(newcomers, relatives)
    population.rng.shuffle(maker.contact.sown)
    return maker.contact


class _Maker:
    def __init__(self, population: Population, mis: Mis) -> None:
        self.contact = FirstContact()
        self._population = population
        self._mis = mis
        self._staff: list[Row] = []

    def add_newcomers(self, number: int, relatives: int) -> None:
        """Enter people without an account, of whom so many resemble somebody who has one."""
        owners = [one.owner for one in self.contact.sown if one.kind in {Kind.RIGHT, Kind.SAME} and one.owner.dob]
        make = (self._population.twin_of, self._population.namesake_of, self._population.father_of)
        self.contact.relatives = [self._enter(Role.LEARNER, make[i % 3](owners[i])) for i in range(relatives)]
        strangers = [self._enter(Role.LEARNER, self._population.learner()) for _ in range(number - relatives)]
        self.contact.newcomers += self.contact.relatives + strangers

    def sow(self, role: Role, kind: Kind) -> None:
        """Enter somebody who has an account of this kind, or who had one before they left."""
        row = self._enter(role, _person_for(self._population, role, kind))
        person = row.person
        values = self._values_of(row, kind)
        person.is_known_by(**{name: str(values[name]) for name in ("FirstName", "LastName", "DOB") if name in values})
        if kind in _HAVE_LEFT:
            self._mis.remove(row)
        standing = row if row.is_current else None
        self.contact.sown.append(Sown(kind, person, standing, values))
        if kind in {Kind.RIGHT_TWICE, Kind.TWICE}:
            self.contact.sown.append(Sown(kind, person, standing, dict(values)))
        elif kind is Kind.BESIDE_RIGHT:
            self.contact.sown.append(Sown(Kind.RIGHT, person, standing, values | {"MISID": row.key}))

    def _enter(self, role: Role, person: Person) -> Row:
        if role is Role.LEARNER:
            tutor = self._population.rng.choice(self._staff).key
            return self._mis.enrol(person, date(2026, 9, 1), date(2027, 7, 31), tutor=tutor)
        self._staff.append(self._mis.employ(person))
        return self._staff[-1]

    def _values_of(self, row: Row, kind: Kind) -> Values:
        """What OneFile has of the account."""
        values = {**_values(row, _SHOWN.get(kind, IDENTIFYING)), **_respelt(row.person, kind)}
        if (key := self._key_of(row, kind)) is not None:
            values["MISID"] = key
        if kind in _ARCHIVED:
            values["Archived"] = True
        if kind in _MARRIED_SINCE:
            self._population.marry(row.person)
        return values

    def _key_of(self, row: Row, kind: Kind) -> str | None:
        """The MISID that the account has."""
        match kind:
            case Kind.OLD_KEY:
                return f"T{row.person.number:05}-1"
            case Kind.LOOKALIKE_KEY:
                spellings = (row.key.lower(), _in_full_width(row.key), row.key.replace("E", "E\u200b"))
                return self._population.rng.choice(spellings)
            case Kind.KEY_OF_ANOTHER:
                another = self._enter(row.role, self._population.well_known_learner())
                self.contact.newcomers.append(another)
                return another.key
            case _:
                return row.key if kind in _OWN_KEY else None


def _person_for(population: Population, role: Role, kind: Kind) -> Person:
    if role is not Role.LEARNER:
        return population.member_of_staff()
    match kind:
        case Kind.SHORT:
            return population.learner_with_short_name()
        case Kind.SWAPPED:
            # A day that can be a month, and is another one then.
            day = date(2004, population.rng.randrange(1, 7), population.rng.randrange(7, 13))
            return population.well_known_learner(dob=day)
        case Kind.RIGHT | Kind.LEFT | Kind.LEFT_ARCHIVED | Kind.SAME:
            return population.learner()
        case _:
            return population.well_known_learner()


def _values(row: Row, shown: Collection[str]) -> Values:
    """The values of an account that shows these of the fields that say who somebody is."""
    values: Values = {"OrganisationID": ORGANISATION, "Role": row.role.number}
    values |= {name: value for name, value in row.person.fields.items() if name in {*_NAMES, *shown}}
    if row.role is Role.LEARNER:
        values |= {"ClassroomID": CLASSROOM, "PlacementID": PLACEMENT}
    return values


def _respelt(person: Person, kind: Kind) -> Values:
    """The values that the account shows in another form."""
    match kind:
        case Kind.PLAIN:
            return {name: without_accents(person.fields[name]).upper() for name in _NAMES}
        case Kind.SHORT:
            return {"FirstName": short_form(person.first_name)}
        case Kind.REVERSED:
            return {"FirstName": person.last_name, "LastName": person.first_name}
        case Kind.SWAPPED:
            assert person.dob
            return {"DOB": person.dob.replace(month=person.dob.day, day=person.dob.month).isoformat()}
        case _:
            return {}


def _in_full_width(key: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) for letter in key)
