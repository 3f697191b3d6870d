"""All the people there are, made up one after another from a seed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from syncd.demo.fake_people import People

from .names import first_name, last_name, mailbox, names_with_short_form
from .person import NO_ULN_YET, Person

_YOUNGEST_BORN: Final = date(2008, 8, 31)
_COLLEGE: Final = "students.example.ac.uk"
_AT_HOME: Final = "example.org"


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of the people, from 0 to 1, are recorded less well than they could be."""

    without_dob: float = 0.01
    without_uln: float = 0.02
    placeholder_uln: float = 0.02
    """With the number that stands for "no ULN yet"."""
    with_nino: float = 0.5
    at_home: float = 0.3
    """With a private e-mail address, which their family may share."""


class Population:
    """Makes people; the same seed makes the same ones."""

    def __init__(self, seed: int, shares: Shares | None = None) -> None:
        self.rng = Random(seed)
        self.shares = shares or Shares()
        self.people: list[Person] = []
        self._numbers = People(self.rng)
        self._ulns: set[str] = set()

    def learner(self, **attributes: object) -> Person:
        """A new person of an age to learn, like nobody in particular."""
        first, last = first_name(self.rng), last_name(self.rng)
        return self._add(self._youth(first, last) | attributes)

    def well_known_learner(self, **attributes: object) -> Person:
        """A learner of whom everything is recorded."""
        known = {"dob": self._born_on(), "uln": self._uln(), "nino": self._numbers.nino()}
        return self.learner(**known | attributes)

    def learner_with_short_name(self) -> Person:
        """A learner of whom everything is recorded, and who may be called by another first name."""
        return self.well_known_learner(first_name=self.rng.choice([*names_with_short_form()]))

    def member_of_staff(self) -> Person:
        """A new person who works at the college; nothing but names and e-mail is recorded of them."""
        first, last = first_name(self.rng), last_name(self.rng)
        return self._add(
            {
                "first_name": first,
                "last_name": last,
                "email": _address(first, last, len(self.people) + 1, "staff.example.ac.uk"),
            }
        )

    def twin_of(self, person: Person) -> Person:
        """A brother or sister, born on the same day, with the family's e-mail address and surname."""
        first = self._other_first_name(person)
        return self._add(self._youth(first, person.last_name) | {"dob": person.dob, "email": person.email, "nino": ""})

    def father_of(self, person: Person) -> Person:
        """A father with the same names and e-mail address."""
        born = person.dob or _YOUNGEST_BORN
        return self._add(
            self._youth(person.first_name, person.last_name)
            | {"dob": born.replace(year=born.year - 29, day=min(born.day, 28)), "email": person.email}
        )

    def namesake_of(self, person: Person) -> Person:
        """Somebody else of the same names, born on another day."""
        other = self._youth(person.first_name, person.last_name)
        born = self._born_on()
        if born == person.dob:
            born += timedelta(days=1)
        return self._add(other | {"dob": born})

    def marry(self, person: Person) -> None:
        """Give somebody another surname, and the e-mail address that goes with it."""
        last = person.last_name
        while last == person.last_name:
            last = last_name(self.rng)
        domain = person.email.partition("@")[2]
        person.change(last_name=last, email=_address(person.first_name, last, person.number, domain))

    def take(self, people: Iterable[Person], number: int) -> list[Person]:
        """As many of these people as that, in a random order."""
        return self.rng.sample([*people], number)

    def _youth(self, first: str, last: str) -> dict[str, object]:
        shares, chance = self.shares, self.rng.random
        domain = _AT_HOME if chance() < shares.at_home else _COLLEGE
        placeholder, missing, dated, insured = chance(), chance(), chance(), chance()
        uln = NO_ULN_YET if placeholder < shares.placeholder_uln else self._uln()
        return {
            "first_name": first,
            "last_name": last,
            "email": _address(first, last, len(self.people) + 1, domain),
            "dob": None if dated < shares.without_dob else self._born_on(),
            "uln": "" if missing < shares.without_uln else uln,
            "nino": self._numbers.nino() if insured < shares.with_nino else "",
        }

    def _add(self, attributes: dict[str, object]) -> Person:
        person = Person(len(self.people) + 1, **attributes)  # type: ignore[arg-type]
        self.people.append(person)
        return person

    def _uln(self) -> str:
        while (uln := self._numbers.uln()) in self._ulns:
            pass
        self._ulns.add(uln)
        return uln

    def _born_on(self) -> date:
        return _YOUNGEST_BORN - timedelta(days=self.rng.randrange(10 * 365))

    def _other_first_name(self, person: Person) -> str:
        first = person.first_name
        while first == person.first_name:
            first = first_name(self.rng)
        return first


def _address(first: str, last: str, number: int, domain: str) -> str:
    # The number keeps namesakes apart, as colleges do.
    return f"{mailbox(first, last)}{number}@{domain}"
