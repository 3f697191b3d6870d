"""A year of a college: who starts another programme, joins, leaves, marries, and what the MIS does to keys."""

from dataclasses import dataclass, field
from datetime import date

from syncd.core.fields import Role

from .mis import Mis, Row
from .person import Person
from .population import Population


@dataclass(frozen=True, slots=True)
class Counts:
    """How many learners each thing happens to; to one learner one thing, if nothing else is said."""

    next_programmes: int = 0
    """Have started another programme."""
    married_meanwhile: int = 0
    """Of these, have another name since."""
    joined: int = 0
    left: int = 0
    married: int = 0
    """Have another name, and stay where they are."""
    keys_reused: int = 0
    """Have left, and their keys are given to newcomers, who are not counted in ``joined``."""
    rekeyed: int = 0
    """Stay where they are, under another key."""


@dataclass(slots=True)
class Year:
    """To whom it happened."""

    next_programmes: list[tuple[Row, Row]] = field(default_factory=list)
    """The rows before and after; the same one twice if the MIS keys by person."""
    joined: list[Row] = field(default_factory=list)
    left: list[Row] = field(default_factory=list)
    married: list[Person] = field(default_factory=list)
    """All of them, whatever else happened to them."""
    keys_reused: list[tuple[Row, Row]] = field(default_factory=list)
    """The row that is gone and the one that has its key."""
    rekeyed: dict[str, Row] = field(default_factory=dict)
    """The rows by their old keys."""


def found_college(population: Population, mis: Mis, learners: int, tutors: int, year: int) -> None:
    """Fill an MIS with learners whose programmes run from September to July, and the tutors who teach them."""
    staff = [mis.employ(population.member_of_staff()) for _ in range(tutors)]
    for _ in range(learners):
        mis.enrol(population.learner(), *_dates(year), tutor=_one_of(population, staff))


def pass_year(population: Population, mis: Mis, counts: Counts, year: int) -> Year:
    """Let a summer pass; new programmes start in September of this year and run to July.

    Some who join are hard to tell from those who leave: brothers and sisters of one birthday, sons, and namesakes.
    """
    rng, done = population.rng, Year()
    chosen = population.rng.sample(
        mis.current(Role.LEARNER),
        counts.next_programmes + counts.left + counts.married + counts.keys_reused + counts.rekeyed,
    )

    def take(number: int) -> list[Row]:
        taken, chosen[:] = chosen[:number], chosen[number:]
        return taken

    for row in take(counts.next_programmes):
        done.next_programmes.append((row, mis.begin_next_programme(row, *_dates(year))))
    for row in take(counts.left):
        mis.remove(row)
        done.left.append(row)
    staying = take(counts.married)
    for row in take(counts.rekeyed):
        done.rekeyed[mis.rekey(row)] = row
    for row in take(counts.keys_reused):
        newcomer = mis.reuse_key(row, population.learner())
        newcomer.enrolment.starts_on, newcomer.enrolment.planned_end = _dates(year)
        done.keys_reused.append((row, newcomer))
    again = rng.sample([after for _, after in done.next_programmes], counts.married_meanwhile)
    for row in (*staying, *again):
        population.marry(row.person)
        done.married.append(row.person)
    staff = mis.current(Role.ASSESSOR)
    for number in range(counts.joined):
        person = _newcomer(population, done.left, number)
        done.joined.append(mis.enrol(person, *_dates(year), tutor=_one_of(population, staff)))
    return done


def _newcomer(population: Population, left: list[Row], number: int) -> Person:
    relative_of = (population.twin_of, population.namesake_of, population.father_of)
    # Nobody could tell a namesake from somebody of whom no birthday is known.
    known = [row.person for row in left if row.person.dob]
    if number % 20 or not known:
        return population.learner()
    return relative_of[number // 20 % len(relative_of)](known[number // 20 % len(known)])


def _one_of(population: Population, staff: list[Row]) -> str | None:
    return population.rng.choice(staff).key if staff else None


def _dates(year: int) -> tuple[date, date]:
    return date(year, 9, 1), date(year + 1, 7, 31)
