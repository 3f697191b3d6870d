"""Pairs of records, and what a person who knows them would say: one person, probably, possibly, or two people."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from hypothesis import strategies as st

from .names import last_name, mailbox, short_form, without_accents
from .person import NO_ULN_YET
from .population import Population

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records by OneFile's names of fields, and the right answer."""

    why: str
    a: Fields
    b: Fields
    right: str
    """``certain``, ``likely``, ``possible`` or ``contradicted``."""


def _everything(population: Population) -> tuple[Fields, Fields]:
    person = population.well_known_learner()
    return person.fields, person.fields


def _married(population: Population, *shared: str) -> tuple[Fields, Fields]:
    person = population.well_known_learner()
    before = _only(person.fields, "FirstName", "LastName", "Email", *shared)
    population.marry(person)
    return before, _only(person.fields, "FirstName", "LastName", "Email", *shared)


def _placeholder(population: Population) -> tuple[Fields, Fields]:
    one, other = _strangers(population)
    return one | {"ULN": NO_ULN_YET}, other | {"ULN": NO_ULN_YET}


def _strangers(population: Population) -> tuple[Fields, Fields]:
    one = population.well_known_learner(first_name="Uzma", dob=date(1999, 3, 5))
    other = population.well_known_learner(first_name="Gareth", last_name=_another(population, one.last_name))
    return one.fields, _born(other.fields, "2008-05-05")


def _stand_in_dob(population: Population) -> tuple[Fields, Fields]:
    shown = ("FirstName", "LastName", "DOB")
    one, other = _strangers(population)
    return _born(_only(one, *shown), "2000-01-01"), _born(_only(other, *shown), "2000-01-01")


def _twins(population: Population, *shown: str) -> tuple[Fields, Fields]:
    one = population.well_known_learner(email=f"family{population.rng.randrange(1000)}@example.org")
    other = population.twin_of(one)
    fields = ("FirstName", "LastName", "Email", "DOB", *shown)
    return _only(one.fields, *fields), _only(other.fields, *fields)


def _father_and_son(population: Population) -> tuple[Fields, Fields]:
    son = population.well_known_learner()
    fields = ("FirstName", "LastName", "Email", "DOB")
    return _only(population.father_of(son).fields, *fields), _only(son.fields, *fields)


def _names_and_email(population: Population) -> tuple[Fields, Fields]:
    one = _only(population.well_known_learner().fields, "FirstName", "LastName", "Email")
    return one, one | {"Email": one["Email"].upper()}


def _no_dob_on_one_side(population: Population) -> tuple[Fields, Fields]:
    person = population.well_known_learner()
    names = ("FirstName", "LastName", "Email")
    return _only(person.fields, *names, "DOB"), _only(person.fields, *names)


def _names_alone(population: Population) -> tuple[Fields, Fields]:
    one = _only(population.well_known_learner().fields, "FirstName", "LastName")
    return one, dict(one)


def _names_and_two_addresses(population: Population) -> tuple[Fields, Fields]:
    one, other = _names_alone(population)
    box = mailbox(one["FirstName"], one["LastName"])
    return one | {"Email": f"{box[:1]}{box}@example.ac.uk"}, other | {"Email": f"{box}@example.ac.uk"}


def _short_name(population: Population) -> tuple[Fields, Fields]:
    person = population.learner_with_short_name()
    long = _only(person.fields, "FirstName", "LastName", "DOB")
    return long, long | {"FirstName": short_form(person.first_name) or ""}


def _accents(population: Population) -> tuple[Fields, Fields]:
    first, last = population.rng.choice([("Zoë", "O\u2019Neill"), ("Siobhán", "Ní Bhriain"), ("Małgorzata", "Żak")])
    person = population.well_known_learner(first_name=first, last_name=last)
    one = _only(person.fields, "FirstName", "LastName", "DOB")
    bare = {name: without_accents(one[name].replace("\u2019", "'")).upper() for name in ("FirstName", "LastName")}
    return one, one | bare


def _order(population: Population) -> tuple[Fields, Fields]:
    one = _only(population.well_known_learner().fields, "FirstName", "LastName", "DOB")
    return one, one | {"FirstName": one["LastName"], "LastName": one["FirstName"]}


def _swapped_day(population: Population) -> tuple[Fields, Fields]:
    day = date(2006, population.rng.randrange(1, 7), population.rng.randrange(7, 13))
    one = _only(population.well_known_learner(dob=day).fields, "FirstName", "LastName", "Email", "DOB")
    return one, _born(one, day.replace(month=day.day, day=day.month).isoformat())


def _two_ulns(population: Population) -> tuple[Fields, Fields]:
    one, other = population.well_known_learner(), population.well_known_learner()
    fields = _only(one.fields, "FirstName", "LastName", "DOB")
    return fields | {"ULN": one.uln}, fields | {"ULN": other.uln}


def _namesakes(population: Population) -> tuple[Fields, Fields]:
    one = population.well_known_learner(dob=date(1999, 3, 5))
    other = _born(population.namesake_of(one).fields, "2006-10-21")
    return _only(one.fields, "FirstName", "LastName", "DOB"), _only(other, "FirstName", "LastName", "DOB")


#: How a pair of each kind is made, and the right answer.
KINDS: Final[Mapping[str, tuple[Callable[[Population], tuple[Fields, Fields]], str]]] = {
    "everything": (_everything, "certain"),
    "married: ULN and DOB equal": (lambda who: _married(who, "ULN", "DOB"), "certain"),
    "married: NINO and DOB equal": (lambda who: _married(who, "NINO", "DOB"), "certain"),
    "accents and apostrophes, DOB": (_accents, "certain"),
    "order of names, DOB": (_order, "certain"),
    "names and address, no DOB": (_names_and_email, "likely"),
    "names and address, DOB on one side only": (_no_dob_on_one_side, "likely"),
    "short name, surname and DOB": (_short_name, "likely"),
    "day and month swapped, names and address": (_swapped_day, "likely"),
    "names alone": (_names_alone, "possible"),
    "names alone, two addresses": (_names_and_two_addresses, "possible"),
    "names and DOB equal, two ULNs": (_two_ulns, "possible"),
    "everything differs": (_strangers, "contradicted"),
    "no ULN yet": (_placeholder, "contradicted"),
    "a stand-in DOB": (_stand_in_dob, "contradicted"),
    "twins with one family address": (_twins, "contradicted"),
    "twins with one family address and two ULNs": (lambda who: _twins(who, "ULN"), "contradicted"),
    "father and son with one address": (_father_and_son, "contradicted"),
    "namesakes born on two days": (_namesakes, "contradicted"),
}


def pair_of(why: str, seed: int) -> Pair:
    """The pair of this kind that a seed makes."""
    make, right = KINDS[why]
    one, other = make(Population(seed))
    return Pair(why, one, other, right)


#: Pairs of every kind; each seed makes other people.
pairs: Final = st.builds(pair_of, st.sampled_from(sorted(KINDS)), st.integers(0, 2**20))


def _only(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name in names}


def _born(fields: Fields, day: str) -> Fields:
    return fields | {"DOB": day}


def _another(population: Population, last: str) -> str:
    other = last
    while other == last:
        other = last_name(population.rng)
    return other
